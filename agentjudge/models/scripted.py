"""A model that says what a file tells it to: `scripted:FILE`.

A file of JSON lines. A line is either a list of turns, said in every case that has none of its own, or an object with
turns for one case:

    [{"tool_calls": [{"function": {"name": "retrieve", "arguments": {"query": "bridge"}}}]}, "SUPPORT, I think."]
    {"case": "c1", "turns": ["It opened in 1932."]}

A turn is an assistant message in OpenAI's shape, or its content alone; `logprobs` in it, as in OpenAI's choices, are
what judges get to see that ask for alternatives. Which turn is next follows from the conversation, not from a counter:
nothing is remembered between calls, so a script serves any number of judgements at once and in any order, and a
judgement that is resumed goes on where it was.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from agentjudge.errors import ConfigError, DataError, ModelError
from agentjudge.models.base import Request
from agentjudge.models.profiles import GENERIC, ModelProfile
from agentjudge.models.transport import Garbled
from agentjudge.models.wire import read_beside, read_logprobs, read_message
from agentjudge.registry import register
from agentjudge.trace import Message, Turn

Said = str | Message | Turn
"""Content, an assistant message, or a whole turn."""
Script = Sequence[Said] | Mapping[str, Sequence[Said]] | Callable[[Request], Said | Awaitable[Said]]
EVERY = ""
"""Key of the turns for cases without turns of their own."""


class ScriptedModel:
    """A model that replays turns, or answers with what a function makes of the request.

    Args:
        script: turns for every case; turns by case id, those under `""` for all other cases; or a function of the
            request, which may be a coroutine function.
        name: the string it was loaded from.
        profile: what the judge shall take it for.
    """

    def __init__(self, script: Script, *, name: str = "scripted", profile: ModelProfile = GENERIC) -> None:
        self.name = name
        self.profile = profile
        self._answer = script if callable(script) else None
        self._turns: Mapping[str, Sequence[Said]] = {}
        if isinstance(script, Mapping):
            self._turns = script
        elif not callable(script):
            self._turns = {EVERY: script}

    async def act(self, request: Request) -> Turn:
        """Say the next turn.

        Raises:
            ModelError: the script is over, or has nothing for this case.
        """
        if self._answer is None:
            turn = _turn(self._next(request))
        else:
            said = self._answer(request)
            turn = _turn(await said if inspect.isawaitable(said) else said)
        return turn if request.alternatives else replace(turn, tokens=None, alternatives=None)

    def _next(self, request: Request) -> Said:
        turns = self._turns.get(request.case.id, self._turns.get(EVERY))
        if turns is None:
            raise ModelError(f"the script has no turns for case {request.case.id!r}")
        number = _written(turns, request) if request.continue_last else _answered(request)
        if number >= len(turns):
            raise ModelError(f"the script for case {request.case.id!r} is over after {len(turns)} turns")
        return turns[number]

    async def aclose(self) -> None:
        """Nothing to release."""


def _answered(request: Request) -> int:
    """How many turns were taken: the assistant's messages."""
    return sum(message["role"] == "assistant" for message in request.messages)


def _written(turns: Sequence[Said], request: Request) -> int:
    """How many turns stand in the one assistant text that tag protocols go on writing."""
    text, at = str(request.messages[-1]["content"]), 0
    for number, turn in enumerate(turns):
        content = _turn(turn).message_out["content"]
        found = text.find(content, at)
        if found < 0:
            return number
        at = found + len(content)
    return len(turns)


def _turn(said: Said) -> Turn:
    if isinstance(said, Turn):
        return said
    message = {"content": said} if isinstance(said, str) else said
    turn = Turn(message_out=read_message(message), model_version="scripted")
    turn.logprobs = read_logprobs(message)
    turn.tokens, turn.alternatives = read_beside(message.get("logprobs"))
    if turn.message_out.get("tool_calls"):
        turn.finish_reason = "tool_calls"
    return turn


@register("model", "scripted")
def scripted(rest: str) -> ScriptedModel:
    """Replays turns from a file of JSON lines: `scripted:FILE`."""
    if not rest:
        raise ConfigError("name the file of turns: scripted:FILE")
    return ScriptedModel(read_script(Path(rest)), name=f"scripted:{rest}")


def read_script(path: Path) -> dict[str, list[Said]]:
    """The turns of a file, by case id.

    Raises:
        DataError: the file cannot be read or is no script; the message names the line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        raise DataError(f"cannot read the script {path}: {exc.strerror}") from exc
    script: dict[str, list[Said]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case, turns = _read_line(orjson.loads(line))
        except (ValueError, Garbled) as exc:
            raise DataError(f"{path}, line {number}: {exc}") from exc
        if case in script:
            raise DataError(f"{path}, line {number}: {f'case {case!r}' if case else 'every case'} has turns already")
        script[case] = turns
    if not script:
        raise DataError(f"the script {path} is empty")
    return script


def _read_line(line: Any) -> tuple[str, list[Said]]:
    """The case and the turns of a line; turns are tried here so that a slip is told at once."""
    case: Any = EVERY
    if isinstance(line, dict):
        case, line = line.get("case"), line.get("turns")
    if not isinstance(case, str) or not isinstance(line, list):
        raise ValueError('neither a list of turns nor {"case": ID, "turns": [...]}')
    for number, turn in enumerate(line, 1):
        if not isinstance(turn, str | dict):
            raise ValueError(f"turn {number} is neither text nor a message")
        _turn(turn)
    return case, line
