"""HARMO, hybrid and multi-aspect rewards (arXiv 2510.05283): a rule where there is one, a model's opinion elsewhere.

    R = hybrid + length + format        equal weights; the paper's advantage is R less the mean of the group, undivided

`hybrid` is a rule for cases that can be checked, else an opinion; `aspects` are further opinions, such as of how well
the instruction was followed. `length` is a fine for what is longer than the right answers of the group, and is due only
where the group has a right one: a policy that knows no answer is not to be taught brevity.

The paper's formula for the length is in no source that we could read. Here, with m the mean length of the right
answers,

    length = -most x min(1, max(0, length - m) / (slack x m))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.base import RewardResult, of_parts
from agentjudge.rewards.composite import Routed
from agentjudge.rewards.reading import OfTerms, Row, Term, total
from agentjudge.rewards.terms import CORRECT, NEAT
from agentjudge.trace import Trace


def said_tokens(trace: Trace) -> int:
    """Tokens that the policy sampled, in all turns."""
    return sum(
        len(turn.output_ids) if turn.output_ids is not None else turn.usage.completion_tokens for turn in trace.turns
    )


def length_fines(lengths: Sequence[int], right: Sequence[bool], *, most: float, slack: float) -> list[float]:
    """What each answer of a group pays for its length, from -most to 0; nothing where none is right.

    Args:
        lengths: in tokens.
        right: which of the answers are.
        most: the largest fine.
        slack: by how much of their mean an answer may exceed the right ones before the fine is at its largest.
    """
    known = [length for length, good in zip(lengths, right, strict=True) if good]
    mean = fsum(known) / len(known) if known else 0.0
    if mean == 0:
        return [0.0] * len(lengths)
    return [-most * min(1.0, max(0.0, length - mean) / (slack * mean)) for length in lengths]


@dataclass(frozen=True, slots=True)
class Harmo(OfTerms):
    """The sum above, for a group."""

    hybrid: Term = CORRECT
    aspects: tuple[tuple[str, Term], ...] = ()
    neat: Term = NEAT
    most: float = 0.5
    slack: float = 1.0
    right: float = 0.5
    """The reading of `hybrid` from which on an answer is right."""

    def __post_init__(self) -> None:
        if self.most < 0 or self.slack <= 0:
            raise ConfigError("wanted most >= 0 and slack > 0")
        if len(set(self.keys)) != len(self.keys):
            raise ConfigError(f"parts need different names, not {', '.join(self.keys)}")

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Declared`."""
        return ("hybrid", *(name for name, _ in self.aspects), "length", "format")

    @property
    def low(self) -> float:
        """See `Declared`."""
        return fsum(term.low for term in self.terms.values()) - self.most

    @property
    def high(self) -> float:
        """See `Declared`."""
        return fsum(term.high for term in self.terms.values())

    @property
    def terms(self) -> Mapping[str, Term]:
        """See `OfTerms`."""
        return {"hybrid": self.hybrid, **dict(self.aspects), "format": self.neat}

    def pay(self, rows: Sequence[Row], traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `OfTerms`."""
        right = [total(row["hybrid"]) >= self.right for row in rows]
        fines = length_fines([said_tokens(t) for t in traces], right, most=self.most, slack=self.slack)
        return [
            of_parts({key: fine if key == "length" else total(row[key]) for key in self.keys})
            for row, fine in zip(rows, fines, strict=True)
        ]


@register("reward", "harmo", paper="2510.05283")
def harmo(
    opinion: Term | None = None,
    *,
    rule: Term = CORRECT,
    aspects: Mapping[str, Term] | None = None,
    most: float = 0.5,
    slack: float = 1.0,
) -> Harmo:
    """A rule where the case can be checked, else a model's opinion; further aspects, a fine for length, the format.

    Args:
        opinion: of cases without gold, such as a `Judged`; without one all cases need gold.
        rule: of cases with gold.
        aspects: further terms by name.
        most: the largest fine for length.
        slack: see `length_fines`.
    """
    hybrid = rule if opinion is None else Routed(rule, opinion)
    return Harmo(hybrid, tuple((aspects or {}).items()), most=most, slack=slack)
