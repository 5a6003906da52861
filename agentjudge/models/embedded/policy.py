"""The embedded judge as a model: it drives the same graph, with the same tool calls, as a language model does.

A free turn ranks every sentence read so far by learned relevance, lets the learned verifier judge the best of them
together, and either searches once more (for a name that the reading brought up, see `queries`) or ends with the
verdict. A claim that says nothing which the evidence could bear on is not left to the verifier (see `saying`). It reads
typed tool events, not prose, and writes the verdict in the JSON form that the judge asks every model for.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from agentjudge.case import (
    CLAIM_LABELS,
    NOT_ENOUGH_INFO,
    REFUTE,
    SUPPORT,
    ActionChoice,
    Claim,
    Comparison,
    PagedDocument,
    Response,
    Trajectory,
)
from agentjudge.errors import ConfigError, ModelError
from agentjudge.models.base import Request
from agentjudge.models.embedded.agents import AgentJudge
from agentjudge.models.embedded.comparing import Comparer
from agentjudge.models.embedded.looking import Call, Seen, next_step
from agentjudge.models.embedded.queries import mentions, next_query, uncovered
from agentjudge.models.embedded.saying import Standing, standing
from agentjudge.models.embedded.verifier import Verifier, format_evidence
from agentjudge.models.profiles import EMBEDDED
from agentjudge.registry import register
from agentjudge.trace import Message, Turn, picture_names

MOST_SENTENCES = 5
"""Sentences judged together."""
RELEVANT = 0.5
"""Relevance above which a sentence is evidence."""
CLOSE = 0.85
"""Share of the best sentence's relevance that other evidence must have."""
HOP_WORDS = 2
"""Content words of the claim that the evidence must leave open for another hop to be worth its cost."""
MOST_LINKED = 12
"""Sentences tried as the second hop."""
MOST_ASKED = 2_000
"""Characters of a question to a document."""
CACHED = 50_000
"""Sentence relevances kept, over all judgements."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence that was shown."""

    id: str
    title: str
    text: str
    relevance: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the verifier makes of the sentences read so far."""

    readings: Sequence[Reading]
    """All of them, most relevant first."""
    evidence: Sequence[Reading]
    """Those to cite; a few given sentences are judged all together."""
    probabilities: dict[str, float]
    """Of the labels of the claim's closed set."""
    standing: Standing
    """How the claim stands to the sentences that were judged."""
    open: bool = False
    """Whether nothing is settled, and no label of the closed set says so."""

    @property
    def silent(self) -> bool:
        """Whether the claim says nothing that could be judged by what was read."""
        return bool(self.readings) and self.standing in ("empty", "unmet")

    @property
    def label(self) -> str:
        """The most probable label; of a silent claim NOT ENOUGH INFO, which its closed set may lack."""
        if self.silent:
            return NOT_ENOUGH_INFO
        return max(self.probabilities, key=lambda label: self.probabilities[label])


class EmbeddedModel:
    """The embedded judge.

    Args:
        verifier: the learned part; the one in the package when None.
    """

    profile = EMBEDDED

    def __init__(self, verifier: Verifier | None = None) -> None:
        self.name = "embedded"
        self._verifier = verifier or Verifier.load()
        self._comparer = Comparer(self._verifier)
        self._agents = AgentJudge(self._verifier)
        self._relevance: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agentjudge-embedded")

    async def act(self, request: Request) -> Turn:
        """Search or browse on, or give the verdict.

        Raises:
            ModelError: a case of another kind, or a judge of agents that asks for an answer of another form.
        """
        case, loop = request.case, asyncio.get_running_loop()
        if isinstance(case, Trajectory | ActionChoice):
            answer = await loop.run_in_executor(self._pool, self._agents.answer, request)
            if isinstance(answer, str):
                return _said({"role": "assistant", "content": answer})
            return _calls(answer, len(request.events))
        if not isinstance(case, Claim | Comparison | Response):
            raise ModelError(
                f"the embedded model judges claims, answers and agents, not a {type(case).__name__}; "
                "try --model vllm:NAME"
            )
        if case.images and (turn := self._look(request)) is not None:
            return turn
        asked = [str(event.args.get("query", "")) for event in request.events if "query" in event.args]
        may_search = request.phase == "act" and bool(_searches(request, ""))
        if may_search and not asked and not any(ref.kind == "text" for ref in request.opening):
            first = case.claim if isinstance(case, Claim) else case.prompt
            return _calls(_searches(request, first), len(asked))
        if not isinstance(case, Claim):
            said = await loop.run_in_executor(self._pool, self._comparer.verdict, case, _read(request))
            return _said({"role": "assistant", "content": said})
        assessment = await loop.run_in_executor(
            self._pool, partial(self.assess, case, _read(request), searched=bool(asked or case.images))
        )
        if case.images and not asked and (assessment.open or assessment.label == NOT_ENOUGH_INFO):
            return _said({"role": "assistant", "content": _UNSEEN})
        if may_search and (query := self._search_on(case, assessment, list(dict.fromkeys(asked)))):
            return _calls(_searches(request, query), len(asked))
        said = _silence(case, assessment.standing) if assessment.silent else _verdict(assessment)
        return _said({"role": "assistant", "content": said})

    def _look(self, request: Request) -> Turn | None:
        """A look at the pictures, or what they settle; None where it is left to the verifier."""
        case = request.case
        left = request.remaining.get("tool_calls", 1) if request.phase == "act" else 0
        tools = [tool["function"]["name"] for tool in request.tools] if left > 0 else []
        if isinstance(case, Claim):
            step = next_step(case, request.events, tools)
        else:
            read = [event.args.get("image") for event in request.events if event.name == "ocr"]
            unread = [name for name in picture_names(case, ()) if name not in read]
            step = [Call("ocr", {"image": name}) for name in unread] if unread and "ocr" in tools else None
        if isinstance(step, list):
            return _calls(step[:left], len(request.events))
        return None if step is None else _said({"role": "assistant", "content": _seen(step)})

    def assess(self, case: Claim, sentences: Sequence[tuple[str, str, str]], *, searched: bool = False) -> Assessment:
        """Rank the sentences, (id, title, text) each, and judge the best of them together.

        What a search brought may have nothing to do with the claim. So there SUPPORT and REFUTE are worth what the
        verifier gives them times the chance that the evidence bears on the claim at all; given documents are taken to,
        if they have a word of the claim.
        """
        relevance = self._rank(case.claim, [format_evidence([(title, text)]) for _, title, text in sentences])
        readings = [Reading(*sentence, score) for sentence, score in zip(sentences, relevance, strict=True)]
        few = readings if not searched and len(readings) <= MOST_SENTENCES else None
        readings = sorted(readings, key=lambda reading: -reading.relevance)
        linked = self._linked(case.claim, readings)
        judged = few or _with(linked, readings)[:MOST_SENTENCES]
        close = [r for r in readings if r.relevance >= max(RELEVANT, CLOSE * readings[0].relevance)] or readings[:1]
        row, bears = [0.0, 0.0, 1.0], 0.0
        if judged:
            scores = self._verifier.score([(case.claim, format_evidence([(r.title, r.text) for r in judged]))])
            row, bears = [float(p) for p in scores.probabilities[0]], float(scores.relevance[0])
        stands = standing(case.claim, [f"{reading.title} {reading.text}" for reading in judged])
        if few is None or stands == "named":
            row = [bears * row[0], bears * row[1], 1 - bears * (row[0] + row[1])]
        every: dict[str, float] = dict(zip(CLAIM_LABELS, row, strict=True))
        allowed: dict[str, float] = {label: every[label] for label in case.labels}
        total = sum(allowed.values())
        shares = {label: share / total if total else 1 / len(allowed) for label, share in allowed.items()}
        undecided = NOT_ENOUGH_INFO not in allowed and every[NOT_ENOUGH_INFO] > max(allowed.values())
        return Assessment(readings, _with(linked, close)[:MOST_SENTENCES], shares, stands, undecided)

    def _linked(self, claim: str, readings: Sequence[Reading]) -> Reading | None:
        """The second hop: what a name in the best sentence leads to, where the two together bear more on the claim."""
        if not readings or len(missing(claim, readings[:1])) < HOP_WORDS:
            return None
        anchor, *others = readings
        tried = [r for r in others if mentions(anchor.text, claim, r.title)][:MOST_LINKED]
        if not tried:
            return None
        head = (anchor.title, anchor.text)
        pairs = self._rank(claim, [format_evidence([head, (r.title, r.text)]) for r in tried])
        best, relevance = max(zip(tried, pairs, strict=True), key=lambda pair: pair[1])
        return best if relevance >= anchor.relevance else None

    def _rank(self, claim: str, texts: Sequence[str]) -> list[float]:
        cache = self._relevance
        missing = [text for text in dict.fromkeys(texts) if (claim, text) not in cache]
        if missing:
            scores = self._verifier.score([(claim, text) for text in missing]).relevance
            cache.update({(claim, text): float(score) for text, score in zip(missing, scores, strict=True)})
        found = [cache[claim, text] for text in texts]
        while len(cache) > CACHED:
            cache.popitem(last=False)
        return found

    def _search_on(self, case: Claim, assessment: Assessment, asked: Sequence[str]) -> str | None:
        """The next query: for what a name in the best sentence leads to, or in other words where nothing was found."""
        if not asked:
            return case.claim
        readings = assessment.readings
        if readings and readings[0].relevance >= RELEVANT:
            gap = missing(case.claim, assessment.evidence)
            followed = [(r.title, r.text) for r in assessment.evidence]
            return next_query(case.claim, followed, asked) if len(gap) >= HOP_WORDS else None
        return next_query(case.claim, [(r.title, r.text) for r in readings[:3]], asked) if len(asked) == 1 else None

    async def aclose(self) -> None:
        """End the scoring thread."""
        self._pool.shutdown(wait=False)


def _with(linked: Reading | None, readings: Sequence[Reading]) -> list[Reading]:
    """The readings, with the linked one right after the first."""
    if linked is None:
        return list(readings)
    return [readings[0], linked, *(reading for reading in readings[1:] if reading is not linked)]


def missing(claim: str, evidence: Sequence[Reading]) -> list[str]:
    """Content words of the claim that the evidence leaves open."""
    return uncovered(claim, [f"{reading.title} {reading.text}" for reading in evidence])


def _read(request: Request) -> list[tuple[str, str, str]]:
    """(id, title, text) of the distinct sentences shown so far."""
    found: dict[str, tuple[str, str, str]] = {}
    for ref in (*request.opening, *(ref for event in request.events for ref in event.refs)):
        if ref.quote and ref.id not in found:
            title = request.store.document(ref.doc).title if ref.kind == "text" and ref.doc is not None else ""
            found[ref.id] = (ref.id, title, ref.quote)
    return list(found.values())


def _searches(request: Request, query: str) -> list[Call]:
    """The calls, as many as are left, that look for a query: in the corpus or the web, and in each document."""
    names = [tool["function"]["name"] for tool in request.tools]
    calls = [Call(name, {"query": query}) for name in ("retrieve", "search") if name in names][:1]
    if "doc_page_retrieval_by_query" in names:
        documents = [document for document in request.case.documents if isinstance(document, PagedDocument)]
        asked = {"query": query[:MOST_ASKED]}
        calls += [Call("doc_page_retrieval_by_query", {"filename": d.id, **asked}) for d in documents]
    return calls[: max(0, request.remaining.get("tool_calls", 1))]


def _calls(calls: Sequence[Call], number: int) -> Turn:
    functions = [{"name": call.tool, "arguments": json.dumps(call.args, ensure_ascii=False)} for call in calls]
    made = [{"id": f"call_{n}", "type": "function", "function": f} for n, f in enumerate(functions, number)]
    return _said({"role": "assistant", "content": "", "tool_calls": made}, finish_reason="tool_calls")


def _said(message: Message, *, finish_reason: str = "stop") -> Turn:
    from agentjudge import __version__

    return Turn(message_out=message, finish_reason=finish_reason, model_version=f"embedded-{__version__}")


def _verdict(assessment: Assessment) -> str:
    label = assessment.label
    settled = label != NOT_ENOUGH_INFO
    cited = [r.id for r in assessment.evidence] if settled else []
    if not assessment.evidence:
        reason = "Nothing was found that bears on the claim."
    elif settled:
        verb = "supports" if label == "SUPPORT" else "contradicts"
        reason = f"The most relevant sentence {verb} the claim: {assessment.evidence[0].text}"
    else:
        reason = f"The nearest sentence does not settle the claim: {assessment.evidence[0].text}"
    probabilities = {name: round(p, 4) for name, p in assessment.probabilities.items()}
    answer = {
        "reason": reason,
        "evidence": cited,
        "label": label,
        "confidence": probabilities[label],
        "probabilities": probabilities,
    }
    return json.dumps(answer, ensure_ascii=False)


def _silence(case: Claim, stands: Standing) -> str:
    """The verdict on a claim that says nothing; how sure a rule is was never fitted, so it is not said."""
    empty = "The claim has no word that could be true or false."
    reason = empty if stands == "empty" else "No word of the claim is in the evidence, and the claim names nothing."
    label = NOT_ENOUGH_INFO if NOT_ENOUGH_INFO in case.labels else None
    return json.dumps({"reason": reason, "evidence": [], "label": label, "confidence": None})


_UNSEEN = json.dumps(
    {
        "reason": "What can be read in the pictures does not settle it.",
        "evidence": [],
        "label": None,
        "confidence": None,
    }
)


def _seen(seen: Seen) -> str:
    """The verdict on what was seen; how sure that is was never fitted, so it is not said."""
    if seen.holds is None:
        return _UNSEEN
    label = SUPPORT if seen.holds else REFUTE
    said = {"reason": seen.said, "evidence": list(seen.cited), "label": label, "confidence": None}
    return json.dumps(said, ensure_ascii=False)


@register("model", "embedded")
def embedded(rest: str) -> EmbeddedModel:
    """A small learned verifier on the CPU: offline, no key."""
    if rest:
        raise ConfigError(f"the embedded model takes no name, but was given {rest!r}")
    return EmbeddedModel()
