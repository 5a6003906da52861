"""What flows through a judge's graph, and what stands beside it.

The state is append-only: OpenAI-shaped messages, turns, tool events, counters. Only a result that the model had no
room for is taken back (`agentjudge.graphs.overflow`). Nothing in it is large, so a checkpointer may save it at every
step. Models, tools and the evidence store ride in the runtime context.
"""

import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from agentjudge.budget import Budget, Limit, Spent
from agentjudge.case import Case
from agentjudge.evidence import EvidenceRef, EvidenceStore
from agentjudge.models.base import Model, Sampling
from agentjudge.prompts import Fence
from agentjudge.tools.base import ToolBox
from agentjudge.trace import Message, ToolEvent, Turn, shown_evidence
from agentjudge.verdict import Confidence, Criterion, Usage, Verdict

Next = Literal["plan", "act", "tools", "conclude", "check", "end"]


class Instead(NamedTuple):
    """In an update of a list of the state: an entry that takes the place of another one."""

    place: int
    entry: Any


def grow(entries: list[Any], update: Sequence[Any]) -> list[Any]:
    """The reducer of the state's lists: appends, but for what is `Instead` of an entry that is there."""
    grown = [*entries, *(entry for entry in update if not isinstance(entry, Instead))]
    for entry in update:
        if isinstance(entry, Instead):
            grown[entry.place] = entry.entry
    return grown


@dataclass(frozen=True, slots=True)
class Freed:
    """What was taken back of a conversation that the server had counted already."""

    turns: int = 0
    """Turns taken by then: the next count knows of it."""
    tokens: int = 0
    """Tokens, estimated."""
    rate: float = 0.0
    """Characters a token, as counted before; 0 for not known."""


class State(TypedDict, total=False):
    """State of one judgement. The only input is `case`, a `Case` or its JSON form."""

    case: Case
    messages: Annotated[list[Message], grow]
    turns: Annotated[list[Turn], operator.add]
    events: Annotated[list[ToolEvent], grow]
    opening: tuple[EvidenceRef, ...]
    spent: Annotated[Spent, operator.add]
    exhausted: Limit | None
    """The limit that ended the free turns, if one did."""
    problem: str
    """What was wrong with the last conclusion."""
    next: Next
    """The edge to take."""
    verdict: Verdict
    freed: Freed


@dataclass(slots=True)
class JudgeContext:
    """What a judgement works with. One a case: the store and the clock belong to it."""

    judge: str
    model: Model
    tools: ToolBox
    store: EvidenceStore
    budget: Budget
    sampling: Sampling
    fence: Fence
    seed: int | None = None
    prompt_hash: str = ""
    started: float = field(default_factory=time.perf_counter)

    @property
    def elapsed(self) -> float:
        """Seconds since the judgement began."""
        return time.perf_counter() - self.started

    def seconds_left(self, *, keep: bool) -> float | None:
        """Seconds until the budget ends; with `keep`, until the part kept for the conclusion begins."""
        seconds = self.budget.seconds
        if seconds is None:
            return None
        reserve = min(self.budget.answer_seconds, seconds / 2) if keep else 0.0
        return max(0.0, seconds - reserve - self.elapsed)


class Opening(NamedTuple):
    """The first messages of a judgement and the evidence that stands in them."""

    messages: list[Message]
    refs: tuple[EvidenceRef, ...] = ()


@dataclass(slots=True)
class Draft:
    """A verdict as the model wrote it: evidence by citation id, not yet checked against what was shown."""

    label: str | None = None
    score: float | None = None
    preference: int | None = None
    ranking: tuple[int, ...] | None = None
    step_scores: tuple[float, ...] | None = None
    abstained: bool = False
    cited: Sequence[str] = ()
    criteria: tuple[Criterion, ...] = ()
    confidence: Confidence | None = None
    probabilities: dict[str, float] | None = None
    rationale: str = ""
    complaints: Sequence[str] = ()
    """Faults worth one repair turn, but not worth the verdict."""

    def outcome(self) -> dict[str, Any]:
        """The fields of `Verdict` that say what was decided; empty for an abstention."""
        if self.abstained:
            return {}
        names = ("label", "score", "preference", "ranking", "step_scores", "confidence", "probabilities")
        return {name: getattr(self, name) for name in names} | {"criteria": self.criteria}


def shown(state: State) -> dict[str, EvidenceRef]:
    """All evidence shown so far, by citation id."""
    return shown_evidence(state.get("opening", ()), state.get("events", []))


def usage_of(state: State, context: JudgeContext) -> Usage:
    """The cost of the judgement so far."""
    turns = state.get("turns", [])
    return Usage(
        turns=len(turns),
        tool_calls=len(state.get("events", [])),
        prompt_tokens=sum(turn.usage.prompt_tokens for turn in turns),
        cached_tokens=sum(turn.usage.cached_tokens for turn in turns),
        completion_tokens=sum(turn.usage.completion_tokens for turn in turns),
        images=state.get("spent", Spent()).images,
        seconds=round(context.elapsed, 6),
        budget_exhausted=state.get("exhausted"),
    )
