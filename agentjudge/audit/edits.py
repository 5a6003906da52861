"""Small changes of a text whose effect is certain: a number, a date, a name, a negation; and some that change nothing.

    swap = other_number("It opened in 1932.", "The bridge opened in 1932.")      # ("1932", "1949")
    replaced("It opened in 1932.", *swap)

Every function returns None where it cannot vouch for what the change means. A number or a name must stand in the
evidence too, and what takes its place must not; a number beside `over`, `about` and the like may be changed and still
be true, and is left alone. A sentence is negated if it has one verb form of `to be`, and no word such as `all`, `some`,
`not` or `if` that would make its negation something other than its contrary.
"""

import re
from collections.abc import Sequence

NAMES = ("Orvel Dastrum", "Miska Tolvane", "Perrin Askelow")
"""Made up; nobody's."""
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
LONGEST = 60
"""Characters of a reference that an answer can hold as its decisive part."""
_STEPS = (17, 29, 41)
_LOOSE = frozenset(
    "over above under below about around nearly almost approximately roughly than least most up only within until "
    "since before after between from to by circa some".split()
)
_UNSURE = frozenset(
    "some many most few several often sometimes usually may might could would should can not no never neither nor only "
    "all every any each both either or if unless who which that whose because while although though but when where "
    "than least more less".split()
)
_NUMBER = re.compile(r"(?<![\w.,:/$€£%+-])\d{1,4}(?![\w:/%+-]|[.,]\d)")
_NAME = re.compile(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+)+\b")
_JOINS = frozenset({"the", "of", "and", "a", "an", "for", "de", "von", "van", "&"})
_GOES_ON = re.compile(r"[-'’]|\s+(?:[A-Z0-9&-]|of\b|and [A-Z])")
_BE = re.compile(r"\b(?:is|are|was|were)\b")
_STATED = re.compile(r"(?:answer(?: is|:)\s*|\\boxed\{|####\s*)(-?\d{1,6})(?![\w]|[.,]\d)", re.IGNORECASE)
_EQUALS = re.compile(r"=\s*(-?\d{1,6})(?![\w]|[.,]\d)")
_TAG = re.compile(r"</?[a-z][a-z0-9]*")

Swap = tuple[str, str]
"""What is exchanged, and for what."""


def replaced(text: str, old: str, new: str) -> str:
    """The text with a word or a name exchanged wherever it stands by itself."""
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, text)


def holds(text: str, part: str) -> bool:
    """Whether a word or a name stands in a text by itself."""
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None


def other_number(claim: str, evidence: str, *, years: bool = False) -> Swap | None:
    """A number of the claim that the evidence has too, and one that neither has.

    Args:
        claim: names it exactly, and not as a bound.
        evidence: text of the evidence.
        years: take numbers from 1000 to 2099 alone, or all others alone.
    """
    for match in _NUMBER.finditer(claim):
        number = match[0]
        before = re.findall(r"[^\W\d_]+", claim[: match.start()].lower())[-2:]
        is_year = len(number) == 4 and 1000 <= int(number) < 2100
        if is_year != years or (not years and _LOOSE & set(before)) or not holds(evidence, number):
            continue
        if years and set(before) & {"before", "after", "since", "until", "by", "between", "from", "to", "than"}:
            continue
        made = (str(int(number) + step) for step in _STEPS)
        other = next((each for each in made if not holds(claim, each) and not holds(evidence, each)), None)
        if other is not None:
            return number, other
    return None


def other_month(claim: str, evidence: str) -> Swap | None:
    """A month of the claim that the evidence has too, and one that neither has; `May` is left alone."""
    found = next((month for month in MONTHS if month != "May" and holds(claim, month) and holds(evidence, month)), None)
    if found is None:
        return None
    place = MONTHS.index(found)
    for step in (6, 4, 8):
        other = MONTHS[(place + step) % 12]
        if other != "May" and not holds(claim, other) and not holds(evidence, other):
            return found, other
    return None


def other_name(claim: str, evidence: str) -> Swap | None:
    """A name of two words or more that both have, and one that nobody bears; not of a part of a longer one."""
    for match in _NAME.finditer(claim):
        before = claim[: match.start()].split()[-1:]
        part = match[0].startswith("The ") or _GOES_ON.match(claim, match.end()) is not None
        part = part or any(word in _JOINS or not word.islower() for word in before)
        if not part and holds(evidence, match[0]):
            return match[0], next(name for name in NAMES if name not in claim and name not in evidence)
    return None


def leaves_no_trace(evidence: str, swap: Swap) -> bool:
    """Whether nothing of what was exchanged is left in the evidence: of a name no word of it either."""
    rest = replaced(evidence, *swap)
    return not any(re.search(re.escape(word), rest, re.IGNORECASE) for word in swap[0].split())


def negated(claim: str) -> str | None:
    """The contrary of a simple sentence."""
    forms = list(_BE.finditer(claim))
    words = set(re.findall(r"[^\W\d_]+", claim.lower()))
    if len(forms) != 1 or words & _UNSURE or "n't" in claim or claim.rstrip().endswith("?"):
        return None
    end = forms[0].end()
    return None if forms[0].start() == 0 else f"{claim[:end]} not{claim[end:]}"


def other_answer(response: str, reference: str | None, references: Sequence[str]) -> str | None:
    """A right answer with its decisive part made wrong.

    Args:
        response: holds the reference once, or states one number as its answer.
        reference: what is right, where it is known.
        references: of other questions, for what is no number.
    """
    if (
        reference
        and len(reference) <= LONGEST
        and len(re.findall(rf"(?<!\w){re.escape(reference)}(?!\w)", response)) == 1
    ):
        if reference.isdecimal():
            return replaced(response, reference, str(int(reference) + _STEPS[0]))
        other = next((each for each in references if each.lower() not in response.lower()), None)
        return None if other is None else replaced(response, reference, other)
    stated = list(_STATED.finditer(response)) or list(_EQUALS.finditer(response))
    if len(stated) != 1:
        return None
    start, end = stated[0].span(1)
    return f"{response[:start]}{int(stated[0][1]) + _STEPS[0]}{response[end:]}"


def spaced(text: str) -> str:
    """The text with blanks at the ends of its lines, and a blank line at its end."""
    return "\n".join(f"{line}  " for line in text.split("\n")) + "\n\n"


def remarked(text: str) -> str | None:
    """The text with HTML tags in capitals and bold in the other Markdown; None where it has neither."""
    made = _TAG.sub(lambda tag: tag[0].upper(), text)
    made = re.sub(r"(?<!\w)\*\*([^*\n_]+)\*\*(?!\w)", r"__\1__", made)
    return None if made == text else made
