"""Values that an agent retrieved, in the form in which WebArena-Verified compares them with those expected.

    expected = normalised([["Sprite", "Soda"]], {"type": "array", "items": {"type": "string"}}, strict=True)
    matches(expected, normalised([" sprite "], schema, strict=False), ordered=False)        # True

The schema of a task gives each value its kind: the `format` of its JSON schema, else the `type`. A list where one
value is expected holds alternatives, of which any will do. Arrays are compared in any order unless the task says
otherwise, objects by the same fields.

| kind | the same if |
|---|---|
| string | equal without case, accents, marks and outer punctuation; an expected `^...$` is a pattern |
| number, integer, boolean, month, date | equal |
| currency | at most 0.1 apart |
| duration | at most 3 minutes or a tenth of the longer apart |
| distance | at most 10 metres or 2% of the longer apart |
| coordinates | at most 1e-5 degrees apart, on both axes |
| location-name | alike to 80 of 100, words in any order |
| url | equal without case, host and port for `git@` and `ssh://`; else scheme, host, path and query are |

Three differences from the official evaluator, all for the answer alone: a text that looks like a pattern is not taken
for one there (officially `^.*$` answers everything); letters that have no ASCII form are kept rather than written out;
addresses of the task's own sites are not put back to their names, which no expected value needs. As officially, an
agent may give alternatives too, and so hedge.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from agentjudge.benchmarks import verified_quantities as quantities

_HYPHEN = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00ad"
_HYPHENS = re.compile(rf"(?<=[a-zA-Z])[{_HYPHEN}]|[{_HYPHEN}](?=[a-zA-Z])")
_MARKS = dict.fromkeys(map(ord, "\u2122\u00ae\u2120\u00a9"))
"""Trade marks and copyright, which are left out."""
_ASCII = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u2032", "'"), **dict.fromkeys("\u201c\u201d\u201e\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"), "\u2014": "--", "\u2015": "--", "\u00df": "ss",
        "\u00e6": "ae", "\u00c6": "AE", "\u00f8": "o", "\u00d8": "O", "\u0142": "l", "\u0141": "L", "\u0111": "d",
        "\u0131": "i", "\u00d7": "x", "\u20ac": "EUR", "\u00a3": "PS", "\u00b0": "deg", "\u2022": "*",
    }
)  # fmt: skip
_EDGES = "'\"`.,;:!?"
LIKE = 80
"""How alike names of places must be, of 100."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value, as each of its alternatives is compared."""

    kind: str
    alternatives: tuple[Any, ...]
    expected: bool
    """It is the task's, and may be a pattern."""


def normalised(value: Any, schema: Mapping[str, Any], *, strict: bool) -> tuple[Any, ...] | None:
    """What is retrieved: a tuple of `Value`s, of objects of them, or of what could not be read; None for nothing.

    Args:
        value: as the response or the task has it; a single value stands for an array of one.
        schema: `results_schema` of the task.
        strict: of an expected value, which must be readable.

    Raises:
        ValueError: the schema is not that of an array, or an expected value cannot be read.
    """
    if not value and not isinstance(value, bool | int | float):
        return None
    rows = list(value) if isinstance(value, list | tuple) else [value]
    if schema.get("type", "array") != "array":
        raise ValueError(f"the task retrieves nothing, and got {value!r}")
    items = schema.get("items", {})
    if items.get("type") == "object":
        return tuple(_object(row, items, strict) for row in rows)
    return tuple(_value(row, _kind(items), strict) for row in rows)


def _kind(schema: Mapping[str, Any]) -> str:
    return str(schema.get("format") or schema.get("type") or "string")


def _value(value: Any, kind: str, strict: bool) -> Any:
    read = KINDS.get(kind)
    if read is None:
        raise ValueError(f"unknown kind of value {kind!r}")
    pair = kind == "coordinates" and isinstance(value, list) and len(value) == 2
    single = not isinstance(value, list | tuple) or (pair and all(isinstance(v, int | float | str) for v in value))
    try:
        if not single and len(value) < 2:
            raise ValueError(f"alternatives are two or more, not {value!r}")
        each = (value,) if single else tuple(value)
        return Value(kind, tuple(read(_pattern_or_plain(v, kind) if isinstance(v, str) else v) for v in each), strict)
    except (ValueError, TypeError, ArithmeticError) as exc:
        if strict:
            raise ValueError(f"expected value {value!r} is no {kind}: {exc}") from exc
        return value


def _object(value: Any, schema: Mapping[str, Any], strict: bool) -> Any:
    value = _from_json(value, dict) if isinstance(value, str) else value
    if isinstance(value, list | tuple):
        return tuple(_object(each, schema, strict) for each in value)
    if not isinstance(value, Mapping):
        if strict:
            raise ValueError(f"expected value {value!r} is no object")
        return value
    fields = schema.get("properties", {})
    return {name: _field(each, fields.get(name, {}), strict) for name, each in value.items()}


def _field(value: Any, schema: Mapping[str, Any], strict: bool) -> Any:
    if value is None:
        return None
    if schema.get("type") == "object":
        return _object(value, schema, strict)
    if schema.get("type") != "array":
        return _value(value, _kind(schema), strict)
    value = _from_json(value, list) if isinstance(value, str) else value
    if not isinstance(value, list | tuple):
        return value
    return tuple(_value(each, _kind(schema.get("items", {})), strict) for each in value)


def _from_json(text: str, kind: type) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, kind) else text


def matches(expected: Any, actual: Any, *, ordered: bool) -> bool:
    """Whether what was retrieved is what was expected, both normalised.

    Args:
        expected: the task's.
        actual: the response's.
        ordered: arrays must have the same order.
    """
    if expected is None or actual is None:
        return expected is None and actual is None
    if isinstance(expected, Mapping):
        same_keys = isinstance(actual, Mapping) and expected.keys() == actual.keys()
        return same_keys and all(matches(expected[k], actual[k], ordered=ordered) for k in expected)
    if not isinstance(expected, tuple):
        return isinstance(actual, Value) and same(expected, actual)
    if not isinstance(actual, list | tuple) or len(actual) != len(expected):
        return False
    if ordered:
        return all(matches(one, other, ordered=True) for one, other in zip(expected, actual, strict=True))
    left = list(actual)
    for one in expected:  # each takes the first that fits, as officially
        place = next((i for i, other in enumerate(left) if matches(one, other, ordered=False)), None)
        if place is None:
            return False
        del left[place]
    return True


def same(one: Value, other: Value) -> bool:
    """Whether two values of one kind are the same: some alternative of one is some of the other."""
    if one.kind != other.kind:
        return False
    if one.kind in _FIRST_ALONE:
        return _NEAR[one.kind](one.alternatives[0], other.alternatives[0])
    near = _NEAR.get(one.kind)
    if near is not None:
        return any(near(a, b) for a in one.alternatives for b in other.alternatives)
    if one.kind == "string":
        patterns = [a for a in one.alternatives if one.expected and is_pattern(a)]
        if any(_fits(pattern, b) for pattern in patterns for b in other.alternatives):
            return True
        bare = {a.strip(_EDGES) for a in one.alternatives} & {b.strip(_EDGES) for b in other.alternatives}
        return bool(bare) or not set(one.alternatives).isdisjoint(other.alternatives)
    return not set(one.alternatives).isdisjoint(other.alternatives)


def is_pattern(text: str) -> bool:
    """Whether a text is written as a pattern: `^...$`."""
    return len(text) >= 2 and text[0] == "^" and text[-1] == "$"


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.IGNORECASE) is not None


def plain(text: str) -> str:
    """A text without case, accents and marks, hyphens beside letters as spaces, and single spaces."""
    text = _HYPHENS.sub(" ", unicodedata.normalize("NFKC", text.translate(_MARKS)))
    kept = (" " if c in "\t\n\r" else c for c in text if c in "\t\n\r" or unicodedata.category(c)[0] != "C")
    apart = unicodedata.normalize("NFKD", "".join(kept).translate(_ASCII))
    letters = "".join(c for c in apart if not unicodedata.combining(c))
    return " ".join(letters.split()).casefold()


def _pattern_or_plain(text: str, kind: str) -> str:
    if kind == "url":
        return text.strip()
    return text if is_pattern(text) else plain(text)


def similarity(one: str, other: str) -> int:
    """How alike two names are (0..100), their words sorted: twice the longest common subsequence over both lengths."""
    a, b = (" ".join(sorted(re.sub(r"\W", " ", text.lower()).split())) for text in (one, other))
    if not a or not b:
        return 0
    row = [0] * (len(b) + 1)
    for char in a:
        before = 0
        for place, other_char in enumerate(b, 1):
            before, row[place] = row[place], before + 1 if char == other_char else max(row[place], row[place - 1])
    return round(200 * row[-1] / (len(a) + len(b)))


def _string(value: Any) -> str:
    return str(value).lower().strip() if not isinstance(value, str) or not is_pattern(value) else value if value else ""


def address(value: Any) -> tuple[str, ...]:
    """An address in parts; of a repository by SSH its user and path alone."""
    text = str(value or "").rstrip("/")
    if not text:
        raise ValueError("no address")
    if text.lower().startswith("ssh://"):
        parts = urlsplit(text)
        return "ssh", (parts.username or "git").lower(), parts.path.strip("/").lower()
    if text.lower().startswith("git@") and ":" in text and "://" not in text:
        user, _, path = text.partition(":")
        return "ssh", user.partition("@")[0].lower(), path.strip("/").lower()
    parts = urlsplit(text if "//" in text else f"https://{text}")
    query = sorted((key, value.lower().strip()) for key, value in parse_qsl(parts.query, keep_blank_values=False))
    host = parts.netloc.lower().removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme.lower(), ":"))
    return parts.scheme.lower(), host, parts.path.lower().rstrip("/"), parts.fragment, *(f"{k}={v}" for k, v in query)


KINDS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "number": quantities.number,
    "integer": quantities.number,
    "boolean": quantities.truth,
    "currency": quantities.amount,
    "date": quantities.day,
    "month": quantities.month,
    "duration": quantities.seconds,
    "distance": quantities.metres,
    "coordinates": quantities.place,
    "location-name": _string,
    "url": address,
}
"""What reads a value of each kind, a text being made plain first."""
_FIRST_ALONE = ("currency", "coordinates")
"""Kinds of which officially the first alternative alone is compared."""
_NEAR: dict[str, Callable[[Any, Any], bool]] = {
    "currency": lambda a, b: abs(a - b) <= Decimal("0.1"),
    "duration": lambda a, b: abs(a - b) <= max(180, 0.1 * max(a, b)),
    "distance": lambda a, b: abs(a - b) <= max(Decimal(10), max(a, b) * Decimal("0.02")),
    "coordinates": lambda a, b: all(abs(x - y) <= 1e-5 for x, y in zip(a, b, strict=True)),
    "location-name": lambda a, b: a == b if not a or not b else similarity(a, b) >= LIKE,
}
"""When two values of a kind are the same, where it is not equality."""
