"""JSON schemas of what an MCP client sends: cases, and arguments of our tools with their files inside.

    asking_schema(spec, corpora=["docs"])          # of a judge: `claim` or `case`, `corpus`, `deadline`
    call_schema(tool, files)                       # of a tool: the picture, document or text itself in place of a name

References are written out, for not all clients resolve them; the models are not recursive.
"""

import copy
from collections.abc import Sequence
from typing import Any

from agentjudge.case import Case, Claim
from agentjudge.graphs.loop import LoopJudge
from agentjudge.tools.base import Tool
from agentjudge.tools.checks.tool import AnswerArgs
from agentjudge.tools.doc_pages import DocumentArgs
from agentjudge.tools.looking import PictureArgs

HIDDEN = frozenset({"gold", "metadata", "id"})
"""Fields of a case that nobody has to send, or may."""
LEFT_OUT = frozenset({"$defs", "title", "discriminator"})
PICTURE = "`data:image/png;base64,...`"
DOCUMENT = "`data:application/pdf;base64,...` (or text/plain, text/markdown, text/html)"


def asking_schema(spec: LoopJudge, corpora: Sequence[str], files: str) -> dict[str, Any]:
    """Of the arguments of a judge.

    Args:
        spec: its machine.
        corpora: names of those that it may search, the first one where none is named.
        files: how pictures and documents are given, in words.
    """
    kinds = [case_schema(kind) for kind in spec.cases]
    case = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    properties: dict[str, Any] = {"case": {**case, "description": f"What is to be judged. {files}"}}
    required = ["case"]
    if Claim in spec.cases:
        about = "A statement to verify, in place of a case that has nothing else."
        properties = {"claim": {"type": "string", "description": about}, **properties}
        required = []
    if corpora and "retrieve" in spec.tools:
        about = f"Which corpus to search; {corpora[0]} when left out, none when null."
        properties["corpus"] = {"anyOf": [{"enum": list(corpora)}, {"type": "null"}], "description": about}
    properties["deadline"] = {"type": "number", "exclusiveMinimum": 0, "description": "Seconds for it, at most."}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def case_schema(kind: type[Case]) -> dict[str, Any]:
    """Of a case as it is sent: without gold, with files and texts in place of pages that are stored already."""
    whole = written_out(kind.model_json_schema())
    properties = {name: part for name, part in whole["properties"].items() if name not in HIDDEN}
    forms = properties["documents"]["items"].pop("oneOf", None) or properties["documents"]["items"].pop("anyOf")
    properties["documents"]["items"] = {"anyOf": [form for form in forms if "files" not in form.get("properties", {})]}
    required = [name for name in whole.get("required", ()) if name not in HIDDEN]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def call_schema(tool: Tool[Any], files: str) -> dict[str, Any]:
    """Of the arguments of one of our tools, for a caller that has no case: things themselves in place of their names.

    Args:
        tool: as a family of models would be told of it.
        files: how pictures and documents are given, in words.
    """
    schema: dict[str, Any] = written_out(tool.spec()["function"]["parameters"])
    properties = schema["properties"]
    for name, about in given_whole(tool).items():
        properties[name] = {**properties[name], "description": f"{about} {files if about != TEXT else ''}".strip()}
    return schema


TEXT = "The text to check."


def given_whole(tool: Tool[Any]) -> dict[str, str]:
    """The arguments that are names of something in a case, and what they are here."""
    if issubclass(tool.Args, AnswerArgs):
        return {"response": TEXT}
    if issubclass(tool.Args, DocumentArgs):
        return {"filename": "The document."}
    if not issubclass(tool.Args, PictureArgs):
        return {}
    second = {"other": "For difference: the second picture."} if "other" in tool.Args.model_fields else {}
    return {"image": "The picture.", **second}


def written_out(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with what its references mean in their place, and without titles."""
    definitions = schema.get("$defs", {})

    def resolved(part: Any, *, fields: bool = False) -> Any:
        if isinstance(part, list):
            return [resolved(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            meant = definitions[part["$ref"].removeprefix("#/$defs/")]
            return resolved({**copy.deepcopy(meant), **{name: part[name] for name in part if name != "$ref"}})
        kept = part if fields else {name: part[name] for name in part if name not in LEFT_OUT}
        return {name: resolved(each, fields=name == "properties" and not fields) for name, each in kept.items()}

    found: dict[str, Any] = resolved(schema)
    return found
