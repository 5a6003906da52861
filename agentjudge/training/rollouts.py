"""A rollout: one judgement of a group of judgements of one case, which a trainer compares with each other.

    traces = [await judge.arun(case) for _ in range(8)]
    rollouts = group_of(traces, group=f"{case.id}@{step}")

A group is one case in one round of sampling, and is named by both: the same claim in another round, or another case
with the same words, is another group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agentjudge.errors import ConfigError
from agentjudge.trace import Trace


@dataclass(frozen=True, slots=True)
class Rollout:
    """One judgement, and those that it is compared with."""

    id: str
    """Unique among all rollouts of a batch."""
    group: str
    """Rollouts of one group are of one case and one round of sampling."""
    trace: Trace


def group_of(traces: Sequence[Trace], *, group: str = "") -> list[Rollout]:
    """The judgements of one case as a group.

    Args:
        traces: of one case.
        group: its name; the id of the case when empty.

    Raises:
        ConfigError: the judgements are of different cases.
    """
    cases = list(dict.fromkeys(trace.case.id for trace in traces))
    if len(cases) > 1:
        raise ConfigError(f"a group is of one case, not of {', '.join(map(repr, cases[:4]))}")
    name = group or next(iter(cases), "")
    return [Rollout(f"{name}#{number}", name, trace) for number, trace in enumerate(traces)]


def parents(trace: Trace) -> list[int | None]:
    """For each turn the last one whose answer is among the messages that it saw; None where it continues none."""
    place = {id(message): number for number, message in enumerate(trace.messages)}
    said = [place.get(id(turn.message_out)) for turn in trace.turns]
    found: list[int | None] = []
    for number, turn in enumerate(trace.turns):
        seen = set(turn.messages_in)
        found.append(next((n for n in range(number - 1, -1, -1) if said[n] in seen), None))
    return found


def void_turns(trace: Trace) -> tuple[int, ...]:
    """The turns that led to nothing (SimpleTIR, arXiv 2509.02479): neither a tool call nor an answer.

    A free turn without a call that was followed by another free turn; a plan or a conclusion that had to be asked for
    again; the last turn of a judgement whose verdict could not be read. A free turn without a call after which the
    verdict is asked for has said that it has seen enough, and is none of them.
    """
    followed = {parent: number for number, parent in reversed(list(enumerate(parents(trace)))) if parent is not None}
    calling = {event.turn for event in trace.events}
    failure = trace.verdict.failure
    unread = len(trace.turns) - 1 if failure is not None and failure.kind == "parse" else None
    found = []
    for number, turn in enumerate(trace.turns):
        after = followed.get(number)
        again = after is not None and trace.turns[after].phase == turn.phase and number not in calling
        if again or number == unread:
            found.append(number)
    return tuple(found)
