"""Entries by the content of what was asked: in memory, and in a folder so that they outlive the server.

    cache = RewardCache(Path("cache"))
    cache.get(key)                      # entries, or None
    await cache.put(key, entries)       # once this returns, no end of the process can lose them

Only what lasts is put here; failures never are. The file is SQLite with a write-ahead log, which several processes may
share. One thread writes, everything that waits in one transaction; reading is a look-up by key and done at once. The
oldest rows go first. A disk that refuses costs the entries, not the answers.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

import orjson

from agentjudge.errors import ConfigError, StoreError, boundary
from agentjudge.serving.rewards_entries import Entry

FILE = "rewards.sqlite"
Entries = tuple[Entry, ...]
_Put = tuple[str, bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class RewardCache:
    """Entries by key, for one event loop.

    Args:
        folder: keeps them between runs; memory alone when None.
        entries: kept in memory; the least recently used are forgotten first.
        rows: kept in the file, about.

    Raises:
        ConfigError: no entries or no rows.
        StoreError: the folder cannot be written, or the file is something else.
    """

    def __init__(self, folder: Path | None = None, *, entries: int = 10_000, rows: int = 1_000_000) -> None:
        if entries < 1 or rows < 1:
            raise ConfigError(f"a cache keeps at least one answer, not {min(entries, rows)}")
        self._most = entries
        self._kept: OrderedDict[str, Entries] = OrderedDict()
        self._file = None if folder is None else _File(folder, rows)

    def get(self, key: str) -> Entries | None:
        """The entries under a key."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        data = self._file.get(key) if self._file else None
        if data is None:
            return None
        found = tuple(map(Entry.from_json, orjson.loads(data)))
        self._keep(key, found)
        return found

    async def put(self, key: str, entries: Entries) -> None:
        """Keep entries; returns when they are on the disk, where there is one."""
        self._keep(key, entries)
        if self._file:
            await self._file.put(key, orjson.dumps([entry.to_json() for entry in entries]))

    def _keep(self, key: str, entries: Entries) -> None:
        self._kept[key] = entries
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    @property
    def trouble(self) -> str:
        """Why the disk refused the last write; empty where it did not."""
        return self._file.trouble if self._file else ""

    def close(self) -> None:
        """Write what waits, and close the file."""
        if self._file:
            self._file.close()


class _File:
    """The table on the disk, and the thread that writes it."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._path, self._rows, self._puts = folder / FILE, rows, 0
        self.trouble = ""
        with boundary(StoreError, f"cannot keep rewards in {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            self._reading = self._connect()
            self._writing = self._connect()
        self._queue: SimpleQueue[_Put | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="agentjudge-rewards", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        base = sqlite3.connect(self._path, timeout=30, check_same_thread=False, isolation_level=None)
        try:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=NORMAL")  # a lost process loses nothing; a lost machine the last moments
            base.execute("CREATE TABLE IF NOT EXISTS rewards (key TEXT PRIMARY KEY, entries BLOB)")
        except sqlite3.Error:
            base.close()
            raise
        return base

    def get(self, key: str) -> bytes | None:
        with contextlib.suppress(sqlite3.Error):  # as if it were not there
            row = self._reading.execute("SELECT entries FROM rewards WHERE key = ?", (key,)).fetchone()
            return None if row is None else bytes(row[0])
        return None

    async def put(self, key: str, entries: bytes) -> None:
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        self._queue.put((key, entries, loop, written))
        await written

    def _write(self) -> None:
        over = False
        while not over:
            batch: list[_Put] = []
            item = self._queue.get()
            with contextlib.suppress(Empty):
                while item is not None:
                    batch.append(item)
                    item = self._queue.get_nowait()
                over = True
            self._commit([(key, entries) for key, entries, _, _ in batch])
            for loop in {loop for _, _, loop, _ in batch}:
                with contextlib.suppress(RuntimeError):  # a loop that is over waits for nothing
                    loop.call_soon_threadsafe(_done, [written for _, _, its, written in batch if its is loop])

    def _commit(self, rows: Sequence[tuple[str, bytes]]) -> None:
        try:
            with self._writing:
                self._writing.execute("BEGIN IMMEDIATE")
                self._writing.executemany("INSERT OR REPLACE INTO rewards VALUES (?, ?)", rows)
                self._puts += len(rows)
                if self._puts >= max(1, self._rows // 20):
                    self._puts = 0
                    oldest = "rowid <= (SELECT max(rowid) FROM rewards) - ?"
                    self._writing.execute(f"DELETE FROM rewards WHERE {oldest}", (self._rows,))
            self.trouble = ""
        except sqlite3.Error as exc:
            self.trouble = str(exc)

    def close(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._reading.close()
        self._writing.close()


def _done(written: "Sequence[asyncio.Future[None]]") -> None:
    for future in written:
        if not future.done():
            future.set_result(None)
