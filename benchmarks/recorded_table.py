"""AgentRewardBench's table of 13 judges (arXiv 2504.08942), and the counts that its rounded numbers leave possible.

    sizes = recorded_web.expected(Path("data"))
    counts_behind(leaderboard(Path("data"))["NNetNav"], sizes)      # [Counts(hits=243, called=463, positives=295)]

What the judges said of each trajectory is not published, so this is as far as their rows can be counted again: people's
labels fix how many successes there are, and percentages of one digit then leave one way to have come about, or none.
`beside` puts these rows next to the judges that are recorded trajectory by trajectory, for a report of ours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from agentjudge.benchmarks.files import data_root, find_file
from agentjudge.benchmarks.recorded_web import (
    COLUMNS,
    SUCCESS,
    Success,
    against_people,
    case_verdicts,
    csv_rows,
    expected,
    people,
    success,
    table,
)
from agentjudge.benchmarks.reports import Recorded
from agentjudge.case import Record
from agentjudge.errors import DataError, boundary

_HALF = 0.0501
"""How far a percentage lies at most from the one digit that it is rounded to, and a hair."""


class Row(Record):
    """A judge's row of the official table, in percent with one digit; None where the cell is empty."""

    precision: float
    recall: float
    f1: float
    columns: dict[str, float | None]
    """Precision by column."""


class Counts(NamedTuple):
    """What a row of the table can have been made of."""

    hits: int
    """Successes called so."""
    called: int
    """Trajectories called a success."""
    positives: int
    """Successes that were answered."""


def leaderboard(data: Path) -> dict[str, Row]:
    """The official table, by judge.

    Raises:
        DataError: the table is absent or is something else.
    """
    found = {}
    for where, row in csv_rows(data, "agentrewardbench_leaderboard.csv"):
        with boundary(DataError, f"{where}: not a row of the table"):
            found[row["Judge"]] = Row(
                precision=float(row["Overall"]),
                recall=float(row["Recall"]),
                f1=float(row["F1"]),
                columns={name: float(row[name]) if row[name] else None for name in COLUMNS.values()},
            )
    return found


def counts_behind(row: Row, sizes: Mapping[str, tuple[int, int]], *, unread: int = 0) -> list[Counts]:
    """All counts that a row of the table can have been made of, most answered successes first.

    Their precision, recall and F1 are those of the row, and the precisions of its columns can have added up to them.

    Args:
        row: of the official table.
        sizes: trajectories and successful ones of `all` and of each column of the row, as `expected` has them.
        unread: successful ones without an answer that could be read, at most.
    """
    sums = {(0, 0)}
    for column, printed in row.columns.items():
        n, positives = sizes[column]
        ways = [
            (hits, hits + false)
            for hits in range(positives + 1)
            for false in range(n - positives + 1)
            if printed is None or _rounds(hits, hits + false, printed)
        ]
        sums = {(hits + more, called + others) for hits, called in sums for more, others in ways}
    most = sizes["all"][1]
    return [
        Counts(hits, called, answered)
        for answered in range(most, max(0, most - unread - 1), -1)
        for hits, called in sorted(sums)
        if _rounds(hits, called, row.precision)
        and _rounds(hits, answered, row.recall)
        and _rounds(2 * hits, called + answered, row.f1)
    ]


def beside(data: Path | None) -> list[Recorded]:
    """Judges of others on AgentRewardBench: those recorded run by run, then the rows of the table.

    Args:
        data: folder that holds `web/records`; the environment's when None. What is not there is left out.

    Raises:
        DataError: no data folder, or a malformed file.
    """
    root = data_root(data, holds="web/records")
    folder, found = root / "web" / "records", list[Recorded]()
    if not (folder / "agentrewardbench_annotations.csv").is_file():
        return found
    if find_file(folder, "webjudge_on_agentrewardbench.jsonl"):
        for judge, each in against_people(root).items():
            of = each.labels[SUCCESS]
            shares = {"accuracy": each.accuracy, "precision": of.precision, "recall": of.recall, "F1": of.f1}
            found.append(Recorded(judge=judge, rows="recorded, unanimous", n=each.n, numbers=dict(shares)))
        found += [_counted(judge, columns) for judge, columns in table(root).items()]
    if find_file(root / "web" / "agentrewardbench_webjudge", "cases.jsonl"):
        labels = people(root)
        for judge, said in case_verdicts(root).items():
            kept = [key for key in said if key in labels]
            counted = success([labels[key][0] for key in kept], [said[key] for key in kept])
            found.append(_row(judge, "recorded, set actions", counted))
    if (folder / "agentrewardbench_leaderboard.csv").is_file():
        n = expected(root)["all"][0]
        found += [_published(judge, row, n) for judge, row in leaderboard(root).items()]
    return found


def _counted(judge: str, columns: Mapping[str, Success]) -> Recorded:
    parts = {f"precision, {name}": columns[name].precision for name in COLUMNS.values() if columns[name].n}
    return _row(judge, "recorded, test", columns["all"], **parts)


def _row(judge: str, rows: str, found: Success, **more: float) -> Recorded:
    shares = {"accuracy": found.accuracy, "precision": found.precision, "recall": found.recall, "F1": found.f1}
    return Recorded(judge=judge, rows=rows, n=found.n, numbers={**shares, **more})


def _published(judge: str, row: Row, n: int) -> Recorded:
    percent: dict[str, float | None] = {"precision": row.precision, "recall": row.recall, "F1": row.f1}
    percent |= {f"precision, {name}": value for name, value in row.columns.items()}
    shares = {name: None if value is None else value / 100 for name, value in percent.items()}
    return Recorded(judge=judge, rows="published, test", n=n, numbers=shares)


def _rounds(part: int, whole: int, printed: float) -> bool:
    """Whether a share is what is printed in percent."""
    return abs(100 * part / whole - printed if whole else printed) <= _HALF
