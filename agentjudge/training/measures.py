"""What is told of judgements in training: right labels, exact evidence, calls, lengths; one number each, by name.

    numbers = told([(trace, case), ...])
    numbers["joint"]                     # share with the right label and exactly the evidence of a gold group

`joint` is the number to train for. A label can be guessed; that it rests on the right sentences cannot. Where gold
names no evidence, as for NOT ENOUGH INFO, exact means that nothing is cited.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agentjudge.case import Case
from agentjudge.errors import DataError
from agentjudge.rewards.coverage import groups_of
from agentjudge.rewards.terms import cited, correct
from agentjudge.trace import Trace


class Measured(NamedTuple):
    """One judgement, held against gold."""

    gold: str
    """The right label; empty where gold has none."""
    hops: int
    """Of a generated claim; 0 for others."""
    label: bool
    """Whether the verdict is right."""
    joint: bool
    """And rests on exactly a gold group."""
    overlap: float | None
    """Shared ids of all ids, cited or gold, with the best group; None where gold names none."""
    calls: int
    tokens: int
    """Sampled."""
    failed: bool
    """There is no verdict."""


def measured(trace: Trace, case: Case) -> Measured:
    """A judgement held against the gold of its case; one that failed is wrong."""
    ids, groups = cited(trace), groups_of(case)
    try:
        right = correct(trace.verdict, case)
    except DataError:
        right = False
    exact = ids in groups if groups else not ids
    shared = [len(ids & group) / len(ids | group) for group in groups]
    return Measured(
        gold=(case.gold.label or "") if case.gold else "",
        hops=int(case.metadata.get("hops", 0)),
        label=right,
        joint=right and exact,
        overlap=max(shared) if shared else None,
        calls=len(trace.events),
        tokens=sum(len(turn.output_ids or ()) or turn.usage.completion_tokens for turn in trace.turns),
        failed=trace.verdict.status == "failed",
    )


def told(judged: Iterable[tuple[Trace, Case]]) -> dict[str, float]:
    """The numbers of some judgements; `tokens/right` and `tokens/wrong` where there are any such."""
    each = [measured(trace, case) for trace, case in judged]
    if not each:
        return {}
    numbers = {
        "label": _mean([float(m.label) for m in each]),
        "joint": _mean([float(m.joint) for m in each]),
        "calls": _mean([float(m.calls) for m in each]),
        "failed": _mean([float(m.failed) for m in each]),
    }
    for name, lengths in (
        ("overlap", [m.overlap for m in each if m.overlap is not None]),
        ("tokens/right", [float(m.tokens) for m in each if m.label]),
        ("tokens/wrong", [float(m.tokens) for m in each if not m.label]),
    ):
        if lengths:
            numbers[name] = _mean(lengths)
    return numbers


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
