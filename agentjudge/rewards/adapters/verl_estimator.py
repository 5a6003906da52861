"""GRPO for verl over the rows that have a score; see `agentjudge.rewards.adapters.verl`.

A row has none where its reward is NaN, or where nothing of it is trained.
"""

from typing import TYPE_CHECKING, Any

from agentjudge.errors import require
from agentjudge.rewards.adapters.scoring import engine

if TYPE_CHECKING:
    import torch

ESTIMATOR = "agentjudge_grpo"


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
        response_mask: (rows, tokens); rows without a score become 0 in place, and a row of zeros has none.
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
        known = ~torch.isnan(scores) & (response_mask > 0).any(-1)
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
