"""What is said in a generated world: relations of which everything has exactly one, their sentences, and claims.

    sentence(WORKS, "Bako", "Dora", "Kilu", wording=0)      # Bako, a friend of Dora, works for Kilu.
    claim((WORKS, SEAT), "Bako", "Rima")                     # The employer of Bako has its seat in Rima.

A sentence names three: of whom it says something, somebody beside, and what it says. It has the same words if the first
two change places, and says something else: no bag of words tells which of them it is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

Kind = Literal["person", "company", "town", "region"]
WORDINGS = 2


@dataclass(frozen=True, slots=True)
class Relation:
    """Something that everything of a kind has exactly one of."""

    name: str
    subject: Kind
    object: Kind
    verb: str
    noun: str
    """For what a thing has: `the employer of`."""
    tie: str
    """What connects the subject with the one beside it."""
    pronoun: str


WORKS = Relation("works", "person", "company", "works for", "employer", "friend", "who")
BORN = Relation("born", "person", "town", "was born in", "birthplace", "friend", "who")
TAUGHT = Relation("taught", "person", "person", "was taught by", "teacher", "friend", "who")
SEAT = Relation("seat", "company", "town", "has its seat in", "seat", "rival", "which")
LIES = Relation("lies", "town", "region", "lies in", "region", "twin", "which")
RELATIONS = (WORKS, BORN, TAUGHT, SEAT, LIES)
Chain = tuple[Relation, ...]


def chains(hops: int) -> list[Chain]:
    """All ways to go so many hops; nobody's teacher is asked for twice in a row."""
    return [
        chain
        for chain in product(RELATIONS, repeat=hops)
        if all(a.object == b.subject and (a, b) != (TAUGHT, TAUGHT) for a, b in zip(chain, chain[1:], strict=False))
    ]


def sentence(relation: Relation, subject: str, beside: str, object: str, *, wording: int) -> str:
    """Says of the subject what it has; `wording` is 0 (the subject first) or 1 (the one beside it first)."""
    if wording == 0:
        return f"{subject}, a {relation.tie} of {beside}, {relation.verb} {object}."
    return f"{beside} has a {relation.tie}, {subject}, {relation.pronoun} {relation.verb} {object}."


def claim(chain: Chain, root: str, object: str) -> str:
    """Says of what is at the end of a chain what it has."""
    said = f"{described(chain[:-1], root)} {chain[-1].verb} {object}."
    return said[0].upper() + said[1:]


def described(chain: Sequence[Relation], root: str) -> str:
    """What is at the end of a chain: `the seat of the employer of Bako`."""
    return "".join(f"the {relation.noun} of " for relation in reversed(chain)) + root


def vocabulary() -> set[str]:
    """The words of all sentences and claims, names apart; lower case."""
    texts = [sentence(r, "", "", "", wording=w) for r in RELATIONS for w in range(WORDINGS)]
    texts += [claim(chain, "", "") for hops in (1, 2, 3) for chain in chains(hops)]
    return {word.strip(",.").lower() for text in texts for word in text.split()} - {""}
