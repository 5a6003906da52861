"""The layout of WebArbiter's released checkpoints, for two actions (arXiv 2601.21872).

`<State> <Criteria> <Analysis> <Answer>Response k</Answer>`, and that of an earlier harness, whose thought stands in
`<think>`. It knows neither a tie nor tools. Where not exactly one answer is given the verdict is a failure: the harness
then takes the first "Response 1" or "Response 2" that it finds anywhere. A page that is too long is cut around the
elements that the actions name; the text says so, and the verdict's rationale.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from agentjudge.case import ActionChoice
from agentjudge.errors import DataError, ParseError
from agentjudge.graphs.arbiter_opening import fenced_actions, fenced_parts, listed_principles
from agentjudge.graphs.arbiter_page import left_out, see_page
from agentjudge.graphs.dialect import ToolDialect
from agentjudge.graphs.state import Draft, JudgeContext, Opening, State
from agentjudge.prompts import fill, load_prompt
from agentjudge.tools.base import ToolCall
from agentjudge.trace import Message

PROMPTS = Path(__file__).parent / "prompts" / "web_arbiter"
STRENGTH = 2
"""Of a preference that the layout states without one: clearly better."""
_ANSWER = re.compile(r"<Answer>\s*Response\s+([12])\s*</Answer>", re.IGNORECASE)


class ArbiterTags(ToolDialect):
    """The released layout."""

    stop = ("</Answer>",)
    functions = False

    @property
    def prompts(self) -> tuple[str, ...]:
        """The case and the repair."""
        return tuple(load_prompt(PROMPTS / f"{name}.txt") for name in ("tags", "last"))

    def open(self, case: ActionChoice, context: JudgeContext) -> Opening:
        """One user message under the headings of the layout.

        Raises:
            DataError: not two actions.
        """
        if len(case.candidates) != 2:
            raise DataError(f"the released format compares two actions, not {len(case.candidates)}; run a knockout")
        page = see_page(case, context)
        parts = fenced_parts(case, context, page=page.text)
        parts["page"] += f"\n({page.cut} What is left out is on the page all the same.)" if page.cut else ""
        actions = fenced_actions(case, context, "Response")
        text = fill(self.prompts[0], principles=listed_principles(), **parts, actions=actions)
        return Opening([{"role": "user", "content": text}], page.refs)

    def calls(self, message: Message, tools: Collection[str]) -> list[ToolCall]:
        """None: the layout has no tools."""
        return []

    def force(self, state: State, context: JudgeContext, *, problem: str | None) -> Message:
        """The demand for the one answer."""
        fault = f"That answer cannot be used: {context.fence.escape(problem)}. " if problem else ""
        return {"role": "user", "content": fill(self.prompts[1], problem=fault)}

    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The one answer behind the thought.

        Raises:
            ParseError: none, or more than one.
        """
        thought, end, rest = text.partition("</think>")
        said: Sequence[str] = _ANSWER.findall(rest if end else thought)
        if len(said) != 1:
            raise ParseError(f"expected one <Answer>Response 1|2</Answer>, found {len(said)}")
        case: Any = state["case"]
        rationale = "\n".join(filter(None, (text.strip(), left_out(case))))
        return Draft(rationale=rationale, preference=-STRENGTH if said[0] == "1" else STRENGTH)
