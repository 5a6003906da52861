"""Advantages by the parts of a reward: GDPO, which normalises each part by itself, and PAPO, process among the right.

GDPO (arXiv 2601.05242). A sum of parts is normalised as one number, so that different ways to earn the same sum look
alike, and a part of small scale is drowned by one of large scale. With A_k the advantage of part k in its group alone,

    A = sum over k of w_k A_k, then divided by its standard deviation over the batch

(its mean over the batch is 0 already, since it is in every group).

PAPO (arXiv 2603.26535). The outcome is compared with the whole group, the process with that of right answers alone:

    A = A_outcome + weight x A_process for right answers, A_outcome for wrong ones

so that a good-looking way to a wrong answer earns nothing, and right answers still differ where all are right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.training.advantages import FLAT, Array, Estimator, Group, Need, Worth, normal


@register("training", "gdpo", paper="2601.05242")
@dataclass(frozen=True, slots=True)
class GDPO(Estimator):
    """GDPO: each part of the reward normalised in its group, summed, and scaled over the batch."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """By the names of parts; 1 for those that are not named."""
    name: ClassVar = "gdpo"
    needs: ClassVar[tuple[Need, ...]] = ("parts",)

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`; parts in which all are alike add nothing."""
        names = sorted(group.results[0].components)
        _known(self.name, self.weights, names)
        parts = [(self.weights.get(name, 1.0), normal(_part(group, [name]))) for name in names]
        told = [weight * values for weight, values in parts if values is not None]
        return Worth(np.sum(told, axis=0) if told else None)

    def over_batch(self, values: Array) -> Array:
        """See `Estimator`."""
        deviation = values.std(ddof=1) if len(values) > 1 else 0.0
        return values / deviation if deviation > FLAT else np.zeros_like(values)


@register("training", "papo", paper="2603.26535")
@dataclass(frozen=True, slots=True)
class PAPO(Estimator):
    """PAPO: the outcome against the whole group, the process against that of right answers."""

    process: Sequence[str] = ()
    """Names of the parts that are about how; the other ones are the outcome."""
    right_from: float = 0.5
    """What the outcome of a right answer is at least."""
    weight: float = 1.0
    name: ClassVar = "papo"
    family: ClassVar = "LLM as critic"
    needs: ClassVar[tuple[Need, ...]] = ("parts",)

    def __post_init__(self) -> None:
        if not self.process or isinstance(self.process, str):
            raise ConfigError("PAPO needs the names of the parts that are about how: PAPO(process=['citing'])")

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`."""
        names = sorted(group.results[0].components)
        _known(self.name, self.process, names)
        if not (rest := [name for name in names if name not in self.process]):
            raise ConfigError(f"{self.name!r}: all parts are about how, none about what came out")
        outcomes, process = _part(group, rest), _part(group, self.process)
        right = outcomes >= self.right_from
        values, among = normal(outcomes), normal(process[right])
        if values is None and among is None:
            return Worth(None)
        worth = np.zeros(len(outcomes)) if values is None else values.copy()
        if among is not None:
            worth[right] += self.weight * among
        return Worth(worth)


def _part(group: Group, names: Sequence[str]) -> Array:
    """What some parts contribute together, one number a rollout."""
    return np.array([sum(result.components[name] for name in names) for result in group.results], float)


def _known(estimator: str, wanted: Mapping[str, float] | Sequence[str], names: Sequence[str]) -> None:
    if unknown := [name for name in wanted if name not in names]:
        raise ConfigError(f"{estimator!r}: the reward has no part {unknown[0]!r}; there is {', '.join(names)}")
