"""Worlds of claims with known truth, made by chance and without end: clean data to train a verifier on.

    gym = ClaimGym(hops=(1, 2), documents=12)
    world = gym.world(17)
    judge = Judge.load("veri-r1", model=..., corpus=world.corpus)
    trace = await judge.arun(world.cases[0])           # gold: label, and alternative groups of sentences

The idea is RandomCalculation's (arXiv 2507.10532): what is drawn anew cannot have been memorised, so what is gained on
it was learned. Here facts are drawn, planted into documents and claimed, over one to three hops (`relations`, `cells`).

- **Truth is known**: SUPPORT, REFUTE and NOT ENOUGH INFO follow from what the documents tell, given that everything has
  one employer, one birthplace, one teacher, one seat, one region. Labels and hops are balanced in every run of as many
  claims as there are combinations of them.
- **No shortcut by words**: claim, documents as bags of words, hits and scores of a search by words do not depend on the
  label at all (`world(..., labels=...)` makes the same world with other truths); `shortcuts` measures what is left.
- **Test is apart from training**: no fact and no claim of a test world can occur in a training world (`names`).
- **The tools are the real ones**: `world.corpus` is a corpus like any other.

A world depends on its options, the split, the seed and its number, and on nothing else. Difficulty: `hops`,
`documents`, `rivals` (sentences that nearly say it), `others` (relations that nobody asks for), `again` (facts that
stand in two places), `wordings`, and the names: two or three syllables, or single tokens of a tokenizer. For reading
without a search there is `world.reading(case)`.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from agentjudge.case import CLAIM_LABELS, Claim, ClaimLabel, Document, Gold
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.tools.corpus import Corpus
from agentjudge.tools.index import Bm25Index
from agentjudge.training.gym.cells import Cell, Fact, Truth, cast, shaped
from agentjudge.training.gym.names import Drawing, Names, Split
from agentjudge.training.gym.relations import WORDINGS, chains, claim


@dataclass(frozen=True)
class World:
    """Documents, and claims that they settle or do not."""

    number: int
    documents: tuple[Document, ...]
    cases: tuple[Claim, ...]
    """With gold. `metadata` has `hops`, and `leaves`: the hop at which the truth leaves what is claimed, or -1."""
    truths: tuple[Truth, ...]
    """What is so, one a case."""
    facts: frozenset[Fact]
    """All that the documents tell."""
    _own: tuple[tuple[Document, ...], ...] = field(repr=False)

    @cached_property
    def corpus(self) -> Corpus:
        """The documents, to search in."""
        return Corpus(self.documents)

    @cached_property
    def index(self) -> Bm25Index:
        """The search by words in it, as the tool `retrieve` does it."""
        return Bm25Index(self.corpus)

    def truth(self, case_id: str) -> Truth:
        """What is so about a case.

        Raises:
            ConfigError: the case is of another world.
        """
        return self.truths[self._place(case_id)]

    def reading(self, case: Claim, *, beside: int = 0) -> Claim:
        """The same case with the documents that it turns on given, so that there is nothing to search for.

        Args:
            case: of this world.
            beside: so many others of this world are given as well, if it has them, in any order among those.

        Raises:
            ConfigError: the case is of another world.
        """
        own = self._own[self._place(case.id)]
        if not beside:
            return case.model_copy(update={"documents": own})
        chance = random.Random(f"beside/{case.id}")
        others = [document for document in self.documents if document not in own]
        given = [*own, *chance.sample(others, min(beside, len(others)))]
        chance.shuffle(given)
        return case.model_copy(update={"documents": tuple(given)})

    def _place(self, case_id: str) -> int:
        place = next((n for n, case in enumerate(self.cases) if case.id == case_id), None)
        if place is None:
            raise ConfigError(f"the case {case_id!r} is not of world {self.number}")
        return place


@register("training", "claim-gym", paper="2507.10532")
@dataclass(frozen=True, kw_only=True)
class ClaimGym:
    """Worlds of claims with known truth, without end."""

    names: Names = field(default_factory=Names.syllables)
    hops: tuple[int, ...] = (1,)
    """How far claims reach, 1 to 3; each equally often."""
    claims: int = 1
    """A world."""
    documents: int = 10
    """A world, at least; those of the claims are filled up with others of their kind."""
    rivals: int = 1
    """Sentences beside the one that counts, in each document and relation."""
    others: int = 0
    """Relations in each document that nobody asks for, as far as there are any."""
    again: float = 0.0
    """Share of the sentences that stand in a second document as well, and are evidence there too."""
    wordings: int = WORDINGS
    """Ways to say a thing: 1 (the subject first) or 2."""
    split: Split = "train"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.hops or not set(self.hops) <= {1, 2, 3}:
            raise ConfigError(f"claims reach over 1, 2 or 3 hops, not over {self.hops!r}")
        if self.rivals < 1:
            raise ConfigError("with no rival sentence a document tells by its words alone what is true; 1 is the least")
        if self.claims < 1 or self.documents < 1 or self.others < 0:
            raise ConfigError("a world has at least one claim and one document")
        if not 0 <= self.again <= 1 or self.wordings not in (1, WORDINGS):
            raise ConfigError("`again` lies from 0 to 1, and there are 1 or 2 wordings")

    def worlds(self, start: int = 0) -> Iterator[World]:
        """All worlds from this number on; they never end."""
        return map(self.world, count(start))

    def world(self, number: int, *, labels: Sequence[ClaimLabel] = ()) -> World:
        """The world with this number.

        Args:
            number: from 0.
            labels: other labels than it has, one a claim: the same world to the last word that can be counted.

        Raises:
            ConfigError: too few names for such a world, or not one label a claim.
        """
        if labels and len(labels) != self.claims:
            raise ConfigError(f"{len(labels)} labels for {self.claims} claims")
        shape, roles = self._rng(number, "shape"), self._rng(number, "roles")
        names = Drawing(self.names, shape, self.split)
        cells, cases, truths = list[Cell](), list[Claim](), list[Truth]()
        for place in range(self.claims):
            label, hops = self._wanted(number * self.claims + place)
            cell = self._cell(hops, names, shape)
            leaves = cast(cell, labels[place] if labels else label, roles)
            truth = cell.truth()
            cells.append(cell)
            truths.append(truth)
            cases.append(
                Claim(
                    id=f"{self.split}-{self.seed}-{number}-{place}",
                    claim=claim(cell.chain, truth.root, truth.claimed),
                    gold=Gold(label=truth.label, evidence=truth.evidence),
                    metadata={"hops": hops, "leaves": leaves},
                )
            )
        own = [cell.documents() for cell in cells]
        all = [told for each in own for told in each]
        while len(all) < self.documents:
            cell = self._cell(shape.choice(self.hops), names, shape)
            cast(cell, roles.choice(CLAIM_LABELS), roles)
            all += cell.documents()[: self.documents - len(all)]
        for told in (all, *own):
            shape.shuffle(told)
        return World(
            number,
            tuple(told.document for told in all),
            tuple(cases),
            tuple(truths),
            frozenset(fact for told in all for fact in told.facts),
            tuple(tuple(told.document for told in each) for each in own),
        )

    def _cell(self, hops: int, names: Drawing, rng: random.Random) -> Cell:
        chain = rng.choice(chains(hops))
        return shaped(
            chain, names, rng, sentences=self.rivals + 1, others=self.others, again=self.again, wordings=self.wordings
        )

    def _wanted(self, claim: int) -> tuple[ClaimLabel, int]:
        """Label and hops of the claim with this number among all of the gym."""
        block = [(label, hops) for label in CLAIM_LABELS for hops in self.hops]
        run, place = divmod(claim, len(block))
        self._rng(run, "block").shuffle(block)
        return block[place]

    def _rng(self, number: int, what: str) -> random.Random:
        return random.Random(f"{self.seed}/{self.split}/{what}/{number}")
