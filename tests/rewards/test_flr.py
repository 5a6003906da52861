"""FLR: pleased or vexed, in nats a token, after the last turn."""

import pytest
from judgements import CLAIM, judgement
from scorers import Letters, spelled

from agentjudge.errors import ConfigError
from agentjudge.rewards.flr import FollowUps, flr
from agentjudge.rewards.reading import Missing

PLEASED, VEXED = ("yes yes", "good good"), ("no no no", "bad")


async def test_the_formula() -> None:
    scorer = Letters()
    trace = spelled(judgement(label="SUPPORT", said=("It is good, yes.",)), ["Q? "])
    found = await FollowUps(scorer, PLEASED, VEXED, "\nuser: ").read(trace, CLAIM)
    prefix = [ord(c) for c in "Q? It is good, yes.\nuser: "]

    async def mean(said: tuple[str, ...]) -> float:
        rows = [await scorer.score(prefix, [ord(c) for c in text]) for text in said]
        return sum(sum(t.logprob for t in row) / len(row) for row in rows) / len(rows)

    assert found == pytest.approx(await mean(PLEASED) - await mean(VEXED)) and found > 0.5  # type: ignore[operator]


async def test_the_reward_and_its_bounds() -> None:
    trace = spelled(judgement(label="SUPPORT", said=("It is bad, no, no.",)), ["Q? "])
    reward = flr(Letters(), pleased=PLEASED, vexed=VEXED, weight=2.0)
    result = await reward.ascore(trace, CLAIM)
    assert result.score is not None and reward.low == -20.0 <= result.score < 0 < reward.high == 20.0
    assert (await flr(Letters()).ascore(trace, CLAIM)).score is not None
    tight = FollowUps(Letters(), PLEASED, VEXED, bound=0.01)
    assert await tight.read(trace, CLAIM) == -0.01
    assert isinstance(await tight.read(judgement(label="SUPPORT"), CLAIM), Missing)
    for wrong in ({"pleased": ()}, {"vexed": ()}, {"bound": 0}):
        with pytest.raises(ConfigError, match="at least one follow-up"):
            FollowUps(Letters(), **wrong)  # type: ignore[arg-type]
