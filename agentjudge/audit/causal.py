"""What must move the verdict does, and what must not does not (Crome, arXiv 2506.16507).

    report = run(plan([CausalChanges()], cases), loads, Path("audit"))

The paper asks a model to rewrite answers for better or worse, and neutrally. Here only changes are made whose effect is
certain by construction (`edits`):

| must move | of | since |
|---|---|---|
| `number`, `year`, `month`, `name` | a claim judged SUPPORT | the evidence has what stood there, not what stands now |
| `... in the evidence` | the same | what bore the claim out is gone from the evidence wherever it stood |
| `negation` | a claim judged SUPPORT, a simple sentence | it says the contrary |
| `answer` | an answer that gold calls right | its reference, or the one number that it states, is exchanged |
| `final answer` | a run that gold calls a success | the task asks for a number, and this one was never seen |

| must not move | of |
|---|---|
| `documents reversed`, `document added`, `sentence added` | a claim with documents; what is added is of another case |
| `spacing` | anything: blanks at the ends of lines |
| `markup` | answers: tags in capitals, bold in the other Markdown |

A claim counts among those that must move if it was judged SUPPORT as it was, and gold does not say otherwise; it moved
if it no longer is. An answer moved if its score fell. Degraded copies of the better of two answers are not made: that
an answer is better does not make it right. The limits are ours.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from agentjudge.audit.base import Audit, Audited, Finding, Number, Probe, changed, share
from agentjudge.audit.edits import (
    holds,
    leaves_no_trace,
    negated,
    other_answer,
    other_month,
    other_name,
    other_number,
    remarked,
    replaced,
    spaced,
)
from agentjudge.audit.operators import exchanged, question
from agentjudge.case import SUPPORT, ActionChoice, Case, Claim, Comparison, Document, Response, Trajectory
from agentjudge.registry import register
from agentjudge.runs.merging import sign

LEAST_SENSITIVE = 0.7
LEAST_INVARIANT = 0.9
NEAR = 0.1
"""Scores that differ by no more are the same."""
MUST, MUST_NOT = "must move: ", "must not move: "
ASKS = ("what", "which", "who", "when", "where", "how many", "how much", "find", "tell")
"""Beginnings of a task that wants an answer."""

Made = Iterator[tuple[str, dict[str, Any]]]
"""Variants and the fields that they change."""


@register("audit", "causal", paper="2506.16507")
class CausalChanges(Audit):
    """Verdicts that do not follow what changes the answer, or follow what does not."""

    name = "causal"
    title = "Does what must move the verdict move it, and nothing else?"
    kinds = (Claim, Response, Comparison, ActionChoice, Trajectory)
    wants = "claims with documents, answers with a reference or gold, comparisons or runs of agents"

    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """See `Audit`."""
        references = [case.reference for case in cases if isinstance(case, Response) and case.reference]
        for case in cases:
            made = [*_causal(case, references), *_neutral(case, cases)]
            if made:
                yield Probe(case, case)
            for variant, fields in made:
                yield changed(case, self.name, variant, **fields)

    def find(self, judged: Sequence[Audited]) -> Finding:
        """See `Audit`."""
        kept = {each.probe.case.id: each for each in judged if not each.probe.variant}
        rows: dict[str, list[tuple[Audited, bool]]] = {}
        for each in judged:
            base = kept.get(each.probe.parent.id)
            if not each.probe.variant or base is None:
                continue
            good = _moved(base, each) if each.probe.variant.startswith(MUST) else _same(base, each)
            if good is not None:
                rows.setdefault(each.probe.variant, []).append((each, good))
        numbers, fooled = [], []
        for start, name, limit in ((MUST, "sensitivity", LEAST_SENSITIVE), (MUST_NOT, "invariance", LEAST_INVARIANT)):
            found = [row for variant, some in rows.items() if variant.startswith(start) for row in some]
            if found:
                numbers.append(_number(name, found, limit))
                fooled += [each for each, good in found if not good]
        numbers += [_number(variant, some, None) for variant, some in rows.items()]
        return self.finding(judged, numbers, fooled)


def _number(name: str, rows: Sequence[tuple[Audited, bool]], limit: float | None) -> Number:
    value = share([good for _, good in rows], [question(each.probe.parent) for each, _ in rows])
    return Number(name=name, value=value, better="high", limit=limit)


def _moved(base: Audited, other: Audited) -> bool | None:
    """Whether a verdict followed a change; None where it was not such as must follow, or failed."""
    one, two = base.verdict, other.verdict
    if two.status == "failed":
        return None
    if one.score is not None:
        return None if two.score is None else two.score < one.score
    return two.label != one.label if one.label in (SUPPORT, "success") else None


def _same(base: Audited, other: Audited) -> bool | None:
    """Whether a verdict stayed; None where one of the two has none."""
    one, two = base.verdict, other.verdict
    if one.status != "scored" or two.status == "failed":
        return None
    if one.score is not None:
        return two.score is not None and abs(one.score - two.score) <= NEAR
    if one.preference is not None:
        return two.preference is not None and sign(one.preference) == sign(two.preference)
    if one.ranking is not None:
        return two.ranking is not None and one.ranking[0] == two.ranking[0]
    return one.label == two.label


def _causal(case: Case, references: Sequence[str]) -> Made:
    gold = case.gold
    if isinstance(case, Claim) and (gold is None or gold.label in (None, SUPPORT)):
        for variant, fields in _claim(case):
            yield MUST + variant, fields
    elif isinstance(case, Response) and gold is not None and gold.score == 1:
        made = other_answer(case.response, case.reference, references)
        if made is not None:
            yield f"{MUST}answer", {"response": made, "reference": case.reference}
    elif isinstance(case, Trajectory) and gold is not None and gold.label == "success" and case.final_answer:
        seen = "\n".join(step.observation for step in case.steps)
        swap = other_number(case.final_answer, seen) or other_number(case.final_answer, seen, years=True)
        if swap is not None and case.goal.lower().startswith(ASKS) and not holds(case.goal, swap[0]):
            yield f"{MUST}final answer", {"final_answer": replaced(case.final_answer, *swap)}


def _claim(case: Claim) -> Made:
    if (contrary := negated(case.claim)) is not None:
        yield "negation", {"claim": contrary}
    texts = [document for document in case.documents if isinstance(document, Document)]
    if not texts or len(texts) < len(case.documents) or case.images:
        return
    evidence = "\n".join(f"{document.title}\n{document.text}" for document in texts)
    swaps = {
        "number": other_number(case.claim, evidence),
        "year": other_number(case.claim, evidence, years=True),
        "month": other_month(case.claim, evidence),
        "name": other_name(case.claim, evidence),
    }
    for variant, swap in swaps.items():
        if swap is None:
            continue
        yield variant, {"claim": replaced(case.claim, *swap)}
        if leaves_no_trace(evidence, swap):
            yield f"{variant} in the evidence", {"documents": tuple(_edited(each, *swap) for each in texts)}


def _edited(document: Document, old: str, new: str) -> Document:
    sentences = document.sentences()
    texts = [replaced(document.text[sentence.start : sentence.end], old, new) for sentence in sentences]
    ids = [sentence.id for sentence in sentences]
    return Document.of_sentences(document.id, texts, title=replaced(document.title, old, new), ids=ids)


def _neutral(case: Case, others: Sequence[Case]) -> Made:
    for variant, fields in (*_around(case, others), *_form(case)):
        yield MUST_NOT + variant, fields


def _around(case: Case, others: Sequence[Case]) -> Made:
    """Changes around the evidence of a claim."""
    if not isinstance(case, Claim) or not all(isinstance(document, Document) for document in case.documents):
        return
    texts = [document for document in case.documents if isinstance(document, Document)]
    if len(texts) > 1:
        yield "documents reversed", {"documents": tuple(reversed(texts))}
    taken = exchanged(case, others, "random") if texts else None
    other = next((each for each in taken["documents"] if isinstance(each, Document)), None) if taken else None
    if other is None or other.id in {document.id for document in texts}:
        return
    yield "document added", {"documents": (*texts, other)}
    sentences = texts[0].sentences()
    first = other.sentences()[0]
    said = [texts[0].text[sentence.start : sentence.end] for sentence in sentences]
    ids = [*(sentence.id for sentence in sentences), f"{texts[0].id}:added"]
    grown = Document.of_sentences(
        texts[0].id, [*said, other.text[first.start : first.end]], title=texts[0].title, ids=ids
    )
    yield "sentence added", {"documents": (grown, *texts[1:])}


def _form(case: Case) -> Made:
    """Changes of blanks and markup."""
    if isinstance(case, Claim):
        yield "spacing", {"claim": spaced(case.claim)}
    elif isinstance(case, Response):
        yield "spacing", {"response": spaced(case.response)}
        if (marked := remarked(case.response)) is not None:
            yield "markup", {"response": marked}
    elif isinstance(case, Comparison):
        yield "spacing", {"responses": tuple(map(spaced, case.responses))}
        marks = [remarked(response) for response in case.responses]
        if any(marks):
            texts = (mark or response for mark, response in zip(marks, case.responses, strict=True))
            yield "markup", {"responses": tuple(texts)}
    elif isinstance(case, ActionChoice):
        yield "spacing", {"goal": spaced(case.goal)}
    elif isinstance(case, Trajectory):
        steps = tuple(step.model_copy(update={"observation": spaced(step.observation)}) for step in case.steps)
        yield "spacing", {"goal": spaced(case.goal), "steps": steps}
