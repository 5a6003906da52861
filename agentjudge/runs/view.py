"""A run, or two side by side, as one web page that needs neither network nor server.

    export([open_run("run")], Path("run.html"))            # a file to keep or send
    with PageServer([open_run("a"), open_run("b")]) as server:
        print(server.url)
        server.serve_forever()

Whatever models and documents said is carried as compressed JSON in base64, an alphabet that cannot end an HTML element,
and is put on the page as text. The page's policy forbids every script but its own, and every address but its server's.
In a file, traces and pictures stand inline; a server hands them out when they are opened.
"""

import base64
import gzip
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from agentjudge.errors import AgentJudgeError, ConfigError, DataError, StoreError, boundary
from agentjudge.prompts import fill
from agentjudge.runs.folder import TRACES, Run
from agentjudge.runs.packing import dumps
from agentjudge.runs.pictures import Album
from agentjudge.runs.viewdata import head, read

TEMPLATE = Path(__file__).parent / "page"
PICTURE_BYTES = 32_000_000
"""Of pictures in an exported file, all together."""
_LOCAL = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_CHUNK = re.compile(r"/chunk/([01])/(\d{1,9})")
_PICTURE = re.compile(r"/picture/([0-9a-f]{64})")
_EXPORT = re.compile(r"^export ", re.MULTILINE)
"""What makes `words.js` a module for the pages of servers; here it is part of one script."""


class Page:
    """The page of one run or two, which is read when the page is made.

    Args:
        runs: one or two, as `open_run` gives them.

    Raises:
        DataError: not one or two runs, or there is no judgement in them.
        StoreError: a run cannot be read.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        if not 1 <= len(runs) <= 2:
            raise DataError(f"a page shows one run or two, not {len(runs)}")
        self._runs = runs
        self._album = Album(self.picture)
        cases = {id: case for run in reversed(runs) for id, case in run.cases().items()}
        texts: dict[str, dict[str, str]] = {}
        self._data = [read(run, cases, self._album, texts) for run in runs]
        if not texts:
            raise DataError(f"no judgements in {' and '.join(str(run.path) for run in runs)}; nothing to view yet")
        self._head = head(self._data, cases, texts, self._album)
        self.title = " and ".join(run.name for run in self._data)

    def picture(self, sha256: str) -> bytes | None:
        """The bytes of a picture of the runs, or None."""
        return next((data for run in self._runs if (data := run.blob(sha256)) is not None), None)

    def media_type(self, sha256: str) -> str:
        """Of a picture that the traces speak of; empty for all others."""
        found = self._album.pictures.get(sha256)
        return "" if found is None else found.type

    def chunk(self, run: int, number: int) -> bytes | None:
        """Traces of a run as JSON lines under gzip, or None."""
        chunks = self._data[run].chunks if 0 <= run < len(self._data) else []
        return chunks[number] if 0 <= number < len(chunks) else None

    def standalone(self, *, picture_bytes: int = PICTURE_BYTES) -> str:
        """The page with everything in it; pictures over `picture_bytes` altogether are left out, and it says so."""
        blocks, left, omitted = {}, picture_bytes, 0
        for sha, found in self._album.pictures.items():
            if not found.type:
                continue
            if found.size > left:
                omitted += 1
            elif (data := self.picture(sha)) is not None:
                left -= found.size
                blocks[f"picture-{sha}"] = data
        for run, read_run in enumerate(self._data):
            blocks |= {f"chunk-{run}-{number}": chunk for number, chunk in enumerate(read_run.chunks)}
        return self._html(blocks, served=False, omitted={"pictures": omitted, "bytes": picture_bytes})

    @cached_property
    def served(self) -> bytes:
        """The page that asks its server for traces and pictures."""
        return self._html({}, served=True, omitted={"pictures": 0, "bytes": 0}).encode()

    def _html(self, blocks: Mapping[str, bytes], *, served: bool, omitted: dict[str, int]) -> str:
        style = _part("base.css") + _part("page.css")
        script = _EXPORT.sub("", _part("words.js")) + _part("judgement.js") + _part("page.js")
        own = "'self'" if served else ""
        policy = {
            "default-src": "'none'",
            "script-src": _digest(script),
            "style-src": _digest(style),
            "img-src": f"data: {own}",
            "connect-src": own or "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "require-trusted-types-for": "'script'",
        }
        about = gzip.compress(dumps({**self._head, "served": served, "omitted": omitted}), mtime=0)
        return fill(
            _part("page.html"),
            policy="; ".join(f"{name} {value}" for name, value in policy.items()),
            style=style,
            script=script,
            data="\n".join(_block(id, data) for id, data in {"head": about, **blocks}.items()),
        )


def export(runs: Sequence[Run], file: Path, *, picture_bytes: int = PICTURE_BYTES) -> None:
    """Write the page of one run or two as a single HTML file.

    Args:
        runs: as `open_run` gives them.
        file: is replaced where it exists.
        picture_bytes: limit of all pictures together; those that evidence lies in go first.

    Raises:
        DataError: as `Page`.
        StoreError: a run cannot be read, or the file cannot be written.
    """
    html = Page(runs).standalone(picture_bytes=picture_bytes)
    with boundary(StoreError, f"cannot write {file}"):
        file.write_text(html, encoding="utf-8")


class PageServer(ThreadingHTTPServer):
    """Serves the page on the loopback address; a run that has grown since is read again when the page is loaded.

    Args:
        runs: as `open_run` gives them.
        port: to listen on; 0 takes a free one.

    Raises:
        ConfigError: nothing can listen on that port.
        DataError: as `Page`.
        StoreError: a run cannot be read.
    """

    daemon_threads = True

    def __init__(self, runs: Sequence[Run], *, port: int = 0) -> None:
        self._runs = runs
        self._reading = Lock()
        self._state = self._sizes()
        self.page = Page(runs)
        with boundary(ConfigError, f"cannot listen on port {port}; choose another one, or 0 for any that is free"):
            super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def fresh(self) -> Page:
        """The page as the runs are now."""
        with self._reading:
            state = self._sizes()
            if state != self._state:
                self.page, self._state = Page(self._runs), state
            return self.page

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong; a browser that went away is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def _sizes(self) -> list[int]:
        files = [run.path / TRACES for run in self._runs]
        return [file.stat().st_size if file.exists() else 0 for file in files]


class _Handler(BaseHTTPRequestHandler):
    """`/`, `/chunk/RUN/NUMBER` and `/picture/SHA256`; nothing else, and only under a loopback name."""

    server: PageServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request."""
        if not _LOCAL.fullmatch(self.headers.get("Host", "")):  # another site's name that was made to point here
            return self._send(HTTPStatus.FORBIDDEN, b"only on this machine\n")
        found, kind = None, "application/octet-stream"
        path = self.path.partition("?")[0]
        try:
            if path == "/":
                found, kind = self.server.fresh().served, "text/html; charset=utf-8"
            elif asked := _CHUNK.fullmatch(path):
                found = self.server.page.chunk(int(asked[1]), int(asked[2]))
            elif (asked := _PICTURE.fullmatch(path)) and (kind := self.server.page.media_type(asked[1])):
                found = self.server.page.picture(asked[1])
        except AgentJudgeError as exc:
            return self._send(HTTPStatus.INTERNAL_SERVER_ERROR, f"{exc.message}\n".encode())
        if found is None:
            return self._send(HTTPStatus.NOT_FOUND, b"not found\n")
        return self._send(HTTPStatus.OK, found, kind)

    def _send(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **_HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are no news."""


_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _part(name: str) -> str:
    return (TEMPLATE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """The name under which a page's policy allows a script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _block(id: str, data: bytes) -> str:
    return f'<script type="text/plain" id="{id}">{base64.b64encode(data).decode()}</script>'
