"""The routes of sessions and batches; see docs/api.md."""

import asyncio
from typing import Annotated, Any

from agentjudge.errors import DataError, require
from agentjudge.serving import api_schema as schema
from agentjudge.serving.api_bodies import (
    BatchBody,
    Body,
    ChallengeBody,
    EvidenceBody,
    StreamBody,
    evidence_of,
    read_case,
)
from agentjudge.serving.api_http import answer, json_response, key_of
from agentjudge.serving.api_keys import Key
from agentjudge.serving.api_routes import FILES, Front
from agentjudge.serving.api_store import Row
from agentjudge.serving.api_work import Wanted


def add_sessions(app: Any, front: Front) -> None:
    """Add the routes of sessions."""
    require("fastapi", extra="serve")
    from fastapi import Query, Request

    sessions, limits, tags = front.sessions, front.work.limits, ["sessions"]

    @app.post("/v1/sessions", tags=tags, **schema.asking("Start a session"))  # type: ignore[untyped-decorator]
    async def start(request: Request, stream: bool = False) -> Any:
        key = key_of(request)
        wanted, stream = await front.wanted(request, key, stream=stream)
        _, live = await sessions.start(key, wanted)
        return await answer(live, stream=stream)

    @app.get("/v1/sessions", tags=tags, **schema.listing("Sessions", "sessions"))  # type: ignore[untyped-decorator]
    async def all(request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> Any:
        return json_response({"sessions": await sessions.all(key_of(request), limit=limit)})

    @app.get("/v1/sessions/{id}", tags=tags, **schema.session("A session"))  # type: ignore[untyped-decorator]
    async def get(request: Request, id: str) -> Any:
        return json_response(await sessions.get(key_of(request), id))

    @app.post("/v1/sessions/{id}/challenge", tags=tags, **schema.challenge())  # type: ignore[untyped-decorator]
    async def challenge(request: Request, id: str, stream: bool = False) -> Any:
        asked = (await Body.read(request, limits)).fields_of(ChallengeBody)
        live = await sessions.judge(key_of(request), id, words=asked.words)
        return await answer(live, stream=asked.stream or stream)

    @app.post("/v1/sessions/{id}/evidence", tags=tags, **schema.evidence())  # type: ignore[untyped-decorator]
    async def evidence(request: Request, id: str) -> Any:
        key = key_of(request)
        await sessions.get(key, id)
        body = await Body.read(request, limits, many=("text",))
        asked = body.fields_of(EvidenceBody, files=FILES)
        added = await asyncio.to_thread(evidence_of, body, asked, front.work.files(key.name))
        return json_response(await sessions.add(key, id, added))

    @app.post("/v1/sessions/{id}/ask", tags=tags, **schema.again("Judge again"))  # type: ignore[untyped-decorator]
    async def ask(request: Request, id: str, stream: bool = False) -> Any:
        asked = (await Body.read(request, limits)).fields_of(StreamBody)
        return await answer(await sessions.judge(key_of(request), id), stream=asked.stream or stream)

    @app.post("/v1/sessions/{id}/resume", tags=tags, **schema.again("Go on"))  # type: ignore[untyped-decorator]
    async def resume(request: Request, id: str, stream: bool = False) -> Any:
        asked = (await Body.read(request, limits)).fields_of(StreamBody)
        key = key_of(request)
        found = await sessions.resume(key, id)
        if not isinstance(found, Row):
            return await answer(found, stream=asked.stream or stream)
        if asked.stream or stream:
            return await front.replayed(key, found)
        return json_response(found.record)

    @app.delete("/v1/sessions/{id}", tags=tags, status_code=204, **schema.nothing("Forget it"))  # type: ignore[untyped-decorator]
    async def forget(request: Request, id: str) -> None:
        await sessions.forget(key_of(request), id)


def add_batches(app: Any, front: Front) -> None:
    """Add the routes of batches."""
    require("fastapi", extra="serve")
    from fastapi import Request

    batches, work, tags = front.batches, front.work, ["batches"]

    def wanted(key: Key, asked: BatchBody) -> list[Wanted]:
        if len(asked.cases) > work.limits.cases:
            raise DataError(f"cases: over {work.limits.cases:,}; make several batches of them")
        files, named, found = work.files(key.name), "corpus" in asked.model_fields_set, []
        for number, data in enumerate(asked.cases):
            case = read_case(data, files, where=f"cases.{number}")
            judge, corpus = work.picked(key, case, asked.judge, asked.corpus or None, named=named)
            found.append(Wanted(case, judge, corpus))
        return found

    @app.post("/v1/batches", tags=tags, status_code=202, **schema.batch_asked())  # type: ignore[untyped-decorator]
    async def start(request: Request) -> Any:
        key = key_of(request)
        asked = (await Body.read(request, work.limits)).fields_of(BatchBody)
        given = {"judge": asked.judge, "corpus": asked.corpus}
        return json_response(await batches.start(key, await asyncio.to_thread(wanted, key, asked), given), 202)

    @app.get("/v1/batches/{id}", tags=tags, **schema.batch("Progress"))  # type: ignore[untyped-decorator]
    async def progress(request: Request, id: str) -> Any:
        return json_response(await batches.progress(key_of(request), id))

    @app.post("/v1/batches/{id}/cancel", tags=tags, **schema.batch("Judge no more of it"))  # type: ignore[untyped-decorator]
    async def cancel(request: Request, id: str) -> Any:
        return json_response(await batches.cancel(key_of(request), id))

    @app.get("/v1/batches/{id}/results", tags=tags, **schema.lines("Records, a line each"))  # type: ignore[untyped-decorator]
    async def results(request: Request, id: str) -> Any:
        from starlette.responses import StreamingResponse

        key = key_of(request)
        await batches.progress(key, id)
        return StreamingResponse(batches.results(key, id), media_type="application/jsonl")
