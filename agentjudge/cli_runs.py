"""Commands that make, sum up and show runs: judge, rescore, report, view."""

import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from agentjudge.cli_options import FAILED, json_option, model_options, print_json, progress, source_options, statuses
from agentjudge.errors import ConfigError, DataError

WHY = 3
"""Reasons for failures that are told after a run."""


@click.command()
@click.argument("cases", type=click.Path())
@source_options
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="Folder for the traces.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder: keep verdicts, redo what failed.")
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Judgements in flight.")
@click.option("--ray", "address", metavar="ADDRESS", help="Judge on a Ray cluster: local, auto, or HOST:PORT.")
@click.option("--ray-workers", "workers", type=click.IntRange(1), help="One a replica or a node when left out.")
@click.option("--ray-gpus", "gpus", type=click.FloatRange(0), help="Of each worker, for a model in its process.")
@click.option("--replica", "replicas", multiple=True, metavar="URL", help="A server of the model; for --ray, repeated.")
@model_options()
@json_option
def judge(
    cases: str,
    corpus: tuple[str, ...],
    index: str,
    search: str | None,
    fetch: bool,
    mcp: Path | None,
    folder: Path,
    resume: bool,
    concurrency: int,
    address: str | None,
    workers: int | None,
    gpus: float | None,
    replicas: tuple[str, ...],
    model: str,
    judge_name: str,
    seed: int | None,
    as_json: bool,
) -> None:
    """Judge the cases of a JSON-lines file into a run folder.

    With --ray, workers on the nodes of a cluster judge, each with --concurrency judgements in flight; the folder is the
    same, and so is --resume.
    """
    from agentjudge.case import Claim, read_cases
    from agentjudge.judge import Judge
    from agentjudge.runs.batch import judge_cases
    from agentjudge.runs.folder import BLOBS
    from agentjudge.runs.ray_pool import RayJudges
    from agentjudge.runs.ray_worker import Recipe
    from agentjudge.runs.writer import refuse_existing
    from agentjudge.tools.corpus import Corpus

    if address is None and (workers or gpus or replicas):
        raise ConfigError("--ray-workers, --ray-gpus and --replica go with --ray")
    if address is not None and mcp is not None:
        raise ConfigError("--mcp does not go with --ray: its servers run beside one process")
    read = list(read_cases(cases))
    if not resume:
        refuse_existing(folder)
    texts = Corpus.load(corpus) if corpus else None
    sources: dict[str, Any] = {"search": search, "fetch": fetch}
    if texts is not None:
        sources |= {"corpus": texts.content_hash, "index": index}
    notes = {"cases": cases, "corpus": list(corpus)}
    same: dict[str, Any] = {"model": model, "index": index, "search": search, "fetch": fetch, "seed": seed}
    loading: Judge | RayJudges
    if address is None:
        loading = Judge.load(judge_name, corpus=texts, blobs=folder / BLOBS, mcp=mcp, **same)
    else:
        recipe = Recipe(judge_name, replicas=replicas, corpus=corpus, folder=str(Path.cwd()), **same)
        told = None if texts is None else texts.content_hash
        how: dict[str, Any] = {"workers": workers, "gpus": gpus or 0.0, "blobs": folder / BLOBS, "corpus_hash": told}
        loading = RayJudges.start(recipe, address=address, **how)
    with loading as loaded, progress(as_json) as steps:
        steps |= {"sources": sources, "notes": notes, "concurrency": concurrency}
        run = judge_cases(loaded, read, folder, resume=resume, **steps)
    bare = sum(isinstance(case, Claim) and not (case.documents or case.images) for case in read)
    if bare and not (corpus or search or as_json):
        told = f"{bare} of {len(read)} cases are claims without documents"
        click.echo(f"note: {told}, and there was no --corpus or --search to look them up in", err=True)
    _summarise(run, as_json)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="Folder of the new run.")
@click.option("--resume", is_flag=True, help="Go on with the new run: keep verdicts, redo what failed.")
@click.option("--judge", "judge_name", help="Another judge; that of the run when left out.")
@click.option("--model", help="Another model; that of the run when left out.")
@click.option("--prompt", type=click.Path(path_type=Path), help="File that asks for the verdict in other words.")
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Conclusions in flight.")
@json_option
def rescore(
    run: Path,
    folder: Path,
    resume: bool,
    judge_name: str | None,
    model: str | None,
    prompt: Path | None,
    concurrency: int,
    as_json: bool,
) -> None:
    """Conclude again over the evidence of a RUN, with another judge, model or prompt and without its tools."""
    from agentjudge.runs import rescore as again
    from agentjudge.runs.folder import open_run
    from agentjudge.runs.writer import refuse_existing

    old = open_run(run)
    if not resume:
        refuse_existing(folder)
    with again.rescorer(old, judge=judge_name, model=model, prompt=prompt) as judge, progress(as_json) as steps:
        new = again.rescore(old, judge, folder, resume=resume, concurrency=concurrency, **steps)
    _summarise(new, as_json)


def _summarise(run: Any, as_json: bool) -> None:
    """Print the outcomes of a whole run, and exit."""
    from agentjudge import console

    verdicts = list(run.verdicts())
    counts = statuses(verdicts)
    labels = Counter(verdict.label for verdict in verdicts if verdict.label is not None)
    failures = Counter((v.failure.kind, v.failure.message) for v in verdicts if v.failure is not None).most_common()
    if as_json:
        why = [{"kind": kind, "message": message, "n": n} for (kind, message), n in failures]
        found = {"run": str(run.path), "cases": len(verdicts), **counts, "labels": dict(labels), "failures": why}
        print_json(found)
    else:
        rows = [*counts.items(), *labels.items()]
        console.out().print(console.table(f"{run.path}: {len(verdicts)} cases", ("", "n"), rows))
        for (kind, message), n in failures[:WHY]:
            click.echo(f"{n} failed ({kind}): {message}", err=True)
        if len(failures) > WHY:
            click.echo(f"and {len(failures) - WHY} more reasons: agentjudge view {run.path}", err=True)
        if any(v.failure is not None and v.failure.retriable for v in verdicts):
            click.echo("--resume tries again what failed", err=True)
    sys.exit(FAILED if counts["failed"] else 0)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("other", required=False, type=click.Path(path_type=Path))
@click.option("--cases", type=click.Path(), help="JSON-lines file with the gold; the run's own cases when left out.")
@click.option("--no-tools", type=click.Path(path_type=Path), help="Run of the same judge without tools, as a floor.")
@click.option("--cluster", metavar="FIELD", help="Metadata field: cases that share it are not taken as independent.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write a reliability diagram to this SVG file.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Write RUN to this Parquet file, a row a case.")
@json_option
def report(
    run: Path, other: Path | None, cases: str | None, no_tools: Path | None, cluster: str | None, plot: Path | None,
    parquet: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Sum up a RUN: means with intervals, counts, cost and floors; with an OTHER run, also test their difference."""
    from agentjudge import console
    from agentjudge.case import read_cases
    from agentjudge.runs import report as reports
    from agentjudge.runs.folder import open_run
    from agentjudge.runs.table import write_parquet

    gold = None if cases is None else list(read_cases(cases))
    rows = {str(path): reports.run_rows(open_run(path), gold) for path in (run, other) if path is not None}
    baselines = {"no tools": list(open_run(no_tools).verdicts())} if no_tools is not None else {}
    made = [reports.report(name, found, baselines=baselines, cluster=cluster) for name, found in rows.items()]
    gap = None if other is None else reports.compare(rows[str(run)], rows[str(other)], cluster=cluster)
    if plot is not None:
        if made[0].reliability is None:
            raise DataError(f"{run} has no confidences beside gold to plot")
        plot.write_text(made[0].reliability.svg(title=str(run)), encoding="utf-8")
    if parquet is not None:
        write_parquet(open_run(run), parquet)
    if as_json:
        found = [each.to_json() for each in made]
        print_json({"runs": found, "difference": gap and gap.model_dump(mode="json")})
        return
    for table in [table for part in (*made, gap) if part is not None for table in part.tables()]:
        console.out().print(console.table(table.title, table.columns, table.rows))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("other", required=False, type=click.Path(path_type=Path))
@click.option("--export", "file", type=click.Path(path_type=Path), help="Write the page as one HTML file instead.")
@click.option(
    "--pictures-mb",
    type=click.IntRange(0),
    default=32,
    show_default=True,
    help="Most of pictures in --export.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0, the default, takes a free one.")
@click.option("--open", "show", is_flag=True, help="Also open a browser.")
def view(run: Path, other: Path | None, file: Path | None, pictures_mb: int, port: int, show: bool) -> None:
    """Read the judgements of a RUN in a browser, or those of two runs side by side."""
    import webbrowser

    from agentjudge.runs.folder import open_run
    from agentjudge.runs.view import PageServer, export

    runs = [open_run(path) for path in (run, other) if path is not None]
    if file is not None:
        export(runs, file, picture_bytes=pictures_mb * 1_000_000)
        click.echo(str(file))
        if show:
            webbrowser.open(file.resolve().as_uri())
        return
    with PageServer(runs, port=port) as server, suppress(KeyboardInterrupt):
        click.echo(server.url)
        click.echo("Ctrl-C ends it", err=True)
        if show:
            webbrowser.open(server.url)
        server.serve_forever()
