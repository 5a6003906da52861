"""Advantages of turns, by what a reward pays them: MT-GRPO, and the returns of a score that was spread over turns.

MT-GRPO (arXiv 2505.11821). A turn that calls a tool is told apart by what it earned itself; with O the outcome of a
rollout (its reward less what turns earned) and r_t the reward of its turn t, each normalised over the group, turns by
their number,

    aae    calling turns: A(O) + weight x A(r_t)           other turns: A(O)
    cae    calling turns: A(r_t + weight x O)              other turns: A(O)

The paper has two turns, one call and the answer; each further calling turn is here compared with its like.

`lare` takes rewards of turns that sum to the score, as the reward `lare` decomposes them (arXiv 2412.11120). What turn
t is worth is what was still to come when it began: G_t = r_t + r_(t+1) + ..., less the mean of G_t over the group, by
the standard deviation of the scores. At the first turn that is GRPO's advantage. A turn with a number that no other
rollout of the group has got to is compared with nothing, and has 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.training.advantages import FLAT, Array, Estimator, Granularity, Group, Need, Worth, normal
from agentjudge.training.rollouts import Rollout

Variant = Literal["aae", "cae"]


@register("training", "mt-grpo", paper="2505.11821")
@dataclass(frozen=True, slots=True)
class MTGRPO(Estimator):
    """MT-GRPO: the outcome for all turns, and for turns that call a tool what they earned by it."""

    weight: float = 1.0
    """Of the turn in `aae`, of the outcome in `cae`."""
    variant: Variant = "aae"
    name: ClassVar = "mt-grpo"
    granularity: ClassVar[Granularity] = "turn"
    needs: ClassVar[tuple[Need, ...]] = ("turn rewards",)

    def __post_init__(self) -> None:
        if self.variant not in get_args(Variant):
            raise ConfigError(f"unknown variant {self.variant!r} of MT-GRPO; there is 'aae' and 'cae'")

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`."""
        outcomes, rewards = group.outcomes, group.turn_rewards
        whole = normal(outcomes)
        base = np.zeros(len(outcomes)) if whole is None else whole
        calling = [_calling(rollout) for rollout in group.rollouts]
        if self.variant == "cae":
            rewards = [each + self.weight * outcome for each, outcome in zip(rewards, outcomes, strict=True)]
        beside = by_turn(rewards, calling, normal)
        if whole is None and not any(each.any() for each in beside):
            return Worth(None)
        turns = [np.full(len(each), value) for each, value in zip(rewards, base, strict=True)]
        for mine, told, calls in zip(turns, beside, calling, strict=True):
            mine[calls] = mine[calls] + self.weight * told[calls] if self.variant == "aae" else told[calls]
        return Worth(base, turns)


@register("training", "lare", paper="2412.11120")
@dataclass(frozen=True, slots=True)
class LaRe(Estimator):
    """LaRe: what was still to come when a turn began, of a score that was decomposed over the turns."""

    name: ClassVar = "lare"
    granularity: ClassVar[Granularity] = "turn"
    needs: ClassVar[tuple[Need, ...]] = ("turn rewards that sum to the score",)

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`."""
        if (deviation := group.scores.std(ddof=1)) <= FLAT:
            return Worth(None)
        returns = [np.cumsum(each[::-1])[::-1] for each in group.turn_rewards]
        everywhere = [np.ones(len(each), bool) for each in returns]
        turns = by_turn(returns, everywhere, lambda values: (values - values.mean()) / deviation)
        return Worth(group.scores, turns)


def by_turn(
    values: Sequence[Array], where: Sequence[np.ndarray], compare: Callable[[Array], Array | None]
) -> list[Array]:
    """Numbers of turns compared over rollouts, turns of one number with each other.

    Args:
        values: for each rollout shape [turns].
        where: which turns take part, in the same shapes.
        compare: of at least two numbers; None where nothing tells them apart.

    Returns:
        In the same shapes; 0 where nothing was compared.
    """
    found = [np.zeros(len(each)) for each in values]
    for turn in range(max(map(len, values), default=0)):
        members = [i for i, each in enumerate(where) if turn < len(each) and each[turn]]
        if len(members) < 2:
            continue
        if (compared := compare(np.array([values[i][turn] for i in members]))) is not None:
            for i, value in zip(members, compared, strict=True):
                found[i][turn] = value
    return found


def _calling(rollout: Rollout) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which turns called a tool."""
    called = {event.turn for event in rollout.trace.events}
    return np.array([number in called for number in range(len(rollout.trace.turns))], bool)
