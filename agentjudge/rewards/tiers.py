"""Tiers: what is easy is asked first, and what is hard counts only where the easier part was reached.

    climb(((Rung("type", 0.3, 1.0),), (Rung("name", 0.2, 1.0),), (Rung("value", 10.0, 0.8),)))

A tier is one or more rungs, each of which pays a share of what it is worth at most. Nothing above the first tier of
which no rung was reached is paid, so a policy cannot earn the value of an action of the wrong type. Every rung is
bounded by what it pays; one that pays a thousand times the others drowns them in every group in which it occurs.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Rung(NamedTuple):
    """A part of a tier."""

    name: str
    pays: float
    """At most."""
    share: float
    """How much of it was reached, 0 to 1."""


def climb(tiers: Sequence[Sequence[Rung]]) -> dict[str, float]:
    """What each rung pays, by its name; rungs of one name add up.

    Args:
        tiers: from the easiest up; one without rungs asks for nothing and is passed.
    """
    paid = {rung.name: 0.0 for tier in tiers for rung in tier}
    for tier in tiers:
        for rung in tier:
            paid[rung.name] += rung.pays * rung.share
        if tier and not any(rung.share > 0 for rung in tier):
            break
    return paid


def rouge_l(said: str, wanted: str) -> float:
    """F1 of the longest common subsequence of words, regardless of case; 1 for two texts without words."""
    a, b = said.casefold().split(), wanted.casefold().split()
    if not a or not b:
        return float(a == b)
    row = [0] * (len(b) + 1)
    for word in a:
        before = row[:]
        for j, other in enumerate(b, 1):
            row[j] = before[j - 1] + 1 if word == other else max(before[j], row[j - 1])
    return 2.0 * row[-1] / (len(a) + len(b))
