"""Where conversations are kept between steps: LangGraph's checkpoints, in SQLite or Postgres.

    async with open_checkpoints(None, Path("served")) as saver:                    # served/checkpoints.sqlite
    async with open_checkpoints("postgresql://me@host/judge", folder) as saver:
        graph = judge.spec.compile(checkpointer=saver)

Only our own types are read back out of a database. A turn's message is the very object that stands in the list of
messages, and references stand in tuples, which a database cannot know; `linked` makes it so again.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agentjudge.boxes import Box
from agentjudge.budget import Spent
from agentjudge.case import (
    ActionChoice,
    Claim,
    Comparison,
    Document,
    Gold,
    PagedDocument,
    Response,
    Step,
    Trajectory,
)
from agentjudge.errors import ConfigError, StoreError, boundary, require
from agentjudge.evidence import EvidenceRef
from agentjudge.graphs.state import Freed
from agentjudge.trace import ToolEvent, Turn, TurnUsage
from agentjudge.verdict import Confidence, Criterion, Failure, Provenance, Usage, Verdict

FILE = "checkpoints.sqlite"
TYPES = (
    *(ActionChoice, Claim, Comparison, Response, Trajectory, Step, Document, PagedDocument, Gold),
    *(Turn, TurnUsage, ToolEvent, EvidenceRef, Box, Spent, Freed),
    *(Verdict, Criterion, Confidence, Failure, Usage, Provenance),
)
"""What stands in the state of a judgement."""
CONNECTIONS = 16
"""To Postgres, at most."""


@asynccontextmanager
async def open_checkpoints(url: str | None, folder: Path) -> AsyncIterator[Any]:
    """LangGraph's checkpointer, as long as the block lasts.

    Args:
        url: of Postgres, `postgresql://...`; SQLite when None.
        folder: holds the file of SQLite.

    Raises:
        ConfigError: another kind of address, or a missing extra.
        StoreError: the database cannot be had.
    """
    check_url(url)
    async with _sqlite(folder / FILE) if url is None else _postgres(url) as saver:
        yield saver


def check_url(url: str | None) -> None:
    """Refuse an address that is none of Postgres.

    Raises:
        ConfigError: it is not.
    """
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError(f"checkpoints are kept in SQLite or at postgresql://..., not at {url.partition('://')[0]!r}")


@asynccontextmanager
async def _sqlite(path: Path) -> AsyncIterator[Any]:
    aiosqlite = require("aiosqlite", extra="serve")
    saving = require("langgraph.checkpoint.sqlite.aio", extra="serve")

    class Saver(saving.AsyncSqliteSaver):  # type: ignore[name-defined, misc]
        async def aget_tuple(self, config: Any) -> Any:
            return linked(await super().aget_tuple(config))

    with boundary(StoreError, f"cannot keep checkpoints in {path}"):
        connection = await aiosqlite.connect(path)
    try:
        with boundary(StoreError, f"cannot keep checkpoints in {path}"):
            saver = Saver(connection, serde=_serializer())
            await saver.setup()
            await connection.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing
        yield saver
    finally:
        await connection.close()


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Any]:
    saving = require("langgraph.checkpoint.postgres.aio", extra="postgres")
    pools, rows = require("psycopg_pool", extra="postgres"), require("psycopg.rows", extra="postgres")

    class Saver(saving.AsyncPostgresSaver):  # type: ignore[name-defined, misc]
        async def aget_tuple(self, config: Any) -> Any:
            return linked(await super().aget_tuple(config))

    how = {"autocommit": True, "prepare_threshold": 0, "row_factory": rows.dict_row}
    pool = pools.AsyncConnectionPool(url, max_size=CONNECTIONS, kwargs=how, open=False)
    with boundary(StoreError, "cannot reach Postgres for the checkpoints"):
        await pool.open(wait=True, timeout=20)
    try:
        saver = Saver(pool, serde=_serializer())
        with boundary(StoreError, "cannot keep checkpoints in Postgres"):
            await saver.setup()
        yield saver
    finally:
        await pool.close()


def _serializer() -> Any:
    serde = require("langgraph.checkpoint.serde.jsonplus", extra="postgres")
    return serde.JsonPlusSerializer(allowed_msgpack_modules=[(kind.__module__, kind.__qualname__) for kind in TYPES])


def linked(saved: Any) -> Any:
    """A checkpoint whose turns hold the messages of its list again, those of unfinished steps too; None stays None."""
    if saved is None:
        return None
    values = saved.checkpoint["channel_values"]
    _as_made(values)
    link(values.get("turns") or (), values.get("messages") or ())
    written: dict[str, dict[str, list[Any]]] = defaultdict(lambda: {"turns": [], "messages": []})
    for task, channel, value in saved.pending_writes or ():
        _as_made({channel: value})
        if channel in ("turns", "messages"):
            written[task][channel] += value
    for lists in written.values():
        link(lists["turns"], lists["messages"])
    return saved


def _as_made(values: dict[str, Any]) -> None:
    """Make tuples of what a database gives back as lists; references cannot be compared or written otherwise."""
    if "opening" in values:
        values["opening"] = tuple(values["opening"])
    for turn in values.get("turns") or ():
        turn.messages_in = tuple(turn.messages_in)
    for event in values.get("events") or ():
        if isinstance(event, ToolEvent):
            event.refs, event.images = tuple(event.refs), tuple(event.images)


def link(turns: Sequence[Turn], messages: Sequence[Any]) -> None:
    """Give turns the messages of a list that equal theirs, each message to one turn."""
    free = [message for message in messages if isinstance(message, dict) and message.get("role") == "assistant"]
    for turn in turns:
        place = next((number for number, message in enumerate(free) if message == turn.message_out), None)
        if place is not None:
            turn.message_out = free.pop(place)
