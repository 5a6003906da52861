"""Texts read as numbers, amounts, dates, months, durations, distances and places, as WebArena-Verified compares them.

Each function takes a text that `verified_values.plain` made (or a value of another type as the agent gave it) and
returns what is compared, or raises `ValueError`. WebArena-Verified reads with five libraries; here the forms are spelt
out. What those libraries fill in by themselves, such as today's year in a date without one, is refused.
"""

import math
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_WEEKDAY = re.compile(r"\b(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b\.?")
_TIME = re.compile(
    r"(?:t|,?\s+(?:at\s+)?)(?:\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:[ap]\.?m\.?|z|utc|[+-]\d{2}:?\d{2})?|\d{1,2}\s*[ap]m)$"
)
_WORDS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
}
_WORDS |= {word: 10 * n for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_DURATION = (
    ("y(?:ears?|rs?)?", 365 * 86_400), ("mo(?:nths?|s)?", 30 * 86_400), ("w(?:eeks?|ks?)?", 7 * 86_400),
    ("d(?:ays?)?", 86_400), ("h(?:ours?|rs?)?", 3600), ("m(?:in(?:ute)?s?)?", 60), ("s(?:ec(?:ond)?s?)?", 1),
)  # fmt: skip
_PARTS = re.compile(r"\s*".join(rf"(?:(\d+(?:\.\d+)?|\.\d+)\s*(?:{unit})(?![a-z])\s*[,/]?)?" for unit, _ in _DURATION))
_CLOCK = re.compile(r"(?:(\d+) ?(?:days?, |:(?=\d+:\d+:)))?(?:(\d+):)?(\d{1,2}):(\d{2}(?:\.\d+)?)")
METRES = {
    "m": "1", "meter": "1", "metre": "1", "km": "1000", "kilometer": "1000", "kilometre": "1000", "mi": "1609.344",
    "mile": "1609.344", "ft": "0.3048", "foot": "0.3048", "feet": "0.3048", "yd": "0.9144", "yard": "0.9144",
    "cm": "0.01", "centimeter": "0.01", "centimetre": "0.01", "in": "0.0254", "inch": "0.0254", "inches": "0.0254",
    "mm": "0.001", "millimeter": "0.001", "millimetre": "0.001",
}  # fmt: skip
_DISTANCE = re.compile(r"([+-]?\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)")
_AMOUNT = re.compile(r"(\d[\d\s.,]*)\s*?(?:[^%\d]|$)")
_DEGREES = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*[,;/\s]\s*([+-]?\d+(?:\.\d+)?)")


def number(value: Any) -> float:
    """A number, in digits with or without commas, or in English words; other words beside them are passed over."""
    if isinstance(value, int | float):
        return float(value)
    text = _text(value, "number")
    try:
        found = float(text.replace(",", "").replace(" ", ""))
    except ValueError:
        return _in_words(text)
    if not math.isfinite(found):
        raise ValueError(f"no number: {text!r}")
    return found


def _in_words(text: str) -> float:
    whole, _, after = text.partition(" point ")
    words = [word for word in re.findall(r"[a-z]+", whole) if word in _WORDS or word in _SCALES or word == "hundred"]
    if not words:
        raise ValueError(f"no number: {text!r}")
    total = part = 0
    for word in words:
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in _SCALES:
            total, part = total + max(part, 1) * _SCALES[word], 0
        else:
            part += _WORDS[word]
    digits = [str(_WORDS[word]) for word in after.split() if word in _WORDS]
    return float(f"{total + part}.{''.join(digits) or 0}")


def amount(value: Any) -> Decimal:
    """An amount of money. The rightmost of point and comma is the decimal sign, the only one too: `1,234` is 1.234."""
    if value != 0 and not value:
        raise ValueError("no amount")
    text = str(value)
    negative, text = text.startswith("-"), text.replace("-", "") if text.startswith("-") else text
    found = _AMOUNT.search(re.sub(r"(?<=\d)'(?=\d)", "", text))
    if found is None and "free" in text:
        return Decimal(0)
    if found is None:
        raise ValueError(f"no amount: {value!r}")
    digits = "".join(found[1].split()).strip(",.")
    decimal_point = text.rfind(".") > text.rfind(",")
    digits = digits.replace(",", "") if decimal_point else digits.replace(".", "").replace(",", ".")
    try:
        return -Decimal(digits) if negative else Decimal(digits)
    except InvalidOperation as exc:
        raise ValueError(f"no amount: {value!r}") from exc


def truth(value: Any) -> bool:
    """Yes or no, in the usual words and numbers."""
    if isinstance(value, bool | int | float):
        return bool(value)
    text = _text(value, "truth value")
    if text in ("true", "yes", "y", "1", "t", "on"):
        return True
    if text in ("false", "no", "n", "0", "f", "off"):
        return False
    raise ValueError(f"neither true nor false: {text!r}")


def day(value: Any) -> date:
    """A date with day, month and year; of two numbers that may both be a month, the first is."""
    text = _TIME.sub("", _text(value, "date")).strip()
    if found := re.fullmatch(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})", text):
        return date(int(found[1]), int(found[3]), int(found[4]))
    if found := re.fullmatch(r"(\d{1,2})([-/. ])(\d{1,2})\2(\d{4}|\d{2})", text):
        first, second = int(found[1]), int(found[3])
        first, second = (second, first) if first > 12 else (first, second)
        return date(_year(found[4]), first, second)
    words = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", _WEEKDAY.sub("", text)))
    named = [month for word in words if not word.isdigit() and (month := _month_named(word))]
    numbers = [word for word in words if word.isdigit()]
    others = [word for word in words if not word.isdigit() and not _month_named(word) and word != "of"]
    if len(named) != 1 or len(numbers) != 2 or others:
        raise ValueError(f"no date: {text!r}")
    of_month, year = sorted(numbers, key=lambda digits: (len(digits) > 2, numbers.index(digits)))
    return date(_year(year), named[0], int(of_month))


def _year(digits: str) -> int:
    return int(digits) if len(digits) > 2 else 2000 + int(digits) - (100 if int(digits) >= 70 else 0)


def month(value: Any) -> int:
    """A month (1..12) by number or name, or that of a date."""
    if isinstance(value, int | float) and value == int(value):
        number = int(value)
    else:
        text = _text(value, "month").strip(".")
        words = re.findall(r"[a-z]+", text)
        named = _month_named(words[0]) if len(words) == 1 else None
        number = int(text) if text.isdigit() else named or day(text).month
    if not 1 <= number <= 12:
        raise ValueError(f"no month: {value!r}")
    return number


def _month_named(word: str) -> int | None:
    if word == "sept":
        return 9
    return next((n for n, name in enumerate(MONTHS, 1) if word == name or word == name[:3]), None)


def seconds(value: Any) -> float:
    """A duration with units, `1h 5min`, or as a clock, `4:13` being minutes and seconds; a bare number is none."""
    text = re.sub(r"(\d+):(\d+)\s*hours?", r"\1h\2m", str(value) if value else "").strip()
    sign, text = (-1 if text[:1] == "-" else 1), text.lstrip("+-").strip()
    if found := _CLOCK.fullmatch(text):
        hours = int(found[1] or 0) * 24 + int(found[2] or 0)
        return sign * (hours * 3600 + int(found[3]) * 60 + float(found[4]))
    parts = _PARTS.fullmatch(text)
    if parts is None or not any(parts.groups()):
        raise ValueError(f"no duration with its unit: {value!r}")
    return sign * sum(float(part) * size for part, (_, size) in zip(parts.groups(), _DURATION, strict=True) if part)


def metres(value: Any) -> Decimal:
    """A distance with its unit."""
    text = re.sub(r"(\d)\s*k$", r"\1 km", str(value)).replace(",", "").strip("~. ")
    found = _DISTANCE.fullmatch(text)
    unit = None if found is None else METRES.get(found[2], METRES.get(found[2].removesuffix("s")))
    if found is None or unit is None:
        raise ValueError(f"no distance with its unit: {value!r}")
    return Decimal(found[1]) * Decimal(unit)


def place(value: Any) -> tuple[float, float]:
    """Latitude and longitude in degrees: an object with both, a pair, or a text of two decimal numbers."""
    if isinstance(value, Mapping):
        named = {_axis(str(key).lower()): each for key, each in value.items()}
        value = (named.get("latitude"), named.get("longitude"))
    if isinstance(value, list | tuple) and len(value) == 2 and None not in value:
        latitude, longitude = (float(each) for each in value)
    else:
        found = _DEGREES.fullmatch(_text(value, "place"))
        if found is None:
            raise ValueError(f"no place: {value!r}")
        latitude, longitude = float(found[1]), float(found[2])
    if not -90 <= latitude <= 90:
        raise ValueError(f"no latitude: {latitude}")
    return latitude, (longitude + 180) % 360 - 180


def _axis(key: str) -> str:
    if len(key) < 2:
        return ""
    if key == "lng" or "longitude".startswith(key):
        return "longitude"
    return "latitude" if "latitude".startswith(key) else ""


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"no {what}: {value!r}")
    return value.strip()
