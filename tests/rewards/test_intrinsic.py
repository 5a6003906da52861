"""Intrinsic rewards: by votes, by recorded log-probabilities, by certainty; and noise to compare them with."""

import math
from dataclasses import replace

import pytest
from judgements import CLAIM, judgement, verdict_text
from scorers import Letters, spelled

from agentjudge.errors import ConfigError
from agentjudge.rewards.base import paid
from agentjudge.rewards.groups import MajorityVote
from agentjudge.rewards.intrinsic import intrinsic, noise
from agentjudge.trace import Trace


def sampled(*logprobs: list[float] | None) -> Trace:
    trace = judgement(label="SUPPORT", said=[""] * len(logprobs))
    return replace(trace, turns=[replace(t, logprobs=p) for t, p in zip(trace.turns, logprobs, strict=True)])


def test_all_sampled_tokens_count_alike() -> None:
    trace = sampled([-1.0, -2.0], [], [-3.0])
    assert intrinsic("trajectory").score(trace, CLAIM.blind()).score == pytest.approx(-2.0)
    assert intrinsic("probability").score(trace, CLAIM.blind()).score == pytest.approx(math.exp(-2))
    assert intrinsic("trajectory").score(sampled([-100.0]), CLAIM).score == -20.0


@pytest.mark.parametrize("logprobs", [([-1.0], None), ([],), ()])
def test_without_log_probabilities_there_is_no_reward(logprobs: tuple[list[float] | None, ...]) -> None:
    result = intrinsic("trajectory").score(sampled(*logprobs), CLAIM)
    assert result.score is None and "log-probabilities" in result.error


async def test_the_family() -> None:
    assert isinstance(intrinsic(), MajorityVote)
    trace = spelled(judgement(label="SUPPORT", said=(verdict_text(label="SUPPORT"),)), ["x"])
    (result,) = await paid(intrinsic("certainty", scorer=Letters()), [trace], CLAIM)
    assert result.score is not None and result.score > 0
    with pytest.raises(ConfigError, match="needs a scorer"):
        intrinsic("certainty")
    with pytest.raises(ConfigError, match="unknown intrinsic reward"):
        intrinsic("luck")  # type: ignore[arg-type]


def test_noise_is_fair_and_the_same_again() -> None:
    traces = [judgement(label="SUPPORT", said=(f"{n}",)) for n in range(600)]
    scores = [noise(0.3).score(trace, CLAIM).score for trace in traces]
    assert scores == [noise(0.3).score(trace, CLAIM).score for trace in traces]
    assert sum(map(bool, scores)) / 600 == pytest.approx(0.3, abs=0.06)
    assert scores != [noise(0.3, seed=1).score(trace, CLAIM).score for trace in traces]
    assert noise(1.0).score(traces[0], CLAIM).score == 1.0 and noise(0.0).score(traces[0], CLAIM).score == 0.0
    assert noise().score(judgement(failed="model"), CLAIM).score is None
    with pytest.raises(ConfigError, match="from 0 to 1"):
        noise(2)


def test_noise_throws_anew_at_each_step() -> None:
    """Nothing that can be said is paid better in the long run; a resumed training pays as the one before."""
    trace = judgement(label="SUPPORT", said=("so",))
    steps = [noise().at(step).score(trace, CLAIM).score for step in range(400)]
    assert 0.4 < sum(map(bool, steps)) / 400 < 0.6
    assert steps[7:] == [noise().at(3).at(step).score(trace, CLAIM).score for step in range(7, 400)]
