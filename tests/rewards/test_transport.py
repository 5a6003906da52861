"""Optimal transport: plans held against linear programming, and what finds its place scores higher."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judgements import CLAIM, judgement
from scipy.optimize import linprog

from agentjudge.errors import DataError
from agentjudge.rewards.transport import partial_plan, pisces, quality, semantic, sinkhorn, transported

CHANCE = np.random.default_rng(0)


def exact(cost: np.ndarray, *, mass: float) -> float:
    """The least cost of moving so much of evenly weighted rows to evenly weighted columns."""
    n, m = cost.shape
    rows = [np.repeat(np.eye(n)[i], m) for i in range(n)]
    columns = [np.tile(np.eye(m)[j], n) for j in range(m)]
    found = linprog(
        cost.ravel(), A_ub=[*rows, *columns], b_ub=[1 / n] * n + [1 / m] * m, A_eq=[np.ones(n * m)], b_eq=[mass]
    )
    return float(found.fun)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=12)
def test_plans_have_their_margins_and_nearly_the_least_cost(n: int, m: int, seed: int) -> None:
    cost = np.random.default_rng(seed).random((n, m))
    plan = sinkhorn(cost, np.full(n, 1 / n), np.full(m, 1 / m), epsilon=0.01, steps=1500)
    assert plan.sum(0) == pytest.approx(np.full(m, 1 / m)) and plan.sum(1) == pytest.approx(np.full(n, 1 / n), abs=1e-3)
    assert exact(cost, mass=1.0) - 1e-6 <= (plan * cost).sum() + 1e-3 <= exact(cost, mass=1.0) + 0.05


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=12)
def test_partial_plans_move_their_mass_and_leave_the_dearest(n: int, m: int, seed: int) -> None:
    cost = np.random.default_rng(seed).random((n, m))
    plan = partial_plan(cost, mass=0.7, epsilon=0.01, steps=1500)
    assert plan.sum() == pytest.approx(0.7, abs=5e-3) and plan.sum(1).max() <= 1 / n + 5e-3
    assert (plan * cost).sum() == pytest.approx(exact(cost, mass=0.7), abs=0.05)


def test_texts_come_to_lie_among_the_videos() -> None:
    """Two kinds of videos; texts lie in another place of the space, but in the same arrangement."""
    kinds = np.eye(6)[:2]
    videos = np.repeat(kinds, 20, 0) + 0.05 * CHANCE.normal(size=(40, 6))
    texts = kinds + 2.0 * np.eye(6)[5]
    moved = transported(texts, videos)
    assert np.linalg.norm(moved, axis=1) == pytest.approx(np.ones(2))
    for i in range(2):
        assert quality(moved[i], kinds[i]) > 0.9 > quality(texts[i], kinds[i])
        assert quality(moved[i], kinds[i]) > quality(moved[i], kinds[1 - i])


def test_words_that_are_to_be_seen_score_higher() -> None:
    patches = np.eye(8)
    assert semantic(patches[:4], patches) > 0.95 and semantic(-patches[:4], patches) < 0
    assert semantic(patches[:4], patches[:1]) < 0.3  # one patch is not everything that was asked for
    one_missing = np.vstack([patches[:5], -np.ones((1, 8))])
    assert semantic(one_missing, patches, mass=0.8) > semantic(one_missing, patches, mass=1.0)


def test_a_word_is_sought_where_it_is_seen_on_the_whole() -> None:
    patches = np.vstack([np.eye(4)[0]] * 3 + [np.eye(4)[1]] * 3)
    together, apart = np.array([[0.0]] * 3 + [[1.0]] * 3), np.array([[0.0], [1.0]] * 3)
    tokens = np.eye(4)[:2] + 0.4 * np.eye(4)[[1, 0]]
    assert semantic(tokens, patches, together, place_weight=2.0) >= semantic(tokens, patches, apart, place_weight=2.0)


def test_the_reward() -> None:
    reward = pisces(
        lambda trace, case: (np.ones(3), np.array([1.0, 1.0, 0.0])),
        lambda trace, case: (np.eye(3), np.eye(3), None),
        weights=(0.5, 2.0),
    )
    result = reward.score(judgement(score=1.0), CLAIM)
    assert result.components["quality"] == pytest.approx(0.5 * np.sqrt(2 / 3))
    assert (reward.low, reward.high) == (-2.5, 2.5) and result.score is not None and result.score < 2.5


@pytest.mark.parametrize("bad", [np.zeros(3), np.array([1.0, np.nan, 0.0]), np.array([np.inf, 0.0, 0.0])])
def test_what_is_no_embedding(bad: np.ndarray) -> None:
    with pytest.raises(DataError, match="not finite, or has no direction"):
        quality(bad, np.ones(3))
