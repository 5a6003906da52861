"""Tools of others' MCP servers as tools of ours; what they return can be cited.

    judge = Judge.load("veri-r1", model="vllm:...", mcp="servers.json")     # see `agentjudge.tools.mcp_config`
    mcp__time__get_current_time(timezone="Europe/Oslo")
    -> # time: get_current_time {"timezone": "Europe/Oslo"}
       [[time.get_current_time/3f9c21aa:0]] {"timezone": "Europe/Oslo", "datetime": "2026-...", ...}

A tool is called `mcp__SERVER__TOOL`, so that none takes the place of one of ours. Its arguments are checked against the
schema that its server gave before anything is sent. Its text becomes a document of the case, whose sentences have ids;
its pictures are shown, and can be zoomed into; sounds and links are named and left out. What it returns is nobody's
word: it is shown as any text of a corpus is, and fenced by the judge. So is how a server describes its tools: cut, and
with nothing in it that a chat template would take for its own.

Errors of a server are results of a call, as those of all tools are (`agentjudge.tools.base`).
"""

import asyncio
import base64
import binascii
import copy
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from agentjudge.boxes import WHOLE
from agentjudge.case import Document
from agentjudge.errors import ConfigError, DataError, ToolError, require
from agentjudge.evidence import EvidenceRef
from agentjudge.prompts import Fence
from agentjudge.registry import register
from agentjudge.tools.base import Tool, ToolArgs, ToolContext, ToolResult
from agentjudge.tools.citing import Excerpt, plain, show, store
from agentjudge.tools.mcp_client import McpClients, RemoteTool
from agentjudge.tools.mcp_config import McpServer, read_servers

MAX_TEXT = 200_000
"""Characters that are kept of a result; of these a model sees what any tool may show."""
MAX_PICTURES = 4
MAX_PICTURE_CHARS = 20_000_000
"""Of a picture's base64."""
MAX_DESCRIPTION = 1_000
MAX_SCHEMA = 20_000
"""Characters."""
_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64
"""Characters of a tool's name, as APIs of models have it."""


class McpArgs(ToolArgs):
    """Arguments of a remote tool, as they are: checked by its own schema."""

    given: dict[str, Any] = Field(description="All of them, by name.")
    check: ClassVar[Callable[[dict[str, Any]], None]]

    @model_validator(mode="before")
    @classmethod
    def _checked(cls, args: dict[str, Any]) -> dict[str, Any]:
        cls.check(args)
        return {"given": args}


class McpTool(Tool[McpArgs]):
    """A tool of a server. Made by `mcp_tools`, a class for each.

    Args:
        clients: by which it is called; closed with it.
        timeout: seconds of a call.
    """

    foreign = True
    remote: ClassVar[RemoteTool]

    def __init__(self, clients: McpClients, *, timeout: float) -> None:
        self.timeout = timeout
        self._clients = clients

    @classmethod
    def spec(cls) -> dict[str, Any]:
        """The tool as an OpenAI function, with the arguments as its server describes them."""
        shown = {name: part for name, part in cls.remote.schema.items() if name not in ("$schema", "title")}
        parameters = _harmless(copy.deepcopy(shown))
        function = {"name": cls.name, "description": cls.description, "parameters": parameters}
        return {"type": "function", "function": function}

    async def run(self, args: McpArgs, context: ToolContext) -> ToolResult:
        """What the server returns, as text with references, pictures, and `data` (`server`, `tool`, `hits`).

        Raises:
            ToolError: the server says so, cannot be asked, or does not offer this tool any more.
        """
        result = await self._clients.call(self.remote, args.given)
        return await asyncio.to_thread(_told, self.remote, args.given, result, context)

    async def aclose(self) -> None:
        """End the connections; those of one file end together."""
        await self._clients.aclose()


@register("tool", "mcp")
def mcp_tools(servers: str | Path | Mapping[str, McpServer]) -> list[Tool[Any]]:
    """Tools of others' MCP servers, as far as they are allowed; what they return can be cited.

    Args:
        servers: a file (see `agentjudge.tools.mcp_config`), or servers by name. They are started now, and end when one
            of the tools is closed.

    Raises:
        ConfigError: the file is none, a server cannot be used, or has no tool of an allowed name.
    """
    known = servers if isinstance(servers, Mapping) else read_servers(servers)
    clients = McpClients(known)
    remotes = clients.open()
    try:
        names = [tool_name(remote) for remote in remotes]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ConfigError(f"two tools of MCP servers would both be called {twice[0]!r}: allow one of them")
        return [_made(remote, clients, known[remote.server].timeout) for remote in remotes]
    except BaseException:
        clients.close()
        raise


def tool_name(remote: RemoteTool) -> str:
    """`mcp__SERVER__TOOL`, at most 64 letters, digits, `-` and `_`."""
    name = f"mcp__{remote.server}__{_OTHER.sub('_', remote.name)}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}_{hashlib.sha256(remote.name.encode()).hexdigest()[:8]}"


def _made(remote: RemoteTool, clients: McpClients, timeout: float) -> McpTool:
    where = f"the tool {remote.name!r} of the MCP server {remote.server!r}"
    if remote.schema.get("type") != "object" or len(json.dumps(remote.schema)) > MAX_SCHEMA:
        raise ConfigError(f"{where} cannot be used: its arguments have no schema of an object, or a too long one")
    args = type("McpArgs", (McpArgs,), {"check": staticmethod(_checker(remote, where))})
    description = Fence.escape(" ".join(remote.description.split())[:MAX_DESCRIPTION])
    members = {
        "name": tool_name(remote),
        "description": description or f"{remote.name} of {remote.server}",
        "Args": args,
        "remote": remote,
        "__doc__": McpTool.__doc__,
    }
    made: type[McpTool] = type("McpTool", (McpTool,), members)
    return made(clients, timeout=timeout)


def _checker(remote: RemoteTool, where: str) -> Callable[[dict[str, Any]], None]:
    """What raises ValueError for arguments that are not of the tool's schema. References out of it lead nowhere."""
    schemas = require("jsonschema", extra="mcp")
    registry = require("referencing", extra="mcp").Registry()
    kind = schemas.validators.validator_for(remote.schema, default=schemas.Draft202012Validator)
    try:
        kind.check_schema(remote.schema)
    except schemas.SchemaError as exc:
        raise ConfigError(f"{where} cannot be used: its schema of arguments is none ({exc.message[:200]})") from exc
    validator = kind(remote.schema, registry=registry)

    def check(args: dict[str, Any]) -> None:
        try:
            error = schemas.exceptions.best_match(validator.iter_errors(args))
        except Exception as exc:
            raise ValueError(f"they cannot be checked by the tool's schema ({exc})") from exc
        if error is not None:
            place = ".".join(str(part) for part in error.absolute_path)
            raise ValueError(f"{place}: {error.message[:300]}" if place else error.message[:300])

    return check


def _harmless(value: Any) -> Any:
    """JSON with every text in it escaped as untrusted text is."""
    if isinstance(value, str):
        return Fence.escape(value)
    if isinstance(value, dict):
        return {name: _harmless(each) for name, each in value.items()}
    return [_harmless(each) for each in value] if isinstance(value, list) else value


def _told(remote: RemoteTool, args: dict[str, Any], result: Any, context: ToolContext) -> ToolResult:
    """A `CallToolResult` of the SDK as ours."""
    texts, pictures, notes = _parts(result.content)
    if not texts and result.structured_content is not None:
        texts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = "\n".join(texts).encode("utf-8", "replace").decode()
    if result.is_error:
        raise ToolError(f"the server {remote.server!r} says: {plain(text)[:1_000] or 'nothing'}")
    if len(text) > MAX_TEXT:
        notes.append(f"{len(text) - MAX_TEXT} more characters were not kept")
        text = text[:MAX_TEXT]
    title = f"{remote.server}: {remote.name} {json.dumps(args, ensure_ascii=False, sort_keys=True)[:200]}"
    said, refs, hits = _cited(remote, title, text, context)
    shown: list[str] = []
    for picture in pictures[:MAX_PICTURES]:
        sha, problem = _picture(picture, context)
        shown += [sha] if sha else []
        notes += [problem] if problem else []
    if len(pictures) > MAX_PICTURES:
        notes.append(f"{len(pictures) - MAX_PICTURES} more pictures were left out")
    refs += [context.store.region_ref(sha, WHOLE) for sha in shown]
    parts = [said or (f"# {plain(title)}" if shown else "It returned nothing."), *(f"[{note}]" for note in notes)]
    data = {"server": remote.server, "tool": remote.name, "hits": hits}
    return ToolResult("\n".join(parts), refs=tuple(refs), images=tuple(shown), data=data)


def _cited(
    remote: RemoteTool, title: str, text: str, context: ToolContext
) -> tuple[str, list[EvidenceRef], list[dict[str, Any]]]:
    """The text with ids, its references, and what `data` says of it."""
    if not text.strip():
        return "", [], []
    digest = hashlib.sha256(f"{title}\n{text}".encode()).hexdigest()[:8]
    document = Document(id=f"{remote.server}.{_OTHER.sub('_', remote.name)}/{digest}", title=title, text=text)
    store([document], context.store)
    shown = show([Excerpt(document, document.sentences())])
    hit = {"doc": document.id, "title": title, "ids": [ref.id for ref in shown.refs]}
    return shown.text, list(shown.refs), [hit]


def _parts(content: Any) -> tuple[list[str], list[str], list[str]]:
    """Texts, base64 of pictures, and notes on what was left out."""
    texts: list[str] = []
    pictures: list[str] = []
    notes: list[str] = []
    for block in content:
        resource: Any = getattr(block, "resource", None)
        kind = str(getattr(resource, "mime_type", "") or "")
        if block.type == "text":
            texts.append(block.text)
        elif block.type == "image":
            pictures.append(block.data)
        elif block.type == "resource" and hasattr(resource, "text"):
            texts.append(resource.text)
        elif block.type == "resource" and kind.startswith("image/"):
            pictures.append(resource.blob)
        else:
            what = plain(str(getattr(block, "uri", "") or kind))[:200]
            notes.append(f"left out: {plain(str(block.type))[:40]} {what}".rstrip())
    return texts, pictures, notes


def _picture(data: str, context: ToolContext) -> tuple[str, str]:
    """SHA-256 of a picture that is in the store now, or what is wrong with it."""
    if not context.profile.images:
        return "", "a picture was left out: this model sees none"
    if len(data) > MAX_PICTURE_CHARS:
        return "", f"a picture was left out: over {MAX_PICTURE_CHARS:,} characters"
    try:
        return context.store.add_image(base64.b64decode(data, validate=True)).sha256, ""
    except (binascii.Error, ValueError) as exc:
        return "", f"a picture was left out: not base64 ({exc})"
    except (DataError, ConfigError) as exc:
        return "", f"a picture was left out: {exc.message}"
