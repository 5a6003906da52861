"""Command for clients of the Model Context Protocol: mcp."""

from pathlib import Path
from typing import Any

import click

from agentjudge.cli_options import index_option, mcp_option, model_option, search_option, seed_option
from agentjudge.errors import ConfigError

KEY = "AGENTJUDGE_MCP_KEY"


@click.command()
@click.option("--judge", "judges", multiple=True, help="A judge to offer; may be repeated. All when left out.")
@click.option("--tool", "tools", multiple=True, metavar="PATTERN", help="Tools to offer, such as ocr or check_*.")
@click.option("--no-judges", is_flag=True, help="Tools alone.")
@click.option("--no-tools", is_flag=True, help="Judges alone.")
@model_option
@seed_option
@click.option("--corpus", multiple=True, metavar="[NAME=]PATH", help="Files or folders to search; may be repeated.")
@index_option
@search_option
@click.option("--fetch", is_flag=True, help="Let judges and clients open public web pages.")
@mcp_option
@click.option("--root", type=click.Path(path_type=Path), help="Folder whose files may be named; none when left out.")
@click.option("--deadline", type=click.FloatRange(0, min_open=True), default=300.0, show_default=True, help="Seconds.")
@click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Calls at once.")
@click.option("--http", "port", type=click.IntRange(0, 65535), help="Serve HTTP at this port; 0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at, with --http.")
@click.option("--api-key", "keys", multiple=True, envvar=KEY, help=f"A key that --http asks for; or {KEY}.")
def mcp(
    no_judges: bool, no_tools: bool, corpus: tuple[str, ...], port: int | None, host: str, keys: tuple[str, ...],
    **how: Any,
) -> None:  # fmt: skip
    """Offer judges and tools to MCP clients: on standard input and output, or by --http at /mcp.

    docs/mcp.md has what a desktop client needs to be told.
    """
    from agentjudge.cli_serve import named_corpora
    from agentjudge.serving.mcp_server import McpService, serve_stdio
    from agentjudge.serving.server import run

    if (no_judges and how["judges"]) or (no_tools and how["tools"]):
        raise ConfigError("--no-judges goes without --judge, and --no-tools without --tool")
    offered: dict[str, Any] = {
        "with_judges": not no_judges,
        "with_tools": not no_tools,
        "corpora": named_corpora(corpus),
    }
    service = McpService(**how, **offered, host=host, keys=keys)
    if port is None:
        serve_stdio(service)
    else:
        run(service, host=host, port=port)
