"""Does the reward still say what is right? Monitors of the signal that is trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from agentjudge.registry import register
from agentjudge.rewards.shaping import trust
from agentjudge.training.monitors import Monitor, StepRecord, Trend, mean


@register("training", "reward-accuracy", paper="2603.08660")
@dataclass(slots=True)
class RewardAccuracy(Monitor):
    """How often the reward agrees with gold, and the step at which it has ceased to (model collapse step).

    Agreement is a reward of at least `right_from` for what is right, and a lower one for what is wrong. Wrong are
    an accuracy below `collapsed`, which the paper takes for the end, and one that falls while the reward rises.
    """

    right_from: float = 0.5
    collapsed: float = 0.01
    window: int = 10
    """Steps; ours."""
    margin: float = 0.02
    """A rise of the reward that counts; ours."""
    fall: float = 0.05
    """A fall of agreement that counts; ours. Chance alone moves the mean of a thousand judgements by half of it."""
    collapse_step: int | None = None
    """The first step below `collapsed`."""
    _rewards: Trend = field(init=False)
    _accuracies: Trend = field(init=False)
    name: ClassVar = "reward accuracy"

    def __post_init__(self) -> None:
        self._rewards, self._accuracies = Trend(self.window), Trend(self.window)

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`."""
        agreed = [
            float((each.reward >= self.right_from) == each.right)
            for each in record.judgements
            if each.reward is not None and each.right is not None
        ]
        if not agreed or (reward := record.reward) is None:
            return None
        self.value = sum(agreed) / len(agreed)
        self._rewards.add(reward)
        self._accuracies.add(self.value)
        if self.value < self.collapsed:
            if self.collapse_step is None:
                self.collapse_step = record.step
            return f"the reward agrees with gold in {self.value:.1%} of the judgements: it has collapsed, so stop here"
        up, down = self._rewards.change, self._accuracies.change
        if up is not None and down is not None and up > self.margin and down < -self.fall:
            return (
                f"the reward rose by {up:.3g} while its agreement with gold fell by {-down:.3g}: it is being hacked; "
                "read what is paid best, and go back to a checkpoint before"
            )
        return None


@register("training", "saturation", paper="2604.18574")
@dataclass(slots=True)
class SaturationGap(Monitor):
    """How far the training's accuracy is above that on held-out cases, and whether both have ceased to rise.

    A policy that generalises has a long phase in which both climb together; a quick plateau is memorising. The paper's
    number for a plateau is not known to us: here it is a rise of less than `margin` from one window to the next.
    """

    window: int = 20
    margin: float = 0.01
    saturated_at: int | None = None
    """The first step of the plateau."""
    _trained: Trend = field(init=False)
    _held: Trend = field(init=False)
    name: ClassVar = "saturation gap"

    def __post_init__(self) -> None:
        self._trained, self._held = Trend(self.window), Trend(self.window)

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`; steps without a held-out accuracy are passed over."""
        trained, held = record.accuracy, record.held_out
        if trained is None or held is None:
            return None
        self._trained.add(trained)
        self._held.add(held)
        now, beside = self._trained.now, self._held.now
        assert now is not None and beside is not None  # one was just added to each
        self.value = now - beside
        rise, held_rise = self._trained.change, self._held.change
        if rise is None or held_rise is None or rise >= self.margin or held_rise >= self.margin:
            return None
        if self.saturated_at is None:
            self.saturated_at = record.step
        return (
            f"neither training ({now:.3g}) nor held-out accuracy ({beside:.3g}) has risen over {self.window} records: "
            "stop, or bring in new or harder cases"
        )


@register("training", "random-control", paper="2512.16912")
@dataclass(slots=True)
class RandomControl(Monitor):
    """How much more was gained than by a reward at random (`noise`), on the same held-out cases.

    Clipping alone sharpens a policy, whatever it is paid for. What a run with the reward `noise` gains as well has not
    been learned from this one.
    """

    control: Mapping[int, float]
    """Held-out accuracy of that run by step, its first step included."""
    margin: float = 0.02
    """By how much more has to be gained; ours."""
    _start: float | None = None
    name: ClassVar = "gain over random"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`; steps that one of the runs has not measured are passed over."""
        if record.held_out is None or record.step not in self.control:
            return None
        if self._start is None:
            self._start = record.held_out
        first = self.control[min(self.control)]
        gained, by_chance = record.held_out - self._start, self.control[record.step] - first
        self.value = gained - by_chance
        if by_chance > self.margin and self.value < self.margin:
            return (
                f"{gained:+.3g} of held-out accuracy, where a reward at random brought {by_chance:+.3g}: do not put "
                "the gain down to this reward"
            )
        return None


@register("training", "trust", paper="2505.17018")
@dataclass(slots=True)
class TrustGamma(Monitor):
    """How far a soft judge is to be trusted: Trust-GRPO's weight, its mean over the groups."""

    low: float = 0.9
    patience: int = 5
    """Steps in a row below `low`; ours."""
    _below: int = 0
    name: ClassVar = "trust"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`; groups without opinions of right and of wrong answers say nothing."""
        weights = []
        for group in record.groups.values():
            right, wrong = ([e.opinion for e in group if e.right is r and e.opinion is not None] for r in (True, False))
            if right and wrong:
                weights.append(trust(right, wrong))
        if not weights:
            return None
        self.value = sum(weights) / len(weights)
        self._below = self._below + 1 if self.value < self.low else 0
        if self._below < self.patience:
            return None
        return (
            f"for {self._below} steps the judge has thought more of wrong answers than of right ones: weigh it by "
            "trust (reward `trust_grpo`), or do without it"
        )


@register("training", "masked")
@dataclass(slots=True)
class Masked(Monitor):
    """Share of the judgements that could not be rewarded: an outage, a timeout, a judge that fails."""

    most: float = 0.02
    name: ClassVar = "masked"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`."""
        self.value = mean([float(each.reward is None) for each in record.judgements])
        if self.value is None or self.value <= self.most:
            return None
        return f"{self.value:.1%} of the judgements have no reward: pause and mend what fails, rather than fill in a 0"
