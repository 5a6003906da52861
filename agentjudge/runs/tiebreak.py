"""A second opinion where the first decides nothing: more samples, another order, another judge.

    match = TieBreak(Swap(agreed_or_tie), Swap(summed, inner=Repeat(5)))               # more samples
    match = TieBreak(Swap(agreed_or_tie), OfJudge(stronger, Swap(agreed_or_tie)))      # another judge
    policy = Knockout(match)

Undecided is a tie, which two orders that disagree make as well, and an abstention; failures are asked again too where
`on` names them. The outcome is that of the second policy if it decides. Otherwise it is the first one's, so that a
tie-break that fails does not undo a tie; both count in its runs, habits and costs.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from agentjudge.case import Case
from agentjudge.runs.merging import total_usage
from agentjudge.runs.policies import Ask, Asked, Outcome, Policy
from agentjudge.verdict import Verdict

Open = Literal["tie", "abstained", "failed"]


@dataclass(frozen=True, slots=True)
class TieBreak:
    """`first`, and `then` where it decided nothing, under the id `ID~tiebreak`."""

    first: Policy
    then: Policy
    on: Collection[Open] = ("tie", "abstained")
    """What is asked again."""

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        one = await self.first.decide(case, ask)
        if left_open(one.verdict) not in self.on:
            return one
        two = await self.then.decide(case.model_copy(update={"id": f"{case.id}~tiebreak"}), ask)
        last = one if left_open(two.verdict) else two
        usage = total_usage([one.verdict, two.verdict])
        return replace(
            last,
            verdict=last.verdict.model_copy(update={"case_id": case.id, "usage": usage}),
            runs=(*one.runs, *two.runs),
            habits=one.habits + two.habits,
            lots=one.lots + two.lots,
        )


def left_open(verdict: Verdict) -> Open | None:
    """How a verdict decides nothing; None where it decides."""
    if verdict.status != "scored":
        return verdict.status
    return "tie" if verdict.preference == 0 else None


@dataclass(frozen=True, slots=True)
class OfJudge:
    """A policy that asks another judge.

    Its judgements are among the runs of the outcome. They take no place of those in flight, and are not handed to
    `on_trace`.
    """

    judge: Asked
    inner: Policy

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        return await self.inner.decide(case, self.judge.arun)
