"""Rewards over other rewards: what one pays is changed by what a term reads off the same judgement.

    class Halved(Over): ...            # names its term, and says what becomes of a result

The other reward never sees a judgement whose reading is missing, nor one that is not admitted, so its group is that of
the judgements that are left.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.rewards.base import AnyReward, RewardResult, masked, paid, unknown
from agentjudge.rewards.reading import Known, Missing, Reading, Term, areading, reading_now
from agentjudge.trace import Trace

Found = Reading | RewardResult
"""What a term read, or the result of a judgement that is masked."""


class Over(ABC):
    """Both doors of such a reward; `score` is to be had where neither the term nor the other reward asks a model."""

    __slots__ = ()
    inner: AnyReward
    """The reward that is changed."""
    term: Term
    """What is read."""

    @abstractmethod
    def changed(self, result: RewardResult, reading: Known) -> RewardResult:
        """What is paid in place of a result that has a score."""

    def refused(self, reading: Known) -> str:
        """Why a judgement is masked instead; empty where it is not."""
        return ""

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`."""
        return self.score_group([trace], case)[0]

    def score_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `Reward`."""
        found = [masked(trace) or reading_now(self.term, trace, case, name="gate") for trace in traces]
        if not hasattr(self.inner, "score_group"):
            raise ConfigError(f"{type(self.inner).__name__} asks a model; it is to be had by `ascore`, `ascore_group`")
        return self._merged(found, self.inner.score_group(self._seen(found, traces), case))

    async def ascore(self, trace: Trace, case: Case) -> RewardResult:
        """See `AsyncReward`."""
        return (await self.ascore_group([trace], case))[0]

    async def ascore_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `AsyncReward`."""
        found = await asyncio.gather(*(self._read(trace, case) for trace in traces))
        return self._merged(found, await paid(self.inner, self._seen(found, traces), case))

    async def _read(self, trace: Trace, case: Case) -> Found:
        return masked(trace) or await areading(self.term, trace, case, name="gate")

    def _seen(self, found: Sequence[Found], traces: Sequence[Trace]) -> list[Trace]:
        return [trace for trace, reading in zip(traces, found, strict=True) if self._result(reading) is None]

    def _result(self, found: Found) -> RewardResult | None:
        """The result of a judgement that the other reward is not to see."""
        if isinstance(found, RewardResult):
            return found
        if isinstance(found, Missing):
            return unknown(f"gate: {found.why}")
        return unknown(why) if (why := self.refused(found)) else None

    def _merged(self, found: Sequence[Found], paid: Iterable[RewardResult]) -> list[RewardResult]:
        rest, merged = iter(paid), []
        for reading in found:
            result = self._result(reading)
            if result is None:
                assert not isinstance(reading, RewardResult | Missing)
                result = next(rest)
                result = result if result.score is None else self.changed(result, reading)
            merged.append(result)
        return merged
