"""Gates over a whole reward: PEARL's fidelity gate (arXiv 2511.18437), VER's grounded bonus (2510.06077), artifacts.

`Gated` puts a gate before any reward. What happens to a judgement that does not pass is one of three things, which are
easily taken for one another:

| on_fail | its score | the mean of its group | its advantage |
|---|---|---|---|
| `zero advantage` | stays | counts it | 0: nothing is learned from it (`withheld`) |
| `zero reward` | 0, or what it was below 0 | counts that | its own: it is unlearned where others earn |
| `drop` | None | does not know it | none |

PEARL withholds the reasoning update where the perception checklist of the question was failed: `zero advantage`. Its
threshold and its formula are in no published code. VER pays 0.3 more where the answer is right and the reasoning cites
the evidence, and takes nothing away from any other; its term on length is not here. Artifacts of a picture (arXiv
2601.03468) either cost something beside a reward (`add`) or cost the reward (`veto`); the paper's weight is not known
to us.
"""

from dataclasses import dataclass, replace
from math import exp
from typing import Literal, Self, get_args

from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.base import AnyReward, RewardResult, of_parts
from agentjudge.rewards.composite import Composite, Gate, Part
from agentjudge.rewards.over import Over
from agentjudge.rewards.reading import Fixed, Known, Missing, Reading, Term, total
from agentjudge.rewards.terms import CITES_GOLD, CORRECT

OnFail = Literal["zero advantage", "zero reward", "drop"]
GROUNDED = 0.3
"""VER's bonus."""


@dataclass(frozen=True, slots=True)
class Gated(Over):
    """Another reward behind a gate."""

    inner: AnyReward
    term: Term
    at_least: float = 0.5
    on_fail: OnFail = "zero advantage"

    def __post_init__(self) -> None:
        if self.on_fail not in get_args(OnFail):
            raise ConfigError(f"cannot {self.on_fail!r} on a failed gate; there is {', '.join(get_args(OnFail))}")

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Declared`."""
        return self.inner.keys

    @property
    def low(self) -> float:
        """See `Declared`."""
        return min(self.inner.low, 0.0) if self.on_fail == "zero reward" else self.inner.low

    @property
    def high(self) -> float:
        """See `Declared`."""
        return max(self.inner.high, 0.0) if self.on_fail == "zero reward" else self.inner.high

    def at(self, step: int) -> Self:
        """See `Declared`."""
        return replace(self, inner=self.inner.at(step))

    def refused(self, reading: Known) -> str:
        """See `Over`."""
        failed = self.on_fail == "drop" and total(reading) < self.at_least
        return f"the gate was not passed: {total(reading):.3g}, wanted {self.at_least:.3g}" if failed else ""

    def changed(self, result: RewardResult, reading: Known) -> RewardResult:
        """See `Over`."""
        metrics = {**result.metrics, "gate": total(reading)}
        if total(reading) >= self.at_least:
            return result.model_copy(update={"metrics": metrics})
        if self.on_fail == "zero advantage":
            return result.model_copy(update={"metrics": metrics, "withheld": True})
        if result.score is not None and result.score <= 0:  # failing the gate must not be a way out of a bad reward
            return result.model_copy(update={"metrics": metrics})
        nothing = dict.fromkeys(result.components, 0.0)
        return of_parts(nothing, turn_rewards=(0.0,) * len(result.turn_rewards), metrics=metrics)


@dataclass(frozen=True, slots=True)
class Beside(Over):
    """Another reward, and a part beside its own that a term pays; the other one need not be a composite."""

    inner: AnyReward
    term: Term
    name: str = "beside"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.name in self.inner.keys:
            raise ConfigError(f"the reward has a part {self.name!r} of its own")

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Declared`."""
        return (*self.inner.keys, self.name)

    @property
    def low(self) -> float:
        """See `Declared`."""
        return self.inner.low + min(self.weight * self.term.low, self.weight * self.term.high)

    @property
    def high(self) -> float:
        """See `Declared`."""
        return self.inner.high + max(self.weight * self.term.low, self.weight * self.term.high)

    def at(self, step: int) -> Self:
        """See `Declared`."""
        return replace(self, inner=self.inner.at(step))

    def changed(self, result: RewardResult, reading: Known) -> RewardResult:
        """See `Over`."""
        parts = {**result.components, self.name: self.weight * total(reading)}
        made = of_parts(parts, turn_rewards=result.turn_rewards, metrics=result.metrics)
        return made.model_copy(update={"withheld": result.withheld})


def artifact_free(yes: float | None, no: float | None) -> Reading:
    """The probability that a picture has no artifacts, by the log-probabilities of the judge's "yes" and "no".

    1 - sigmoid(yes - no), as in the released code, which takes an answer that is not among the first ten for a
    probability of 0, so that a judge who said neither pays in full. Here that is `Missing`.
    """
    if yes is None or no is None:
        return Missing("the judge of artifacts gave neither yes nor no a log-probability")
    return 1.0 / (1.0 + exp(min(yes - no, 700.0)))


@register("reward", "ver", paper="2510.06077")
def ver(grounded: Term = CITES_GOLD, *, answer: Term = CORRECT, bonus: float = GROUNDED) -> Composite:
    """The answer, and a bonus only where it is right and its reasoning is grounded in the evidence.

    Args:
        grounded: 1 where it is; another judge says so in the paper (`Judged`), cited gold evidence by default.
        answer: 1 where it is right.
        bonus: paid beside the answer where both are at least 0.5.
    """
    both = (Gate(answer), Gate(grounded))
    return Composite((Part("answer", answer), Part("grounded", Fixed(), bonus, when=both)))


@register("reward", "pearl", paper="2511.18437")
def pearl(inner: AnyReward, checklist: Term, *, at_least: float = 0.5, on_fail: OnFail = "zero advantage") -> Gated:
    """Any reward, learned from only where the perception checklist of its question was passed.

    Args:
        inner: pays for the reasoning.
        checklist: the share of the questions on what there is to see that were answered rightly, 0 to 1.
        at_least: the share that passes.
        on_fail: what becomes of a judgement that does not; see the table of `agentjudge.rewards.gates`.
    """
    return Gated(inner, checklist, at_least, on_fail)


@register("reward", "artifact", paper="2601.03468")
def artifact(
    inner: AnyReward,
    clean: Term,
    *,
    mode: Literal["add", "veto"] = "add",
    weight: float = 1.0,
    at_least: float = 0.5,
) -> Gated | Beside:
    """Any reward of a picture, beside which freedom from artifacts is paid, or without which nothing is.

    Args:
        inner: such as preference or consistency with the prompt, each of which drifts to artifacts by itself.
        clean: the probability that there are none, such as `artifact_free` of a judge's yes and no, or a `Judged`.
        mode: `add` pays it beside the reward, `veto` pays nothing below `at_least`.
        weight: of `add`.
        at_least: of `veto`.
    """
    if mode == "veto":
        return Gated(inner, clean, at_least, "zero reward")
    return Beside(inner, clean, "artifact", weight)
