"""Where the cases of a training come from: the case with a number is always the same, and so is what it can search in.

    source = open_source(config)
    given = source.case(17)                     # its case with gold, and its tools
    judge = judge_for(given, config, model)
    trace = await judge.arun(given.case)

A training asks for the cases of a step by their numbers, so where it stands in its data follows from its step alone: a
run that is killed and resumed sees the cases that it would have seen.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from agentjudge.case import Case, read_cases
from agentjudge.errors import ConfigError, DataError
from agentjudge.judge import Judge
from agentjudge.models.base import Model, Sampling
from agentjudge.models.profiles import ModelProfile
from agentjudge.registry import lookup
from agentjudge.tools.base import Tool, ToolBox
from agentjudge.tools.corpus import Corpus
from agentjudge.tools.retrieve import Retrieve
from agentjudge.training.config import GymTable, TrainConfig
from agentjudge.training.gym import ClaimGym, Names, World
from agentjudge.training.gym.names import Split

REMEMBERED = 256
"""Worlds whose tools are kept: those of a step or two."""


class Given(NamedTuple):
    """A case with its gold, and the tools that its sources give a judge."""

    case: Case
    tools: tuple[Tool[Any], ...]


class Source(Protocol):
    """Cases by number."""

    def case(self, number: int) -> Given:
        """The case with this number, from 0 on; there is one for every number."""
        ...

    @property
    def size(self) -> int | None:
        """How many different cases there are; None where they never end."""
        ...


@dataclass(frozen=True)
class GymSource:
    """One claim of each world of a gym."""

    gym: ClaimGym
    worlds: int | None = None
    k: int = 3
    index: str = "bm25"
    reading: float = 0.0
    """Share of the cases that are given with their documents and without tools."""
    beside: int = 0
    """Other documents that are given with them, at most."""
    _given: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_given", lru_cache(maxsize=REMEMBERED)(self._make))

    @property
    def size(self) -> int | None:
        """See `Source`."""
        return self.worlds

    def case(self, number: int) -> Given:
        """See `Source`."""
        given: Given = self._given(number if self.worlds is None else number % self.worlds)
        return given

    def world(self, number: int) -> World:
        """The world of a case."""
        return self.gym.world(number if self.worlds is None else number % self.worlds)

    def _make(self, number: int) -> Given:
        world = self.gym.world(number)
        case = world.cases[0]
        chance = random.Random(f"reading/{self.gym.seed}/{number}")
        if chance.random() < self.reading:
            return Given(world.reading(case, beside=chance.randint(0, self.beside)), ())
        index = world.index if self.index == "bm25" else self.index
        return Given(case, (Retrieve(world.corpus, index, k=self.k),))


@dataclass(frozen=True)
class FileSource:
    """Given cases, in another order at each pass."""

    cases: tuple[Case, ...]
    tools: tuple[Tool[Any], ...] = ()
    seed: int | None = 0
    """Of the order; as they are given when None."""

    @property
    def size(self) -> int:
        """See `Source`."""
        return len(self.cases)

    def case(self, number: int) -> Given:
        """See `Source`."""
        turn, place = divmod(number, len(self.cases))
        if self.seed is not None:
            place = int(np.random.default_rng([self.seed, turn]).permutation(len(self.cases))[place])
        return Given(self.cases[place], self.tools)


@dataclass(frozen=True)
class Chosen:
    """Some of the cases of a source, by number, over and over."""

    source: Source
    numbers: tuple[int, ...]

    @property
    def size(self) -> int:
        """See `Source`."""
        return len(self.numbers)

    def case(self, number: int) -> Given:
        """See `Source`."""
        return self.source.case(self.numbers[number % len(self.numbers)])


def open_source(config: TrainConfig, *, split: Split = "train", reading: float | None = None) -> Source:
    """The cases that are trained on, or measured on.

    Args:
        config: of the run.
        split: `test` cases are never trained on.
        reading: share of the gym's cases that have their documents in place of tools; as the file says when None.

    Raises:
        DataError: a file of cases is absent, empty or has cases without gold.
        ConfigError: there are no cases of this split.
    """
    data, judge = config.data, config.judge
    if data.gym is not None:
        gym, worlds = gym_of(data.gym, split), data.gym.worlds if split == "train" else None
        read = data.reading if reading is None else reading
        return GymSource(gym, worlds, k=judge.k, index=judge.index, reading=read, beside=data.beside)
    path = data.cases if split == "train" else data.test_cases
    if path is None:
        raise ConfigError("there are no cases to measure on: set [data] test_cases")
    cases = tuple(read_cases(path))
    if not cases:
        raise DataError(f"{path} has no cases")
    if without := [case.id for case in cases if case.gold is None]:
        raise DataError(f"{path}: {len(without)} cases have no gold, {without[0]!r} among them")
    return FileSource(cases, _searching(data.corpus, config), config.seed if split == "train" else None)


def gym_of(table: GymTable, split: Split) -> ClaimGym:
    """The gym of a file.

    Raises:
        ConfigError: options that cannot be, or no file of names.
    """
    return ClaimGym(
        names=_names(table.names),
        hops=table.hops,
        documents=table.documents,
        rivals=table.rivals,
        others=table.others,
        again=table.again,
        wordings=table.wordings,
        split=split,
        seed=table.seed,
    )


def offered(given: Given, config: TrainConfig) -> list[Tool[Any]]:
    """The tools of the judge of a case: its own, and those of the case's sources."""
    return [*lookup("judge", config.judge.name).target().brings(), *given.tools]


def specs(given: Given, config: TrainConfig, profile: ModelProfile) -> list[dict[str, Any]]:
    """The same as a model with this profile is told of them."""
    return list(ToolBox(offered(given, config)).fitting(given.case, profile).specs)


def judge_for(
    given: Given,
    config: TrainConfig,
    model: Model,
    *,
    temperature: float | None = None,
    seed: int | None = None,
    tools: bool = True,
) -> Judge:
    """The judge of a case, on a model that it shares with others: do not close it.

    Args:
        given: the case, with the tools of its sources.
        config: of the run.
        model: to ask.
        temperature: that of the file when None.
        seed: of what is sampled; all else that is drawn goes by the seed of the file.
        tools: offer tools.
    """
    table = config.judge
    spec = _machine(table.name)
    drawn = table.sampling.temperature if temperature is None else temperature
    sampling = Sampling(temperature=drawn, max_tokens=table.sampling.max_tokens, seed=seed)
    box = offered(given, config) if tools else []
    return Judge(spec, model=model, tools=box, budget=table.budget, sampling=sampling, seed=config.seed)


@lru_cache(maxsize=8)
def _machine(name: str) -> Any:
    """The judge of a name, always the same, so that its graph is compiled once."""
    return lookup("judge", name).target()


def _searching(corpus: Sequence[Path], config: TrainConfig) -> tuple[Tool[Any], ...]:
    if not corpus:
        return ()
    return (Retrieve(Corpus.load(list(corpus)), config.judge.index, k=config.judge.k),)


def _names(said: str) -> Names:
    if said.isdigit():
        return Names.syllables(int(said))
    if said == "nano":
        from agentjudge.training.nano import names

        return names()
    path = Path(said)
    if not path.is_file():
        raise ConfigError(f"names are '2' or '3' syllables, 'nano' or a file, not {said!r}")
    return Names.of(path.read_text(encoding="utf-8").split())
