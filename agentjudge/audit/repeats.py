"""Repeats: does a judge say the same of the same?

Each case is judged again under another id, once as the judge does (the same at temperature 0, but for the marks of the
fences around what is judged, and for what servers make of batches) and three times at temperature 1.

| number | of | limit |
|---|---|---|
| changed on repeat | pairs whose outcome differs: label, side, best candidate, or right (`accepted`) | 0.05 |
| changed at temperature 1 | pairs of draws with different outcomes | told |
| score on repeat, at temperature 1 | mean distance of two scores of one case (0..1) | told |

The limit is ours: a reward that is drawn by lot trains towards nothing. What changes at temperature 1 tells what the
mean of several draws would gain.
"""

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations, groupby

from agentjudge.audit.base import Audit, Audited, Finding, Number, Probe, changed, share
from agentjudge.audit.outcomes import accepted
from agentjudge.case import ActionChoice, Case, Claim, Comparison, Response, Trajectory
from agentjudge.registry import register
from agentjudge.runs.merging import sign
from agentjudge.runs.ordering import chosen
from agentjudge.runs.statistics import bootstrap_interval
from agentjudge.verdict import Verdict

CHANGED = 0.05
DRAWS = 3


@register("audit", "repeats")
class Repeats(Audit):
    """Verdicts that change although nothing was changed."""

    name = "repeats"
    title = "Verdicts that change although nothing was changed"
    kinds = (Claim, Response, Comparison, ActionChoice, Trajectory)
    wants = "cases of any kind"

    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """Each case, the same again, and the same drawn three times."""
        for case in cases:
            yield Probe(case, case)
            yield changed(case, self.name, "again")
            for number in range(DRAWS):
                drawn = changed(case, self.name, f"drawn-{number}")
                yield Probe(drawn.case, case, drawn.variant, "sampled")

    def find(self, judged: Sequence[Audited]) -> Finding:
        """Outcomes that differ between repeats, at the judge's own temperature and at 1."""
        numbers, fooled = [], []
        for way, name, limit in (("judged", "on repeat", CHANGED), ("sampled", "at temperature 1", None)):
            of_way = [each for each in judged if each.probe.way == way and each.verdict.status == "scored"]
            twice = [
                (one, two)
                for _, group in groupby(of_way, lambda each: each.probe.parent.id)
                for one, two in combinations(group, 2)
            ]
            if not twice:
                continue
            parents = [one.probe.parent.id for one, _ in twice]
            differs = [outcome(one.verdict) != outcome(two.verdict) for one, two in twice]
            fooled += [two for (_, two), other in zip(twice, differs, strict=True) if other and limit is not None]
            value = share(differs, parents)
            numbers.append(Number(name=f"changed {name}", value=value, better="low", limit=limit))
            far = [
                (abs(a - b), one.probe.parent.id)
                for one, two in twice
                if (a := one.verdict.score) is not None and (b := two.verdict.score) is not None
            ]
            if far:
                distance = bootstrap_interval([value for value, _ in far], [parent for _, parent in far])
                numbers.append(Number(name=f"score {name}", value=distance, better="low"))
        return self.finding(judged, numbers, fooled)


def outcome(verdict: Verdict) -> Hashable:
    """What two judgements of one case are compared by."""
    if verdict.preference is not None:
        return sign(verdict.preference)
    if verdict.ranking is not None:
        return chosen(verdict)
    if verdict.step_scores is not None:
        return tuple(round(score, 1) for score in verdict.step_scores)
    return verdict.label if verdict.label is not None else accepted(verdict)
