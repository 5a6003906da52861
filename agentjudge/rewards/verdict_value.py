"""The verdict as the reward: what a judge says of a policy's answer, where the policy is paid for the answer.

    reward = verdict_value()                                   # or lookup("reward", "verdict_value").target()
    reward.score(await judge.arun(case), case).score           # 0.75, of a verdict with that score
    group_values(outcome.verdict, 4)                           # (1.0, 0.667, 0.0, 0.333), of a ranking of four

| the verdict on one answer | is worth |
|---|---|
| a score | the score |
| a label with probabilities | the probability of the labels that say yes |
| a label without | 1 if it says yes, else 0 |
| abstained | nothing (None), or what `abstained` says |
| failed, however | nothing (None) |

Other rewards pay a policy that judges: an answer that cannot be read is its own fault. Here the judge is not the one
who learns, so whatever it failed at masks the judgement. A `NOT ENOUGH INFO` is a label, and says no.

A verdict on a group says how its answers stand to each other, which is all that a group's advantages look at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from agentjudge.case import Case
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, RewardResult, of_parts, unknown
from agentjudge.rewards.judged import opinion
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

STRENGTH = 3
"""Of the strongest preference."""


@dataclass(frozen=True, slots=True)
class VerdictValue(Alone):
    """What the verdict is worth, from 0 to 1; gold is not looked at."""

    abstained: float | None = None
    """Worth of an abstention; None masks it."""
    keys: ClassVar = ("verdict",)
    low: ClassVar = 0.0
    high: ClassVar = 1.0

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`."""
        return self.of(trace.verdict)

    def of(self, verdict: Verdict) -> RewardResult:
        """The reward that a verdict on one answer makes."""
        if verdict.failure is not None:
            return unknown(f"{verdict.failure.kind}: {verdict.failure.message}")
        if verdict.status == "abstained":
            if self.abstained is None:
                return unknown(f"the judge abstained: {verdict.rationale}".removesuffix(": "))
            return of_parts({"verdict": self.abstained})
        value = opinion(verdict)
        if value is None:
            return unknown("the verdict says which is better, not how good one is")
        return of_parts({"verdict": value})


@register("reward", "verdict_value")
def verdict_value(abstained: float | None = None) -> VerdictValue:
    """The judge's verdict as it stands: its score, or the probability that its label says yes."""
    return VerdictValue(abstained)


def group_values(verdict: Verdict, n: int, *, ties: Iterable[Sequence[int]] = ()) -> tuple[float, ...] | None:
    """What the answers of a group are worth beside each other, from 0 to 1, in their order; 0.5 on the average.

    Of two the better one gets 1 where it is much better, 2/3 where it is slightly better. Of more, each gets the share
    of the others that it beats; a tie counts half.

    Args:
        verdict: on all of them: a ranking, or of two a preference.
        n: how many they are, at least 2.
        ties: indexes of answers that stand equal although the ranking lists one before the other.

    Returns:
        None where the verdict decides nothing between them.
    """
    if n == 2 and verdict.preference is not None:
        ahead = verdict.preference / (2 * STRENGTH)
        return 0.5 - ahead, 0.5 + ahead
    if verdict.ranking is None or len(verdict.ranking) != n:
        return None
    groups = [frozenset(group) for group in ties]
    classes: list[list[int]] = []
    for index in verdict.ranking:
        if classes and any({classes[-1][-1], index} <= group for group in groups):
            classes[-1].append(index)
        else:
            classes.append([index])
    values, below = [0.0] * n, n
    for together in classes:
        below -= len(together)
        for index in together:
            values[index] = (below + (len(together) - 1) / 2) / (n - 1)
    return tuple(values)
