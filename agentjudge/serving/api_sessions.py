"""Sessions: a case that is judged, objected to, added to, and judged again, in one conversation.

    sessions = Sessions(work)
    id, live = await sessions.start(key, wanted)
    await sessions.add(key, id, Evidence(documents=("ab12../memo.txt",)))
    live = await sessions.judge(key, id, words="look again at the second sentence")

A judge with one conversation is gone on with in it; one that asks about each part of a case by itself judges the case
anew. Whatever was added is part of the case from then on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from agentjudge.case import Case, Document, parse_case
from agentjudge.errors import ConfigError, DataError
from agentjudge.graphs.fanout import FanJudge
from agentjudge.serving.api_desk import Live
from agentjudge.serving.api_files import shown
from agentjudge.serving.api_judge import texts_file
from agentjudge.serving.api_keys import Key
from agentjudge.serving.api_store import Row
from agentjudge.serving.api_work import Missing, Wanted, Work, new_id, now

ENGAGED = "a verdict of this session is being made; wait for it"


class Engaged(DataError):
    """The session is at a verdict."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is added to a case."""

    texts: tuple[Document, ...] = ()
    images: tuple[str, ...] = ()
    """Names of uploads."""
    documents: tuple[str, ...] = ()
    """Names of uploads."""

    @property
    def pieces(self) -> int:
        """How many."""
        return len(self.texts) + len(self.images) + len(self.documents)


class Sessions:
    """Sessions of all owners.

    Args:
        work: makes the judgements.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lives: dict[str, Live] = {}
        self._engaged: set[str] = set()

    async def start(self, key: Key, wanted: Wanted) -> tuple[str, Live]:
        """Start a session with its first judgement.

        Raises:
            Busy: there is no room.
            Unavailable: the server is shutting down.
        """
        self._work.desk.admit(key.name, key.concurrency)
        id = new_id("s")
        case = wanted.case.model_dump(mode="json", exclude={"gold", "metadata"})
        data = {"id": id, "judge": wanted.judge, "corpus": wanted.corpus, "created": now(), "case": case}
        await self._work.store.put("sessions", key.name, id, {**data, "seconds": wanted.seconds, "pending": 0})
        return id, await self._begun(key, replace(wanted, session=id))

    async def judge(self, key: Key, id: str, *, words: str | None = None) -> Live:
        """Judge again, after an objection where there is one.

        Raises:
            Missing: this key has no such session.
            Engaged: a verdict is being made.
            ConfigError: the judge takes no objections.
        """
        with self._alone(id):
            return await self._judge(key, id, words)

    async def _judge(self, key: Key, id: str, words: str | None) -> Live:
        data, rows = await self._found(key, id)
        spec = self._work.bench.spec(data["judge"])
        fresh = isinstance(spec, FanJudge)
        if words is not None and fresh:
            name = data["judge"]
            raise ConfigError(f"{name!r} asks about each part by itself and takes no words; add evidence and ask again")
        self._free(id, rows)
        self._work.desk.admit(key.name, key.concurrency)
        last = rows[-1] if rows else None
        turns = 0 if fresh or last is None else int(last.record["turns"])
        thread = last.asked["thread"] if last is not None and turns else None
        await self._work.store.put("sessions", key.name, id, {**data, "pending": 0})
        case = parse_case(data["case"])
        wanted = Wanted(case, data["judge"], data["corpus"], seconds=data["seconds"], words=words, session=id)
        return await self._begun(key, replace(wanted, thread=thread, first_turn=turns))

    async def _begun(self, key: Key, wanted: Wanted) -> Live:
        assert wanted.session is not None
        self._lives = {id: live for id, live in self._lives.items() if not live.over}
        live = self._lives[wanted.session] = await self._work.begin(key, wanted)
        return live

    async def add(self, key: Key, id: str, evidence: Evidence) -> dict[str, Any]:
        """Add evidence to the case; the session.

        Raises:
            Missing: this key has no such session.
            Engaged: a verdict is being made.
            DataError: nothing is added, or a text has the id of a document that is there.
        """
        if not evidence.pieces:
            raise DataError("nothing is added: give texts, images or documents")
        with self._alone(id):
            return await self._add(key, id, evidence)

    async def _add(self, key: Key, id: str, evidence: Evidence) -> dict[str, Any]:
        data, rows = await self._found(key, id)
        self._free(id, rows)
        case = parse_case(data["case"])
        ids = [document.id for document in (*case.documents, *evidence.texts) if isinstance(document, Document)]
        if len(set(ids)) < len(ids):
            raise DataError("texts: one has the id of a document that is there already; give it another")
        images = (*case.images, *(name for name in evidence.images if name not in case.images))
        new = [name for name in evidence.documents if name not in case.documents]
        case = case.model_copy(update={"images": images, "documents": (*case.documents, *evidence.texts, *new)})
        self._work.files(key.name).count(case)
        data |= {"case": case.model_dump(mode="json"), "pending": data["pending"] + evidence.pieces}
        await self._work.store.put("sessions", key.name, id, data)
        return self._told(data, rows)

    async def resume(self, key: Key, id: str) -> Live | Row:
        """The judgement that is being made, or else the last one.

        Raises:
            Missing: this key has no such session, or it has no judgement.
        """
        _, rows = await self._found(key, id)
        if not rows:
            raise Missing("this session has no verdict; ask for one")
        live, last = self._running(id, rows), rows[-1]
        if live is None and last.status == "running":
            return await self._work.again(last)
        return live or last

    async def get(self, key: Key, id: str) -> dict[str, Any]:
        """A session with its records.

        Raises:
            Missing: this key has none of this id.
        """
        return self._told(*await self._found(key, id))

    async def all(self, key: Key, *, limit: int) -> list[dict[str, Any]]:
        """Sessions, newest first, with their records."""
        found = await self._work.store.all("sessions", key.name, limit=limit)
        return [self._told(data, await self._work.store.of_session(key.name, data["id"])) for data in found]

    async def forget(self, key: Key, id: str) -> None:
        """Break off what is being made, and forget it all.

        Raises:
            Missing: this key has none of this id.
        """
        _, rows = await self._found(key, id)
        for row in rows:
            await self._work.desk.stop(row.id, "the session was deleted")
        await self._work.store.forget(key.name, session=id)
        for thread in {row.asked["thread"] for row in rows}:
            await self._work.saver.adelete_thread(thread)
            texts_file(self._work.files(key.name).blobs, thread).unlink(missing_ok=True)

    async def _found(self, key: Key, id: str) -> tuple[dict[str, Any], list[Row]]:
        data = await self._work.store.get("sessions", key.name, id)
        if data is None:
            raise Missing("no such session")
        return data, await self._work.store.of_session(key.name, id)

    @contextmanager
    def _alone(self, id: str) -> Iterator[None]:
        """Change a session while nobody else does."""
        if id in self._engaged:
            raise Engaged(ENGAGED)
        self._engaged.add(id)
        try:
            yield
        finally:
            self._engaged.discard(id)

    def _free(self, id: str, rows: list[Row]) -> None:
        if self._running(id, rows) is not None:
            raise Engaged(ENGAGED)

    def _running(self, id: str, rows: list[Row]) -> Live | None:
        """The judgement that is being made; it may not be on the disk yet."""
        live = self._lives.get(id) or (self._work.desk.live(rows[-1].id) if rows else None)
        return None if live is None or live.over else live

    def _told(self, data: dict[str, Any], rows: list[Row]) -> dict[str, Any]:
        case: Case = parse_case(data["case"])
        told, names = shown(case)
        running = self._running(data["id"], rows) is not None
        return {
            "id": data["id"],
            "status": "running" if running else "idle",
            "judge": data["judge"],
            "corpus": data["corpus"],
            "created": data["created"],
            "case": told.model_dump(mode="json", exclude={"gold", "metadata"}),
            "files": names,
            "pending": data["pending"],
            "verdicts": [row.record for row in rows],
        }
