"""The API for tests: in this process with a scripted or the embedded model, or as a user starts it."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from serve_processes import Process

from agentjudge.demo import CORPUS
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel
from agentjudge.serving.api_app import ApiApp, Watch, create_app
from agentjudge.serving.api_bench import Bench
from agentjudge.serving.api_keys import Key, KeyRing
from agentjudge.serving.api_store import Store
from agentjudge.serving.api_work import ApiLimits
from agentjudge.serving.guards import digest

CALL = {"tool_calls": [{"function": {"name": "retrieve", "arguments": {"query": "Linus Torvalds born"}}}]}


def said(label: str | None, *cited: str, reason: str = "So it stands.") -> str:
    """A verdict of the judge of claims."""
    confidence = None if label is None else 0.9
    return json.dumps({"reason": reason, "evidence": list(cited), "label": label, "confidence": confidence})


class Hesitant:
    """A scripted model: looks once, then says SUPPORT; after an objection REFUTE, with what was added.

    A claim with `wait N` keeps it for N seconds in its first turn; `gate` keeps it in every second one.
    """

    def __init__(self) -> None:
        self.gate: asyncio.Event | None = None
        self.asked = 0

    async def __call__(self, request: Request) -> Any:
        self.asked += 1
        text = json.dumps([message.get("content") for message in request.messages])
        if found := re.search(r"wait (\d+(?:\.\d+)?)", text):
            await asyncio.sleep(float(found[1]))
        roles = [message["role"] for message in request.messages]
        if "assistant" not in roles and request.tools:
            return CALL
        if self.gate is not None:
            await self.gate.wait()
        last = next(message for message in reversed(request.messages) if message["role"] == "user")
        again = "objects to it" in json.dumps(last) or "Judge the case again" in json.dumps(last)
        added = [ref.id for ref in request.opening if ref.id]
        known = [ref.id for event in request.events for ref in event.refs]
        return said("REFUTE", *(added or known)[:1]) if again else said("SUPPORT", *known[:1])


class Sse(NamedTuple):
    """An event as it came."""

    id: int
    name: str
    data: dict[str, Any]


def events_in(text: str) -> list[Sse]:
    """The events of a stream."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if lines:
            found.append(Sse(int(lines["id"]), lines["event"], json.loads(lines["data"])))
    return found


def ring(**keys: dict[str, Any]) -> KeyRing:
    """Keys by the secret that is sent, `k_NAME` for an owner NAME."""
    return KeyRing([(digest(f"k_{name}".encode()), Key(name=name, **how)) for name, how in keys.items()])


@asynccontextmanager
async def api(
    folder: Path,
    say: Any = None,
    *,
    judges: tuple[str, ...] = ("veri-r1",),
    model: Any = None,
    limits: ApiLimits | None = None,
    corpora: dict[str, tuple[str, ...]] | None = None,
    watch: Watch | None = None,
    **how: Any,
) -> AsyncIterator["Client"]:
    """A client of an application in this process."""
    model = model or ScriptedModel(say or Hesitant())
    bench = Bench.load(judges, model=model, corpora={"demo": (str(CORPUS),)} if corpora is None else corpora)
    app = create_app(bench, Store.open(folder), limits=limits, watch=watch, **how)
    async with (
        app.app.router.lifespan_context(app.app),
        Client(app, transport=httpx.ASGITransport(app=app), base_url="http://x", timeout=60) as client,
    ):
        yield client


class Client(httpx.AsyncClient):
    """With the application at hand."""

    def __init__(self, app: ApiApp, **how: Any) -> None:
        super().__init__(**how)
        self.app = app

    async def events(self, path: str, body: Any = None, **how: Any) -> list[Sse]:
        """The events of a stream, to its end."""
        reply = await self.post(path, json=body, params={"stream": "true"}, **how)
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"].startswith("text/event-stream")
        return events_in(reply.text)


@contextmanager
def process(*arguments: str, env: dict[str, str] | None = None, life: float = 900) -> Iterator[Process]:
    """A server process that is gone afterwards, and after `life` seconds in any case."""
    server = Process(*arguments, env={"OMP_NUM_THREADS": "1", **(env or {})}, life=life, ends=180)
    try:
        yield server
    finally:
        server.gone()


def until(true: Callable[[], bool], *, seconds: float = 180) -> None:
    """Wait for something that is to come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
