"""Answers of a judge, kept by the content of the question: the same pair on the same page is judged once.

    cache = AnswerCache(entries=4096, file="answers.sqlite")
    verdict, known = await cache.answer(question.key(pair), lambda: judge_it(pair))

A key is the SHA-256 of goal, page, history, pictures and candidates in the order shown, and of all that the judge's
verdicts depend on: its prompts, model, sampling, budget and seed. Ids do not count, but for those of repeats and
tie-breaks, which are meant to be asked again. A question that is being asked is not asked a second time: whoever wants
to know waits, in whatever thread or event loop. If it is given up, one of those who wait asks it. Verdicts that failed
are handed to all who wait, and kept for nobody.

In memory the least recently used are forgotten first. On disk they are in an SQLite file that several processes may
share.
"""

import asyncio
import hashlib
import json
import re
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from agentjudge import __version__
from agentjudge.case import ActionChoice
from agentjudge.errors import ConfigError, StoreError, boundary
from agentjudge.verdict import Verdict

_AGAIN = re.compile(r"~(?:r\d+|tiebreak)")
_SHA = re.compile(r"[0-9a-f]{64}")


class Question(NamedTuple):
    """What all questions about one case have in common."""

    case_id: str
    digest: str

    @classmethod
    def of(cls, case: ActionChoice, settings: dict[str, Any]) -> "Question":
        """What a judge with these settings is asked about a case; reads the case's pictures."""
        left_out = {name: True for name in ("id", "gold", "metadata", "candidates", "thoughts", "images")}
        shown = case.model_dump(mode="json", exclude=left_out | {"history": {"__all__": {"screenshot"}}})
        pictures = [[_content(path) for path in case.images]]
        pictures += [[_content(step.screenshot)] if step.screenshot else [] for step in case.history]
        return cls(case.id, _digest([__version__, shown, pictures, settings]))

    def key(self, case: ActionChoice) -> str:
        """The key of one question: the case with some of its candidates, under an id that begins with its own."""
        again = _AGAIN.findall(case.id.removeprefix(self.case_id))
        return _digest([self.digest, case.candidates, case.thoughts, again])


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _content(path: str) -> str:
    """The SHA-256 of a picture's bytes; its path where it cannot be read, which the judge will tell."""
    if _SHA.fullmatch(path):
        return path
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return path


class AnswerCache:
    """Verdicts by key. Safe for threads, event loops and, on disk, processes.

    Args:
        entries: verdicts kept in memory.
        file: SQLite file that keeps them between runs; none when None.
        rows: verdicts kept in the file, about; the least recently used go first.

    Raises:
        ConfigError: no entries or no rows.
        StoreError: the file cannot be opened, or is something else.
    """

    def __init__(self, *, entries: int = 4096, file: str | Path | None = None, rows: int = 200_000) -> None:
        if entries < 1 or rows < 1:
            raise ConfigError(f"a cache keeps at least one answer, not {min(entries, rows)}")
        self._entries = entries
        self._kept: OrderedDict[str, Verdict] = OrderedDict()
        self._asked: dict[str, Future[Verdict | None]] = {}
        self._lock = threading.Lock()
        self._file = None if file is None else _File(Path(file), rows)

    def __len__(self) -> int:
        """Verdicts in memory."""
        return len(self._kept)

    async def answer(self, key: str, ask: Callable[[], Awaitable[Verdict]]) -> tuple[Verdict, bool]:
        """The verdict under a key, and whether it was there, or asked for by somebody else.

        Args:
            key: see `Question.key`.
            ask: gets the verdict; whatever it raises is raised here, and nobody else learns of it.

        Raises:
            StoreError: the file cannot be read or written.
        """
        while True:
            with self._lock:
                if (found := self._kept.get(key)) is not None:
                    self._kept.move_to_end(key)
                    return found, True
                running = self._asked.get(key)
                if running is None:
                    mine = self._asked[key] = Future()
                    mine.set_running_or_notify_cancel()  # so that nobody who gives up waiting can cancel it
            if running is None:
                return await self._ask(key, ask, mine)
            shared = await asyncio.wrap_future(running)
            if shared is not None:
                return shared, True

    async def _ask(
        self, key: str, ask: Callable[[], Awaitable[Verdict]], mine: "Future[Verdict | None]"
    ) -> tuple[Verdict, bool]:
        verdict = None
        try:
            verdict = await asyncio.to_thread(self._file.get, key) if self._file else None
            known = verdict is not None
            verdict = verdict or await ask()
            if verdict.status != "failed":
                self._keep(key, verdict)
                if self._file and not known:
                    await asyncio.to_thread(self._file.put, key, verdict)
            return verdict, known
        finally:
            with self._lock:
                del self._asked[key]
            mine.set_result(verdict)

    def _keep(self, key: str, verdict: Verdict) -> None:
        with self._lock:
            self._kept[key] = verdict
            self._kept.move_to_end(key)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._file:
            self._file.close()

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _File:
    """An SQLite table of verdicts. Calls wait for each other."""

    def __init__(self, path: Path, rows: int) -> None:
        self._rows, self._puts, self._lock, self._path = rows, 0, threading.Lock(), path
        with boundary(StoreError, f"cannot keep answers in {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            try:
                self._base.execute("PRAGMA journal_mode=WAL")
                self._base.execute("PRAGMA synchronous=NORMAL")
                self._base.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, verdict TEXT, used REAL)")
                self._base.execute("CREATE INDEX IF NOT EXISTS oldest ON answers (used)")
            except sqlite3.Error:
                self._base.close()
                raise

    def get(self, key: str) -> Verdict | None:
        with self._lock, boundary(StoreError, f"cannot read answers in {self._path}"):
            row = self._one("UPDATE answers SET used = ? WHERE key = ? RETURNING verdict", (time.time(), key))
            return None if row is None else Verdict.model_validate_json(row[0])

    def put(self, key: str, verdict: Verdict) -> None:
        with self._lock, boundary(StoreError, f"cannot keep answers in {self._path}"):
            self._one("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, verdict.model_dump_json(), time.time()))
            self._puts += 1
            if self._puts % max(1, self._rows // 20) == 0:
                old = "SELECT key FROM answers ORDER BY used DESC LIMIT -1 OFFSET ?"
                self._one(f"DELETE FROM answers WHERE key IN ({old})", (self._rows,))

    def _one(self, sql: str, values: Iterable[Any]) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = next(iter(self._base.execute(sql, tuple(values)).fetchall()), None)
        return found

    def close(self) -> None:
        with self._lock:
            self._base.close()
