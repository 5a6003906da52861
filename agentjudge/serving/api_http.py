"""Between HTTP and the API: server-sent events, JSON, and a status for everything that goes wrong."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from pydantic import ValidationError

from agentjudge.errors import AgentJudgeError, ConfigError, DataError, StoreError
from agentjudge.runs.packing import dumps
from agentjudge.serving.api_bodies import problems
from agentjudge.serving.api_desk import PATIENCE, Live
from agentjudge.serving.api_keys import Key
from agentjudge.serving.api_sessions import Engaged
from agentjudge.serving.api_steps import Event, replayed
from agentjudge.serving.api_work import Missing
from agentjudge.serving.rewards_desk import Busy
from agentjudge.serving.rewards_entries import Unavailable
from agentjudge.serving.rewards_http import Refused, retry_after
from agentjudge.trace import Trace

PING = 15.0
"""Seconds of silence after which a stream says that it is there."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def json_response(value: Any, code: int = 200, headers: dict[str, str] | None = None) -> Any:
    """An answer in JSON."""
    from starlette.responses import Response

    return Response(dumps(value), code, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def key_of(request: Any) -> Key:
    """The key of a request, which the door put there."""
    key = request.scope["agentjudge.key"]
    assert isinstance(key, Key)
    return key


async def answer(live: Live, *, stream: bool) -> Any:
    """The events of a judgement, or its record once it is there."""
    if stream:
        return event_stream(_followed(live, -1))
    event = await live.ended()
    if event.name == "verdict":
        return json_response(event.data)
    return json_response(event.data, 503, retry_after(PATIENCE))


def events_after(live: Live, after: int) -> Any:
    """The events of a judgement that is being made, behind a number."""
    return event_stream(_followed(live, after))


def replay(record: dict[str, Any], trace: Trace | None, after: int) -> Any:
    """The events of a judgement that has ended, behind a number."""

    async def lines() -> AsyncIterator[bytes]:
        for number, (name, data) in enumerate(_ended(record, trace)):
            if number > after:
                yield line(number, name, data)

    return event_stream(lines())


def _ended(record: dict[str, Any], trace: Trace | None) -> Iterable[Event]:
    unknown: dict[str, Any] = {"status": "running", "verdict": None, "sources": {}, "pictures": {}, "changed": None}
    yield "start", {**record, **unknown, "turns": record["first_turn"]}
    if trace is not None:
        yield from replayed(trace, record)
    if record["verdict"] is None:
        yield "error", {"detail": f"the judgement is {record['status']}"}
    else:
        yield "verdict", record


def event_stream(lines: AsyncIterator[bytes]) -> Any:
    """An answer of server-sent events."""
    from starlette.responses import StreamingResponse

    return StreamingResponse(lines, headers=HEADERS, media_type="text/event-stream")


async def _followed(live: Live, after: int) -> AsyncIterator[bytes]:
    async for events in live.follow(after=after, idle=PING):
        yield b"".join(line(*event) for event in events) or b": ping\n\n"


def line(number: int, name: str, data: dict[str, Any]) -> bytes:
    """An event as it is sent."""
    return f"id: {number}\nevent: {name}\ndata: ".encode() + dumps(data) + b"\n\n"


def refusal(exc: Exception) -> Any:
    """The answer to a request that cannot be done; raises again what is none of ours."""
    detail: Any = exc.message if isinstance(exc, AgentJudgeError) else str(exc)
    match exc:
        case Missing():
            return json_response({"detail": detail}, 404)
        case Engaged():
            return json_response({"detail": detail}, 409, retry_after(PATIENCE))
        case Busy(after=after):
            return json_response({"detail": detail}, 429, retry_after(after))
        case Unavailable(after=after):
            return json_response({"detail": detail}, 503, retry_after(after))
        case StoreError():
            return json_response({"detail": "the server cannot keep this now"}, 503, retry_after(PATIENCE))
        case Refused(code=code):
            return json_response({"detail": detail}, code)
        case DataError() | ConfigError():
            return json_response({"detail": detail}, 422)
        case ValidationError():
            return json_response({"detail": problems(exc)}, 422)
    raise exc
