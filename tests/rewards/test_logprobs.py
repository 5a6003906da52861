"""Spreads from few log-probabilities are lower bounds; tables answer what was recorded, and nothing else."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scorers import Letters

from agentjudge.errors import DataError, ModelError
from agentjudge.rewards.logprobs import checked, spread_of
from agentjudge.rewards.logprobs_table import Recording, Table


def test_a_model_without_an_idea_is_at_zero_both_ways() -> None:
    assert spread_of([math.log(1 / 8)] * 8, 8) == pytest.approx((0.0, 0.0, True))


def test_the_two_directions_of_a_known_guess() -> None:
    p = np.array([0.7, 0.2, 0.1])
    spread = spread_of(np.log(p).tolist(), 3)
    assert spread.from_uniform == pytest.approx(np.sum(1 / 3 * np.log((1 / 3) / p)))
    assert spread.to_uniform == pytest.approx(np.sum(p * np.log(p / (1 / 3))))
    assert spread.exact


@given(st.lists(st.floats(-12, 12), min_size=2, max_size=40), st.integers(1, 39))
def test_a_few_of_the_most_likely_tokens_give_a_lower_bound(logits: list[float], k: int) -> None:
    logprobs = np.sort(np.array(logits) - np.logaddexp.reduce(logits))[::-1].tolist()
    whole, part = spread_of(logprobs, len(logprobs)), spread_of(logprobs[: min(k, len(logprobs) - 1)], len(logprobs))
    assert whole.exact and not part.exact
    assert part.from_uniform <= whole.from_uniform + 1e-9 and part.to_uniform <= whole.to_uniform + 1e-9


def test_twenty_tokens_tell_a_seventh_of_self_certainty_and_most_of_the_other_direction() -> None:
    logits = np.random.default_rng(0).normal(0, 4, 5000)
    logprobs = np.sort(logits - np.logaddexp.reduce(logits))[::-1].tolist()
    whole, part = spread_of(logprobs, 5000), spread_of(logprobs[:20], 5000)
    assert part.from_uniform < 0.15 * whole.from_uniform
    assert part.to_uniform > 0.7 * whole.to_uniform


@pytest.mark.parametrize(("logprobs", "vocabulary"), [([], 5), ([-1.0, -1.0], 1)])
def test_what_is_no_guess(logprobs: list[float], vocabulary: int) -> None:
    with pytest.raises(DataError, match="log-probabilities of a vocabulary"):
        spread_of(logprobs, vocabulary)


def test_something_has_to_come_before_a_token() -> None:
    with pytest.raises(DataError, match="at least one token before"):
        checked(())


async def test_a_table_answers_what_was_recorded(tmp_path: Path) -> None:
    recording, prefix = Recording(Letters()), [97, 98]
    ids = await recording.encode("ab")
    tokens, spreads = await recording.score(prefix, ids), await recording.spreads(prefix, ids)
    recording.table.save(tmp_path / "table.jsonl")
    table = Table.load(tmp_path / "table.jsonl")
    assert await table.encode("ab") == ids
    assert await table.score(prefix, ids) == tokens and await table.spreads(prefix, ids) == spreads
    for asked in (table.score([97], ids), table.spreads(prefix, [1]), table.encode("b")):
        with pytest.raises(ModelError, match="the table has no"):
            await asked
    with pytest.raises(DataError, match="at least one token"):
        await table.score([], ids)


@pytest.mark.parametrize("text", ["{", '{"prefix": [1]}\n', '{"ids": [1], "tokens": [[1]]}\n'])
def test_what_is_no_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad").write_text(text)
    for path in (tmp_path / "bad", tmp_path / "absent"):
        with pytest.raises(DataError, match="cannot read the table"):
            Table.load(path)
