"""What goes over the wire: the conversation as an OpenAI-compatible server takes it, and its reply as a turn.

Both directions are plain functions. Outwards, our own keys are dropped, pictures are put in place of their references
(or into a user turn after the tool results, for models that take none inside them), and tool calls with broken
arguments are made readable, for a server refuses a conversation with broken JSON in it. Inwards, a reply either has the
agreed shape or is `Garbled`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from agentjudge.errors import ModelError
from agentjudge.models.transport import Garbled
from agentjudge.trace import Message, Turn, TurnUsage

KEPT = ("role", "content", "tool_calls", "tool_call_id", "name")
Picture = Callable[[str], Any]
"""From a picture's SHA-256 to its content part."""


def render(
    messages: Sequence[Message], *, picture: Picture, image_in_tool: bool, reasoning: bool = False
) -> list[dict[str, Any]]:
    """The conversation as a server takes it.

    Args:
        messages: with pictures as `image_ref` parts.
        picture: makes the content part of a picture.
        image_in_tool: leave pictures in `tool` messages; otherwise one user turn after a run of tool messages shows
            them, each under the name of its tool.
        reasoning: give assistant messages their `reasoning` back, so that a template that keeps it repeats the prompt
            of the turn before.
    """
    kept = (*KEPT, "reasoning") if reasoning else KEPT
    rendered: list[dict[str, Any]] = []
    waiting: list[Any] = []
    for message in messages:
        if waiting and message["role"] != "tool":
            rendered.append({"role": "user", "content": waiting})
            waiting = []
        plain = {key: message[key] for key in kept if key in message}
        if calls := plain.get("tool_calls"):
            plain["tool_calls"] = [_readable(call) for call in calls]
        if isinstance(content := plain.get("content"), list):
            parts = [picture(part["image"]) if part["type"] == "image_ref" else part for part in content]
            if message["role"] == "tool" and not image_in_tool:
                pictures = [part for part, was in zip(parts, content, strict=True) if was["type"] == "image_ref"]
                plain["content"] = "\n".join(part["text"] for part in content if part["type"] == "text")
                if pictures:
                    note = {"type": "text", "text": f"Shown by {message.get('name') or 'the tool'}:"}
                    waiting += [note, *pictures]
            else:
                plain["content"] = parts
        rendered.append(plain)
    if waiting:
        rendered.append({"role": "user", "content": waiting})
    return rendered


def _readable(call: dict[str, Any]) -> dict[str, Any]:
    """The call, its arguments a JSON object; what cannot be read as one stands in `unreadable`."""
    function = call["function"]
    try:
        if isinstance(orjson.loads(function["arguments"]), dict):
            return call
    except orjson.JSONDecodeError:
        pass
    arguments = orjson.dumps({"unreadable": function["arguments"]}).decode()
    return {**call, "function": {**function, "arguments": arguments}}


def dump(body: dict[str, Any]) -> bytes:
    """The body as JSON; lone surrogates, which UTF-8 cannot hold, become question marks."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return orjson.dumps(_scrubbed(body))


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_scrubbed(key): _scrubbed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(item) for item in value]
    return value


def read_turn(data: bytes, *, alternatives: bool = False) -> Turn:
    """The turn in a reply of `/chat/completions`.

    An empty answer is a turn with empty content. Log-probabilities that are not one a sampled token are dropped: None
    stops training, a shifted list would not.

    Args:
        data: the reply.
        alternatives: keep the texts of the sampled tokens and the likeliest ones beside them, as far as they are told.

    Raises:
        Garbled: not JSON, or not of the agreed shape.
        ModelError: the model declined, or the server withheld the answer.
    """
    try:
        reply = orjson.loads(data)
        choice = reply["choices"][0]
        said = choice["message"]
        message = _message(said)
        finish = str(choice.get("finish_reason") or "stop")
        output_ids = choice.get("token_ids")
        logprobs = read_logprobs(choice)
        if output_ids is not None and logprobs is not None and len(output_ids) != len(logprobs):
            logprobs = None
        beside = read_beside(choice.get("logprobs")) if alternatives and logprobs is not None else Beside()
        turn = Turn(
            message_out=message,
            prompt_ids=reply.get("prompt_token_ids"),
            output_ids=output_ids,
            logprobs=logprobs,
            tokens=beside.tokens,
            alternatives=beside.alternatives,
            finish_reason=finish,
            model_version=str(reply.get("model") or ""),
            usage=_usage(reply.get("usage") or {}),
        )
    except orjson.JSONDecodeError as exc:
        raise Garbled(f"{len(data)} bytes, no JSON: {exc}") from exc
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        told = data[:200].decode("utf-8", "replace")
        raise Garbled(f"not a chat completion, {type(exc).__name__}: {exc}: {told}") from exc
    if said.get("refusal"):
        raise ModelError(f"the model declined: {str(said['refusal'])[:300]}")
    if finish == "content_filter":
        raise ModelError("the server's content filter withheld the answer")
    if finish == "abort":
        raise Garbled("the server broke the answer off")
    return turn


def read_message(said: dict[str, Any]) -> Message:
    """An assistant message in the form in which it is kept: content as text, whole calls, the reasoning's one name.

    Raises:
        Garbled: not of OpenAI's shape.
    """
    try:
        return _message(said)
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        raise Garbled(f"not an assistant message, {type(exc).__name__}: {exc}") from exc


def _message(said: dict[str, Any]) -> Message:
    content = said.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    message: Message = {"role": "assistant", "content": content if isinstance(content, str) else ""}
    if calls := said.get("tool_calls"):
        message["tool_calls"] = [_call(call, number) for number, call in enumerate(calls)]
    if reasoning := said.get("reasoning") or said.get("reasoning_content"):
        message["reasoning"] = str(reasoning)
    return message


def _call(call: dict[str, Any], number: int) -> dict[str, Any]:
    """A call with all its parts: an id, a name, and its arguments as text."""
    function = call["function"]
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = orjson.dumps({} if arguments is None else arguments).decode()
    named = {"name": str(function["name"]), "arguments": arguments}
    return {"id": str(call.get("id") or f"call_{number}"), "type": "function", "function": named}


def read_logprobs(choice: dict[str, Any]) -> list[float] | None:
    """The log-probability of each sampled token in an OpenAI choice, or None.

    Raises:
        Garbled: not of OpenAI's shape.
    """
    try:
        content = (choice.get("logprobs") or {}).get("content")
        return None if content is None else [float(entry["logprob"]) for entry in content]
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        raise Garbled(f"not log-probabilities, {type(exc).__name__}: {exc}") from exc


class Beside(NamedTuple):
    """The sampled tokens as texts, and what stood beside them; None where a server does not tell."""

    tokens: list[str] | None = None
    alternatives: list[dict[str, float]] | None = None


def read_beside(logprobs: Any) -> Beside:
    """Tokens and alternatives of OpenAI's `logprobs`, as `Turn` has them. What is of another shape is left out."""
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return Beside()
    tokens = [_token(entry) for entry in entries]
    known = [token for token in tokens if token is not None]
    if len(known) < len(tokens):
        return Beside()
    found = [_alternatives(entry.get("top_logprobs")) for entry in entries]
    return Beside(known, found if any(found) else None)


def _token(entry: dict[str, Any]) -> str | None:
    """The text of a token, by its bytes where they are told: a token may be part of a letter."""
    raw, text = entry.get("bytes"), entry.get("token")
    if isinstance(raw, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in raw):
        return bytes(raw).decode("utf-8", "surrogateescape")
    return text if isinstance(text, str) else None


def _alternatives(entries: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        token, logprob = _token(entry), entry.get("logprob")
        if token is not None and isinstance(logprob, int | float) and math.isfinite(logprob) and logprob <= 0:
            found[token] = summed(found.get(token), logprob)
    return found


def summed(logprob: float | None, other: float) -> float:
    """The logarithm of the sum of two probabilities, to 6 decimals."""
    if logprob is None:
        return round(other, 6)
    low, high = sorted((logprob, other))
    return round(high + math.log1p(math.exp(low - high)), 6)


def _usage(usage: dict[str, Any]) -> TurnUsage:
    details = usage.get("prompt_tokens_details") or {}
    return TurnUsage(
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
    )
