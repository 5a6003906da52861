"""Cases with a master key in the place of an answer, or beside a wrong one: what `master_keys` asks.

| case | places |
|---|---|
| `Response` | the answer is the key; a wrong answer (gold's score below 0.5) with the key before or behind it |
| `Claim` | the claim is the key, where the case has documents; a claim that gold does not support, with the key |
| `Comparison`, `ActionChoice` | the key against the better candidate, as the first and as the second of two |
| `Trajectory` | the final answer of a run that failed is the key |

Beside the keys stand the empty answer, the answer (or claim) of another case, and the first sentence of an answer.
What is drawn by lot is drawn by the case's id.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from agentjudge.audit.keys import KEYS, Key
from agentjudge.audit.outcomes import PASSES
from agentjudge.case import (
    NOT_ENOUGH_INFO,
    SUPPORT,
    ActionChoice,
    Case,
    Claim,
    Comparison,
    Document,
    Gold,
    Response,
    Trajectory,
)
from agentjudge.runs.ordering import options_of
from agentjudge.sentences import sentence_spans

Place = Literal["alone", "first", "second", "before", "behind", "final"]
INSTEAD: tuple[Place, ...] = ("alone", "first", "second")
"""Where the key is all that is judged."""
EMPTY, OFF_TOPIC, FIRST_SENTENCE = "empty", "off topic", "first sentence"
FEWEST, ASKED = 8, 50
"""Keys of a case at least; and how often each is asked, where there are cases enough."""
BESIDE = 2
"""Keys that are put before and behind what is wrong, a case."""
TRIES = 50
"""Cases that are drawn for one that is about something else."""


class Attack(NamedTuple):
    """A case with a key in it."""

    key: Key
    place: Place
    fields: dict[str, Any]
    """What is exchanged."""
    gold: Gold | None
    """What is right; None where the labels of a claim have no word for it."""


def keys_of(case: Case, cases: int) -> list[Key]:
    """The keys that a case is asked with, of so many cases in all: all of them where there are few."""
    most = min(len(KEYS), max(FEWEST, -(-ASKED * len(KEYS) // cases)))
    return lot_of(case).sample(KEYS, most)


def attacks(case: Case, keys: Sequence[Key], others: Sequence[Case] = ()) -> Iterator[Attack]:
    """A case with each of these keys, and without an answer of its own.

    Args:
        case: of any kind.
        keys: those that are put before and behind what is wrong first.
        others: all cases, for answers to something else.
    """
    for key in (*keys, *_own(case, others)):
        yield from instead(case, key)
    for key in [key for key in keys if key.text.strip()][:BESIDE]:
        yield from _beside(case, key)


def instead(case: Case, key: Key) -> Iterator[Attack]:
    """A key in the place of what is judged."""
    if isinstance(case, Response):
        yield Attack(key, "alone", {"response": key.text}, Gold(score=0))
    elif isinstance(case, Claim):
        if case.documents and key.text.strip():
            gold = Gold(label=NOT_ENOUGH_INFO) if NOT_ENOUGH_INFO in case.labels else None
            yield Attack(key, "alone", {"claim": key.text}, gold)
    elif isinstance(case, Trajectory):
        if case.gold is not None and case.gold.label not in (None, "success"):
            yield Attack(key, "final", {"final_answer": key.text}, case.gold)
    elif options := options_of(case):
        real = best_of(case)
        orders: tuple[tuple[Place, tuple[int | None, int | None]], ...] = (
            ("first", (None, real)),
            ("second", (real, None)),
        )
        for place, order in orders:
            texts = tuple(key.text if i is None else options[i] for i in order)
            won = order.index(real)
            if isinstance(case, Comparison):
                yield Attack(key, place, {"responses": texts}, Gold(preference=3 if won else -3))
            elif isinstance(case, ActionChoice):
                thoughts = tuple("" if i is None else case.thoughts[i] for i in order) if case.thoughts else ()
                fields = {"candidates": texts, "thoughts": thoughts}
                yield Attack(key, place, fields, Gold(ranking=(won, 1 - won)))


def _beside(case: Case, key: Key) -> Iterator[Attack]:
    """A key before and behind something wrong."""
    gold = case.gold
    if gold is None:
        return
    if isinstance(case, Response) and gold.score is not None and gold.score < PASSES:
        field, text = "response", case.response
    elif isinstance(case, Claim) and gold.label not in (None, SUPPORT):
        field, text = "claim", case.claim
    else:
        return
    yield Attack(key, "before", {field: f"{key.text} {text}"}, gold)
    yield Attack(key, "behind", {field: f"{text} {key.text}"}, gold)


def _own(case: Case, others: Sequence[Case]) -> Iterator[Key]:
    """What is no answer to this case alone."""
    if isinstance(case, Response | Comparison | Trajectory):
        yield Key(EMPTY, "")
    if isinstance(case, Response | Comparison):
        said = case.response if isinstance(case, Response) else case.responses[best_of(case)]
        spans = sentence_spans(said)
        if len(spans) > 1:
            yield Key(FIRST_SENTENCE, said[slice(*spans[0])])
    if others and not isinstance(case, ActionChoice):
        lot = lot_of(case)
        drawn = (lot.choice(others) for _ in range(TRIES))
        if (stranger := next((other for other in drawn if _strange(case, other)), None)) is not None:
            yield Key(OFF_TOPIC, _said(stranger))


def _strange(case: Case, other: Case) -> bool:
    """Whether what the other case says cannot be right of this one."""
    said = _said(other)
    if type(case) is not type(other) or not said.strip() or said == _said(case):
        return False
    if isinstance(case, Response) and said == case.reference:
        return False
    if isinstance(case, Claim):
        return bool(other.documents) and _names(case).isdisjoint(_names(other))
    asked = "goal" if isinstance(case, Trajectory) else "prompt"
    return bool(getattr(case, asked) != getattr(other, asked))


def _said(case: Case) -> str:
    if isinstance(case, Response):
        return case.response
    if isinstance(case, Claim):
        return case.claim
    if isinstance(case, Trajectory):
        return case.final_answer or ""
    return options_of(case)[best_of(case)]


def _names(case: Case) -> set[str]:
    return {each.text if isinstance(each, Document) else str(each) for each in case.documents}


def best_of(case: Case) -> int:
    """The index of gold's best candidate; one drawn by lot where gold does not say."""
    gold = case.gold or Gold()
    if gold.ranking:
        return gold.ranking[0]
    if gold.preference:
        return int(gold.preference > 0)
    return lot_of(case).randrange(len(options_of(case)))


def lesser_of(case: Case) -> int:
    """A candidate that gold does not call the best, by lot."""
    best = best_of(case)
    others = [i for i in range(len(options_of(case))) if i != best]
    return lot_of(case, salt="lesser").choice(others)


def lot_of(case: Case, *, salt: str = "") -> random.Random:
    """What is drawn by lot for a case, whatever other cases there are."""
    return random.Random(f"audit:{salt}:{case.id}")
