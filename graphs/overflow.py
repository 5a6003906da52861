"""What happens when a tool's result does not fit into the model's context: it is taken back, and the judge concludes.

A server refuses a conversation that is too long as a whole, so a result with its pictures is either in the prompt with
all its tokens or not at all. The text and the pictures of the newest results make way together, in the messages, in
the events and in the evidence that may be cited; if the conclusion has no room either, the results before them do.
Only a case that is too long by itself fails.
"""

from dataclasses import replace
from typing import Any

from agentjudge.budget import Spent
from agentjudge.graphs.dialect import Dialect
from agentjudge.graphs.state import Instead, JudgeContext, State
from agentjudge.graphs.turns import free
from agentjudge.tools.base import ToolCall
from agentjudge.trace import Message, ToolEvent

WITHHELD = "withheld: there is no room for it in the model's context"


def refused_for_room(
    call: ToolCall, event: ToolEvent, context: JudgeContext, dialect: Dialect
) -> tuple[ToolEvent, Message]:
    """The record of a result that is not shown, and the message that says so in its place."""
    gone = replace(event, status="failed", refs=(), images=(), data={}, error=WITHHELD)
    return gone, dialect.observe(call, f"({WITHHELD})", (), context, calls_left=0)


def withhold(state: State, context: JudgeContext, dialect: Dialect) -> State | None:
    """The update that takes back the newest results that are still there, and concludes; None where there is none."""
    events = state.get("events", [])
    places = [i for i, message in enumerate(state.get("messages", [])) if message["role"] == "tool"]
    there = [number for number, event in enumerate(events) if event.error != WITHHELD]
    if not there:
        return None
    newest = [number for number in there if events[number].turn == events[there[-1]].turn]
    results: list[Any] = []
    outcomes: list[Any] = []
    for number in newest:
        call = ToolCall(events[number].call_id, events[number].name, events[number].args)
        gone, said = refused_for_room(call, events[number], context, dialect)
        outcomes.append(Instead(number, gone))
        results.append(Instead(places[number], said))
    unseen = Spent(images=-sum(len(events[number].images) for number in newest))
    update: State = {"messages": results, "events": outcomes, "spent": unseen, "freed": free(state, context, results)}
    return {**update, "exhausted": "context", "next": "conclude"}
