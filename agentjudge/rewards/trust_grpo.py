"""Trust-GRPO, the reward of SophiaVL-R1 (arXiv 2505.17018): a judge's opinion of the thought, as far as it is trusted.

    r = answer + g x 0.3 x exp(-step / T) x thinking

where g is 1 as long as the right answers of the group have the better thoughts, on average, and exp(difference) where
the wrong ones have: a judge that prefers the thoughts of wrong answers loses its say. It wraps any soft signal beside
any answer that can be checked, and is what we would put around a judge of ours where gold labels exist.

As in the released code nothing is paid for thoughts where all answers are right (from 0.9) or all wrong (to 0.1), and T
is 500 by default (12000 in its configuration). Unlike there, the thoughts of wrong answers are judged too: the code
gives them 0 unread, so that its g is always 1 where answers are right or wrong; and what stands in the log is the g
that was applied, where the code logs its square. A judge that cannot be had masks, and is no 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import ClassVar, Self

from agentjudge.case import Case
from agentjudge.registry import register
from agentjudge.rewards.base import RewardResult, of_parts
from agentjudge.rewards.reading import OfTerms, Row, Term, total
from agentjudge.rewards.schedules import Decay, Schedule
from agentjudge.rewards.shaping import trust
from agentjudge.rewards.terms import CORRECT
from agentjudge.trace import Trace

ALL_RIGHT, ALL_WRONG, RIGHT = 0.9, 0.1, 0.5


@dataclass(frozen=True, slots=True)
class TrustGRPO(OfTerms):
    """The formula above, for a group."""

    thinking: Term
    """How good the thought is, 0 to 1; see `Judged`."""
    answer: Term = CORRECT
    """How right the answer is, 0 to 1."""
    weight: float = 0.3
    schedule: Schedule = Decay(500)
    step: int = 0
    keys: ClassVar = ("answer", "thinking")

    @property
    def low(self) -> float:
        """See `Declared`."""
        return self.answer.low + min(0.0, self.weight * self.thinking.low)

    @property
    def high(self) -> float:
        """See `Declared`."""
        return self.answer.high + max(0.0, self.weight * self.thinking.high)

    @property
    def terms(self) -> Mapping[str, Term]:
        """See `OfTerms`."""
        return {"answer": self.answer, "thinking": self.thinking}

    def at(self, step: int) -> Self:
        """See `Declared`."""
        return replace(self, step=step)

    def pay(self, rows: Sequence[Row], traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `OfTerms`."""
        answers, thoughts = [total(row["answer"]) for row in rows], [total(row["thinking"]) for row in rows]
        right = [t for a, t in zip(answers, thoughts, strict=True) if a >= RIGHT]
        wrong = [t for a, t in zip(answers, thoughts, strict=True) if a < RIGHT]
        alike = min(answers) >= ALL_RIGHT or max(answers) <= ALL_WRONG
        trusted, share = trust(right, wrong), self.schedule(self.step)
        factor = 0.0 if alike else trusted * self.weight * share
        metrics = {"trust": trusted, "schedule": share, "factor": factor}
        metrics |= {f"thinking of {k}": fsum(v) / len(v) for k, v in (("right", right), ("wrong", wrong)) if v}
        return [
            of_parts({"answer": a, "thinking": factor * t}, metrics=metrics)
            for a, t in zip(answers, thoughts, strict=True)
        ]


@register("reward", "trust_grpo", paper="2505.17018")
def trust_grpo(
    thinking: Term, *, answer: Term = CORRECT, weight: float = 0.3, steps: float = 500, step: int = 0
) -> TrustGRPO:
    """The answer, and a judge's opinion of the thought, as far as that opinion goes with right answers in the group.

    Args:
        thinking: how good the thought is, 0 to 1.
        answer: how right the answer is, 0 to 1.
        weight: of the opinion at the first step.
        steps: T of its decay.
        step: where the training is; trainers ask for `at(step)`.
    """
    return TrustGRPO(thinking, answer, weight, Decay(steps), step)
