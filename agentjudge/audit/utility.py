"""What a piece of evidence was worth to a judgement: the axes of CUE-R (arXiv 2604.05467), by definitions of our own.

    worth = utility(kept, removed)
    worth.correctness, worth.grounding, worth.confidence_error, worth.trace

The paper's formulas of grounding, of confidence error and of trace distance were not to be had. Here all are told as
changed minus kept:

| axis | definition |
|---|---|
| correctness | right (1) or not (0) by the gold of the case as it was; an abstention is not right |
| grounding | Jaccard index of the cited ids and the best gold group |
| confidence error | distance of the probability given to the gold label from 1 |
| trace | distance of the two judgements, 0..2, see `distance` |
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from agentjudge.audit.base import Audited
from agentjudge.audit.operators import AGAIN
from agentjudge.case import Case, Claim, Gold
from agentjudge.runs.measures import right
from agentjudge.trace import ToolEvent, Trace
from agentjudge.verdict import Verdict


class Utility(NamedTuple):
    """Changed minus kept; None where gold does not say."""

    correctness: float | None
    grounding: float | None
    confidence_error: float | None
    trace: float


def utility(kept: Audited, other: Audited) -> Utility | None:
    """What was done to the evidence did to the judgement; None where one of the two failed."""
    one, two = kept.verdict, other.verdict
    if "failed" in (one.status, two.status):
        return None
    gold = kept.probe.parent.gold
    correctness = grounding = error = None
    if gold is not None and gold.label is not None:
        correctness = (right(two, gold) or 0.0) - (right(one, gold) or 0.0)
        error = held(kept.probe.case, one, gold.label) - held(kept.probe.case, two, gold.label)
    if gold is not None and gold.evidence:
        grounding = _grounding(two, gold) - _grounding(one, gold)
    return Utility(correctness, grounding, error, distance(kept.trace, other.trace))


def distance(one: Trace, two: Trace) -> float:
    """How far two judgements are apart, 0..2.

    1 - Jaccard index of the cited ids, plus the edit distance of the two lists of tool calls over the longer one.
    """
    return 1 - _jaccard(_cited(one.verdict), _cited(two.verdict)) + _edits(_calls(one.events), _calls(two.events))


def held(case: Case, verdict: Verdict, label: str) -> float:
    """The probability (0..1) that a verdict gives to a label; 0 where it abstained.

    Where a judge tells its confidence alone, what is left of it is shared by the other labels of the closed set; where
    it tells none, it is sure of its label.
    """
    if verdict.status != "scored":
        return 0.0
    if verdict.probabilities is not None:
        return verdict.probabilities.get(label, 0.0)
    sure = 1.0 if verdict.confidence is None else verdict.confidence.value
    others = len(case.labels) - 1 if isinstance(case, Claim) else 1
    return sure if verdict.label == label else (1 - sure) / others


def _grounding(verdict: Verdict, gold: Gold) -> float:
    return max(_jaccard(_cited(verdict), set(group)) for group in gold.evidence)


def _cited(verdict: Verdict) -> set[str]:
    """Ids of what it cites; a copy counts as what it is a copy of."""
    return {ref.id.replace(f"{AGAIN}:", ":") for ref in verdict.evidence if ref.id}


def _jaccard(one: set[str], two: set[str]) -> float:
    return len(one & two) / len(one | two) if one or two else 1.0


def _calls(events: Sequence[ToolEvent]) -> list[Hashable]:
    return [(event.name, repr(sorted(event.args.items()))) for event in events]


def _edits(one: Sequence[Hashable], two: Sequence[Hashable]) -> float:
    """Insertions, deletions and exchanges that make one list of the other, over the length of the longer one."""
    row = list(range(len(two) + 1))
    for i, each in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(two, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (each != other))
    return row[-1] / max(len(one), len(two), 1)
