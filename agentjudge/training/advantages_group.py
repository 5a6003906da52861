"""Advantages by the score alone: GRPO, Dr. GRPO, RLOO, and the negative half of them.

| name | of a rollout with reward r | |
|---|---|---|
| `grpo` | (r - mean) / standard deviation | 2402.03300 |
| `dr-grpo` | r - mean; the loss is then summed and divided by a constant, not by lengths | 2503.20783 |
| `rloo` | r - mean of the others = n / (n - 1) x (r - mean) | 2402.14740 |
| `negative-only` | one of these, positive ones set to 0 or made less | 2510.04028 |

Where rewards are graded, the standard deviation weighs a group of small differences as much as one of large ones, and
rewards that are calibrated to be worth 0 to a policy without an idea (`evidence_first`) keep that only without it.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.schedules import Schedule
from agentjudge.training.advantages import FLAT, Estimator, Group, Worth, normal


@register("training", "grpo", paper="2402.03300")
@dataclass(frozen=True, slots=True)
class GRPO(Estimator):
    """GRPO: the reward less the group's mean, by its standard deviation."""

    name: ClassVar = "grpo"

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`."""
        return Worth(normal(group.scores))


@register("training", "dr-grpo", paper="2503.20783")
@dataclass(frozen=True, slots=True)
class DrGRPO(Estimator):
    """Dr. GRPO: the reward less the group's mean."""

    name: ClassVar = "dr-grpo"

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`."""
        scores = group.scores
        return Worth(None if scores.std(ddof=1) <= FLAT else scores - scores.mean())


@register("training", "rloo", paper="2402.14740")
@dataclass(frozen=True, slots=True)
class RLOO(Estimator):
    """RLOO: the reward less the mean of the others."""

    name: ClassVar = "rloo"

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`."""
        scores = group.scores
        others = (scores.sum() - scores) / (len(scores) - 1)
        return Worth(None if scores.std(ddof=1) <= FLAT else scores - others)


@register("training", "negative-only", paper="2510.04028")
@dataclass(frozen=True, slots=True)
class NegativeOnly(Estimator):
    """GRPO-N: only what did worse than its group is learned from, so that the policy goes on exploring.

    The paper's two stages are a schedule: with `Ramp(300, 0)` positive advantages count in full at the first step and
    not at all from step 300 on.
    """

    base: GRPO | DrGRPO | RLOO = field(default_factory=GRPO)
    positive: float = 0.0
    """What is left of a positive advantage, 0 to 1."""
    schedule: Schedule | None = None
    """Of `positive`, by step; see `at`."""
    name: ClassVar = "negative-only"

    def __post_init__(self) -> None:
        if not 0 <= self.positive <= 1:
            raise ConfigError(f"what is left of a positive advantage lies from 0 to 1, not at {self.positive!r}")

    def at(self, step: int) -> Self:
        """The estimator as it is at this step of the training; itself without a schedule."""
        return self if self.schedule is None else replace(self, positive=self.schedule(step))

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`."""
        values = self.base.of_group(group).rollouts
        return Worth(None if values is None else np.where(values > 0, self.positive * values, values))
