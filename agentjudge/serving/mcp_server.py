"""Judges and tools as an MCP server, by the protocol's official SDK: over standard input and output, or HTTP.

    service = McpService(judges=("veri-r1",), corpora={"docs": ("docs/",)})
    serve_stdio(service)                                   # for desktop clients, which start it themselves
    run(service, host="127.0.0.1", port=8020)              # streamable HTTP at /mcp; see `agentjudge.serving.server`

A call that cannot be done is answered with `isError` and says what to do; only an unknown tool is an error of the
protocol. The steps of a judgement are told as progress, to clients that ask for it. A call that its client cancels, or
whose connection goes, is broken off.

Over HTTP, requests with an `Origin` or a `Host` that is not of this machine are refused, so that no web page may ask;
an address that others can reach needs a key.
"""

import asyncio
import base64
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agentjudge import __version__
from agentjudge.errors import AgentJudgeError, ConfigError, require
from agentjudge.runs.packing import dumps
from agentjudge.serving.api_bench import Bench
from agentjudge.serving.guards import Keys
from agentjudge.serving.mcp_offers import Answer, Offer, Place, judge_offers, tool_offers
from agentjudge.serving.rewards_files import Files
from agentjudge.serving.rewards_http import respond

LOCAL = ("127.0.0.1", "localhost", "::1")
INSTRUCTIONS = (
    "Judges that check before they score: a verdict cites the evidence it rests on, word for word. "
    "What tools show may be cited by the id in double square brackets."
)


@dataclass(frozen=True, slots=True)
class McpService:
    """What is served, from the options of `agentjudge mcp`; over HTTP a `Service` of `agentjudge.serving.server`."""

    judges: Sequence[str] = ()
    """All that the model can drive where none is named."""
    tools: Sequence[str] = ()
    """Patterns of names; see `tool_offers`."""
    with_judges: bool = True
    with_tools: bool = True
    model: str = "embedded"
    corpora: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index: str = "bm25"
    search: str | None = None
    fetch: bool = False
    mcp: Path | None = None
    root: Path | None = None
    """Folder of files that may be named by path."""
    seed: int | None = None
    deadline: float = 300.0
    concurrency: int = 8
    max_body: int = 64_000_000
    """Bytes of a request over HTTP."""
    host: str = "127.0.0.1"
    keys: tuple[str, ...] = ()

    def open(self, folder: Path) -> "McpOffers":
        """The offers; `folder` takes the files of calls.

        Raises:
            ConfigError: unknown judge, model, index or engine, an MCP server that cannot be used, or a missing extra.
            DataError: a corpus or the root cannot be read, or there is no such tool.
        """
        require("mcp", extra="mcp")
        sources: dict[str, Any] = {"index": self.index, "search": self.search, "fetch": self.fetch, "mcp": self.mcp}
        place = Place(folder, Files(self.root), seconds=self.deadline)
        bench = Bench.load(self.judges, model=self.model, corpora=self.corpora, seed=self.seed, **sources)
        offers = judge_offers(bench, place) if self.with_judges else []
        offers += tool_offers(bench, place, self.tools) if self.with_tools else []
        return McpOffers(offers, bench, concurrency=self.concurrency)

    def __call__(self) -> Any:
        """See `Service`.

        Raises:
            ConfigError: others can reach the address, and there is no key.
        """
        keys = Keys(self.keys)
        if self.host not in LOCAL and not self.keys:
            raise ConfigError(f"whoever reaches {self.host} could use all of it: give --api-key")
        folder = TemporaryDirectory(prefix="agentjudge-mcp-")
        offers = self.open(Path(folder.name))
        app = offers.server(folder).streamable_http_app(host=self.host, max_request_body_size=self.max_body)
        return _Door(app, keys, offers.names)

    def told(self, app: "_Door", address: str) -> str:
        """See `Service`."""
        return f"{len(app.names)} tools at {address}/mcp: {', '.join(app.names)}"


class McpOffers:
    """What is offered, as handlers of the SDK.

    Args:
        offers: with distinct names.
        bench: closed with them.
        concurrency: calls that are worked on at once; others wait.

    Raises:
        ConfigError: nothing is offered.
    """

    def __init__(self, offers: Sequence[Offer], bench: Bench, *, concurrency: int) -> None:
        if not offers:
            raise ConfigError("nothing is offered: leave --no-judges or --no-tools out")
        self._types = require("mcp_types", extra="mcp")
        self._offers = {offer.name: offer for offer in offers}
        self._bench = bench
        self._slots = asyncio.Semaphore(concurrency)

    @property
    def names(self) -> list[str]:
        """Of all that is offered."""
        return list(self._offers)

    def server(self, folder: "TemporaryDirectory[str] | None" = None) -> Any:
        """The SDK's server, which closes the bench, and takes the folder away, when it ends."""

        @asynccontextmanager
        async def life(_: Any) -> AsyncIterator[None]:
            try:
                yield None
            finally:
                for offer in self._offers.values():
                    with suppress(Exception):  # sources are shared with the judges, and closed by the first
                        await offer.aclose()
                await self._bench.aclose()
                if folder is not None:
                    folder.cleanup()

        return require("mcp.server", extra="mcp").Server(
            "agentjudge",
            version=__version__,
            instructions=INSTRUCTIONS,
            lifespan=life,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
        )

    async def list_tools(self, context: Any, params: Any) -> Any:
        """All of them, on one page."""
        types = self._types
        tools = [
            types.Tool(**{**offer.about, "annotations": types.ToolAnnotations(**offer.about["annotations"])})
            for offer in self._offers.values()
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(self, context: Any, params: Any) -> Any:
        """A call, with its steps as progress.

        Raises:
            MCPError: there is no such tool.
        """
        offer = self._offers.get(params.name)
        if offer is None:
            error, code = require("mcp", extra="mcp").MCPError, self._types.INVALID_PARAMS
            raise error(code=code, message=f"no tool {params.name!r}; there is {', '.join(self._offers)}")
        steps: asyncio.Queue[str | None] = asyncio.Queue()
        telling = asyncio.create_task(_tell(context.session, steps))
        try:
            async with self._slots:
                answer = await offer.call(params.arguments or {}, steps.put_nowait)
            steps.put_nowait(None)
            await telling
        except AgentJudgeError as exc:
            answer = Answer(exc.message, failed=True)
        finally:
            telling.cancel()
        return self._result(answer)

    def _result(self, answer: Answer) -> Any:
        types = self._types
        content = [types.TextContent(text=answer.text)]
        content += [
            types.ImageContent(data=base64.b64encode(data).decode("ascii"), mime_type=kind)
            for data, kind in answer.pictures
        ]
        return types.CallToolResult(content=content, structured_content=answer.data, is_error=answer.failed)


async def _tell(session: Any, steps: "asyncio.Queue[str | None]") -> None:
    """Tell steps as progress, in their order, until there is None."""
    number = 0
    while (step := await steps.get()) is not None:
        number += 1
        await session.report_progress(number, message=step)


class _Door:
    """The application over HTTP, behind its keys."""

    desk = None

    def __init__(self, app: Any, keys: Keys, names: Sequence[str]) -> None:
        self.names = list(names)
        self._app, self._keys = app, keys

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if self._keys.admit(scope):
            await self._app(scope, receive, send)
        else:
            detail = {"detail": "a key is needed: Authorization: Bearer KEY"}
            await respond(send, dumps(detail), 401, {"WWW-Authenticate": "Bearer"})


def serve_stdio(service: McpService) -> None:
    """Serve over standard input and output, until the input ends.

    Raises:
        ConfigError: see `McpService.open`.
        DataError: see `McpService.open`.
    """
    with TemporaryDirectory(prefix="agentjudge-mcp-", ignore_cleanup_errors=True) as name:
        offers = service.open(Path(name))
        print(f"{len(offers.names)} tools on standard input and output: {', '.join(offers.names)}", file=sys.stderr)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: _leave(number, name))
        asyncio.run(_stdio(offers))


def _leave(number: int, folder: str) -> None:
    """End at once: a thread that reads standard input cannot be told to stop."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(128 + number)


async def _stdio(offers: McpOffers) -> None:
    server = offers.server()
    async with require("mcp.server.stdio", extra="mcp").stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
