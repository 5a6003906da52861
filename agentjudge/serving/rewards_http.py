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
"""

import asyncio
import math
import traceback
from collections import Counter
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
DEADLINE = "x-deadline-seconds"
MARGIN, MOST_MARGIN = 0.05, 0.1
"""Share of its time, and most seconds, that a request keeps for sending the answer."""
STATUSES = ("scored", "abstained", "failed")
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

    read: Callable[[Any, Any], Any]
    """What is asked, of the parsed body and of the request; called in a thread where the body is large."""
    reply: Callable[[Any, float], Awaitable[Reply]]
    """The answer by a time of the event loop's clock."""


class Door:
    """Answers requests by a route.

    Args:
        desk: where it is known whether the server drains.
        metrics: where it is counted.
        deadline: seconds that a request has at most.
        log: takes a line a request.
    """

    def __init__(self, desk: Desk, metrics: Metrics, *, deadline: float, log: LogLine | None) -> None:
        self._desk = desk
        self._metrics = metrics
        self._deadline = deadline
        self._log = log

    async def answer(self, path: str, route: Route, request: Any) -> Any:
        """The response to a request."""
        from starlette.responses import Response

        clock = asyncio.get_running_loop().time
        began = clock()
        self._metrics.in_flight.inc()
        try:
            reply = await self._reply(route, request, began)
        finally:
            self._metrics.in_flight.dec()
        seconds = clock() - began
        self._metrics.requests.labels(path, str(reply.code)).inc()
        self._metrics.request_seconds.labels(path).observe(seconds)
        counted = self._counted(reply.answers)
        if self._log is not None:
            self._log({"route": path, "code": reply.code, **counted, "seconds": round(seconds, 4)})
        return Response(orjson.dumps(reply.body), reply.code, reply.headers, "application/json")

    async def _reply(self, route: Route, request: Any, began: float) -> Reply:
        from starlette.exceptions import HTTPException
        from starlette.requests import ClientDisconnect

        try:
            if self._desk.draining:
                raise Unavailable(SHUT, after=1.0)
            seconds = self._seconds(request.headers.get(DEADLINE))
            async with asyncio.timeout_at(began + seconds):
                body = await request.body()
            if len(body) > LARGE:
                asked = await asyncio.to_thread(_read, route, body, request)
            else:
                asked = _read(route, body, request)
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
        except ClientDisconnect:
            return Reply({"detail": "the client hung up"}, 400)
        except HTTPException as exc:
            return Reply({"detail": exc.detail}, exc.status_code)
        except Exception as exc:
            if self._log is not None:
                at = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(exc.__traceback__)[-4:]]
                self._log({"error": type(exc).__name__, "at": at})
            return Reply({"detail": f"the reward server failed ({type(exc).__name__})"}, 500)

    def _seconds(self, header: str | None) -> float:
        if header is None:
            return self._deadline
        try:
            seconds = float(header)
        except ValueError:
            seconds = math.nan
        if not seconds > 0:
            raise DataError("X-Deadline-Seconds: expected seconds, more than 0")
        return min(seconds, self._deadline)

    def _counted(self, answers: Sequence[Answer]) -> dict[str, int]:
        counts = Counter(entry.status for answer in answers for entry in answer.entries)
        for status, count in counts.items():
            self._metrics.verdicts.labels(status).inc(count)
        missing = sum(entry.score is None for answer in answers for entry in answer.entries)
        if missing:
            self._metrics.unscored.inc(missing)
        cached, coalesced = sum(answer.cached for answer in answers), sum(answer.coalesced for answer in answers)
        line = {status: counts[status] for status in STATUSES if counts[status]}
        return {**line, "no_score": missing, "cached": cached, "coalesced": coalesced} if answers else {}


def _read(route: Route, body: bytes, request: Any) -> Any:
    return route.read(orjson.loads(body), request)


def retry_after(seconds: float) -> dict[str, str]:
    """The header that asks for so much patience; whole seconds, at least one."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
