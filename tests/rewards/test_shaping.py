"""Clip, Delta and trust: a process reward that nobody can farm."""

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, Call, judgement

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.rewards.reading import Missing, Reads
from agentjudge.rewards.shaping import (
    ClipDelta,
    clip,
    clip_delta,
    clip_then_delta,
    delta,
    sound_turns,
    trust,
)
from agentjudge.trace import Trace

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(SCORES)
def test_what_delta_still_has_to_pay_at_a_step_is_the_score_of_that_step(scores: list[float]) -> None:
    to_go = list(accumulate(reversed(delta(scores))))[::-1]
    assert to_go == pytest.approx(scores)


@given(SCORES, st.floats(0, 1), st.integers(0, 11), st.integers(1, 5))
def test_repeating_a_good_step_never_raises_the_clipped_sum(
    scores: list[float], threshold: float, place: int, times: int
) -> None:
    place %= len(scores)
    longer = scores[:place] + [scores[place]] * times + scores[place:]
    assert sum(clip(longer, threshold)) <= sum(clip(scores, threshold)) + 1e-12
    if scores[place] >= threshold:
        assert sum(clip(longer, threshold)) == pytest.approx(sum(clip(scores, threshold)))


@given(SCORES, st.floats(0, 1), SCORES)
def test_both_together_pay_what_the_first_step_lacks_however_it_goes_on(
    scores: list[float], threshold: float, more: list[float]
) -> None:
    paid = sum(clip_then_delta(scores, threshold))
    assert paid == pytest.approx(min(scores[0] - threshold, 0)) and -threshold - 1e-9 <= paid <= 1e-9
    assert sum(clip_then_delta(scores + more, threshold)) == pytest.approx(paid)


def test_worked_values() -> None:
    assert clip((0.95, 0.2, 0.9), 0.9) == pytest.approx((0.0, -0.7, 0.0))
    assert delta((0.2, 0.9, 0.5)) == pytest.approx((-0.7, 0.4, 0.5))
    assert clip_then_delta((0.95, 0.2, 0.9), 0.9) == pytest.approx((0.7, -0.7, 0.0))


@pytest.mark.parametrize(
    ("right", "wrong", "value"),
    [((0.8,), (0.2, 0.4), 1.0), ((0.2,), (0.6, 0.8), 0.60653066), ((), (0.5,), 1.0), ((0.5,), (), 1.0)],
)
def test_trust(right: tuple[float, ...], wrong: tuple[float, ...], value: float) -> None:
    assert trust(right, wrong) == pytest.approx(value)


def test_a_turn_is_sound_if_all_its_calls_brought_something_new() -> None:
    calls = [
        Call(0, args={"query": "height"}),
        Call(1, args={"query": "Height"}),
        Call(2, args={"query": "x"}),
        Call(2, args={"query": "y"}, status="failed"),
    ]
    trace = judgement(label="SUPPORT", said=("", "", "", "", "{}"), calls=calls)
    assert sound_turns(trace, CLAIM) == (1.0, 0.0, 0.0, 1.0, 1.0)


def test_the_reward() -> None:
    calls = [Call(0, args={"query": "a"}), Call(1, status="bad_args")]
    trace = judgement(label="SUPPORT", said=("", "", "{}"), calls=calls)
    result = clip_delta().score(trace, CLAIM)
    assert result.components == pytest.approx({"answer": 1.0, "process": 0.0})
    assert result.turn_rewards == pytest.approx((0.2 * 0.9, -0.2 * 0.9, 0.0))
    bad = judgement(label="SUPPORT", said=("", "{}"), calls=[Call(0, status="failed")])
    assert clip_delta().score(bad, CLAIM).components["process"] == pytest.approx(-0.18)
    assert (clip_delta().low, clip_delta().high) == pytest.approx((-0.18, 1.0))


async def test_any_process_can_be_shaped_but_an_outcome_cannot() -> None:
    trace = judgement(label="SUPPORT", said=("", "{}"))

    async def later(trace: Trace, case: Case) -> tuple[float, ...]:
        return (0.5, 0.9)

    async def gone(trace: Trace, case: Case) -> Missing:
        return Missing("no model")

    asked: Any = Reads(later, 0.0, 2.0)  # type: ignore[arg-type]
    assert (await clip_delta(asked).ascore(trace, CLAIM)).turn_rewards == pytest.approx((-0.08, 0.0))
    assert (await clip_delta(Reads(gone)).ascore(trace, CLAIM)).score is None  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="number off each turn"):
        ClipDelta(Reads(lambda trace, case: 1.0)).read(trace, CLAIM)
    with pytest.raises(ConfigError, match="below 0.0"):
        ClipDelta(Reads(lambda trace, case: (-0.5, 0.0))).read(trace, CLAIM)
