"""Means of a run against gold, each with its interval, its counts and its floors.

A verdict that abstained or failed is not right in `over_all` and absent from `over_scored`; it never becomes a label,
a side or a score. An error of scores and an AUROC need scores, so they have no `over_all`.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence

from agentjudge.case import Gold, Record, is_right
from agentjudge.errors import DataError
from agentjudge.runs.classification import auroc
from agentjudge.runs.merging import sign
from agentjudge.runs.statistics import Interval, bootstrap_interval, bootstrap_of
from agentjudge.verdict import Verdict


class Mean(Record):
    """A number over the rows that it can be taken of. All are 0..1."""

    n: int
    scored: int
    over_all: float | None
    over_scored: float | None
    """None where nothing is scored."""
    low: float | None
    high: float | None
    """95% cluster-bootstrap interval of `over_all`, or of `over_scored` where that is None."""
    floors: dict[str, float]
    """What judges without a model, and baselines if given, reach on the same rows."""
    lower_is_better: bool = False

    @property
    def best_floor(self) -> tuple[str, float] | None:
        """The floor that is hardest to beat; None without floors."""
        best = min if self.lower_is_better else max
        return best(self.floors.items(), key=lambda floor: floor[1]) if self.floors else None

    @property
    def beats_floors(self) -> bool | None:
        """Whether the interval lies on the better side of every floor; None without floors or interval."""
        if self.best_floor is None or self.low is None or self.high is None:
            return None
        return self.high < self.best_floor[1] if self.lower_is_better else self.low > self.best_floor[1]


class Judged(Record):
    """A verdict beside its gold; rows of one cluster are not independent."""

    verdict: Verdict
    gold: Gold
    cluster: str


def right(verdict: Verdict, gold: Gold, *, tie: float = 0.0) -> float | None:
    """How right a verdict is (0..1); None if it is not scored.

    A label is right if it is gold's (`case.is_right`); a preference if it is on gold's side, its strength apart; a
    ranking if its best is gold's best.

    Args:
        verdict: in the case's own order.
        gold: with the kind of outcome that the verdict has.
        tie: credit for a tie where gold has a side.

    Raises:
        DataError: gold does not say what is right for such a verdict.
    """
    if verdict.status != "scored":
        return None
    if verdict.label is not None and gold.label is not None:
        return float(is_right(verdict.label, gold.label))
    if verdict.preference is not None and (side := _side(gold)) is not None:
        same = sign(verdict.preference) == side
        return 1.0 if same else (tie if verdict.preference == 0 else 0.0)
    if verdict.ranking is not None and gold.ranking:
        return float(verdict.ranking[0] == gold.ranking[0])
    raise DataError(f"case {verdict.case_id!r}: its gold does not say what is right for the outcome of this judge")


def accuracy(
    rows: Sequence[Judged], floors: Mapping[str, Sequence[Verdict]], *, tie: float = 0.0, seed: int = 0
) -> Mean:
    """How often a judge is right; see `right`. An unscored verdict is not right.

    Args:
        rows: at least one.
        floors: verdicts of other judges on the same rows, by name.
        tie: credit for a tie where gold has a side.
        seed: of the bootstrap.
    """
    marks = [right(row.verdict, row.gold, tie=tie) for row in rows]
    scored = [mark for mark in marks if mark is not None]
    found = bootstrap_interval([mark or 0.0 for mark in marks], [row.cluster for row in rows], seed=seed)
    reached = {
        name: sum(right(v, row.gold, tie=tie) or 0.0 for v, row in zip(verdicts, rows, strict=True)) / len(rows)
        for name, verdicts in floors.items()
    }
    return Mean(
        n=len(rows),
        scored=len(scored),
        over_all=found.mean,
        over_scored=sum(scored) / len(scored) if scored else None,
        low=found.low,
        high=found.high,
        floors=reached,
    )


def score_error(rows: Sequence[Judged], *, seed: int = 0) -> Mean:
    """Mean distance of score and gold's score; its floor is the best constant score, the median of gold."""
    golds = [row.gold.score for row in rows if row.gold.score is not None]
    middle = statistics.median(golds)
    floor = sum(abs(gold - middle) for gold in golds) / len(golds)
    return _over_scored(
        rows,
        lambda scored: bootstrap_interval([abs(s - g) for s, g, _ in scored], [c for *_, c in scored], seed=seed),
        floors={f"always {middle:g}": floor},
        lower_is_better=True,
    )


def score_auroc(rows: Sequence[Judged], floors: Mapping[str, Sequence[Verdict]], *, seed: int = 0) -> Mean | None:
    """AUROC of scores against gold of 0 and 1; None where gold has other scores, or the scored rows one class."""

    def area(scored: Sequence[tuple[float, float, str]]) -> float | None:
        classes = {gold for _, gold, _ in scored}
        return auroc([s for s, _, _ in scored], [g == 1 for _, g, _ in scored]) if classes == {0, 1} else None

    if area(_scored(rows)) is None:
        return None
    reached = {}
    for name, verdicts in floors.items():
        other = [row.model_copy(update={"verdict": v}) for row, v in zip(rows, verdicts, strict=True)]
        if (found := area(_scored(other))) is not None:
            reached[name] = found
    return _over_scored(
        rows,
        lambda scored: bootstrap_of(area, scored, [c for *_, c in scored], seed=seed),
        floors={"chance": 0.5, **reached},
    )


def _scored(rows: Sequence[Judged]) -> list[tuple[float, float, str]]:
    return [
        (row.verdict.score, row.gold.score, row.cluster)
        for row in rows
        if row.verdict.score is not None and row.gold.score is not None
    ]


def _over_scored(
    rows: Sequence[Judged],
    measure: Callable[[Sequence[tuple[float, float, str]]], Interval],
    *,
    floors: dict[str, float],
    lower_is_better: bool = False,
) -> Mean:
    scored = _scored(rows)
    found = measure(scored) if scored else None
    return Mean(
        n=len(rows),
        scored=len(scored),
        over_all=None,
        over_scored=found.mean if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        floors=floors,
        lower_is_better=lower_is_better,
    )


def _side(gold: Gold) -> int | None:
    """The better of two: -1 the first, 1 the second, 0 a tie; None where gold says nothing of it."""
    if gold.preference is not None:
        return sign(gold.preference)
    return (1 if gold.ranking[0] else -1) if gold.ranking is not None and len(gold.ranking) == 2 else None
