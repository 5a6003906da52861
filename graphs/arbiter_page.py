"""What a judge of next steps is shown of a page: all of it, or a part that says so.

    seen = see_page(case, context)
    seen.text, seen.refs              # the page, and the elements of it that may be cited
    seen.cut                          # "The page has 2,310 lines, 1,902 of them are left out: ..."

A page of up to `MAX_PAGE` characters is shown whole. Of a longer one the elements that the actions name are shown, what
they stand in, and as many lines around them as there is room for; each gap says which lines are missing, by the numbers
under which `get_step` shows them. Where no action names an element that is there, it is the beginning of the page.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from agentjudge.actions import parse_action
from agentjudge.case import ActionChoice, Step
from agentjudge.evidence import EvidenceRef
from agentjudge.graphs.state import JudgeContext
from agentjudge.tools.axtree import Node, ancestors, read_tree
from agentjudge.tools.steps import Line, lines_of

PAGE = "page"
"""Document id of the page's tree."""
MAX_PAGE = 24_000
"""Characters of a page that is shown whole: about 8,000 tokens. Of WebPRMBench's 1,150 prompts nine are longer, and a
context of 32,000 has room beside it for all that the tools may show in one judgement."""
_MOST_PLACES = 5
"""Lines that one action may name, where it names an element by words."""
_GAP = 40
"""Characters of the line that stands for a gap, about."""
_ELEMENT = re.compile(r"\s*(?:\|[\w ()]{1,20}\|?){0,2}\*?\[([\w-]{1,40})\]")
"""`[12]` of BrowserGym and WebArena; `*[12]<a />`, `|SHADOW(open)|[12]<a />`, `|scroll element[12]<div />` of
browser-use."""
_ID = re.compile(r"[A-Za-z]{0,4}\d{1,12}")


class Page(NamedTuple):
    """A page as it is shown."""

    text: str
    refs: tuple[EvidenceRef, ...] = ()
    """Elements by the numbers that they have in the tree; those alone that are shown."""
    cut: str = ""
    """What is left out, in words; empty where nothing is."""


def see_page(case: ActionChoice, context: JudgeContext) -> Page:
    """The page of a choice, or the part of it that decides; its text is in the store afterwards."""
    if not case.observation:
        return Page("(not given)")
    context.store.add_document(PAGE, case.observation)
    (lines, ids), kept = _parsed(case.observation), shown_lines(case)
    refs: dict[str, EvidenceRef] = {}
    for line, id in ((lines[number], ids[number]) for number in kept):
        if id and id not in refs:
            start = line.start + line.text.index("[")
            refs[id] = context.store.text_ref(PAGE, start, line.start + len(line.text), id=id)
    whole = len(case.observation) <= MAX_PAGE
    return Page(case.observation if whole else _with_gaps(lines, kept), tuple(refs.values()), left_out(case))


def left_out(case: ActionChoice) -> str:
    """What is not shown of a page, in words; empty where all of it is."""
    (lines, _), kept, targets = _parsed(case.observation), shown_lines(case), _targets(case)
    if len(kept) == len(lines):
        return ""
    around = "its beginning"
    if _places(case.observation, targets):
        around = "what is around the elements that the actions name"
    absent = [target for target in targets if is_absent(target, case.observation)]
    nowhere = f" Nowhere on the page: {', '.join(absent)}." if absent else ""
    missing = f"{len(lines) - len(kept):,} of them are left out"
    return f"The page has {len(lines):,} lines, {missing}; shown is {around}.{nowhere}"


def is_absent(target: str, page: str) -> bool:
    """Whether an action names its element by a number that no element of the page has, on a page that has numbers."""
    bare = target.strip("[]'\"` ")
    if not _ID.fullmatch(bare) or re.search(rf"[\[=]{bare}(?!\w)", page):
        return False
    return any(_parsed(page)[1])


def shown_lines(case: ActionChoice) -> Sequence[int]:
    """The lines of a page that are shown, ascending: all, or those nearest to what the actions name."""
    if len(case.observation) <= MAX_PAGE:
        return range(len(_parsed(case.observation)[0]))
    return _nearest(case.observation, _targets(case))


@lru_cache(maxsize=64)
def _nearest(page: str, targets: tuple[str, ...]) -> tuple[int, ...]:
    lines, _ = _parsed(page)
    room, kept = MAX_PAGE, list[int]()
    for distance, number in sorted(zip(_distances(page, _places(page, targets)), range(len(lines)), strict=True)):
        room -= len(lines[number].text) + 1 + (_GAP if distance < 2 else 0)
        if kept and room < 0:
            break
        kept.append(number)
    return tuple(sorted(kept))


@lru_cache(maxsize=16)
def _parsed(page: str) -> tuple[list[Line], list[str]]:
    """The lines of a page, and the number of the element in each; empty where a line only goes on from the last one."""
    lines = lines_of(Step(observation=page), 0, "observation")
    found = [_ELEMENT.match(line.text) for line in lines]
    begins = [line.start == 0 or page[line.start - 1] in "\n\t" for line in lines]
    return lines, [each[1] if each and first else "" for each, first in zip(found, begins, strict=True)]


@lru_cache(maxsize=16)
def _nodes(page: str) -> list[Node]:
    return read_tree([line.text for line in _parsed(page)[0]])


def _targets(case: ActionChoice) -> tuple[str, ...]:
    """What the actions name: numbers of elements, or words."""
    named = (parse_action(candidate).target.strip("[]'\"` ") for candidate in case.candidates)
    return tuple(dict.fromkeys(filter(None, named)))


def _places(page: str, targets: Sequence[str]) -> list[int]:
    """The lines of the elements that the actions name, by number or else by words; ascending."""
    lines, ids = _parsed(page)
    places: set[int] = set()
    for target in targets:
        found = [number for number, id in enumerate(ids) if id == target]
        if not found and not _ID.fullmatch(target):
            words = target.casefold()
            found = [number for number, line in enumerate(lines) if words in line.text.casefold()]
        places.update(found[:_MOST_PLACES])
    return sorted(places)


def _distances(page: str, places: Sequence[int]) -> list[int]:
    """How far each line is from the nearest place; what a place stands in, and the first line, are its neighbours."""
    count, nodes = len(_parsed(page)[0]), _nodes(page)
    if not places:
        return list(range(count))
    far = [min(abs(number - place) for place in places) for number in range(count)]
    at = {node.line: place for place, node in enumerate(nodes)}
    around = (node.line for place in places if place in at for node in ancestors(nodes, at[place]))
    for number in (0, *around):
        far[number] = min(far[number], 1)
    return far


def _with_gaps(lines: Sequence[Line], kept: Sequence[int]) -> str:
    said, after = [], 0
    for number in (*kept, len(lines)):
        if number > after:
            missing = f"lines {after} to {number - 1}" if number - 1 > after else f"line {after}"
            said.append(f"({missing} left out)")
        if number < len(lines):
            said.append(lines[number].text)
        after = number + 1
    return "\n".join(said)
