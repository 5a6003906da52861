"""Connections to MCP servers, by the official SDK, in a thread of their own.

    clients = McpClients(read_servers("servers.json"))
    offered = clients.open()                              # starts them; the allowed tools of each, as they are pinned
    result = await clients.call("time", tool, {"timezone": "Europe/Oslo"})     # from any event loop
    await clients.aclose()                                # programs have ended when it returns

The SDK ties a connection to the task that opened it, while judges are asked from many event loops; so each connection
lives in a task of one background loop, and calls come to it from wherever they are made. A call that is cancelled
there is cancelled here, and the server is told.

What a server offers is pinned when it is opened. Before each call it is asked again what it offers, and a tool that is
gone, or whose arguments have another schema, is refused: it is not the one that was allowed. A server that has ended
is started again, but no call is made twice, for the first one may have done something already. Calls have no limit of
time here: that of the tool cancels them.
Servers get no capabilities of the client: they can ask neither the model nor the user for anything.
"""

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

from agentjudge.errors import ConfigError, ToolError, require
from agentjudge.tools.mcp_config import McpServer

T = TypeVar("T")
MOST_PAGES = 50
"""Of a list of tools."""
ENDING = 15.0
"""Seconds; the SDK gives a program about 6 to end before it is killed."""
_TAIL = 400


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool as its server told of it."""

    server: str
    name: str
    description: str
    schema: dict[str, Any]
    """JSON schema of its arguments."""

    def same(self, other: "RemoteTool") -> bool:
        """Whether it takes the same arguments."""
        return json.dumps(self.schema, sort_keys=True) == json.dumps(other.schema, sort_keys=True)


class McpClients:
    """See the module.

    Args:
        servers: by name.

    Raises:
        ConfigError: the SDK is not installed.
    """

    def __init__(self, servers: Mapping[str, McpServer]) -> None:
        require("mcp", extra="mcp")
        self._connections = {name: _Connection(name, server) for name, server in servers.items()}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="agentjudge-mcp", daemon=True)
        self._thread.start()
        self._lock = threading.Lock()
        self._closed = False

    def open(self) -> list[RemoteTool]:
        """Start all servers, at once; the allowed tools, in the order of the allow lists.

        Raises:
            ConfigError: a server cannot be started or does not answer, or it has no tool of an allowed name.
        """

        async def opened() -> list[list[RemoteTool]]:
            return await asyncio.gather(*(connection.open() for connection in self._connections.values()))

        try:
            return [tool for tools in self._submit(opened()).result() for tool in tools]
        except BaseException:
            self.close()
            raise

    async def call(self, tool: RemoteTool, args: dict[str, Any]) -> Any:
        """The SDK's `CallToolResult`.

        Raises:
            ToolError: it could not be had, or the tool is not what it was.
        """
        if self._closed:
            raise ToolError("the connections to MCP servers are closed")
        return await asyncio.wrap_future(self._submit(self._connections[tool.server].call(tool, args)))

    def close(self) -> None:
        """End connections and programs, for good; a second time does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._submit(self._stop()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def aclose(self) -> None:
        """`close`, for callers with an event loop."""
        await asyncio.to_thread(self.close)

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _stop(self) -> None:
        await asyncio.gather(*(connection.stop() for connection in self._connections.values()))


class _Broken(ToolError):
    """The connection has broken; the next call opens another one."""


@dataclass(slots=True)
class _Open:
    """A connection that is open, or about to be."""

    ready: "asyncio.Future[Any]"
    """The SDK's client."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Tells it to end."""
    task: "asyncio.Task[None] | None" = None


class _Connection:
    """One server. All of it runs in the background loop."""

    def __init__(self, name: str, server: McpServer) -> None:
        self.name, self.server = name, server
        self._open: _Open | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> list[RemoteTool]:
        """Connect, and pin what is allowed.

        Raises:
            ConfigError: see `McpClients.open`.
        """
        try:
            opened = await self._connected()
            async with asyncio.timeout(self.server.start_timeout):
                offered = await self._listed(opened)
        except ToolError as exc:
            raise ConfigError(exc.message) from exc
        except TimeoutError:
            raise ConfigError(f"the MCP server {self.name!r} does not say what tools it has") from None
        if missing := [name for name in self.server.allow if name not in offered]:
            there = ", ".join(offered) or "none"
            raise ConfigError(f"the MCP server {self.name!r} has no tool {missing[0]!r} to allow; its tools: {there}")
        return [offered[name] for name in self.server.allow]

    async def call(self, tool: RemoteTool, args: dict[str, Any]) -> Any:
        """See `McpClients.call`."""
        if tool.name not in self.server.allow:
            raise ToolError(f"the tool {tool.name!r} of {self.name!r} is not allowed")
        try:
            opened = await self._connected()
            offered = await self._listed(opened)
        except _Broken:  # nothing has been done by it yet, so it may be tried again
            opened = await self._connected()
            offered = await self._listed(opened)
        now = offered.get(tool.name)
        if now is None:
            raise ToolError(f"the server {self.name!r} does not offer {tool.name!r} any more. Go on without it")
        if not tool.same(now):
            why = "takes other arguments than when it was allowed, and is not called any more"
            raise ToolError(f"{tool.name!r} of {self.name!r} {why}. Go on without it")
        return await self._asked(opened, opened.ready.result().call_tool(tool.name, args))

    async def stop(self) -> None:
        """End it; returns once its programs have ended."""
        self._leave(self._open)
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=ENDING)
            for task in left:
                task.cancel()

    async def _connected(self) -> _Open:
        """The connection, opened now unless it is.

        Raises:
            ToolError: the server cannot be reached.
        """
        opened = self._open
        if opened is None or opened.task is None or opened.task.done():
            opened = self._open = _Open(asyncio.get_running_loop().create_future())
            opened.task = asyncio.create_task(self._live(opened))
            self._tasks.add(opened.task)
            opened.task.add_done_callback(self._tasks.discard)
        await asyncio.shield(opened.ready)  # others wait for it too
        return opened

    def _leave(self, opened: _Open | None) -> None:
        if opened is not None:
            opened.over.set()
            if self._open is opened:
                self._open = None

    async def _live(self, opened: _Open) -> None:
        """The life of a connection, from its opening to `over`."""
        ready = opened.ready
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(self.server.start_timeout):
                        client = await stack.enter_async_context(self._client(log))
                    ready.set_result(client)
                    await opened.over.wait()
            except (Exception, asyncio.CancelledError) as exc:
                if not ready.done():
                    ready.set_exception(ToolError(self._unreachable(exc, log)))
                    ready.exception()  # told to whoever waits, if anybody still does

    @asynccontextmanager
    async def _client(self, log: IO[str]) -> AsyncIterator[Any]:
        mcp, server = require("mcp", extra="mcp"), self.server
        async with AsyncExitStack() as stack:
            if server.command is not None:
                told = {"command": server.command, "args": list(server.args), "env": server.env, "cwd": server.cwd}
                transport = mcp.stdio_client(mcp.StdioServerParameters(**told), errlog=log)
            else:
                http = require("mcp.client.streamable_http", extra="mcp")
                asking = http.create_mcp_http_client(headers=dict(server.headers))
                transport = http.streamable_http_client(server.url, http_client=await stack.enter_async_context(asking))
            yield await stack.enter_async_context(mcp.Client(transport))

    async def _listed(self, opened: _Open) -> dict[str, RemoteTool]:
        """What it offers now, by name."""
        client, cursor = opened.ready.result(), None
        found: dict[str, RemoteTool] = {}
        for _ in range(MOST_PAGES):
            page = await self._asked(opened, client.list_tools(cursor=cursor, cache_mode="refresh"))
            for tool in page.tools:
                found.setdefault(tool.name, RemoteTool(self.name, tool.name, tool.description or "", tool.input_schema))
            cursor = page.next_cursor
            if cursor is None:
                return found
        raise ToolError(f"the server {self.name!r} lists tools without an end")

    async def _asked(self, opened: _Open, asking: Coroutine[Any, Any, Any]) -> Any:
        """The answer of the server.

        Raises:
            ToolError: there is none, or it is an error.
        """
        try:
            return await asking
        except Exception as exc:
            if _answered(exc):
                raise ToolError(f"the server {self.name!r} refused: {_why(exc)}") from exc
            self._leave(opened)
            raise _Broken(f"the connection to the server {self.name!r} broke: {_why(exc)}", retriable=True) from exc

    def _unreachable(self, exc: BaseException, log: IO[str]) -> str:
        log.seek(0)
        said = " ".join(log.read()[-_TAIL:].split())
        late = f"it did not answer within {self.server.start_timeout:g} s"
        why = late if isinstance(exc, TimeoutError) else _why(exc)
        return f"the MCP server {self.name!r} cannot be used: {why}{f'; it says: {said}' if said else ''}"


def _answered(exc: Exception) -> bool:
    """Whether the server has answered, if only by an error, or by what the SDK does not take for an answer."""
    closed, error = require("mcp_types", extra="mcp").CONNECTION_CLOSED, require("mcp", extra="mcp").MCPError
    return exc.code != closed if isinstance(exc, error) else isinstance(exc, RuntimeError | ValueError)


def _why(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return " ".join((str(exc) or type(exc).__name__).split())[:_TAIL]
