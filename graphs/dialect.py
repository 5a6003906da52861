"""How a judge and a model talk: what is said first, how a call is written, how the verdict comes back.

`ToolDialect` is the one for models with OpenAI function calls: free turns with tools, then one turn under a JSON
schema with the tools withheld. A judge derives from it and adds its prompts; judges with released checkpoints of
another format add a dialect for that (`agentjudge.graphs.veri_r1.TagDialect`).
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from pydantic_core import from_json

from agentjudge.case import Case, Document
from agentjudge.errors import ConfigError, ParseError
from agentjudge.graphs.state import Draft, JudgeContext, Opening, State, shown
from agentjudge.models.profiles import ModelProfile
from agentjudge.prompts import fill
from agentjudge.tools.base import ToolCall
from agentjudge.tools.citing import plain
from agentjudge.tools.corpus import with_safe_ids
from agentjudge.trace import Message
from agentjudge.verdict import Confidence

MAX_CITABLE = 200
"""Ids enumerated in the schema; beyond that any string is allowed and checked afterwards."""
MAX_CITED = 12


class Dialect(ABC):
    """The words of one judge for one kind of model. Stateless: everything comes in as an argument."""

    stop: Sequence[str] = ()
    """Strings that end a turn and stay in it."""
    functions = True
    """Whether the server is told of the tools; not where the prompt describes them in the judge's own words."""
    alternatives = 0
    """How many of the likeliest tokens a conclusion wants to know beside each sampled one; see `graphs.odds`."""

    @property
    @abstractmethod
    def prompts(self) -> tuple[str, ...]:
        """All prompt texts, for the provenance hash."""

    @abstractmethod
    def open(self, case: Any, context: JudgeContext) -> Opening:
        """The opening messages."""

    def plan(self, case: Any, context: JudgeContext) -> Opening | None:
        """What is asked before the case itself is shown, such as the key points of a task; None where nothing is."""
        return None

    def plan_schema(self) -> dict[str, Any] | None:
        """JSON schema of the answer to `plan`, or None."""
        raise NotImplementedError

    def unfold(self, text: str, case: Any, context: JudgeContext) -> Opening:
        """The messages that show the case, once the plan is made; `text` is the answer to `plan`.

        Raises:
            ParseError: the answer is no plan.
        """
        raise NotImplementedError

    @abstractmethod
    def calls(self, message: Message, tools: Collection[str]) -> list[ToolCall]:
        """The tool calls in an assistant message; `tools` are the names of those on offer."""

    @abstractmethod
    def observe(
        self, call: ToolCall, text: str, images: Sequence[str], context: JudgeContext, *, calls_left: int
    ) -> Message:
        """The message that brings a tool's result, with what is left of the budget."""

    @abstractmethod
    def force(self, state: State, context: JudgeContext, *, problem: str | None) -> Message:
        """The message that asks for the verdict; `problem` says what was wrong with the previous one."""

    @abstractmethod
    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The verdict in an assistant's text.

        Raises:
            ParseError: there is none.
        """

    def schema(self, state: State, context: JudgeContext) -> dict[str, Any] | None:
        """JSON schema of the conclusion, or None."""
        return None

    def with_conclusion(self, text: str) -> "Dialect":
        """This dialect, asking for the verdict by another text, whose placeholders it fills.

        Raises:
            ConfigError: the dialect has no such text, or the text has a placeholder that it does not know.
        """
        raise ConfigError(f"{type(self).__name__} asks for its verdict by no prompt that could be exchanged")

    def nudge(self, message: Message, state: State, context: JudgeContext) -> Message | None:
        """What to say to a free turn with neither a call nor a verdict; None goes straight to the conclusion."""
        return None

    def render(self, messages: Sequence[Message]) -> tuple[Sequence[Message], bool]:
        """The messages as the model wants them, and whether it goes on writing the last one."""
        return messages, False


class ToolDialect(Dialect):
    """OpenAI function calls, and a conclusion under a JSON schema."""

    def calls(self, message: Message, tools: Collection[str]) -> list[ToolCall]:
        """The calls of `tool_calls`; missing parts become empty and are refused by the tool box with a hint."""
        found = []
        for number, call in enumerate(message.get("tool_calls") or ()):
            function = call.get("function") or {}
            name, args = str(function.get("name") or ""), function.get("arguments")
            args = args if isinstance(args, str | dict) else json.dumps(args)
            found.append(ToolCall(str(call.get("id") or f"call_{number}"), name, args))
        return found

    def observe(
        self, call: ToolCall, text: str, images: Sequence[str], context: JudgeContext, *, calls_left: int
    ) -> Message:
        """A `tool` message: the fenced result, then the calls that are left, then pictures by reference."""
        text = f"{context.fence.wrap(text, what='result')}\n({plural(calls_left, 'tool call')} left)"
        return {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": said_with(text, images)}


def said_with(text: str, images: Sequence[str]) -> str | list[dict[str, Any]]:
    """The content of a message: the text, then pictures by reference."""
    if not images:
        return text
    return [{"type": "text", "text": text}, *({"type": "image_ref", "image": image} for image in images)]


def asked(request: str, repair: str, problem: str | None, context: JudgeContext) -> Message:
    """The request for the verdict; after a verdict that could not be used, led by what was wrong with it."""
    if problem:
        request = fill(repair, problem=context.fence.escape(problem)) + "\n" + request
    return {"role": "user", "content": request}


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of an object with these properties, all of them required, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def cited_schema(state: State) -> dict[str, Any]:
    """JSON schema of a list of evidence ids: a closed set while they are few, empty while none was shown."""
    ids = list(shown(state))
    item: dict[str, Any] = {"type": "string"}
    if 0 < len(ids) <= MAX_CITABLE:
        item["enum"] = ids
    return {"type": "array", "items": item, "maxItems": MAX_CITED if ids else 0}


def read_cited(data: dict[str, Any]) -> list[str]:
    """The evidence ids of a verdict, with or without their brackets.

    Raises:
        ParseError: `evidence` is not a list of strings.
    """
    cited = data.get("evidence", [])
    if not isinstance(cited, list) or not all(isinstance(i, str) for i in cited):
        raise ParseError("evidence must be a list of ids")
    return [i.strip().removeprefix("[[").removesuffix("]]") for i in cited]


def read_share(value: Any, what: str) -> float:
    """A number from 0 to 1.

    Raises:
        ParseError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ParseError(f"{what} must be a number from 0 to 1")
    return float(value)


def read_confidence(data: dict[str, Any], profile: ModelProfile) -> Confidence:
    """How sure a model is, in the way of its family.

    Raises:
        ParseError: `confidence` is not a number from 0 to 1.
    """
    return Confidence(value=read_share(data.get("confidence"), "confidence"), method=profile.confidence)


def plural(count: int, noun: str) -> str:
    """`3 tool calls`, `1 tool call`, `no tool calls`."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CONTROL = re.compile("[\x00-\x1f]")


def _escaped(string: re.Match[str]) -> str:
    return _CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", string[0])


def read_object(text: str) -> dict[str, Any]:
    """The JSON object that a text is, with or without a code fence around it.

    The whole text must be the object: an object quoted inside prose may be somebody else's. Control characters may
    stand in its strings as they are: grammars of schema backends let them through.

    Raises:
        ParseError: the text is not one JSON object.
    """
    fenced = _FENCE.match(text)
    try:
        data = from_json(_STRING.sub(_escaped, fenced[1] if fenced else text), allow_inf_nan=False)
    except (ValueError, TypeError) as exc:  # TypeError: a text with lone surrogates
        raise ParseError(f"the answer is not a JSON object: {exc}") from exc
    if not isinstance(data, dict):
        raise ParseError(f"the answer must be a JSON object, not {type(data).__name__}")
    return data


def cite(case: Case, context: JudgeContext) -> tuple[str, Opening]:
    """The case's inline documents as `[[id]] sentence` lines, and the references that they show.

    Titles, ids and sentences are flattened, so that a document cannot fake a line; ids are those that a corpus would
    give (`with_safe_ids`), and the references quote the document literally.

    Raises:
        DataError: nothing printable is left of an id.
        StoreError: two documents with different texts have one id.
    """
    blocks, refs = [], []
    for document in case.documents:
        if not isinstance(document, Document):
            continue
        document = with_safe_ids(document)
        lines = [f"# {title}"] if (title := plain(document.title)) else []
        context.store.add_document(document.id, document.text, title=document.title)
        for sentence in document.sentences():
            ref = context.store.text_ref(document.id, sentence.start, sentence.end, id=sentence.id)
            refs.append(ref)
            lines.append(f"[[{sentence.id}]] {plain(ref.quote or '')}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks), Opening([], tuple(refs))
