"""Who says what a sample is worth: a judge, a reward over the traces of a judge, or a reward server.

    JudgeScorer(judge)                      # the judge's opinion of the completion, 0 to 1
    RewardScorer(veri_r1(), judge)          # the policy is the judge: its completion is a judgement, paid by gold
    RemoteScorer("http://127.0.0.1:8020")   # either of them, somewhere else (`agentjudge.rewards.adapters.remote`)

A scorer takes a batch and gives a `RewardResult` a sample. Completions of one case in a batch are a group, for rewards
that look at groups; an engine that asks for one sample at a time has groups of one. A judge is given as such or as a
function that makes one (`partial(Judge.load, "veri-r1")`): then the scorer can be pickled, and each process has its own.

What the judge could not say has the score None, with the reason in `error`. What the policy left blank is no such case:
an empty answer earns `empty` without anybody being asked, or else saying nothing would be a way out of being judged.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from agentjudge.case import Case, Response
from agentjudge.errors import ConfigError
from agentjudge.rewards.adapters.episodes import Playable, replay
from agentjudge.rewards.adapters.samples import Sample, answer_case, given_case
from agentjudge.rewards.base import AnyReward, RewardResult, of_parts, paid, unknown
from agentjudge.rewards.judged import opinion
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

T = TypeVar("T")


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
    """A judge's opinion of a completion.

    Args:
        judge: of responses or claims, or of what `case` makes.
        case: makes the case of a sample; `answer_case` when None.
        read_off: a verdict as a number from 0 to 1, or None where its kind says nothing of how much.
        empty: what a blank completion earns.
        concurrency: judgements in flight at once.
        seconds: after which one of them counts as an outage.
    """

    def __init__(
        self,
        judge: Makes,
        *,
        case: Callable[[Sample], Case] | None = None,
        read_off: Callable[[Verdict], float | None] = opinion,
        empty: float = 0.0,
        concurrency: int = 32,
        seconds: float | None = None,
    ) -> None:
        super().__init__(judge)
        self._case, self._read_off, self._empty = case, read_off, empty
        self._concurrency, self._seconds = concurrency, seconds

    async def score_samples(self, samples: Sequence[Sample], *, step: int = 0) -> list[RewardResult]:
        """See `Scorer`; the same at every step."""
        return await gathered([self._score(sample) for sample in samples], self._concurrency)

    async def _score(self, sample: Sample) -> RewardResult:
        if not sample.answer.strip():
            return of_parts({"judge": self._empty})
        takes = getattr(self.judge.spec, "cases", (Response,))
        case = answer_case(sample, takes=takes) if self._case is None else self._case(sample)
        try:
            async with asyncio.timeout(self._seconds):
                verdict = (await self.judge.arun(case)).verdict
        except TimeoutError:
            return unknown(f"the judge gave no verdict within {self._seconds:g} s")
        if verdict.failure is not None:
            return unknown(f"the judge failed ({verdict.failure.kind}): {verdict.failure.message}")
        if verdict.status == "abstained":
            return unknown("the judge abstained")
        found = self._read_off(verdict)
        return unknown("the judge's verdict is not of a kind that says how much") if found is None else _judged(found)


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
        reward, found = self.reward.at(step), {}
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


def _judged(value: float) -> RewardResult:
    return of_parts({"judge": value})
