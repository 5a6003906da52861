"""Traces to imitate: an oracle's, another model's, or those of a run; only what is right, well-formed and looked up.

    book = open_book(config, policy)
    examples = book.examples(17)                          # those of the trace with this number

An oracle shows a new world for every number, so nothing is seen twice and nothing can be learned by heart. A model
judges a number of cases first, into the run folder `collected`; it and any other run are gone through over and over, in
another order each time. What a number stands for depends on nothing else, so a training that is resumed goes on with
what it would have seen.

Kept are traces that end with the right verdict in its format, were never cut off and have no turn that led to nothing.
Their evidence must have been looked up: a call has shown what is cited, or, where nothing can be cited, at least one
call went through. What merely looks like that is left out: a label can be right by chance, and a model that imitates
guesses learns to guess.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agentjudge.case import Case, complete_group
from agentjudge.errors import ConfigError, DataError
from agentjudge.judge import spread
from agentjudge.models.base import load_model
from agentjudge.models.profiles import ModelProfile
from agentjudge.rewards.terms import cited, correct, succeeded, well_formed
from agentjudge.runs.folder import open_run
from agentjudge.runs.writer import open_writer
from agentjudge.trace import Trace
from agentjudge.training.config import TrainConfig
from agentjudge.training.examples import Example, sft_examples
from agentjudge.training.gym.oracle import Oracle, Slop
from agentjudge.training.rollouts import void_turns
from agentjudge.training.sources import FileSource, GymSource, Source, judge_for, open_source, specs

log = logging.getLogger(__name__)
COLLECTED = "collected"


class Book(Protocol):
    """Numbered traces, as token ids."""

    def examples(self, number: int) -> list[Example]:
        """What is to be imitated of the trace with this number, from 0 on."""
        ...


@dataclass
class OracleBook:
    """The claims of a gym, judged by oracles."""

    source: GymSource
    config: TrainConfig
    tokenizer: Any
    profile: ModelProfile

    def trace(self, number: int) -> Trace:
        """The oracle's judgement.

        Raises:
            DataError: it did not find its way; its message says what to allow it.
        """
        return asyncio.run(self._judged(number))

    async def _judged(self, number: int) -> Trace:
        given, sft = self.source.case(number), self.config.sft
        slop = Slop(sft.superfluous, sft.disorder)
        protocol = self.profile.protocol
        oracle = Oracle(self.source.world(number), slop=slop, seed=self.config.seed, protocol=protocol)
        trace = await judge_for(given, self.config, oracle).arun(given.case)
        if problem := problem_of(trace, given.case, looked=False):
            raise DataError(
                f"the oracle did not find its way in {given.case.id!r}: {problem}; give it more searches "
                "([judge] budget), or show more of what they find ([judge] k)"
            )
        return trace

    def examples(self, number: int) -> list[Example]:
        """See `Book`."""
        told = specs(self.source.case(number), self.config, self.profile)
        return sft_examples(self.trace(number), self.tokenizer, tools=told, profile=self.profile, policy="fork")


@dataclass
class TraceBook:
    """Given traces, in another order at each pass."""

    traces: Sequence[Trace]
    config: TrainConfig
    tokenizer: Any
    profile: ModelProfile
    source: Source
    """Of the tools that were offered."""

    def examples(self, number: int) -> list[Example]:
        """See `Book`."""
        turn, place = divmod(number, len(self.traces))
        order = np.random.default_rng([self.config.seed, turn]).permutation(len(self.traces))
        trace = self.traces[int(order[place])]
        told = specs(self.source.case(0)._replace(case=trace.case), self.config, self.profile)
        return sft_examples(trace, self.tokenizer, tools=told, profile=self.profile, policy="fork")


def open_book(config: TrainConfig, tokenizer: Any, profile: ModelProfile) -> Book:
    """The traces that the file asks for; a model judges its cases now.

    Raises:
        ConfigError: a source that cannot be had.
        DataError: no trace is worth imitating.
        StoreError: no such run.
    """
    said, source = config.sft.source, open_source(config)
    if said == "oracle":
        if not isinstance(source, GymSource):
            raise ConfigError("the oracle knows a gym alone: set [sft] source to 'run:FOLDER' or to a model")
        if config.judge.name != "veri-r1":
            raise ConfigError(f"the oracle plays the judge 'veri-r1', not {config.judge.name!r}")
        return OracleBook(source, config, tokenizer, profile)
    kind, _, rest = said.partition(":")
    if kind == "run":
        traces = _of_run(Path(rest), config, source)
    else:
        traces = asyncio.run(collected(config, source))
    return TraceBook(traces, config, tokenizer, profile, source)


async def collected(config: TrainConfig, source: Source) -> list[Trace]:
    """The traces of a model that are worth imitating; all of them are kept in the run folder `collected`.

    Raises:
        ConfigError: no such model.
        DataError: none is worth it.
    """
    sft, path = config.sft, config.output.folder / COLLECTED
    model = load_model(sft.source)
    numbers = range(min(sft.cases, source.size or sft.cases))
    given = [source.case(number) for number in numbers]
    asked = {"collected": {"model": model.name, "judge": config.judge.name, "tries": sft.tries, "seed": config.seed}}
    kept: list[Trace] = []
    try:
        for attempt in range(sft.tries):
            with open_writer(path / str(attempt), asked, cases=[each.case for each in given], resume=True) as writer:

                async def judged(place: int, attempt: int = attempt, writer: Any = writer) -> None:
                    seed = config.seed * 1_000_003 + attempt * 1_009 + place
                    trace = await judge_for(given[place], config, model, seed=seed).arun(given[place].case)
                    writer.add(trace)

                left = [place for place in numbers if given[place].case.id not in writer.finished]
                await spread(left, judged, concurrency=config.rollout.concurrency)
            kept += _of_run(path / str(attempt), config, source, least=0)
    finally:
        await model.aclose()
    if not kept:
        raise DataError(f"none of {len(numbers) * sft.tries} judgements of {model.name!r} is worth imitating")
    return kept


def _of_run(path: Path, config: TrainConfig, source: Source, *, least: int = 1) -> list[Trace]:
    run = open_run(path)
    cases = run.cases() or ({case.id: case for case in source.cases} if isinstance(source, FileSource) else {})
    judged = [(trace, cases[trace.case.id]) for trace in run.traces() if trace.case.id in cases]
    kept = worthy(judged, config)
    if len(kept) < least:
        raise DataError(f"none of the {len(judged)} traces with gold in {path} is worth imitating")
    return kept


def worthy(judged: Iterable[tuple[Trace, Case]], config: TrainConfig) -> list[Trace]:
    """The traces that are worth imitating; what was wrong with the others is logged.

    Raises:
        DataError: a trace of another judge, whose prompts ours does not speak.
    """
    kept, problems = list[Trace](), dict[str, int]()
    for trace, case in judged:
        if trace.judge != config.judge.name:
            raise DataError(f"a trace is of the judge {trace.judge!r}, and {config.judge.name!r} is to be trained")
        problem = problem_of(trace, case, looked=config.sft.used_tools and not (config.data.reading and case.documents))
        if problem is None:
            kept.append(trace)
        else:
            problems[problem] = problems.get(problem, 0) + 1
    for problem, count in sorted(problems.items()):
        log.warning("%d traces are left out: %s", count, problem)
    return kept


def problem_of(trace: Trace, case: Case, *, looked: bool) -> str | None:
    """Why a trace is not worth imitating; None where it is.

    Args:
        trace: a judgement.
        case: with its gold.
        looked: also ask that a tool was truly used.

    Raises:
        DataError: gold does not say what is right.
    """
    if trace.verdict.status != "scored":
        return "no verdict"
    if not correct(trace.verdict, case):
        return "wrong"
    if any(turn.finish_reason == "length" for turn in trace.turns):
        return "cut off"
    tags = not trace.turns[-1].message_out.get("tool_calls") and "</answer>" in str(trace.turns[-1].message_out)
    if not (tags or well_formed(trace)) or void_turns(trace):
        return "out of the format"
    gold = case.gold
    if gold is not None and gold.evidence and not complete_group(cited(trace), gold):
        return "without its evidence"
    if looked and not _looked(trace):
        return "no tool was truly used"
    return None


def _looked(trace: Trace) -> bool:
    """Whether a call showed something that is cited; whether one went through at all, where nothing is cited."""
    ids = cited(trace)
    if not ids:
        return succeeded(trace)
    return bool(ids & {ref.id for event in trace.events for ref in event.refs})
