"""Tools as methods with hints and docstrings, from which TRL makes its schemas."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

_TYPES: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list[Any]}


class Calls(Protocol):
    """An environment that calls tools by their names."""

    def _call(self, name: str, args: Mapping[str, Any]) -> str: ...


def as_method(function: dict[str, Any]) -> Callable[..., str]:
    """A tool as a method with hints and a docstring, from which TRL makes its schema."""
    name, schema = function["name"], function["parameters"]
    known: dict[str, Any] = schema.get("properties", {})
    needed = schema.get("required", [])

    def method(self: "Calls", **args: Any) -> str:
        return self._call(name, args)

    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    for argument, field in sorted(known.items(), key=lambda item: item[0] not in needed):
        default = inspect.Parameter.empty if argument in needed else field.get("default")
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(argument, kind, default=default, annotation=_hint(field)))
    method.__name__ = method.__qualname__ = name
    method.__signature__ = inspect.Signature(parameters, return_annotation=str)  # type: ignore[attr-defined]
    method.__annotations__ = {p.name: p.annotation for p in parameters[1:]} | {"return": str}
    lines = [f"    {argument}: {field.get('description') or argument}" for argument, field in known.items()]
    told = ["", "Args:", *lines] if lines else []
    method.__doc__ = "\n".join([function["description"], *told, "", "Returns:", "    What the tool found."])
    return method


def _hint(field: Mapping[str, Any]) -> Any:
    if "anyOf" in field:
        first = next(part for part in field["anyOf"] if part.get("type") != "null")
        return _hint(first) | None
    return _TYPES.get(field.get("type", "string"), dict[str, Any])
