"""SAR: by how much an answer is about its question."""

from math import exp

import pytest
from judgements import CLAIM, judgement, verdict_text
from scorers import Letters, spelled

from agentjudge.rewards.reading import Missing
from agentjudge.rewards.sar import SelfAligned, relative_drop, sar


@pytest.mark.parametrize(
    ("told", "alone", "drop"),
    [(-1.0, -3.0, 1 - exp(-2)), (-2.0, -2.0, 0.0), (-2.5, -2.0, 1 - exp(0.5)), (-50, 0, -1.0)],
)
def test_the_formula(told: float, alone: float, drop: float) -> None:
    assert relative_drop(told, alone) == pytest.approx(drop)
    ppl_told, ppl_alone = exp(-told), exp(-alone)
    assert drop == pytest.approx(max(-1, (ppl_alone - ppl_told) / ppl_alone))


async def test_an_answer_that_takes_up_its_question_earns_more() -> None:
    prompt = 'Answer {"reason": "So it says.", "label": "SUPPORT"} or not. '
    to_the_point = spelled(judgement(label="SUPPORT", said=(verdict_text(label="SUPPORT"),)), [prompt])
    off_it = spelled(judgement(label="SUPPORT", said=("qzqzqzqzqzqzqz",)), [prompt])
    near, far = [await SelfAligned(Letters()).read(trace, CLAIM) for trace in (to_the_point, off_it)]
    assert isinstance(near, float) and isinstance(far, float) and near > 0.3 > far
    result = await sar(Letters()).ascore(to_the_point, CLAIM)
    assert result.components == pytest.approx({"answer": 1.0, "self-aligned": 0.2 * near})
    assert (sar(Letters()).low, sar(Letters()).high) == (-0.2, 1.2)


async def test_what_is_missing() -> None:
    assert isinstance(await SelfAligned(Letters()).read(judgement(label="SUPPORT"), CLAIM), Missing)
    assert isinstance(await SelfAligned(Letters()).read(judgement(label="SUPPORT", said=()), CLAIM), Missing)
    assert await SelfAligned(Letters()).read(spelled(judgement(label="SUPPORT", said=("",)), ["x"]), CLAIM) == 0.0
