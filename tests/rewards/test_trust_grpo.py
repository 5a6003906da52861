"""Trust-GRPO: a judge that prefers the thoughts of wrong answers loses its say, and what is logged is what was paid."""

import math

import pytest
from judgements import CLAIM, judgement

from agentjudge.case import Case
from agentjudge.rewards.reading import Reads
from agentjudge.rewards.trust_grpo import trust_grpo
from agentjudge.trace import Trace


def thought(label: str, quality: float) -> Trace:
    """A judgement whose thought is worth so much; the quality is written into its reason."""
    return judgement(label=label, rationale=str(quality))


def quality(trace: Trace, case: Case) -> float:
    return float(trace.verdict.rationale)


REWARD = trust_grpo(Reads(quality))


def paid(*group: Trace, step: int = 0) -> list[float]:
    return [result.score or 0.0 for result in REWARD.at(step).score_group(group, CLAIM)]


def test_trusted_as_long_as_right_answers_have_the_better_thoughts() -> None:
    group = [thought("SUPPORT", 0.8), thought("SUPPORT", 0.6), thought("REFUTE", 0.5)]
    assert paid(*group) == pytest.approx([1.24, 1.18, 0.15])
    assert paid(*group, step=500) == pytest.approx([1 + 0.24 / math.e, 1 + 0.18 / math.e, 0.15 / math.e])


def test_distrusted_where_wrong_ones_have() -> None:
    group = [thought("SUPPORT", 0.2), thought("REFUTE", 0.6), thought("REFUTE", 0.8)]
    g = math.exp(0.2 - 0.7)
    results = REWARD.score_group(group, CLAIM)
    assert [r.score for r in results] == pytest.approx([1 + g * 0.06, g * 0.18, g * 0.24])
    for result, q in zip(results, (0.2, 0.6, 0.8), strict=True):
        assert result.metrics == pytest.approx(
            {"trust": g, "schedule": 1, "factor": g * 0.3, "thinking of right": 0.2, "thinking of wrong": 0.7}
        )
        assert result.components["thinking"] == result.metrics["factor"] * q


@pytest.mark.parametrize("label", ["SUPPORT", "REFUTE"])
def test_nothing_is_paid_for_thoughts_where_all_answers_are_alike(label: str) -> None:
    right = float(label == "SUPPORT")
    assert paid(thought(label, 0.9), thought(label, 0.1)) == [right, right]
    assert paid(thought(label, 0.9)) == [right]


def test_thoughts_of_wrong_answers_are_judged_too() -> None:
    """Released: they are given 0 unread, so that the right ones' mean is never below theirs."""
    assert paid(thought("SUPPORT", 0.1), thought("REFUTE", 1.0))[1] > 0


def test_its_bounds_and_parts() -> None:
    assert (REWARD.low, REWARD.high, REWARD.keys) == (0.0, 1.3, ("answer", "thinking"))
