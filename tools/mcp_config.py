"""Which tools of others' MCP servers judges may use: a file in the form that desktop clients know, with allow lists.

    {"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"], "allow": ["get_current_time"]},
                    "wiki": {"url": "https://example.org/mcp", "headers": {"Authorization": "Bearer ${WIKI_KEY}"},
                             "allow": ["search"], "timeout": 20}}}

    [mcpServers.time]                       # the same as TOML
    command = "uvx"
    args = ["mcp-server-time"]
    allow = ["get_current_time"]

A server is a program that is started (`command`, `args`, `env`, `cwd`) or an address (`url`, `headers`). What `allow`
does not name is neither told to a model nor callable; there is no way to allow everything. `${NAME}` is read from the
environment, so that secrets need not stand in the file; of the environment itself a program sees no more than its
search path, its home and what `env` gives it. Fields of other clients are passed over.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from agentjudge.case import NonBlank, Record, first_error
from agentjudge.errors import ConfigError, boundary

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class McpServer(Record):
    """A server, and what judges may use of it."""

    model_config = ConfigDict(extra="ignore")

    command: NonBlank | None = None
    """Program to start; it is spoken to by its standard input and output."""
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    """Variables that the program gets beside its search path and home."""
    cwd: str | None = None
    url: str | None = None
    """Address of a server that runs (streamable HTTP)."""
    headers: dict[str, str] = Field(default_factory=dict)
    allow: Annotated[tuple[NonBlank, ...], Field(min_length=1)]
    """Names of its tools that judges may use."""
    timeout: float = Field(default=30.0, gt=0, le=3_600)
    """Seconds of a call."""
    start_timeout: float = Field(default=60.0, gt=0, le=3_600)
    """Seconds until it has to answer for the first time."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("give either 'command' or 'url'")
        if self.url is not None:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("url must be an http or https address, such as http://127.0.0.1:8000/mcp")
        if len(set(self.allow)) != len(self.allow):
            raise ValueError("allow names a tool twice")
        return self


def read_servers(path: str | Path) -> dict[str, McpServer]:
    """The servers of a file by name, in its order; TOML where its name ends in `.toml`, JSON otherwise.

    Raises:
        ConfigError: no such file, or it is none; the message names the server and the field, never a secret.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"no such file of MCP servers: {path}")
    with boundary(ConfigError, f"{path} cannot be read"):
        text = path.read_text(encoding="utf-8-sig")
        data: Any = tomllib.loads(text) if path.suffix.lower() == ".toml" else from_json(text)
    servers = data.get("mcpServers") if isinstance(data, dict) else None
    if not isinstance(servers, dict) or not servers:
        raise ConfigError(f"{path} names no servers: it needs an object 'mcpServers', see docs/mcp.md")
    return {name: _server(name, entry, where=f"{path}: mcpServers.{name}") for name, entry in servers.items()}


def _server(name: str, entry: Any, *, where: str) -> McpServer:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}: a server's name has at most 32 letters, digits, - and _")
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: expected an object")
    if not entry.get("allow"):
        raise ConfigError(f'{where}: name the tools that judges may use of it: "allow": ["..."]')
    try:
        return McpServer.model_validate(_filled(entry, where))
    except ValidationError as exc:
        raise ConfigError(f"{where}: {first_error(exc)}") from None


def _filled(value: Any, where: str) -> Any:
    """The value with every `${NAME}` in it read from the environment."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _variable(match[1], where), value)
    if isinstance(value, Mapping):
        return {name: _filled(each, where) for name, each in value.items()}
    return [_filled(each, where) for each in value] if isinstance(value, list) else value


def _variable(name: str, where: str) -> str:
    if name not in os.environ:
        raise ConfigError(f"{where}: the environment has no variable {name}")
    return os.environ[name]
