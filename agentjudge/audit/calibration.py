"""Does confidence mean what it says, and does it tell what to leave open?

    report = run(plan([Calibration()], cases), loads, Path("audit"))

Nothing is changed: cases with gold are judged as they are. Confidence is that of the verdict, or the probability that
it gives to its label; the score of an answer is read as the probability that the answer is good, where gold is 0 or 1.

| number | what it is |
|---|---|
| ECE | mean gap of confidence and accuracy over ten bins (arXiv 1706.04599) |
| overconfidence | mean confidence - accuracy |
| Brier score | mean squared distance of confidence from being right; beside it that of a constant confidence |
| AURC | mean risk over all coverages, the surest first; beside it the error rate, and the best that could be |
| value of abstaining | gain where an error costs three right answers and confidence says when to hold back |

The limit on ECE is ours. Few judgements make an ECE by chance alone, of a judge whose confidence is exact too. What
that comes to with these confidences is told beside it and taken off the low end of its interval, so that a judge is not
called broken for it; nothing is taken off the high end. Verdicts without any confidence are counted, and nothing else.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from agentjudge.audit.base import Audit, Audited, Finding, Number, Probe, share
from agentjudge.audit.operators import question
from agentjudge.case import ActionChoice, Case, Claim, Comparison, Gold, Response, Trajectory
from agentjudge.registry import register
from agentjudge.runs.measures import right
from agentjudge.runs.reliability import reliability
from agentjudge.runs.selective import risk_coverage, withholding
from agentjudge.runs.statistics import Interval, bootstrap_of, brier, ece
from agentjudge.verdict import Verdict

MOST_ECE = 0.1
PRICE = 3.0
"""What an error costs, in right answers."""
RESAMPLES = 400
"""Of the bootstrap."""
DRAWS = 100
"""Judges of exact confidence that are drawn."""
SURE = 0.9
"""Confidence at which a wrong verdict is shown as an example."""


class _Row(NamedTuple):
    confidence: float
    correct: bool
    cluster: str


@register("audit", "calibration")
class Calibration(Audit):
    """Confidence that is not the chance of being right, or does not tell right from wrong."""

    name = "calibration"
    title = "Does confidence mean what it says?"
    kinds = (Claim, Response, Comparison, ActionChoice, Trajectory)
    wants = "cases with gold"

    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """See `Audit`."""
        return (Probe(case, case) for case in cases if case.gold is not None and _tells(case.gold))

    def find(self, judged: Sequence[Audited]) -> Finding:
        """See `Audit`."""
        known = [(each, row) for each in judged if (row := _row(each)) is not None]
        rows = [row for _, row in known]
        asked = [each.verdict.status for each in judged]
        numbers: list[Number] = []
        if asked:
            open_ = share([status == "abstained" for status in asked], [_cluster(each) for each in judged])
            numbers.append(Number(name="abstained", value=open_, better="low"))
        if not rows:
            return self.finding(judged, numbers)
        confidences, correct = [row.confidence for row in rows], [row.correct for row in rows]
        curve = risk_coverage(confidences, correct)
        accuracy = sum(correct) / len(rows)
        chance = by_chance(confidences)
        measured = _over(rows, ece)
        worst = Number(
            name="ECE",
            value=measured._replace(low=max(0.0, min(measured.mean, measured.low - chance))),
            better="low",
            limit=MOST_ECE,
            beside=f"exact confidence, by chance alone: {chance:.3f}",
        )
        constant = f"always {accuracy:.2f}: {accuracy * (1 - accuracy):.3f}"
        order = f"an order by lot: {curve.error:.3f}; the best there can be: {curve.best:.3f}"
        numbers += [
            worst,
            _told("overconfidence", _over(rows, _overconfidence), "low", f"accuracy {accuracy:.3f}"),
            _told("Brier score", _over(rows, brier), "low", constant),
            _told("AURC", _over(rows, lambda sure, fine: risk_coverage(sure, fine).aurc), "low", order),
            _told("risk at 80% coverage", _over(rows, lambda sure, fine: risk_coverage(sure, fine).at(0.8)), "low"),
            _told(
                f"value of abstaining where an error costs {PRICE:g}",
                _over(rows, lambda sure, fine: withholding(sure, fine, price=PRICE)),
                "high",
                "always sure: 0",
            ),
        ]
        fooled = [each for each, row in known if row.confidence >= SURE and not row.correct]
        found = self.finding(judged, numbers, fooled)
        return found.model_copy(update={"reliability": reliability(confidences, correct), "risk_coverage": curve})


def by_chance(confidences: Sequence[float], *, seed: int = 0) -> float:
    """Mean ECE of judges that are right exactly as often as they say, with these confidences."""
    draw = random.Random(seed)
    drawn = (ece(confidences, [draw.random() < sure for sure in confidences]) for _ in range(DRAWS))
    return sum(drawn) / DRAWS


def confidence_of(verdict: Verdict) -> float | None:
    """How sure a verdict is of its outcome (0..1); None where it does not say."""
    if verdict.score is not None:
        return max(verdict.score, 1 - verdict.score)
    if verdict.confidence is not None:
        return verdict.confidence.value
    if verdict.probabilities is not None and verdict.label is not None:
        return verdict.probabilities.get(verdict.label)
    return None


def _row(each: Audited) -> _Row | None:
    verdict, gold = each.verdict, each.probe.parent.gold
    if gold is None or verdict.status != "scored" or (sure := confidence_of(verdict)) is None:
        return None
    if verdict.score is not None:
        if gold.score not in (0, 1):
            return None
        return _Row(sure, (verdict.score >= 0.5) == bool(gold.score), _cluster(each))
    if not _fits(verdict, gold):
        return None
    return _Row(sure, right(verdict, gold) == 1, _cluster(each))


def _tells(gold: Gold) -> bool:
    """Whether gold says what is right for any verdict that can state a confidence."""
    return gold.label is not None or gold.score in (0, 1) or gold.preference is not None or bool(gold.ranking)


def _fits(verdict: Verdict, gold: Gold) -> bool:
    if verdict.label is not None:
        return gold.label is not None
    if verdict.preference is not None:
        return gold.preference is not None or (gold.ranking is not None and len(gold.ranking) == 2)
    return verdict.ranking is not None and bool(gold.ranking)


def _cluster(each: Audited) -> str:
    return question(each.probe.parent)


def _over(rows: Sequence[_Row], measure: Callable[[list[float], list[bool]], float]) -> Interval:
    def statistic(drawn: Sequence[_Row]) -> float:
        return measure([row.confidence for row in drawn], [row.correct for row in drawn])

    return bootstrap_of(statistic, rows, [row.cluster for row in rows], n=RESAMPLES)


def _overconfidence(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    return (sum(confidences) - sum(correct)) / len(confidences)


def _told(name: str, value: Interval, better: Literal["low", "high"], beside: str = "") -> Number:
    return Number(name=name, value=value, better=better, beside=beside)
