"""Confidence as a reward: CRew, self-certainty, and samples that elect an answer by it."""

from math import exp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, judgement, verdict_text
from scorers import Letters, spelled

from agentjudge.errors import ConfigError
from agentjudge.rewards.confidence import AnswerConfidence, SelfCertainty, borda, crew, preference_pairs, self_certainty
from agentjudge.rewards.reading import Missing
from agentjudge.trace import Trace


def judged(prompt: str, label: str = "SUPPORT") -> Trace:
    return spelled(judgement(label=label, said=(verdict_text(label=label),)), [prompt])


async def test_crew_is_the_mean_probability_of_the_answers_tokens() -> None:
    scorer, trace = Letters(), judged("Is it SUPPORT? ")
    found = await AnswerConfidence(scorer).read(trace, CLAIM)
    prefix = [ord(c) for c in 'Is it SUPPORT? {"reason": "So it says.", "label": "']
    tokens = await scorer.score(prefix, [ord(c) for c in "SUPPORT"])
    assert found == pytest.approx(sum(exp(t.logprob) for t in tokens) / 7)
    unsure = await AnswerConfidence(scorer).read(judged("zq"), CLAIM)
    assert found > unsure  # type: ignore[operator]


async def test_crew_needs_no_gold_and_pays_nothing_for_what_cannot_be_read() -> None:
    reward = crew(Letters())
    assert (await reward.ascore(judged("SUPPORT"), CLAIM.blind())).score is not None
    assert (await reward.ascore(judgement(failed="parse"), CLAIM)).score == 0.0
    assert (await crew(Letters(down=True)).ascore(judged("SUPPORT"), CLAIM)).score is None


@pytest.mark.parametrize("direction", ["from uniform", "to uniform"])
async def test_self_certainty_is_the_mean_over_the_tokens_of_the_last_turn(direction: Any) -> None:
    scorer, trace = Letters(), judged("ababab")
    spreads = await scorer.spreads(*[[ord(c) for c in text] for text in ("ababab", verdict_text(label="SUPPORT"))])
    wanted = [s.from_uniform if direction == "from uniform" else s.to_uniform for s in spreads]
    result = await self_certainty(scorer, direction=direction, weight=2.0).ascore(trace, CLAIM)
    assert result.score == pytest.approx(2 * sum(wanted) / len(wanted))
    cut = await SelfCertainty(scorer, direction, most=0.01).read(trace, CLAIM)
    assert cut == pytest.approx(sum(min(0.01, each) for each in wanted) / len(wanted))


async def test_a_model_that_repeats_itself_is_the_surer() -> None:
    said = [spelled(judgement(label="SUPPORT", said=(text,)), ["abc "]) for text in ("abababababab", "azbycxdwevfu")]
    sure, unsure = [await SelfCertainty(Letters()).read(trace, CLAIM) for trace in said]
    assert sure > unsure  # type: ignore[operator]


async def test_what_is_missing_or_wrong() -> None:
    assert isinstance(await SelfCertainty(Letters()).read(judgement(label="SUPPORT"), CLAIM), Missing)
    assert await SelfCertainty(Letters()).read(spelled(judgement(said=("",), score=1), ["x"]), CLAIM) == 0.0
    for wrong in ({"direction": "both"}, {"most": 0.0}):
        with pytest.raises(ConfigError, match="positive bound"):
            SelfCertainty(Letters(), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("power", "elected"),
    [(0.0, "b"), (0.5, "b"), (3.0, "a")],
)
def test_the_surest_decide_the_more_the_higher_the_power(power: float, elected: str) -> None:
    """Votes at p = 3: 64 + 1 of a against 27 + 8 of b; at p = 0 and with one more b: 2 against 3."""
    assert borda([9, 5, 4, 1, 0.5], ["a", "b", "b", None, "b"], power=power) == elected


@given(st.lists(st.tuples(st.floats(0, 9), st.sampled_from(["a", "b", None])), max_size=8))
def test_without_power_it_is_a_majority(samples: list[tuple[float, str | None]]) -> None:
    answers = [answer for _, answer in samples]
    elected = borda([sure for sure, _ in samples], answers, power=0.0)
    counts = {answer: answers.count(answer) for answer in answers if answer is not None}
    assert counts.get(elected, 0) == max(counts.values(), default=0)
    assert (elected is None) == (not counts)


def test_pairs_of_right_and_wrong_by_how_far_confidence_tells_them() -> None:
    pairs = preference_pairs([0.9, 0.2, 0.5, 0.7], [True, False, True, False], most=3)
    assert pairs == [(0, 1), (2, 1), (0, 3)]
    assert preference_pairs([0.9, 0.2], [True, True], most=3) == []
