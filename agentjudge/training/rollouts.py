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
