"""What the policy can still reach when it is asked often: does training widen it, or only make it surer?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb
from typing import ClassVar

from agentjudge.registry import register
from agentjudge.training.monitors import Monitor, StepRecord, Trend, mean
from agentjudge.training.sampling import Sample, balance_score


def pass_at(k: int, right: Sequence[bool]) -> float | None:
    """The probability that one of `k` answers drawn from these is right (arXiv 2107.03374); None with fewer than k."""
    n, c = len(right), sum(right)
    return None if n < k else 1 - comb(n - c, k) / comb(n, k)


@register("training", "pass-at-k", paper="2510.04028")
@dataclass(slots=True)
class PassAtK(Monitor):
    """pass@k for a large k; wrong when it falls below where it was at first while pass@1 rises.

    That is the first of the paper's two stages: what is likely already is made likelier, and the boundary shrinks.
    """

    k: int = 8
    """At most the size of the groups."""
    margin: float = 0.02
    """Ours."""
    window: int = 5
    """Steps; a single one is too few cases to tell."""
    _one: Trend = field(init=False)
    _many: Trend = field(init=False)
    name: ClassVar = "pass at k"

    def __post_init__(self) -> None:
        self._one, self._many = Trend(self.window), Trend(self.window)

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`."""
        groups = [[bool(e.right) for e in group if e.right is not None] for group in record.groups.values()]
        one = mean([found for group in groups if (found := pass_at(1, group)) is not None])
        many = mean([found for group in groups if (found := pass_at(self.k, group)) is not None])
        if one is None or many is None:
            return None
        self.value = many
        self._one.add(one)
        self._many.add(many)
        one, many, low, high = self._one.now, self._many.now, self._one.first, self._many.first
        assert one is not None and many is not None  # one was just added to each
        if low is None or high is None:
            return None
        risen, fallen = one - low, high - many
        if risen <= self.margin or fallen <= self.margin:
            return None
        return (
            f"pass@1 rose by {risen:.3g} and pass@{self.k} fell by {fallen:.3g}: the policy reaches less than before; "
            "learn from negative advantages alone for a while, or from harder cases"
        )


@register("training", "balance", paper="2412.17256")
@dataclass(slots=True)
class Balance(Monitor):
    """B-STaR's balance score, its mean over the groups: enough different right answers, and few others among the kept.

    Wrong when less than `left` remains of the best window; then temperature and threshold are to be chosen anew
    (`pick_setting`).
    """

    threshold: float = 0.5
    """Least reward of an answer that is kept."""
    wanted: int = 8
    left: float = 0.5
    """Ours."""
    window: int = 5
    """Steps."""
    _recent: Trend = field(init=False)
    _best: float = 0.0
    name: ClassVar = "balance"

    def __post_init__(self) -> None:
        self._recent = Trend(self.window)

    def look(self, record: StepRecord) -> str | None:
        """See `Monitor`."""
        groups = [
            [Sample(e.text, e.right, e.reward) for e in group if e.right is not None and e.reward is not None]
            for group in record.groups.values()
        ]
        self.value = mean([balance_score(group, self.threshold, wanted=self.wanted) for group in groups if group])
        if self.value is None:
            return None
        self._recent.add(self.value)
        now = self._recent.now
        assert now is not None  # one was just added
        self._best = max(self._best, now)
        if now >= self.left * self._best:
            return None
        return f"balance is {now:.3g}, after {self._best:.3g}: choose temperature and threshold anew"
