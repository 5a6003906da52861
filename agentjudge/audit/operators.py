"""What is done to the evidence of a case: taken away, exchanged, shown twice.

    fields = exchanged(case, cases, "random")        # documents of another case; None where there are none
    probe = changed(case, "evidence", "random", **fields)

Operators are those of CUE-R (arXiv 2604.05467: remove, replace, duplicate), the kinds of exchange those of
case-grounded verification (arXiv 2604.09537): `random` documents have, of those drawn, the fewest words in common with
the question, `topic-related` ones the most, and whether these settle it nobody knows. Evidence of a claim or an answer
is its documents; that of an agent's run is what it saw.
"""

import random
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from agentjudge.case import Case, Claim, Comparison, Document, Response, Trajectory
from agentjudge.registry import register

Exchange = Literal["random", "topic-related"]
AGAIN = "-again"
"""End of the id of a document that is shown twice."""
MOST: dict[Exchange, int] = {"random": 20, "topic-related": 400}
"""Cases that are drawn by the id of the case, and looked through."""
_WORD = re.compile(r"[^\W_]{4,}")


def question(case: Case) -> str:
    """What is asked about."""
    if isinstance(case, Claim):
        return case.claim
    if isinstance(case, Response | Comparison):
        return case.prompt
    return str(getattr(case, "goal", ""))


@lru_cache(maxsize=20_000)
def words(text: str) -> frozenset[str]:
    """Different words of four letters and more, in small letters."""
    return frozenset(_WORD.findall(text.lower()))


def has_evidence(case: Case) -> bool:
    """Whether there is something that can be taken away."""
    if isinstance(case, Trajectory):
        return any(step.observation or step.screenshot for step in case.steps)
    return bool(case.documents)


def removed(case: Case) -> dict[str, Any]:
    """The case without its evidence: no documents; of a run what the agent did and said, and nothing that it saw."""
    if isinstance(case, Trajectory):
        unseen = {"observation": "", "screenshot": None, "url": None, "error": None}
        return {"steps": tuple(step.model_copy(update=unseen) for step in case.steps), "documents": (), "images": ()}
    return {"documents": ()}


@register("audit", "exchanged-evidence", paper="2604.09537")
def exchanged(case: Case, others: Sequence[Case], kind: Exchange) -> dict[str, Any] | None:
    """The case with the evidence of another one, at random or of the same topic; None where no other will do.

    Args:
        case: with evidence.
        others: cases to take it from; those that ask the same, or have a document in common, are passed over.
        kind: the one of those drawn whose evidence has fewest words in common with the question, or most.
    """
    draw, own = random.Random(f"{kind}/{case.id}"), _texts(case)
    tried = list(others) if len(others) <= MOST[kind] else draw.sample(list(others), MOST[kind])
    foreign = [each for each in tried if _foreign(case, each, own)]
    if not foreign:
        return None
    asked = words(question(case))
    common = [len(asked & _seen(each)) for each in foreign]
    most = max(common)
    if kind == "random":
        found = foreign[common.index(min(common))]
    elif most:
        found = foreign[common.index(most)]
    else:
        return None
    return {"steps": found.steps} if isinstance(found, Trajectory) else {"documents": found.documents}


def duplicated(case: Case) -> dict[str, Any] | None:
    """The case with each of its documents twice; None where one is not given as a text."""
    texts = [document for document in case.documents if isinstance(document, Document)]
    if not texts or len(texts) < len(case.documents):
        return None
    copies = (document.model_copy(update={"id": document.id + AGAIN, "ids": ()}) for document in texts)
    return {"documents": (*texts, *copies)}


def without(case: Case, ids: Sequence[str]) -> dict[str, Any]:
    """The case without these sentences of its documents; the others keep their ids."""
    return {"documents": tuple(kept for document in case.documents if (kept := _cut(document, ids)) is not None)}


def supports(case: Case) -> tuple[str, str] | None:
    """Two sentences of the case's own documents that gold names together; None where it names none."""
    have = {
        sentence.id
        for document in case.documents
        if isinstance(document, Document)
        for sentence in document.sentences()
    }
    groups = case.gold.evidence if case.gold is not None else ()
    found = next((group for group in groups if len(set(group)) >= 2 and have.issuperset(group)), None)
    return None if found is None else (found[0], next(id for id in found if id != found[0]))


def _cut(document: Any, ids: Sequence[str]) -> Any:
    if not isinstance(document, Document):
        return document
    kept = [sentence for sentence in document.sentences() if sentence.id not in ids]
    if not kept:
        return None
    texts = [document.text[sentence.start : sentence.end] for sentence in kept]
    return Document.of_sentences(document.id, texts, title=document.title, ids=[sentence.id for sentence in kept])


def _foreign(case: Case, other: Case, own: frozenset[str]) -> bool:
    """Whether another case asks something else and has other evidence, of the same kind."""
    if type(other) is not type(case) or not has_evidence(other) or question(other) == question(case):
        return False
    return isinstance(case, Trajectory) or not own & _texts(other)


def _texts(case: Case) -> frozenset[str]:
    return frozenset(each.text if isinstance(each, Document) else str(each) for each in case.documents)


def _seen(case: Case) -> frozenset[str]:
    if isinstance(case, Trajectory):
        return words(case.goal)
    return frozenset[str]().union(*(words(text) for text in _texts(case)))
