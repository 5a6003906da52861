"""The routes of verdicts, files, judges and corpora; see docs/api.md."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import ValidationError

from agentjudge.errors import AgentJudgeError, require
from agentjudge.serving import api_schema as schema
from agentjudge.serving.api_batches import Batches
from agentjudge.serving.api_bodies import Body, VerdictBody, case_of
from agentjudge.serving.api_files import kind_of
from agentjudge.serving.api_http import answer, events_after, json_response, key_of, refusal, replay
from agentjudge.serving.api_keys import Key
from agentjudge.serving.api_sessions import Engaged, Sessions
from agentjudge.serving.api_store import Row
from agentjudge.serving.api_work import Missing, Wanted, Work
from agentjudge.serving.rewards_desk import Busy
from agentjudge.serving.rewards_http import Refused
from agentjudge.trace import Trace

FILES = ("images", "documents")


@dataclass(frozen=True, slots=True)
class Front:
    """What the routes work with."""

    work: Work
    sessions: Sessions
    batches: Batches

    async def wanted(self, request: Any, key: Key, *, stream: bool) -> tuple[Wanted, bool]:
        """The judgement that a request asks for, and whether its steps are wanted."""
        body = await Body.read(request, self.work.limits)
        asked = body.fields_of(VerdictBody, files=FILES)
        self.work.desk.admit(key.name, key.concurrency)
        files = self.work.files(key.name)
        case = case_of(body, asked, files) if body.plain else await asyncio.to_thread(case_of, body, asked, files)
        named = "corpus" in asked.model_fields_set
        judge, corpus = self.work.picked(key, case, asked.judge, asked.corpus or None, named=named)
        return Wanted(case, judge, corpus, seconds=asked.deadline), asked.stream or stream

    async def found(self, key: Key, id: str) -> Row:
        """A judgement of this key's owner.

        Raises:
            Missing: there is none.
        """
        row = await self.work.store.verdict(key.name, id)
        if row is None:
            raise Missing("no such verdict")
        return row

    async def replayed(self, key: Key, row: Row, after: int = -1) -> Any:
        """The events of a judgement that has ended."""
        told = await self.work.store.trace(key.name, row.id)
        trace = None if told is None else await asyncio.to_thread(lambda: Trace.from_json(orjson.loads(told)))
        return replay(row.record, trace, after)


def add_errors(app: Any) -> None:
    """Give every error its status, in the same form everywhere."""
    fastapi = require("fastapi", extra="serve")

    async def refuse(request: Any, exc: Exception) -> Any:
        return refusal(exc)

    async def refuse_form(request: Any, exc: Any) -> Any:
        found = [{"loc": error["loc"], "msg": error["msg"], "type": error["type"]} for error in exc.errors()]
        return json_response({"detail": found}, 422)

    for kind in (AgentJudgeError, Refused, Busy, ValidationError):
        app.add_exception_handler(kind, refuse)
    app.add_exception_handler(fastapi.exceptions.RequestValidationError, refuse_form)


def add_verdicts(app: Any, front: Front) -> None:
    """Add the routes of verdicts and files."""
    require("fastapi", extra="serve")
    from fastapi import Header, Query, Request

    work, tags = front.work, ["verdicts"]

    @app.post("/v1/verdicts", tags=tags, **schema.asking("Judge a case"))  # type: ignore[untyped-decorator]
    async def create(request: Request, stream: bool = False) -> Any:
        key = key_of(request)
        wanted, stream = await front.wanted(request, key, stream=stream)
        return await answer(await work.begin(key, wanted), stream=stream)

    @app.get("/v1/verdicts", tags=tags, **schema.listing("Latest verdicts", "verdicts"))  # type: ignore[untyped-decorator]
    async def latest(
        request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 50, before: str | None = None
    ) -> Any:
        rows = await work.store.latest(key_of(request).name, limit=limit, before=before)
        return json_response({"verdicts": [row.record for row in rows]})

    @app.get("/v1/verdicts/{id}", tags=tags, **schema.record("A verdict"))  # type: ignore[untyped-decorator]
    async def get(request: Request, id: str) -> Any:
        return json_response((await front.found(key_of(request), id)).record)

    @app.get("/v1/verdicts/{id}/trace", tags=tags, **schema.anything("What happened"))  # type: ignore[untyped-decorator]
    async def trace(request: Request, id: str) -> Any:
        from starlette.responses import Response

        told = await work.store.trace(key_of(request).name, id)
        if told is None:
            raise Missing("no such verdict, or no trace of it yet")
        return Response(told, media_type="application/json")

    @app.get("/v1/verdicts/{id}/events", tags=tags, **schema.events("Its steps"))  # type: ignore[untyped-decorator]
    async def events(request: Request, id: str, last: Annotated[str, Header(alias="Last-Event-ID")] = "") -> Any:
        key = key_of(request)
        await front.found(key, id)
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 10 else -1
        live = work.desk.live(id)
        if live is not None:
            return events_after(live, after)
        return await front.replayed(key, await front.found(key, id), after)  # it may have ended meanwhile

    @app.delete("/v1/verdicts/{id}", tags=tags, status_code=204, **schema.nothing("Forget it"))  # type: ignore[untyped-decorator]
    async def forget(request: Request, id: str) -> None:
        key = key_of(request)
        row = await front.found(key, id)
        if row.session is not None or row.batch is not None:
            raise Engaged("it belongs to a session or a batch; delete that")
        await work.desk.stop(id, "the verdict was deleted")
        await work.store.forget(key.name, verdict=id)

    @app.get("/v1/files/{sha256}", tags=tags, **schema.file("A picture or a file"))  # type: ignore[untyped-decorator]
    async def file(request: Request, sha256: str) -> Any:
        from starlette.responses import Response

        data = await asyncio.to_thread(work.files(key_of(request).name).read, sha256)
        if data is None:
            raise Missing("no such file")
        headers = {
            "Cache-Control": "private, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "ETag": f'"{sha256}"',
        }
        return Response(data, headers=headers, media_type=kind_of(data))


def add_about(app: Any, front: Front) -> None:
    """Add what there is: judges and corpora."""
    require("fastapi", extra="serve")
    from fastapi import Request

    bench = front.work.bench

    @app.get("/v1/judges", tags=["verdicts"], **schema.listing("The judges", "judges"))  # type: ignore[untyped-decorator]
    async def judges(request: Request) -> Any:
        return json_response({"judges": bench.about()})

    @app.get("/v1/corpora", tags=["verdicts"], **schema.listing("The corpora", "corpora"))  # type: ignore[untyped-decorator]
    async def corpora(request: Request) -> Any:
        key = key_of(request)
        found = [served.about(name) for name, served in bench.corpora.items() if key.may_search(name)]
        return json_response({"corpora": found})
