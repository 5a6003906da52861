"""What the API keeps: records, traces, sessions, batches, in one folder of one server process.

    store = Store.open(Path("served"))
    await store.put_verdict(row)                     # of its owner
    await store.verdict(owner, id)                   # None where it is not this owner's
    served/api.sqlite  checkpoints.sqlite  owners/   .lock

Everything is asked for by owner and id together, so what belongs to another key cannot be told from what is not there.
One thread does it all, in order; once a call returns, no end of the process can lose what it wrote.
"""

import asyncio
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import orjson

from agentjudge.errors import StoreError, boundary
from agentjudge.runs.packing import dumps

T = TypeVar("T")
Kind = Literal["verdicts", "sessions", "batches"]
_TABLES = """
CREATE TABLE IF NOT EXISTS verdicts (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, owner TEXT, session TEXT, batch TEXT, place INTEGER,
    status TEXT, record TEXT, asked TEXT, trace TEXT);
CREATE INDEX IF NOT EXISTS by_owner ON verdicts (owner, n);
CREATE INDEX IF NOT EXISTS by_session ON verdicts (session, n);
CREATE INDEX IF NOT EXISTS by_batch ON verdicts (batch, place);
CREATE INDEX IF NOT EXISTS unfinished ON verdicts (status) WHERE status = 'running';
CREATE TABLE IF NOT EXISTS sessions (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, owner TEXT, data TEXT);
CREATE INDEX IF NOT EXISTS sessions_by_owner ON sessions (owner, n);
CREATE TABLE IF NOT EXISTS batches (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, owner TEXT, data TEXT);
"""


@dataclass(slots=True)
class Row:
    """A judgement, as it is kept."""

    id: str
    owner: str
    record: dict[str, Any]
    """As docs/api.md shows it."""
    asked: dict[str, Any]
    """What is needed to make it: `case` with names of files, `seconds`, `thread`, `first_turn`."""
    session: str | None = None
    batch: str | None = None
    place: int = 0

    @property
    def status(self) -> str:
        """Of its record."""
        return str(self.record["status"])


class Store:
    """The folder. Make it with `open`."""

    def __init__(self, folder: Path, base: sqlite3.Connection, lock: int, *, passing: bool) -> None:
        self.folder = folder
        self._passing = passing
        self._base, self._lock = base, lock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="agentjudge-api")

    @classmethod
    def open(cls, folder: Path, *, passing: bool = False) -> Self:
        """The store in a folder, which is made where it is absent.

        Args:
            folder: where.
            passing: it is removed at the end.

        Raises:
            StoreError: another process has it, or the disk refuses.
        """
        with boundary(StoreError, f"cannot keep anything in {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise StoreError(f"another server has {folder}; give each its own --store") from None
            base = sqlite3.connect(folder / "api.sqlite", check_same_thread=False, isolation_level=None)
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=NORMAL")
            base.executescript(_TABLES)
        return cls(folder, base, lock, passing=passing)

    async def _do(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with boundary(StoreError, "the store of the server failed"):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)

    # judgements

    async def put_verdicts(self, rows: Sequence[Row]) -> None:
        """Keep new judgements."""
        insert = (
            "INSERT INTO verdicts (id, owner, session, batch, place, status, record, asked) VALUES (?,?,?,?,?,?,?,?)"
        )

        def put() -> None:
            with self._base:
                self._base.execute("BEGIN")
                self._base.executemany(
                    insert,
                    [
                        (
                            *(row.id, row.owner, row.session, row.batch, row.place, row.status),
                            *(dumps(row.record).decode(), dumps(row.asked).decode()),
                        )
                        for row in rows
                    ],
                )

        await self._do(put)

    async def end_verdict(self, row: Row, trace: dict[str, Any] | None) -> None:
        """Keep how a judgement ended; one that was forgotten meanwhile stays so."""

        def put() -> None:
            told = None if trace is None else dumps(trace).decode()
            change = "UPDATE verdicts SET status = ?, record = ?, trace = ? WHERE id = ?"
            self._base.execute(change, (row.status, dumps(row.record).decode(), told, row.id))

        await self._do(put)

    async def verdict(self, owner: str, id: str) -> Row | None:
        """A judgement of this owner."""
        found = await self._rows("owner = ? AND id = ?", (owner, id))
        return found[0] if found else None

    async def trace(self, owner: str, id: str) -> str | None:
        """The trace of a judgement of this owner that has ended, as JSON."""
        query = "SELECT trace FROM verdicts WHERE owner = ? AND id = ?"
        row = await self._do(lambda: self._base.execute(query, (owner, id)).fetchone())
        return None if row is None else row[0]

    async def latest(self, owner: str, *, limit: int, before: str | None = None) -> list[Row]:
        """Judgements of this owner, newest first; those of batches apart."""
        older = "AND n < (SELECT n FROM verdicts WHERE id = ? AND owner = ?)" if before else ""
        given = (owner, before, owner, limit) if before else (owner, limit)
        return await self._rows(f"owner = ? AND batch IS NULL {older} ORDER BY n DESC LIMIT ?", given)

    async def of_session(self, owner: str, session: str) -> list[Row]:
        """Its judgements, in order."""
        return await self._rows("owner = ? AND session = ? ORDER BY n", (owner, session))

    async def of_batch(self, owner: str, batch: str, *, after: int = -1, limit: int = 200) -> list[Row]:
        """Its judgements behind a place, in order."""
        given = (owner, batch, after, limit)
        return await self._rows("owner = ? AND batch = ? AND place > ? ORDER BY place LIMIT ?", given)

    async def unfinished(self) -> list[Row]:
        """What was running when the server ended, of all owners."""
        return await self._rows("status = 'running' ORDER BY n", ())

    async def counts(self, owner: str, batch: str) -> dict[str, int]:
        """How many judgements of a batch have each status."""
        query = "SELECT status, count(*) FROM verdicts WHERE owner = ? AND batch = ? GROUP BY status"
        return dict(await self._do(lambda: self._base.execute(query, (owner, batch)).fetchall()))

    async def _rows(self, where: str, given: Sequence[Any]) -> list[Row]:
        query = f"SELECT id, owner, record, asked, session, batch, place FROM verdicts WHERE {where}"
        rows = await self._do(lambda: self._base.execute(query, given).fetchall())
        return [
            Row(id, owner, orjson.loads(record), orjson.loads(asked), *rest) for id, owner, record, asked, *rest in rows
        ]

    # sessions and batches

    async def put(self, kind: Kind, owner: str, id: str, data: dict[str, Any]) -> None:
        """Keep a session or a batch, or what has become of it."""
        query = (
            f"INSERT INTO {kind} (id, owner, data) VALUES (?,?,?) ON CONFLICT (id) DO UPDATE SET data = excluded.data"
        )
        await self._do(lambda: self._base.execute(query, (id, owner, dumps(data).decode())))

    async def get(self, kind: Kind, owner: str, id: str) -> dict[str, Any] | None:
        """A session or a batch of this owner."""
        query = f"SELECT data FROM {kind} WHERE owner = ? AND id = ?"
        row = await self._do(lambda: self._base.execute(query, (owner, id)).fetchone())
        return None if row is None else orjson.loads(row[0])

    async def all(self, kind: Kind, owner: str, *, limit: int) -> list[dict[str, Any]]:
        """Sessions or batches of this owner, newest first."""
        query = f"SELECT data FROM {kind} WHERE owner = ? ORDER BY n DESC LIMIT ?"
        rows = await self._do(lambda: self._base.execute(query, (owner, limit)).fetchall())
        return [orjson.loads(row[0]) for row in rows]

    async def cancel_batch(self, owner: str, batch: str) -> None:
        """Mark what is left of a batch as cancelled."""
        change = "UPDATE verdicts SET status = 'cancelled', record = json_set(record, '$.status', 'cancelled')"
        where = "owner = ? AND batch = ? AND status = 'running'"
        await self._do(lambda: self._base.execute(f"{change} WHERE {where}", (owner, batch)))

    async def forget(self, owner: str, *, verdict: str | None = None, session: str | None = None) -> None:
        """Take a judgement out, or a session with all of its own."""

        def take() -> None:
            with self._base:
                self._base.execute("BEGIN")
                of = (owner, verdict, session)
                self._base.execute("DELETE FROM verdicts WHERE owner = ? AND (id = ? OR session = ?)", of)
                self._base.execute("DELETE FROM sessions WHERE owner = ? AND id = ?", (owner, session))

        await self._do(take)

    def close(self) -> None:
        """Finish what waits, and let go of the folder."""
        self._thread.shutdown()
        self._base.close()
        os.close(self._lock)
        if self._passing:
            shutil.rmtree(self.folder, ignore_errors=True)
