"""What a verdict is worth as a reward: of one answer, and of a group."""

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, PAIR, judgement

from agentjudge.registry import lookup
from agentjudge.rewards.base import Reward, paid
from agentjudge.rewards.verdict_value import VerdictValue, group_values
from agentjudge.verdict import Provenance, Verdict


def scored(**outcome: Any) -> Verdict:
    return Verdict(case_id="c", status="scored", provenance=Provenance(judge="j"), **outcome)


@pytest.mark.parametrize(
    ("outcome", "worth"),
    [
        ({"score": 0.75}, 0.75),
        ({"score": 0.0}, 0.0),
        ({"label": "SUPPORT"}, 1.0),
        ({"label": "REFUTE"}, 0.0),
        ({"label": "NOT ENOUGH INFO"}, 0.0),
        ({"label": "success", "probabilities": {"success": 0.7, "failure": 0.3}}, 0.7),
        ({"label": "failure", "probabilities": {"success": 0.2, "failure": 0.8}}, 0.2),
        ({"label": "blocked"}, 0.0),
    ],
)
def test_a_verdict_on_one_answer_is_worth_what_it_says(outcome: dict[str, Any], worth: float) -> None:
    result = VerdictValue().score(judgement(CLAIM, **outcome), CLAIM)
    assert result.score == worth and result.components == {"verdict": worth} and not result.error


@pytest.mark.parametrize("kind", ["model", "parse", "budget", "tool", "internal"])
def test_a_failure_is_worth_nothing_whatever_it_was(kind: str) -> None:
    result = VerdictValue(abstained=0.5).score(judgement(CLAIM, failed=kind), CLAIM)
    assert result.score is None and result.error == f"{kind}: gone"


def test_an_abstention_is_worth_nothing_or_what_was_said_beforehand() -> None:
    assert VerdictValue().score(judgement(CLAIM), CLAIM).score is None
    assert "abstained" in VerdictValue().score(judgement(CLAIM), CLAIM).error
    assert VerdictValue(abstained=0.25).score(judgement(CLAIM), CLAIM).score == 0.25
    assert VerdictValue(abstained=0.0).score(judgement(CLAIM), CLAIM).score == 0.0


def test_a_preference_says_nothing_of_one_answer() -> None:
    result = VerdictValue().score(judgement(PAIR, preference=-2), PAIR)
    assert result.score is None and "which is better" in result.error


async def test_it_is_a_reward_like_any_other() -> None:
    reward = lookup("reward", "verdict_value").target()
    assert reward == pickle.loads(pickle.dumps(reward)) and reward.at(7) == reward
    traces = [judgement(CLAIM, label="SUPPORT"), judgement(CLAIM, failed="model"), judgement(CLAIM, label="REFUTE")]
    typed: Reward = reward
    assert [result.score for result in await paid(typed, traces, CLAIM)] == [1.0, None, 0.0]


@pytest.mark.parametrize(
    ("preference", "values"), [(-3, (1, 0)), (-1, (2 / 3, 1 / 3)), (0, (0.5, 0.5)), (2, (1 / 6, 5 / 6)), (3, (0, 1))]
)
def test_of_two_the_strength_of_the_preference_counts(preference: int, values: tuple[float, float]) -> None:
    assert group_values(scored(preference=preference), 2) == pytest.approx(values)


def test_of_more_each_gets_the_share_of_the_others_that_it_beats() -> None:
    assert group_values(scored(ranking=(0, 3, 1, 2)), 4) == pytest.approx((1, 1 / 3, 0, 2 / 3))
    assert group_values(scored(ranking=(2, 0, 1)), 3, ties=[(0, 1)]) == pytest.approx((0.25, 0.25, 1))
    assert group_values(scored(ranking=(0, 1, 2)), 3, ties=[(0, 1, 2)]) == (0.5, 0.5, 0.5)


@given(st.permutations(range(5)), st.sets(st.integers(0, 4)))
def test_values_follow_the_ranking_lie_between_0_and_1_and_are_a_half_on_the_average(
    ranking: list[int], tied: set[int]
) -> None:
    values = group_values(scored(ranking=tuple(ranking)), 5, ties=[tuple(tied)])
    assert values is not None
    assert sum(values) == pytest.approx(2.5) and all(0 <= value <= 1 for value in values)
    assert [values[i] for i in ranking] == sorted(values, reverse=True)


def test_nothing_decided_is_no_value() -> None:
    undecided = Verdict(case_id="c", status="abstained", provenance=Provenance(judge="j"))
    assert group_values(undecided, 2) is None and group_values(undecided, 3) is None
    assert group_values(scored(score=0.4), 3) is None
    assert group_values(scored(ranking=(0, 1)), 3) is None
