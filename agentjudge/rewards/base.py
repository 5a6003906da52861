"""The contract of rewards: a judgement, as it happened, and the case with its gold make a number with named parts.

    reward = arm_thinker()                              # or lookup("reward", "arm_thinker").target()
    result = reward.score(await judge.arun(case), case)
    print(result.score, result.components)              # 1.5 {'format': 0.3, 'accuracy': 0.7, ...}
    results = await paid(reward, group, case)           # a group of one case, whether or not a model has to be asked

A reward is a pure function. What a policy did is read from typed records, `ToolEvent.status` and the verdict, never
from what stands in the conversation: a tool result that the policy prints itself is text like any other. Only what is
by nature about text, the format of a turn, reads the text of that turn.

| the verdict | counts as |
|---|---|
| scored | right or wrong, by the case's gold |
| abstained | not right; in the format |
| failed, since no verdict could be read (`parse`) | not right; out of the format |
| failed otherwise: server, tool, time, data | nothing: the score is None, which masks the judgement |

None is no 0. A masked judgement takes no part in the mean of its group, nor has it an advantage; a group with one is
paid as the group without it. A `withheld` one takes part in the mean and has an advantage of 0. A reward of 0 is a
reward: it moves the mean, and the policy.

Every reward says beforehand which parts it has (`keys`, the same for every judgement that is not masked: trainers take
the names of the first one) and between which bounds its score lies (`low`, `high`). What stands in a result is what
was applied, from the same variable. Rewards are frozen and can be pickled, for trainers score in other processes.

`Alone` is for rewards that look at one judgement at a time; `agentjudge.rewards.reading` for those made of terms, which
may look at the whole group, and ask models. One that has to ask a model has `ascore` and `ascore_group`; `paid` is the
door to both kinds.
"""

import math
from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

from pydantic import Field, model_validator

from agentjudge.case import Case, Record
from agentjudge.trace import Trace


class RewardResult(Record):
    """A reward and what it is made of."""

    score: float | None
    """None masks the judgement: it says nothing about the policy, and is no 0."""
    components: dict[str, float] = Field(default_factory=dict)
    """What each named part contributes; they sum to the score."""
    turn_rewards: tuple[float, ...] = ()
    """The share of the score that each turn of the trace earned; what is left of the score is the outcome's. Empty
    where a reward is of the judgement as a whole."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Numbers that the parts were made with, such as a weight of the group; for the log."""
    withheld: bool = False
    """Counts in its group's statistics, but is not learned from: its own advantage is 0."""
    error: str = ""
    """Why there is no score."""

    @model_validator(mode="after")
    def _sums(self) -> Self:
        if (self.score is None) != bool(self.error):
            raise ValueError("a reward without a score says why, and only such a one has an error")
        if self.score is None and (self.components or self.turn_rewards or self.metrics or self.withheld):
            raise ValueError("a masked judgement has no parts")
        if self.score is not None and not math.isclose(self.score, math.fsum(self.components.values()), abs_tol=1e-9):
            raise ValueError(f"the parts {self.components} do not sum to {self.score}")
        return self


class Declared(Protocol):
    """What every reward says of itself before it has seen a judgement."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the parts, in order."""
        ...

    @property
    def low(self) -> float:
        """No score is below it."""
        ...

    @property
    def high(self) -> float:
        """No score is above it."""
        ...

    def at(self, step: int) -> Self:
        """The reward as it is paid at this step of the training; itself where nothing depends on it."""
        ...


class Reward(Declared, Protocol):
    """From judgements to numbers, without asking anybody."""

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """The reward of one judgement.

        Args:
            trace: what happened; its case is blind.
            case: with its gold.

        Raises:
            DataError: the gold does not say what is right for this outcome.
            ConfigError: a model has to be asked; `ascore` does.
        """
        ...

    def score_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """The rewards of judgements of one case, in their order; what they are does not depend on that order.

        Raises:
            DataError: as `score`.
            ConfigError: as `score`.
        """
        ...


@runtime_checkable
class AsyncReward(Declared, Protocol):
    """From judgements to numbers, asking a model where need be; an outage masks what it leaves unknown."""

    async def ascore(self, trace: Trace, case: Case) -> RewardResult:
        """As `Reward.score`."""
        ...

    async def ascore_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """As `Reward.score_group`."""
        ...


class _Scoring(Protocol):
    def score(self, trace: Trace, case: Case) -> RewardResult: ...


class Alone:
    """Of rewards that look at one judgement at a time, at any step of the training."""

    __slots__ = ()

    def score_group(self: _Scoring, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `Reward`."""
        return [self.score(trace, case) for trace in traces]

    def at(self, step: int) -> Self:
        """See `Declared`."""
        return self


AnyReward = Reward | AsyncReward


async def paid(reward: AnyReward, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
    """The rewards of judgements of one case, by either kind of reward.

    Raises:
        DataError: the gold does not say what is right for these outcomes.
    """
    if isinstance(reward, AsyncReward):
        return await reward.ascore_group(traces, case)
    return reward.score_group(traces, case)


def of_parts(
    components: dict[str, float],
    *,
    turn_rewards: tuple[float, ...] = (),
    metrics: dict[str, float] | None = None,
) -> RewardResult:
    """The result whose parts these are."""
    score = math.fsum(components.values())
    return RewardResult(score=score, components=components, turn_rewards=turn_rewards, metrics=metrics or {})


def unknown(why: str) -> RewardResult:
    """The result of a judgement that is masked."""
    return RewardResult(score=None, error=why)


def masked(trace: Trace) -> RewardResult | None:
    """The result of a judgement that failed for no fault of the policy; None for any other."""
    failure = trace.verdict.failure
    if failure is None or failure.kind == "parse":
        return None
    return unknown(f"{failure.kind}: {failure.message}")
