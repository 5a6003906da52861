"""The steps of a web agent as lines under ids: what tools show of them, and what a verdict cites.

    [[step 7]] click('12')
    [[step 7:0]] RootWebArea 'Shop'
    [[step 7:thought:0]] The cart should be open now.

`step 7` is the action of step 7 (from 0), `step 7:0` the first line of its observation; lines of the other parts name
their part. Blank lines have no number, and a line of over 800 characters counts as several, so that all of a step can
be shown in pieces of bounded length. What a step says is nobody's word: no line can pass for two, nor fake an id.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

from agentjudge.case import ActionChoice, Case, Step, Trajectory
from agentjudge.evidence import EvidenceRef
from agentjudge.tools.axtree import depth
from agentjudge.tools.base import BadArgs, Tool
from agentjudge.tools.citing import plain

Part = Literal["action", "url", "thought", "error", "observation"]
PARTS: tuple[Part, ...] = get_args(Part)
MAX_LINE = 800
"""Characters of a line; what is longer is several."""
MAX_CHARS = 6_000
"""Of a tool's result, references and hints on what was left out aside: about 2,000 tokens."""
MAX_ACTION = 200
"""Characters of an action that stand for its step."""
_BREAK = re.compile(r"\n|(?<=;)\t(?=\[\d+\]: )")  # WebVoyager lists all elements of a page on one line
_MAX_INDENT = 24


class Line(NamedTuple):
    """A citable piece of a part of a step."""

    step: int
    part: Part
    number: int
    """From 0, within the part."""
    start: int
    """Characters of the part's text."""
    text: str
    """As it stands there."""

    @property
    def id(self) -> str:
        """The name by which it is cited."""
        part = "" if self.part == "observation" else f"{self.part}:"
        return f"step {self.step}:{part}{self.number}"

    @property
    def shown(self) -> str:
        """The line as a judge sees it, under its id."""
        indent = " " * min(depth(self.text), _MAX_INDENT) if self.part == "observation" else ""
        return f"[[{self.id}]] {indent}{plain(self.text)}"

    def ref(self) -> EvidenceRef:
        """A pointer to it, with the literal quote."""
        end = self.start + len(self.text)
        return EvidenceRef(kind="step", id=self.id, step=self.step, start=self.start, end=end, quote=self.text)


class StepsTool(Tool[Any]):
    """Base class of tools that look at steps."""

    def fits(self, case: Case) -> bool:
        """Cases with steps."""
        return bool(steps_of(case))


def steps_of(case: Case) -> tuple[Step, ...]:
    """The steps that tools can look at; of a choice the history, and the page at hand as the last one.

    The screenshot of the page at hand is the first of the case's pictures.
    """
    if isinstance(case, Trajectory):
        return case.steps
    if not isinstance(case, ActionChoice):
        return ()
    picture = next(iter(case.images), None)
    if not (case.observation or picture):
        return case.history
    return (*case.history, Step(observation=case.observation, url=case.url, screenshot=picture))


def step_at(steps: Sequence[Step], number: int) -> Step:
    """The step with this number.

    Raises:
        BadArgs: `unknown_step`.
    """
    if not 0 <= number < len(steps):
        raise BadArgs(f"There is no step {number}; the steps are 0 to {len(steps) - 1}.", code="unknown_step")
    return steps[number]


def text_of(step: Step, part: Part) -> str:
    """The text of a part; empty where there is none."""
    return getattr(step, part) or ""


def lines_of(step: Step, number: int, part: Part) -> list[Line]:
    """The citable lines of a part of step `number`."""
    text = text_of(step, part)
    return [Line(number, part, i, start, text[start:end]) for i, (start, end) in enumerate(_pieces(text))]


def all_lines(step: Step, number: int) -> Iterator[Line]:
    """The lines of all parts of a step."""
    for part in PARTS:
        yield from lines_of(step, number, part)


def step_ref(step: Step, number: int) -> EvidenceRef:
    """A pointer to a step as a whole: the same whoever shows it. It quotes the beginning of its action."""
    quote = step.action[:MAX_ACTION]
    return EvidenceRef(kind="step", id=f"step {number}", step=number, image=step.screenshot, quote=quote or None)


def brief(text: str, most: int) -> str:
    """`text` on one line, of at most so many characters; what is cut off is marked by `[...]`."""
    cut = plain(text[: most + 1])
    return cut if len(text) <= most else f"{cut[:most]} [...]"


def fit(lines: Sequence[Line], room: int) -> int:
    """How many of the lines can be shown in `room` characters; at least one."""
    used = 0
    for count, line in enumerate(lines):
        used += len(line.shown) + 1
        if used > room:
            return max(1, count)
    return len(lines)


@lru_cache(maxsize=256)
def _pieces(text: str) -> tuple[tuple[int, int], ...]:
    """Spans of the lines that are not blank, each of at most `MAX_LINE` characters."""
    spans, at = [], 0
    for line in _BREAK.split(text):
        stop = at + len(line)
        while at < stop:
            end = min(at + MAX_LINE, stop)
            if end < stop:  # between words, unless one is very long
                end = 1 + text.rfind(" ", at + MAX_LINE // 2, end) or end
            if not text[at:end].isspace():
                spans.append((at, end))
            at = end
        at = stop + 1
    return tuple(spans)
