"""A judge's own graph, played from outside: the policy that an engine trains says the turns, the graph does the rest.

    episode = Episode(judge, case)
    request = await episode.begin()                     # what the model would have been asked
    request = await episode.say({"content": "", "tool_calls": [...]})   # None once the judgement is over
    trace = await episode.end()                         # typed records, for rewards

Tools are run by the graph, never by the engine, so a trace says what happened and not what a policy wrote about it.
`replay` plays a whole completion: its assistant's messages are said one after the other, and what it says of tool
results is not looked at; the tools are called again.

A policy that stops short is heard to say nothing from there on, which is an answer that cannot be read (`parse`): its
own fault, and nothing that masks it.
"""

import asyncio
import copy
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from agentjudge.budget import Budget
from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.models.base import Model, Request
from agentjudge.models.profiles import ModelProfile
from agentjudge.models.wire import read_message
from agentjudge.rewards.adapters.samples import Said, text_of
from agentjudge.trace import Message, Trace, Turn

_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
NOTHING: Message = {"content": ""}


@runtime_checkable
class Playable(Protocol):
    """What of a `Judge` is needed here."""

    spec: Any
    model: Model
    budget: Budget

    async def arun(self, case: Case) -> Trace:
        """The trace of one case."""
        ...


class Outside:
    """A model whose turns are said from outside."""

    name = "outside"

    def __init__(self, profile: ModelProfile) -> None:
        self.profile = profile
        self.asked: asyncio.Queue[Request] = asyncio.Queue()
        self.said: asyncio.Queue[Message] = asyncio.Queue()

    async def act(self, request: Request) -> Turn:
        """See `Model`."""
        self.asked.put_nowait(request)
        message = read_message(dict(await self.said.get()))
        return Turn(message, finish_reason="tool_calls" if message.get("tool_calls") else "stop")

    async def aclose(self) -> None:
        """Nothing to release."""


class Episode:
    """One judgement, from its opening to its trace; all of it on one event loop.

    Args:
        judge: whose graph, tools and budget they are; its model is not asked.
        case: what is judged.
    """

    def __init__(self, judge: Playable, case: Case) -> None:
        self._model = Outside(judge.model.profile)
        self._judge = copy.copy(judge)
        self._judge.model = self._model
        self._judge.budget = judge.budget.model_copy(update={"seconds": None})  # the engine's time, not the judge's
        self._case = case
        self._running: asyncio.Task[Trace] | None = None

    async def begin(self) -> Request | None:
        """Start the graph; what it asks first."""
        self._running = asyncio.create_task(self._judge.arun(self._case))
        return await self._next()

    async def say(self, message: Message) -> Request | None:
        """Take a turn; what the graph asks next, or None when it is done."""
        self._model.said.put_nowait(message)
        return await self._next()

    async def end(self) -> Trace:
        """The trace; whatever is still asked is answered with nothing."""
        if self._running is None:
            raise ConfigError("the episode has not begun")
        while not self._running.done():
            await self.say(NOTHING)
        return self._running.result()

    async def drop(self) -> None:
        """Break it off, for good."""
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.wait({self._running})

    async def _next(self) -> Request | None:
        assert self._running is not None
        asked = asyncio.ensure_future(self._model.asked.get())
        await asyncio.wait({asked, self._running}, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            return asked.result()
        asked.cancel()
        return None


async def replay(judge: Playable, case: Case, completion: Said) -> Trace:
    """The judgement that a completion amounts to."""
    episode = Episode(judge, case)
    request = await episode.begin()
    for message in turns_of(completion):
        if request is None:
            break
        request = await episode.say(message)
    return await episode.end()


def turns_of(completion: Said) -> list[Message]:
    """What the policy said, turn by turn; a text is one turn."""
    if isinstance(completion, str):
        return [spoken(completion)]
    return [_turn(message) for message in completion if message.get("role", "assistant") == "assistant"]


def spoken(text: str) -> Message:
    """A text as an assistant's message; `<tool_call>` blocks (Hermes, Qwen) in it are its calls."""
    calls = [{"function": _function(call)} for call in _CALL.findall(text)]
    return {"content": _CALL.sub("", text).strip(), "tool_calls": calls} if calls else {"content": text}


def _turn(message: Mapping[str, Any]) -> Message:
    text = text_of([message])
    calls = list(message.get("tool_calls") or [])
    return {"content": text, "tool_calls": calls} if calls else spoken(text)


def _function(call: str) -> dict[str, Any]:
    """A call as it was written; one that cannot be read has no name, and the tool box says so to the policy."""
    try:
        read = json.loads(call)
        return {"name": str(read["name"]), "arguments": read.get("arguments") or {}}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {"name": "", "arguments": call}
