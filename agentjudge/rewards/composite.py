"""Composites: named parts, each a term with a weight, gates and a schedule.

    Composite((
        Part("answer", CORRECT),
        Part("grounded", Fixed(1.0), weight=0.3, when=(Gate(CORRECT), Gate(CITES_GOLD))),
        Part("process", Shaped(SOUND_TURNS, CLIP_DELTA), weight=0.2, schedule=Decay(500)),
    ))

A part contributes weight x schedule x reading where its gates are open, else 0. What a term reads off each turn goes
into `turn_rewards` too, with the same factor. The bounds of the whole follow from those of its terms.

`Routed` reads one of two terms, by the case: a rule where there is something to check, a model's opinion elsewhere.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Self

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.rewards.base import RewardResult, of_parts
from agentjudge.rewards.reading import Known, OfTerms, Reading, Row, Term, total
from agentjudge.rewards.schedules import Schedule
from agentjudge.trace import Trace


@dataclass(frozen=True, slots=True)
class Gate:
    """Open where a term reads enough."""

    term: Term
    at_least: float = 0.5

    def opens(self, reading: Known) -> bool:
        """Whether this reading is enough."""
        return total(reading) >= self.at_least


@dataclass(frozen=True, slots=True)
class Part:
    """What a composite pays under one name."""

    name: str
    term: Term
    weight: float = 1.0
    when: tuple[Gate, ...] = ()
    """All of them have to be open; closed, the part is 0, not missing."""
    schedule: Schedule | None = None
    """All of the part at every step when None."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most that the part contributes, at any step."""
        ends = [self.weight * self.term.low, self.weight * self.term.high]
        if self.when or self.schedule is not None:
            ends.append(0.0)
        return min(ends), max(ends)


@dataclass(frozen=True, slots=True)
class Composite(OfTerms):
    """The sum of its parts."""

    parts: tuple[Part, ...]
    step: int = 0

    def __post_init__(self) -> None:
        names = self.keys
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"a composite needs parts of different names, not {', '.join(names) or 'none'}")

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Declared`."""
        return tuple(part.name for part in self.parts)

    @property
    def low(self) -> float:
        """See `Declared`."""
        return fsum(part.bounds[0] for part in self.parts)

    @property
    def high(self) -> float:
        """See `Declared`."""
        return fsum(part.bounds[1] for part in self.parts)

    @property
    def terms(self) -> Mapping[str, Term]:
        """The terms of the parts by their names, and those of their gates."""
        gates = {_gate(part, n): gate.term for part in self.parts for n, gate in enumerate(part.when)}
        return {part.name: part.term for part in self.parts} | gates

    def at(self, step: int) -> Self:
        """See `Declared`."""
        return replace(self, step=step)

    def pay(self, rows: Sequence[Row], traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `OfTerms`."""
        return [self._paid(row) for row in rows]

    def _paid(self, row: Row) -> RewardResult:
        shares = {part.name: _share(part, row, self.step) for part in self.parts}
        turns = [
            [shares[part.name] * each for each in reading]
            for part in self.parts
            if isinstance(reading := row[part.name], tuple)
        ]
        return of_parts(
            {name: share * total(row[name]) for name, share in shares.items()},
            turn_rewards=tuple(fsum(column) for column in zip(*turns, strict=True)),
        )


def _gate(part: Part, number: int) -> str:
    return f"gate {number + 1} of {part.name}"


def _share(part: Part, row: Row, step: int) -> float:
    """The factor of a part's reading."""
    if not all(gate.opens(row[_gate(part, n)]) for n, gate in enumerate(part.when)):
        return 0.0
    return part.weight if part.schedule is None else part.weight * part.schedule(step)


def checkable(case: Case) -> bool:
    """Whether gold names an outcome, so that a rule can say what is right."""
    gold = case.gold
    return gold is not None and any(
        outcome is not None for outcome in (gold.label, gold.score, gold.preference, gold.ranking)
    )


@dataclass(frozen=True, slots=True)
class Routed:
    """A rule where the case can be checked, a model's opinion where it cannot; only one of the two is asked."""

    rule: Term
    opinion: Term
    by_rule: Callable[[Case], bool] = checkable

    @property
    def low(self) -> float:
        """See `Term`."""
        return min(self.rule.low, self.opinion.low)

    @property
    def high(self) -> float:
        """See `Term`."""
        return max(self.rule.high, self.opinion.high)

    def read(self, trace: Trace, case: Case) -> Reading | Awaitable[Reading]:
        """See `Term`."""
        return (self.rule if self.by_rule(case) else self.opinion).read(trace, case)
