"""Judgements for owners: begun, kept, gone on with after a sudden end.

    work = Work(store, bench, desk, saver, limits)
    live = await work.begin(key, Wanted(case, judge="veri-r1", corpus="docs"))      # its last event has the record
    await work.recover()                       # at the start: what was running goes on

A judgement's record and what is needed to make it are on the disk before its first event; its record with the verdict,
and its trace, before its last one. Those of sessions are threads of checkpoints.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from agentjudge.case import Case, Record, parse_case
from agentjudge.errors import AgentJudgeError, ConfigError, DataError
from agentjudge.serving.api_bench import Bench
from agentjudge.serving.api_desk import ApiDesk, Live
from agentjudge.serving.api_files import FileLimits, OwnerFiles, owner_folder, shown
from agentjudge.serving.api_judge import Asked, Done
from agentjudge.serving.api_keys import Key
from agentjudge.serving.api_sources import changes
from agentjudge.serving.api_store import Row, Store
from agentjudge.serving.rewards_desk import SHUT
from agentjudge.trace import Trace
from agentjudge.verdict import Failure, Provenance, Verdict

STOPPED = "the server ended before the verdict was there; ask again"


class ApiLimits(Record):
    """What one server does at most."""

    deadline: float = Field(default=300.0, gt=0)
    """Seconds of a judgement."""
    concurrency: int = Field(default=64, ge=1)
    """Judgements at once."""
    queue: int = Field(default=1_024, ge=1)
    """Judgements that run or wait; more are refused with 429."""
    max_body: int = Field(default=64_000_000, ge=1)
    """Bytes of a request."""
    upload_seconds: float = Field(default=60.0, gt=0)
    """Within which a body has to come."""
    cases: int = Field(default=10_000, ge=1)
    """Of a batch."""
    files: FileLimits = FileLimits()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A judgement that somebody asks for."""

    case: Case
    """With names of uploads."""
    judge: str
    corpus: str | None
    seconds: float | None = None
    words: str | None = None
    session: str | None = None
    batch: str | None = None
    place: int = 0
    thread: str | None = None
    """Of checkpoints to go on with; a session has a new one where it is None."""
    first_turn: int = 0


Ended = Callable[[Row, Trace | None], None]


class Work:
    """See the module.

    Args:
        store: keeps records.
        bench: the judges.
        desk: what is being made.
        saver: LangGraph's checkpointer.
        limits: of the server.
        ended: told of each judgement that has ended, with its trace.
    """

    def __init__(
        self, store: Store, bench: Bench, desk: ApiDesk, saver: Any, limits: ApiLimits, *, ended: Ended | None = None
    ) -> None:
        self.store, self.bench, self.desk, self.saver, self.limits = store, bench, desk, saver, limits
        self._ended = ended

    def files(self, owner: str) -> OwnerFiles:
        """The files of an owner."""
        return OwnerFiles(owner_folder(self.store.folder, owner), self.limits.files)

    async def begin(self, key: Key, wanted: Wanted) -> Live:
        """Start a judgement.

        Raises:
            Busy: there is no room.
            Unavailable: the server is shutting down.
            DataError: the judge does not take the case.
            ConfigError: there is no such judge.
        """
        self.bench.check(wanted.judge, wanted.case)
        row = self.row(key.name, wanted)
        before = await self._before(row)

        async def work(live: Live) -> None:
            await self.store.put_verdicts([row])
            await self._make(row, live, before)

        return self.desk.begin(row.id, owner=key.name, limit=key.concurrency, work=work)

    def row(self, owner: str, wanted: Wanted) -> Row:
        """A new judgement as it is kept."""
        id = new_id("v")
        told, names = shown(wanted.case)
        record = {
            "id": id,
            "status": "running",
            "judge": wanted.judge,
            "corpus": wanted.corpus,
            "session": wanted.session,
            "batch": wanted.batch,
            "words": wanted.words,
            "created": now(),
            "case": told.model_dump(mode="json", exclude={"gold", "metadata"}),
            "files": names,
            "verdict": None,
            "sources": {},
            "pictures": {},
            "changed": None,
            "first_turn": wanted.first_turn,
            "turns": wanted.first_turn,
        }
        thread = wanted.thread or (id if wanted.session is not None else None)
        seconds = min(wanted.seconds or self.limits.deadline, self.limits.deadline)
        asked = {"case": wanted.case.model_dump(mode="json"), "seconds": seconds, "thread": thread}
        return Row(id, owner, record, asked, wanted.session, wanted.batch, wanted.place)

    async def again(self, row: Row) -> Live:
        """Go on with a judgement that is kept as running: a session's behind its last checkpoint, others anew."""
        before = await self._before(row)

        async def work(live: Live) -> None:
            await self._make(row, live, before, resumes=row.session is not None)

        return self.desk.begin(row.id, owner=row.owner, limit=None, work=work, admitted=True)

    async def _before(self, row: Row) -> Row | None:
        """The judgement of the session that a new one is held against."""
        if row.session is None:
            return None
        earlier = await self.store.of_session(row.owner, row.session)
        return next((each for each in reversed(earlier) if each.id != row.id and each.record["verdict"]), None)

    async def recover(self) -> int:
        """Go on with the judgements of sessions that a sudden end broke off; their number. Others fail.

        Those of batches are left to whoever goes on with the batches.
        """
        resumed = 0
        for row in await self.store.unfinished():
            if row.session is not None:
                await self.again(row)
                resumed += 1
            elif row.batch is None:
                await self._fail(row, AgentJudgeError(STOPPED, retriable=True))
        return resumed

    async def _make(self, row: Row, live: Live, before: Row | None, *, resumes: bool = False) -> None:
        """Make a judgement and keep it; what goes wrong is in its verdict."""
        live.tell("start", dict(row.record))
        try:
            async with self.desk.slot():
                done = await self._judged(row, live, resumes=resumes)
        except AgentJudgeError as exc:
            await self._fail(row, exc)
        except BaseException:
            if row.session is None and row.batch is None and not live.reason:
                await self._fail(row, AgentJudgeError(SHUT, retriable=True))
            raise
        else:
            await self._keep(row, done, before)
        live.end("verdict", row.record)

    async def _judged(self, row: Row, live: Live, *, resumes: bool) -> Done:
        files = self.files(row.owner)
        judge = self.bench.judge(row.record["judge"], row.record["corpus"], files, self.saver)
        asked = Asked(
            files.opened(parse_case(row.asked["case"])),
            seconds=row.asked["seconds"],
            thread=row.asked["thread"],
            resumes=resumes,
            first_turn=row.record["first_turn"],
            words=row.record["words"],
        )
        return await judge.judged(asked, live.tell)

    async def _keep(self, row: Row, done: Done, before: Row | None) -> None:
        verdict = without_paths(done.trace.verdict, self.files(row.owner))
        done.trace.verdict = verdict
        earlier = before.record if before is not None else {"sources": {}, "pictures": {}}
        row.record |= {
            "status": verdict.status,
            "verdict": verdict.model_dump(mode="json"),
            "sources": {**earlier["sources"], **done.sources},
            "pictures": {**earlier["pictures"], **done.pictures},
            "turns": len(done.trace.turns),
        }
        if before is not None:
            was = Verdict.model_validate(before.record["verdict"])
            row.record["changed"] = changes(before.id, was, verdict)
        await self.store.end_verdict(row, done.trace.to_json())
        self._tell(row, done.trace)

    async def _fail(self, row: Row, error: AgentJudgeError) -> None:
        """A failed verdict on a judgement that was not made."""
        provenance = Provenance(judge=row.record["judge"], model=self.bench.model.name)
        case_id = row.record["case"]["id"]
        verdict = Verdict(case_id=case_id, status="failed", failure=Failure.of(error), provenance=provenance)
        row.record |= {"status": "failed", "verdict": verdict.model_dump(mode="json")}
        await self.store.end_verdict(row, None)
        self._tell(row, None)

    def _tell(self, row: Row, trace: Trace | None) -> None:
        if self._ended is not None:
            self._ended(row, trace)

    def picked(
        self, key: Key, case: Case, judge: str | None, corpus: str | None, *, named: bool
    ) -> tuple[str, str | None]:
        """The judge and the corpus for a request that may name them.

        Args:
            key: whose.
            case: to be judged.
            judge: as named.
            corpus: as named; None is none, where it was `named`.
            named: the request says something of a corpus.

        Raises:
            DataError: no judge takes the case.
            Missing: there is none of this name for this key.
        """
        judge = judge or self.bench.choose(case)
        try:
            self.bench.check(judge, case)
        except ConfigError as exc:
            raise Missing(exc.message) from exc
        if not named:
            corpus = next((name for name in self.bench.corpora if key.may_search(name)), None)
        if corpus is not None and (corpus not in self.bench.corpora or not key.may_search(corpus)):
            raise Missing(f"no corpus {corpus!r} here")
        return judge, corpus if "retrieve" in self.bench.spec(judge).tools else None


class Missing(DataError):
    """Something that is not there, or not for this key."""


def new_id(kind: str) -> str:
    """An id that nobody guesses."""
    return f"{kind}_{secrets.token_urlsafe(12)}"


def now() -> str:
    """The time, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_paths(verdict: Verdict, files: OwnerFiles) -> Verdict:
    """The verdict without folders of the server in its words on a failure."""
    if verdict.failure is None:
        return verdict
    failure = verdict.failure.model_copy(update={"message": files.hidden(verdict.failure.message)})
    return verdict.model_copy(update={"failure": failure})
