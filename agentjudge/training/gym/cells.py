"""One claim and the documents that it turns on: a tree of things, in which one way is told and others nearly are.

The root of the claim has a document of its own, with one sentence for each of several objects. In each sentence the
root stands beside somebody else, and one of the two is the subject. Of every object there is a document of the same
make, as far as the claim has hops. The claim names one of the leaves.

    Bako: "Bako, a friend of Dora, works for Kilu."  "Rima, a friend of Bako, works for Sota."
    Kilu: "Zuma, a rival of Kilu, has its seat in Pilo."  "Kilu, a rival of Tabi, has its seat in Vadu."
    claim: The employer of Bako has its seat in Vadu.

**Shape** is all that can be counted: names, words, the order of sentences, which leaf is claimed. **Roles** say in each
sentence which of the two it is about, hence what is true. The label decides roles alone, so that claims with one shape
and different labels have the same words, the same documents as bags of words, and the same hits of a search by words.
Whoever tells labels apart has read who does what.

| label | on the way to the claimed leaf | |
|---|---|---|
| SUPPORT | every document tells the next step | |
| REFUTE | one document tells another step instead | from there a complete way leads to another leaf |
| NOT ENOUGH INFO | one document tells no step of its owner | |

Which document it is, is drawn evenly over the hops; whoever leaves one out, is wrong where it was that one.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from agentjudge.case import NOT_ENOUGH_INFO, REFUTE, SUPPORT, ClaimLabel, Document
from agentjudge.training.gym.names import Drawing
from agentjudge.training.gym.relations import RELATIONS, WORDINGS, Chain, Relation, sentence

Fact = tuple[str, str, str]
"""Relation, subject, object."""


@dataclass(slots=True)
class Facet:
    """What a document says in one relation: a sentence an object, all but one at most about somebody else."""

    relation: Relation
    beside: tuple[str, ...]
    objects: tuple[str, ...]
    wordings: tuple[int, ...]
    again: tuple[bool, ...]
    """Which sentences stand a second time, in a document of the one beside."""
    told: int | None = None
    """The sentence that is about the owner."""


@dataclass(slots=True)
class Node:
    """A thing with a document of its own."""

    owner: str
    facets: list[Facet]
    """The one that the claim asks for, then others."""
    order: tuple[int, ...]
    """Of the sentences of all facets."""
    children: list["Node"] = field(default_factory=list)
    """One for each object of the first facet, or none."""

    def sentences(self) -> list[str]:
        """The document, sentence by sentence."""
        said = [self.said(facet, number, facet.wordings[number]) for facet in self.facets for number in _numbers(facet)]
        return [said[place] for place in self.order]

    def said(self, facet: Facet, number: int, wording: int) -> str:
        """One of its sentences."""
        pair = (self.owner, facet.beside[number])
        subject, beside = pair if facet.told == number else pair[::-1]
        return sentence(facet.relation, subject, beside, facet.objects[number], wording=wording)

    def fact(self, facet: Facet, number: int) -> Fact:
        """What one of its sentences tells."""
        subject = self.owner if facet.told == number else facet.beside[number]
        return facet.relation.name, subject, facet.objects[number]

    def nodes(self) -> list["Node"]:
        """Itself and all below."""
        return [self, *(node for child in self.children for node in child.nodes())]


@dataclass(frozen=True, slots=True)
class Link:
    """A step that some document tells."""

    relation: Relation
    owner: str
    object: str
    ids: tuple[str, ...]
    """The sentences that tell it, each by itself."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is so, whatever is claimed."""

    chain: Chain
    root: str
    claimed: str
    label: ClaimLabel
    links: tuple[Link, ...]
    """The way from the root, as far as it is told."""
    missing: str = ""
    """Of whom no document tells the next step; empty where the way is complete."""

    @property
    def evidence(self) -> tuple[tuple[str, ...], ...]:
        """Alternative groups of sentences that settle the claim; none where it is not settled."""
        return () if self.missing else tuple(product(*(link.ids for link in self.links)))


class Told(NamedTuple):
    """A document, and what it tells."""

    document: Document
    facts: frozenset[Fact]


@dataclass(slots=True)
class Cell:
    """A claim's tree of documents."""

    chain: Chain
    root: Node
    path: tuple[int, ...]
    """The way to the claimed leaf."""

    @property
    def claimed(self) -> str:
        """The leaf that is claimed."""
        node = self.root
        for step in self.path[:-1]:
            node = node.children[step]
        return node.facets[0].objects[self.path[-1]]

    def documents(self) -> list[Told]:
        """A document a thing, and those in which sentences stand again."""
        found = []
        for node in self.root.nodes():
            document = Document.of_sentences(node.owner, node.sentences(), title=node.owner)
            found.append(
                Told(document, frozenset(node.fact(facet, n) for facet in node.facets for n in _numbers(facet)))
            )
            for facet in node.facets:
                for number in _numbers(facet):
                    if facet.again[number]:
                        other = node.said(facet, number, (facet.wordings[number] + 1) % WORDINGS)
                        name = facet.beside[number]
                        document = Document.of_sentences(name, [other], title=name)
                        found.append(Told(document, frozenset({node.fact(facet, number)})))
        return found

    def truth(self) -> Truth:
        """Where the way from the root leads, and what that makes of the claim."""
        node: Node | None = self.root
        links: list[Link] = []
        while node is not None and (told := node.facets[0].told) is not None:
            facet = node.facets[0]
            ids = [f"{node.owner}:{node.order.index(told)}"]
            ids += [f"{facet.beside[told]}:0"] if facet.again[told] else []
            links.append(Link(facet.relation, node.owner, facet.objects[told], tuple(ids)))
            node = node.children[told] if node.children else None
        missing = "" if node is None else node.owner
        settled: ClaimLabel = SUPPORT if links and links[-1].object == self.claimed else REFUTE
        label: ClaimLabel = NOT_ENOUGH_INFO if missing else settled
        return Truth(self.chain, self.root.owner, self.claimed, label, tuple(links), missing)


def shaped(
    chain: Chain,
    names: Drawing,
    rng: random.Random,
    *,
    sentences: int,
    others: int = 0,
    again: float = 0.0,
    wordings: int = WORDINGS,
) -> Cell:
    """A cell whose roles are not settled yet.

    Args:
        chain: what the claim asks for.
        names: of this world.
        rng: of the shape.
        sentences: a relation in each document, at least 2.
        others: further relations of which each document speaks, as far as there are any.
        again: share of the sentences that stand a second time in another document.
        wordings: how many ways to say a thing are used.
    """
    kinds = [names.apart()]
    for hop in range(len(chain)):
        kinds.append(names.apart(*{kinds[-1], kinds[0]} if hop else {kinds[-1]}))

    def facet(relation: Relation, kind: int) -> Facet:
        beside = tuple(names.name(names.apart(kind)) for _ in range(sentences))
        objects = tuple(names.name(kind) for _ in range(sentences))
        said = tuple(rng.randrange(wordings) for _ in range(sentences))
        return Facet(relation, beside, objects, said, tuple(rng.random() < again for _ in range(sentences)))

    def grown(owner: str, hop: int) -> Node:
        beside = [r for r in RELATIONS if r.subject == chain[hop].subject and r != chain[hop]]
        facets = [facet(chain[hop], kinds[hop + 1])]
        facets += [facet(r, names.apart(kinds[hop])) for r in rng.sample(beside, min(others, len(beside)))]
        order = list(range(sentences * len(facets)))
        rng.shuffle(order)
        return Node(owner, facets, tuple(order))

    def below(node: Node, hop: int) -> Node:
        if hop + 1 < len(chain):
            node.children = [below(grown(name, hop + 1), hop + 1) for name in node.facets[0].objects]
        return node

    root = below(grown(names.name(kinds[0]), 0), 0)
    return Cell(chain, root, tuple(rng.randrange(sentences) for _ in chain))


def cast(cell: Cell, label: ClaimLabel, rng: random.Random) -> int:
    """Settle the roles so that the claim has this label.

    Returns:
        The hop, from 0, at which the way leaves that to the claimed leaf; -1 where it does not.
    """
    for node in cell.root.nodes():
        for facet in node.facets:
            facet.told = rng.choice([None, *_numbers(facet)])
    along = _along(cell.root, cell.path)
    for node, step in zip(along, cell.path, strict=True):
        node.facets[0].told = step
    if label == SUPPORT:
        return -1
    hop = rng.randrange(len(along))
    turn = along[hop].facets[0]
    if label == NOT_ENOUGH_INFO:
        turn.told = None
        return hop
    turn.told = rng.choice([number for number in _numbers(turn) if number != cell.path[hop]])
    node = along[hop]
    while node.children:
        node = node.children[node.facets[0].told or 0]
        node.facets[0].told = rng.choice(_numbers(node.facets[0]))
    return hop


def _along(root: Node, path: Sequence[int]) -> list[Node]:
    nodes = [root]
    for step in path[:-1]:
        nodes.append(nodes[-1].children[step])
    return nodes


def _numbers(facet: Facet) -> range:
    return range(len(facet.objects))
