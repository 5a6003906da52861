"""The numbers of a training report as rows, for the page and for plain text alike.

for table in held_out(logs):
    for row in table.rows:
        print(row.name, row.floor, row.entries)     # an entry a run: at the start, at the end
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agentjudge.runs.statistics import bootstrap_interval
from agentjudge.training.report_log import SHARES, Cell, Evaluation, Place, RunLog

KNOWN = ("reward", "joint", "label_accuracy", "label", "evidence_iou", "overlap")
"""In this order, before all others; all are the better the higher."""
BETTER_HIGH = (*KNOWN, *SHARES)
TAIL = 10
"""The first and last steps of a training that its means are of, or a tenth of all where that is more."""
OVER_CLASSES = "macro"
"""The mean over the classes."""
ONE_LABEL = "one label for all"


class Entry(NamedTuple):
    """What a run has in a row."""

    start: Cell | None
    """None where there is but one value."""
    end: Cell

    @property
    def change(self) -> float | None:
        """From the start to the end."""
        return None if self.start is None else self.end.mean - self.start.mean


class Row(NamedTuple):
    """One number of all runs."""

    name: str
    entries: tuple[Entry | None, ...]
    """One a run."""
    floor: tuple[float, str] | None = None
    better_high: bool = False


class Table(NamedTuple):
    """Rows of one kind."""

    name: str
    note: str
    rows: tuple[Row, ...]


def held_out(logs: Sequence[RunLog]) -> list[Table]:
    """A table for each kind of evaluation: what each run began with and what it ended with."""
    named = [log.by_name() for log in logs]
    tables = []
    for name in dict.fromkeys(name for each in named for name in each):
        runs = [_ends(each.get(name, [])) for each in named]
        cells = [tuple(_with_mean(e.cells) if e else {} for e in run) for run in runs]
        floors: dict[Place, tuple[float, str]] = {}
        for place, floor in _floors(e for run in runs for e in run if e is not None):
            floors[place] = max(floor, floors.get(place, floor))
        places = sorted({place for run in cells for each in run for place in each}, key=_order)
        rows = []
        for place in places:
            entries = tuple(
                Entry(start.get(place) if run[0] is not run[1] else None, end[place]) if place in end else None
                for run, (start, end) in zip(runs, cells, strict=True)
            )
            if any(entries):
                rows.append(Row(" / ".join(place), entries, floors.get(place), place[-1] in BETTER_HIGH))
        steps = ", ".join(
            f"{log.name}: {run[0].step} and {run[1].step}" if run[0] is not run[1] else f"{log.name}: {run[1].step}"
            for log, run in zip(logs, runs, strict=True)
            if run[0] is not None and run[1] is not None
        )
        tables.append(Table(name, f"At steps {steps}.", tuple(rows)))
    return tables


def trained(logs: Sequence[RunLog]) -> Table:
    """What the logged numbers were over the first and over the last steps."""
    names = sorted({name for log in logs for name in log.curves}, key=lambda name: _order((name,)))
    rows = [Row(name, tuple(_tails(log.curves.get(name, {})) for log in logs), None, name in KNOWN) for name in names]
    note = (
        f"Means over the first and the last {TAIL} steps, or a tenth of all; intervals are over steps, which resemble "
        "each other, so they are rather too narrow."
    )
    return Table("Training", note, tuple(rows))


def _ends(evaluations: Sequence[Evaluation]) -> tuple[Evaluation | None, Evaluation | None]:
    return (evaluations[0], evaluations[-1]) if evaluations else (None, None)


def _with_mean(cells: Mapping[Place, Cell]) -> dict[Place, Cell]:
    """The cells, and for what each class has the mean over the classes, each counting alike, where none was logged."""
    by_metric: dict[Place, list[float]] = {}
    for place, cell in cells.items():
        if place[0] == "per_class" and len(place) > 1:
            by_metric.setdefault(place[2:], []).append(cell.mean)
    classes = {place[1] for place in cells if place[0] == "per_class" and len(place) > 1}
    means = {
        (OVER_CLASSES, *metric): Cell(sum(values) / len(values))
        for metric, values in by_metric.items()
        if len(values) == len(classes) > 1
    }  # intervals of it have to be logged
    return {**means, **cells}


def _floors(evaluations: Iterable[Evaluation]) -> Iterable[tuple[Place, tuple[float, str]]]:
    """The floors that were logged; and of shares by class, that one class is always right and the others never."""
    for each in evaluations:
        yield from each.floors.items()
        classes = {place[1] for place in each.cells if place[0] == "per_class" and len(place) > 1}
        for place in _with_mean(each.cells):
            if place[0] == OVER_CLASSES and (len(place) == 1 or place[-1] in SHARES):
                yield place, (1 / len(classes), ONE_LABEL)


def _order(place: Place) -> tuple[int, int, int, Place]:
    groups = (OVER_CLASSES, "per_class", "per_hop")
    group = 0 if len(place) == 1 and place[0] not in groups else 1 + groups.index(place[0]) if place[0] in groups else 9
    names = [KNOWN.index(part) for part in place if part in KNOWN]
    return group, 0 if names else 1, names[0] if names and group == 0 else 0, place


def _tails(curve: Mapping[int, float]) -> Entry | None:
    values = list(curve.values())
    if not values:
        return None
    size = max(TAIL, len(values) // 10)
    end = _mean(values[-size:])
    return Entry(_mean(values[:size]) if len(values) >= 2 * size else None, end)


def _mean(values: Sequence[float]) -> Cell:
    mean, low, high, n = bootstrap_interval(values)
    return Cell(mean, low, high, n) if n > 1 else Cell(mean, n=n)
