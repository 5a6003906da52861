"""Terms, which read a number off a judgement, and rewards that are made of such readings.

    class Cost(OfTerms): ...                                   # names its terms, and pays a group by their readings
    calls = Reads(lambda trace, case: float(len(trace.events)), high=20.0)

A term reads one number off a judgement, or one a turn, between bounds that it declares. It may have to ask a model:
then `read` is a coroutine, and the reward is to be had by `ascore` alone. What cannot be known is `Missing`, with a
reason, and masks the judgement: a term that an outage left out would else be a 0 that only some of a group are given.

A reward of terms reads them all, each once, and hands the rows without gaps to `pay`, which sees the group at once and
is a pure function. That a group with one None is paid as the group without it follows from that.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from math import fsum
from typing import Protocol, Self

from agentjudge.case import Case
from agentjudge.errors import AgentJudgeError, ConfigError
from agentjudge.rewards.base import RewardResult, masked, unknown
from agentjudge.trace import Trace

SLACK = 1e-9
"""By which a reading may miss its bounds, for rounding."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A reading that could not be had, and why."""

    why: str


Known = float | tuple[float, ...]
"""One number, or one a turn."""
Reading = Known | Missing
Row = Mapping[str, Known]
"""The readings of one judgement, by the names of the terms."""


class Term(Protocol):
    """Reads something off a judgement."""

    @property
    def low(self) -> float:
        """No reading, nor the sum of one a turn, is below it."""
        ...

    @property
    def high(self) -> float:
        """No reading, nor the sum of one a turn, is above it."""
        ...

    def read(self, trace: Trace, case: Case) -> Reading | Awaitable[Reading]:
        """The reading, or what has to be awaited for it.

        Raises:
            DataError: the case lacks what the term is about; that is the user's to mend, and masks nothing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reads:
    """A term by a function; one that is to be pickled is a function of a module."""

    function: Callable[[Trace, Case], Reading]
    low: float = 0.0
    high: float = 1.0

    def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        return self.function(trace, case)


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same number for every judgement, for a part that only its gates decide."""

    value: float = 1.0

    @property
    def low(self) -> float:
        """See `Term`."""
        return self.value

    @property
    def high(self) -> float:
        """See `Term`."""
        return self.value

    def read(self, trace: Trace, case: Case) -> float:
        """See `Term`."""
        return self.value


def total(reading: Known) -> float:
    """The reading as one number: the sum where there is one a turn."""
    return fsum(reading) if isinstance(reading, tuple) else reading


class OfTerms(ABC):
    """A reward that pays by the readings of its terms; both doors, `score` and `ascore`, lead to one `pay`."""

    __slots__ = ()

    @property
    @abstractmethod
    def terms(self) -> Mapping[str, Term]:
        """What is read; a term that stands under two names is read once."""

    @abstractmethod
    def pay(self, rows: Sequence[Row], traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """The rewards of judgements of which everything is known, in their order.

        Args:
            rows: what was read off each.
            traces: the judgements, as many.
            case: with its gold.
        """

    def at(self, step: int) -> Self:
        """See `Declared`."""
        return self

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`."""
        return self.score_group([trace], case)[0]

    def score_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `Reward`."""
        terms = self.terms
        rows = [None if masked(trace) else _reads_now(terms, trace, case) for trace in traces]
        return self._settled(rows, traces, case)

    async def ascore(self, trace: Trace, case: Case) -> RewardResult:
        """See `AsyncReward`."""
        return (await self.ascore_group([trace], case))[0]

    async def ascore_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `AsyncReward`; everything is asked at once, the models' clients see to their own limits."""
        terms = self.terms
        rows = await asyncio.gather(*(_nothing() if masked(trace) else _reads(terms, trace, case) for trace in traces))
        return self._settled(rows, traces, case)

    def _settled(
        self, rows: Sequence[dict[str, Reading] | None], traces: Sequence[Trace], case: Case
    ) -> list[RewardResult]:
        results: list[RewardResult | None] = []
        whole: list[dict[str, Known]] = []
        live: list[Trace] = []
        for row, trace in zip(rows, traces, strict=True):
            if row is None:
                results.append(masked(trace))
                continue
            known = {name: reading for name, reading in row.items() if not isinstance(reading, Missing)}
            gap = next((f"{name}: {gap.why}" for name, gap in row.items() if isinstance(gap, Missing)), None)
            results.append(None if gap is None else unknown(gap))
            if gap is None:
                whole.append(known)
                live.append(trace)
        paid = iter(self.pay(whole, live, case) if live else ())
        return [next(paid) if result is None else result for result in results]


def _reads_now(terms: Mapping[str, Term], trace: Trace, case: Case) -> dict[str, Reading]:
    done: dict[int, Reading] = {}
    for name, term in terms.items():
        if id(term) in done:
            continue
        found = term.read(trace, case)
        if isawaitable(found):
            if isinstance(found, Coroutine):
                found.close()
            raise ConfigError(
                f"the term {name!r} asks a model, so the reward is to be had by `ascore` or `ascore_group`"
            )
        done[id(term)] = _checked(name, term, found, trace)
    return {name: done[id(term)] for name, term in terms.items()}


async def _reads(terms: Mapping[str, Term], trace: Trace, case: Case) -> dict[str, Reading]:
    distinct = {id(term): (name, term) for name, term in terms.items()}
    read = await asyncio.gather(*(areading(term, trace, case, name=name) for name, term in distinct.values()))
    done = dict(zip(distinct, read, strict=True))
    return {name: done[id(term)] for name, term in terms.items()}


def reading_now(term: Term, trace: Trace, case: Case, *, name: str = "term") -> Reading:
    """What a term reads that asks nobody.

    Raises:
        ConfigError: it asks a model, or its reading is outside of its bounds.
        DataError: the case lacks what the term is about.
    """
    found = term.read(trace, case)
    if isawaitable(found):
        if isinstance(found, Coroutine):
            found.close()
        raise ConfigError(f"the term {name!r} asks a model; such a reward is to be had by `ascore`, `ascore_group`")
    return _checked(name, term, found, trace)


async def areading(term: Term, trace: Trace, case: Case, *, name: str = "term") -> Reading:
    """What a term reads, whether or not it asks a model; an outage is `Missing`.

    Raises:
        DataError: the case lacks what the term is about.
        ConfigError: the reading is outside of the term's bounds, or the term cannot work at all.
    """
    try:
        found = term.read(trace, case)
        reading = await found if isawaitable(found) else found
    except AgentJudgeError as exc:
        if exc.kind in ("data", "config"):
            raise
        return Missing(f"{exc.kind}: {exc.message}")
    return _checked(name, term, reading, trace)


def _checked(name: str, term: Term, reading: Reading, trace: Trace) -> Reading:
    if isinstance(reading, Missing):
        return reading
    if isinstance(reading, tuple) and len(reading) != len(trace.turns):
        raise ConfigError(f"the term {name!r} read {len(reading)} numbers off {len(trace.turns)} turns")
    if not term.low - SLACK <= total(reading) <= term.high + SLACK:
        raise ConfigError(f"the term {name!r} read {total(reading)!r}, not from {term.low!r} to {term.high!r}")
    return reading


async def _nothing() -> None:
    return None
