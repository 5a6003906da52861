"""slime's hooks, on samples of its shape; the package itself is on no registry."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.errors import ModelError
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rewards.adapters.slime import make_custom_rm, post_process_rewards

ARGS = SimpleNamespace(n_samples_per_prompt=3, grpo_std_normalization=True, reward_key=None)


@dataclass
class Sample:
    """The fields of slime's `Sample` that are read or set here."""

    prompt: Any
    response: str
    label: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    reward: float | None = None
    remove_sample: bool = False

    def get_reward_value(self, args: Any) -> Any:
        return self.reward


@pytest.fixture
def judge() -> Iterator[Judge]:
    seen: list[str] = []

    def third(request: Request) -> str:
        seen.append(request.case.id)
        if len(seen) % 3 == 0:
            raise ModelError("away")
        score = len(getattr(request.case, "response", "")) / 100
        criteria = [{"name": "length", "reason": "So long.", "score": score}]
        return json.dumps({"criteria": criteria, "reason": "So.", "evidence": [], "score": score})

    with Judge.load("compare", model=ScriptedModel(third)) as loaded:
        yield loaded


async def test_one_sample(judge: Judge) -> None:
    custom_rm = make_custom_rm(judge)
    samples = [Sample([{"role": "user", "content": "Say."}], "x" * 10 * n, "It is so.") for n in (1, 2, 3)]
    rewards = [await custom_rm(ARGS, sample) for sample in samples]
    assert rewards == [0.1, 0.2, 0.0]
    assert [sample.remove_sample for sample in samples] == [False, False, True]
    assert [sample.metadata["judge_missing"] for sample in samples] == [False, False, True]


async def test_a_group_keeps_its_baseline(judge: Judge) -> None:
    samples = [Sample("Say.", "x" * 10 * n) for n in (1, 2, 3)]
    rewards = await make_custom_rm(judge)(ARGS, samples, evaluation=False)
    gone = [sample.remove_sample for sample in samples]
    assert sum(gone) == 1
    known = [reward for reward, masked in zip(rewards, gone, strict=True) if not masked]
    assert rewards[gone.index(True)] == pytest.approx(sum(known) / 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=3, max_size=3))
def test_normalisation_is_that_of_the_rows_with_a_score(rows: list[tuple[float, bool]]) -> None:
    samples = [Sample("?", "!", reward=r, metadata={"judge_missing": gone}) for r, gone in rows]
    raw, normal = post_process_rewards(ARGS, samples)
    assert raw == [r for r, _ in rows]
    assert sum(normal) == pytest.approx(0, abs=1e-6)
    assert all(n == 0 for n, (_, gone) in zip(normal, rows, strict=True) if gone)
    if sum(not gone for _, gone in rows) < 2:
        assert normal == [0.0] * 3


def test_by_hand() -> None:
    rewards, gone = (1.0, 0.0, 9.0, 0.5, 0.5, 0.5), (0, 0, 1, 0, 0, 0)
    samples = [
        Sample("?", "!", reward=r, metadata={"judge_missing": bool(g)}) for r, g in zip(rewards, gone, strict=True)
    ]
    _, normal = post_process_rewards(ARGS, samples)
    assert normal == pytest.approx([2**-0.5, -(2**-0.5), 0, 0, 0, 0], abs=1e-4)
    plain = SimpleNamespace(n_samples_per_prompt=3, grpo_std_normalization=False)
    assert post_process_rewards(plain, samples)[1] == [0.5, -0.5, 0, 0, 0, 0]
