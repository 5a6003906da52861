"""LaRe: a decoder fitted to outcomes, and an outcome spread over turns by it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, Call, judgement

from agentjudge.errors import DataError
from agentjudge.rewards.credit import FACTORS, Decomposition, factors_of, fit, lare
from agentjudge.rewards.evidence_first import evidence_first
from agentjudge.rewards.veri_r1 import veri_r1

ROWS = st.lists(st.tuples(*[st.floats(-2, 2)] * 2), min_size=1, max_size=6)


def test_the_declared_factors() -> None:
    calls = [Call(0, ("a", "x")), Call(1, ("x",)), Call(1, status="failed"), Call(2, ("b",))]
    trace = judgement(label="SUPPORT", said=("", "", "", "{}"), calls=calls, opening=("o",))
    assert len(FACTORS) == 5
    assert factors_of(trace, CLAIM) == [
        (0.5, 1.0, 1.0, 0.0, 0.0),
        (0.0, 0.0, 2.0, 1.0, 0.0),
        (0.5, 1.0, 1.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.0, 1.0),
    ]


def test_what_made_the_outcomes_is_found_again() -> None:
    chance = np.random.default_rng(0)
    factors = [chance.normal(size=(chance.integers(1, 6), 3)) for _ in range(200)]
    truth = np.array([1.5, -0.5, 0.0])
    outcomes = [float((rows @ truth + 0.25).sum()) for rows in factors]
    model = fit(factors, outcomes, ridge=1e-9)
    assert model.weights == pytest.approx(truth, abs=1e-5) and model.intercept == pytest.approx(0.25, abs=1e-5)
    assert sum(model.decode(factors[0])) == pytest.approx(outcomes[0], abs=1e-4)
    held = fit(factors, outcomes, ridge=10.0)
    assert np.abs(held.weights).sum() < 0.5 * np.abs(model.weights).sum()


@given(ROWS, st.floats(-5, 5))
def test_shares_sum_to_the_outcome_whatever_a_turn_looks_like(rows: list[tuple[float, ...]], outcome: float) -> None:
    model = Decomposition((0.7, -1.2), 0.1)
    shares = model.spread(outcome, rows)
    assert sum(shares) == pytest.approx(outcome, abs=1e-9)
    decoded = model.decode(rows)
    assert [s - d for s, d in zip(shares, decoded, strict=True)] == pytest.approx([shares[0] - decoded[0]] * len(rows))


def test_the_reward_is_the_outcomes_and_its_turns_get_their_shares() -> None:
    group = [
        judgement(label="SUPPORT", said=("", "", "{}"), calls=[Call(0, ("x",)), Call(1, ("a", "b"))], cites=("a", "b")),
        judgement(label="REFUTE", said=("", "{}"), calls=[Call(0, status="failed")]),
        judgement(label="SUPPORT", said=("", "{}"), calls=[Call(0, ("a",))], cites=("a",)),
    ]
    scores = [veri_r1().score(trace, CLAIM).score or 0.0 for trace in group]
    reward = lare(fit([factors_of(trace, CLAIM) for trace in group], scores))
    result = reward.score(group[0], CLAIM)
    assert result.components == veri_r1().score(group[0], CLAIM).components
    assert sum(result.turn_rewards) == pytest.approx(4.0) and result.turn_rewards[1] > result.turn_rewards[0]
    assert (reward.keys, reward.low, reward.high) == (veri_r1().keys, 0.0, 4.0)
    assert reward.score(judgement(failed="model"), CLAIM).score is None
    other = lare(reward.model, outcome=evidence_first()).score(group[0], CLAIM)
    assert sum(other.turn_rewards) == pytest.approx(other.score)


def test_what_cannot_be_fitted() -> None:
    for factors, outcomes in (([], []), ([[]], [1.0]), ([[(1.0,)], [(1.0, 2.0)]], [0.0, 1.0]), ([[(1.0,)]], [])):
        with pytest.raises(DataError):
            fit(factors, outcomes)
    with pytest.raises(DataError, match="fitted to 2 factors"):
        Decomposition((1.0, 2.0), 0.0).decode([(1.0,)])
