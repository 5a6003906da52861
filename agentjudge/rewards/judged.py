"""Another judge's opinion as a term: of how the policy thought, of a picture it made, of what its evidence shows.

    thinking = Judged(Late(partial(Judge.load, "veri-r1", model="vllm:NAME")), retell=thinking_of)
    reward = trust_grpo(thinking=thinking)

`retell` makes the case that the other judge is asked about from the trace: what the policy wrote goes into it as
material, which that judge fences like any other, and gold goes into it only where `retell` says so. A judge that fails,
abstains, or is not sure enough leaves the reading `Missing`: its outage is no fault of the policy.

A judge holds connections and threads, so it cannot be pickled. `Late` holds what makes one, and makes it when it is
first asked in each process.
"""

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from agentjudge.case import SUPPORT, ActionChoice, Case, Claim, Comparison, Response, Trajectory
from agentjudge.rewards.reading import Missing, Reading
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

YES = frozenset({SUPPORT, "success", "yes", "true", "correct"})
"""Labels that count as 1."""
_ANSWER = re.compile(r"<answer>.*?(?:</answer>|$)", re.IGNORECASE | re.DOTALL)


class Judging(Protocol):
    """Anything that judges a case, such as a `Judge`; what goes wrong is a failed verdict."""

    def arun(self, case: Case) -> Coroutine[Any, Any, Trace]:
        """The trace of one case."""
        ...


class Late:
    """A judge that is made when it is first asked; pickled as what makes it.

    Args:
        make: such as `partial(Judge.load, "veri-r1", model="vllm:NAME")`.
    """

    def __init__(self, make: Callable[[], Judging]) -> None:
        self._make = make
        self._judge: Judging | None = None

    async def arun(self, case: Case) -> Trace:
        """See `Judging`."""
        if self._judge is None:
            self._judge = self._make()
        return await self._judge.arun(case)

    def __reduce__(self) -> tuple[type["Late"], tuple[Callable[[], Judging]]]:
        return Late, (self._make,)


def question_of(case: Case) -> str:
    """What a case asks, in its own words."""
    if isinstance(case, Claim):
        return case.claim
    if isinstance(case, Response | Comparison):
        return case.prompt
    if isinstance(case, ActionChoice | Trajectory):
        return case.goal
    return case.id


def thoughts(trace: Trace) -> str:
    """What the policy wrote before its verdict, and the verdict's own reason; never what tools showed, nor the verdict.

    Of the last turn only the reasoning and the verdict's reason are taken, and `<answer>` blocks are left out anywhere,
    so that an answer does not come along. That the thought itself names it cannot be helped.
    """
    parts = [str(turn.message_out.get("reasoning") or "") for turn in trace.turns]
    parts += [str(turn.message_out.get("content") or "") for turn in trace.turns[:-1]]
    return "\n\n".join(filter(None, (_ANSWER.sub("", part).strip() for part in (*parts, trace.verdict.rationale))))


def thinking_of(trace: Trace, case: Case) -> Case:
    """The question, and the policy's thoughts as the response to be scored; without gold."""
    return Response(id=case.id, prompt=question_of(case), response=thoughts(trace), images=case.images)


def opinion(verdict: Verdict) -> float | None:
    """A verdict as a number from 0 to 1: its score, or the probability of a label that says yes; None for others."""
    if verdict.score is not None:
        return verdict.score
    if verdict.label is None:
        return None
    if verdict.probabilities is None:
        return float(verdict.label in YES)
    return min(1.0, sum(share for label, share in verdict.probabilities.items() if label in YES))


@dataclass(frozen=True, slots=True)
class Judged:
    """What another judge says of a judgement, from 0 to 1."""

    judge: Judging
    retell: Callable[[Trace, Case], Case] = thinking_of
    """The case that it is asked about."""
    read_off: Callable[[Verdict], float | None] = opinion
    surely: float = 0.0
    """The least confidence with which its opinion counts; one without a confidence counts at 0 alone."""
    low: float = 0.0
    high: float = 1.0

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        verdict = (await self.judge.arun(self.retell(trace, case))).verdict
        if verdict.failure is not None:
            return Missing(f"the judge failed ({verdict.failure.kind}): {verdict.failure.message}")
        if verdict.status == "abstained":
            return Missing("the judge abstained")
        sure = verdict.confidence.value if verdict.confidence is not None else 0.0
        if sure < self.surely:
            return Missing(f"the judge is not sure enough: {sure:.2f}, wanted {self.surely:.2f}")
        found = self.read_off(verdict)
        return Missing("the judge's verdict is not of a kind that says how much") if found is None else found
