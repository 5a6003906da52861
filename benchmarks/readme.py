"""Writes `README.md` of this folder: what benchmarks there are, and what `results/` says of our judges.

python -m agentjudge.benchmarks.readme

A result is what `agentjudge bench NAME --json` printed. To add one, put it in `results/` and write the file again.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from agentjudge.benchmarks.harness import Runnable
from agentjudge.benchmarks.reports import Headline, Report, ReportBase, interval, percent
from agentjudge.errors import DataError, boundary
from agentjudge.registry import load_kind

FOLDER = Path(__file__).parent
HEAD = """# Benchmarks

Written by `python -m agentjudge.benchmarks.readme` from `results/`; do not edit.

One small file a benchmark: how its official files are read, how often and in which order a case is asked, what is
counted. Everything else is [harness.py](harness.py). Files are looked for in the folder that `--data` or
`AGENTJUDGE_DATA` names, or below it; nothing is downloaded. `--json` prints the whole report, `--out` keeps every trace
and `--resume` goes on with them, `--limit` draws rows by `--seed`.

"""
READING = """
All numbers are percent. A verdict that abstained or failed is not right, and never a guess unless a name says so.
In brackets is the 95% bootstrap interval, whole prompts, pages, abstracts or tasks drawn. Floors are judges without a
model (always one label, always the first place, always the longer or the shorter answer; of runs of web agents also
what the agent says of itself, fewest steps, and the environment's reward), asked and merged as the judge is, and what
guessing reaches. *Above* means that the whole interval lies on the better side of every floor. Kappa and differences
of rates may be negative. Seconds are the wall clock of a case with 32 in flight, on two shared CPU cores where other
programs ran: how long each took, not how many a second.

Of claims, *mixed* is all rows pooled, *F1* macro-F1, *strict* FEVER's strict score; *verified* wants the label and all
gold evidence, *joint* nothing else besides, with the best constant label as its *floor*; *score* is that of the
evidence, beside the highest there can be.
"""
EMBEDDED = """
The embedded judge is a small claim verifier. As `veri-r1` it searches and reads, for which it was trained; on rows that
it had not seen. As `compare` it says of answers only whether they are on topic, consistent and grounded: nothing in it
was trained on preferences, and where a table says *no*, it is no better than the floors.
"""


class Result(NamedTuple):
    """A report that is kept."""

    benchmark: Runnable
    report: ReportBase


def results(folder: Path = FOLDER / "results") -> list[Result]:
    """The reports in a folder, by file name.

    Raises:
        DataError: a file is not a report of a benchmark that is there.
    """
    known = load_kind("benchmark")
    found = []
    for path in sorted(folder.glob("*.json")):
        with boundary(DataError, f"{path}: not a benchmark's report"):
            said = json.loads(path.read_text(encoding="utf-8"))
            benchmark: Runnable = known[said["benchmark"]].target()
            found.append(Result(benchmark, benchmark.read(said)))
    return found


def text(found: Sequence[Result]) -> str:
    """The whole file."""
    benchmarks: list[Runnable] = [component.target() for component in load_kind("benchmark").values()]
    parts = [HEAD, _table("benchmark paper metric files licence command".split(), map(_facts, benchmarks)), READING]
    headlines = [(each, headline) for each in found for headline in each.report.headlines]
    columns = ["benchmark", "set", "judge", "n", "metric", "result", "floors", "above", "abstained, failed", "s/case"]
    parts += ["\n## Results\n\n", _table(columns, [_headline(*each) for each in headlines]), EMBEDDED]
    done = {each.report.benchmark for each in found}
    if absent := [each.facts.title for each in benchmarks if each.facts.name not in done]:
        parts.append(f"\nNo results are kept of {', '.join(absent)}.\n")
    for each in found:
        parts.append(_details(each))
    return "".join(parts)


def _facts(benchmark: Runnable) -> list[str]:
    facts = benchmark.facts
    command = f"`agentjudge bench {facts.name} --data DATA`"
    return [facts.title, facts.paper, facts.metric, facts.source, facts.licence, command]


def _headline(result: Result, found: Headline) -> list[str]:
    counts, limit = found.counts, result.report.limit
    return [
        result.benchmark.facts.title,
        found.set if limit is None else f"{found.set}: at most {limit} drawn by seed {result.report.seed}",
        f"{result.report.judge}, {result.report.model}",
        str(found.n),
        found.metric,
        interval(found.value, found.low, found.high),
        _floors(found.floors),
        _above(found.beats_floor),
        f"{counts.abstained}, {counts.failed}",
        f"{counts.seconds:.2f}",
    ]


def _details(result: Result) -> str:
    report = result.report
    parts = [f"\n## {result.benchmark.facts.title}: {report.judge} with {report.model}\n\n`{report.command}`\n"]
    if rows := report.details:
        parts.append("\n" + _table(list(rows[0]), [list(row.values()) for row in rows]))
    if isinstance(report, Report):
        parts += [f"\n{each.name}: {each.habits}.\n" for each in report.sets]
        if others := report.others:
            parts.append("\nJudges of others, as recorded of them:\n\n")
            parts.append(_table(list(others[0]), [list(row.values()) for row in others]))
    parts += [f"\n{name}: {note}.\n" for name, note in report.notes.items()]
    parts += [f"\nNot run: {name} {why}.\n" for name, why in report.skipped.items()]
    return "".join(parts)


def _floors(floors: dict[str, float]) -> str:
    return ", ".join(f"{name} {percent(value)}" for name, value in floors.items()) or "-"


def _above(beats: bool | None) -> str:
    return {True: "yes", False: "no", None: "-"}[beats]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', ' ') for cell in line)} |\n" for line in lines)


def main() -> None:
    """Write the file."""
    (FOLDER / "README.md").write_text(text(results()), encoding="utf-8")


if __name__ == "__main__":
    main()
