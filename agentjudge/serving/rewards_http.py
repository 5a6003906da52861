"""Between HTTP and the routes: a body is read by a deadline, what goes wrong has a status, all is counted and logged.

| status | when |
|---|---|
| 200 | answered; a case without a score says why |
| 400, 413, 422 | not JSON, too large, not of the route's form; the message names the field, never its content |
| 401 | no key |
| 408 | the body did not come before the deadline |
| 429 | the queue is full: Retry-After |
| 503 | nobody was asked, the judge is out or the server drains: Retry-After; or a trainer is to ask again |

A line of the log says which route, how many cases with which status, and how long it took. It has no text, no id and
no message of a judge in it, since these quote.

The routes are plain ASGI with orjson: for a small case, what FastAPI does around a handler takes longer than all that
is done here.
"""

import asyncio
import math
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from agentjudge.errors import ConfigError, DataError
from agentjudge.serving.rewards_desk import SHUT, Answer, Busy, Desk
from agentjudge.serving.rewards_entries import Unavailable
from agentjudge.serving.rewards_metrics import Metrics

LARGE = 1_000_000
"""Bytes from which a body is read in a thread."""
DEADLINE = b"x-deadline-seconds"
MARGIN, MOST_MARGIN = 0.05, 0.1
"""Share of its time, and most seconds, that a request keeps for sending the answer."""
LogLine = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is sent."""

    body: Any
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answers: Sequence[Answer] = ()
    """For the log and the metrics."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a path does."""

    read: Callable[[Any, str], Any]
    """What is asked, of the parsed body and of the query of the address; in a thread where the body is large."""
    reply: Callable[[Any, float], Awaitable[Reply]]
    """The answer by a time of the event loop's clock."""


class Refused(Exception):
    """A request that is not read to its end."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Door:
    """Answers POST requests by the routes.

    Args:
        routes: by path.
        desk: where it is known whether the server drains.
        metrics: where it is counted.
        deadline: seconds that a request has at most.
        max_body: bytes of a request at most.
        log: takes a line a request.
    """

    def __init__(
        self,
        routes: dict[str, Route],
        desk: Desk,
        metrics: Metrics,
        *,
        deadline: float,
        max_body: int,
        log: LogLine | None,
    ) -> None:
        self._routes = routes
        self._desk = desk
        self._metrics = metrics
        self._deadline = deadline
        self._max_body = max_body
        self._log = log

    def opens(self, scope: Any) -> bool:
        """Whether this is a request for one of the routes."""
        return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._routes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        path, clock = scope["path"], asyncio.get_running_loop().time
        began = clock()
        self._metrics.in_flight.inc()
        try:
            reply = await self._reply(self._routes[path], scope, receive, began)
        finally:
            self._metrics.in_flight.dec()
        seconds = clock() - began
        self._metrics.of("requests", path, str(reply.code)).inc()
        self._metrics.of("request_seconds", path).observe(seconds)
        counted = self._counted(reply.answers)
        if self._log is not None:
            self._log({"route": path, "code": reply.code, **counted, "seconds": round(seconds, 4)})
        await respond(send, orjson.dumps(reply.body), reply.code, reply.headers)

    async def _reply(self, route: Route, scope: Any, receive: Any, began: float) -> Reply:
        try:
            if self._desk.draining:
                raise Unavailable(SHUT, after=1.0)
            seconds = self._seconds(scope["headers"])
            async with asyncio.timeout_at(began + seconds):
                body = await self._body(receive)
            query = scope["query_string"].decode("latin-1")
            large = len(body) > LARGE
            asked = await asyncio.to_thread(_read, route, body, query) if large else _read(route, body, query)
            seconds = min(seconds, asked.deadline or seconds)
            return await route.reply(asked, began + seconds - min(MOST_MARGIN, MARGIN * seconds))
        except Unavailable as exc:
            return Reply({"detail": exc.message}, 503, {**retry_after(exc.after), "Connection": "close"})
        except Busy as exc:
            return Reply({"detail": str(exc)}, 429, retry_after(exc.after))
        except orjson.JSONDecodeError as exc:
            return Reply({"detail": f"not JSON: {exc.msg}"}, 400)
        except (DataError, ConfigError) as exc:
            return Reply({"detail": exc.message}, 422)
        except TimeoutError:
            return Reply({"detail": "the body did not come before the deadline"}, 408, {"Connection": "close"})
        except Refused as exc:
            return Reply({"detail": str(exc)}, exc.code, {"Connection": "close"})
        except Exception as exc:
            if self._log is not None:
                at = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(exc.__traceback__)[-4:]]
                self._log({"error": type(exc).__name__, "at": at})
            return Reply({"detail": f"the reward server failed ({type(exc).__name__})"}, 500)

    async def _body(self, receive: Any) -> bytes:
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the client hung up")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_body:
                raise Refused(413, f"the body is over {self._max_body} bytes")
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _seconds(self, headers: Sequence[tuple[bytes, bytes]]) -> float:
        given = next((value for name, value in headers if name == DEADLINE), None)
        if given is None:
            return self._deadline
        try:
            seconds = float(given)
        except ValueError:
            seconds = math.nan
        if not seconds > 0:
            raise DataError("X-Deadline-Seconds: expected seconds, more than 0")
        return min(seconds, self._deadline)

    def _counted(self, answers: Sequence[Answer]) -> dict[str, int]:
        """What the log says of answers; the metrics are told too."""
        if not answers:
            return {}
        line = {"no_score": 0, "cached": 0, "coalesced": 0}
        for answer in answers:
            line["cached"] += answer.cached
            line["coalesced"] += answer.coalesced
            for entry in answer.entries:
                self._metrics.of("verdicts", entry.status).inc()
                line[entry.status] = line.get(entry.status, 0) + 1
                line["no_score"] += entry.score is None
        if line["no_score"]:
            self._metrics.unscored.inc(line["no_score"])
        return line


async def respond(send: Any, body: bytes, code: int, headers: dict[str, str]) -> None:
    """Send a JSON answer."""
    told = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    told += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": code, "headers": told})
    await send({"type": "http.response.body", "body": body})


def _read(route: Route, body: bytes, query: str) -> Any:
    return route.read(orjson.loads(body), query)


def retry_after(seconds: float) -> dict[str, str]:
    """The header that asks for so much patience; whole seconds, at least one."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
