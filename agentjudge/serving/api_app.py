"""The application: verdicts, sessions, batches, and beside them a corpus to search and rewards, behind one door.

    app = create_app(ApiParts(bench, store), limits=ApiLimits(), ring=read_keys(Path("keys.toml")))

Every request passes the door: a key, its scope, its rate, and on the way back a line of the log and the metrics. The
log has no text of a case and no word of a judge, unless the owner of the server asks for it.

Browsers are kept from being used by other pages: a request whose `Origin` is another host is refused, and where the
server is for this machine alone and needs no key, so is one for a host with a name other than `localhost`.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from agentjudge import __version__
from agentjudge.errors import require
from agentjudge.runs.packing import dumps
from agentjudge.serving import api_schema
from agentjudge.serving.api_batches import Batches
from agentjudge.serving.api_bench import Bench
from agentjudge.serving.api_checkpoints import open_checkpoints
from agentjudge.serving.api_desk import ApiDesk
from agentjudge.serving.api_keys import Key, KeyRing, Scope
from agentjudge.serving.api_metrics import ApiMetrics
from agentjudge.serving.api_routes import Front, add_about, add_errors, add_verdicts
from agentjudge.serving.api_routes_more import add_batches, add_sessions
from agentjudge.serving.api_sessions import Sessions
from agentjudge.serving.api_store import Row, Store
from agentjudge.serving.api_work import ApiLimits, Work
from agentjudge.serving.guards import BodyLimit
from agentjudge.serving.page import add_page
from agentjudge.serving.retrieve import add_retrieve
from agentjudge.serving.rewards import RewardApp
from agentjudge.serving.rewards_http import LogLine, respond, retry_after
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

REWARDS = frozenset({"/v1/rewards", "/v1/rank", "/get_reward", "/slime"})
QUIET = frozenset({"/health", "/metrics"})
"""Paths that are asked all the time, and leave no line."""
_RETRIEVE = re.compile(r"/v1/corpora/([^/]+)/retrieve")
_HERE = re.compile(r"(localhost|[\d.]+|\[[0-9a-fA-F:]+\])(:\d+)?")


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of what happens."""

    log: LogLine | None = None
    """Takes a line a request and a line a judgement."""
    contents: bool = False
    """With cases and verdicts in the lines of judgements."""
    report: Callable[[Trace], None] | None = None
    """Takes each trace, such as `agentjudge.interop.otel.report`."""


def create_app(
    bench: Bench,
    store: Store,
    *,
    limits: ApiLimits | None = None,
    ring: KeyRing | None = None,
    checkpoints: str | None = None,
    rewards: RewardApp | None = None,
    watch: Watch | None = None,
    local: bool = False,
) -> "ApiApp":
    """The application, as ASGI. It closes the bench and the store when it ends.

    Args:
        bench: judges and corpora.
        store: what is kept.
        limits: of this process.
        ring: the keys; none are needed when None.
        checkpoints: address of Postgres for the conversations of sessions; SQLite in the store's folder when None.
        rewards: the reward server's application, without keys of its own.
        watch: who is told of requests and judgements.
        local: it listens at an address of this machine alone.

    Raises:
        ConfigError: a missing extra.
    """
    fastapi = require("fastapi", extra="serve")
    limits, ring, watch, metrics = limits or ApiLimits(), ring or KeyRing(), watch or Watch(), ApiMetrics()
    desk = ApiDesk(concurrency=limits.concurrency, queue=limits.queue)

    def ended(row: Row, trace: Trace | None) -> None:
        _told(row, trace, metrics, watch)

    work = Work(store, bench, desk, None, limits, ended=ended)
    front = Front(work, Sessions(work), Batches(work))

    @asynccontextmanager
    async def life(app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(store.close)
            stack.push_async_callback(bench.aclose)
            if rewards is not None:
                await stack.enter_async_context(rewards.app.router.lifespan_context(rewards.app))
            work.saver = await stack.enter_async_context(open_checkpoints(checkpoints, store.folder))
            resumed, batches = await work.recover(), await front.batches.recover()
            if watch.log is not None and (resumed or batches):
                watch.log({"resumed": resumed, "batches": batches})
            yield
            await front.batches.close()
            await desk.drain(0)

    app = fastapi.FastAPI(
        title="agentjudge",
        version=__version__,
        description="Judges that check before they score. See docs/api.md.",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
    )
    app.add_middleware(BodyLimit, most=limits.max_body)
    add_errors(app)
    add_verdicts(app, front)
    add_sessions(app, front)
    add_batches(app, front)
    add_about(app, front)
    add_page(app)
    for place, (name, served) in enumerate(bench.corpora.items()):
        for path in (*(["/retrieve"] if not place else []), f"/v1/corpora/{name}/retrieve"):
            add_retrieve(app, served.corpus, index=served.index, path=path)
    made = ApiApp(app, ring, desk, metrics, rewards, front, watch.log, local=local)
    app.add_route("/metrics", made.metrics_route, methods=["GET"], include_in_schema=False)
    app.add_route("/health", made.health_route, methods=["GET"], include_in_schema=False)
    app.openapi = lambda: api_schema.openapi(app, rewards=rewards is not None, keys=ring.needed)
    return made


class ApiApp:
    """The application with its door."""

    def __init__(
        self,
        app: Any,
        ring: KeyRing,
        desk: ApiDesk,
        metrics: ApiMetrics,
        rewards: RewardApp | None,
        front: Front,
        log: LogLine | None,
        *,
        local: bool,
    ) -> None:
        self.app = app
        self.desk = _Desks(desk, rewards, front.batches)
        self.front = front
        self.rewards = rewards
        self._ring, self._desk, self._metrics = ring, desk, metrics
        self._log, self._local = log, local and not ring.needed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, code = time.perf_counter(), 0

        async def watched(message: Any) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                self._metrics.request_seconds.labels(_route(scope)).observe(time.perf_counter() - began)
            await send(message)

        try:
            await self._enter(scope, receive, watched)
        finally:
            self._metrics.requests.labels(scope["method"], _route(scope), str(code)).inc()
            if self._log is not None and scope["path"] not in QUIET and not self._to_rewards(scope):
                seconds = round(time.perf_counter() - began, 4)
                key = scope.get("agentjudge.key")
                who = {"key": key.name} if isinstance(key, Key) and self._ring.needed else {}
                line = {"route": _route(scope), "method": scope["method"], "code": code, "seconds": seconds}
                self._log({**line, **who})

    async def _enter(self, scope: Any, receive: Any, send: Any) -> None:
        refusal = self._refusal(scope)
        if refusal is not None:
            code, detail, headers = refusal
            self._metrics.refused.labels(str(code)).inc()
            await respond(send, dumps({"detail": detail}), code, headers)
        elif self._to_rewards(scope) and self.rewards is not None:
            await self.rewards(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _to_rewards(self, scope: Any) -> bool:
        return self.rewards is not None and scope["method"] == "POST" and scope["path"] in REWARDS

    def _refusal(self, scope: Any) -> tuple[int, str, dict[str, str]] | None:
        """Why a request does not pass the door."""
        given = dict(scope["headers"])
        host, origin = given.get(b"host", b"").decode("latin-1"), given.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            return 403, "a page of another host must not ask", {}
        if self._local and host and not _HERE.fullmatch(host):
            return 403, "this server is for its own machine: ask it as localhost", {}
        needed = scope_of(scope["path"])
        if needed is None:
            return None
        key = scope["agentjudge.key"] = self._ring.find(scope["headers"])
        if key is None:
            return 401, "a key is needed: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
        if needed not in key.scopes:
            return 403, f"this key lacks the scope {needed!r}", {}
        if wait := self._ring.take(key):
            return 429, f"over the rate of this key; ask again in {wait:.3g} s", retry_after(wait)
        corpus = self._corpus(scope["path"])
        if corpus is not None and not key.may_search(corpus):
            return 404, "Not Found", {}
        return None

    def _corpus(self, path: str) -> str | None:
        """The corpus that a path of /retrieve searches."""
        if path == "/retrieve":
            return self.front.work.bench.default_corpus
        found = _RETRIEVE.fullmatch(path)
        return found[1] if found else None

    async def metrics_route(self, request: Any) -> Any:
        """GET /metrics."""
        from starlette.responses import Response

        self._metrics.running.set(self._desk.running)
        self._metrics.in_flight.set(self._desk.in_flight)
        text = self._metrics.render() + (self.rewards.metrics.render() if self.rewards is not None else b"")
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def health_route(self, request: Any) -> Any:
        """GET /health."""
        from starlette.responses import JSONResponse

        draining = self._desk.draining
        rewards = {} if self.rewards is None else self.rewards.about()
        verdicts = {"running": self._desk.running, "in_flight": self._desk.in_flight}
        told = {**rewards, "status": "draining" if draining else "ok", "version": __version__, "verdicts": verdicts}
        return JSONResponse(told, status_code=503 if draining else 200)


@dataclass(frozen=True, slots=True)
class _Desks:
    """Everything that is drained at the end."""

    api: ApiDesk
    rewards: RewardApp | None
    batches: Batches

    async def drain(self, seconds: float) -> None:
        """Wait for what is in flight, all of it at the same time."""
        also = [] if self.rewards is None else [self.rewards.desk.drain(seconds)]
        await asyncio.gather(self.api.drain(seconds), *also)
        await self.batches.close()


def scope_of(path: str) -> Scope | None:
    """The scope that a path needs; None for what is open to all, such as the page and the schema."""
    if path in REWARDS:
        return "rewards"
    if path == "/retrieve" or _RETRIEVE.fullmatch(path):
        return "retrieve"
    if path == "/metrics":
        return "admin"
    return "verdicts" if path.startswith("/v1/") or path == "/v1" else None


def _route(scope: Any) -> str:
    """The path as the routes have it; nothing that a client made up."""
    if scope["path"] in REWARDS:
        return str(scope["path"])
    return str(getattr(scope.get("route"), "path", "other"))


def _told(row: Row, trace: Trace | None, metrics: ApiMetrics, watch: Watch) -> None:
    """Tell of a judgement that has ended."""
    record, verdict = row.record, Verdict.model_validate(row.record["verdict"])
    metrics.ended(record["judge"], verdict, first=not record["first_turn"])
    if watch.report is not None and trace is not None:
        watch.report(trace)
    if watch.log is None:
        return
    usage = verdict.usage
    line = {"judgement": row.id, "judge": record["judge"], "status": row.status, "turns": usage.turns}
    line |= {"tool_calls": usage.tool_calls, "seconds": round(usage.seconds, 4)}
    if verdict.failure is not None:
        line |= {"kind": verdict.failure.kind}
    if watch.contents:
        line |= {"case": record["case"], "words": record["words"], "verdict": record["verdict"]}
    watch.log(line)
