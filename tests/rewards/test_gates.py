"""Gates: no advantage, no reward and no judgement are three things; VER, PEARL, artifacts."""

import math
from typing import Any

import pytest
from judgements import CLAIM, Call, judgement

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.rewards.base import RewardResult
from agentjudge.rewards.gates import Beside, Gated, artifact, artifact_free, pearl, ver
from agentjudge.rewards.mattered import tool_mattered
from agentjudge.rewards.preference import web_arbiter
from agentjudge.rewards.reading import Fixed, Missing, Reading, Reads
from agentjudge.rewards.terms import tool_tried
from agentjudge.rewards.veri_r1 import veri_r1
from agentjudge.trace import Trace

RIGHT, WRONG = judgement(label="SUPPORT", cites=("a", "b")), judgement(label="REFUTE", cites=("a",))


def seen(trace: Trace, case: Case) -> Reading:
    """How much of the checklist was passed, by what is cited; unknown for abstentions."""
    if trace.verdict.status == "abstained":
        return Missing("no checklist")
    return len(trace.verdict.evidence) / 2


SEEN = Reads(seen)


def test_the_three_ways_to_fail() -> None:
    poor = judgement(label="SUPPORT")
    scores: dict[Any, RewardResult] = {
        how: Gated(veri_r1(), SEEN, 0.8, how).score(poor, CLAIM)  # type: ignore[arg-type]
        for how in ("zero advantage", "zero reward", "drop")
    }
    plain = veri_r1().score(poor, CLAIM)
    kept, nothing, gone = scores.values()
    assert plain.score == 1.0 and kept.score == 1.0 and kept.withheld and kept.components == plain.components
    assert nothing.score == 0.0 and not nothing.withheld and nothing.components.keys() == plain.components.keys()
    assert gone.score is None and gone.error == "the gate was not passed: 0, wanted 0.8"
    assert kept.metrics == nothing.metrics == {"gate": 0.0}


def test_what_passes_is_paid_as_ever() -> None:
    for how in ("zero advantage", "zero reward", "drop"):
        result = Gated(veri_r1(), SEEN, 0.8, how).score(RIGHT, CLAIM)  # type: ignore[arg-type]
        assert result == veri_r1().score(RIGHT, CLAIM).model_copy(update={"metrics": {"gate": 1.0}})


def test_failing_the_gate_is_no_way_out_of_a_bad_reward() -> None:
    gated = Gated(web_arbiter(), Fixed(0.0), on_fail="zero reward")
    said = '{"label": "REFUTE"}'
    assert gated.score(judgement(label="REFUTE", said=(said,)), CLAIM).score == -1.0
    assert gated.score(judgement(label="SUPPORT", said=(said,)), CLAIM).score == 0.0
    assert (gated.low, gated.high, gated.keys) == (-1.0, 1.0, ("verdict",))


def test_a_gate_that_cannot_be_read_masks() -> None:
    result = pearl(veri_r1(), SEEN).score(judgement(), CLAIM)
    assert result.score is None and result.error == "gate: no checklist"
    assert pearl(veri_r1(), SEEN).score(judgement(failed="model"), CLAIM).error == "model: gone"


async def test_a_reward_that_asks_a_model_is_gated_by_the_other_door() -> None:
    asks = tool_mattered(None, None)  # type: ignore[arg-type]
    gated = pearl(asks, SEEN)
    with pytest.raises(ConfigError, match="ToolMattered asks a model"):
        gated.score(RIGHT, CLAIM)
    (result,) = await gated.ascore_group([RIGHT], CLAIM)  # nothing was shown, so nobody has to be asked
    assert result.score == 0.0 and result.metrics == {"gate": 1.0}


def test_turn_rewards_go_with_the_reward() -> None:
    trace = judgement(label="SUPPORT", said=("", "{}"), calls=[Call(0)])
    assert tool_tried().score(trace, CLAIM).turn_rewards == (1.0, 0.0)
    assert Gated(tool_tried(), Fixed(0.0), on_fail="zero reward").score(trace, CLAIM).turn_rewards == (0.0, 0.0)


def test_unknown_ways_are_refused() -> None:
    with pytest.raises(ConfigError, match="there is zero advantage, zero reward, drop"):
        Gated(veri_r1(), SEEN, on_fail="ignore")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="part 'label' of its own"):
        Beside(veri_r1(), SEEN, "label")


@pytest.mark.parametrize(
    ("label", "shown", "score"), [("SUPPORT", True, 1.3), ("SUPPORT", False, 1.0), ("REFUTE", True, 0.0)]
)
def test_ver_pays_its_bonus_only_where_right_and_grounded(label: str, shown: bool, score: float) -> None:
    calls = [Call(0, ("a", "b"))] if shown else []
    trace = judgement(label=label, calls=calls, cites=("a", "b"))
    assert ver().score(trace, CLAIM).score == pytest.approx(score)
    assert ver().keys == ("answer", "grounded") and (ver().low, ver().high) == (0.0, 1.3)


def test_artifacts_cost_something_beside_the_reward_or_all_of_it() -> None:
    half = Reads(lambda trace, case: 0.4)
    added, vetoed = artifact(veri_r1(), half, weight=2.0), artifact(veri_r1(), half, mode="veto")
    assert added.score(RIGHT, CLAIM).components["artifact"] == 0.8
    assert added.keys == (*veri_r1().keys, "artifact") and (added.low, added.high) == (0.0, 6.0)
    assert vetoed.score(RIGHT, CLAIM).score == 0.0 < (veri_r1().score(RIGHT, CLAIM).score or 0)


def test_a_judge_of_artifacts_who_says_neither_is_not_paid_in_full() -> None:
    assert artifact_free(math.log(0.8), math.log(0.2)) == pytest.approx(0.2)
    assert artifact_free(0.0, -9999.0) == pytest.approx(0.0)
    for odds in ((None, -1.0), (-1.0, None), (None, None)):
        assert isinstance(artifact_free(*odds), Missing)
