"""Did the tools matter: is the verdict right with what they showed, and not without?

    reward = tool_mattered(judge, lambda trace: stored_evidence(run, trace))
    result = await reward.ascore(trace, case)           # one call of the model, or none where nothing was shown

The judgement is taken back to before a tool call, and concludes there: same opening, no observation, nor anything
that was said after having seen it. What the tools brought is worth what it changed:

| right with them | right without | score |
|---|---|---|
| yes | no | 1 |
| yes, or no | the same | 0 |
| no | yes | -1 |

A success that changes nothing earns nothing here, which is what a bonus for any success anywhere cannot tell.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.evidence import EvidenceStore
from agentjudge.registry import register
from agentjudge.rewards.base import RewardResult, masked, of_parts
from agentjudge.rewards.terms import correct
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict


class Concluding(Protocol):
    """Anything that concludes over the evidence of a trace, such as a `Judge`."""

    async def aconclude(self, trace: Trace, evidence: Callable[[], EvidenceStore]) -> Trace:
        """The trace of a judgement that has the evidence already and only concludes."""
        ...


def before(trace: Trace, turn: int = 0) -> Trace:
    """The trace up to a turn, itself left out, with the results of the calls made until then; the verdict stays.

    Args:
        trace: any.
        turn: index of the first turn that is taken back, with all after it; a plan, which saw nothing, always stays.

    Raises:
        ConfigError: the trace has no such turn.
    """
    planned = sum(each.phase == "plan" for each in trace.turns)
    turn = max(turn, min(planned, len(trace.turns) - 1))
    if not 0 <= turn < max(1, len(trace.turns)):
        raise ConfigError(f"there is no turn {turn} in a trace of {len(trace.turns)}")
    opening = trace.turns[turn].messages_in if trace.turns else range(len(trace.messages))
    return replace(
        trace,
        messages=trace.messages[: len(opening)],
        turns=trace.turns[:turn],
        events=[event for event in trace.events if event.turn < turn],
    )


def mattered(trace: Trace, without: Verdict, case: Case) -> RewardResult:
    """What observations were worth (-1, 0 or 1), given the verdict without them.

    Raises:
        DataError: the case's gold does not say what is right.
    """
    if (found := masked(trace)) is not None:
        return found
    if without.failure is not None:
        return RewardResult(score=None, error=f"without tools: {without.failure.kind}: {without.failure.message}")
    return of_parts({"with": float(correct(trace.verdict, case)), "without": -float(correct(without, case))})


@dataclass(frozen=True, slots=True)
class ToolMattered:
    """1 where the tools made the verdict right, -1 where they made it wrong, else 0."""

    judge: Concluding
    """Of the same prompts and the same model as the one whose trace it is."""
    evidence: Callable[[Trace], EvidenceStore]
    """A store with the pictures of a trace, such as `agentjudge.runs.rescore.stored_evidence` makes it of a run."""
    turn: int = 0
    """The first turn that is taken back; 0 takes all observations back."""
    keys: ClassVar = ("with", "without")
    low: ClassVar = -1.0
    high: ClassVar = 1.0

    def at(self, step: int) -> Self:
        """See `Declared`."""
        return self

    async def ascore_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `AsyncReward`; the judgements are made again at the same time."""
        return await asyncio.gather(*(self.ascore(trace, case) for trace in traces))

    async def ascore(self, trace: Trace, case: Case) -> RewardResult:
        """The reward of one judgement; asks the model once, unless nothing that is taken back has shown anything.

        Raises:
            DataError: the case's gold does not say what is right.
            ConfigError: the trace has no such turn.
        """
        if (found := masked(trace)) is not None:
            return found
        if not any(event.status == "ok" and event.turn >= self.turn for event in trace.events):
            return mattered(trace, trace.verdict, case)
        cut = before(trace, self.turn)
        again = await self.judge.aconclude(cut, lambda: self.evidence(cut))
        return mattered(trace, again.verdict, case)


@register("reward", "tool_mattered")
def tool_mattered(judge: Concluding, evidence: Callable[[Trace], EvidenceStore], *, turn: int = 0) -> ToolMattered:
    """1 where tools made the verdict right, -1 where they made it wrong: judged again with what they showed removed."""
    return ToolMattered(judge, evidence, turn)
