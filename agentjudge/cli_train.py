"""Commands that train judges: train sft, train grpo, train eval."""

import logging
import sys
from pathlib import Path
from typing import Any

import click

from agentjudge.cli_options import FAILED, json_option, print_json

config_option = click.option(
    "--config", "file", required=True, type=click.Path(path_type=Path), help="TOML; see agentjudge.training.config."
)
out_option = click.option("--out", type=click.Path(path_type=Path), help="Folder, in place of that of the file.")
resume_option = click.option("--resume", is_flag=True, help="Go on from the last whole checkpoint in the folder.")


@click.group()
def train() -> None:
    """Train a judge: the judge that runs is the judge that is trained."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)


@train.command()
@config_option
@out_option
@resume_option
@json_option
def grpo(file: Path, out: Path | None, resume: bool, as_json: bool) -> None:
    """Reinforcement by groups of rollouts, with TRL: [grpo] of the file."""
    from agentjudge.training.trl_grpo import train_grpo

    trained = train_grpo(_config(file, out), resume=resume)
    _tell({"model": str(trained.folder), "steps": trained.steps, "stopped": trained.stopped}, as_json=as_json)
    sys.exit(FAILED if trained.stopped else 0)


def _config(file: Path, out: Path | None) -> Any:
    from agentjudge.training.config import read_config

    config = read_config(file)
    if out is None:
        return config
    return config.model_copy(update={"output": config.output.model_copy(update={"folder": out})})


def _tell(said: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(said)
        return
    for name, value in said.items():
        if value not in ("", None):
            click.echo(f"{name}: {value}")
