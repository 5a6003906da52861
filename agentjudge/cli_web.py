"""Commands for web agents: score."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from agentjudge.cli_options import FAILED, json_option, model_options, print_json, progress, statuses
from agentjudge.errors import ConfigError

WHY = 80
"""Characters of a reason in the table."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@model_options(judge="trajectory")
@click.option("--goal", help="The task, for formats that do not hold it (browser-use).")
@click.option("--tasks", type=click.Path(path_type=Path), help="File of tasks, for formats that only name them.")
@click.option("--trust-pickle", is_flag=True, help="Read pickles of BrowserGym; nothing in them is executed.")
@click.option("--limit", type=click.IntRange(1), help="The first so many runs.")
@click.option("--list", "only_list", is_flag=True, help="Say what is in the runs, and judge none of them.")
@click.option("--context", type=click.IntRange(1024), help="Most tokens of a prompt and its answer together.")
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Folder for the traces.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out: keep verdicts, redo what failed.")
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Judgements in flight.")
@json_option
def score(
    path: Path, model: str, judge_name: str, seed: int | None, goal: str | None, tasks: Path | None,
    trust_pickle: bool, limit: int | None, only_list: bool, context: int | None, folder: Path | None, resume: bool,
    concurrency: int, as_json: bool,
) -> None:  # fmt: skip
    """Judge the runs of web agents in PATH: a file, the folder of a run, or a folder of many, in any known format."""
    from agentjudge.benchmarks.trajectories import detect, read_trajectories
    from agentjudge.runs.writer import refuse_existing

    if resume and folder is None:
        raise ConfigError("--resume goes on with the run in a folder: name it by --out")
    if folder is not None and not resume:
        refuse_existing(folder)
    form = detect(path)
    with TemporaryDirectory(prefix="agentjudge-") as passing:
        found: Iterator[Any] = read_trajectories(
            path, trust_pickle=trust_pickle, goal=goal, tasks=tasks, pictures=Path(passing) / "pictures"
        )
        runs = list(islice(found, limit))
        if not as_json:
            click.echo(f"{form}: {len(runs)} run{'' if len(runs) == 1 else 's'}", err=True)
        if only_list:
            _list(form, runs, as_json)
            return
        how: dict[str, Any] = {"judge_name": judge_name, "model": model, "seed": seed, "context": context}
        how |= {"folder": folder, "resume": resume, "concurrency": concurrency, "as_json": as_json}
        verdicts = _judge(runs, blobs=Path(passing) / "blobs", notes={"runs": str(path)}, **how)
    if as_json:
        print_json({"format": form, **statuses(verdicts), "verdicts": [v.model_dump(mode="json") for v in verdicts]})
    elif len(runs) > 1:
        _table(str(path), verdicts)
    sys.exit(FAILED if any(verdict.status == "failed" for verdict in verdicts) else 0)


def _judge(
    runs: list[Any], *, judge_name: str, model: str, seed: int | None, context: int | None, folder: Path | None,
    resume: bool, concurrency: int, as_json: bool, blobs: Path, notes: dict[str, Any],
) -> list[Any]:  # fmt: skip
    """The verdicts on runs, in their order; a single one is shown as it comes about.

    Raises:
        ConfigError: the judge judges something else.
    """
    from agentjudge import console
    from agentjudge.case import Trajectory
    from agentjudge.judge import Judge
    from agentjudge.registry import lookup
    from agentjudge.runs.batch import judge_cases
    from agentjudge.runs.folder import BLOBS

    blobs = blobs if folder is None else folder / BLOBS
    budget = None
    if context is not None:
        budget = lookup("judge", judge_name).target().budget.model_copy(update={"context": context})
    with Judge.load(judge_name, model=model, seed=seed, budget=budget, blobs=blobs) as judge:
        if Trajectory not in judge.spec.cases:
            raise ConfigError(f"{judge_name!r} judges no runs; take --judge trajectory, webjudge or checklist")
        if folder is None and len(runs) == 1 and not as_json:
            return [console.stream(judge, runs[0], title=runs[0].goal)]
        with progress(as_json) as steps:
            if folder is None:
                steps["on_start"](len(runs))
                return judge.batch(runs, concurrency=concurrency, on_trace=steps["on_trace"])
            run = judge_cases(judge, runs, folder, resume=resume, notes=notes, concurrency=concurrency, **steps)
        found = {verdict.case_id: verdict for verdict in run.verdicts()}
        return [found[case.id] for case in runs]


def _list(form: str, runs: list[Any], as_json: bool) -> None:
    """What is in the runs."""
    from agentjudge import console

    rows = [
        {
            "id": run.id,
            "goal": run.goal,
            "steps": len(run.steps),
            "actions": sum(bool(step.action) for step in run.steps),
            "pages": sum(bool(step.observation.strip()) for step in run.steps),
            "screenshots": sum(bool(step.screenshot) for step in run.steps) + len(run.images),
            "answer": run.final_answer,
        }
        for run in runs
    ]
    if as_json:
        print_json({"format": form, "runs": rows})
        return
    columns = ("id", "steps", "actions", "pages", "screenshots", "goal")
    shown = [[row[column] for column in columns] for row in rows]
    console.out().print(console.table(f"{form}: {len(runs)} runs", columns, shown))


def _table(title: str, verdicts: list[Any]) -> None:
    """The outcome of each run on a line."""
    from agentjudge import console

    rows = []
    for verdict in verdicts:
        aspects = {criterion.name: criterion.label for criterion in verdict.criteria}
        sure = verdict.confidence and f"{verdict.confidence.value:.0%}"
        told = [aspects.get(name) or "" for name in ("side effect", "looping", "optimality")]
        why = verdict.failure.message if verdict.failure else verdict.rationale
        rows.append([verdict.case_id, console.outcome_of(verdict), sure or "", *told, _first(why)])
    columns = ("run", "outcome", "sure", "side effect", "looping", "optimality", "why")
    console.out().print(console.table(title, columns, rows))


def _first(text: str) -> str:
    """The first sentence of a text, if it is short."""
    sentence = " ".join(text.partition(". ")[0].split())
    return sentence if len(sentence) <= WHY else f"{sentence[:WHY]} [...]"
