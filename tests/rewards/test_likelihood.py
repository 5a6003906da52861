"""Likelihood of the right answer: the variants' numbers, and a thought that makes it likelier earns more."""

from math import exp, log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, judgement, verdict_text
from scorers import Letters, spelled

from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.likelihood import GroupLikelihood, Likelihood, likelihood, read_off, without_one
from agentjudge.trace import Trace

LOGPROBS = [log(0.5), log(0.25), log(0.8)]


def thinking(reason: str, label: str = "REFUTE") -> Trace:
    said = verdict_text(reason=reason, label=label)
    return spelled(judgement(label=label, said=(said,)), ["Is it so? "])


@pytest.mark.parametrize(
    ("variant", "number"),
    [
        ("logprob", log(0.1)),
        ("average", log(0.1) / 3),
        ("probability", 0.1),
        ("token probability", (0.5 + 0.25 + 0.8) / 3),
    ],
)
def test_the_variants(variant: Any, number: float) -> None:
    assert read_off(LOGPROBS, variant) == pytest.approx(number)


def test_an_impossible_token_ends_at_the_floor() -> None:
    assert read_off([-9999.0, -1.0], "logprob") == -20.0 and read_off([-9999.0], "average", floor=-3.0) == -3.0
    assert read_off([-9999.0], "probability") == 0.0


@given(st.lists(st.floats(1e-8, 1), min_size=1, max_size=8))
def test_what_each_of_a_group_adds(likelihoods: list[float]) -> None:
    added, n = without_one(likelihoods), len(likelihoods)
    for i, each in enumerate(added):
        others = likelihoods[:i] + likelihoods[i + 1 :]
        wanted = log(sum(likelihoods) / n) - log(sum(others) / (n - 1)) if others else 0.0
        assert each == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("variant", ["logprob", "average", "probability", "token probability", "group"])
async def test_a_thought_that_leads_to_the_right_answer_earns_more(variant: Any) -> None:
    reward = likelihood(Letters(), variant)
    group = [thinking('So "SUPPORT" or "SUPPORT" it is'), thinking("zzz"), judgement(failed="model")]
    helped, idle, outage = await reward.ascore_group(group, CLAIM)
    assert helped.score is not None and idle.score is not None and helped.score > idle.score
    assert outage.score is None
    assert all(reward.low <= (r.score or 0) <= reward.high for r in (helped, idle))


async def test_the_policys_own_answer_plays_no_part() -> None:
    reward = likelihood(Letters())
    right, wrong = [await reward.ascore(thinking("So.", label), CLAIM) for label in ("SUPPORT", "REFUTE")]
    assert right.score == wrong.score


async def test_it_is_the_likelihood_at_the_place_of_the_answer() -> None:
    scorer = Letters()
    result = await likelihood(scorer, "logprob", floor=-99.0).ascore(thinking("So."), CLAIM)
    prefix = 'Is it so? {"reason": "So.", "label": '
    tokens = await scorer.score([ord(c) for c in prefix], [ord(c) for c in '"SUPPORT"'])
    assert result.score == pytest.approx(sum(token.logprob for token in tokens))


async def test_an_answer_that_cannot_be_read_earns_the_least() -> None:
    trace = spelled(judgement(failed="parse", said=("Well.",)), ["Is it so? "])
    assert (await likelihood(Letters()).ascore(trace, CLAIM)).score == -20.0
    assert (await likelihood(Letters(), "probability").ascore(trace, CLAIM)).score == 0.0
    assert (await likelihood(Letters(down=True)).ascore(thinking("So."), CLAIM)).score is None


async def test_a_group_is_compared_without_those_who_failed() -> None:
    reward = likelihood(Letters(), "group")
    group = [thinking('"SUPPORT"'), thinking("zzz"), thinking("abc")]
    plain = await reward.ascore_group(group, CLAIM)
    spoilt = await reward.ascore_group([group[0], judgement(failed="tool"), *group[1:]], CLAIM)
    assert [spoilt[0], *spoilt[2:]] == plain


def test_options() -> None:
    assert isinstance(likelihood(Letters(), "group"), GroupLikelihood)
    assert exp(-20) < 1e-8
    with pytest.raises(ConfigError, match="unknown variant 'odds'"):
        likelihood(Letters(), "odds")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="floor"):
        Likelihood(Letters(), floor=0.0)


async def test_gold_is_needed() -> None:
    with pytest.raises(DataError, match="no gold outcome"):
        await likelihood(Letters()).ascore(thinking("So."), CLAIM.blind())
