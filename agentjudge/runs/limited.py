"""A judge within the budget of one choice, and through a cache of answers: what a policy of a search asks.

    limited = await LimitedJudge.of(judge, case, budget=RerankBudget(calls=8, seconds=20), cache=cache)
    (outcome,) = await run_policy(limited, policy, [case])
    limited.calls, limited.cached

A judgement that the budget forbids is a failed one that says so; what it makes of an outcome is the policy's affair.
"""

import asyncio
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from agentjudge.case import ActionChoice, Case
from agentjudge.errors import BudgetError, ConfigError
from agentjudge.runs.answers import AnswerCache, Question
from agentjudge.runs.policies import Asked
from agentjudge.trace import Trace
from agentjudge.verdict import Failure, Provenance, Usage, Verdict


class RerankBudget(BaseModel):
    """What one choice may use; None means unlimited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int | None = Field(default=None, ge=0)
    """Judgements asked of the judge; answers from the cache are free."""
    seconds: float | None = Field(default=None, gt=0)
    """Wall-clock seconds of the whole choice."""


@dataclass(slots=True)
class LimitedJudge:
    """A judge for the questions of one case."""

    judge: Asked
    budget: RerankBudget
    end: float | None = None
    """When the time is over, by the clock of the event loop."""
    cache: AnswerCache | None = None
    question: Question | None = None
    """What the cache knows the case by; needed with a cache."""
    calls: int = 0
    """Judgements asked of the judge."""
    cached: int = 0
    """Judgements that were known, or asked for by somebody else at the time."""

    @classmethod
    async def of(
        cls, judge: Asked, case: ActionChoice, *, budget: RerankBudget, cache: AnswerCache | None = None
    ) -> "LimitedJudge":
        """The judge, with the time that the budget gives it from now on.

        Raises:
            ConfigError: a cache, and a judge that does not tell what its verdicts depend on.
        """
        end = None if budget.seconds is None else asyncio.get_running_loop().time() + budget.seconds
        if cache is None:
            return cls(judge, budget, end)
        settings = getattr(judge, "settings", None)
        if settings is None:
            raise ConfigError("a cache needs a judge that tells its settings(); leave out the cache")
        return cls(judge, budget, end, cache, await asyncio.to_thread(Question.of, case, settings()))

    async def arun(self, case: Case) -> Trace:
        """The trace of one judgement; one that the budget forbids is failed."""
        try:
            async with asyncio.timeout_at(self.end) as limit:
                if self.cache is None or self.question is None or not isinstance(case, ActionChoice):
                    return await self._call(case)
                return await self._known(case, self.cache, self.question)
        except TimeoutError:
            if not limit.expired():
                raise
            return self.unasked(case)
        except BudgetError as exc:
            return self.unasked(case, exc)

    def unasked(self, case: Case, why: BudgetError | None = None) -> Trace:
        """The trace of a judgement that the budget forbids; for want of time when None."""
        why = why or BudgetError(f"no answer within the {self.budget.seconds:g} s of the choice")
        provenance = Provenance(judge="rerank")
        return _bare(case, Verdict(case_id=case.id, status="failed", failure=Failure.of(why), provenance=provenance))

    async def _call(self, case: Case) -> Trace:
        if self.budget.calls is not None and self.calls >= self.budget.calls:
            raise BudgetError(f"no judgement left of {self.budget.calls}")
        self.calls += 1
        return await self.judge.arun(case)

    async def _known(self, case: ActionChoice, cache: AnswerCache, question: Question) -> Trace:
        traces: list[Trace] = []

        async def ask() -> Verdict:
            traces.append(await self._call(case))
            return traces[0].verdict

        verdict, known = await cache.answer(question.key(case), ask)
        if not known:
            return traces[0]
        self.cached += 1
        return _bare(case, verdict.model_copy(update={"case_id": case.id, "usage": Usage()}))


def _bare(case: Case, verdict: Verdict) -> Trace:
    """A trace that holds nothing but a verdict."""
    judge = verdict.provenance.judge
    return Trace(case=case.blind(), judge=judge, messages=[], turns=[], events=[], opening=(), verdict=verdict)
