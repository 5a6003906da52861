"""Schedules: how much of a part is paid at a step of the training, from 0 to 1.

    Part("thinking", term, weight=0.3, schedule=Decay(500))
    reward.at(250)                                    # the part is worth 0.3 * exp(-1/2) now

The step is not known to a judgement, so it is not read off one: whoever trains asks for `reward.at(step)`.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from agentjudge.errors import ConfigError


class Schedule(Protocol):
    """A share, by step."""

    def __call__(self, step: int) -> float:
        """From 0 to 1; steps count from 0."""
        ...


@dataclass(frozen=True, slots=True)
class Decay:
    """exp(-step / steps), the decay of Trust-GRPO (arXiv 2505.17018)."""

    steps: float

    def __post_init__(self) -> None:
        if self.steps <= 0:
            raise ConfigError(f"a decay needs a positive number of steps, not {self.steps!r}")

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        return math.exp(-max(0, step) / self.steps)


@dataclass(frozen=True, slots=True)
class Ramp:
    """From 0 up to 1 between two steps; from 1 down to 0 where the second comes first."""

    empty: int
    """The step until which nothing is paid, or from which on nothing is."""
    full: int
    """The step from which on all is paid, or until which it is."""

    def __post_init__(self) -> None:
        if self.empty == self.full:
            raise ConfigError(f"a ramp needs two different steps, not {self.empty} twice")

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        return min(1.0, max(0.0, (step - self.empty) / (self.full - self.empty)))
