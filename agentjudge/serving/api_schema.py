"""The OpenAPI of the API: schemas, examples, and every status that a route may answer."""

from typing import Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from agentjudge.case import AnyCase, Case
from agentjudge.errors import require
from agentjudge.evidence import EvidenceRef
from agentjudge.serving.api_bodies import BatchBody, ChallengeBody, EvidenceBody, StreamBody
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

REF = "#/components/schemas/{model}"
CLAIM: dict[str, Any] = {
    "case": {"kind": "claim", "claim": "Linus Torvalds was born in Helsinki."},
    "judge": "veri-r1",
}
ANSWERS = {"case": {"kind": "comparison", "prompt": "When did it open?", "responses": ["In 1932.", "In 1923."]}}
RUN = {
    "case": {
        "kind": "trajectory",
        "goal": "Find the price of the red mug.",
        "steps": [{"observation": "[1] link 'Red mug' [2] text '7 EUR'", "action": "click [1]", "url": "http://shop/"}],
        "final_answer": "7 EUR",
    }
}
Status = Literal["running", "scored", "abstained", "failed", "cancelled"]


class Changed(BaseModel):
    """What a verdict says otherwise than the one before it in its session."""

    since: str
    fields: dict[str, dict[str, Any]]
    """`before` and `after` of each field that differs."""
    evidence: dict[str, list[EvidenceRef]]
    """`added` and `dropped`."""


class RecordModel(BaseModel):
    """A judgement."""

    id: str
    status: Status
    judge: str
    corpus: str | None
    session: str | None
    batch: str | None
    words: str | None
    created: str
    case: dict[str, Any]
    files: dict[str, str]
    verdict: Verdict | None
    sources: dict[str, dict[str, Any]]
    pictures: dict[str, dict[str, Any]]
    changed: Changed | None
    first_turn: int
    turns: int


class SessionModel(BaseModel):
    """A session."""

    id: str
    status: Literal["running", "idle"]
    judge: str
    corpus: str | None
    created: str
    case: dict[str, Any]
    files: dict[str, str]
    pending: int
    verdicts: list[RecordModel]


class BatchModel(BaseModel):
    """A batch."""

    id: str
    status: Literal["running", "done", "cancelled"]
    judge: str | None
    corpus: str | None
    created: str
    total: int
    done: int
    scored: int
    abstained: int
    failed: int
    cancelled: int


class ErrorModel(BaseModel):
    """Why a request was not done."""

    detail: str | list[dict[str, Any]]


class Described(BaseModel):
    """How a request asks for a judgement."""

    case: AnyCase | None = None
    claim: str | None = Field(default=None, min_length=1, pattern=r"\S", description="In place of a case.")
    judge: str | None = None
    corpus: str | None = None
    stream: bool = False
    deadline: float | None = Field(default=None, gt=0, le=86_400)


_WHY = {
    400: "not JSON, or not multipart",
    401: "no key",
    403: "the key lacks the scope",
    404: "no such thing for this key",
    408: "the body did not come in time",
    409: "a verdict is being made",
    413: "too large",
    415: "another type of body",
    422: "not of this form",
    429: "over a limit: Retry-After",
    503: "the server drains: Retry-After",
}
_READING = (401, 403, 404, 422, 429, 503)
_ASKING = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)


def _route(summary: str, ok: dict[int, Any], *, why: tuple[int, ...] = _READING, body: Any = None) -> dict[str, Any]:
    responses: dict[int | str, Any] = {code: {"model": ErrorModel, "description": _WHY[code]} for code in why}
    extra = {} if body is None else {"openapi_extra": {"requestBody": body}}
    return {"summary": summary, "response_model": None, "responses": {**responses, **ok}, **extra}


def _json(model: type[BaseModel], about: str) -> dict[str, Any]:
    return {"model": model, "description": about}


_STREAM = {"text/event-stream": {"schema": {"type": "string"}}}
_SAID = {200: {**_json(RecordModel, "The record; or its steps, as server-sent events."), "content": _STREAM}}


def _body(schema: dict[str, Any], examples: dict[str, Any], *, files: tuple[str, ...] = (), needed: bool = True) -> Any:
    content: dict[str, Any] = {
        "application/json": {"schema": schema, "examples": {name: {"value": each} for name, each in examples.items()}}
    }
    if files:
        sent = {name: {"type": "array", "items": {"type": "string", "format": "binary"}} for name in files}
        content["multipart/form-data"] = {"schema": {"allOf": [schema], "type": "object", "properties": sent}}
    return {"required": needed, "content": content}


def _named(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": REF.format(model=model.__name__)}


def asking(summary: str) -> dict[str, Any]:
    """Of a route that judges a case."""
    examples = {"claim": CLAIM, "comparison": ANSWERS, "trajectory": RUN}
    return _route(summary, _SAID, why=_ASKING, body=_body(_named(Described), examples, files=("images", "documents")))


def challenge() -> dict[str, Any]:
    """Of the challenge."""
    body = _body(_named(ChallengeBody), {"words": {"words": "look again at the second sentence"}})
    return _route("Object in words", _SAID, why=_ASKING, body=body)


def evidence() -> dict[str, Any]:
    """Of evidence."""
    example = {"texts": [{"id": "memo", "text": "Linus Torvalds was born in Helsinki in 1969."}]}
    body = _body(_named(EvidenceBody), {"text": example}, files=("images", "documents"))
    return _route("Add evidence", {200: _json(SessionModel, "The session.")}, why=_ASKING, body=body)


def again(summary: str) -> dict[str, Any]:
    """Of a route that goes on with a session."""
    return _route(
        summary, _SAID, why=_ASKING, body=_body(_named(StreamBody), {"plain": {"stream": False}}, needed=False)
    )


def batch_asked() -> dict[str, Any]:
    """Of the start of a batch."""
    body = _body(_named(BatchBody), {"claims": {"cases": [CLAIM["case"]], "judge": "veri-r1"}})
    return _route("Judge many cases", {202: _json(BatchModel, "It is on its way.")}, why=_ASKING, body=body)


def record(summary: str) -> dict[str, Any]:
    """Of a record."""
    return _route(summary, {200: _json(RecordModel, "The record.")})


def session(summary: str) -> dict[str, Any]:
    """Of a session."""
    return _route(summary, {200: _json(SessionModel, "The session.")})


def batch(summary: str) -> dict[str, Any]:
    """Of a batch."""
    return _route(summary, {200: _json(BatchModel, "The batch.")})


def listing(summary: str, name: str) -> dict[str, Any]:
    """Of a list under this name."""
    items: dict[str, Any] = {"type": "array", "items": {"type": "object"}}
    schema = {"type": "object", "properties": {name: items}, "required": [name]}
    return _route(summary, {200: {"description": "All of them.", "content": {"application/json": {"schema": schema}}}})


def anything(summary: str) -> dict[str, Any]:
    """Of an object that is described elsewhere."""
    content = {"application/json": {"schema": {"type": "object", "description": Trace.__doc__}}}
    return _route(summary, {200: {"description": "The trace.", "content": content}})


def events(summary: str) -> dict[str, Any]:
    """Of server-sent events."""
    return _route(summary, {200: {"description": "See docs/api.md.", "content": _STREAM}})


def lines(summary: str) -> dict[str, Any]:
    """Of JSON lines."""
    content = {"application/jsonl": {"schema": {"type": "string"}}}
    return _route(summary, {200: {"description": "A record a line.", "content": content}})


def file(summary: str) -> dict[str, Any]:
    """Of bytes."""
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return _route(summary, {200: {"description": "Its bytes, under their type.", "content": content}})


def nothing(summary: str) -> dict[str, Any]:
    """Of an answer without a body."""
    return _route(summary, {204: {"description": "Done."}}, why=(*_READING, 409))


def openapi(app: Any, *, rewards: bool, keys: bool) -> dict[str, Any]:
    """The whole schema of an application."""
    made = require("fastapi.openapi.utils", extra="serve").get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for model in (Described, ChallengeBody, EvidenceBody, StreamBody, BatchBody):
        found = TypeAdapter(model).json_schema(ref_template=REF)
        schemas |= found.pop("$defs", {})
        schemas[model.__name__] = found
    for kind in Case.__subclasses__():
        _without_id(schemas.get(kind.__name__, {}))
    if rewards:
        made["paths"] |= _rewards()
    if keys:
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
    return dict(made)


def _without_id(schema: dict[str, Any]) -> None:
    """A case may come without an id, and never brings gold."""
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name != "id"]


def _rewards() -> dict[str, Any]:
    answer = {"kind": "response", "prompt": "When did it open?", "response": "In 1932."}
    bodies: dict[str, Any] = {
        "/v1/rewards": ("Rewards of cases", {"cases": [answer]}),
        "/v1/rank": ("Answers beside each other", {"prompt": "When did it open?", "responses": ["1932", "1923"]}),
        "/get_reward": (
            "OpenRLHF's remote reward",
            {"query": ["When?1932"], "prompts": ["When?"], "labels": ["1932"]},
        ),
        "/slime": ("slime's remote reward", {"prompt": "When?", "response": "1932", "label": "1932"}),
    }
    errors = {str(code): {"description": _WHY[code]} for code in (400, 401, 403, 408, 413, 422, 429, 503)}
    return {
        path: {
            "post": {
                "tags": ["rewards"],
                "summary": summary,
                "requestBody": {"required": True, "content": {"application/json": {"schema": {}, "example": example}}},
                "responses": {"200": {"description": "See docs/rewards.md."}, **errors},
            }
        }
        for path, (summary, example) in bodies.items()
    }
