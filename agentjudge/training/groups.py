"""Groups of rollouts with their rewards: the real judges, run at once on the policy's own weights.

    drawing = Drawing(source, config, model, reward)
    batch = await drawing.step(12)                       # [Judged], one a case
    batch[0].rollouts, batch[0].results, batch[0].case

What a step draws follows from its number alone: which cases, and the seeds of what is sampled (`Source`). An outage of
the model's server never becomes a reward. Rollouts that it broke off are tried again after a wait, which is logged and
grows; those that stay broken are masked. Where nothing at all came back the training stops, with what it had learned
saved, for a step without any rollout is no step.

Dynamic sampling draws further rounds of cases until enough groups tell their rollouts apart. Those that do not tell
stay in what is reported (`Batch.drawn`), so that a mean reward is of all that was sampled.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentjudge.case import Case
from agentjudge.errors import ConfigError, ModelError
from agentjudge.judge import spread
from agentjudge.models.base import Model
from agentjudge.registry import lookup
from agentjudge.rewards.base import AnyReward, RewardResult, paid, unknown
from agentjudge.trace import Trace
from agentjudge.training.config import TrainConfig
from agentjudge.training.rollouts import Rollout, group_of
from agentjudge.training.rows import TrainRow, assemble
from agentjudge.training.sampling import Scored, without_void
from agentjudge.training.sources import Given, Source, judge_for

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """The rollouts of one case, with rewards and rows."""

    case: Case
    rollouts: tuple[Rollout, ...]
    results: tuple[RewardResult, ...]
    rows: tuple[TrainRow, ...]
    """Of those that are not masked."""

    @property
    def tells(self) -> bool:
        """Whether its rewards tell the rollouts apart."""
        return Scored(self.rollouts, self.results).tells


class Batch(NamedTuple):
    """What a step drew."""

    groups: tuple[Judged, ...]
    """To learn from."""
    drawn: tuple[Judged, ...]
    """All groups; the same, unless rounds were drawn for some that tell."""
    rounds: int


class _Place(NamedTuple):
    """A rollout to be made."""

    given: Given
    number: int
    """Of the case."""
    k: int
    """In its group."""


class Drawing:
    """Draws the groups of a training's steps.

    Args:
        source: of the cases.
        config: of the run.
        model: the policy, shared by all judges.
        reward: what a judgement earns.
        on_trace: called with each judgement as it ends.
    """

    def __init__(
        self,
        source: Source,
        config: TrainConfig,
        model: Model,
        reward: AnyReward,
        *,
        on_trace: Callable[[Trace], None] | None = None,
    ) -> None:
        self._source, self._config, self._model, self._reward = source, config, model, reward
        self._on_trace = on_trace

    def numbers(self, step: int, again: int = 0) -> range:
        """The numbers of the cases of a step, and of a round of it; no two steps share one."""
        prompts, rounds = self._config.grpo.prompts, self._config.grpo.rounds
        first = (step * rounds + again) * prompts
        return range(first, first + prompts)

    async def step(self, step: int) -> Batch:
        """The groups of a step, in rounds where too few tell their rollouts apart.

        Raises:
            ModelError: an outage that outlasted all waits.
            DataError: a case whose gold says nothing to the reward, or drift under the policy `strict`.
        """
        wanted, drawn = self._config.grpo.prompts, list[Judged]()
        for again in range(self._config.grpo.rounds):
            drawn += await self.groups(self.numbers(step, again), step=step)
            told = [group for group in drawn if group.tells]
            if len(told) >= wanted:
                break
        if self._config.grpo.rounds == 1:
            return Batch(tuple(drawn), tuple(drawn), 1)
        return Batch(tuple(told[:wanted]), tuple(drawn), again + 1)

    async def groups(self, numbers: Sequence[int], *, step: int, size: int | None = None) -> list[Judged]:
        """The groups of these cases.

        Raises:
            ModelError: see `step`.
            DataError: see `step`.
        """
        count = size or self._config.grpo.group
        given = {number: self._source.case(number) for number in numbers}
        places = [_Place(given[number], number, k) for number in numbers for k in range(count)]
        traces = await self._traces(places, step)
        reward = self._reward.at(step)
        made = []
        for number in numbers:
            case = given[number].case
            rollouts = group_of([traces[number, k] for k in range(count)], group=f"{case.id}@{number}")
            made.append(self._judged(case, rollouts, await paid(reward, [r.trace for r in rollouts], case)))
        return made

    def _judged(self, case: Case, rollouts: Sequence[Rollout], results: Sequence[RewardResult]) -> Judged:
        grpo, policy = self._config.grpo, self._config.rollout.policy
        if grpo.void != "kept":
            results = without_void(rollouts, results, how=grpo.void)
        kept, rows = list(results), list[TrainRow]()
        for place, (rollout, result) in enumerate(zip(rollouts, results, strict=True)):
            if result.score is None:
                continue
            made = assemble(rollout.trace, policy, rollout=rollout.id)
            longest = max((len(row.input_ids) for row in made), default=0)
            if grpo.max_length is not None and longest > grpo.max_length:
                kept[place] = unknown(f"{longest} tokens, more than {grpo.max_length}")
            else:
                rows += made
        return Judged(case, tuple(rollouts), tuple(kept), tuple(rows))

    async def _traces(self, places: Sequence[_Place], step: int) -> dict[tuple[int, int], Trace]:
        """The judgements, by case and place in the group; those that an outage broke off are tried again."""
        table, traces, left = self._config.rollout, dict[tuple[int, int], Trace](), list(places)

        async def run(place: _Place) -> None:
            seed = random.Random(f"{self._config.seed}/{step}/{place.number}/{place.k}").getrandbits(62)
            trace = await judge_for(place.given, self._config, self._model, seed=seed).arun(place.given.case)
            traces[place.number, place.k] = trace
            if self._on_trace is not None and not _outage(trace):
                self._on_trace(trace)

        for wait in range(table.waits + 1):
            await spread(left, run, concurrency=table.concurrency)
            left = [place for place in left if _outage(traces[place.number, place.k])]
            if not left or wait == table.waits:
                break
            told = traces[left[0].number, left[0].k].verdict.failure
            seconds = min(table.wait * 2**wait, table.longest_wait)
            log.warning(
                "step %d: %d of %d rollouts broke off (%s); trying again in %.3g s, %d of %d",
                step, len(left), len(places), told.message if told else "", seconds, wait + 1, table.waits,
            )  # fmt: skip
            await asyncio.sleep(seconds)
        failures = [failure for trace in traces.values() if (failure := trace.verdict.failure) is not None]
        broken = [failure for failure in failures if failure.kind != "parse"]
        if len(broken) == len(places):
            raise ModelError(f"step {step}: no rollout came back, after {table.waits} waits: {broken[0].message}")
        if left:
            log.warning("step %d: %d of %d rollouts stay broken and are masked", step, len(left), len(places))
        return traces


def reward_of(config: TrainConfig) -> AnyReward:
    """The reward of a file.

    Raises:
        ConfigError: unknown name, or options that it does not take.
    """
    reward: AnyReward = made("reward", config.reward.name, config.reward.options)
    return reward


def made(kind: Any, name: str, options: dict[str, Any]) -> Any:
    """A registered component with its options.

    Raises:
        ConfigError: unknown name, or options that it does not take.
    """
    target = lookup(kind, name).target
    try:
        return target(**options)
    except TypeError as exc:
        raise ConfigError(f"{kind} {name!r} does not take these options: {exc}") from None


def _outage(trace: Trace) -> bool:
    failure = trace.verdict.failure
    return failure is not None and failure.kind == "model" and failure.retriable
