"""Watching a training: records of its steps go in, alarms come out. What is watched for is how judges learn to cheat.

    watch = Watch(monitors())
    for step in ...:
        record = StepRecord(step, tuple(seen(r, result, case) for ...), held_out=accuracy)
        for alarm in watch.see(record):
            print(alarm.step, alarm.name, alarm.why)
        log(watch.values)

Each monitor is a small machine without any input but the records: the same records give the same alarms. It raises an
alarm when something becomes wrong, not at each step for which it stays so. Thresholds are fields; where a paper or an
engine has none, they are ours, and said so. An alarm says what to do.

| file | monitors |
|---|---|
| `monitors_reward` | does the reward still say what is right: accuracy and collapse step, saturation, control, trust |
| `monitors_policy` | what becomes of the policy: entropy, lengths, labels, calls, void turns, ratios, dead groups |
| `monitors_reach` | what it can still reach: pass@k, balance |
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from agentjudge.case import Case
from agentjudge.errors import DataError
from agentjudge.rewards.base import RewardResult
from agentjudge.rewards.terms import correct
from agentjudge.training.rollouts import Rollout, void_turns


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is going wrong."""

    step: int
    name: str
    """Of the monitor."""
    value: float
    why: str
    """What is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One judgement of a step, in numbers."""

    group: str
    reward: float | None
    """None where it is masked."""
    right: bool | None = None
    """By gold; None where there is none."""
    answer: str = ""
    """The label that it gave, or another outcome in words; empty for none."""
    gold: str = ""
    """The right label, where gold has one."""
    text: str = ""
    """All that was said, to tell different answers apart."""
    tokens: int = 0
    """Sampled."""
    turns: int = 0
    void: int = 0
    """Turns that led to nothing."""
    calls: int = 0
    """Of tools."""
    surprise: float | None = None
    """Mean of -log p over its sampled tokens, in nats: an estimate of the entropy at temperature 1."""
    opinion: float | None = None
    """What a soft judge thinks of it, 0 to 1."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What is known of one step."""

    step: int
    judgements: tuple[Seen, ...] = ()
    held_out: float | None = None
    """Accuracy on cases that are not trained on, 0 to 1; None at steps at which it was not measured."""
    entropy: float | None = None
    """Of the policy, in nats a token; estimated from what was sampled when None."""
    ratios: tuple[float, ...] = ()
    """For each row the probability of its sampled tokens by the trainer, by that of the sampler."""

    @property
    def groups(self) -> dict[str, list[Seen]]:
        """The judgements by group."""
        found: dict[str, list[Seen]] = {}
        for judgement in self.judgements:
            found.setdefault(judgement.group, []).append(judgement)
        return found

    @property
    def reward(self) -> float | None:
        """The mean reward of what is not masked."""
        return mean([each.reward for each in self.judgements if each.reward is not None])

    @property
    def accuracy(self) -> float | None:
        """The share of the judgements with gold that are right."""
        return mean([float(each.right) for each in self.judgements if each.right is not None])


class Monitor(ABC):
    """One thing to watch. Feed the records in order."""

    name: ClassVar[str]
    value: float | None = None
    """The number that is watched, at the last step at which it was known."""
    alarmed: bool = False
    """Whether it is wrong now."""

    def see(self, record: StepRecord) -> Alarm | None:
        """Take in a step; the alarm where something has become wrong at it."""
        why = self.look(record)
        before, self.alarmed = self.alarmed, why is not None
        if why is None or before:
            return None
        return Alarm(record.step, self.name, 0.0 if self.value is None else self.value, why)

    @abstractmethod
    def look(self, record: StepRecord) -> str | None:
        """Take in a step and set `value`; what is wrong after it, in words, or None."""


@dataclass(slots=True)
class Trend:
    """The mean of a number over the last steps, over those before them, and over the first ones."""

    window: int
    _values: deque[float] = field(default_factory=deque)
    first: float | None = None
    """The mean of the first window; None before it is full."""

    def add(self, value: float) -> None:
        """Take in the next number."""
        self._values.append(value)
        if self.first is None and len(self._values) == self.window:
            self.first = self.now
        if len(self._values) > 2 * self.window:
            self._values.popleft()

    @property
    def change(self) -> float | None:
        """By how much the last window is above the one before it; None before both are full."""
        if len(self._values) < 2 * self.window:
            return None
        values = list(self._values)
        return sum(values[self.window :]) / self.window - sum(values[: self.window]) / self.window

    @property
    def now(self) -> float | None:
        """The mean of the last window, or of as much of it as there is."""
        return mean(list(self._values)[-self.window :])


class Watch:
    """Several monitors as one."""

    def __init__(self, monitors: Sequence[Monitor]) -> None:
        self.monitors = tuple(monitors)
        self.alarms: list[Alarm] = []
        """All that were raised so far."""

    def see(self, record: StepRecord) -> list[Alarm]:
        """Take in a step; the alarms that it raises."""
        found = [alarm for monitor in self.monitors if (alarm := monitor.see(record)) is not None]
        self.alarms += found
        return found

    @property
    def values(self) -> dict[str, float]:
        """The numbers that are watched, for the log."""
        return {m.name: m.value for m in self.monitors if m.value is not None}


def seen(rollout: Rollout, result: RewardResult, case: Case, *, opinion: float | None = None) -> Seen:
    """A judgement in numbers.

    Args:
        rollout: the judgement.
        result: its reward.
        case: with its gold, if it has any.
        opinion: of a soft judge, 0 to 1.
    """
    trace, verdict = rollout.trace, rollout.trace.verdict
    logprobs = [value for turn in trace.turns for value in turn.logprobs or ()]
    outcome = next(
        (o for o in (verdict.label, verdict.preference, verdict.ranking, verdict.score) if o is not None), ""
    )
    return Seen(
        group=rollout.group,
        reward=result.score,
        right=None if result.score is None else _right(rollout, case),
        answer=str(outcome),
        gold=(case.gold.label or "") if case.gold else "",
        text="\n".join(str(turn.message_out.get("content") or "") for turn in trace.turns),
        tokens=sum(len(turn.output_ids or ()) or turn.usage.completion_tokens for turn in trace.turns),
        turns=len(trace.turns),
        void=len(void_turns(trace)),
        calls=len(trace.events),
        surprise=-sum(logprobs) / len(logprobs) if logprobs else None,
        opinion=opinion,
    )


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None


def monitors() -> list[Monitor]:
    """All monitors that need no more than records, with their thresholds."""
    from agentjudge.training import monitors_policy as policy
    from agentjudge.training import monitors_reach as reach
    from agentjudge.training import monitors_reward as reward

    return [
        reward.RewardAccuracy(), reward.SaturationGap(), reward.TrustGamma(), reward.Masked(),
        policy.Entropy(), policy.LengthByOutcome(), policy.ClassCollapse(), policy.LostClass(), policy.ToolCollapse(),
        policy.VoidTurns(), policy.SamplerRatio(), policy.ZeroStd(), reach.PassAtK(), reach.Balance(),
    ]  # fmt: skip


def _right(rollout: Rollout, case: Case) -> bool | None:
    try:
        return correct(rollout.trace.verdict, case)
    except DataError:  # no gold, or none of this kind
        return None
