"""A reward manager of verl that shows the prompt to the score function, and brings the estimator with it.

    reward.reward_manager.source=importlib
    reward.reward_manager.name=JudgeRewardManager
    reward.reward_manager.module.path=pkg://agentjudge.rewards.adapters.verl_manager
    reward.custom_reward_function.path=pkg://agentjudge.rewards.adapters.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.url=http://127.0.0.1:8010
    algorithm.adv_estimator=agentjudge_grpo

Importing this module needs verl. The trainer's own process imports it too, to find the class, so that the estimator is
known where advantages are computed. No score is NaN, as `agentjudge.rewards.adapters.verl` says.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from agentjudge.rewards.adapters.scoring import engine
from agentjudge.rewards.adapters.verl_estimator import register_estimator

if TYPE_CHECKING:
    NaiveRewardManager = Any
else:
    NaiveRewardManager = engine("verl.experimental.reward_loop.reward_manager.naive").NaiveRewardManager

register_estimator()


class JudgeRewardManager(NaiveRewardManager):  # type: ignore[misc]  # verl has no types
    """The naive manager, with `raw_prompt` as `prompt` in `extra_info`; data need no source nor ground truth."""

    async def run_single(self, data: Any) -> dict[str, Any]:
        """The reward of the last sequence of one rollout: `reward_score`, `reward_extra_info`."""
        last = data[-1:]
        given = last.non_tensor_batch
        info = dict(given["extra_info"][0] or {}) if "extra_info" in given else {}
        if "raw_prompt" in given:
            info["prompt"] = list(given["raw_prompt"][0])
        given["extra_info"] = _only(info)
        given.setdefault("data_source", _only(""))
        given.setdefault("reward_model", _only({"ground_truth": None}))
        scored: dict[str, Any] = await super().run_single(last)
        return scored


def _only(value: Any) -> Any:
    """An array of one object, as verl keeps what is no tensor."""
    array = np.empty(1, dtype=object)
    array[0] = value
    return array
