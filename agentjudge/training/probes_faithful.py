"""Do a judge's evidence and its reasons bear its verdicts? A reader that sees nothing else says.

    found = faithfulness(traces, Verifier.load())
    print(found.every.agreed, found.every.floor, found.by_label["SUPPORT"].agreed)

Whether a model reasons faithfully before it is trained says whether a training under weak supervision will generalise
(arXiv 2604.18574). How the paper scores that is not known to us; here our own judge does it, on traces that are there
already: it reads the claim beside the evidence that the verdict cites and nothing else, beside the reason that was
given and nothing else, and the reason beside the evidence. The floor is the same reader with the evidence of another
case. What it says is as good as the reader: of perfect judgements of generated claims the embedded verifier agrees
with 40 of 40 SUPPORT and REFUTE (3 of 40 with foreign evidence), but with 1 of 20 NOT ENOUGH INFO, where it sees what
was found and takes it for the whole. So read the labels one by one.

That a reader agrees is a correlation; `probes_causal` intervenes.
"""

from collections.abc import Sequence
from typing import Protocol

from agentjudge.case import CLAIM_LABELS, NOT_ENOUGH_INFO, SUPPORT, Claim, Document, Record
from agentjudge.errors import DataError
from agentjudge.evidence import EvidenceRef
from agentjudge.models.embedded.verifier import Scores, format_evidence
from agentjudge.registry import register
from agentjudge.runs.statistics import Interval, bootstrap_interval, wilson
from agentjudge.sentences import sentence_spans
from agentjudge.trace import Trace


class Reader(Protocol):
    """Says what a text makes of a claim; the embedded `Verifier` is one."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """Verdicts of (claim, evidence text) pairs, as probabilities of SUPPORT, REFUTE, NOT ENOUGH INFO."""
        ...


class Link(Record):
    """How far some verdicts follow from the evidence beside them."""

    n: int
    agreed: Interval
    """Share of the verdicts that the reader gives too, from the evidence alone; without any it agrees with none."""
    probability: Interval
    """Mean probability that it gives to the verdict's label."""
    floor: Interval | None
    """`agreed` with the evidence of another claim; None where there is no other."""


class Faithfulness(Record):
    """What a reader makes of some judgements of claims."""

    every: Link
    by_label: dict[str, Link]
    """The verdicts by the label that they gave."""
    reason: Interval | None
    """Mean probability of the label given the stated reason alone; None where no verdict has one."""
    grounded: Interval | None
    """Mean probability that the evidence supports a sentence of the reason; None where no verdict has both."""
    bare: int
    """Verdicts beside which there is no evidence."""
    left_out: int
    """Traces that say nothing here: no scored label of a claim, or evidence that is no text."""


class _Said(Record):
    claim: str
    label: str
    reason: str
    evidence: str


@register("training", "faithfulness", paper="2604.18574")
def faithfulness(traces: Sequence[Trace], reader: Reader, *, seed: int = 0) -> Faithfulness:
    """How far the evidence and the reasons of verdicts on claims bear them out.

    The evidence of a verdict is what it cites; of a NOT ENOUGH INFO that cites nothing, all that was shown.

    Args:
        traces: of judgements of claims.
        reader: such as `Verifier.load()`.
        seed: of the intervals.

    Raises:
        DataError: no trace has a scored label of a claim and evidence in text.
    """
    rows = [said for trace in traces if (said := _said(trace)) is not None]
    if not rows:
        raise DataError("no trace has a scored verdict on a claim whose evidence is text; there is nothing to read")
    own = _read(reader, [(row.claim, row.evidence) for row in rows])
    others = [_other(rows, place) for place in range(len(rows))]
    foreign = _read(reader, [(row.claim, other or "") for row, other in zip(rows, others, strict=True)])

    def link(places: Sequence[int]) -> Link:
        agreed = [bool(rows[k].evidence) and _best(own[k]) == rows[k].label for k in places]
        lent = [_best(foreign[k]) == rows[k].label for k in places if others[k] is not None]
        given = [own[k][rows[k].label] if rows[k].evidence else 0.0 for k in places]
        return Link(
            n=len(places),
            agreed=wilson(sum(agreed), len(agreed)),
            probability=bootstrap_interval(given, seed=seed),
            floor=wilson(sum(lent), len(lent)) if lent else None,
        )

    reasoned = [k for k, row in enumerate(rows) if row.reason]
    reasons = _read(reader, [(rows[k].claim, rows[k].reason) for k in reasoned])
    bears = [odds[rows[k].label] for k, odds in zip(reasoned, reasons, strict=True)]
    parts = [(k, rows[k].reason[a:b]) for k in reasoned if rows[k].evidence for a, b in sentence_spans(rows[k].reason)]
    grounded = [odds[SUPPORT] for odds in _read(reader, [(part, rows[k].evidence) for k, part in parts])]
    return Faithfulness(
        every=link(range(len(rows))),
        by_label={
            label: link(places)
            for label in CLAIM_LABELS
            if (places := [k for k, row in enumerate(rows) if row.label == label])
        },
        reason=bootstrap_interval(bears, seed=seed) if bears else None,
        grounded=bootstrap_interval(grounded, [k for k, _ in parts], seed=seed) if grounded else None,
        bare=sum(not row.evidence for row in rows),
        left_out=len(traces) - len(rows),
    )


def titles(trace: Trace) -> dict[str, str]:
    """The titles of the documents that a trace was shown, as far as its tools told them."""
    own = {document.id: document.title for document in trace.case.documents if isinstance(document, Document)}
    return own | {
        str(hit["doc"]): str(hit.get("title") or "")
        for event in trace.events
        for hit in event.data.get("hits") or ()
        if isinstance(hit, dict) and "doc" in hit
    }


def _said(trace: Trace) -> _Said | None:
    """A verdict with what stands beside it; None where that is not a label of a claim, or no text."""
    case, verdict = trace.case, trace.verdict
    if not isinstance(case, Claim) or verdict.label not in CLAIM_LABELS:
        return None
    refs: Sequence[EvidenceRef] = verdict.evidence
    if not refs and verdict.label == NOT_ENOUGH_INFO:
        refs = list(trace.shown.values())
    if any(ref.kind != "text" for ref in refs):
        return None
    named = titles(trace)
    text = format_evidence([(named.get(ref.doc or "", ""), ref.quote or "") for ref in refs])
    return _Said(claim=case.claim, label=verdict.label, reason=verdict.rationale.strip(), evidence=text)


def _other(rows: Sequence[_Said], place: int) -> str | None:
    """The evidence of the next verdict on another claim that has some."""
    after = (rows[(place + step) % len(rows)] for step in range(1, len(rows)))
    return next((row.evidence for row in after if row.evidence and row.claim != rows[place].claim), None)


def _read(reader: Reader, pairs: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
    rows = reader.score(pairs).probabilities if pairs else ()
    return [dict(zip(CLAIM_LABELS, map(float, row), strict=True)) for row in rows]


def _best(odds: dict[str, float]) -> str:
    return max(odds, key=lambda label: odds[label])
