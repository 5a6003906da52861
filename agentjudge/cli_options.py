"""What the commands share: options, JSON on standard output, a bar on the terminal, exit codes."""

import functools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

FAILED = 3
"""Exit code of a command that finished with failed verdicts."""
F = TypeVar("F", bound=Callable[..., Any])


model_option = click.option(
    "--model",
    default="embedded",
    show_default=True,
    help="embedded, vllm:NAME[@URL], openai:NAME[@URL], hf:PATH, vllm-inprocess:PATH or scripted:FILE.",
)
seed_option = click.option("--seed", type=int, help="Makes what is drawn by chance reproducible.")
search_option = click.option("--search", metavar="ENGINE@URL", help="Search engine: searxng@URL or retrieve@URL.")


def model_options(*, judge: str = "veri-r1") -> Callable[[F], F]:
    """Options of every command that loads a judge, this one by default."""
    options = [
        model_option,
        click.option("--judge", "judge_name", default=judge, show_default=True, help="See `agentjudge list judges`."),
        seed_option,
    ]
    return lambda command: functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


index_option = click.option(
    "--index",
    type=click.Choice(["bm25", "dense", "hybrid"]),
    default="bm25",
    show_default=True,
    help="How the corpus is searched.",
)


mcp_option = click.option(
    "--mcp",
    type=click.Path(path_type=Path),
    help="File of MCP servers whose allowed tools judges may use; see docs/mcp.md.",
)


def source_options(command: F) -> F:
    """Options that say what a claim is held against."""
    options = [
        click.option("--corpus", multiple=True, type=click.Path(), help="File or folder to search; may be repeated."),
        index_option,
        search_option,
        click.option("--fetch", is_flag=True, help="Let the judge open public web pages."),
        mcp_option,
    ]
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output, nothing else.")


def print_json(value: Any) -> None:
    """Print JSON; letters beyond ASCII as escapes where standard output cannot write them."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(value, indent=2, ensure_ascii=not unicode))


@contextmanager
def progress(quiet: bool) -> Iterator[dict[str, Any]]:
    """A bar on the terminal, and the callbacks that move it."""
    from rich.progress import Progress

    from agentjudge import console

    with Progress(console=console.err(), disable=quiet or not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("judging", total=None)
        yield {
            "on_start": lambda total: progress.update(task, total=total),
            "on_trace": lambda trace: progress.advance(task),
        }


def statuses(verdicts: list[Any]) -> dict[str, int]:
    """How many verdicts have each status."""
    counts = Counter(verdict.status for verdict in verdicts)
    return {status: counts[status] for status in ("scored", "abstained", "failed")}
