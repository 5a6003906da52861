"""Batches: many cases judged in the background, with progress, an end, and results in order.

    batches = Batches(work)
    data = await batches.start(key, wanted)              # every case is on the disk once this returns
    await batches.progress(key, id)
    async for line in batches.results(key, id): ...
    await batches.recover()                              # at the start: batches that were broken off go on

A batch takes no more than half of the judgements that the server makes at once, so somebody who waits is not behind it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from agentjudge.runs.packing import dumps
from agentjudge.serving.api_desk import Live
from agentjudge.serving.api_keys import Key
from agentjudge.serving.api_store import Row
from agentjudge.serving.api_work import Missing, Wanted, Work, new_id, now
from agentjudge.serving.rewards_desk import SHUT
from agentjudge.serving.rewards_entries import Unavailable

CANCELLED = "the batch was cancelled"


class Batches:
    """Batches of all owners.

    Args:
        work: makes the judgements.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._running: dict[str, asyncio.Task[None]] = {}

    async def start(self, key: Key, wanted: Sequence[Wanted], named: dict[str, str | None]) -> dict[str, Any]:
        """Keep the cases and begin; the batch.

        Args:
            key: whose.
            wanted: the judgements.
            named: judge and corpus as they were named, to be told.

        Raises:
            Unavailable: the server is shutting down.
        """
        if self._work.desk.draining:
            raise Unavailable(SHUT, after=2.0)
        id = new_id("b")
        rows = [self._work.row(key.name, _of(each, id, place)) for place, each in enumerate(wanted)]
        data = {"id": id, "status": "running", "created": now(), "total": len(rows), "limit": key.concurrency, **named}
        await self._work.store.put("batches", key.name, id, data)
        await self._work.store.put_verdicts(rows)
        self._go(key.name, data)
        return await self.progress(key, id)

    async def recover(self) -> int:
        """Go on with what a sudden end broke off; the number of batches."""
        found = {(row.owner, row.batch) for row in await self._work.store.unfinished() if row.batch is not None}
        for owner, id in found:
            data = await self._work.store.get("batches", owner, id or "")
            if data is not None:
                self._go(owner, data)
        return len(found)

    def _go(self, owner: str, data: dict[str, Any]) -> None:
        most = max(1, min(data["limit"] or self._work.limits.concurrency, self._work.limits.concurrency // 2))
        self._running[data["id"]] = asyncio.create_task(self._run(owner, data, most))

    async def _run(self, owner: str, data: dict[str, Any], most: int) -> None:
        id, flights = data["id"], set[asyncio.Task[Any]]()
        try:
            async for row in self._left(owner, id):
                while len(flights) >= most:
                    _, flights = await asyncio.wait(flights, return_when=asyncio.FIRST_COMPLETED)
                if self._work.desk.draining:
                    return
                live = await self._work.again(row)
                flights.add(asyncio.create_task(_over(live)))
            if flights:
                await asyncio.wait(flights)
            if not self._work.desk.draining:
                await self._work.store.put("batches", owner, id, {**data, "status": "done"})
        finally:
            for flight in flights:
                flight.cancel()
            self._running.pop(id, None)

    async def _left(self, owner: str, id: str) -> AsyncIterator[Row]:
        after = -1
        while rows := await self._work.store.of_batch(owner, id, after=after):
            for row in rows:
                if row.status == "running":
                    yield row
            after = rows[-1].place

    async def progress(self, key: Key, id: str) -> dict[str, Any]:
        """How far it is.

        Raises:
            Missing: this key has none of this id.
        """
        data = await self._found(key, id)
        counts = await self._work.store.counts(key.name, id)
        each = {status: counts.get(status, 0) for status in ("scored", "abstained", "failed")}
        told = {name: data[name] for name in ("id", "status", "judge", "corpus", "created", "total")}
        return {**told, "done": sum(each.values()), **each, "cancelled": counts.get("cancelled", 0)}

    async def cancel(self, key: Key, id: str) -> dict[str, Any]:
        """Judge no more of it; what is being made is broken off.

        Raises:
            Missing: this key has none of this id.
        """
        data = await self._found(key, id)
        if data["status"] == "running":
            await self._work.store.put("batches", key.name, id, {**data, "status": "cancelled"})
            task = self._running.get(id)
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
            async for row in self._left(key.name, id):
                await self._work.desk.stop(row.id, CANCELLED)
            await self._work.store.cancel_batch(key.name, id)
        return await self.progress(key, id)

    async def results(self, key: Key, id: str) -> AsyncIterator[bytes]:
        """The records of what has ended, as JSON lines in the order of the cases."""
        after = -1
        while rows := await self._work.store.of_batch(key.name, id, after=after):
            yield b"".join(dumps(row.record) + b"\n" for row in rows if row.status != "running")
            after = rows[-1].place

    async def close(self) -> None:
        """Begin nothing more."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _found(self, key: Key, id: str) -> dict[str, Any]:
        data = await self._work.store.get("batches", key.name, id)
        if data is None:
            raise Missing("no such batch")
        return data


async def _over(live: Live) -> None:
    await live.ended()


def _of(wanted: Wanted, batch: str, place: int) -> Wanted:
    return Wanted(wanted.case, wanted.judge, wanted.corpus, wanted.seconds, batch=batch, place=place)
