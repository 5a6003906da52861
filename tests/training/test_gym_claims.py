"""Generated claims: the truth is as said, nothing but reading tells it, and tests are apart from training."""

import math
import random
from collections import Counter
from itertools import islice, product

import numpy as np
import pytest

from agentjudge.case import CLAIM_LABELS, Claim, complete_group
from agentjudge.errors import ConfigError
from agentjudge.registry import lookup
from agentjudge.tools.corpus import Corpus
from agentjudge.training.gym import ClaimGym, Names, World
from agentjudge.training.gym.cells import Fact
from agentjudge.training.gym.names import CLASSES
from agentjudge.training.gym.relations import RELATIONS, WORKS, chains, claim, sentence, vocabulary
from agentjudge.training.gym.shortcuts import _predicted, measure, words

RICH = ClaimGym(hops=(1, 2, 3), claims=2, documents=22, rivals=1, others=1, again=0.4)
FEW = Names.of(f"Name{n}" for n in range(120))
"""So few that the same facts would come up again and again if nothing kept them apart."""


def some(gym: ClaimGym, count: int = 30) -> list[World]:
    return list(islice(gym.worlds(), count))


def read(text: str) -> Fact | None:
    """The fact that a sentence tells, by a parser of its own."""
    for relation in RELATIONS:
        body, found, object = text.rstrip(".").partition(f" {relation.verb} ")
        if not found:
            continue
        if f", a {relation.tie} of " in body:
            return relation.name, body.split(",")[0], object
        return relation.name, body.split(", ")[1], object
    return None


def told(documents: Corpus) -> dict[str, Fact]:
    """All that the sentences of a corpus tell, by their ids."""
    found = {}
    for document in documents.documents:
        for piece in document.sentences():
            fact = read(document.text[piece.start : piece.end])
            assert fact is not None, document.text
            found[piece.id] = fact
    return found


# truth


def test_a_sentence_says_who_does_what() -> None:
    assert sentence(WORKS, "A", "B", "C", wording=0) == "A, a friend of B, works for C."
    assert sentence(WORKS, "A", "B", "C", wording=1) == "B has a friend, A, who works for C."
    assert read("A, a friend of B, works for C.") == read("B has a friend, A, who works for C.") == ("works", "A", "C")
    for relation, wording in product(RELATIONS, (0, 1)):
        one, other = (sentence(relation, *pair, "C", wording=wording) for pair in (("A", "B"), ("B", "A")))
        assert one != other and Counter(words(one)) == Counter(words(other))


def test_claims_say_chains() -> None:
    assert [len(chains(hops)) for hops in (1, 2, 3)] == [5, 5, 3]
    said = {claim(chain, "A", "B") for hops in (1, 2, 3) for chain in chains(hops)}
    assert "The seat of the employer of A lies in B." in said and "A works for B." in said and len(said) == 13


@pytest.mark.parametrize("gym", [RICH, ClaimGym(hops=(3,), rivals=2, documents=30, split="test")])
def test_gold_is_what_follows_from_the_documents(gym: ClaimGym) -> None:
    """By following the sentences of the corpus themselves, whatever the generator thinks it has said."""
    for world in some(gym, 24):
        facts = told(world.corpus)
        has = {(relation, subject): object for relation, subject, object in facts.values()}
        assert set(facts.values()) == world.facts
        assert len(has) == len(world.facts), "something has two of what everything has one of"
        for case, truth in zip(world.cases, world.truths, strict=True):
            at: str | None = truth.root
            for relation in truth.chain:
                at = has.get((relation.name, at)) if at else None
            label = "NOT ENOUGH INFO" if at is None else "SUPPORT" if at == truth.claimed else "REFUTE"
            assert case.gold is not None and case.gold.label == label == truth.label
            assert case.claim == claim(truth.chain, truth.root, truth.claimed)


def test_each_evidence_group_tells_the_whole_way_and_no_more() -> None:
    several = 0
    for world in some(RICH):
        facts = told(world.corpus)
        for case, truth in zip(world.cases, world.truths, strict=True):
            groups = case.gold.evidence if case.gold else ()
            assert bool(groups) == (truth.label != "NOT ENOUGH INFO")
            several += len(groups) > 1
            for group in groups:
                way = [facts[id] for id in group]
                assert [relation for relation, _, _ in way] == [relation.name for relation in truth.chain]
                assert [subject for _, subject, _ in way[1:]] == [object for _, _, object in way[:-1]]
                assert (way[0][1] == truth.root) and (way[-1][2] == truth.claimed) == (truth.label == "SUPPORT")
    assert several > 5


def test_without_its_evidence_a_claim_is_not_settled() -> None:
    """No other sentences tell it: the groups are all there are."""
    for world in some(RICH):
        for case, truth in zip(world.cases, world.truths, strict=True):
            known = {id for group in (case.gold.evidence if case.gold else ()) for id in group}
            wanted = {(link.relation.name, link.owner) for link in truth.links}
            telling = {id for id, (relation, subject, _) in told(world.corpus).items() if (relation, subject) in wanted}
            assert telling == known or truth.missing


def test_labels_and_hops_are_balanced() -> None:
    gym = ClaimGym(hops=(1, 2), claims=2, documents=4)
    found = Counter((c.gold.label, c.metadata["hops"]) for world in some(gym, 30) for c in world.cases if c.gold)
    assert found == Counter({pair: 10 for pair in product(CLAIM_LABELS, (1, 2))})


def test_where_the_truth_leaves_the_claim_is_drawn_evenly() -> None:
    found = Counter(
        c.metadata["leaves"]
        for world in some(ClaimGym(hops=(3,), documents=1), 150)
        for c in world.cases
        if c.gold and c.gold.label != "SUPPORT"
    )
    assert set(found) == {0, 1, 2} and min(found.values()) > 20


# shortcuts


@pytest.mark.parametrize("number", range(6))
def test_nothing_that_can_be_counted_depends_on_the_label(number: int) -> None:
    """The same world with all labels: claims, bags of words, hits and scores of searches are the same."""
    bare = ClaimGym(hops=(1, 2, 3), documents=16, again=0.4, others=1)
    worlds = [bare.world(number, labels=[label]) for label in CLAIM_LABELS]
    assert [world.cases[0].gold.label for world in worlds if world.cases[0].gold] == list(CLAIM_LABELS)
    assert len({world.cases[0].claim for world in worlds}) == 1
    bags = [[(d.id, d.title, sorted(words(d.text))) for d in world.documents] for world in worlds]
    assert bags[0] == bags[1] == bags[2]
    said = worlds[0].cases[0].claim
    queries = [said, *said.rstrip(".").split(), *(document.title for document in worlds[0].documents)]
    hits = [world.index.search(queries, 8) for world in worlds]
    assert hits[0] == hits[1] == hits[2]
    texts = {tuple(document.text for document in world.documents) for world in worlds}
    assert len(texts) == 3


def test_each_word_of_every_claim_stands_in_one_sentence_or_document_beside_it_whatever_the_label() -> None:
    """Names are never absent; the claimed thing always stands where the way could lead."""
    for world in some(RICH):
        for case, truth in zip(world.cases, world.truths, strict=True):
            given = world.reading(case).documents
            last = [d for d in given if truth.claimed in words_of(d) and len(d.spans) > 1]
            assert last and any(truth.root == d.title for d in given)


def words_of(document: object) -> list[str]:
    return document.text.replace(".", "").replace(",", "").split()  # type: ignore[attr-defined]


def test_documents_that_do_not_matter_are_among_those_that_do() -> None:
    gym = ClaimGym(hops=(2,), documents=9)
    places = set()
    for number in range(40):
        world = gym.world(number)
        case = world.cases[0]
        own, given = world.reading(case).documents, world.reading(case, beside=3).documents
        assert set(own) < set(given) and len(given) == len(own) + 3 == len(set(given))
        assert set(given) <= set(world.documents) and given == gym.world(number).reading(case, beside=3).documents
        places.add(given.index(own[0]))
        assert len(world.reading(case, beside=99).documents) == len(world.documents)
    assert len(places) > 3, "wherever"


def test_baselines_without_reading_are_at_chance() -> None:
    """Bounds of 3.3 standard deviations; reading one sentence is no chance, so the regression can learn."""
    test = 200
    found = measure(ClaimGym(hops=(1,), documents=5, again=0.3), train=300, test=test)
    bound = 3.3 * math.sqrt(2 / 9 / test)
    off = {name: share.mean for name, share in found.items() if abs(share.mean - 1 / 3) > bound}
    assert set(off) == {"one hop"} and found["one hop"].mean > 0.6


def test_the_baselines_learn_what_words_do_tell() -> None:
    """With a word that goes with the label in 4 of 5 rows, among others that do not."""
    rng = random.Random(0)
    labels = [rng.randrange(3) for _ in range(400)]
    told = [label if rng.random() < 0.8 else rng.randrange(3) for label in labels]
    rows = [{f"told {t}": 1.0, f"word {rng.randrange(200)}": 1.0} for t in told]
    predicted = _predicted(rows, np.array(labels[:250]))
    assert (predicted == np.array(labels[250:])).mean() > 0.75


# splits


def potential(world: World) -> set[Fact]:
    """All facts that the sentences would tell with either role."""
    found = set()
    for text in (document.text for document in world.documents):
        for said in text.split(". "):
            fact = read(said.rstrip(".") + ".")
            assert fact is not None
            relation, _, object = fact
            named = [word.strip(",.") for word in said.split() if word[0].isupper() and word.strip(",.") != object]
            found |= {(relation, name, object) for name in named}
    return found


def test_no_fact_or_claim_of_a_test_world_can_be_in_a_training_world() -> None:
    train, test = (
        some(ClaimGym(names=FEW, hops=(1, 2), documents=8, split=split, again=0.3), 80)  # type: ignore[arg-type]
        for split in ("train", "test")
    )
    facts, others = (set().union(*map(potential, worlds)) for worlds in (train, test))
    assert facts and others and not facts & others
    claims, asked = ({c.claim for world in worlds for c in world.cases} for worlds in (train, test))
    assert not claims & asked
    names, used = ({w for _, *pair in found for w in pair} for found in (facts, others))
    assert len(names & used) > 100  # the same names all the same


def test_facts_join_names_of_one_class_in_test_and_of_different_ones_in_training() -> None:
    kind = {name: place % CLASSES for place, name in enumerate(FEW.words)}
    for split in ("train", "test"):
        for world in some(ClaimGym(names=FEW, hops=(2, 3), documents=1, split=split)):  # type: ignore[arg-type]
            pairs = {(subject, object) for _, subject, object in potential(world)}
            pairs |= {(truth.root, truth.claimed) for truth in world.truths}
            assert {kind[a] == kind[b] for a, b in pairs} == {split == "test"}


# worlds


def test_worlds_are_the_same_for_one_seed_and_different_for_another() -> None:
    assert RICH.world(5) == RICH.world(5)
    others = [
        ClaimGym(hops=(2,), seed=1).world(0),
        ClaimGym(hops=(2,), seed=2).world(0),
        ClaimGym(hops=(2,), seed=1).world(1),
    ]
    assert len({world.cases[0].claim for world in others}) == 3


def test_a_world_has_as_many_documents_as_asked_for_and_ids_of_its_own() -> None:
    for world in some(RICH):
        assert len(world.documents) >= 22 and len({d.id for d in world.documents}) == len(world.documents)
        assert len({case.id for case in world.cases}) == 2
    assert all(len(world.documents) == 7 for world in some(ClaimGym(documents=7), 5))


def test_reading_gives_the_documents_that_decide() -> None:
    world = RICH.world(3)
    for case in world.cases:
        given = world.reading(case)
        ids = {piece.id for document in given.documents for piece in document.sentences()}  # type: ignore[union-attr]
        assert isinstance(given, Claim) and given.gold == case.gold
        assert case.gold is not None and (not case.gold.evidence or complete_group(ids, case.gold))
        assert {d.id for d in given.documents} < {d.id for d in world.documents}  # type: ignore[union-attr]


def test_names_of_syllables_are_told_apart_by_the_search() -> None:
    import Stemmer
    from bm25s.stopwords import STOPWORDS_EN

    names = list(Names.syllables().words)
    stems = Stemmer.Stemmer("english").stemWords([name.lower() for name in names])
    assert len(set(stems)) == len(set(names)) == len(names) == 3136
    assert not {name.lower() for name in names} & (set(STOPWORDS_EN) | vocabulary())
    assert sum(Names.syllables(3).of_class(kind) for kind in range(CLASSES)) == 175_616


def test_given_names_may_come_in_any_order() -> None:
    words = [f"N{n}" for n in range(90)]
    one, other = (ClaimGym(names=Names.of(given)).world(0) for given in (words, reversed(words)))
    assert one == other


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ClaimGym(hops=(4,)), "1, 2 or 3"),
        (lambda: ClaimGym(rivals=0), "no rival"),
        (lambda: ClaimGym(claims=0), "at least one claim"),
        (lambda: ClaimGym(again=2), "from 0 to 1"),
        (lambda: ClaimGym(split="dev").world(0), "'train' or 'test'"),
        (lambda: Names.of(["New York"]), "single words"),
        (lambda: Names.of(["Rome", "rome"]), "upper and lower case"),
        (lambda: Names.of(["Friend", "Rome"]), "word of the sentences"),
        (lambda: Names.syllables(1), "2 or 3 syllables"),
        (lambda: ClaimGym(names=Names.of(["Rome", "Kyoto", "Lima"])).world(0), "too few: .* more names"),
        (lambda: ClaimGym().world(0, labels=["SUPPORT", "REFUTE"]), "2 labels for 1"),
        (lambda: ClaimGym().world(0).truth("x"), "not of world 0"),
    ],
)
def test_impossible_worlds_are_refused(make: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()  # type: ignore[operator]


def test_the_gym_is_registered() -> None:
    assert lookup("training", "claim-gym").target is ClaimGym
