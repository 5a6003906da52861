"""What becomes of the policy: does it still say different things, at a sensible length, in turns that lead on?"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from agentjudge.registry import register
from agentjudge.training.advantages import FLAT
from agentjudge.training.monitors import Monitor, StepRecord, Trend, mean


@register("training", "entropy", paper="2512.16912")
@dataclass(slots=True)
class Entropy(Monitor):
    """Entropy of the policy, nats a token; wrong when little is left of what it was at first.

    Clipping lowers it even where rewards are at random, so a fall is no sign of learning.
    """

    left: float = 0.2
    """Share of the first record's; ours."""
    _start: float | None = None
    name: ClassVar = "entropy"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`; estimated by the mean surprise of the sampled tokens where no entropy is given."""
        known = [(each.surprise, each.tokens) for each in record.judgements if each.surprise is not None]
        tokens = sum(count for _, count in known)
        sampled = sum(surprise * count for surprise, count in known) / tokens if tokens else None
        found = sampled if record.entropy is None else record.entropy
        if found is None:
            return None
        self.value = found
        if self._start is None:
            self._start = found
        if found >= self.left * self._start:
            return None
        return (
            f"{found:.3g} nats a token are left of {self._start:.3g}: the policy has ceased to explore; raise "
            "clip_high or the temperature, or go back to an earlier checkpoint"
        )


@register("training", "length")
@dataclass(slots=True)
class LengthByOutcome(Monitor):
    """Tokens of wrong judgements by those of right ones; wrong when all grow longer and none the better for it."""

    growth: float = 1.5
    """Of the mean length since the first window; ours."""
    margin: float = 0.02
    """Of accuracy since the first window; ours."""
    window: int = 10
    _tokens: Trend = field(init=False)
    _accuracy: Trend = field(init=False)
    name: ClassVar = "length of wrong by right"

    def __post_init__(self) -> None:
        self._tokens, self._accuracy = Trend(self.window), Trend(self.window)

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`."""
        judged = [each for each in record.judgements if each.right is not None]
        right, wrong = (mean([each.tokens for each in judged if each.right is r]) for r in (True, False))
        if right and wrong is not None:
            self.value = wrong / right
        tokens, accuracy = mean([each.tokens for each in judged]), record.accuracy
        if tokens is None or accuracy is None:
            return None
        self._tokens.add(tokens)
        self._accuracy.add(accuracy)
        length, share, short, before = self._tokens.now, self._accuracy.now, self._tokens.first, self._accuracy.first
        assert length is not None and share is not None  # one was just added to each
        if short is None or before is None or length <= self.growth * short or share > before + self.margin:
            return None
        return (
            f"judgements have grown from {short:.0f} to {length:.0f} tokens, and are no more often right: "
            "look for what the reward pays by length, and average the loss over tokens"
        )


@register("training", "class-collapse")
@dataclass(slots=True)
class ClassCollapse(Monitor):
    """Share of the commonest label among the answers; wrong when it is nearly all, and not so among the right labels.

    A weak reader is paid best by one label for everything unless the reward is calibrated; that ended a first run of
    ours at NOT ENOUGH INFO for all claims, with a rising reward.
    """

    most: float = 0.9
    balanced: float = 0.6
    """Share of a label among gold from which on saying it all the time is no collapse; ours."""
    name: ClassVar = "commonest answer"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`; judgements without a label, and cases without a gold label, say nothing."""
        labelled = [each for each in record.judgements if each.answer and each.gold]
        if not labelled:
            return None
        label, count = Counter(each.answer for each in labelled).most_common(1)[0]
        self.value = count / len(labelled)
        due = sum(each.gold == label for each in labelled) / len(labelled)
        if self.value <= self.most or due >= self.balanced:
            return None
        return (
            f"{self.value:.0%} of the answers are {label!r}, which is right for {due:.0%} of the cases: stop, go "
            "back to a checkpoint before, and pay labels beyond chance (reward `evidence_first`)"
        )


@register("training", "lost-class")
@dataclass(slots=True)
class LostClass(Monitor):
    """The least recall of a right label; wrong when one that was found at first is hardly found any more.

    It sees what the share of the commonest answer does not, one label that is given up while the others stay, and
    whatever the reward does meanwhile. Labels that were not found at the beginning either cannot be lost.
    """

    left: float = 0.25
    """Share of the first recall; ours."""
    found: float = 0.1
    """First recall from which on a label counts as found; ours."""
    window: int = 5
    """Steps."""
    least: int = 20
    """Judgements of a label in a window, or its recall is not known; ours."""
    _last: deque[tuple[float | None, dict[str, list[bool]]]] = field(default_factory=deque)
    _first: dict[str, float] = field(default_factory=dict)
    _paid: float | None = None
    name: ClassVar = "least recall"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`; an answer that is missing has not found its label."""
        hits: dict[str, list[bool]] = {}
        for each in record.judgements:
            if each.gold and each.reward is not None:
                hits.setdefault(each.gold, []).append(each.answer == each.gold)
        if not hits:
            return None
        self._last.append((record.reward, hits))
        if len(self._last) < self.window:
            return None
        recalls = self._recalls()
        paid = mean([reward for reward, _ in self._last if reward is not None])
        self._last.popleft()
        if self._paid is None:
            self._paid = paid
        for label, recall in recalls.items():
            self._first.setdefault(label, recall)
        known = {label: recall for label, recall in recalls.items() if self._first[label] >= self.found}
        if not known:
            return None
        worst = min(known, key=lambda label: known[label] / self._first[label])
        self.value = known[worst]
        if self.value >= self.left * self._first[worst]:
            return None
        assert paid is not None and self._paid is not None  # recalls are of judgements with a reward
        return (
            f"{worst!r} is found in {self.value:.0%} of its cases, after {self._first[worst]:.0%}, while the reward "
            f"went from {self._paid:.3g} to {paid:.3g}: stop, go back to a checkpoint before, and see what the reward "
            "pays for the other labels"
        )

    def _recalls(self) -> dict[str, float]:
        """The recall of each label over the window."""
        found: dict[str, list[bool]] = {}
        for _, hits in self._last:
            for label, each in hits.items():
                found.setdefault(label, []).extend(each)
        return {label: sum(each) / len(each) for label, each in sorted(found.items()) if len(each) >= self.least}


@register("training", "tool-collapse")
@dataclass(slots=True)
class ToolCollapse(Monitor):
    """Tool calls a judgement; wrong when little is left of what it was: the judge has ceased to check."""

    left: float = 0.2
    """Share of the first window's; ours."""
    window: int = 5
    _calls: Trend = field(init=False)
    name: ClassVar = "calls"

    def __post_init__(self) -> None:
        self._calls = Trend(self.window)

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`."""
        calls = mean([float(each.calls) for each in record.judgements])
        if calls is None:
            return None
        self.value = calls
        self._calls.add(calls)
        now, first = self._calls.now, self._calls.first
        assert now is not None  # one was just added
        if first is None or now >= self.left * first:
            return None
        return (
            f"{now:.2g} tool calls a judgement are left of {first:.2g}: the judge has ceased to check; lower the "
            "price of a call, or pay for the evidence that is found"
        )


@register("training", "void-turns")
@dataclass(slots=True)
class VoidTurns(Monitor):
    """Share of the turns that are neither a call nor an answer (SimpleTIR)."""

    most: float = 0.05
    """Ours."""
    name: ClassVar = "void turns"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`."""
        turns = sum(each.turns for each in record.judgements)
        if not turns:
            return None
        self.value = sum(each.void for each in record.judgements) / turns
        if self.value <= self.most:
            return None
        return f"{self.value:.1%} of the turns led to nothing: take rollouts that have one out of the learning"


@register("training", "sampler-ratio")
@dataclass(slots=True)
class SamplerRatio(Monitor):
    """Share of the rows that trainer and sampler disagree about: their ratio beyond `bound`, or below its inverse."""

    bound: float = 3.0
    most: float = 0.01
    """Ours."""
    name: ClassVar = "ratios out of bounds"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`."""
        if not record.ratios:
            return None
        ratios = np.asarray(record.ratios, float)
        self.value = float(np.mean((ratios > self.bound) | (ratios < 1 / self.bound) | np.isnan(ratios)))
        if self.value <= self.most:
            return None
        return (
            f"{self.value:.1%} of the rows are over {self.bound:g} times likelier to one of trainer and sampler than "
            "to the other: compare temperatures, truncated sampling and weights"
        )


@register("training", "zero-std")
@dataclass(slots=True)
class ZeroStd(Monitor):
    """Share of the groups whose rewards are all alike, so that nothing can be learned from them."""

    most: float = 0.5
    name: ClassVar = "groups without variance"

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`; groups with fewer than two rewards do not count."""
        groups = [[e.reward for e in group if e.reward is not None] for group in record.groups.values()]
        self.value = mean([float(np.std(rewards, ddof=1) <= FLAT) for rewards in groups if len(rewards) > 1])
        if self.value is None or self.value <= self.most:
            return None
        return f"{self.value:.0%} of the groups teach nothing: sample others, or other cases"
