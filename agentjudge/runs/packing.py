"""Traces as lines of JSON in which nothing is written twice over a whole run.

The system prompt, the passages of a corpus and the references into them stand in thousands of traces. A line holds a
trace and, under `new`, the pieces that no earlier line held; a piece is known by its number, counted over the run:

    {"case": "c1", "status": "scored", "at": 0, "trace": {...},
     "new": ["It opened in 1932.", [" ", "[[b:0]]", 0], {"kind": "text", "doc": "b", "quote": "~0", ...}]}

`~0` in place of a value is piece 0, and `~3+4` in a list stands for pieces 3 to 6; a string that begins with a tilde of
its own has it doubled. A piece that is a list with a text at its head is a long text: what joins its parts, then the
parts: short texts, numbers of pieces, or `[3, 4]` for pieces 3 to 6; a list proper stands in another list. Texts are
cut into lines, then sentences, so that a sentence that was shown, quoted and cited is one piece. `at` is the number of
the line's first new piece; where it is 0 the counting starts over, and lines from there on need no earlier ones.

A server's `prompt_ids` repeat the conversation at every turn: a turn keeps how many of them begin as the turn before
went on (its prompt and its answer), and the rest. Fields that hold what they hold by default are left out.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson

from agentjudge.errors import DataError, StoreError
from agentjudge.evidence import EvidenceRef
from agentjudge.trace import ToolEvent, Trace
from agentjudge.verdict import Verdict

SHORT = 24
"""Shorter strings, in characters, are written as they are."""
SMALL = 32
"""Objects and lists of less JSON, in bytes, are written as they are."""
REMEMBERED = 512
MOST_PIECES = 1 << 19
"""Then the counting starts over, which bounds the memory of writers and readers."""
_SENTENCE = re.compile(r"(?<=[.!?\]]) ")
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
# Left out of lines where they hold nothing else. Part of the format: a change is a new version of it.
_CASE: dict[str, Any] = {"images": [], "documents": [], "gold": None, "metadata": {}}
_TURN: dict[str, Any] = {
    "phase": "act",
    "finish_reason": "stop",
    "prompt_ids": None,
    "output_ids": None,
    "logprobs": None,
    "tokens": None,
    "alternatives": None,
    "usage": {},
}
_COST = dict.fromkeys(("turns", "tool_calls", "prompt_tokens", "cached_tokens", "completion_tokens", "images"), 0)
_EVENT = {"refs": [], "images": [], "data": {}, "error": ""}
_OUTCOMES = dict.fromkeys(("label", "score", "preference", "ranking", "step_scores"))
_VERDICT = _OUTCOMES | {"probabilities": None, "criteria": [], "evidence": [], "confidence": None, "failure": None}


class Packer:
    """Makes lines of traces; remembers what it has written.

    Args:
        pieces: what the lines of the run hold so far; none when None.
    """

    def __init__(self, pieces: "Pieces | None" = None) -> None:
        self._numbers: dict[str | bytes, int] = {}
        self._seen: dict[bytes, str] = {}  # small values as they came, for a short way to their numbers
        self._cited: dict[tuple[Any, ...], int] = {}  # the same of references, of which a trace has most
        self._new: list[Any] = []
        pieces = pieces or Pieces()
        self._count = len(pieces.known)
        for number, piece in enumerate(pieces.known):
            line = isinstance(piece, str) or (isinstance(piece, list) and piece[0] == " ")
            self._numbers[pieces.text(number) if line else dumps(piece)] = number

    def line(self, trace: Trace) -> bytes:
        """The line of a trace, with its line end.

        Raises:
            DataError: the trace holds what is not JSON, such as an array among the data of a tool.
        """
        if self._count > MOST_PIECES:
            self._forget()
        at, self._new = self._count, []
        head = {"case": trace.case.id, "status": trace.verdict.status, "at": at}
        try:
            return dumps({**head, "trace": self._trace(trace), "new": self._new}) + b"\n"
        except (TypeError, ValueError, RecursionError) as exc:
            self._forget()  # numbers were given to pieces that no line will hold
            raise DataError(f"the trace of case {trace.case.id!r} is not JSON: {exc}") from exc

    def _forget(self) -> None:
        self._numbers.clear()
        self._seen.clear()
        self._cited.clear()
        self._count = 0

    def _trace(self, trace: Trace) -> dict[str, Any]:
        data = replace(trace, events=[replace(event, refs=()) for event in trace.events], opening=()).to_json()
        verdict = _lean(data["verdict"], _VERDICT)
        packed = {
            "version": data["version"],
            "judge": data["judge"],
            "case": self._value(_lean(data["case"], _CASE)),
            "messages": self._value(data["messages"]),
            "opening": self._references(trace.opening),
            "turns": _lean_turns(data["turns"]),
            "events": [self._event(*pair) for pair in zip(data["events"], trace.events, strict=True)],
        }
        verdict.pop("evidence", None)
        usage, made = _lean(verdict["usage"], _COST), self._whole(verdict["provenance"])
        packed["verdict"] = self._value(verdict) | {"usage": usage, "provenance": made}
        if trace.verdict.evidence:
            packed["verdict"]["evidence"] = self._references(trace.verdict.evidence)
        return packed

    def _event(self, data: dict[str, Any], event: ToolEvent) -> dict[str, Any]:
        refs = self._references(event.refs)
        rest = {name: self._value(value) for name, value in _lean(data, _EVENT).items()}
        return {**rest, "refs": refs} if refs else rest

    def _references(self, refs: Sequence[EvidenceRef]) -> list[str]:
        runs = _runs([self._reference(ref) for ref in refs])
        return [f"~{run}" if isinstance(run, int) else "~{}+{}".format(*run) for run in runs]

    def _reference(self, ref: EvidenceRef) -> int:
        key = tuple(ref.__dict__.values())
        number = self._cited.get(key)
        if number is None:
            name: str = self._whole(ref.model_dump(mode="json", exclude_none=True), least=0)
            number = self._cited[key] = int(name[1:])
        return number

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {
                name: self._whole(each) if type(each) is list else self._value(each) for name, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._whole(each) if isinstance(each, dict | list | tuple) else self._value(each) for each in value]
        return value

    def _whole(self, value: Any, *, least: int = SMALL) -> Any:
        """An object or a list, as a piece unless its JSON is of less than so many bytes."""
        raw = dumps(value)
        known = self._seen.get(raw)
        if known is not None:
            return known
        packed = self._value(value)
        piece = [packed] if isinstance(packed, list) else packed
        key = dumps(piece)
        if len(key) < least:
            return packed
        number = self._numbers.get(key)
        if number is None:  # most of what is new never comes again, and is not worth two places
            return f"~{self._add(key, piece)}"
        if len(raw) <= REMEMBERED:
            self._seen[raw] = f"~{number}"
        return f"~{number}"

    def _text(self, text: str) -> str:
        if len(text) < SHORT:
            return "~" + text if text.startswith("~") else text
        return f"~{self._number(text)}"

    def _number(self, text: str) -> int:
        """The number of a long text. Lines are known by themselves; texts of many lines, which are long, by theirs."""
        lines = text.split("\n")
        if len(lines) == 1:
            return self._line(text)
        parts = [line if len(line) < SHORT else self._numbers.get(line) for line in lines]
        new = [at for at, part in enumerate(parts) if part is None]
        for at in new:  # before the lines themselves, so that lines of one text get numbers in a row
            self._sentences(lines[at])
        for at in new:
            parts[at] = self._line(lines[at])
        piece = ["\n", *_runs(parts)]
        key = dumps(piece)
        number = self._numbers.get(key)
        return self._add(key, piece) if number is None else number

    def _line(self, text: str) -> int:
        number = self._numbers.get(text)
        if number is not None:
            return number
        sentences = _SENTENCE.split(text)
        if len(sentences) == 1:
            return self._add(text, text)
        return self._add(text, [" ", *_runs([part if len(part) < SHORT else self._line(part) for part in sentences])])

    def _sentences(self, line: str) -> None:
        for sentence in parts if len(parts := _SENTENCE.split(line)) > 1 else ():
            if len(sentence) >= SHORT:
                self._line(sentence)

    def _add(self, key: str | bytes, piece: Any) -> int:
        number = self._numbers[key] = self._count
        self._count += 1
        self._new.append(piece)
        return number


class Pieces:
    """Reads lines back, in order."""

    def __init__(self) -> None:
        self.known: list[Any] = []
        self._checked: dict[int, EvidenceRef] = {}

    def read(self, line: bytes) -> dict[str, Any]:
        """The JSON object of a line, its pieces remembered.

        Raises:
            ValueError: not a line of a run.
            StoreError: a line before it is missing.
        """
        row = json.loads(line)  # unlike orjson, with integers of any size and lone surrogates
        if not isinstance(row, dict) or not {"case", "status", "at", "new", "trace"} <= row.keys():
            raise ValueError("not a line of a run")
        if row["at"] == 0:
            self.known, self._checked = [], {}
        if row["at"] != len(self.known):
            raise StoreError(f"it builds on {row['at']} pieces, and the lines before it hold {len(self.known)}")
        self.known += row["new"]
        return row

    def trace(self, row: dict[str, Any]) -> Trace:
        """The trace of the line that was read last.

        Raises:
            DataError: not a trace, or one of another version.
        """
        packed = row["trace"]
        whole = {name: packed[name] for name in ("version", "judge")}
        whole |= {name: self._value(packed[name]) for name in ("case", "messages")}
        whole["opening"] = self._references(packed["opening"])
        whole["turns"] = _full_turns(packed["turns"])
        whole["events"] = [self._event(event) for event in packed["events"]]
        whole["verdict"] = self._verdict(packed["verdict"])
        return Trace.from_json(whole)

    def verdict(self, row: dict[str, Any]) -> Verdict:
        """The verdict of the line that was read last."""
        return Verdict.model_validate(self._verdict(row["trace"]["verdict"]))

    def _verdict(self, packed: dict[str, Any]) -> dict[str, Any]:
        rest = {name: self._value(value) for name, value in packed.items() if name != "evidence"}
        return {**rest, "evidence": self._references(packed.get("evidence", []))}

    def text(self, number: int) -> str:
        """A text among the pieces."""
        piece = self.known[number]
        if isinstance(piece, str):
            return piece
        joint, *parts = piece
        return str(joint).join(self._parts(parts))

    def _parts(self, parts: Sequence[Any]) -> Iterator[str]:
        for part in parts:
            if isinstance(part, list):
                first, count = part
                yield from map(self.text, range(first, first + count))
            else:
                yield part if isinstance(part, str) else self.text(part)

    def _event(self, packed: dict[str, Any]) -> dict[str, Any]:
        rest = {name: self._value(value) for name, value in packed.items() if name != "refs"}
        return {"images": [], "data": {}, "error": "", **rest, "refs": self._references(packed.get("refs", []))}

    def _references(self, packed: Sequence[str]) -> list[EvidenceRef]:
        """References; each is checked once, however many traces show it."""
        numbers = [number for run in packed for number in _numbers(run)]
        for number in numbers:
            if number not in self._checked:
                self._checked[number] = EvidenceRef.model_validate(self._value(self.known[number]))
        return [self._checked[number] for number in numbers]

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._value(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._value(each) for each in value]
        if not isinstance(value, str) or not value.startswith("~"):
            return value
        if value.startswith("~~"):
            return value[1:]
        piece = self.known[int(value[1:])]
        if _is_text(piece):
            return self.text(int(value[1:]))
        return self._value(piece[0] if isinstance(piece, list) else piece)


def _is_text(piece: Any) -> bool:
    return isinstance(piece, str) or (isinstance(piece, list) and isinstance(piece[0], str))


def _runs(parts: Sequence[Any]) -> list[Any]:
    """Numbers that follow each other as `[first, how many]`; a number alone, and texts, as they are."""
    runs: list[Any] = []
    at = 0
    while at < len(parts):
        first, end = parts[at], at + 1
        if isinstance(first, int):
            while end < len(parts) and parts[end] == first + end - at:
                end += 1
        runs.append(first if end == at + 1 else [first, end - at])
        at = end
    return runs


def _numbers(run: str) -> range:
    """The numbers that `~3` or `~3+4` stands for."""
    first, _, count = run[1:].partition("+")
    return range(int(first), int(first) + int(count or 1))


def _lean_turns(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    packed: list[dict[str, Any]] = []
    ids: list[int] = []
    model = ""
    for turn in turns:
        lean = _lean({**turn, "usage": _lean(turn["usage"], _COST)}, {**_TURN, "model_version": model})
        read = turn["messages_in"]
        if list(read) == list(range(turn["message_out"])):
            del lean["messages_in"]
        if turn["prompt_ids"] is not None:
            same = _common(ids, turn["prompt_ids"])
            lean["prompt_ids"] = [same, *turn["prompt_ids"][same:]]
            ids = turn["prompt_ids"] + (turn["output_ids"] or [])
        model = turn["model_version"]
        packed.append(lean)
    return packed


def _full_turns(packed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    ids: list[int] = []
    model = ""
    for lean in packed:
        turn = {"usage": {}, "model_version": model, "messages_in": range(lean["message_out"]), **_TURN, **lean}
        if turn["prompt_ids"] is not None:
            same, *rest = turn["prompt_ids"]
            turn["prompt_ids"] = ids[:same] + rest
            ids = turn["prompt_ids"] + (turn["output_ids"] or [])
        model = turn["model_version"]
        turns.append(turn)
    return turns


def _lean(data: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """`data` without what is as it is by default; an empty tuple counts as an empty list."""
    return {
        name: value
        for name, value in data.items()
        if name not in defaults or (defaults[name] != ([] if value == () else value))
    }


def _common(before: list[int], ids: list[int]) -> int:
    """How many items two lists begin with alike."""
    low, high = 0, min(len(before), len(ids))
    while low < high:
        middle = (low + high + 1) // 2
        if before[low:middle] == ids[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def dumps(value: Any) -> bytes:
    """JSON, also of what orjson refuses: integers over 64 bits, lone surrogates."""
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()
