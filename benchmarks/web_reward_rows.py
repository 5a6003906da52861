"""Rows of WebRewardBench (Web-Shepherd, arXiv 2505.15277): steps of tasks with one right action and some wrong ones.

    for step in read_steps(Path("web_reward_bench.jsonl")):
        step.case.candidates[0]                  # the right one; the case has no checklist
        checklist_items(step.checklist)          # subgoals that people checked

The rows of WebPRM Collection's pairs, which have other names for some fields and one wrong action each, are read too.
What does not fit is an error that names the row.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AliasChoices, BeforeValidator, Field

from agentjudge.benchmarks.files import FileRow, records
from agentjudge.case import ActionChoice, Gold, NonBlank, Step
from agentjudge.errors import DataError

_ITEM = re.compile(r"^\W*Checklist \d+:", re.MULTILINE)


class Action(FileRow):
    """A step that might be taken."""

    thought: str
    action: NonBlank


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Actions = Annotated[tuple[Action, ...], BeforeValidator(_listed), Field(min_length=1)]


class Row(FileRow):
    """A row of WebRewardBench, or of WebPRM Collection's pairs."""

    task_id: int | str
    step_id: int | str
    intent: NonBlank
    start_url: str = ""
    current_url: str = ""
    thought_history: tuple[str, ...]
    action_history: tuple[str, ...]
    text_observation: str
    checklist: str = Field(default="", validation_alias=AliasChoices("gt_checklist", "checklist"))
    source_name: str = "webprm_collection"
    chosen: Actions
    rejected: Actions


class ChecklistItem(NamedTuple):
    """A subgoal of a checklist."""

    title: str
    goal: str


class ShepherdStep(NamedTuple):
    """A step of a task: its case, with the right action first, and what it is counted in."""

    case: ActionChoice
    source: str
    task: str
    checklist: str
    """The one that people checked; empty where there is none."""


def read_steps(path: Path) -> Iterator[ShepherdStep]:
    """The steps of a file, in order.

    Raises:
        DataError: the file cannot be read, a row is malformed or has not one right action, or the past has more
            thoughts than actions or fewer.
    """
    for where, row in records(path, Row):
        past = len(row.thought_history), len(row.action_history)
        if past[0] != past[1]:
            raise DataError(f"{where}: thought_history has {past[0]} entries, action_history {past[1]}")
        if len(row.chosen) != 1:
            raise DataError(f"{where}: chosen: {len(row.chosen)} right actions, not one")
        actions = (*row.chosen, *row.rejected)
        history = zip(row.thought_history, row.action_history, strict=True)
        case = ActionChoice(
            id=f"{row.source_name}-{row.task_id}-{row.step_id}",
            goal=row.intent,
            history=tuple(Step(thought=thought, action=action) for thought, action in history),
            observation=row.text_observation,
            url=row.current_url or None,
            candidates=tuple(each.action for each in actions),
            thoughts=tuple(each.thought for each in actions),
            gold=Gold(ranking=tuple(range(len(actions)))),
            metadata={"start_url": row.start_url} if row.start_url else {},
        )
        yield ShepherdStep(case, row.source_name, str(row.task_id), row.checklist)


def checklist_items(text: str) -> tuple[ChecklistItem, ...]:
    """The subgoals of a checklist: `Checklist N: TITLE`, then `- Goal: ...`.

    Raises:
        DataError: text before the first subgoal, or one without a goal.
    """
    before, *pieces = _ITEM.split(text)
    if before.strip() or not pieces:
        raise DataError(f"a checklist begins with 'Checklist 1: ...', not {text[:60]!r}")
    found = []
    for piece in pieces:
        title, _, rest = piece.strip().partition("\n")
        goal = rest.strip().removeprefix("-").strip().removeprefix("Goal:").strip()
        if not title.strip() or not goal:
            raise DataError(f"a subgoal needs a title and a goal: {piece.strip()[:60]!r}")
        found.append(ChecklistItem(title.strip(), goal))
    return tuple(found)
