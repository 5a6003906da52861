r"""A corpus over HTTP in the convention of Search-R1 (arXiv 2503.09516), which its descendants' trainers speak too.

    agentjudge serve --corpus docs/ --port 8010
    curl localhost:8010/retrieve -H 'content-type: application/json' \
         -d '{"queries": ["who built the bridge"], "topk": 3, "return_scores": true}'
    {"result": [[{"document": {"id": "bridge", "contents": "\"The bridge\"\nIt was ..."}, "score": 7.1}]]}

Without scores the inner items are the documents themselves. There is one list a query, in the order of the queries. A
document is a passage of the corpus: the quoted title, a newline, its text; its id is that of the corpus's document,
with `#N` behind it where the document has several passages (N from 0). The application asks for no
key by itself; that of `agentjudge serve` does where it was given some.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agentjudge.errors import ConfigError, require
from agentjudge.serving.guards import BodyLimit
from agentjudge.tools.corpus import Corpus
from agentjudge.tools.index import Index, open_index

MAX_QUERIES = 4_096
MAX_TOPK = 100
MAX_QUERY_CHARS = 10_000
MAX_BODY_BYTES = 16_000_000

Query = Annotated[str, StringConstraints(max_length=MAX_QUERY_CHARS)]


class RetrieveRequest(BaseModel):
    """Body of POST /retrieve. Fields that other servers of the convention know are ignored."""

    model_config = ConfigDict(frozen=True)

    queries: list[Query] = Field(max_length=MAX_QUERIES)
    topk: int | None = Field(default=None, ge=1, le=MAX_TOPK)
    """Passages a query; the server's own when null."""
    return_scores: bool = False


def create_app(corpus: Corpus, *, index: str | Index = "bm25", k: int = 3) -> Any:
    """The FastAPI application with POST /retrieve and GET /health.

    Args:
        corpus: what to search in.
        index: `bm25`, `dense`, `hybrid`, or an index over this corpus.
        k: passages a query when the request does not say, 1-100.

    Raises:
        ConfigError: unknown index, an index over another corpus, `k` out of range, or a missing extra or model.
    """
    fastapi = require("fastapi", extra="serve")
    app = fastapi.FastAPI(title="agentjudge retrieve", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=MAX_BODY_BYTES)
    about = add_retrieve(app, corpus, index=index, k=k)

    @app.get("/health")  # type: ignore[untyped-decorator]
    def health() -> dict[str, Any]:
        return {"status": "ok", **about}

    return app


def add_retrieve(
    app: Any, corpus: Corpus, *, index: str | Index = "bm25", k: int = 3, path: str = "/retrieve"
) -> dict[str, Any]:
    """Add POST /retrieve, or one at another path, to a FastAPI application; what `/health` tells of the corpus.

    Raises:
        ConfigError: as `create_app`.
    """
    fastapi = require("fastapi", extra="serve")
    if not 1 <= k <= MAX_TOPK:
        raise ConfigError(f"k must be 1 to {MAX_TOPK}, not {k}")
    ranked = open_index(corpus, index) if isinstance(index, str) else index
    if ranked.corpus is not corpus:
        raise ConfigError("the index is over another corpus")
    ids = _passage_ids(corpus)

    def document(passage: int) -> dict[str, str]:
        found = corpus.passages[passage]
        title = corpus.documents[found.doc].title
        return {"id": ids[passage], "contents": f'"{title}"\n{corpus.text(found)}'}

    @app.exception_handler(fastapi.exceptions.RequestValidationError)  # type: ignore[untyped-decorator]
    async def refuse(request: Any, exc: Any) -> Any:
        """What is wrong and where, without the input: it may be long, or not text at all."""
        problems = [{"loc": error["loc"], "msg": error["msg"], "type": error["type"]} for error in exc.errors()]
        return fastapi.responses.JSONResponse({"detail": problems}, status_code=422)

    @app.post(path, tags=["retrieve"])  # type: ignore[untyped-decorator]
    def retrieve(request: RetrieveRequest) -> dict[str, Any]:  # plain: FastAPI runs it in a thread
        results = ranked.search(request.queries, request.topk or k)
        if request.return_scores:
            return {"result": [[{"document": document(h.passage), "score": h.score} for h in hits] for hits in results]}
        return {"result": [[document(hit.passage) for hit in hits] for hits in results]}

    return {
        "index": ranked.name,
        "documents": len(corpus),
        "passages": len(corpus.passages),
        "corpus": corpus.content_hash,
    }


def _passage_ids(corpus: Corpus) -> list[str]:
    counts = [0] * len(corpus.documents)
    numbers = []
    for passage in corpus.passages:
        numbers.append(counts[passage.doc])
        counts[passage.doc] += 1
    return [
        corpus.documents[passage.doc].id + (f"#{number}" if counts[passage.doc] > 1 else "")
        for passage, number in zip(corpus.passages, numbers, strict=True)
    ]
