"""WebArbiter: which next action brings a web agent closer to its goal, by principles for the page (arXiv 2601.21872).

| `ActionChoice` of | asks for | verdict |
|---|---|---|
| two actions | `preference`, -3 (the first is much better) to 3 (the second), 0 a tie | `preference` |
| more | `ranking`, best first | `ranking` |
| one | `score`, 0 to 1: does it bring the goal closer? | `score` |

The paper compares pairs alone; a choice among more is then a knockout of pairs in both orders (`agentjudge.rerank`,
`agentjudge.runs.tournaments.Knockout`), and the score of one action is what best-of-n and process rewards want. Two
dialects:

- `StepTools`: tools browse the page and the steps before it, so that nothing long is pasted whole; then the state of
  the page, criteria with weights (general ones, and own ones for this page), evidence, and the outcome under a JSON
  schema. Evidence are elements of the page, by the numbers that they have in its tree, and what tools showed. A budget
  of no turns leaves the tools out: one call a judgement.
- `agentjudge.graphs.arbiter_tags.ArbiterTags`: the layout of the released checkpoints.

`web-arbiter-predictive` (`agentjudge.graphs.arbiter_predictive`) first states what each action will lead to. The
prompts are our own wording.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from agentjudge.budget import Budget
from agentjudge.case import ActionChoice
from agentjudge.errors import ParseError
from agentjudge.graphs.arbiter_opening import (
    PRINCIPLES,
    SHOWN_STEPS,
    fenced_actions,
    fenced_parts,
    listed_principles,
)
from agentjudge.graphs.arbiter_page import left_out, see_page
from agentjudge.graphs.arbiter_tags import ArbiterTags
from agentjudge.graphs.compare import read_preference, read_ranking
from agentjudge.graphs.dialect import (
    ToolDialect,
    asked,
    cited_schema,
    object_schema,
    read_cited,
    read_confidence,
    read_object,
    read_share,
    said_with,
)
from agentjudge.graphs.loop import LoopJudge
from agentjudge.graphs.state import Draft, JudgeContext, Opening, State
from agentjudge.prompts import fill, load_prompt
from agentjudge.registry import register
from agentjudge.tools.base import Tool
from agentjudge.tools.steps import steps_of
from agentjudge.trace import Message
from agentjudge.verdict import Criterion

__all__ = ["PRINCIPLES", "SHOWN_STEPS", "ArbiterTags", "StepTools", "browsing_tools", "web_arbiter"]

PROMPTS = Path(__file__).parent / "prompts" / "web_arbiter"
OWN = 3
"""Criteria for the page at hand, at most."""


def prompt(name: str) -> str:
    """The text of one of the judge's prompts."""
    return load_prompt(PROMPTS / f"{name}.txt")


class StepTools(ToolDialect):
    """Function calls that browse page and history, then state, weighted criteria and an outcome under a JSON schema."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """System, its lines on tools, case, conclusion and repair."""
        return tuple(prompt(name) for name in ("system", "tools", "case", "conclude", "repair"))

    def open(self, case: ActionChoice, context: JudgeContext) -> Opening:
        """The principles; then goal, page, what was done and the actions, all fenced, and pictures."""
        page, n = see_page(case, context), len(case.candidates)
        text = fill(
            prompt("case"),
            **fenced_parts(case, context, page=page.text),
            notes="".join(f"{note}\n" for note in _notes(case, context, page.cut)),
            task="Score this action." if n == 1 else f"{'Compare' if n == 2 else 'Rank'} these {n} actions.",
            actions=fenced_actions(case, context, "action"),
        )
        tools = f"\n{prompt('tools')}" if may_browse(context) else ""
        instructions = fill(prompt("system"), principles=listed_principles(), tools=tools)
        pictures = case.images if context.model.profile.images else ()
        return Opening(
            [{"role": "system", "content": instructions}, {"role": "user", "content": said_with(text, pictures)}],
            page.refs,
        )

    def force(self, state: State, context: JudgeContext, *, problem: str | None) -> Message:
        """The request for the JSON verdict."""
        n = len(_case(state).candidates)
        mark, outcome = '"best": the number of the action that does best, or "tie"', f'"ranking": 1 to {n}, best first'
        if n == 1:
            mark = outcome = '"score": a number from 0 (leads away) to 1 (the best that can be done)'
        elif n == 2:
            first, second = "-3, -2, -1 if action 1 is much, clearly, slightly better", "1, 2, 3 if action 2 is"
            outcome = f'"preference": {first}; {second}; 0 for a tie'
        criterion = f'{{"name"; "weight": from 0 to 1; "reason": how the actions do on it; {mark}}}'
        request = fill(prompt("conclude"), criterion=criterion, outcome=outcome, own=str(OWN))
        return asked(request, prompt("repair"), problem, context)

    def schema(self, state: State, context: JudgeContext) -> dict[str, Any]:
        """State, criteria, evidence and reason before the outcome."""
        n = len(_case(state).candidates)
        share = {"type": "number", "minimum": 0, "maximum": 1}
        numbers = list(range(1, n + 1))
        outcome: dict[str, Any] = {"score": share}
        mark: dict[str, Any] = {"score": share}
        if n > 1:
            mark = {"best": {"enum": [*numbers, "tie"]}}
            outcome = {"preference": {"type": "integer", "enum": list(range(-3, 4))}}
        if n > 2:
            each = {"type": "integer", "enum": numbers}
            outcome = {"ranking": {"type": "array", "items": each, "minItems": n, "maxItems": n}}
        name = {"type": "string", "maxLength": 80}
        reason = {"type": "string", "maxLength": 600}
        criterion = object_schema({"name": name, "weight": share, "reason": reason, **mark})
        fewest, most = len(PRINCIPLES), len(PRINCIPLES) + OWN
        return object_schema(
            {
                "state": {"type": "string", "maxLength": 800},
                "criteria": {"type": "array", "items": criterion, "minItems": fewest, "maxItems": most},
                "evidence": cited_schema(state),
                "reason": {"type": "string", "maxLength": 1200},
                **outcome,
                "confidence": {"anyOf": [share, {"type": "null"}]},
            }
        )

    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The verdict in a JSON object.

        Raises:
            ParseError: no JSON object, or a field is missing, of the wrong type or outside of its set.
        """
        data, n = read_object(text), len(_case(state).candidates)
        found = data.get("criteria")
        if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
            raise ParseError("criteria must be a list of at least one object")
        criteria = tuple(_criterion(each, n) for each in found)
        said = (str(data.get("state") or ""), str(data.get("reason") or ""))
        judged = {criterion.name for criterion in criteria}
        missing = [name for name in PRINCIPLES if name not in judged]
        draft = Draft(
            cited=read_cited(data),
            criteria=criteria,
            rationale="\n".join(filter(None, (*said, left_out(_case(state))))),
            confidence=None if data.get("confidence") is None else read_confidence(data, context.model.profile),
            complaints=[f"the criterion {missing[0]!r} was not judged"] if missing else (),
        )
        if n == 1:
            draft.score = read_share(data.get("score"), "score")
        elif n == 2:
            draft.preference = read_preference(data.get("preference"))
        else:
            draft.ranking = read_ranking(data.get("ranking"), n)
        return draft


def _criterion(found: dict[str, Any], n: int) -> Criterion:
    name, reason = str(found.get("name") or "").strip(), str(found.get("reason") or "")
    if not name or not reason.strip():
        raise ParseError("every criterion needs a name and a reason")
    weight = read_share(found.get("weight"), f"weight of {name!r}")
    reason = f"(weight {weight:g}) {reason}"
    if n == 1:
        return Criterion(name=name, reason=reason, score=read_share(found.get("score"), f"score of {name!r}"))
    best = str(found.get("best"))
    if best not in ("tie", *(str(i) for i in range(1, n + 1))):
        raise ParseError(f"best of {name!r} must be the number of an action or 'tie', not {best!r}")
    return Criterion(name=name, reason=reason, label=best)


def _notes(case: ActionChoice, context: JudgeContext, cut: str) -> list[str]:
    """Lines on what is not in sight, and on the names that tools have for what is."""
    tools, page, notes = may_browse(context), len(case.history), []
    if cut:
        notes.append(f"{cut} {'Tools show the rest.' if tools else 'What is left out is on the page all the same.'}")
    if tools and len(steps_of(case)) > page:
        notes.append(f"This page is step {page} for the tools.")
    if tools and case.history:
        notes.append("Tools count steps from 0: number n of the trajectory is step n - 1.")
    if case.images and not context.model.profile.images:
        reads = f"view_screenshot(step={page}) reads it" if tools else "you cannot see it"
        notes.append(f"There is a screenshot of the page; {reads}.")
    return notes


def may_browse(context: JudgeContext) -> bool:
    """Whether there are tools, and calls of them in the budget."""
    return bool(context.tools.specs and context.budget.turns and context.budget.tool_calls)


def _case(state: State) -> ActionChoice:
    case = state["case"]
    assert isinstance(case, ActionChoice)
    return case


@lru_cache(maxsize=2)
def _dialect(protocol: str) -> ToolDialect:
    return ArbiterTags() if protocol == "tags" else StepTools()


def browsing_tools() -> list[Tool[Any]]:
    """The tools that browse the page and the steps before it."""
    from agentjudge.tools.trajectory import trajectory_tools

    return trajectory_tools()


@register("judge", "web-arbiter", paper="2601.21872")
def web_arbiter() -> LoopJudge:
    """Says which next action brings a web agent closer to its goal, by principles for the page."""
    return LoopJudge(
        name="web-arbiter",
        cases=(ActionChoice,),
        dialect=lambda profile: _dialect(profile.protocol),
        tools=tuple(tool.name for tool in browsing_tools()),
        brings=browsing_tools,
        budget=Budget(turns=4, tool_calls=6, answer_tokens=2048),
    )
