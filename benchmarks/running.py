"""What all benchmarks do alike: choose sets, draw rows, ask the judge, keep the traces.

chosen, skipped = choose_sets(loaders, options.sets)
outcomes = asyncio.run(decide([Task("test", cases)], policy, options))
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from agentjudge.benchmarks.files import Unavailable
from agentjudge.case import Case
from agentjudge.errors import ConfigError, DataError
from agentjudge.models.base import Model, load_model
from agentjudge.runs.floors import RuleJudge
from agentjudge.runs.merging import double_game
from agentjudge.runs.policies import ByScore, Outcome, Policy, Swap, run_policy

if TYPE_CHECKING:
    from agentjudge.judge import Judge
    from agentjudge.tools.corpus import Corpus
    from agentjudge.trace import Trace

PolicyName = Literal["official", "both-orders", "scores"]
POLICIES: tuple[PolicyName, ...] = ("official", "both-orders", "scores")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a benchmark is run."""

    data: Path | None = None
    """Folder of the data sets; the environment variable AGENTJUDGE_DATA when None."""
    sets: Sequence[str] | None = None
    """Names of sets; all that can be used when None."""
    model: str | Model = "embedded"
    """As everywhere; a `Model` is closed at the end."""
    judge: str = ""
    """A registered judge; the benchmark's own when empty."""
    policy: PolicyName = "official"
    """both-orders: every case in both orders, merged as JudgeBench does; scores: every answer alone."""
    limit: int | None = None
    """Most units of each set, drawn by the seed."""
    corpus: str | Path | None = None
    """Files or folders that the judge may search."""
    index: str = "bm25"
    no_tools_floor: bool = False
    """Run the judge once more without its tools, as a floor."""
    seed: int | None = 0
    """Of the rows drawn, the lots, the bootstrap and the judge."""
    concurrency: int = 32
    out: Path | None = None
    """Folder for the traces, a run folder in it for each set."""
    resume: bool = False
    on_start: Callable[[int], None] | None = None
    """Called with the number of cases."""
    on_outcome: Callable[[Outcome], None] | None = None
    on_trace: "Callable[[str, Trace], None] | None" = None
    """Called with the set's name and each trace."""


class Task(NamedTuple):
    """The cases of one set, and where the judge may search for them."""

    name: str
    cases: Sequence[Case]
    corpus: "Corpus | str | Path | None" = None
    judge: str = ""
    """A registered judge; that of the options when empty."""
    policy: Policy | None = None
    """How they are asked; as the other tasks when None."""


def choose_sets(
    known: Mapping[str, Any], wanted: Sequence[str] | None, load: Callable[[str], T], *, what: str = "set"
) -> tuple[dict[str, T], dict[str, str]]:
    """Load the sets asked for, or all that can be used.

    Args:
        known: the sets by name.
        wanted: names; all when None.
        load: reads a set, and raises `Unavailable` where it cannot be used.
        what: what a set is called.

    Returns:
        The sets by name, and why others were left out.

    Raises:
        ConfigError: an unknown name.
        DataError: a set asked for by name cannot be used, or none can.
    """
    unknown = next((name for name in wanted or () if name not in known), None)
    if unknown is not None:
        raise ConfigError(f"unknown {what} {unknown!r}; there is {', '.join(known)}")
    chosen: dict[str, T] = {}
    skipped: dict[str, str] = {}
    for name in dict.fromkeys(wanted or known):
        try:
            chosen[name] = load(name)
        except Unavailable as exc:
            if wanted is not None:
                raise DataError(f"{name} {exc.message}") from exc
            skipped[name] = exc.message
    if not chosen:
        raise DataError("no set can be run: " + "; ".join(f"{name} {why}" for name, why in skipped.items()))
    return chosen, skipped


def draw(items: Sequence[T], limit: int | None, seed: int | None, unit: Callable[[T], str] | None = None) -> list[T]:
    """At most `limit` units of the items, whole ones, drawn by the seed and left in their order."""
    names = [str(i) if unit is None else unit(item) for i, item in enumerate(items)]
    units = list(dict.fromkeys(names))
    if limit is None or limit >= len(units):
        return list(items)
    drawn = set(random.Random(seed or 0).sample(units, limit))
    return [item for item, name in zip(items, names, strict=True) if name in drawn]


def policy_of(official: Policy, name: PolicyName) -> Policy:
    """A policy by its name on the command line.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in POLICIES:
        raise ConfigError(f"unknown policy {name!r}; there is {', '.join(POLICIES)}")
    return {"official": official, "both-orders": Swap(double_game), "scores": ByScore()}[name]


async def decide(tasks: Sequence[Task], policy: Policy, options: Options) -> list[list[Outcome]]:
    """The outcomes of each set, in the order of its cases; one model for all of them.

    Raises:
        DataError: a case is of a kind that the judge or the policy does not take.
        ConfigError: unknown judge or model.
        StoreError: the run folder cannot be used.
    """
    model = load_model(options.model) if isinstance(options.model, str) else options.model
    if options.on_start is not None:
        options.on_start(sum(len(task.cases) for task in tasks))
    found = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(model.aclose)
        for task in tasks:
            judge = _load_judge(task, model, options)
            stack.push_async_callback(judge.aclose)
            found.append(await _decide(task, judge, task.policy or policy, options))
    return found


async def _decide(task: Task, judge: "Judge", policy: Policy, options: Options) -> list[Outcome]:
    with ExitStack() as stack:
        keep, finished = None, None
        if options.out is not None:
            keep, finished = stack.enter_context(_folder(options.out / task.name, task, judge, options))

        def heard(trace: "Trace") -> None:
            if keep is not None:
                keep(trace)
            if options.on_trace is not None:
                options.on_trace(task.name, trace)

        return await run_policy(
            judge,
            policy,
            task.cases,
            concurrency=options.concurrency,
            on_trace=heard,
            on_outcome=options.on_outcome,
            finished=finished,
        )


@contextmanager
def _folder(
    path: Path, task: Task, judge: "Judge", options: Options
) -> "Iterator[tuple[Callable[[Trace], None], dict[str, Trace]]]":
    """A run folder: what appends to it, and the traces in it that need not be made again."""
    from agentjudge.runs.batch import made
    from agentjudge.runs.folder import open_run
    from agentjudge.runs.writer import open_writer

    sources = {} if options.corpus is None else {"corpus": str(options.corpus), "index": options.index}
    config = {"judge": judge.settings(), "sources": sources, "made": made(), "notes": {"set": task.name}}
    with open_writer(path, config, cases=task.cases, resume=options.resume) as writer:
        done = writer.finished
        yield writer.add, {t.case.id: t for t in open_run(path).traces() if t.case.id in done} if done else {}


def _load_judge(task: Task, model: Model, options: Options) -> "Judge":
    from agentjudge.judge import Judge
    from agentjudge.runs.folder import BLOBS

    return Judge.load(
        task.judge or options.judge,
        model=model,
        corpus=task.corpus,
        index=options.index,
        seed=options.seed,
        blobs=None if options.out is None else options.out / task.name / BLOBS,
    )


async def outcomes_of(judges: Sequence[RuleJudge], policy: Policy, cases: Sequence[Case]) -> dict[str, list[Outcome]]:
    """What a policy makes of judges without a model, by their names; those that fail on every case are left out."""
    found = {judge.name: await run_policy(judge, policy, cases) for judge in judges}
    return {name: each for name, each in found.items() if any(o.verdict.status == "scored" for o in each)}
