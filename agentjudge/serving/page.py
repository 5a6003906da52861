"""The page at `/`, where a person has claims, pictures and runs judged, and argues with the verdict.

    add_page(app)            # GET /, and GET /page/NAME for its parts

Plain files by hand, held in memory: no framework, no build, nothing from elsewhere. Two parts are those of the page of
a run. The page asks the routes of docs/api.md as any client does; keys are asked for where the server wants one. Its
policy allows scripts, styles and answers of this server alone, and what models and documents say is put on it as text.
"""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agentjudge.runs.view import TEMPLATE as RUNS

FOLDER = Path(__file__).parent / "page"
INDEX = "index.html"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
SHARED = ("base.css", "words.js")
"""Parts of the page of a run."""
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def parts() -> dict[str, bytes]:
    """The files of the page by name."""
    files = [*sorted(file for file in FOLDER.iterdir() if file.suffix in KINDS), *(RUNS / name for name in SHARED)]
    return {file.name: file.read_bytes() for file in files}


def add_page(app: Any) -> None:
    """Add the routes of the page to an application of FastAPI or Starlette."""
    for name, data in parts().items():
        path = "/" if name == INDEX else f"/page/{name}"
        app.add_route(path, _handing(name, data), methods=["GET"], include_in_schema=False)


def _handing(name: str, data: bytes) -> Callable[[Any], Awaitable[Any]]:
    """A route that hands out a file, or says that the browser has it."""
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    kind = f"{KINDS[Path(name).suffix]}; charset=utf-8"

    async def hand(request: Any) -> Any:
        from starlette.responses import Response

        headers = {**HEADERS, "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=kind)

    return hand
