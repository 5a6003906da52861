"""Did a run succeed? What benchmarks of judges of whole runs count, and judges without a model that they stand beside.

Every statistic reads units whose marks are `Mark`s, or have the same fields. A run that a judge abstained from or
failed on was not called a success: it costs recall and accuracy, never precision. To leave such runs out of recall
too, as AgentRewardBench does, is `read_alone`.

| floor | answers |
|---|---|
| `always success`, `always failure` | one label, always; no side effect; completely optimal, or a failure that loops |
| `self-report` | what the agent says of itself: it gave an answer, and no refusal |
| `fewest steps` | success where a run took no more steps than half of the runs did |
| `reward > 0.5` | the environment's own check, where one is recorded; judges are not shown it |
"""

import re
from collections.abc import Collection, Sequence
from statistics import median
from typing import Any, NamedTuple

from agentjudge.benchmarks.harness import Decided
from agentjudge.benchmarks.statistics import Statistic, Unit
from agentjudge.case import TRAJECTORY_LABELS, Case, Trajectory
from agentjudge.errors import DataError
from agentjudge.runs.agreement import cohen_kappa
from agentjudge.runs.classification import auroc as area
from agentjudge.runs.floors import RuleJudge
from agentjudge.runs.statistics import ece
from agentjudge.verdict import Criterion, Verdict

SUCCESS, FAILURE = TRAJECTORY_LABELS[:2]
OPTIMALITY = ("complete failure", "suboptimal", "somewhat optimal", "completely optimal")
ASPECTS = ("side effect", "looping", "optimality")
"""What a judge of runs may say beside success, as criteria of its verdict: yes, no; yes, no; one of `OPTIMALITY`."""
REWARD_ABOVE = 0.5
"""A reward above it is a success, as AgentRewardBench has it."""
_REFUSAL = re.compile(
    r"\b(can(?:not|'t|’t)|could(?: not|n't|n’t)|unable|impossible|infeasible|not possible|sorry|n/a|"
    r"no (?:such|results?|matching)|not (?:found|available)|"
    r"(?:did|do|does|was|were)(?: not|n't|n’t) (?:find|found|exist|able))\b",
    re.IGNORECASE,
)
_OPENING = 300
"""Characters of an answer in which a refusal is looked for."""


class Mark(NamedTuple):
    """What is so of a run, and what a judge says of it."""

    gold: bool
    """It succeeded."""
    said: bool | None
    """It is called a success; None where nothing was decided."""
    p: float | None
    """Probability (0..1) of success, as the judge has it; None where it gives none."""


def mark(gold: bool, verdict: Verdict) -> Mark:
    """The mark of a run; `blocked` and `impossible` are kinds of failure.

    Raises:
        DataError: a scored verdict without a label: the judge answers another question.
    """
    if verdict.status != "scored":
        return Mark(gold, None, None)
    if verdict.label is None:
        raise DataError(f"case {verdict.case_id!r}: the judge gives no label; take one of trajectories, by --judge")
    return Mark(gold, verdict.label == SUCCESS, probability(verdict))


def probability(verdict: Verdict) -> float | None:
    """Probability (0..1) of success: that of the label, or what the confidence in a label leaves for it."""
    if verdict.probabilities is not None and SUCCESS in verdict.probabilities:
        return verdict.probabilities[SUCCESS]
    if verdict.confidence is None:
        return None
    return verdict.confidence.value if verdict.label == SUCCESS else 1 - verdict.confidence.value


def units(decided: Sequence[Decided]) -> list[Unit]:
    """Each run with its mark; gold is `success` or `failure`.

    Raises:
        DataError: a run without gold, or see `mark`.
    """
    found = []
    for item, outcome in decided:
        gold = item.case.gold
        if gold is None or gold.label is None:
            raise DataError(f"case {item.case.id!r} has no gold label")
        each = mark(gold.label == SUCCESS, outcome.verdict)
        found.append(Unit(item.group, each, each.said is not None, item.cluster or item.counted_in))
    return found


def accuracy(units: Sequence[Unit]) -> float | None:
    """Share of runs judged right: the agreement with people."""
    return sum(unit.mark.said == unit.mark.gold for unit in units) / len(units) if units else None


def precision(units: Sequence[Unit]) -> float | None:
    """Share of successes among the runs called so; None where none is."""
    return _share([unit.mark.gold for unit in units if unit.mark.said])


def recall(units: Sequence[Unit]) -> float | None:
    """Share of the successes that are called so."""
    return _share([unit.mark.said is True for unit in units if unit.mark.gold])


def specificity(units: Sequence[Unit]) -> float | None:
    """Share of the failures that are called so."""
    return _share([unit.mark.said is False for unit in units if not unit.mark.gold])


def f1(units: Sequence[Unit]) -> float | None:
    """Harmonic mean of precision and recall, 0 where nothing is found; None where there is nothing to find."""
    hits = sum(bool(unit.mark.said and unit.mark.gold) for unit in units)
    whole = sum(unit.mark.said is True for unit in units) + sum(unit.mark.gold for unit in units)
    return 2 * hits / whole if whole else None


def balanced_accuracy(units: Sequence[Unit]) -> float | None:
    """Mean of recall and specificity; None where there are no successes or no failures."""
    found, refused = recall(units), specificity(units)
    return None if found is None or refused is None else (found + refused) / 2


def kappa(units: Sequence[Unit]) -> float | None:
    """Cohen's kappa (-1..1) of judge and people; nothing decided is an answer of its own, which nobody shares."""
    return cohen_kappa([unit.mark.gold for unit in units], [unit.mark.said for unit in units]) if units else None


def auroc(units: Sequence[Unit]) -> float | None:
    """Area under the ROC curve of the probability of success, over the runs that have one."""
    kept = [unit.mark for unit in units if unit.mark.p is not None]
    if len({mark.gold for mark in kept}) < 2:
        return None
    return area([mark.p for mark in kept], [mark.gold for mark in kept])


def precision_at(least: float) -> Statistic:
    """The best precision of a threshold on the probability of success that finds a share of all successes.

    Args:
        least: the recall, 0..1.
    """

    def statistic(units: Sequence[Unit]) -> float | None:
        ranked = sorted((-unit.mark.p, unit.mark.gold) for unit in units if unit.mark.p is not None)
        wanted = least * sum(unit.mark.gold for unit in units)
        hits, best = 0, None
        for place, (p, gold) in enumerate(ranked, 1):
            hits += gold
            last = place == len(ranked) or ranked[place][0] != p  # runs of one probability are called together
            if last and hits and hits >= wanted and (best is None or hits / place > best):
                best = hits / place
        return best

    return statistic


def calibration_error(units: Sequence[Unit]) -> float | None:
    """Expected calibration error (arXiv 1706.04599, ten bins) of the label, over the runs with a probability."""
    kept = [unit.mark for unit in units if unit.mark.p is not None and unit.mark.said is not None]
    sure = [mark.p if mark.said else 1 - mark.p for mark in kept]
    return ece(sure, [mark.said == mark.gold for mark in kept]) if kept else None


def gap(units: Sequence[Unit]) -> float | None:
    """Success rate by the judge less that by people (-1..1)."""
    return sum((unit.mark.said is True) - unit.mark.gold for unit in units) / len(units) if units else None


def absolute_gap(units: Sequence[Unit]) -> float | None:
    """How far the two success rates lie apart (0..1)."""
    found = gap(units)
    return None if found is None else abs(found)


def read_alone(inner: Statistic) -> Statistic:
    """A statistic of the decided runs alone, as AgentRewardBench counts."""
    return lambda units: inner([unit for unit in units if unit.mark.said is not None])


def _share(values: Collection[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def floors(cases: Sequence[Case]) -> list[RuleJudge]:
    """The judges without a model of some runs; see the module."""
    runs = [case for case in cases if isinstance(case, Trajectory)]
    steps = median(len(run.steps) for run in runs) if runs else 0

    def shorter(case: Case) -> dict[str, Any]:
        few = len(_run(case).steps) <= steps
        p = steps / (steps + len(_run(case).steps)) if steps else float(few)
        return {"label": SUCCESS if few else FAILURE, "probabilities": {SUCCESS: p, FAILURE: 1 - p}}

    return [
        RuleJudge("always failure", lambda _: {"label": FAILURE, "criteria": _aspects("no", "yes", OPTIMALITY[0])}),
        RuleJudge("always success", lambda _: {"label": SUCCESS, "criteria": _aspects("no", "no", OPTIMALITY[-1])}),
        RuleJudge("self-report", lambda case: {"label": SUCCESS if answered(_run(case)) else FAILURE}),
        RuleJudge("fewest steps", shorter),
        RuleJudge(f"reward > {REWARD_ABOVE:g}", lambda case: {"label": SUCCESS if rewarded(case) else FAILURE}),
    ]


def answered(run: Trajectory) -> bool:
    """Whether the agent claims success: in so many words where its format has them, else by an answer, no refusal."""
    claimed = run.metadata.get("claimed_success")
    if isinstance(claimed, bool):
        return claimed
    gave_up = str(run.metadata.get("answer_action", "")).strip().lower().startswith("report_infeasible")
    answer = run.final_answer or ""
    return bool(answer.strip()) and not gave_up and not _REFUSAL.search(answer[:_OPENING])


def rewarded(case: Case) -> bool:
    """Whether the environment's own reward says success.

    Raises:
        DataError: none is recorded.
    """
    reward = case.metadata.get("reward")
    if isinstance(reward, bool) or not isinstance(reward, int | float):
        raise DataError(f"case {case.id!r} has no reward of its environment")
    return reward > REWARD_ABOVE


def _aspects(*labels: str) -> list[Criterion]:
    return [Criterion(name=name, label=label) for name, label in zip(ASPECTS, labels, strict=True)]


def _run(case: Case) -> Trajectory:
    if not isinstance(case, Trajectory):
        raise DataError(f"case {case.id!r} is a {type(case).__name__}, not a run of an agent")
    return case
