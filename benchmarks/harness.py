"""One benchmark, one small file: what it is, how its files are read, how its verdicts are merged and counted.

    @register("benchmark", "judgebench", paper="2410.12784")
    def judgebench() -> Benchmark:
        return Benchmark(facts=..., sets={"gpt-4o": load}, policy=Swap(double_game), measures={"overall": Measure()})

    report = judgebench().run(Options(data=Path("data"), model="embedded"))

| a benchmark says | by |
|---|---|
| what it is, where its files are to be had | `Facts` |
| its sets: a loader each, from the data folder to `CaseSet`; `Unavailable` where the files are not there | `sets` |
| a case of any kind with its gold, its part, what it is counted in, what it is not independent of | `Item` |
| how often and in which order a case is asked; which judge is, by default | `policy`, `judge` |
| what the official metric counts: from cases and outcomes to `Unit`s; each case by `right` without it | `units` |
| its numbers, the headline first: each a `Statistic` of all units or of some of them | `measures` |
| judges without a model that fit its cases; constant label, first position and both lengths without it | `floors` |
| what judges of others reach, counted again from what was recorded of them | `recorded` |

All the rest is written once: `files` reads rows and says what is wrong with them; `running` chooses sets, draws rows,
asks the judge and keeps the traces; here the floors go through the very policy and statistics of the judge that they
stand beside, and every number gets its interval; `reports` shows them; `readme` makes one table of all. A benchmark
that counts in a way of its own needs no `Benchmark`: whatever is `Runnable` will do, as `claims` does.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from agentjudge.benchmarks.files import Unavailable
from agentjudge.benchmarks.reports import Recorded, Report, ReportBase, SetReport, counts
from agentjudge.benchmarks.running import Options, Task, choose_sets, decide, draw, outcomes_of, policy_of
from agentjudge.benchmarks.statistics import Statistic, Unit, mean
from agentjudge.case import Case
from agentjudge.errors import DataError
from agentjudge.runs.floors import RuleJudge, floor_judges
from agentjudge.runs.habits import rates
from agentjudge.runs.measures import Mean, right
from agentjudge.runs.policies import Once, Outcome, Policy
from agentjudge.runs.statistics import bootstrap_of

__all__ = ["Benchmark", "CaseSet", "Decided", "Facts", "Item", "Measure", "Options", "Runnable"]

FEWEST = 10
"""Clusters below which a number gets no interval: a bootstrap of a few that went alike would call it certain."""


class Facts(NamedTuple):
    """What a benchmark is, for its reports and the generated README."""

    name: str
    title: str
    paper: str
    metric: str
    """The headline, in words."""
    source: str
    """Where its files are to be had."""
    licence: str
    """Of the data, as the source states it."""


class Runnable(Protocol):
    """What the function that is registered as a benchmark returns."""

    @property
    def facts(self) -> Facts:
        """What it is."""
        ...

    @property
    def flags(self) -> Collection[str]:
        """Names of the options that it takes beside `Options`."""
        ...

    @property
    def run(self) -> Callable[..., ReportBase]:
        """Runs it: takes `Options`, and what `flags` names by keyword."""
        ...

    def read(self, found: dict[str, Any]) -> ReportBase:
        """Its report again, from JSON."""
        ...


class Item(NamedTuple):
    """A case of a benchmark, with its gold."""

    case: Case
    group: str = ""
    """Its part of the benchmark, such as a domain."""
    unit: str = ""
    """What it is counted in, such as a prompt with several comparisons; itself when empty."""
    cluster: str = ""
    """Units that share it are not independent; the unit alone when empty."""

    @property
    def counted_in(self) -> str:
        """The unit's name."""
        return self.unit or self.case.id


class CaseSet(NamedTuple):
    """The items of one set."""

    items: Sequence[Item]
    note: str = ""
    """What a reader of its numbers must know."""
    judge: str = ""
    """Who judges it where nobody is named; the benchmark's own judge when empty."""
    policy: Policy | None = None
    """The official way to ask where it is not the benchmark's own."""


class Decided(NamedTuple):
    """An item, and what the policy made of it."""

    item: Item
    outcome: Outcome


class Measure(NamedTuple):
    """A number of a benchmark, as it is defined officially."""

    of: Statistic = mean
    groups: Collection[str] = ()
    """Of the units of these groups alone; of all when empty."""
    guessing: float | None = None
    """What guessing reaches."""
    where: Callable[[Unit], bool] | None = None
    """Of the units alone for which it holds."""
    better: Literal["higher", "lower"] | None = "higher"
    """The better side; None where there is none, as of a number that says nothing of the judge: it has no floors."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark of judges of answers."""

    facts: Facts
    sets: Mapping[str, Callable[[Path | None], CaseSet]]
    """A loader by the name of each set: takes the data folder, raises `Unavailable` where the set is not there."""
    measures: Mapping[str, Measure]
    """The headline first."""
    policy: Policy = field(default_factory=Once)
    """The official way to ask."""
    units: Callable[[Sequence[Decided]], list[Unit]] | None = None
    """What is counted; every item by `runs.measures.right` when None."""
    tie: float = 0.0
    """Credit for a tie where gold has a side."""
    floors: Callable[[Sequence[Case]], Sequence[RuleJudge]] = floor_judges
    judge: str = "compare"
    recorded: Callable[[Path | None], Sequence[Recorded]] | None = None
    """Reads what is recorded of other judges; empty where nothing is."""

    @property
    def flags(self) -> Collection[str]:
        """None: `Options` are enough."""
        return ()

    def run(self, options: Options) -> Report:
        """Run it.

        Raises:
            DataError: no data, a set asked for by name that cannot be used, a malformed file, or a judge of others.
            ConfigError: unknown set, judge, model or policy.
            StoreError: the run folder cannot be used.
        """
        from agentjudge import __version__

        named, options = options.judge, replace(options, judge=options.judge or self.judge)
        default = policy_of(self.policy, options.policy)
        chosen, skipped = choose_sets(self.sets, options.sets, lambda name: self._load(name, options.data))
        drawn = {
            name: draw(each.items, options.limit, options.seed, lambda item: item.counted_in)
            for name, each in chosen.items()
        }
        judges = {name: named or each.judge or self.judge for name, each in chosen.items()}
        policies = {name: policy_of(each.policy or self.policy, options.policy) for name, each in chosen.items()}
        tasks = [
            Task(name, [item.case for item in items], options.corpus, judges[name], policies[name])
            for name, items in drawn.items()
        ]
        bare = [task._replace(name=f"{task.name}-no-tools", corpus=None) for task in tasks]
        found = asyncio.run(decide([*tasks, *(bare if options.no_tools_floor else ())], default, options))
        reports = []
        for number, (name, items) in enumerate(drawn.items()):
            cases = tasks[number].cases
            floors = asyncio.run(outcomes_of(self.floors(cases), policies[name], cases))
            if options.no_tools_floor:
                floors["no tools"] = found[len(tasks) + number]
            note = chosen[name].note
            if judges[name] != options.judge:
                note = "; ".join(filter(None, (f"judged by {judges[name]}", note)))
            reports.append(self._report(name, note, items, found[number], floors, seed=options.seed or 0))
        return Report(
            benchmark=self.facts.name,
            metric=self.facts.metric,
            model=options.model if isinstance(options.model, str) else options.model.name,
            judge=options.judge,
            policy=options.policy,
            seed=options.seed or 0,
            limit=options.limit,
            version=__version__,
            sets=tuple(reports),
            skipped=skipped,
            recorded=() if self.recorded is None else tuple(self.recorded(options.data)),
        )

    def read(self, found: dict[str, Any]) -> Report:
        """The report again, from JSON."""
        return Report.model_validate(found)

    def count(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> list[Unit]:
        """The units of some outcomes.

        Raises:
            DataError: a case has no gold that says what is right.
        """
        decided = list(map(Decided, items, outcomes))
        return self._one_by_one(decided) if self.units is None else self.units(decided)

    def _load(self, name: str, data: Path | None) -> CaseSet:
        found = self.sets[name](data)
        if not found.items:
            raise Unavailable("has files without rows")
        return found

    def _one_by_one(self, decided: Sequence[Decided]) -> list[Unit]:
        units = []
        for item, outcome in decided:
            if item.case.gold is None:
                raise DataError(f"case {item.case.id!r} has no gold")
            mark = right(outcome.verdict, item.case.gold, tie=self.tie)
            units.append(Unit(item.group, mark or 0.0, mark is not None, item.cluster or item.counted_in))
        return units

    def _report(
        self,
        name: str,
        note: str,
        items: Sequence[Item],
        outcomes: Sequence[Outcome],
        floors: Mapping[str, Sequence[Outcome]],
        *,
        seed: int,
    ) -> SetReport:
        units = self.count(items, outcomes)
        others = {floor: self.count(items, each) for floor, each in floors.items()}
        measured = {key: _measure(measure, units, others, seed=seed) for key, measure in self.measures.items()}
        return SetReport(
            name=name,
            **counts([outcome.verdict for outcome in outcomes]),
            judgements=sum(len(outcome.runs) for outcome in outcomes),
            units=len(units),
            clusters=len({unit.cluster for unit in units}),
            metrics={key: found for key, found in measured.items() if found is not None},
            habits=rates(outcomes, seed=seed),
            note=note,
        )


def _measure(
    measure: Measure, units: Sequence[Unit], floors: Mapping[str, Sequence[Unit]], *, seed: int
) -> Mean | None:
    """A number with its 95% interval, whole clusters drawn; None where it has no value on these units."""

    def part(every: Sequence[Unit]) -> list[Unit]:
        wanted = [unit for unit in every if not measure.groups or unit.group in measure.groups]
        return wanted if measure.where is None else list(filter(measure.where, wanted))

    units = part(units)
    value = measure.of(units)
    if value is None:
        return None
    others = floors if measure.better is not None else {}
    reached = {name: found for name, each in others.items() if (found := measure.of(part(each))) is not None}
    if measure.guessing is not None:
        reached["guessing"] = measure.guessing
    scored = [unit for unit in units if unit.scored]
    low = high = None
    clusters = [unit.cluster for unit in units]
    if len(set(clusters)) >= FEWEST:
        with suppress(ValueError):  # undefined on most resamples: they seldom hold one of its small groups
            _, low, high, _ = bootstrap_of(measure.of, units, clusters, seed=seed)
    return Mean(
        n=len(units),
        scored=len(scored),
        over_all=value,
        over_scored=measure.of(scored) if scored else None,
        low=low,
        high=high,
        floors=reached,
        lower_is_better=measure.better == "lower",
    )
