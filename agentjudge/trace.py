"""How a verdict came about: one record, read by serving, benchmarks, rewards and training alike.

Rewards and statistics read these typed records, never text, so a policy cannot print its way to a bonus. Each
message is stored once: `Trace.messages` holds the conversation in OpenAI's shape with pictures as references, and a
`Turn` points into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from pydantic import TypeAdapter

from agentjudge.case import Case, parse_case
from agentjudge.errors import DataError, boundary
from agentjudge.evidence import EvidenceRef
from agentjudge.verdict import Verdict

TRACE_VERSION = 1

Message = dict[str, Any]
Phase = Literal["plan", "act", "conclude"]
"""plan: before the case itself is shown; act: free, with tools; conclude: the verdict, under a schema."""
ToolStatus = Literal["ok", "bad_args", "failed", "timeout"]


@dataclass(slots=True)
class TurnUsage:
    """Tokens of one turn. `cached_tokens` is the part of the prompt that the server's prefix cache held."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


@dataclass(slots=True)
class Turn:
    """One answer of the model.

    `prompt_ids`, `output_ids` and `logprobs` (natural logarithm, one a sampled token) are the server's own, never
    re-tokenised; None where the model has none. `tokens` and `alternatives` are there where they were asked for.
    """

    message_out: Message
    """The assistant message, in OpenAI's shape."""
    messages_in: tuple[int, ...] = ()
    """Indexes into `Trace.messages` of the messages it answered."""
    phase: Phase = "act"
    prompt_ids: list[int] | None = None
    output_ids: list[int] | None = None
    logprobs: list[float] | None = None
    tokens: list[str] | None = None
    """Texts of the sampled tokens; bytes that are no UTF-8 by themselves stand as lone surrogates (surrogateescape)."""
    alternatives: list[dict[str, float]] | None = None
    """For each sampled token the likeliest ones at its place, text to log-probability; of one text they are summed."""
    finish_reason: str = "stop"
    model_version: str = ""
    usage: TurnUsage = field(default_factory=TurnUsage)
    started: float = 0.0
    """Seconds since the judgement began."""
    seconds: float = 0.0


@dataclass(slots=True)
class ToolEvent:
    """One executed tool call. `refs` are the pieces of evidence that its result showed to the model."""

    call_id: str
    name: str
    args: dict[str, Any]
    status: ToolStatus
    refs: tuple[EvidenceRef, ...] = ()
    images: tuple[str, ...] = ()
    """SHA-256 of the pictures shown."""
    data: dict[str, Any] = field(default_factory=dict)
    """The result in typed form, for models and rewards that do not read prose. JSON values only."""
    error: str = ""
    turn: int = 0
    """Index of the turn that made the call."""
    seconds: float = 0.0


@dataclass(slots=True)
class Trace:
    """A whole judgement. JSON round-trip by `to_json` and `from_json`."""

    case: Case
    """Without gold."""
    judge: str
    messages: list[Message]
    turns: list[Turn]
    events: list[ToolEvent]
    opening: tuple[EvidenceRef, ...]
    """Evidence shown in the opening messages."""
    verdict: Verdict
    version: int = TRACE_VERSION

    @property
    def shown(self) -> dict[str, EvidenceRef]:
        """All evidence shown to the judge, by citation id."""
        return shown_evidence(self.opening, self.events)

    def to_json(self) -> dict[str, Any]:
        """A JSON object, sharing its lists with this trace; a turn's `message_out` is its index in `messages`."""
        index = {id(message): i for i, message in enumerate(self.messages)}
        turns = [
            {**_shallow(turn), "message_out": index[id(turn.message_out)], "usage": _shallow(turn.usage)}
            for turn in self.turns
        ]
        return {
            "version": self.version,
            "judge": self.judge,
            "case": self.case.model_dump(mode="json"),
            "messages": self.messages,
            "turns": turns,
            "events": [{**_shallow(event), "refs": _dump(event.refs)} for event in self.events],
            "opening": _dump(self.opening),
            "verdict": self.verdict.model_dump(mode="json"),
        }

    @property
    def pictures(self) -> dict[str, str]:
        """The pictures shown to the judge, name to SHA-256; see `picture_names`."""
        return picture_names(self.case, self.events)

    def timeless(self) -> "Trace":
        """This trace with every time set to 0: two runs of one seed and a scripted model are equal in all the rest."""
        usage = self.verdict.usage.model_copy(update={"seconds": 0.0})
        return replace(
            self,
            turns=[replace(turn, started=0.0, seconds=0.0) for turn in self.turns],
            events=[replace(event, seconds=0.0) for event in self.events],
            verdict=self.verdict.model_copy(update={"usage": usage}),
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Trace":
        """The trace that `to_json` wrote.

        Raises:
            DataError: another version, or not a trace.
        """
        with boundary(DataError, "not a trace"):
            if data.get("version") != TRACE_VERSION:
                raise DataError(f"trace version {data.get('version')!r}; this package reads version {TRACE_VERSION}")
            return cls._read(data)

    @classmethod
    def _read(cls, data: dict[str, Any]) -> "Trace":
        messages = data["messages"]
        turns = []
        for raw in data["turns"]:
            rest = {k: v for k, v in raw.items() if k not in ("message_out", "messages_in", "usage")}
            turn = Turn(message_out=messages[raw["message_out"]], usage=TurnUsage(**raw["usage"]), **rest)
            turn.messages_in = tuple(raw["messages_in"])
            turns.append(turn)
        events = [
            ToolEvent(**{**raw, "refs": _load(raw["refs"]), "images": tuple(raw["images"])}) for raw in data["events"]
        ]
        return cls(
            case=parse_case(data["case"]),
            judge=data["judge"],
            messages=messages,
            turns=turns,
            events=events,
            opening=_load(data["opening"]),
            verdict=Verdict.model_validate(data["verdict"]),
        )


def shown_evidence(opening: tuple[EvidenceRef, ...], events: list[ToolEvent]) -> dict[str, EvidenceRef]:
    """Evidence shown in the opening messages or by a tool, by citation id; the first showing of an id counts."""
    shown: dict[str, EvidenceRef] = {ref.id: ref for ref in reversed(opening) if ref.id}
    for event in events:
        for ref in event.refs:
            if ref.id:
                shown.setdefault(ref.id, ref)
    return shown


def picture_names(case: Case, events: Sequence[ToolEvent]) -> dict[str, str]:
    """The pictures that the judge has seen, name to SHA-256, in the order in which they were shown.

    Those of the case are `original_image`, `original_image_2`, ...; those that tools showed `observation_1`,
    `observation_2`, ... (the names of arXiv 2512.05111). A name stands for nothing else: no file is ever looked for.
    """
    names = {f"original_image_{n}" if n > 1 else "original_image": image for n, image in enumerate(case.images, 1)}
    shown = [image for event in events for image in event.images]
    return names | {f"observation_{n}": image for n, image in enumerate(shown, 1)}


_REFS = TypeAdapter(tuple[EvidenceRef, ...])
_FIELDS = {kind: tuple(f.name for f in fields(kind)) for kind in (TurnUsage, Turn, ToolEvent)}


def _shallow(record: TurnUsage | Turn | ToolEvent) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _FIELDS[type(record)]}


def _dump(refs: tuple[EvidenceRef, ...]) -> list[dict[str, Any]]:
    dumped: list[dict[str, Any]] = _REFS.dump_python(refs, mode="json", exclude_none=True)
    return dumped


def _load(refs: list[dict[str, Any]]) -> tuple[EvidenceRef, ...]:
    return tuple(EvidenceRef.model_validate(ref) for ref in refs)
