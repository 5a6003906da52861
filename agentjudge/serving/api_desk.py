"""Judgements that are being made: who waits for what, how many at once, and an orderly end.

    desk = ApiDesk(concurrency=64, queue=1024)
    live = desk.begin("v_1", owner="web", limit=8, work=work)     # raises `Busy`; `work(live)` makes it
    async for events in live.follow(): ...         # all of them from the beginning, those that are there together
    await desk.drain(30.0)

A judgement belongs to nobody's connection: who hangs up loses nothing, and several may follow one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from agentjudge.serving.rewards_desk import LAST, SHUT, Busy
from agentjudge.serving.rewards_entries import Unavailable

PATIENCE = 2.0
"""Seconds after which there may be room again, told where nothing better is known."""


class LiveEvent(NamedTuple):
    """An event of a judgement, with its number from 0."""

    number: int
    name: str
    data: dict[str, Any]


class Live:
    """A judgement that is being made, and everything told of it so far."""

    def __init__(self, id: str, owner: str) -> None:
        self.id, self.owner = id, owner
        self.events: list[LiveEvent] = []
        self.over = False
        self.reason = ""
        """Why it was broken off."""
        self.task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()

    def tell(self, name: str, data: dict[str, Any]) -> None:
        """Add an event."""
        self.events.append(LiveEvent(len(self.events), name, data))
        self._wake()

    def end(self, name: str, data: dict[str, Any]) -> None:
        """Add the last event, `verdict` or `error`; a second end changes nothing."""
        if not self.over:
            self.over = True
            self.tell(name, data)

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    async def follow(self, *, after: int = -1, idle: float | None = None) -> AsyncIterator[list[LiveEvent]]:
        """The events behind a number, as they come, and none where nothing came for `idle` seconds."""
        place = max(0, after + 1)
        while True:
            if events := self.events[place:]:
                place += len(events)
                yield events
            elif self.over:
                return
            else:
                try:
                    async with asyncio.timeout(idle):
                        await self._more.wait()
                except TimeoutError:
                    yield []

    async def ended(self) -> LiveEvent:
        """The last event."""
        while not self.over:
            await self._more.wait()
        return self.events[-1]


class ApiDesk:
    """For one event loop.

    Args:
        concurrency: judgements at once.
        queue: judgements that run or wait for their turn; more are refused.
    """

    def __init__(self, *, concurrency: int, queue: int) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._queue = queue
        self._live: dict[str, Live] = {}
        self._owners: Counter[str] = Counter()
        self.draining = False
        self.running = 0

    @property
    def in_flight(self) -> int:
        """Judgements that run, or wait for their turn."""
        return len(self._live)

    def live(self, id: str) -> Live | None:
        """A judgement that is being made."""
        return self._live.get(id)

    def admit(self, owner: str, limit: int | None) -> None:
        """Refuse what there is no room for.

        Raises:
            Busy: over the owner's limit, or the queue is full.
            Unavailable: the server is shutting down.
        """
        if self.draining:
            raise Unavailable(SHUT, after=PATIENCE)
        if len(self._live) >= self._queue:
            raise Busy(PATIENCE)
        if limit is not None and self._owners[owner] >= limit:
            raise Busy(PATIENCE)

    def begin(
        self, id: str, *, owner: str, limit: int | None, work: Callable[[Live], Awaitable[None]], admitted: bool = False
    ) -> Live:
        """Start a judgement.

        Args:
            id: its own.
            owner: whose.
            limit: judgements of the owner at once.
            work: makes it in a `slot`, telling events and the end.
            admitted: it has its place already, such as one that is resumed.

        Raises:
            Busy: as `admit`.
            Unavailable: as `admit`.
        """
        if not admitted:
            self.admit(owner, limit)
        live = self._live[id] = Live(id, owner)
        self._owners[owner] += 1
        live.task = asyncio.create_task(self._work(live, work))
        return live

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place among those that are made at once; waits for its turn."""
        async with self._slots:
            self.running += 1
            try:
                yield
            finally:
                self.running -= 1

    async def _work(self, live: Live, work: Callable[[Live], Awaitable[None]]) -> None:
        try:
            await work(live)
        except asyncio.CancelledError:
            live.end("error", {"detail": live.reason or SHUT})
        except Exception as exc:
            live.end("error", {"detail": f"the server failed ({type(exc).__name__})"})
            raise
        finally:
            live.end("error", {"detail": "the judgement ended without a word"})
            del self._live[live.id]
            self._owners[live.owner] -= 1

    async def stop(self, id: str, reason: str) -> None:
        """Break a judgement off, if it is being made; returns once it is."""
        live = self._live.get(id)
        if live is not None and live.task is not None:
            live.reason = reason
            live.task.cancel()
            await asyncio.wait([live.task], timeout=10)

    async def drain(self, seconds: float) -> None:
        """Take nothing new, wait for what is in flight, and break off what is left after so many seconds."""
        self.draining = True
        tasks = [live.task for live in self._live.values() if live.task is not None]
        if tasks and seconds > 0:
            await asyncio.wait(tasks, timeout=seconds)
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=LAST)
