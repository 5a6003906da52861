"""Command that audits a judge: audit."""

import sys
from pathlib import Path
from typing import Any

import click

from agentjudge.cli_options import FAILED, json_option, model_options, print_json, progress, source_options
from agentjudge.errors import ConfigError

GYM, BENCH = "gym", "bench"
"""`--data gym:200` is so many claims that were made for it, with their documents; `bench:NAME` a benchmark's cases."""


@click.command()
@source_options
@click.option(
    "--data",
    multiple=True,
    required=True,
    metavar="FILE|gym:N|bench:NAME[/SET][:N]",
    help="JSON lines of cases, N generated claims, or (N of) the cases of a benchmark; may be repeated.",
)
@click.option("--only", multiple=True, help="An audit; see `agentjudge list audits`. All that fit when left out.")
@click.option("--gate", type=click.Path(path_type=Path), help="TOML of what a judge has to keep; ends with 3 if not.")
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Folder of runs and report.")
@click.option("--resume", is_flag=True, help="Go on with the audit in the folder.")
@click.option("--plan", "plan_only", is_flag=True, help="Say what it would cost, and judge nothing.")
@click.option(
    "--export",
    "keys",
    type=click.Path(path_type=Path),
    help="Judge nothing, and write the master keys for these cases as cases with gold: to train a judge against them.",
)
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Judgements in flight.")
@model_options()
@json_option
def audit(
    corpus: tuple[str, ...],
    index: str,
    search: str | None,
    fetch: bool,
    mcp: Path | None,
    data: tuple[str, ...],
    only: tuple[str, ...],
    gate: Path | None,
    folder: Path | None,
    resume: bool,
    plan_only: bool,
    keys: Path | None,
    concurrency: int,
    model: str,
    judge_name: str,
    seed: int | None,
    as_json: bool,
) -> None:
    """How a judge can be fooled: asked before it scores for money or gradients.

    Cases are changed in ways that a sound judge follows, or does not mind, and judged again.
    """
    from agentjudge.audit import running
    from agentjudge.audit.gate import read_policy
    from agentjudge.judge import Judge
    from agentjudge.models.base import Sampling
    from agentjudge.registry import lookup
    from agentjudge.runs.writer import refuse_existing
    from agentjudge.tools.corpus import Corpus

    policy = None if gate is None else read_policy(gate)
    cases = [case for each in data for case in _cases(each, seed)]
    if keys is not None:
        _export(cases, keys, as_json=as_json)
        return
    if folder is None and not plan_only:
        raise ConfigError("where shall the runs and the report be written? give --out FOLDER")
    planned = running.plan(running.audits(only), cases)
    if folder is not None and not (resume or plan_only):
        for way in running.WAYS:
            refuse_existing(folder / way)
    texts = Corpus.load(corpus) if corpus else None
    sources: dict[str, Any] = {"search": search, "fetch": fetch}
    if texts is not None:
        sources |= {"corpus": texts.content_hash, "index": index}
    looks: dict[str, Any] = {"corpus": texts, "index": index, "search": search, "fetch": fetch, "mcp": mcp}

    def loads(*, blobs: Path, tools: bool = True, temperature: float | None = None) -> Judge:
        sampling = None if temperature is None else Sampling(temperature=temperature)
        return Judge.load(
            judge_name, model=model, sampling=sampling, seed=seed, blobs=blobs, **(looks if tools else {})
        )

    done = running.judged_before(folder) if resume and folder is not None else None
    cost = planned.cost(lookup("judge", judge_name).target(), done=done)
    told = (
        f"{cost.judgements:,} judgements, at most {cost.calls:,} calls of the model, about "
        f"{cost.prompt_tokens:,} tokens in and at most {cost.completion_tokens:,} out"
    )
    click.echo(told, err=True)
    if plan_only or folder is None:
        if as_json:
            print_json({**cost._asdict(), "silent": dict(planned.silent)})
        return
    with progress(as_json) as steps:
        report = running.run(
            planned, loads, folder, policy=policy, sources=sources, resume=resume, concurrency=concurrency, **steps
        )
    running.save(report, folder)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _show(report, folder)
    sys.exit(FAILED if report.gate is not None and not report.gate.passed else 0)


def _export(cases: list[Any], path: Path, *, as_json: bool) -> None:
    from agentjudge.audit.master_keys import export

    count = export(cases, path)
    if as_json:
        print_json({"cases": count, "file": str(path)})
    else:
        click.echo(f"{path}, {count:,} cases with gold, made of {len(cases):,}")


def _cases(said: str, seed: int | None) -> list[Any]:
    from agentjudge.case import read_cases

    kind, _, count = said.partition(":")
    if kind == BENCH:
        return _bench(count, seed)
    if kind != GYM:
        return list(read_cases(said))
    if not count.isdigit() or int(count) < 1:
        raise ConfigError(f"--data {said}: how many claims? such as {GYM}:200")
    from agentjudge.training.gym import ClaimGym

    gym = ClaimGym(split="test")
    worlds = [gym.world(number) for number in range(int(count))]
    return [world.reading(world.cases[0]) for world in worlds]


def _bench(said: str, seed: int | None) -> list[Any]:
    from agentjudge.benchmarks.cases import cases_of

    asked, _, count = said.partition(":")
    name, _, part = asked.partition("/")
    if count and (not count.isdigit() or int(count) < 1):
        raise ConfigError(f"--data {BENCH}:{said}: how many cases? such as {BENCH}:{asked}:40")
    return list(cases_of(name, sets=[part] if part else None, limit=int(count) if count else None, seed=seed))


def _show(report: Any, folder: Path) -> None:
    from agentjudge import console
    from agentjudge.audit.page import WORDS

    rows = []
    for finding in report.findings:
        if finding.silent:
            rows.append([finding.audit, "", "", "", WORDS["silent"]])
        for number in finding.numbers:
            if number.limit is None:
                continue
            value = number.value
            sign = "at most" if number.better == "low" else "at least"
            rows.append(
                [
                    finding.audit,
                    number.name,
                    f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}], n = {value.n}",
                    f"{sign} {number.limit:g}",
                    WORDS[number.state],
                ]
            )
    console.out().print(console.table("audited", ["audit", "", "95% interval", "limit", ""], rows))
    more = sum(number.limit is None for finding in report.findings for number in finding.numbers)
    click.echo(f"{folder / 'report.html'}, with {more} more numbers and what the judge was fooled by")
    if report.gate is not None:
        click.echo("the gate lets it through" if report.gate.passed else "the gate does not let it through:")
        for each in report.gate.against:
            click.echo(f"  {each}")
