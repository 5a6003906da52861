"""P2S: steps that lead towards a known chain, where nobody in the group knows the answer."""

from typing import Any

import pytest
from judgements import CLAIM, judgement, verdict_text
from scorers import Letters, spelled

from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.p2s import P2S, PathFaithfulness, chain_of, p2s, weights
from agentjudge.rewards.reading import Fixed, Missing
from agentjudge.trace import Trace

CHAIN = ("Everest has a height.", "The height is 8849 m.")
CASE = CLAIM.model_copy(update={"metadata": {"chain": CHAIN}})


def judged(step: str, label: str = "REFUTE", *, last: str | None = None) -> Trace:
    """One step, then a verdict."""
    said = (step, last or verdict_text(label=label))
    return spelled(judgement(CASE, label=label, said=said), ["Q? ", f"Q? {step} Now: "])


async def test_where_nobody_is_right_the_better_path_earns_more() -> None:
    near, far, malformed = judged(" ".join(CHAIN)), judged("zqzqzqzq"), judged("x", last="zq")
    malformed.verdict = judgement(CASE, failed="parse").verdict
    reward = p2s(Letters(), bound=100.0)
    results = await reward.ascore_group([near, far, malformed], CASE)
    assert results[0].score > results[1].score > -1.0 == results[2].score  # type: ignore[operator]
    assert results[0].components["answer"] == 0.0 and sum(results[0].turn_rewards) == pytest.approx(results[0].score)
    assert all(-1 <= (r.score or 0) <= 1 for r in results)


async def test_where_somebody_is_right_the_answer_decides_alone() -> None:
    results = await p2s(Letters()).ascore_group([judged(CHAIN[0]), judged("zq", "SUPPORT")], CASE)
    assert [r.components for r in results] == [
        {"format": 0.0, "answer": 0.0, "path": 0.0},
        {"format": 0.0, "answer": 1.0, "path": 0.0},
    ]


async def test_the_formula() -> None:
    scorer, trace = Letters(), judged("Everest has a height.")
    found = await PathFaithfulness(scorer, steepness=0.0, bound=1000.0).read(trace, CASE)

    async def logp(prefix: str, text: str) -> float:
        return sum(t.logprob for t in await scorer.score([ord(c) for c in prefix], [ord(c) for c in text]))

    suffixes = ["\n".join(CHAIN), CHAIN[1]]
    step = max([await logp("Q? Everest has a height.", s) - await logp("Q? ", s) for s in suffixes])
    last = await logp('Q? Everest has a height. Now: {"reason": "So it says.", "label": ', '"SUPPORT"')
    assert found == pytest.approx((step / 2000, last / 2000))


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_later_steps_weigh_more(steps: int) -> None:
    shares = weights(steps, 6.0)
    assert sum(shares) == pytest.approx(1.0) and shares == sorted(shares) and len(set(shares)) == steps


async def test_what_it_needs() -> None:
    for chain in (None, (), "x", (1,), ("",)):
        with pytest.raises(DataError, match="must be a list of the steps"):
            chain_of(CLAIM.model_copy(update={"metadata": {"chain": chain}}))
    assert isinstance(await PathFaithfulness(Letters()).read(judgement(CASE, label="SUPPORT"), CASE), Missing)
    wrong: Any = Fixed(2.0)
    with pytest.raises(ConfigError, match="from -1 to 1"):
        P2S(wrong)
