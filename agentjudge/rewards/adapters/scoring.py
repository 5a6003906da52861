"""Who says what a sample is worth: a judge, a reward over the traces of a judge, or a reward server.

    JudgeScorer(judge)                      # what the judge says of the completion, 0 to 1
    RewardScorer(veri_r1(), judge)          # the policy is the judge: its completion is a judgement, paid by gold
    RemoteScorer("http://127.0.0.1:8010")   # a reward server (`agentjudge.rewards.adapters.remote`)

A scorer takes a batch and gives a `RewardResult` a sample. Completions that are judgements of one case are a group, for
rewards that look at groups; an engine that asks for one sample at a time has groups of one. A judge is given as such,
or as a function that makes one (`partial(Judge.load, "veri-r1")`): then the scorer can be pickled, and each process has
its own.

What the judge could not say has the score None, with the reason in `error`. What the policy left blank is no such case:
an empty answer earns `empty` without anybody being asked, or else saying nothing would be a way out of being judged.
"""

import asyncio
import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from agentjudge.case import Case, Response
from agentjudge.errors import AgentJudgeError, ConfigError
from agentjudge.rewards.adapters.episodes import Playable, replay
from agentjudge.rewards.adapters.samples import Sample, answer_case, given_case
from agentjudge.rewards.base import AnyReward, RewardResult, of_parts, paid, unknown
from agentjudge.rewards.verdict_value import verdict_value
from agentjudge.trace import Trace


class Unscored(AgentJudgeError):
    """Nothing is known of a sample, for engines in which that has to be raised."""

    def __init__(self, why: str) -> None:
        super().__init__(f"no score: {why}", retriable=True)


@runtime_checkable
class Scorer(Protocol):
    """Anything that scores samples."""

    async def score_samples(self, samples: Sequence[Sample], *, step: int = 0) -> list[RewardResult]:
        """A result a sample, in their order; an outage is a result without a score.

        Args:
            samples: completions; those of one prompt should come in one call.
            step: of the training, for what depends on it.
        """
        ...


Makes = Playable | Callable[[], Playable]
"""A judge, or what makes one."""
Source = str | Makes | Scorer
"""URL of a reward server, a judge, what makes one, or a scorer."""


class _WithJudge:
    """Holds a judge, or makes it when it is first asked; pickled as what makes it."""

    def __init__(self, judge: Makes) -> None:
        self._given = judge
        self._judge: Playable | None = None

    @property
    def judge(self) -> Playable:
        """The judge of this process."""
        if self._judge is None:
            self._judge = self._given if isinstance(self._given, Playable) else self._given()
        return self._judge

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_judge": None}


class JudgeScorer(_WithJudge):
    """What a judge says of a completion.

    Args:
        judge: of responses or claims, or of what `case` makes.
        reward: over the judge's trace; its verdict as it stands (`verdict_value`) when None.
        case: makes the case of a sample; `answer_case` when None.
        empty: what a blank completion earns.
        concurrency: judgements in flight at once.
        seconds: after which one of them counts as an outage.
    """

    def __init__(
        self,
        judge: Makes,
        *,
        reward: AnyReward | None = None,
        case: Callable[[Sample], Case] | None = None,
        empty: float = 0.0,
        concurrency: int = 32,
        seconds: float | None = None,
    ) -> None:
        super().__init__(judge)
        self.reward = verdict_value() if reward is None else reward
        self._case, self._empty = case, empty
        self._concurrency, self._seconds = concurrency, seconds

    async def score_samples(self, samples: Sequence[Sample], *, step: int = 0) -> list[RewardResult]:
        """See `Scorer`."""
        return await gathered([self._score(sample, step) for sample in samples], self._concurrency)

    async def _score(self, sample: Sample, step: int) -> RewardResult:
        if not sample.answer.strip():
            return _blank(self._empty, self.reward.keys)
        takes = getattr(self.judge.spec, "cases", (Response,))
        case = answer_case(sample, takes=takes) if self._case is None else self._case(sample)
        try:
            async with asyncio.timeout(self._seconds):
                trace = await self.judge.arun(case)
        except TimeoutError:
            return unknown(f"budget: no verdict within {self._seconds:g} s")
        return (await paid(self.reward.at(step), [trace], case))[0]


class RewardScorer(_WithJudge):
    """What a reward pays for completions that are themselves judgements.

    Args:
        reward: over traces and gold.
        judge: in whose graph the completions are played, with its tools and its budget; its model is not asked.
        case: the case of a sample, with gold; the column `case` when None.
        concurrency: of completions that are played at once.
    """

    def __init__(
        self,
        reward: AnyReward,
        judge: Makes,
        *,
        case: Callable[[Sample], Case] = given_case,
        concurrency: int = 32,
    ) -> None:
        super().__init__(judge)
        self.reward, self._case, self._concurrency = reward, case, concurrency

    async def score_samples(self, samples: Sequence[Sample], *, step: int = 0) -> list[RewardResult]:
        """See `Scorer`."""
        cases = [self._case(sample) for sample in samples]
        played = [replay(self.judge, case, sample.completion) for case, sample in zip(cases, samples, strict=True)]
        return await self.score_traces(await gathered(played, self._concurrency), cases, step=step)

    async def score_traces(
        self, traces: Sequence[Trace], cases: Sequence[Case], *, step: int = 0
    ) -> list[RewardResult]:
        """The results of judgements that there are already; those of one case are a group."""
        groups: dict[str, list[int]] = {}
        for place, case in enumerate(cases):
            groups.setdefault(case.model_dump_json(), []).append(place)
        reward, found = self.reward.at(step), dict[int, RewardResult]()
        for places in groups.values():
            results = await paid(reward, [traces[place] for place in places], cases[places[0]])
            found.update(zip(places, results, strict=True))
        return [found[place] for place in range(len(cases))]


def as_scorer(source: Source) -> Scorer:
    """The scorer that a source stands for.

    Raises:
        ConfigError: it is a reward, which has to be told of a judge, or nothing of the kind.
    """
    if isinstance(source, str):
        from agentjudge.rewards.adapters.remote import RemoteScorer

        return RemoteScorer(source)
    if isinstance(source, Scorer):
        return source
    if hasattr(source, "score_group") or hasattr(source, "ascore_group"):
        raise ConfigError("a reward pays for judgements: say whose by RewardScorer(reward, judge)")
    if isinstance(source, Playable) or callable(source):
        return JudgeScorer(source)
    raise ConfigError(f"neither a judge, a function that makes one, a URL nor a scorer: {source!r}")


def learned(result: RewardResult) -> float | None:
    """The score that is learned from; None where there is none, or where it is withheld."""
    return None if result.withheld else result.score


def metrics(results: Sequence[RewardResult]) -> dict[str, float]:
    """Means of the parts over the rows that have a score, and the share of the rows without one."""
    known = [result for result in results if result.score is not None]
    found = {"judge/missing": 1.0 - len(known) / max(1, len(results))}
    for name in dict.fromkeys(name for result in known for name in result.components):
        found[f"judge/{name}"] = sum(result.components.get(name, 0.0) for result in known) / len(known)
    return found


async def gathered(work: Sequence[Any], concurrency: int) -> list[Any]:
    """The results of coroutines, at most so many of them at once."""
    gate = asyncio.Semaphore(concurrency)

    async def one(each: Any) -> Any:
        async with gate:
            return await each

    return list(await asyncio.gather(*map(one, work)))


def _blank(score: float, keys: Sequence[str]) -> RewardResult:
    """A score under the names that the others have."""
    return of_parts({name: score * (n == 0) for n, name in enumerate(keys)})


def engine(module: str) -> ModuleType:
    """Import a part of an engine.

    Raises:
        ConfigError: it is not installed, or not in a form that can be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        name = module.partition(".")[0]
        raise ConfigError(f"{name!r} is needed here, installed as its own guide says ({exc})") from exc
