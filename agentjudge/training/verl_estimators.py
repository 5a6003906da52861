"""Our estimators of advantages in verl, turns told apart where they do: `algorithm.adv_estimator=agentjudge_mt-grpo`.

    actor_rollout_ref.model.external_lib=agentjudge.training.verl_loop      # brings them into every process of verl
    algorithm.adv_estimator=agentjudge_mt-grpo

verl's trainer gives an estimator three things: rewards of tokens, the mask, and which rows are of one prompt. Neither
`extra_fields` nor other columns get there. So a judgement's turns are read from these:

- a turn is a run of trained tokens, for between two turns there is always something that the judge was told;
- what it earned stands at its first token, the outcome at the last token (`verl_rows.token_rewards`);
- every turn but the last is taken for one that called a tool;
- a row whose reward is NaN, or of which nothing is trained, has no score: it counts in no group, its advantage is 0.

`agentjudge_X` is the estimator X of `agentjudge.training.advantages`. There are those that need no more than that:
`dr-grpo`, `rloo`, `negative-only`, and by turns `mt-grpo` and `lare`. `agentjudge_grpo` is
`agentjudge.rewards.adapters.verl_estimator`. KL in the reward (`algorithm.use_kl_in_reward`) would stand at the very
tokens that turns are paid at, so those by turns refuse it; KL in the loss is as good.

Importing this does no more than it says where verl is not there already.
"""

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from agentjudge.case import Claim
from agentjudge.errors import ConfigError, require
from agentjudge.rewards.adapters.scoring import engine
from agentjudge.rewards.adapters.verl_estimator import ESTIMATOR, register_estimator
from agentjudge.rewards.base import RewardResult, of_parts, unknown
from agentjudge.trace import ToolEvent, Trace, Turn
from agentjudge.training.advantages import Array, estimate
from agentjudge.training.rollouts import Rollout
from agentjudge.verdict import Provenance, Verdict

if TYPE_CHECKING:
    import torch

PREFIX = "agentjudge_"
BY_ROLLOUT = ("dr-grpo", "rloo", "negative-only")
BY_TURN = ("mt-grpo", "lare")
NAMES = (ESTIMATOR, *(PREFIX + name for name in (*BY_ROLLOUT, *BY_TURN)))


def by_turn(name: str) -> bool:
    """Whether verl's estimator of this name tells turns apart."""
    return name.removeprefix(PREFIX) in BY_TURN and name.startswith(PREFIX)


def advantages(name: str, rewards: Array, mask: Array, index: Any) -> Array:
    """The advantages of tokens by one of our estimators.

    Args:
        name: of the estimator, without the prefix.
        rewards: shape [rows, tokens].
        mask: shape [rows, tokens], 1 where a token is trained.
        index: the group of each row.

    Returns:
        Shape [rows, tokens]; 0 where nothing is trained.
    """
    runs = [_runs(row) for row in mask]
    rollouts = [Rollout(str(n), str(group), _trace(len(runs[n]))) for n, group in enumerate(index)]
    results = [_result(rewards[n], turns) for n, turns in enumerate(runs)]
    found = estimate(name, rollouts, results)
    tokens = np.zeros_like(rewards)
    for n, turns in enumerate(runs):
        for turn, (start, end) in enumerate(turns):
            tokens[n, start:end] = found.of_turn(n, turn)
    return tokens


def _runs(mask: Array) -> list[tuple[int, int]]:
    """Where the trained tokens of each turn begin and end."""
    edges = np.flatnonzero(np.diff((mask > 0).astype(int), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _result(rewards: Array, turns: list[tuple[int, int]]) -> RewardResult:
    score = float(rewards.sum())
    if not turns or np.isnan(score):
        return unknown("no score" if turns else "nothing is trained")
    paid = [float(rewards[start]) for start, _ in turns]
    start, end = turns[-1]
    if end - start == 1:
        paid[-1] = 0.0  # what stands there is the outcome
    outcome = score - sum(paid)
    if abs(outcome) < 1e-6 * max(1.0, *map(abs, paid)):  # what 32 bits left of nothing
        outcome = 0.0
    return of_parts({"outcome": outcome, "turns": sum(paid)}, turn_rewards=tuple(paid))


@cache
def _trace(turns: int) -> Trace:
    """All that is known here of a judgement: how many turns it had."""
    case = Claim(id="verl", claim="?")
    called = [ToolEvent(str(turn), "", {}, "ok", turn=turn) for turn in range(turns - 1)]
    verdict = Verdict(case_id="verl", status="abstained", provenance=Provenance(judge="verl"))
    return Trace(case, "verl", [], [Turn({}) for _ in range(turns)], called, (), verdict)


def _estimator(name: str) -> Any:
    """What verl calls for one of our estimators."""

    def estimated(
        token_level_rewards: "torch.Tensor", response_mask: "torch.Tensor", index: Any, config: Any = None, **_: Any
    ) -> "tuple[torch.Tensor, torch.Tensor]":
        if name in BY_TURN and config is not None and config.get("use_kl_in_reward", False):
            raise ConfigError(f"{PREFIX}{name} reads rewards of turns: set algorithm.use_kl_in_reward=False")
        torch = require("torch", extra="hf")
        rewards, mask = (each.detach().cpu().double().numpy() for each in (token_level_rewards, response_mask))
        found = torch.as_tensor(advantages(name, rewards, mask, index))
        spread = found.to(device=token_level_rewards.device, dtype=token_level_rewards.dtype)
        gone = torch.isnan(token_level_rewards.sum(-1))
        response_mask[gone] = 0
        return spread, spread

    return estimated


@cache
def register_estimators() -> None:
    """Make our estimators known to the verl of this process; a second time does nothing."""
    register_estimator()
    algorithms = engine("verl.trainer.ppo.core_algos")
    for name in (*BY_ROLLOUT, *BY_TURN):
        algorithms.register_adv_est(PREFIX + name)(_estimator(name))


if "verl" in sys.modules:  # verl itself has imported this
    register_estimators()
