"""Command for the server below: vllm."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from agentjudge.cli_options import json_option, print_json
from agentjudge.errors import ConfigError


@click.command()
@click.argument("judge")
@click.option("--model", required=True, help="A name on a hub, or a folder.")
@click.option("--adapter", "adapters", multiple=True, metavar="NAME=PATH", help="A LoRA adapter; may be repeated.")
@click.option("--print", "only_print", is_flag=True, help="Print the command and start nothing.")
@click.option("--python", metavar="PATH", help="Python of the environment that has vLLM; looked for when left out.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port to listen at.")
@click.option("--name", "names", multiple=True, help="Name under which it answers; may be repeated.")
@click.option("--context", type=click.IntRange(1024), help="Tokens; what the judge's budget asks for when left out.")
@click.option("--tools", metavar="PARSER", help="Parser of tool calls, or none; the family's when left out.")
@click.option("--reasoning", metavar="PARSER", help="Parser of reasoning, or none; the family's when left out.")
@click.option("--template", type=click.Path(path_type=Path), help="Chat template.")
@click.option("--for-training", is_flag=True, help="Log-probabilities of the distribution that is sampled from.")
@click.option("--data-parallel", type=click.IntRange(1), default=1, show_default=True, help="Engines, a GPU each.")
@click.option("--image-cache", type=click.FloatRange(0), default=4.0, show_default=True, help="GiB for pictures.")
@click.option("--media-path", type=click.Path(path_type=Path), help="Folder of pictures that requests may name.")
@click.option("--media-domain", "media_domains", multiple=True, help="Host to fetch pictures from; none when left out.")
@click.option("--cpu", is_flag=True, help="Settings for vLLM on the CPU.")
@json_option
@click.argument("extra", nargs=-1, type=click.UNPROCESSED)
def vllm(
    judge: str, model: str, adapters: tuple[str, ...], only_print: bool, python: str | None, as_json: bool, **how: Any
) -> None:
    """Start the vLLM server that JUDGE needs of a model; EXTRA options of vLLM follow after --.

    Streams its log to standard error and says when it answers; SIGINT or SIGTERM stops all of it.
    """
    from agentjudge.registry import lookup
    from agentjudge.serving.vllm_command import ServerOptions, plan_server
    from agentjudge.serving.vllm_process import find_python, run_server

    spec = lookup("judge", judge).target()
    try:
        found = find_python(python)
    except ConfigError:
        if python or not only_print:
            raise
        found = "python"
    plan = plan_server(spec, model, ServerOptions(python=found, adapters=_named(adapters), **how))
    if as_json:
        print_json(plan._asdict())
    for note in plan.notes:
        click.echo(f"note: {note}", err=True)
    if only_print or as_json:
        if not as_json:
            click.echo(shlex.join([*(f"{name}={value}" for name, value in plan.environment.items()), *plan.command]))
        return

    def say(line: str) -> None:
        click.echo(line, err=True)

    def ready(_: Any) -> None:
        for name in plan.names:
            say(f"ready: --model vllm:{name}@{plan.url}")
        say(f"agentjudge doctor --judge {judge} --model vllm:{plan.names[0]}@{plan.url} checks it")

    run_server(plan, say=say, ready=ready)


def _named(adapters: Sequence[str]) -> dict[str, str]:
    """Paths by name.

    Raises:
        ConfigError: not of the form NAME=PATH, or a name twice.
    """
    found: dict[str, str] = {}
    for each in adapters:
        name, equals, path = each.partition("=")
        if not (name.strip() and equals and path.strip()):
            raise ConfigError(f"an adapter is given as NAME=PATH, not {each!r}")
        if name in found:
            raise ConfigError(f"two adapters are called {name!r}")
        found[name] = path
    return found
