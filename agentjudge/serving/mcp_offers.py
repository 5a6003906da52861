"""What `agentjudge mcp` offers: whole judges, and our tools, each as a tool of the protocol.

    offers = [*judge_offers(bench, place), *tool_offers(bench, place)]
    answer = await offers[0].call({"claim": "The bridge opened in 1932."}, tell)

A judge is called `judge_veri_r1`; it takes a claim or a case and answers its verdict, with literal quotes, as JSON and
in words. `tell` gets a line for each of its steps. One of our tools has the name that judges know it by, and gets the
picture, the document or the text itself where a judge names one of its case.

Pictures and documents come as `data:` URIs, or as paths below the one folder that the server's owner allows. Errors are
answers too (`Answer.failed`), in words for whoever asked.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from agentjudge.case import Case, Claim, Response, first_error
from agentjudge.console import outcome_of
from agentjudge.errors import AgentJudgeError, DataError
from agentjudge.evidence import EvidenceStore
from agentjudge.interop.outcome import explain
from agentjudge.models.profiles import GENERIC
from agentjudge.opening import open_case
from agentjudge.serving.api_bench import Bench
from agentjudge.serving.api_bodies import Body, VerdictBody, case_of
from agentjudge.serving.api_files import FileLimits, OwnerFiles
from agentjudge.serving.api_judge import Asked
from agentjudge.serving.api_sources import told
from agentjudge.serving.api_work import without_paths
from agentjudge.serving.mcp_schema import DOCUMENT, PICTURE, asking_schema, call_schema, given_whole, written_out
from agentjudge.serving.rewards_files import Files
from agentjudge.tools.base import Executed, Tool, ToolBox, ToolCall, ToolContext
from agentjudge.tools.doc_pages import PageByIndex, PagesByQuery
from agentjudge.tools.measure import Measure
from agentjudge.tools.ocr import FindText, Ocr
from agentjudge.tools.retrieve import Retrieve
from agentjudge.tools.text_checks import TEXT_CHECKS, text_checks
from agentjudge.tools.zoom import ImageZoomIn
from agentjudge.trace import picture_names
from agentjudge.verdict import Verdict

Tell = Callable[[str], None]
SEES = GENERIC.model_copy(update={"images": True})
"""Whom tools are told to: somebody who may look at pictures."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to."""

    text: str
    data: dict[str, Any] | None = None
    """The same as JSON."""
    pictures: tuple[tuple[bytes, str], ...] = ()
    """Bytes and media types."""
    failed: bool = False


class Offer(Protocol):
    """A tool of the protocol."""

    name: str

    @property
    def about(self) -> dict[str, Any]:
        """The fields of the SDK's `Tool`."""
        ...

    async def call(self, args: dict[str, Any], tell: Tell) -> Answer:
        """Do it.

        Raises:
            AgentJudgeError: it cannot be done; the message says what to do.
        """
        ...

    async def aclose(self) -> None:
        """Release what is the offer's own."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of calls are.

    Args:
        folder: for what comes and what judges show; gone with the server.
        root: files of the server that may be named.
        limits: of files.
        seconds: for a judgement, at most.
    """

    folder: Path
    root: Files
    limits: FileLimits = FileLimits()
    seconds: float = 300.0

    @property
    def files(self) -> OwnerFiles:
        """As one owner's: whoever reaches the server may use all of it."""
        return OwnerFiles(self.folder, self.limits, root=self.root)

    @property
    def words(self) -> str:
        """How files are given."""
        below = f", or the path of a file below {self.root.root}" if self.root.root is not None else ""
        return f"A picture is given as {PICTURE}, a document as {DOCUMENT}{below}"


class JudgeOffer:
    """A whole judge.

    Args:
        bench: has it.
        judge: its name there.
        place: of files.
    """

    def __init__(self, bench: Bench, judge: str, place: Place) -> None:
        self.name = f"judge_{judge.replace('-', '_')}"
        self._bench, self._judge, self._place = bench, judge, place

    @cached_property
    def about(self) -> dict[str, Any]:
        """See `Offer`."""
        spec, about = self._bench.spec(self._judge), self._bench.summary(self._judge)
        open_world = any(spec.takes(tool, self._bench.model.profile) for tool in self._bench.sources)
        return {
            "name": self.name,
            "title": f"Judge: {self._judge}",
            "description": f"{about} Checks before it answers, and cites the evidence that it rests on.",
            "input_schema": asking_schema(spec, list(self._bench.corpora), self._place.words),
            "output_schema": written_out(Verdict.model_json_schema(mode="serialization")),
            "annotations": {"read_only_hint": True, "open_world_hint": open_world},
        }

    async def call(self, args: dict[str, Any], tell: Tell) -> Answer:
        """The verdict; see `Offer`."""
        bench, files = self._bench, self._place.files
        if stray := set(args) - {"claim", "case", "corpus", "deadline"}:
            raise DataError(f"{sorted(stray)[0]}: {self.name} has no such argument")
        try:
            asked = VerdictBody.model_validate(args)
        except ValidationError as exc:
            raise DataError(first_error(exc)) from exc
        case = await asyncio.to_thread(case_of, Body(args), asked, files)
        bench.check(self._judge, case)
        corpus = asked.corpus if "corpus" in asked.model_fields_set else bench.default_corpus
        if corpus is not None and corpus not in bench.corpora:
            raise DataError(f"no corpus {corpus!r} here; there is {', '.join(bench.corpora) or 'none'}")
        judge = bench.judge(self._judge, corpus, files, None)
        seconds = min(asked.deadline or self._place.seconds, self._place.seconds)
        done = await judge.judged(Asked(files.opened(case), seconds=seconds), steps(tell))
        verdict = without_paths(done.trace.verdict, files)
        return Answer(in_words(verdict), verdict.model_dump(mode="json"), failed=verdict.status == "failed")

    async def aclose(self) -> None:
        """Nothing: the bench is closed by whoever made it."""


def in_words(verdict: Verdict) -> str:
    """A verdict as a short text: outcome, reason, a piece of evidence a line."""
    if verdict.failure is not None:
        return f"{verdict.provenance.judge} failed ({verdict.failure.kind}): {verdict.failure.message}"
    sure = verdict.confidence
    confidence = f" ({sure.value:.0%}, {sure.method})" if sure is not None else ""
    return "\n".join(filter(None, [f"{outcome_of(verdict)}{confidence}", explain(verdict)]))


def steps(tell: Tell) -> Callable[[str, dict[str, Any]], None]:
    """Takes the events of a judgement (docs/api.md), and tells a line of each step."""

    def note(name: str, data: dict[str, Any]) -> None:
        if name == "turn_started":
            tell(f"turn {data['turn'] + 1}: thinks")
        elif name == "tool_call":
            tell(f"calls {data['name']} {str(data['args'])[:200]}")
        elif name == "tool_result":
            found = f"{len(data['evidence'])} to cite" if data["status"] == "ok" else data["error"][:200]
            tell(f"{data['name']}: {found}")
        elif name == "conclude":
            tell("concludes")

    return note


@dataclass(slots=True)
class ToolOffer:
    """One of our tools, without a judge."""

    name: str
    tool: Tool[Any]
    """As somebody who sees pictures is told of it."""
    box: ToolBox
    place: Place
    about: dict[str, Any] = field(init=False)
    """See `Offer`."""

    def __post_init__(self) -> None:
        self.about = {
            "name": self.name,
            "description": self.tool.description,
            "input_schema": call_schema(self.tool, self.place.words),
            "annotations": {"read_only_hint": True, "open_world_hint": self.tool.name in ("search", "fetch")},
        }

    async def call(self, args: dict[str, Any], tell: Tell) -> Answer:
        """What the tool finds; see `Offer`."""
        store = EvidenceStore(root=self.place.files.blobs)
        case, named = await asyncio.to_thread(self._case, args, store)
        context = ToolContext(case, store, picture_names(case, []), SEES)
        return await asyncio.to_thread(
            _answer, await self.box.execute(ToolCall("1", self.tool.name, {**args, **named}), context), store
        )

    async def aclose(self) -> None:
        """See `Offer`."""
        await self.box.aclose()

    def _case(self, args: dict[str, Any], store: EvidenceStore) -> tuple[Case, dict[str, str]]:
        """A case that has what the arguments bring, and the names that it has there.

        Raises:
            DataError: a file is refused.
        """
        whole = {name: args[name] for name in given_whole(self.tool) if isinstance(args.get(name), str)}
        bare = Claim(id="call", claim="-")
        if not whole:
            return bare, {}
        if "response" in whole:
            return Response(id="call", prompt="-", response=whole["response"]), {"response": "text_0"}
        field = "documents" if "filename" in whole else "images"
        files = self.place.files
        case = files.opened(files.admitted(bare.model_copy(update={field: tuple(whole.values())})))
        try:
            case = open_case(case, store, pages=True)
        except AgentJudgeError as exc:
            raise DataError(files.hidden(exc.message)) from exc
        if field == "images":
            return case, dict(zip(whole, picture_names(case, []), strict=True))
        return case, {"filename": case.documents[0].id}  # type: ignore[union-attr]  # it is open


def _answer(executed: Executed, store: EvidenceStore) -> Answer:
    event = executed.event
    pictures = tuple((store.get(sha), store.image(sha).media_type) for sha in event.images)
    data = {"evidence": [told(ref) for ref in event.refs], "data": event.data}
    return Answer(executed.text, data, pictures, failed=event.status != "ok")


def judge_offers(bench: Bench, place: Place) -> list[Offer]:
    """All judges of a bench."""
    return [JudgeOffer(bench, name, place) for name in bench.names]


def tool_offers(bench: Bench, place: Place, patterns: Sequence[str] = ()) -> list[Offer]:
    """Our tools that need no judge.

    Args:
        bench: whose corpora and sources they use.
        place: of files.
        patterns: of names, such as `ocr` or `check_*`; all but the 19 checks of ARM-Thinker where there is none.

    Raises:
        DataError: a pattern fits no tool.
    """
    tools: dict[str, Tool[Any]] = {}
    for name, served in bench.corpora.items():
        called = "retrieve" if len(bench.corpora) == 1 else f"retrieve_{name.replace('.', '_')}"
        tools[called] = Retrieve(served.corpus, index=served.index)
    alone = [*(tool for tool in bench.sources if not tool.foreign), *_ours()]
    tools |= {tool.name: tool.suited(SEES) for tool in alone}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in tools):
            raise DataError(f"no tool {pattern!r} here; there is {', '.join(tools)}")
    chosen = [name for name in tools if any(fnmatchcase(name, pattern) for pattern in patterns)]
    chosen = chosen if patterns else [name for name in tools if name not in TEXT_CHECKS]
    return [ToolOffer(name, tools[name], ToolBox([tools[name]], workers=2), place) for name in chosen]


def _ours() -> list[Tool[Any]]:
    return [ImageZoomIn(), Ocr(), FindText(), Measure(), PagesByQuery(), PageByIndex(), *text_checks()]
