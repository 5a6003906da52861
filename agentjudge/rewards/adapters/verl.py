"""Judges and rewards in verl: a score function, a reward manager, and an estimator that leaves masked samples out.

    reward.custom_reward_function.path=pkg://agentjudge.rewards.adapters.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.url=http://127.0.0.1:8010

    compute_score = make_compute_score(judge)       # or in a file of your own, which the path names

verl knows floats alone. A sample without a score is NaN, which nothing takes for a reward: with an estimator of verl's
own the loss becomes NaN. `agentjudge_grpo` is GRPO over the rows that have a score; the others get the advantage 0 and,
as far as the trainer lets an estimator do so (verl's v0 trainer does), a `response_mask` of 0, without which the terms
for KL and entropy would still pull at them. A group with fewer than two scores has the advantage 0 too. `missing` can
be a number instead; then it is a reward like any other. `critic/score/mean` is NaN in steps with a masked row.

The estimator is registered by `register_estimator`, and by `agentjudge.rewards.adapters.verl_manager`, whose reward
manager also shows the prompt to the score function: verl's naive one does not, so that `extra_info` must hold `prompt`.
The score function returns the same keys for every sample, as verl takes those of the first: `score`, `judge_missing` (0
or 1). A failed judge never raises here: an exception would fail the whole group of the prompt.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from agentjudge.errors import require
from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import Scorer, Source, as_scorer, engine, learned

if TYPE_CHECKING:
    import torch

NAN = float("nan")
ESTIMATOR = "agentjudge_grpo"
Info = dict[str, float]
_scorers: dict[str, Scorer] = {}
"""Of this process, by URL."""


def make_compute_score(source: Source, *, missing: float = NAN) -> Callable[..., Awaitable[Info]]:
    """A score function for `reward.custom_reward_function`.

    Args:
        source: who says what a response is worth; columns are those of `extra_info`, and `reference`, which is the
            ground truth where it is a text.
        missing: what stands for no score; see the module.
    """
    return partial(judge_score, as_scorer(source), missing=missing)


async def compute_score(
    data_source: str = "",
    solution_str: str = "",
    ground_truth: Any = None,
    extra_info: Mapping[str, Any] | None = None,
    *,
    url: str,
    missing: float = NAN,
    **others: Any,
) -> Info:
    """The score function of verl for a reward server; `url` and `missing` come from `reward_kwargs`."""
    scorer = _scorers.setdefault(url, as_scorer(url))
    return await judge_score(scorer, data_source, solution_str, ground_truth, extra_info, missing=missing)


async def judge_score(
    scorer: Scorer,
    data_source: str = "",
    solution_str: str = "",
    ground_truth: Any = None,
    extra_info: Mapping[str, Any] | None = None,
    *,
    missing: float = NAN,
    **others: Any,
) -> Info:
    """The score function of verl, with the scorer in front; `others` are addresses of its router, not needed."""
    columns = dict(extra_info or {})
    if isinstance(ground_truth, str):
        columns.setdefault("reference", ground_truth)
    sample = Sample(columns.pop("prompt", ""), solution_str, columns)
    result = (await scorer.score_samples([sample]))[0]
    score = learned(result)
    return {"score": missing if score is None else score, "judge_missing": float(score is None)}


def grpo(
    token_level_rewards: "torch.Tensor",
    response_mask: "torch.Tensor",
    index: Any,
    epsilon: float = 1e-6,
    norm_adv_by_std_in_grpo: bool | None = None,
    config: Any = None,
    **others: Any,
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Advantages and returns by GRPO over the rows that have a score.

    Args:
        token_level_rewards: (rows, tokens); a row with a NaN has no score.
        response_mask: (rows, tokens); rows without a score become 0 in place.
        index: the group of each row.
        epsilon: added to the deviation (of n - 1).
        norm_adv_by_std_in_grpo: whether to divide by it; as in `config` when None.
        config: verl's `algorithm`.
        others: what verl gives to other estimators.

    Returns:
        Twice the advantages, (rows, tokens).
    """
    torch = require("torch", extra="hf")
    scaled = norm_adv_by_std_in_grpo
    if scaled is None:
        scaled = True if config is None else bool(config.get("norm_adv_by_std_in_grpo", True))
    with torch.no_grad():
        scores = token_level_rewards.sum(-1)
        known = ~torch.isnan(scores)
        response_mask[~known] = 0
        advantages = torch.zeros_like(scores)
        for group in dict.fromkeys(index):
            rows = torch.tensor([each == group for each in index], device=scores.device) & known
            if int(rows.sum()) > 1:
                apart = scores[rows] - scores[rows].mean()
                advantages[rows] = apart / (scores[rows].std() + epsilon) if scaled else apart
        spread = advantages.unsqueeze(-1) * response_mask
    return spread, spread


def register_estimator() -> None:
    """Make `agentjudge_grpo` known to the verl of this process; a second time does nothing."""
    engine("verl.trainer.ppo.core_algos").register_adv_est(ESTIMATOR)(grpo)
