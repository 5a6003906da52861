"""The steps of a judgement as events: live, out of the stream of its graph, or later, out of its trace.

    teller = Teller(tell, context, turns=0)
    async for mode, part in graph.astream(..., stream_mode=["tasks", "values"]):
        if mode == "tasks":
            teller.note(part)
    replayed(trace, record)                   # the same events, but for turns that were not taken

`tell(name, data)` takes each event; names and fields are those of docs/api.md.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from agentjudge.case import Case
from agentjudge.evidence import EvidenceRef
from agentjudge.graphs.dialect import Dialect
from agentjudge.graphs.state import JudgeContext
from agentjudge.graphs.turns import text_of
from agentjudge.serving.api_sources import pictures_of, sources_of, told
from agentjudge.trace import ToolEvent, Trace, Turn, picture_names

Tell = Callable[[str, dict[str, Any]], None]
Event = tuple[str, dict[str, Any]]
TURNS = {"plan": "plan", "act": "act", "ask": "act", "conclude": "conclude"}
"""Nodes that ask the model, and the phase of their turns."""


class Teller:
    """Turns what a graph does into events, and gathers what was shown.

    Args:
        tell: takes an event.
        context: of the judgement.
        dialect: how calls are written.
        turns: that were taken before.
        events: tools' results before, for the names of pictures.
    """

    def __init__(
        self, tell: Tell, context: JudgeContext, dialect: Dialect, *, turns: int = 0, events: Iterable[ToolEvent] = ()
    ) -> None:
        self._tell, self._context, self._dialect = tell, context, dialect
        self._next = turns
        self._begun: dict[str, int] = {}
        self._events = list(events)
        self.sources: dict[str, Any] = {}
        """By evidence id, of everything shown."""
        self.pictures: dict[str, Any] = {}
        """By SHA-256, of everything given or shown."""

    def given(self, case: Case, opening: Iterable[EvidenceRef] = ()) -> None:
        """Gather what the case itself shows."""
        self.sources |= sources_of(opening, self._context.store)
        self.pictures |= pictures_of({sha: name for name, sha in picture_names(case, []).items()}, self._context.store)

    def note(self, task: dict[str, Any]) -> None:
        """A task of the graph begins, or has ended."""
        name = task["name"]
        if "result" not in task:
            if name in TURNS:
                self._begin(task["id"], TURNS[name])
            return
        result = task["result"]
        if "opening" in result and "case" in result:
            self.given(result["case"], result["opening"])
        turns = result.get("turns", ())
        if name in TURNS:
            number = self._begun.pop(task["id"], self._next)
            for turn in turns:
                self._taken(number, turn)
            if not turns and number == self._next - 1:
                self._next = number
        for event in result.get("events", ()):
            if isinstance(event, ToolEvent):  # or that one was taken back
                self._result(event)

    def _begin(self, task: str, phase: str) -> None:
        self._begun[task] = number = self._next
        self._next += 1
        if phase == "conclude":
            self._tell("conclude", {"turn": number})
        else:
            self._tell("turn_started", {"turn": number, "phase": phase})

    def _taken(self, number: int, turn: Turn) -> None:
        calls = self._dialect.calls(turn.message_out, self._context.tools.tools) if turn.phase == "act" else []
        self._tell("turn", _turn(number, turn, [call.id for call in calls]))
        for call in calls:
            self._tell("tool_call", {"turn": number, "call_id": call.id, "name": call.name, "args": _args(call.args)})

    def _result(self, event: ToolEvent) -> None:
        store = self._context.store
        first = sum(len(earlier.images) for earlier in self._events) + 1
        self._events.append(event)
        names = {sha: f"observation_{number}" for number, sha in enumerate(event.images, first)}
        sources, pictures = sources_of(event.refs, store), pictures_of(names, store)
        self.sources |= sources
        self.pictures = pictures | self.pictures
        self._tell("tool_result", _result(event, sources, pictures))


def replayed(trace: Trace, record: dict[str, Any]) -> Iterator[Event]:
    """The events of an ended judgement, its `start` and its end apart.

    Args:
        trace: its own; of a session it holds the earlier ones too.
        record: of the judgement, with `first_turn`.
    """
    for number in range(record["first_turn"], len(trace.turns)):
        turn = trace.turns[number]
        if turn.phase == "conclude":
            yield "conclude", {"turn": number}
        else:
            yield "turn_started", {"turn": number, "phase": turn.phase}
        events = [event for event in trace.events if event.turn == number]
        yield "turn", _turn(number, turn, [event.call_id for event in events])
        for event in events:
            given = {"turn": number, "call_id": event.call_id, "name": event.name, "args": event.args}
            yield "tool_call", given
        for event in events:
            sources = {ref.id: record["sources"][ref.id] for ref in event.refs if ref.id in record["sources"]}
            pictures = {sha: record["pictures"][sha] for sha in event.images if sha in record["pictures"]}
            yield "tool_result", _result(event, sources, pictures)


def _turn(number: int, turn: Turn, calls: list[str]) -> dict[str, Any]:
    usage = turn.usage
    tokens = {"prompt": usage.prompt_tokens, "cached": usage.cached_tokens, "completion": usage.completion_tokens}
    said = {"turn": number, "phase": turn.phase, "text": text_of(turn.message_out), "calls": calls}
    return {**said, "tokens": tokens, "seconds": turn.seconds}


def _args(args: Any) -> Any:
    """The arguments as an object, or the text that is none."""
    if not isinstance(args, str):
        return args
    try:
        found = orjson.loads(args or "{}")
    except orjson.JSONDecodeError:
        return args
    return found if isinstance(found, dict) else args


def _result(event: ToolEvent, sources: dict[str, Any], pictures: dict[str, Any]) -> dict[str, Any]:
    return {
        "turn": event.turn,
        "call_id": event.call_id,
        "name": event.name,
        "args": event.args,
        "status": event.status,
        "error": event.error,
        "evidence": [told(ref) for ref in event.refs],
        "images": list(event.images),
        "sources": sources,
        "pictures": pictures,
        "data": event.data,
        "seconds": event.seconds,
    }
