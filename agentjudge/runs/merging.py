"""One verdict from several: the merge rules of the benchmarks, votes of repeats, and points from rankings.

A merge rule takes one vote a run, in the case's own order: -3..3 (negative: the first candidate), and None for a run
that abstained or failed. It returns the merged preference, or None where it decides nothing; `merged` then makes the
verdict abstained, or failed if a run failed. So a failure is never a preference, and no rule can make it a tie.

| rule | of | two orders that differ | one order missing |
|---|---|---|---|
| `double_game` | JudgeBench, arXiv 2410.12784 | beside a tie: the preference; opposed: a tie | the other's |
| `agreed_or_tie` | MT-Bench, arXiv 2306.05685 (FastChat, show_result.py) | a tie | nothing decided |
| `agreed` | Auto-J, arXiv 2310.05470 (pairwise_eval.py) | nothing decided: never right | nothing decided |
| `summed` | VLRMBench's two-order tasks | the stronger side; equal: a tie | nothing decided |

LLMBar (arXiv 2310.07641) merges nothing: it averages accuracy over the two orders, for which `Outcome.votes` is there.
RewardBench (arXiv 2403.13787) and PandaLM (arXiv 2306.05087) ask once, RewardBench in an order drawn by lot.
"""

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal, Protocol, TypeVar

from agentjudge.verdict import Confidence, Failure, Usage, Verdict

Vote = int | None
OUTCOMES = ("label", "score", "preference", "ranking", "step_scores")
H = TypeVar("H", bound=Hashable)


class Merge(Protocol):
    """A merge rule."""

    def __call__(self, votes: Sequence[Vote]) -> Vote:
        """The merged preference (-3..3), or None where nothing is decided."""
        ...


def double_game(votes: Sequence[Vote]) -> Vote:
    """JudgeBench: each vote is +1 or -1, a tie or a missing one is no vote; the sum decides.

    One right order beside a tie or a missing one counts as right, as in the official metric. Without a majority the
    result is a tie if every run voted, and undecided if one is missing.
    """
    total = sum(map(sign, votes))
    return _strength(votes, sign(total)) if total or None not in votes else None


def agreed_or_tie(votes: Sequence[Vote]) -> Vote:
    """MT-Bench: the preference that all orders share, else a tie; undecided if one is missing."""
    if None in votes:
        return None
    sides = {sign(vote) for vote in votes}
    return _strength(votes, sides.pop()) if len(sides) == 1 else 0


def agreed(votes: Sequence[Vote]) -> Vote:
    """Auto-J: what all orders share, a tie included; undecided if they differ or one is missing."""
    sides = {sign(vote) for vote in votes}
    return _strength(votes, sides.pop()) if len(sides) == 1 and None not in votes else None


def summed(votes: Sequence[Vote]) -> Vote:
    """The side with the larger sum of strengths, as strong as their mean (at least 1); undecided if one is missing."""
    present = [vote for vote in votes if vote is not None]
    if len(present) < len(votes) or not present:
        return None
    total = sum(present)
    return sign(total) * max(bool(total), round(abs(total) / len(present)))


def majority(votes: Sequence[Vote]) -> Vote:
    """Votes of repeats: the side preferred more often; equally often is a tie, and missing runs do not vote."""
    if all(vote is None for vote in votes):
        return None
    return _strength(votes, sign(sum(map(sign, votes))))


def plurality(labels: Sequence[H], *, split: Literal["none", "first"] = "none") -> H | None:
    """The most frequent label.

    Args:
        labels: any, possibly none at all.
        split: where several lead: `none` decides nothing; `first` takes the one that comes first in `labels`, as
            PandaLM's metric does with its three annotators.
    """
    counts = Counter(labels).most_common(2)
    if not counts or (split == "none" and len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def borda(rankings: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Borda points of each candidate: of each ranking of n, n-1 for the first down to 0 for the last.

    Raises:
        ValueError: no rankings, or not all of the same candidates.
    """
    if not rankings or any(sorted(ranking) != list(range(len(rankings[0]))) for ranking in rankings):
        raise ValueError("need one or more rankings of the same candidates")
    points = [0.0] * len(rankings[0])
    for ranking in rankings:
        for place, index in enumerate(ranking):
            points[index] += len(points) - 1 - place
    return tuple(points)


def by_points(points: Sequence[float], *, lot: random.Random) -> tuple[tuple[int, ...], int]:
    """Indexes by points, most first, and how many of them share their points with another; those stand by lot."""
    shuffled = lot.sample(range(len(points)), len(points))
    counts = Counter(points)
    return tuple(sorted(shuffled, key=lambda i: -points[i])), sum(n for n in counts.values() if n > 1)


def equal(points: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Groups of two or more indexes with the same points, most points first."""
    groups = (tuple(i for i, each in enumerate(points) if each == value) for value in sorted(set(points), reverse=True))
    return tuple(group for group in groups if len(group) > 1)


def merged(
    case_id: str,
    verdicts: Sequence[Verdict],
    *,
    preference: int | None = None,
    ranking: tuple[int, ...] | None = None,
    label: str | None = None,
    score: float | None = None,
    step_scores: tuple[float, ...] | None = None,
    confidence: float | None = None,
    agreeing: Sequence[Verdict] | None = None,
    undecided: str = "the runs do not agree",
) -> Verdict:
    """The verdict on a case that several runs were made of; its cost is their sum.

    With an outcome it is scored. Without one it is failed if a run failed, with the first failure, and abstained
    otherwise.

    Args:
        case_id: of the verdict.
        verdicts: of the runs, in the case's own order; at least one.
        preference: -3..3; this and the next four are the outcome, at most one of them given.
        ranking: indexes, best first.
        label: of a closed set.
        score: 0..1.
        step_scores: 0..1 each.
        confidence: share (0..1) of the votes that the outcome has.
        agreeing: runs whose evidence supports the outcome; those with the same outcome when None.
        undecided: the reason given where all runs were scored and nothing was decided.
    """
    values = (label, score, preference, ranking, step_scores)
    outcome = {name: value for name, value in zip(OUTCOMES, values, strict=True) if value is not None}
    shared = {"case_id": case_id, "usage": total_usage(verdicts), "provenance": verdicts[0].provenance}
    if outcome:
        if agreeing is None:
            agreeing = [v for v in verdicts if v.status == "scored" and _same(v, preference, ranking, label)]
        evidence = tuple(dict.fromkeys(ref for verdict in agreeing for ref in verdict.evidence))
        sure = None if confidence is None else Confidence(value=confidence, method="votes")
        return Verdict.model_validate(
            {**shared, **outcome, "status": "scored", "evidence": evidence, "confidence": sure}
        )
    failures = [verdict.failure for verdict in verdicts if verdict.failure is not None]
    if failures:
        message = f"{len(failures)} of {len(verdicts)} runs failed: {failures[0].message}"
        failure = Failure(kind=failures[0].kind, message=message, retriable=any(f.retriable for f in failures))
        return Verdict.model_validate({**shared, "status": "failed", "failure": failure})
    missing = sum(verdict.status == "abstained" for verdict in verdicts)
    reason = f"{missing} of {len(verdicts)} runs abstained" if missing else undecided
    return Verdict.model_validate({**shared, "status": "abstained", "rationale": reason})


def total_usage(verdicts: Sequence[Verdict]) -> Usage:
    """The cost of several verdicts together."""
    counted = [name for name in Usage.model_fields if name != "budget_exhausted"]
    sums = {name: sum(getattr(verdict.usage, name) for verdict in verdicts) for name in counted}
    exhausted = next((v.usage.budget_exhausted for v in verdicts if v.usage.budget_exhausted), None)
    return Usage(**sums, budget_exhausted=exhausted)


def _same(verdict: Verdict, preference: int | None, ranking: tuple[int, ...] | None, label: str | None) -> bool:
    """Whether a run comes out as the merged verdict does: same side, same best, same label; any score."""
    if preference is not None and verdict.preference is not None:
        return sign(verdict.preference) == sign(preference)
    if ranking is not None and verdict.ranking is not None:
        return verdict.ranking[0] == ranking[0]
    return verdict.label == label


def sign(vote: Vote) -> int:
    """-1 for the first, 1 for the second, 0 for a tie or no vote."""
    return 0 if vote is None else (vote > 0) - (vote < 0)


def _strength(votes: Sequence[Vote], side: int) -> int:
    """`side` with the mean strength of the votes for it, rounded; 0 for a tie."""
    strengths = [abs(vote) for vote in votes if vote and sign(vote) == side]
    return side * round(sum(strengths) / len(strengths)) if side else 0
