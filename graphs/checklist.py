"""Checklist judge: how far has a task come with a step of a web agent, subgoal by subgoal (Web-Shepherd, 2505.15277).

    with Judge.load("checklist", model="vllm:Qwen/Qwen3-8B") as judge:
        verdict = judge.judge(ActionChoice(id="1", goal="Buy the blue mug", candidates=("click('12')",)))
    verdict.score                                                     # 0..1
    [(item.name, item.label, item.probability) for item in verdict.criteria]

| case | judged | verdict |
|---|---|---|
| `ActionChoice` of one action | the action | `score` |
| `Trajectory` | every step by itself, which takes a turn of the budget a step | `step_scores`, one a step |

A choice of several is refused: the policy `ByScore` scores each alone. First a checklist of at most `MOST_ITEMS`
subgoals is written from the task, the first address and the first page alone. A case may bring its own, and should
where actions at one page are compared; the names of a verdict's criteria are its checklist. Then thought and action are
held against each item: a reason, then `Yes`, `In Progress` or `No`.

An item is worth P(Yes) + P(In Progress) / 2, and the score is the mean over the items. The probabilities are those at
the place where a label was written, out of `ALTERNATIVES` tokens beside the sampled one (`agentjudge.graphs.odds`).
`Criterion.probability` is that of the label written, `Criterion.score` what the item is worth, and the confidence, by
the method `logprob`, the mean probability of the labels written. Where a server does not tell them for all items, an
item is worth 1, 0.5 or 0 by its label; then there is neither probability nor confidence, and the rationale says so. The
paper takes the mean of 5 samples at temperature 1: the policy `Repeat(5)`.

Criteria and rationale of a run are those of its last step. What the agent reported at the end is not shown, and a
screenshot only where a page has no text. The prompts are our own wording; `agentjudge.graphs.checklist_tags` is the
layout of the released models.
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from agentjudge.budget import Budget
from agentjudge.case import ActionChoice, Case, Trajectory
from agentjudge.errors import ParseError
from agentjudge.graphs.arbiter_opening import fence_of, fenced_actions
from agentjudge.graphs.checklist_tags import ShepherdTags
from agentjudge.graphs.dialect import object_schema, read_object, said_with
from agentjudge.graphs.fanout import FanJudge
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
from agentjudge.registry import register
from agentjudge.tools.citing import plain
from agentjudge.trace import Message, Turn

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


class Subgoals(ChecklistDialect):
    """A checklist, then a reason and a label an item, under JSON schemas.

    Args:
        judge: asks for the labels, in place of the prompt file; its placeholder is `{{count}}`.
    """

    def __init__(self, judge: str | None = None) -> None:
        self._judge = judge or load_prompt(PROMPTS / "judge.txt")
        fill(self._judge, count="")

    @property
    def prompts(self) -> tuple[str, ...]:
        """Plan, task, system, step and repair; then the request for labels."""
        names = ("plan", "task", "system", "step", "repair")
        return (*(load_prompt(PROMPTS / f"{name}.txt") for name in names), self._judge)

    def with_conclusion(self, text: str) -> "Subgoals":
        """See `Dialect.with_conclusion`; the placeholder is `{{count}}`, the number of subgoals."""
        return Subgoals(text)

    def plan(self, case: Case, context: JudgeContext) -> Opening | None:
        """Task, first address and first page, and the question for subgoals; None where the case brings them.

        Raises:
            DataError: see `subgoals.choices`.
        """
        choices(case, context)
        if judged_case(case).checklist:
            return None
        system, task, *_ = self.prompts
        parts, most = shown(first_page(case), context), str(MOST_ITEMS)
        text = fill(task, goal=parts["goal"], url=parts["url"], page=parts["page"], most=most)
        return Opening([{"role": "system", "content": fill(system, most=most)}, {"role": "user", "content": text}])

    def plan_schema(self) -> dict[str, Any]:
        """An analysis, then short texts."""
        item = {"type": "string", "minLength": 1, "maxLength": 300}
        items = {"type": "array", "items": item, "minItems": 1, "maxItems": MOST_ITEMS}
        return object_schema({"analysis": {"type": "string", "maxLength": 800}, "items": items})

    def read_plan(self, text: str) -> tuple[str, ...]:
        """The items of a JSON object.

        Raises:
            ParseError: none, or more than `MOST_ITEMS`.
        """
        items = read_object(text).get("items")
        if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
            raise ParseError("items must be a list of texts")
        return listed(items)

    def steps(self, choices: Sequence[ActionChoice], items: Sequence[str], context: JudgeContext) -> Opening:
        """The instructions, then a message for each step."""
        _, _, system, step, _, judge = self.prompts
        lines = "\n".join(f"{number}. {plain(item)}" for number, item in enumerate(items, 1))
        request = fill(judge, count=str(len(items)))
        messages: list[Message] = [{"role": "system", "content": system}]
        for choice in choices:
            subgoals = fence_of(choice, context).wrap(lines, what="subgoals")
            action = fenced_actions(choice, context, "step")
            text = fill(step, **shown(choice, context), items=subgoals, action=action)
            messages.append({"role": "user", "content": said_with(f"{text}\n\n{request}", choice.images)})
        return Opening(messages)

    def schema(self, state: State, context: JudgeContext) -> dict[str, Any]:
        """A summary, then for each subgoal the reason before the label."""
        n, reason = len(self.checklist(state)), {"type": "string", "maxLength": 400}
        item = object_schema({"reason": reason, "label": {"enum": list(LABELS)}})
        items = {"type": "array", "items": item, "minItems": n, "maxItems": n}
        return object_schema({"summary": {"type": "string", "maxLength": 800}, "items": items})

    def again(self, problem: str, state: State, context: JudgeContext) -> Message:
        """The request for another answer."""
        return {"role": "user", "content": fill(self.prompts[4], problem=context.fence.escape(problem))}

    def read_part(self, part: Message, turn: Turn, state: State, context: JudgeContext) -> Judged:
        """Summary and items of a JSON object.

        Raises:
            ParseError: no JSON object, another number of items, or a label that is none.
        """
        text, n = text_of(turn.message_out), len(self.checklist(state))
        data = read_object(text)
        said = data.get("items")
        if not isinstance(said, list) or len(said) != n or not all(isinstance(each, dict) for each in said):
            raise ParseError(f"items must be a list of {n} objects, one for each subgoal")
        labels = [read_label(each.get("label")) for each in said]
        places = _places(text, [each["label"] for each in said])
        shares = odds(turn, places, LABELS) if places else [None] * n
        reasons = [str(each.get("reason") or "") for each in said]
        items = tuple(Item(*item) for item in zip(labels, reasons, shares, strict=True))
        return Judged(str(data.get("summary") or ""), items)


def _places(text: str, labels: Sequence[str]) -> list[int]:
    """Where the values of the fields `label` begin in the text of a JSON object; empty where they are not these."""
    places, found = [], []
    for key, value in pairwise(_STRING.finditer(text)):
        if key[0] == '"label"' and text[key.end() : value.start()].strip() == ":":
            said = value[0][1:]
            places.append(value.start() + 1 + len(said) - len(said.lstrip()))
            found.append(json.loads(value[0], strict=False))
    return places if found == list(labels) else []


@lru_cache(maxsize=2)
def _dialect(protocol: str) -> ChecklistDialect:
    return ShepherdTags() if protocol == "tags" else Subgoals()


@register("judge", "checklist", paper="2505.15277")
def checklist() -> FanJudge:
    """Scores a step of a web agent, or each step of a run, by how far the subgoals of its task have come."""
    return FanJudge(
        name="checklist",
        cases=(ActionChoice, Trajectory),
        dialect=lambda profile: _dialect(profile.protocol),
        tools=(),
        budget=Budget(turns=100, images=None, answer_tokens=2048),
    )
