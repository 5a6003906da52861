"""What the pages of a run say of its answer, and what they say of its steps; no weight of it is learned.

    facts = read_pages(run, signs, verifier)
    facts.shift                        # -0.9: log-odds by which the chance of success moves
    facts.passages[0]                  # the line that bears most on the answer, by its citation id

No run with labels records its pages, so nothing could be fitted. Each fact moves the log-odds by its size, -1..1, all
with the same weight: such unit weights are hard to beat where there is nothing to fit (Dawes, 1979). A chance that was
moved so is no longer calibrated, and the judge then says no confidence.

Bounded reading: of all pages together `MOST_PAGES` characters are read, the last pages first; equal lines count once;
the verifier sees at most `MOST_ASKED` pairs.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agentjudge.case import Trajectory
from agentjudge.models.embedded.comparing import passages
from agentjudge.models.embedded.queries import stem, words
from agentjudge.models.embedded.trajectory_features import MOST_ANSWER, read_goal
from agentjudge.models.embedded.trajectory_signs import Signs, names_element
from agentjudge.models.embedded.verifier import Verifier, format_evidence
from agentjudge.tools.axtree import node
from agentjudge.tools.steps import lines_of

MOST_PAGES = 1_000_000
"""Characters of pages that are read, over all steps."""
MOST_PASSAGES = 6
"""Lines that are held against the answer."""
MOST_ASKED = 3
"""Parts of the answer that the verifier is asked about."""
_DIGITS = re.compile(r"\d")


class Passage(NamedTuple):
    """A line of a page, or a row that was read off a picture."""

    id: str
    """Its citation id."""
    text: str
    step: int | None = None
    line: int = 0


class PageFacts(NamedTuple):
    """Facts of the pages, each with the log-odds that it moves."""

    passages: tuple[Passage, ...]
    """Lines that bear on the answer, or on the goal where there is none; the most first."""
    moved: dict[str, float]
    """By name: `support`, -1..1; `ungrounded`, `missing`, `failed`, `failed at the end`, -1..0. Zeros are left out."""
    ungrounded: tuple[str, ...] = ()
    """Values of the answer that stand on no page and not in the goal."""
    seen: bool = False
    """Some page, or a picture of one, was read."""

    @property
    def shift(self) -> float:
        """The sum of what is moved."""
        return sum(self.moved.values())


def read_pages(
    run: Trajectory, signs: Signs, verifier: Verifier, read_off: Sequence[tuple[str, str]] = ()
) -> PageFacts:
    """What pages, errors and pictures say.

    Args:
        run: the run.
        signs: its signs.
        verifier: the learned part.
        read_off: (citation id, text) of rows that were read off pictures.
    """
    answer = spoken(run.final_answer or "")
    lines = [*(Passage(id, text) for id, text in read_off if text), *_lines(run)]
    best = _bearing(answer or run.goal, lines)
    moved: dict[str, float] = {}
    ungrounded: tuple[str, ...] = ()
    if answer and lines:
        values, known = read_goal(answer).values, run.goal.casefold()
        pages = "\n".join(line.text for line in lines).casefold()
        new = [value for value in values if value not in known]
        ungrounded = tuple(value for value in new if not _stands(value, pages))
        if signs.pages:
            moved["support"] = _support(answer, best, verifier)
            moved["ungrounded"] = -len(ungrounded) / max(1, len(new))
    pointed = [i for i in signs.taken if names_element(signs.actions[i])]
    moved["missing"] = -len(signs.missing) / max(1, len(pointed))
    moved["failed"] = -len(signs.failed) / max(1, len(run.steps))
    moved["failed at the end"] = -float(bool(signs.taken) and signs.taken[-1] in signs.failed)
    return PageFacts(best, {name: value for name, value in moved.items() if value}, ungrounded, bool(lines))


def spoken(answer: str) -> str:
    """An answer as words; of a JSON object its values without their names, or those of its `retrieved_data` alone."""
    if answer.lstrip()[:1] == "{" and len(answer) <= MOST_ANSWER:
        try:
            data = json.loads(answer)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict):
            answer = " ".join(_leaves(data.get("retrieved_data", data)))
    return " ".join(answer.split())[:MOST_ANSWER]


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif value is not None:
        yield str(value)


def _lines(run: Trajectory) -> Iterator[Passage]:
    """Lines of the pages, those of the last page first; equal ones once."""
    met: set[str] = set()
    room = MOST_PAGES
    for number in range(len(run.steps) - 1, -1, -1):
        for line in lines_of(run.steps[number], number, "observation"):
            room -= len(line.text)
            if room < 0:
                return
            text = line.text.strip()
            if text not in met:
                met.add(text)
                yield Passage(line.id, text, number, line.number)


def _bearing(wanted: str, lines: Sequence[Passage]) -> tuple[Passage, ...]:
    """The lines with the most words of a text; a number counts twice."""
    stems = {stem(word): 2 if _DIGITS.search(word) else 1 for word in words(wanted)}
    scored = []
    for place, line in enumerate(lines):
        found = sum(stems.get(word, 0) for word in {stem(word) for word in words(line.text)})
        if found:
            scored.append((-found, place))
    return tuple(lines[place] for _, place in sorted(scored)[:MOST_PASSAGES])


def _support(answer: str, best: Sequence[Passage], verifier: Verifier) -> float:
    """Chance of support less chance of contradiction, -1..1, as far as the lines bear on the answer at all."""
    if not best:
        return 0.0
    together = format_evidence([("", said_by(line.text)) for line in best])
    scores = verifier.score([(part, together) for part in passages(answer)[:MOST_ASKED]])
    balance = scores.relevance * (scores.probabilities[:, 0] - scores.probabilities[:, 1])
    return float(balance.mean())


def said_by(line: str) -> str:
    """What a line of a page says: the name of an element, or the line itself."""
    found = node(line)
    return found.name if found is not None and found.name else line


def _stands(value: str, text: str) -> bool:
    """Whether a value stands in a text, and not inside of a longer number."""
    at = text.find(value)
    while at >= 0:
        before, after = text[max(0, at - 1) : at], text[at + len(value) : at + len(value) + 1]
        if not (value[0].isdigit() and before.isdigit()) and not (value[-1].isdigit() and after.isdigit()):
            return True
        at = text.find(value, at + 1)
    return False
