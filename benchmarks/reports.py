"""What a benchmark found: numbers with intervals and floors, counts, habits and cost, as JSON and as tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from agentjudge.case import Record
from agentjudge.runs.habits import Rates
from agentjudge.runs.measures import Mean
from agentjudge.runs.merging import total_usage
from agentjudge.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console


class Headline(NamedTuple):
    """The number of one set that stands for it; shares are 0..1."""

    set: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    floors: dict[str, float]
    beats_floor: bool | None
    counts: "Counts"


class Counts(Record):
    """What became of the cases of a set, and what they cost; tokens, tool calls and seconds are means of a case."""

    n: int
    scored: int
    abstained: int
    failed: int
    failures: dict[str, int]
    """Failed verdicts by the kind of failure."""
    tool_calls: float
    tokens: float
    """Prompt and completion."""
    seconds: float
    """Wall clock of the judgements of a case, one after the other."""


def counts(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The fields of `Counts`.

    Args:
        verdicts: at least one.
    """
    status, usage, n = Counter(verdict.status for verdict in verdicts), total_usage(verdicts), len(verdicts)
    return {
        "n": n,
        "scored": status["scored"],
        "abstained": status["abstained"],
        "failed": status["failed"],
        "failures": dict(Counter(verdict.failure.kind for verdict in verdicts if verdict.failure)),
        "tool_calls": usage.tool_calls / n,
        "tokens": (usage.prompt_tokens + usage.completion_tokens) / n,
        "seconds": usage.seconds / n,
    }


class SetReport(Counts):
    """What was measured on one set. Shares are 0..1."""

    name: str
    judgements: int
    """All that were asked for, orders and repeats counted."""
    units: int
    """What the metrics count."""
    clusters: int
    metrics: dict[str, Mean]
    """The headline first."""
    habits: Rates
    note: str = ""

    @property
    def headline(self) -> Headline | None:
        """The first metric; None where nothing could be measured."""
        if not self.metrics:
            return None
        name, mean = next(iter(self.metrics.items()))
        value = mean.over_all if mean.over_all is not None else mean.over_scored
        if value is None:
            return None
        return Headline(self.name, name, value, mean.low, mean.high, mean.n, mean.floors, mean.beats_floors, self)


class Recorded(Record):
    """What was recorded of a judge of others, counted again, or what it is published to reach."""

    judge: str
    rows: str
    """Which rows, in words."""
    n: int
    """How many."""
    numbers: dict[str, float | None]
    """By name, each 0..1; None where one has no value."""


class ReportBase(Record):
    """What every benchmark's report says."""

    benchmark: str
    model: str
    judge: str
    seed: int
    limit: int | None
    version: str
    skipped: dict[str, str]
    """Sets that were not run, and why."""

    @property
    def failed(self) -> int:
        """Failed verdicts in all sets."""
        raise NotImplementedError

    @property
    def headlines(self) -> list[Headline]:
        """A number a set."""
        raise NotImplementedError

    @property
    def details(self) -> list[dict[str, str]]:
        """More numbers, as rows of cells with the same columns."""
        return []

    @property
    def notes(self) -> dict[str, str]:
        """What a reader must know, by set."""
        return {}

    @property
    def command(self) -> str:
        """What makes it again, with the data folder in the environment; sets and judge are the benchmark's own."""
        said = f"agentjudge bench {self.benchmark} --model {self.model}"
        said += f" --limit {self.limit}" if self.limit is not None else ""
        return said + (f" --seed {self.seed}" if self.seed else "")

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `model_validate` reads it back."""
        return self.model_dump(mode="json")


class Report(ReportBase):
    """The outcome of a benchmark of judges of answers."""

    metric: str
    """The headline, in words."""
    policy: str
    sets: tuple[SetReport, ...]
    recorded: tuple[Recorded, ...] = ()
    """Judges of others, on rows that need not be those of the sets."""

    @property
    def failed(self) -> int:
        """See `ReportBase`."""
        return sum(each.failed for each in self.sets)

    @property
    def headlines(self) -> list[Headline]:
        """See `ReportBase`."""
        return [headline for each in self.sets if (headline := each.headline)]

    @property
    def details(self) -> list[dict[str, str]]:
        """See `ReportBase`: all measures."""
        return [_cells(each.name, name, mean) for each in self.sets for name, mean in each.metrics.items()]

    @property
    def others(self) -> list[dict[str, str]]:
        """What is recorded of other judges, as rows of cells with the same columns."""
        names = dict.fromkeys(name for each in self.recorded for name in each.numbers)
        return [
            {"judge": each.judge, "rows": each.rows, "n": str(each.n)}
            | {name: percent(each.numbers.get(name)) for name in names}
            for each in self.recorded
        ]

    @property
    def notes(self) -> dict[str, str]:
        """See `ReportBase`."""
        return {each.name: each.note for each in self.sets if each.note}

    @property
    def command(self) -> str:
        """See `ReportBase`."""
        return super().command + ("" if self.policy == "official" else f" --policy {self.policy}")

    def render(self, console: "Console") -> None:
        """Print a table of all numbers and one of counts and habits, and what must be known to read them."""
        title = f"{self.benchmark}: {self.model} with {self.judge}, policy {self.policy}"
        show(console, title, self.details)
        show(console, "verdicts, habits and cost", [_habits(each) for each in self.sets])
        if self.recorded:
            show(console, "judges of others, as recorded", self.others)
        console.print(f"First line of a set: {self.metric}", markup=False)
        console.print(
            "Percent, unscored verdicts not being right; [95% interval]. Floors are judges without a model, and chance."
        )
        show_notes(console, self.notes, self.skipped)


def show(console: "Console", title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows of cells as a table."""
    from agentjudge.console import table

    console.print(table(title, list(rows[0]) if rows else [], [list(row.values()) for row in rows]))


def show_notes(console: "Console", notes: Mapping[str, str], skipped: Mapping[str, str]) -> None:
    """Print what must be known of sets, and which were left out."""
    for name, note in notes.items():
        console.print(f"{name}: {note}", markup=False)
    for name, reason in skipped.items():
        console.print(f"not run: {name} {reason}", markup=False)


def percent(value: float | None) -> str:
    """`45.1`, or `-`."""
    return "-" if value is None else f"{100 * value:.1f}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """`45.1 [40.2, 50.0]`."""
    return percent(value) if low is None or high is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"


def verdict_cells(row: Counts) -> dict[str, str]:
    """The cells of `Counts`."""
    return {
        "n": str(row.n),
        "scored": str(row.scored),
        "abst.": str(row.abstained),
        "failed": str(row.failed),
        "tools": f"{row.tool_calls:.2f}",
        "tokens": f"{row.tokens:.0f}",
        "s": f"{row.seconds:.2f}",
    }


def _cells(name: str, metric: str, mean: Mean) -> dict[str, str]:
    floor = mean.best_floor
    return {
        "set": name,
        "metric": metric,
        "n": str(mean.n),
        "over all": interval(mean.over_all, mean.low, mean.high),
        "over scored": percent(mean.over_scored),
        "best floor": "-" if floor is None else f"{percent(floor[1])} ({floor[0]})",
        "above": {True: "yes", False: "no", None: "-"}[mean.beats_floors],
    }


def _habits(row: SetReport) -> dict[str, str]:
    habits = row.habits
    return {
        "set": row.name,
        **verdict_cells(row),
        "judgements": str(row.judgements),
        "flips": percent(habits.flip and habits.flip.mean),
        "first place": percent(habits.first and habits.first.mean),
        "by chance": percent(habits.chance),
    }
