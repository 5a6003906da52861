"""What is judged: one frozen record per kind of question a judge can be asked.

A `Case` may carry gold, which is for metrics and rewards only: judges see `case.blind()`. Pictures and documents
are named by path or by reference; the judge's front door reads them into the evidence store, and no path that a
model writes is ever opened.

    claim = Claim(id="1", claim="The bridge opened in 1932.", gold=Gold(label="SUPPORT", evidence=[["bridge:0"]]))
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import from_json

from agentjudge.errors import DataError
from agentjudge.sentences import sentence_spans

ClaimLabel = Literal["SUPPORT", "REFUTE", "NOT ENOUGH INFO"]
CLAIM_LABELS: tuple[ClaimLabel, ...] = ("SUPPORT", "REFUTE", "NOT ENOUGH INFO")
SUPPORT, REFUTE, NOT_ENOUGH_INFO = CLAIM_LABELS

TrajectoryLabel = Literal["success", "failure", "blocked", "impossible"]
TRAJECTORY_LABELS: tuple[TrajectoryLabel, ...] = ("success", "failure", "blocked", "impossible")
"""How a run of an agent ended: the goal reached; not reached; not reached for what no agent could pass (a captcha, a
login, an outage); not reached since the task cannot be done as it is stated. The last two are kinds of failure."""

NonBlank = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Record(BaseModel):
    """Frozen, strict about unknown fields, JSON round-trip; no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Gold(Record):
    """The right answer, as far as it is known. Never shown to the judge."""

    label: str | None = None
    score: float | None = Field(default=None, ge=0, le=1)
    preference: int | None = Field(default=None, ge=-3, le=3)
    ranking: tuple[int, ...] | None = None
    step_scores: tuple[float, ...] | None = None
    evidence: tuple[tuple[str, ...], ...] = ()
    """Alternative groups of evidence ids: any one complete group suffices."""


class Sentence(NamedTuple):
    """A citable piece of a document: its citation id and its span in characters."""

    id: str
    start: int
    end: int


class Document(Record):
    """A text with citable sentences, found by rule without `spans`, and named `ID:0`, `ID:1`, ... without `ids`."""

    id: NonBlank
    text: NonBlank
    title: str = ""
    spans: tuple[tuple[int, int], ...] = ()
    ids: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        if self.ids and len(self.ids) != len(self.spans):
            raise ValueError(f"{len(self.ids)} ids for {len(self.spans)} spans")
        if any(not 0 <= start < end <= len(self.text) for start, end in self.spans):
            raise ValueError("a span is empty or outside of the text")
        return self

    @classmethod
    def of_sentences(cls, id: str, sentences: Sequence[str], *, title: str = "", ids: Sequence[str] = ()) -> Self:
        """A document from its sentences, joined by single spaces; blank ones are dropped, their ids with them."""
        kept = [(i, sentence.strip()) for i, sentence in enumerate(sentences) if sentence.strip()]
        names = [ids[i] for i, _ in kept] if ids else [f"{id}:{i}" for i, _ in kept]
        spans, start = [], 0
        for _, sentence in kept:
            spans.append((start, start + len(sentence)))
            start += len(sentence) + 1
        return cls(id=id, text=" ".join(s for _, s in kept), title=title, spans=tuple(spans), ids=tuple(names))

    def sentences(self) -> list[Sentence]:
        """The citable sentences, in order."""
        spans = self.spans or sentence_spans(self.text)
        return [Sentence(self.ids[i] if self.ids else f"{self.id}:{i}", *span) for i, span in enumerate(spans)]


class PagedDocument(Record):
    """A document whose pages are shown one by one: a PDF file, or a picture a page."""

    id: NonBlank
    """The name by which it is asked for."""
    title: str = ""
    files: tuple[NonBlank, ...] = Field(min_length=1)
    """SHA-256 of the PDF, or of the picture of each page in order; their bytes are in the evidence store."""
    pages: int = Field(ge=1)


def _form(value: Any) -> str:
    if isinstance(value, str):
        return "path"
    paged = "files" in value if isinstance(value, dict) else isinstance(value, PagedDocument)
    return "pages" if paged else "document"


PathOrDocument = Annotated[
    Annotated[str, Tag("path")] | Annotated[Document, Tag("document")] | Annotated[PagedDocument, Tag("pages")],
    Discriminator(_form),  # for errors that name the field
]


class Case(Record):
    """What all cases share."""

    id: NonBlank
    images: tuple[str, ...] = ()
    """Paths of pictures that belong to the case."""
    documents: tuple[PathOrDocument, ...] = ()
    """Documents that belong to the case: paths, texts given inline, or what became of paths to pages."""
    gold: Gold | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    def blind(self) -> Self:
        """The case as a judge may see it: without gold and metadata."""
        if self.gold is None and not self.metadata:
            return self
        return self.model_copy(update={"gold": None, "metadata": {}})


class Claim(Case):
    """A statement to verify against a corpus, documents or pictures."""

    kind: Literal["claim"] = "claim"
    claim: NonBlank
    context: str = ""
    """Where the claim was made, if it matters: speaker, date, surrounding text."""
    labels: tuple[ClaimLabel, ...] = CLAIM_LABELS
    """The closed set to choose from; some sets have no NOT ENOUGH INFO."""

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[ClaimLabel, ...]) -> tuple[ClaimLabel, ...]:
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise ValueError("labels must be two or three different labels")
        return labels


class Response(Case):
    """One answer to one prompt, to be scored."""

    kind: Literal["response"] = "response"
    prompt: NonBlank
    response: str
    criteria: tuple[str, ...] = ()
    reference: str | None = None


class Comparison(Case):
    """Two or more answers to one prompt, to be compared or ranked."""

    kind: Literal["comparison"] = "comparison"
    prompt: NonBlank
    responses: tuple[str, ...] = Field(min_length=2)
    criteria: tuple[str, ...] = ()


class Step(Record):
    """One step of an agent: what it saw, what it did. The final answer is not a step."""

    observation: str = ""
    """Text or accessibility tree of the page before the action."""
    screenshot: str | None = None
    """Path of the picture of the page before the action."""
    action: str = ""
    """As the agent wrote it, which `agentjudge.actions` reads; empty where it took none."""
    thought: str = ""
    url: str | None = None
    """Address of the page before the action."""
    error: str | None = None
    """What went wrong with this action, as the environment told it."""


class ActionChoice(Case):
    """Candidate next actions of a web agent at one page."""

    kind: Literal["action_choice"] = "action_choice"
    goal: NonBlank
    history: tuple[Step, ...] = ()
    observation: str = ""
    url: str | None = None
    candidates: tuple[str, ...] = Field(min_length=1)
    thoughts: tuple[str, ...] = ()
    """The agent's reasons, one a candidate, or none at all."""
    checklist: tuple[NonBlank, ...] = ()
    """Subgoals of the task that somebody checked; a judge that needs some writes its own where there are none."""

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        if self.thoughts and len(self.thoughts) != len(self.candidates):
            raise ValueError(f"{len(self.thoughts)} thoughts for {len(self.candidates)} candidates")
        return self


class Trajectory(Case):
    """A whole run of a web agent."""

    kind: Literal["trajectory"] = "trajectory"
    goal: NonBlank
    steps: tuple[Step, ...] = ()
    final_answer: str | None = None
    """What the agent told the user at the end. A claim of the agent's, and evidence of nothing."""
    checklist: tuple[NonBlank, ...] = ()
    """What the task asks for, point by point, as somebody checked it; a judge writes its own where there is none."""


AnyCase = Annotated[Claim | Response | Comparison | ActionChoice | Trajectory, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[Any] = TypeAdapter(AnyCase)


def parse_case(data: dict[str, Any], *, where: str = "case") -> Case:
    """A case from its JSON form; `kind` may be left out where one field tells it (`claim`, `responses`, `steps`, ...).

    Raises:
        DataError: the record is not a case; the message names the field at fault.
    """
    if not isinstance(data, dict):
        raise DataError(f"{where}: expected a JSON object, found {type(data).__name__}")
    if "kind" not in data:
        telling = {"claim": "claim", "response": "response", "responses": "comparison"}
        telling |= {"candidates": "action_choice", "steps": "trajectory"}
        kind = next((k for field, k in telling.items() if field in data), None)
        if kind is None:
            raise DataError(f"{where}: no kind, and none of the fields {', '.join(telling)} that would tell it")
        data = {"kind": kind, **data}
    try:
        case: Case = _ADAPTER.validate_python(data)
    except ValidationError as exc:
        raise DataError(f"{where}: {first_error(exc, skip=1)}") from exc
    return case


def first_error(exc: ValidationError, *, skip: int = 0) -> str:
    """The first problem of a validation error in one line: field, then what is wrong with it.

    Args:
        exc: the error.
        skip: parts of the field's path to leave out at its start, such as the tag of a union.
    """
    error = exc.errors(include_url=False)[0]
    field = ".".join(str(part) for part in error["loc"][skip:])
    message = error["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


def read_cases(path: str | Path) -> Iterator[Case]:
    """Cases of a JSON-lines file, in order; lines without an `id` get their line number.

    Raises:
        DataError: the file is absent, or a line is not a case (message with the line number).
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                data = from_json(line.decode("utf-8-sig"), allow_inf_nan=False)
            except ValueError as exc:
                raise DataError(f"{where}: not JSON ({exc})") from exc
            if isinstance(data, dict):
                data = {"id": str(number), **data}
            yield parse_case(data, where=where)


def is_right(label: str, gold: str) -> bool:
    """Whether a label is the right one; where gold says that an agent failed, `blocked` and `impossible` are too."""
    return label == gold or (gold == "failure" and label in ("blocked", "impossible"))


def complete_group(cited: Sequence[str] | set[str], gold: Gold) -> bool:
    """Whether some gold group is wholly among the cited ids; False where gold names no evidence."""
    have = set(cited)
    return any(group and have.issuperset(group) for group in gold.evidence)
