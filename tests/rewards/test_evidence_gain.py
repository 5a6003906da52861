"""Evidence gain: what each call added to the likelihood of the right verdict; it telescopes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, judgement
from scorers import Letters, spelled

from agentjudge.errors import ConfigError
from agentjudge.rewards.evidence_gain import EvidenceGain, evidence_gain
from agentjudge.rewards.reading import Missing
from agentjudge.trace import Trace

OPENING = "Claim: it is so. "
TELLING = 'It is "SUPPORT", "SUPPORT". '


def judged(*results: str, label: str = "SUPPORT") -> Trace:
    """A judgement whose calls showed these texts, one after the other."""
    prompts = [OPENING + "".join(results[:number]) for number in range(len(results) + 1)]
    return spelled(judgement(label=label, said=[""] * len(results) + ["{}"]), prompts)


@given(st.lists(st.text('SUPORT zq"', max_size=12), max_size=5))
async def test_the_gains_sum_to_what_was_gained_in_all(results: list[str]) -> None:
    term, scorer = EvidenceGain(Letters(), floor=-1000.0), Letters()
    gains = await term.read(judged(*results), CLAIM)
    assert isinstance(gains, tuple) and len(gains) == len(results) + 1 and gains[-1] == 0.0

    async def value(prompt: str) -> float:
        ids = [ord(letter) for letter in prompt + '{"label": "']
        return sum(token.logprob for token in await scorer.score(ids, [ord(c) for c in "SUPPORT"]))

    assert sum(gains) == pytest.approx(await value(OPENING + "".join(results)) - await value(OPENING))


async def test_what_tells_gains_and_what_is_known_does_not() -> None:
    telling, nothing, again = await EvidenceGain(Letters()).read(judged(TELLING, ""), CLAIM)  # type: ignore[misc]
    assert telling > 3 and nothing == again == 0.0
    misled = await EvidenceGain(Letters()).read(judged(TELLING, "SQ" * 20), CLAIM)
    assert misled[1] < -0.5  # type: ignore[index]


async def test_the_reward() -> None:
    reward, trace = evidence_gain(Letters(), weight=0.1), judged(TELLING)
    result = await reward.ascore(trace, CLAIM)
    gain = (await EvidenceGain(Letters()).read(trace, CLAIM))[0]  # type: ignore[index]
    assert result.components == pytest.approx({"answer": 1.0, "evidence gain": 0.1 * gain})
    assert result.turn_rewards == pytest.approx((0.1 * gain, 0.0))
    assert (reward.low, reward.high) == (-2.0, 3.0)


async def test_what_cannot_be_told_is_missing() -> None:
    assert isinstance(await EvidenceGain(Letters()).read(judgement(label="SUPPORT"), CLAIM), Missing)
    down = await evidence_gain(Letters(down=True)).ascore(judged(TELLING), CLAIM)
    assert down.score is None and down.error == "evidence gain: model: no server"
    with pytest.raises(ConfigError, match="floor"):
        EvidenceGain(Letters(), floor=1.0)
