"""How much of the gold evidence a judge has seen, and how much it cites: measures of ids against alternative groups.

    before, *after = potential(trace, case)            # one number before the first turn, then one after each
    gains = [b - a for a, b in zip([before, *after], after)]

The potential is the share of the best gold group among all that was shown so far. It only grows, so the gains of the
turns are never negative, and they sum to what was gained in all, however many calls there were: evidence that was seen
before is worth nothing a second time.
"""

from collections.abc import Sequence, Set
from itertools import accumulate

from agentjudge.case import Case
from agentjudge.trace import Trace


def groups_of(case: Case) -> list[frozenset[str]]:
    """The alternative groups of gold evidence that are not empty."""
    return [frozenset(group) for group in (case.gold.evidence if case.gold else ()) if group]


def coverage(ids: Set[str], groups: Sequence[Set[str]]) -> float:
    """The share of the gold group that the ids hold most of, 0 to 1; 0 without groups."""
    return max((len(ids & group) / len(group) for group in groups), default=0.0)


def precision(ids: Set[str], groups: Sequence[Set[str]]) -> float:
    """The share of the ids that are in some gold group, 0 to 1; 0 without ids. Citing two whole groups is no fault."""
    return len(ids & frozenset[str]().union(*groups)) / len(ids) if ids else 0.0


def potential(trace: Trace, case: Case) -> tuple[float, ...]:
    """Coverage by what was shown: in the opening, then after the calls of each turn; one number more than turns."""
    new: list[set[str]] = [{ref.id for ref in trace.opening if ref.id}, *(set[str]() for _ in trace.turns)]
    for event in trace.events:
        new[event.turn + 1] |= {ref.id for ref in event.refs if ref.id}
    groups = groups_of(case)
    return tuple(coverage(shown, groups) for shown in accumulate(new, lambda seen, more: seen | more))
