"""What is worth sampling, and what of it is worth learning from. Small pure functions between rollouts and advantages.

    cases = teachable(measured)                          # neither always right nor never
    batch = filled(rounds, wanted=16)                    # groups that tell rollouts apart, until there are enough
    results = without_void(rollouts, results)            # no learning from turns that led to nothing
    best = pick_setting(samples, thresholds)             # B-STaR's temperature and threshold

A policy learns nothing from a case that it always or never gets right: all advantages of such a group are 0. Which
these are is measured, never guessed from the case.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar, get_args

import numpy as np

from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.base import RewardResult, unknown
from agentjudge.training.advantages import FLAT
from agentjudge.training.rollouts import Rollout, void_turns

K = TypeVar("K")
How = Literal["masked", "withheld"]


def teachable(measured: Mapping[K, Sequence[bool]], *, tries: int = 5) -> list[K]:
    """The cases, in order, that are neither always right nor never.

    Args:
        measured: for each case whether each try was right.
        tries: a case with fewer of them is kept, for its rate is not known yet.
    """
    return [case for case, right in measured.items() if len(right) < tries or 0 < sum(right) < len(right)]


class Scored(NamedTuple):
    """A group with its rewards."""

    rollouts: Sequence[Rollout]
    results: Sequence[RewardResult]

    @property
    def tells(self) -> bool:
        """Whether its rewards tell the rollouts apart; those without a score do not count."""
        scores = [result.score for result in self.results if result.score is not None]
        return len(scores) > 1 and float(np.std(scores, ddof=1)) > FLAT


@dataclass(frozen=True, slots=True)
class Filled:
    """A batch of groups that tell."""

    groups: tuple[Scored, ...]
    drawn: int
    """Groups that were sampled for it."""
    rounds: int

    @property
    def kept(self) -> float:
        """Share of the sampled groups that tell; those beyond the batch's size included."""
        return len(self.groups) / self.drawn if self.drawn else 0.0


def filled(rounds: Iterable[Sequence[Scored]], wanted: int, *, most: int = 4) -> Filled:
    """Dynamic sampling (DAPO, arXiv 2503.14476): rounds of groups until enough of them tell rollouts apart.

    Args:
        rounds: drawn one after the other, and no more of them than are needed.
        wanted: groups of the batch.
        most: rounds at most. With fewer groups than wanted by then, or where the rounds are over, the batch is smaller.

    Raises:
        ConfigError: `wanted` or `most` is not positive.
    """
    if wanted < 1 or most < 1:
        raise ConfigError(f"at least 1 group and 1 round, not {wanted} and {most}")
    groups, drawn, count = list[Scored](), 0, 0
    for count, sampled in enumerate(rounds, 1):
        drawn += len(sampled)
        groups += [group for group in sampled if group.tells]
        if len(groups) >= wanted or count == most:
            break
    return Filled(tuple(groups[:wanted]), drawn, count)


def without_void(
    rollouts: Sequence[Rollout], results: Sequence[RewardResult], *, how: How = "masked"
) -> list[RewardResult]:
    """The rewards, with those of rollouts that have a void turn taken out of the learning (SimpleTIR, 2509.02479).

    Args:
        rollouts: those that were rewarded.
        results: one a rollout.
        how: `masked`, as if they had not been sampled; or `withheld`, which keeps them in their group's statistics.

    Raises:
        ConfigError: unknown `how`.
    """
    if how not in get_args(How):
        raise ConfigError(f"void turns are 'masked' or 'withheld', not {how!r}")
    kept = []
    for rollout, result in zip(rollouts, results, strict=True):
        void = void_turns(rollout.trace)
        if not void or result.score is None:
            kept.append(result)
        elif how == "masked":
            kept.append(unknown(f"turn {void[0]} is neither a call nor an answer"))
        else:
            kept.append(result.model_copy(update={"withheld": True}))
    return kept


class Sample(NamedTuple):
    """One answer to one question, for `pick_setting`."""

    text: str
    right: bool
    reward: float


class Setting(NamedTuple):
    """How to sample, and what to keep."""

    temperature: float
    threshold: float
    """Least reward that is kept."""
    balance: float
    """Its balance score, 0 to 1."""


def balance_score(samples: Sequence[Sample], threshold: float, *, wanted: int = 8) -> float:
    """B-STaR's balance score of one question, 0 to 1 (arXiv 2412.17256): min(u / wanted, 1) x u / n.

    n are the samples of at least this reward, u the different right texts among them: enough of them, and few others.
    """
    kept = [sample for sample in samples if sample.reward >= threshold]
    unique = len({sample.text for sample in kept if sample.right})
    return min(unique / wanted, 1.0) * unique / len(kept) if kept else 0.0


@register("training", "b-star", paper="2412.17256")
def pick_setting(
    samples: Mapping[float, Sequence[Sequence[Sample]]], thresholds: Sequence[float], *, wanted: int = 8
) -> Setting:
    """The temperature and the threshold whose balance score over all questions is best; ties go to the first.

    Args:
        samples: for each temperature, for each question of a small set, some answers.
        thresholds: to choose from.
        wanted: right answers a question that are enough.

    Raises:
        ConfigError: nothing to choose from, or a temperature without questions.
    """
    if not samples or not thresholds or not all(samples.values()):
        raise ConfigError("choosing how to sample needs thresholds, and answers at each temperature")
    settings = [
        Setting(temperature, threshold, float(np.mean([balance_score(q, threshold, wanted=wanted) for q in questions])))
        for temperature, questions in samples.items()
        for threshold in thresholds
    ]
    return max(settings, key=lambda setting: setting.balance)
