"""The layout of Web-Shepherd's released models (arXiv 2505.15277): a paragraph, then `<answer>` with a line an item.

    The search is done ...
    <answer>
    Checklist 1: Yes
    Checklist 2: In Progress
    </answer>

Models that are prompted write the same lines behind `CHECKLIST EVALUATION:`, and checklists behind `[CHECKLISTS]`. An
answer must have every item once, in order, and one place for them: the released code counts the words in whatever
stands there. The first page is given for the checklist, as the models were trained.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from agentjudge.case import ActionChoice, Case
from agentjudge.errors import ParseError
from agentjudge.graphs.arbiter_opening import fence_of, fenced_actions
from agentjudge.graphs.dialect import said_with
from agentjudge.graphs.odds import odds
from agentjudge.graphs.state import JudgeContext, Opening, State
from agentjudge.graphs.subgoals import (
    LABELS,
    MOST_ITEMS,
    PROMPTS,
    ChecklistDialect,
    Item,
    Judged,
    choices,
    first_page,
    judged_case,
    listed,
    read_label,
    shown,
)
from agentjudge.graphs.turns import text_of
from agentjudge.prompts import fill, load_prompt
from agentjudge.trace import Message, Turn

_BLOCK = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_HEADINGS = (re.compile(r"CHECKLIST EVALUATION\W*?:(.*)", re.DOTALL), re.compile(r"\[CHECKLISTS\](.*)", re.DOTALL))
_ITEM = re.compile(r"^[^\w\n]*Checklist +(\d+)[^\w\n:]*:", re.MULTILINE | re.IGNORECASE)
_LINE = re.compile(_ITEM.pattern + r"[^\w\n]*(Yes|In[ _-]*Progress|No)(?!\w)", re.MULTILINE | re.IGNORECASE)


class _Part(NamedTuple):
    """The part of an answer that counts."""

    before: str
    text: str
    start: int
    """In characters of the answer."""


class ShepherdTags(ChecklistDialect):
    """The released layout."""

    stop = ("</answer>",)
    functions = False

    @property
    def prompts(self) -> tuple[str, ...]:
        """Those for the checklist, for a step, and for an answer that cannot be used."""
        return tuple(load_prompt(PROMPTS / f"tags_{name}.txt") for name in ("task", "step", "again"))

    def plan(self, case: Case, context: JudgeContext) -> Opening | None:
        """Task, first address and first page; None where the case brings a checklist.

        Raises:
            DataError: see `subgoals.choices`.
        """
        choices(case, context)
        if judged_case(case).checklist:
            return None
        parts = shown(first_page(case), context)
        text = fill(self.prompts[0], goal=parts["goal"], url=parts["url"], page=parts["page"], most=str(MOST_ITEMS))
        return Opening([{"role": "user", "content": text}])

    def plan_schema(self) -> dict[str, Any] | None:
        """None: a text."""
        return None

    def read_plan(self, text: str) -> tuple[str, ...]:
        """The items of a checklist, title and goal in one line.

        Raises:
            ParseError: none, or more than `MOST_ITEMS`.
        """
        pieces = _ITEM.split(_part(text).text)[2::2]
        items = []
        for piece in pieces:
            title, _, goal = (part.strip() for part in piece.strip().partition("\n"))
            goal = goal.removeprefix("-").strip().removeprefix("Goal:").strip()
            items.append(f"{title}: {goal}" if title and goal else title or goal)
        return listed([item for item in items if item])

    def steps(self, choices: Sequence[ActionChoice], items: Sequence[str], context: JudgeContext) -> Opening:
        """A message for each step, under the headings of the layout."""
        lines = "\n".join(_written(*item) for item in enumerate(items, 1))
        messages: list[Message] = []
        for choice in choices:
            checklist = fence_of(choice, context).wrap(lines, what="checklist")
            action = fenced_actions(choice, context, "response")
            parts = shown(choice, context)
            text = fill(self.prompts[1], **parts, items=checklist, action=action, count=str(len(items)))
            messages.append({"role": "user", "content": said_with(text, choice.images)})
        return Opening(messages)

    def again(self, problem: str, state: State, context: JudgeContext) -> Message:
        """The request for another answer."""
        return {"role": "user", "content": fill(self.prompts[2], problem=context.fence.escape(problem))}

    def read_part(self, part: Message, turn: Turn, state: State, context: JudgeContext) -> Judged:
        """The paragraph, and the label of each item.

        Raises:
            ParseError: no place for the labels or several, or not every item once and in order.
        """
        answer, n = _part(text_of(turn.message_out)), len(self.checklist(state))
        lines = list(_LINE.finditer(answer.text))
        if [int(line[1]) for line in lines] != list(range(1, n + 1)):
            raise ParseError(f"there must be one line 'Checklist K: Yes, In Progress or No' for each K from 1 to {n}")
        shares = odds(turn, [answer.start + line.start(2) for line in lines], LABELS)
        items = tuple(Item(read_label(line[2]), "", share) for line, share in zip(lines, shares, strict=True))
        return Judged(answer.before.strip().removeprefix("REASON:").strip(), items)


def _written(number: int, item: str) -> str:
    """An item as the models were trained on it."""
    title, colon, goal = item.partition(": ")
    return f"Checklist {number}: {title}\n- Goal: {goal}" if colon else f"Checklist {number}: {item}"


def _part(text: str) -> _Part:
    """What stands in the one place for the answer, behind the thought.

    Raises:
        ParseError: no such place, or several.
    """
    thought, end, rest = text.partition("</think>")
    said, start = (rest, len(thought) + len(end)) if end else (text, 0)
    found = [match for match in _BLOCK.finditer(said)] or [m for each in _HEADINGS for m in each.finditer(said)]
    if len(found) != 1:
        raise ParseError(f"expected one <answer> block, found {len(found)}")
    return _Part(said[: found[0].start()], found[0][1], start + found[0].start(1))
