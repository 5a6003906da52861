"""Commands that train judges: train sft, train grpo, train eval, train probe, train report."""

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
model_option = click.option(
    "--model", type=click.Path(path_type=Path), help="Folder of the model; that of the file when left out."
)
resume_option = click.option("--resume", is_flag=True, help="Go on from the last whole checkpoint in the folder.")


@click.group()
def train() -> None:
    """Train a judge: the judge that runs is the judge that is trained."""
    log = logging.getLogger("agentjudge")
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.propagate = False


@train.command()
@config_option
@out_option
@resume_option
@json_option
def sft(file: Path, out: Path | None, resume: bool, as_json: bool) -> None:
    """The cold start, by imitation of traces: [sft] of the file, held against its [gate]."""
    from agentjudge.training.trl_sft import train_sft

    trained = train_sft(_config(file, out), resume=resume)
    _tell({"model": str(trained.folder), "steps": trained.steps, "missed": trained.stopped}, as_json=as_json)
    sys.exit(FAILED if trained.stopped else 0)


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


@train.command(name="eval")
@config_option
@model_option
@click.option("-n", "count", type=click.IntRange(1), default=300, show_default=True, help="Cases a seed.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Each draws cases of its own.")
@click.option("--no-tools", is_flag=True, help="Offer no tools: what is right without looking.")
@click.option("--sampled", is_flag=True, help="Sample as in training; greedy otherwise.")
@json_option
def evaluation(
    file: Path, model: Path | None, count: int, seeds: int, no_tools: bool, sampled: bool, as_json: bool
) -> None:
    """Measure a model on cases that are not trained on: by label and hop, with 95% intervals and floors."""
    from agentjudge import console
    from agentjudge.training import evaluate
    from agentjudge.training.config import read_config
    from agentjudge.training.policies import load_policy
    from agentjudge.training.trl_sft import measure

    config = read_config(file)
    policy = load_policy(config.model, path=model)
    temperature = config.judge.sampling.temperature if sampled else 0.0
    found = [
        each
        for seed in range(seeds)
        for each in measure(
            config,
            policy,
            numbers=range(seed * count, (seed + 1) * count),
            temperature=temperature,
            seed=seed,
            tools=not no_tools,
        )
    ]
    rows = evaluate.summary(found)
    if as_json:
        names = {"model": str(model or config.model.path), "split": "test", "tools": "none" if no_tools else "offered"}
        print_json(evaluate.told(found, rows, **names, decoding="sampled" if sampled else "greedy"))
        return
    columns, cells = evaluate.table(rows)
    console.out().print(console.table("judged", columns, cells))
    for name, floor in evaluate.floors(found).items():
        click.echo(f"{name}: label {floor['label_accuracy']:.3f}, joint {floor['joint']:.3f}")


@train.command(name="probe")
@config_option
@model_option
@click.option("--start", type=click.Path(path_type=Path), help="The model before the training: what it reached then.")
@click.option("-n", "count", type=click.IntRange(2), default=60, show_default=True, help="Cases.")
@click.option("--tries", type=click.IntRange(1), default=8, show_default=True, help="Samples a case, with --start.")
@json_option
def probing(file: Path, model: Path | None, start: Path | None, count: int, tries: int, as_json: bool) -> None:
    """Probe a model on cases that are not trained on: by heart? moved by evidence? what is reached that was not?"""
    from agentjudge import console
    from agentjudge.training.config import read_config
    from agentjudge.training.policies import load_policy
    from agentjudge.training.probing import probe, table

    config = read_config(file)
    policy = load_policy(config.model, path=model)
    before = None if start is None else load_policy(config.model, path=start)
    found = probe(config, policy, numbers=range(count), start=before, tries=tries)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    console.out().print(console.table("probed", *table(found)))


@train.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", default="report.html", show_default=True, type=click.Path(path_type=Path), help="The page.")
def report(folders: tuple[Path, ...], out: Path) -> None:
    """Runs beside each other on one page: curves, alarms, what was measured; and a summary as Markdown."""
    from agentjudge.training.report import write_report

    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    write_report(dict(zip(names, folders, strict=True)), out)
    click.echo(f"{out}, {out.with_suffix('.md')}")


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
