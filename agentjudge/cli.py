"""The command line. Results go to standard output, everything else to standard error.

Exit codes: 0 done, 2 bad usage or input, 3 finished with failed verdicts.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from click.core import ParameterSource

from agentjudge.cli_audit import audit
from agentjudge.cli_mcp import mcp
from agentjudge.cli_options import (
    FAILED,
    index_option,
    json_option,
    model_options,
    print_json,
    progress,
    source_options,
    statuses,
)
from agentjudge.cli_runs import judge, report, rescore, view
from agentjudge.cli_serve import serve
from agentjudge.cli_train import train
from agentjudge.cli_vllm import vllm
from agentjudge.cli_web import score
from agentjudge.errors import AgentJudgeError, ConfigError, DataError


class Group(click.Group):
    """A group whose commands end with one helpful line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our own errors exit with 2."""
        try:
            return super().invoke(ctx)
        except AgentJudgeError as exc:
            click.echo(f"error: {exc.message}", err=True)
            sys.exit(2)
        except BrokenPipeError:
            sys.exit(0)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agentjudge")
def main() -> None:
    """Judges that check before they score."""


@main.command()
@click.argument("claim")
@source_options
@click.option("--doc", "documents", multiple=True, type=click.Path(), help="A document, or a PDF; may be repeated.")
@click.option("--image", "images", multiple=True, type=click.Path(), help="A picture to look at; may be repeated.")
@click.option(
    "-i", "--interactive", is_flag=True, help="Argue with the verdict: objections and evidence, line by line."
)
@model_options()
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    claim: str,
    corpus: tuple[str, ...],
    index: str,
    search: str | None,
    fetch: bool,
    mcp: Path | None,
    documents: tuple[str, ...],
    images: tuple[str, ...],
    interactive: bool,
    model: str,
    judge_name: str,
    seed: int | None,
    as_json: bool,
) -> None:
    """Verify one CLAIM against a corpus, documents, pictures or the web.

    With pictures or PDF files, the judge is arm-thinker unless --judge names another.
    """
    from agentjudge import console
    from agentjudge.case import parse_case
    from agentjudge.judge import Judge

    if not claim.strip():
        raise DataError("the claim is empty")
    if not (corpus or documents or images or search or mcp):
        raise DataError("nothing to hold the claim against: give --corpus, --doc, --image, --search or --mcp")
    missing = next((path for path in (*documents, *images) if not Path(path).is_file()), None)
    if missing is not None:
        raise DataError(f"no such file: {missing}")
    looks = images or any(Path(path).suffix.lower() == ".pdf" for path in documents)
    if looks and ctx.get_parameter_source("judge_name") is ParameterSource.DEFAULT:
        judge_name = "arm-thinker"
    given = {"id": "claim", "claim": claim, "images": images, "documents": documents}
    case = parse_case(given, where="the command line")
    if interactive:
        from agentjudge.cli_verify_interactive import Sources, talk

        if as_json:
            raise ConfigError("-i is a conversation: leave --json out")
        held = Sources(corpus, index, search, fetch, mcp)
        verdict = talk(case, judge=judge_name, model=model, sources=held, seed=seed)
        sys.exit(FAILED if verdict.status == "failed" else 0)
    sources: dict[str, Any] = {"corpus": corpus or None, "index": index, "search": search, "fetch": fetch, "mcp": mcp}
    with TemporaryDirectory(prefix="agentjudge-") as folder:
        with Judge.load(judge_name, model=model, seed=seed, blobs=Path(folder), **sources) as judge:
            verdict = judge.judge(case) if as_json else console.stream(judge, case, title=claim)
        if not as_json:
            _draw(verdict, Path(folder))
    if as_json:
        print_json(verdict.model_dump(mode="json"))
    sys.exit(FAILED if verdict.status == "failed" else 0)


def _draw(verdict: Any, folder: Path) -> None:
    """Show where the regions that a verdict cites lie in their pictures, the first of each."""
    from agentjudge import console
    from agentjudge.evidence import EvidenceStore
    from agentjudge.runs.pictures import parent

    store, drawn = EvidenceStore(root=folder), set()
    for ref in verdict.evidence:
        if ref.kind != "region":
            continue
        image = ref.image
        while above := parent(store.get(image)):
            image = above
        if image not in drawn:
            drawn.add(image)
            original = store.add_image(store.get(image))
            console.show_region(console.out(), store.picture(original.sha256), ref.box_root)


@main.command()
@model_options()
@json_option
def demo(model: str, judge_name: str, seed: int | None, as_json: bool) -> None:
    """Verify the claims that come with the package against its demo corpus."""
    from agentjudge import console
    from agentjudge.case import read_cases
    from agentjudge.demo import CLAIMS, CORPUS
    from agentjudge.judge import Judge

    cases = list(read_cases(CLAIMS))
    with Judge.load(judge_name, model=model, corpus=CORPUS, seed=seed) as judge:
        verdicts = (
            judge.batch(cases)
            if as_json
            else [console.stream(judge, case, title=getattr(case, "claim", "")) for case in cases]
        )
    right = sum(v.label == c.gold.label for v, c in zip(verdicts, cases, strict=True) if c.gold is not None)
    summary = {
        "cases": len(cases),
        "right": right,
        "two_searches": sum(v.usage.tool_calls >= 2 for v in verdicts),
        **statuses(verdicts),
    }
    if as_json:
        print_json({**summary, "verdicts": [v.model_dump(mode="json") for v in verdicts]})
    else:
        console.out().print(
            f"\n[bold]{right} of {len(cases)} labels right[/], {summary['two_searches']} claims took two or more "
            f'searches. Try your own: agentjudge verify "..." --corpus FOLDER'
        )
    sys.exit(FAILED if summary["failed"] else 0)


@main.command()
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path), envvar="AGENTJUDGE_DATA", help="Folder of the data sets.")
@click.option("--sets", help="Comma list of sets; all that can be used when left out.")
@click.option("--model", default="embedded", show_default=True, help="As for `agentjudge verify`.")
@click.option("--judge", default="", help="See `agentjudge list judges`; the benchmark's own when left out.")
@click.option(
    "--policy",
    type=click.Choice(["official", "both-orders", "scores"]),
    default="official",
    show_default=True,
    help="How cases are asked: both-orders shows each twice, scores judges every answer alone.",
)
@click.option("--limit", type=click.IntRange(1), help="Rows per set, drawn by the seed.")
@click.option("--corpus", type=click.Path(path_type=Path), help="Texts to search; for claims, where a set brings none.")
@index_option
@click.option("--no-tools-floor", is_flag=True, help="Run the judge once more without its tools, as a floor.")
@click.option("--oracle-evidence", is_flag=True, default=None, help="claims: give the gold evidence, search nothing.")
@click.option(
    "--split",
    type=click.Choice(["unseen", "calibration", "all"]),
    help="claims: rows by what the embedded model has seen of them; unseen when left out.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Makes what is drawn by chance reproducible.")
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Judgements in flight.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the traces, a run folder for each set.")
@click.option("--resume", is_flag=True, help="Go on with the runs in --out: keep verdicts, redo what failed.")
@json_option
def bench(
    name: str, sets: str | None, as_json: bool, oracle_evidence: bool | None, split: str | None, **how: Any
) -> None:
    """Run a benchmark with its official metric, floors and intervals; NAME: see `agentjudge list benchmarks`."""
    from agentjudge import console
    from agentjudge.benchmarks.running import Options
    from agentjudge.registry import lookup

    benchmark = lookup("benchmark", name).target()
    given = {"oracle_evidence": oracle_evidence, "split": split}
    flags = {flag: value for flag, value in given.items() if value is not None}
    if refused := [flag for flag in flags if flag not in benchmark.flags]:
        raise ConfigError(f"the benchmark {name!r} takes no --{refused[0].replace('_', '-')}")
    if how["resume"] and how["out"] is None:
        raise ConfigError("--resume goes on with the runs in a folder: name it by --out")
    chosen = [part.strip() for part in sets.split(",") if part.strip()] if sets else None
    with progress(as_json) as steps:
        steps = {"on_start": steps["on_start"], "on_outcome": steps["on_trace"]}
        report = benchmark.run(Options(sets=chosen, **how, **steps), **flags)
    if as_json:
        print_json(report.to_json())
    else:
        report.render(console.out())
    sys.exit(FAILED if report.failed else 0)


@main.command(name="list")
@click.argument(
    "what",
    type=click.Choice(["judges", "tools", "models", "rewards", "benchmarks", "training", "audits", "papers"]),
)
@json_option
def list_command(what: str, as_json: bool) -> None:
    """What there is, and which paper it comes from."""
    from agentjudge import console
    from agentjudge.catalogue import components, paper_rows

    rows = paper_rows() if what == "papers" else components(what)
    if as_json:
        print_json(rows)
        return
    columns = list(rows[0]) if rows else ["name"]
    console.out().print(
        console.table(what, columns, [[row[c] if row[c] is not None else "" for c in columns] for row in rows])
    )


@main.command()
@click.option("--model", help="Also probe this model, such as vllm:NAME@URL.")
@click.option("--judge", default="veri-r1", show_default=True, help="Hold a vLLM server against this judge's budget.")
@click.option("--for-training", is_flag=True, help="Hold it against what training needs of it.")
@json_option
def doctor(model: str | None, judge: str, for_training: bool, as_json: bool) -> None:
    """Check the machine, the extras and, with --model, a model server."""
    from agentjudge import console
    from agentjudge.doctor import examine

    findings = examine(model, judge=judge, for_training=for_training)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        marks = {"ok": "ok", "absent": "-", "problem": "PROBLEM"}
        rows = [(f.name, marks[f.state], f.detail) for f in findings]
        console.out().print(console.table("doctor", ("check", "", "detail"), rows))
    sys.exit(FAILED if any(finding.state == "problem" for finding in findings) else 0)


for command in (audit, judge, score, rescore, report, view, serve, mcp, train, vllm):
    main.add_command(command)

if __name__ == "__main__":
    main()
