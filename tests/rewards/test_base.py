"""The contract: what a result may be, what masks, and the one door to both kinds of reward."""

import pytest
from judgements import CLAIM, judgement

from agentjudge.case import Case
from agentjudge.rewards.base import RewardResult, masked, of_parts, paid, unknown
from agentjudge.rewards.terms import tool_tried
from agentjudge.rewards.veri_r1 import veri_r1
from agentjudge.trace import Trace


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 1.0, "components": {"a": 0.5}},
        {"score": None},
        {"score": 0.0, "error": "x"},
        {"score": None, "error": "x", "withheld": True},
        {"score": None, "error": "x", "metrics": {"a": 1.0}},
        {"score": float("nan"), "components": {"a": float("nan")}},
        {"score": 0.5, "components": {"a": 0.5}, "another": 1},
    ],
)
def test_results_hold_together(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        RewardResult.model_validate(wrong)


def test_a_result_goes_through_json() -> None:
    result = of_parts({"a": 0.1, "b": 0.2}, turn_rewards=(0.1,), metrics={"m": 2.0})
    assert RewardResult.model_validate_json(result.model_dump_json()) == result
    assert result.score == pytest.approx(0.3) and unknown("why").error == "why"


@pytest.mark.parametrize("kind", ["model", "tool", "budget", "store", "data", "config", "internal"])
def test_what_is_not_the_policys_fault_masks(kind: str) -> None:
    found = masked(judgement(failed=kind))
    assert found is not None and found.score is None and found.error == f"{kind}: gone"
    assert masked(judgement(failed="parse")) is masked(judgement(label="SUPPORT")) is None


async def test_one_door_leads_to_both_kinds() -> None:
    class Asks:
        keys, low, high = ("a",), 0.0, 1.0

        def at(self, step: int) -> "Asks":
            return self

        async def ascore(self, trace: Trace, case: Case) -> RewardResult:
            return of_parts({"a": 0.5})

        async def ascore_group(self, traces: list[Trace], case: Case) -> list[RewardResult]:
            return [await self.ascore(trace, case) for trace in traces]

    group = [judgement(label="SUPPORT"), judgement(failed="model")]
    assert [result.score for result in await paid(Asks(), group, CLAIM)] == [0.5, 0.5]
    assert [result.score for result in await paid(veri_r1(), group, CLAIM)] == [1.0, None]


def test_a_reward_of_one_judgement_at_a_time_scores_groups_and_knows_no_step() -> None:
    reward = tool_tried()
    group = [judgement(label="SUPPORT")] * 2
    assert reward.score_group(group, CLAIM) == [reward.score(group[0], CLAIM)] * 2 and reward.at(7) is reward
