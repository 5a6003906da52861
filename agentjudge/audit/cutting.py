"""A judgement without a piece of what it was shown: the result of one call, or one sentence of one.

    without_result(trace, 0)             # the first call brought nothing
    without_sentence(trace, "d:3")       # what a tool showed, without this sentence; None where it does not stand there

What the model had said by then stays as it was, its plan and its calls too: only what it was shown is taken away.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agentjudge.prompts import Fence
from agentjudge.tools.citing import plain
from agentjudge.trace import Message, ToolEvent, Trace

NOTHING = "Nothing was found."
"""What stands in the place of a result."""


def without_result(trace: Trace, place: int) -> Trace:
    """The judgement with nothing in the place of what one call brought.

    Args:
        trace: any.
        place: index of the call in `events`.
    """
    call = trace.events[place]

    def message(said: Message) -> Message:
        return {**said, "content": NOTHING} if said.get("tool_call_id") == call.call_id else said

    def event(each: ToolEvent) -> ToolEvent:
        return replace(each, refs=(), images=(), data={}) if each is call else each

    return _edited(trace, message, event)


def without_sentence(trace: Trace, id: str) -> Trace | None:
    """The judgement without a sentence that its tools showed, wherever they did; None where none did, word for word."""
    ref = next((ref for event in trace.events for ref in event.refs if ref.id == id and ref.quote), None)
    if ref is None or ref.quote is None:
        return None
    line, quote = Fence.escape(plain(ref.quote)), ref.quote

    def message(said: Message) -> Message:
        return _without(said, line) if said.get("role") == "tool" else said

    def event(each: ToolEvent) -> ToolEvent:
        return replace(each, refs=tuple(r for r in each.refs if r.id != id), data=_without(each.data, quote))

    cut = _edited(trace, message, event)
    return None if cut.messages == trace.messages else cut


def _edited(trace: Trace, message: Callable[[Message], Message], event: Callable[[ToolEvent], ToolEvent]) -> Trace:
    messages = [message(said) for said in trace.messages]
    now = {id(old): new for old, new in zip(trace.messages, messages, strict=True)}
    turns = [replace(turn, message_out=now[id(turn.message_out)]) for turn in trace.turns]
    return replace(trace, messages=messages, turns=turns, events=[event(each) for each in trace.events])


def _without(value: Any, text: str) -> Any:
    """A JSON value with a text taken out of every string in it."""
    if isinstance(value, str):
        return value.replace(text, "")
    if isinstance(value, dict):
        return {key: _without(each, text) for key, each in value.items()}
    return [_without(each, text) for each in value] if isinstance(value, list) else value
