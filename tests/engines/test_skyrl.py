"""SkyRL's gym with our environment, and the masking of what its generators make."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("skyrl_gym", reason="needs .venv-skyrl: make test-engines")

import skyrl_gym
from skyrl_gym.envs import registration
from skyrl_gym.envs.base_text_env import BaseTextEnv
from skyrl_gym.metrics import default_aggregate_metrics

from agentjudge.judge import Judge
from agentjudge.rewards.adapters.skyrl import make_env, mask_unscored

pytestmark = pytest.mark.engines

PROMPT = [{"role": "user", "content": "Say something."}]


@dataclass(frozen=True)
class TrajectoryID:
    """SkyRL's."""

    instance_id: str
    repetition_id: int


@pytest.fixture
def registered(judge: Judge) -> Any:
    skyrl_gym.register(id="judged", entry_point=make_env(judge))
    yield "judged"
    registration.registry.pop("judged")


def played(env_id: str, answers: list[str]) -> tuple[list[Any], list[Any]]:
    """What SkyRL does with each answer: an environment, its init, one step."""
    steps, metrics = [], []
    for answer in answers:
        env = skyrl_gym.make(env_id, env_config={}, extras={"reward_spec": {"ground_truth": "It is so."}})
        assert isinstance(env, BaseTextEnv)
        prompt, _ = env.init(PROMPT)
        assert prompt == PROMPT
        steps.append(env.step(answer))
        metrics.append(env.get_metrics())
        env.close()
    return steps, metrics


def test_an_environment_of_the_gym(registered: str, flaky: Any) -> None:
    steps, metrics = played(registered, [f"Answer {n}." for n in range(9)])
    assert all(step["done"] and step["observations"] == [] for step in steps)
    gone = [step["metadata"]["judge_missing"] for step in steps]
    assert gone == [False, False, True] * 3
    assert [math.isnan(step["reward"]) for step in steps] == gone
    assert "away" in steps[2]["metadata"]["judge_error"]
    assert default_aggregate_metrics(metrics) == {"judge_missing": pytest.approx(1 / 3)}


async def test_it_steps_inside_of_an_event_loop_too(registered: str) -> None:
    steps, _ = played(registered, ["Once."])  # SkyRL without an executor
    assert steps[0]["reward"] > 0
    (steps, _), (more, _) = await asyncio.gather(
        asyncio.to_thread(played, registered, ["Twice."]), asyncio.to_thread(played, registered, ["Thrice."])
    )
    assert math.isnan(steps[0]["reward"]) + math.isnan(more[0]["reward"]) == 1


def test_what_is_unscored_is_masked(registered: str) -> None:
    steps, _ = played(registered, [f"Answer {n}." for n in range(6)])
    rewards = [step["reward"] for step in steps]
    output: dict[str, Any] = {
        "rewards": [[0.0, 0.0, reward] for reward in rewards],
        "response_ids": [[1, 2, 3]] * 6,
        "loss_masks": [[1, 1, 1]] * 6,
        "trajectory_ids": [TrajectoryID(str(n // 3), n % 3) for n in range(6)],
    }
    masked = mask_unscored(output)
    assert masked["loss_masks"] == ([[1, 1, 1]] * 2 + [[0, 0, 0]]) * 2
    for group in range(2):
        a, b, c = masked["rewards"][3 * group : 3 * group + 3]
        assert c[-1] == pytest.approx((a[-1] + b[-1]) / 2)  # the others' baseline stays where it was
    assert masked["response_ids"] is output["response_ids"] and math.isnan(output["rewards"][2][-1])


def test_all_rows_of_a_trajectory_are_masked_together() -> None:
    ids = [TrajectoryID("p", n // 2) for n in range(6)]
    output = {
        "rewards": [[0.0], [1.0], [0.0], [math.nan], [0.0], [0.0]],
        "loss_masks": [[1]] * 6,
        "trajectory_ids": ids,
        "is_last_step": [False, True] * 3,
    }
    masked = mask_unscored(output)
    assert masked["loss_masks"] == [[1], [1], [0], [0], [1], [1]]
    assert masked["rewards"][3] == [0.5] and masked["rewards"][1] == [1.0]


def test_numbers_a_row_and_no_ids() -> None:
    masked = mask_unscored({"rewards": [0.25, math.nan], "loss_masks": [[1], [1, 1]], "trajectory_ids": None})
    assert masked["rewards"] == [0.25, 0.25] and masked["loss_masks"] == [[1], [0, 0]]
    gone = mask_unscored({"rewards": [math.nan], "loss_masks": [[1]]})
    assert gone["rewards"] == [0.0] and gone["loss_masks"] == [[0]]


def test_a_reward_server_by_its_address(judge: Judge, serve_rewards: Callable[..., str]) -> None:
    env = make_env(serve_rewards(judge))({}, {})
    env.init(PROMPT)
    assert 0 < env.step("Something.")["reward"] <= 1


def test_the_guides_example(
    judge: Judge,
    serve_rewards: Callable[..., str],
    run_block: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_block("skyrl", url=serve_rewards(judge))
    registration.registry.pop("judged")
    assert "'judge_missing': False" in capsys.readouterr().out
