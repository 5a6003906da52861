"""What rewards are made of: is the verdict right, is it in the format, does it cite gold, were tools of any use.

`CORRECT`, `NEAT` and `CITES_GOLD` are terms (`agentjudge.rewards.reading`), each 0 or 1, for composites and gates.

`tool_tried` and `tool_succeeded` are rewards by themselves too, to be logged beside others: a rate of tool use is the
mean of one of them. That a tool succeeded says nothing about whether it was of use; `mattered` tells that.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Literal

from agentjudge.case import Case, Gold, complete_group, is_right
from agentjudge.errors import DataError, ParseError
from agentjudge.graphs.dialect import read_object
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, RewardResult, masked, of_parts
from agentjudge.rewards.reading import Reads
from agentjudge.trace import ToolEvent, Trace
from agentjudge.verdict import Verdict

_TAGS = re.compile(r"</?(?:think|answer|tool_call|tool_response)>")
_BARE = ["<answer>", "</answer>"]
_THOUGHT = ["<think>", "</think>"]


def correct(verdict: Verdict, case: Case) -> bool:
    """Whether a verdict is right; one that abstained or failed is not.

    A label is right if it is gold's (`case.is_right`); a preference if it is on gold's side, its strength apart; a
    ranking if its best is gold's best; a score if it lies on the same side of one half as gold's.

    Raises:
        DataError: the case has no gold, or gold does not say what is right for such an outcome.
    """
    gold = case.gold
    if gold is None:
        raise DataError(f"case {case.id!r} has no gold; a reward needs the case as it was given, not `trace.case`")
    if verdict.status != "scored":
        return False
    if verdict.label is not None and gold.label is not None:
        return is_right(verdict.label, gold.label)
    if verdict.preference is not None and (side := _side(gold)) is not None:
        return _sign(verdict.preference) == side
    if verdict.ranking is not None and gold.ranking:
        return verdict.ranking[0] == gold.ranking[0]
    if verdict.score is not None and gold.score is not None and gold.score != 0.5:
        return (verdict.score - 0.5) * (gold.score - 0.5) > 0
    raise DataError(f"case {case.id!r}: its gold does not say what is right for the outcome of this judge")


def well_formed(trace: Trace) -> bool:
    """Whether the last turn is a verdict in the format of its judge, and nothing else.

    That is one JSON object, or one `<think>` block and then one `<answer>` block, with no call beside them (the block
    of thought may have been taken out by the server). A turn whose verdict could not be read is out of the format.
    """
    if trace.verdict.status == "failed" or not trace.turns:
        return False
    said = trace.turns[-1].message_out
    text = said.get("content")
    if said.get("tool_calls") or not isinstance(text, str):
        return False
    if is_object(text):
        return True
    text = text.strip().lower()
    tags = _TAGS.findall(text)
    wanted = _BARE if said.get("reasoning") else _THOUGHT + _BARE
    if tags != wanted or not text.startswith(wanted[0]) or not text.endswith(wanted[-1]):
        return False
    return wanted is _BARE or not text.partition("</think>")[2].partition("<answer>")[0].strip()


def cited(trace: Trace) -> set[str]:
    """Ids of the evidence that the verdict cites, of what was shown in this trace; anything else counts for nothing."""
    return {ref.id for ref in trace.verdict.evidence if ref.id} & trace.shown.keys()


def cites_gold(trace: Trace, case: Case) -> bool:
    """Whether a whole group of gold evidence is cited; False where gold names none."""
    return case.gold is not None and complete_group(cited(trace), case.gold)


def tried(trace: Trace, tools: Collection[str] | None = None) -> bool:
    """Whether a tool was called, whatever came of it; of those with one of these names, if given."""
    return any(_counts(event, tools) for event in trace.events)


def succeeded(trace: Trace, tools: Collection[str] | None = None) -> bool:
    """Whether a tool brought a result; of those with one of these names, if given."""
    return any(event.status == "ok" and _counts(event, tools) for event in trace.events)


@dataclass(frozen=True, slots=True)
class ToolUse(Alone):
    """1 if a tool was called (`tried`), or brought a result (`succeeded`), else 0; the first such turn earned it."""

    what: Literal["tried", "succeeded"]
    tools: Collection[str] | None = None
    """Names of the tools that count; all when None."""
    low: ClassVar = 0.0
    high: ClassVar = 1.0

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Declared`."""
        return (f"tool {self.what}",)

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`; needs no gold."""
        if (found := masked(trace)) is not None:
            return found
        hits = [
            event.turn
            for event in trace.events
            if _counts(event, self.tools) and (self.what == "tried" or event.status == "ok")
        ]
        turns = tuple(float(number == min(hits, default=-1)) for number in range(len(trace.turns)))
        return of_parts({self.keys[0]: float(bool(hits))}, turn_rewards=turns)


@register("reward", "tool_tried")
def tool_tried(tools: Collection[str] | None = None) -> ToolUse:
    """1 if a tool was called, whatever came of it."""
    return ToolUse("tried", tools)


@register("reward", "tool_succeeded")
def tool_succeeded(tools: Collection[str] | None = None) -> ToolUse:
    """1 if a tool brought a result."""
    return ToolUse("succeeded", tools)


def _correct(trace: Trace, case: Case) -> float:
    return float(correct(trace.verdict, case))


def _neat(trace: Trace, case: Case) -> float:
    return float(well_formed(trace))


def _cites_gold(trace: Trace, case: Case) -> float:
    return float(cites_gold(trace, case))


CORRECT = Reads(_correct)
"""`correct`."""
NEAT = Reads(_neat)
"""`well_formed`."""
CITES_GOLD = Reads(_cites_gold)
"""`cites_gold`."""


def _counts(event: ToolEvent, tools: Collection[str] | None) -> bool:
    return tools is None or event.name in tools


def _side(gold: Gold) -> int | None:
    if gold.preference is not None:
        return _sign(gold.preference)
    return (1 if gold.ranking[0] else -1) if gold.ranking is not None and len(gold.ranking) == 2 else None


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def is_object(text: str) -> bool:
    """Whether the text is one JSON object and nothing else."""
    try:
        read_object(text)
    except ParseError:
        return False
    return True
