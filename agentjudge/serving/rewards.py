r"""The reward server: a judge judges what a policy produced, and its verdict becomes the number that a trainer wants.

    agentjudge serve --rewards --judge compare --model vllm:NAME@URL --cache rewards/ --port 8010
    curl localhost:8010/v1/rewards -H 'content-type: application/json' \
         -d '{"cases": [{"kind": "response", "prompt": "When did it open?", "response": "In 1932."}]}'
    {"results": [{"id": "0", "score": 0.75, "components": {"verdict": 0.75}, "error": "", "verdict": {...}, ...}], ...}

| route | for |
|---|---|
| POST /v1/rewards | our own form: cases, or groups of answers to one prompt (`rewards_bodies`) |
| POST /v1/rank | the answers of one group beside each other, as RULER has it: scores, ranking, explanations |
| POST /get_reward | OpenRLHF's remote reward model (`rewards_engines`) |
| POST /slime | slime's `remote_rm`, single and group |
| GET /health | open to all; 503 while the server drains |
| GET /metrics | Prometheus |

The reward is `verdict_value`, the verdict as it stands, unless another one is named; a registered `Reward` pays the
judge's trace by the case's gold. No code path turns "no score" into a number: it is null with a reason, and where a
trainer's protocol has no word for that, 503 and at last a neutral value that the owner declared.

**Every request is answered by its deadline**: the header `X-Deadline-Seconds`, the field `deadline`, or the server's,
whichever is least. What is not there by then is "no score". So is everything while the judge is out (503 with
Retry-After) and at the end of a drain. A client that hangs up takes nothing from the others, and its judgement goes on
until the deadline, since it will ask again.

**A request costs** what `rewards_desk` says: nothing where the answer is known, one judgement for all who want the
same, 429 with Retry-After where the queue is full.
"""

from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from pydantic import Field

from agentjudge.case import Record
from agentjudge.errors import require
from agentjudge.serving.guards import BodyLimit, Keys
from agentjudge.serving.rewards_asking import Asker
from agentjudge.serving.rewards_breaker import Breaker
from agentjudge.serving.rewards_cache import RewardCache
from agentjudge.serving.rewards_desk import Desk
from agentjudge.serving.rewards_engines import Neutral
from agentjudge.serving.rewards_http import Door, LogLine, respond
from agentjudge.serving.rewards_jobs import Jobs
from agentjudge.serving.rewards_metrics import Metrics
from agentjudge.serving.rewards_routes import Routes
from agentjudge.tools.corpus import Corpus


class Limits(Record):
    """What one server process does at most."""

    deadline: float = Field(default=100.0, gt=0)
    """Seconds within which every request is answered; less than the time-outs of trainers (slime 120, OpenRLHF 180)."""
    concurrency: int = Field(default=256, ge=1)
    """Judgements at once."""
    queue: int = Field(default=8_192, ge=1)
    """Jobs in flight, those that wait for their turn among them; more are refused with 429."""
    tries: int = Field(default=2, ge=1)
    """Attempts a judgement; the model's client makes several of its own in each."""
    outages: int = Field(default=5, ge=1)
    """In a row that open the circuit breaker."""
    open_seconds: float = Field(default=10.0, gt=0)
    """For which it stays open before one judgement may try."""
    max_body: int = Field(default=64_000_000, ge=1)
    """Bytes of a request."""


def create_app(
    jobs: Jobs,
    *,
    limits: Limits | None = None,
    cache: Path | None = None,
    keys: Sequence[str] = (),
    neutral: Neutral | None = None,
    blank: float = 0.0,
    corpus: Corpus | None = None,
    index: str = "bm25",
    log: LogLine | None = None,
) -> "RewardApp":
    """The application, as ASGI. It closes the judge when it ends.

    Args:
        jobs: what is made of requests, and the judge that is asked.
        limits: of this process.
        cache: folder for answers that outlive it; memory alone when None.
        keys: of which every request needs one, `/health` apart; none is needed when there are none.
        neutral: what trainers get whose protocol has no word for "no score"; nothing when None.
        blank: what they get for a blank answer, which is not judged.
        corpus: also served by POST /retrieve.
        index: of the corpus: `bm25`, `dense` or `hybrid`.
        log: takes a line a request, with nothing of its content.

    Raises:
        ConfigError: a missing extra, or a blank key.
        StoreError: the cache cannot be opened.
    """
    fastapi = require("fastapi", extra="serve")
    limits, metrics, judge = limits or Limits(), Metrics(), jobs.judge
    breaker = Breaker(outages=limits.outages, seconds=limits.open_seconds)
    asker = Asker(judge, concurrency=limits.concurrency, tries=limits.tries, breaker=breaker, metrics=metrics)
    known, checked = RewardCache(cache), Keys(keys)
    desk = Desk(asker, judge=judge.spec.name, cache=known, metrics=metrics, queue=limits.queue)
    routes = Routes(jobs, desk, neutral or Neutral(None), metrics, blank=blank).all()
    door = Door(routes, desk, metrics, deadline=limits.deadline, max_body=limits.max_body, log=log)

    @asynccontextmanager
    async def life(app: Any) -> Any:
        yield
        await desk.drain(0)
        known.close()
        await judge.aclose()

    app = fastapi.FastAPI(title="agentjudge", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.add_middleware(BodyLimit, most=limits.max_body)
    takes = [kind.__name__ for kind in judge.spec.cases]
    about: dict[str, Any] = {"judge": jobs.judge_id, "takes": takes, "reward": jobs.reward}
    if corpus is not None:
        from agentjudge.serving.retrieve import add_retrieve

        about["retrieve"] = add_retrieve(app, corpus, index=index)
    app.add_route("/metrics", partial(_metrics, metrics), methods=["GET"])
    health = partial(_health, desk, known, about)
    app.add_route("/health", partial(_health_route, health), methods=["GET"])
    return RewardApp(app, door, checked, desk, jobs.judge_id, metrics, health)


class RewardApp:
    """The application: checks keys, brings rewards straight to the door, and leaves the rest to FastAPI."""

    def __init__(
        self, app: Any, door: Door, keys: Keys, desk: Desk, judge_id: str, metrics: Metrics,
        about: Callable[[], dict[str, Any]],
    ) -> None:  # fmt: skip
        self.app = app
        self.metrics = metrics
        self._about = about
        self.desk = desk
        self.judge_id = judge_id
        self._door = door
        self._keys = keys

    def about(self) -> dict[str, Any]:
        """What `/health` tells."""
        return self._about()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if not self._keys.admit(scope):
            told = orjson.dumps({"detail": "a key is needed: Authorization: Bearer KEY"})
            await respond(send, told, 401, {"WWW-Authenticate": "Bearer"})
        elif self._door.opens(scope):
            await self._door(scope, receive, send)
        else:
            await self.app(scope, receive, send)


async def _metrics(metrics: Metrics, request: Any) -> Any:
    from starlette.responses import Response

    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _health(desk: Desk, cache: RewardCache, about: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": "draining" if desk.draining else "ok",
        **about,
        "breaker": desk.asker.breaker.state,
        "running": desk.asker.running,
        "in_flight": desk.in_flight,
        **({"cache": cache.trouble} if cache.trouble else {}),
    }


async def _health_route(health: Callable[[], dict[str, Any]], request: Any) -> Any:
    from starlette.responses import JSONResponse

    told = health()
    return JSONResponse(told, status_code=503 if told["status"] == "draining" else 200)
