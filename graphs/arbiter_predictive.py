"""WebArbiter that first says what each action will lead to, then compares.

    with Judge.load("web-arbiter-predictive", model="vllm:Qwen/Qwen3-8B") as judge: ...

A ranker of next steps does better where it is given the page that each step would lead to (arXiv 2609.02885, there by
a model of its own that was trained for it). Here the judge predicts by itself, in a turn under a schema before any tool
is called or any action is judged. Its predictions are in the trace and among the criteria of the verdict, marked as
its own; they have no ids, so that nothing can cite them as evidence. It costs one turn more a judgement.
"""

from functools import lru_cache
from typing import Any

from agentjudge.budget import Budget
from agentjudge.case import ActionChoice
from agentjudge.errors import ConfigError, ParseError
from agentjudge.graphs.arbiter_page import see_page
from agentjudge.graphs.dialect import object_schema, read_object
from agentjudge.graphs.loop import LoopJudge
from agentjudge.graphs.state import Draft, JudgeContext, Opening, State
from agentjudge.graphs.turns import text_of
from agentjudge.graphs.web_arbiter import StepTools, browsing_tools, may_browse, prompt
from agentjudge.models.profiles import ModelProfile
from agentjudge.prompts import fill
from agentjudge.registry import register
from agentjudge.verdict import Criterion

MAX_AFTER = 600
"""Characters of a prediction: about 150 tokens; those of the paper have 92 in the mean."""


class PredictingTools(StepTools):
    """Predictions, then what `StepTools` does."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Those of `StepTools`, the question for predictions, and what they are."""
        return (*super().prompts, prompt("predict"), prompt("compare"))

    def plan(self, case: ActionChoice, context: JudgeContext) -> Opening:
        """The whole case, and the question for predictions."""
        messages, refs = self.open(case, context)
        return Opening([*messages, {"role": "user", "content": prompt("predict")}], refs)

    def plan_schema(self) -> dict[str, Any]:
        """A prediction an action."""
        after = {"type": "string", "minLength": 1, "maxLength": MAX_AFTER}
        prediction = object_schema({"action": {"type": "integer", "minimum": 1}, "after": after})
        return object_schema({"predictions": {"type": "array", "items": prediction, "minItems": 1}})

    def unfold(self, text: str, case: ActionChoice, context: JudgeContext) -> Opening:
        """What the predictions are, after which the actions are judged.

        Raises:
            ParseError: not one prediction for each action.
        """
        read_predictions(text, len(case.candidates))
        check = " Where tools can tell more, ask them." if may_browse(context) else ""
        said = fill(prompt("compare"), check=check)
        return Opening([{"role": "user", "content": said}], see_page(case, context).refs)

    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The verdict in a JSON object, with the predictions as criteria without a mark.

        Raises:
            ParseError: see `StepTools.read`.
        """
        draft, case = super().read(text, state, context), state["case"]
        assert isinstance(case, ActionChoice)
        said = [text_of(turn.message_out) for turn in state.get("turns", []) if turn.phase == "plan"]
        for number, after in enumerate(read_predictions(said[-1], len(case.candidates)) if said else (), 1):
            name = f"own prediction, action {number}"
            draft.criteria = (*draft.criteria, Criterion(name=name, reason=f"(predicted, not seen) {after}"))
        return draft


def read_predictions(text: str, n: int) -> tuple[str, ...]:
    """The page after each of `n` actions, in their order, as a model predicted it.

    Raises:
        ParseError: no JSON object with one prediction for each of the actions 1 to `n`.
    """
    found = read_object(text).get("predictions")
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ParseError("predictions must be a list of objects")
    after = {}
    for each in found:
        number, page = each.get("action"), each.get("after")
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(page, str) or not page.strip():
            raise ParseError('every prediction needs the number of its "action" and a text "after"')
        after[number] = " ".join(page.split())[:MAX_AFTER]
    if sorted(after) != list(range(1, n + 1)) or len(found) != n:
        raise ParseError(f"there must be one prediction for each of the actions 1 to {n}")
    return tuple(after[number] for number in range(1, n + 1))


@lru_cache(maxsize=1)
def _predicting() -> PredictingTools:
    return PredictingTools()


def _dialect(profile: ModelProfile) -> PredictingTools:
    if profile.protocol == "tags":
        raise ConfigError("the layout of the released checkpoints has no place for predictions; load 'web-arbiter'")
    return _predicting()


@register("judge", "web-arbiter-predictive", paper="2601.21872")
def web_arbiter_predictive() -> LoopJudge:
    """Says which next action brings a web agent closer to its goal, after predicting what each leads to."""
    return LoopJudge(
        name="web-arbiter-predictive",
        cases=(ActionChoice,),
        dialect=_dialect,
        tools=tuple(tool.name for tool in browsing_tools()),
        brings=browsing_tools,
        budget=Budget(turns=4, tool_calls=6, answer_tokens=2048),
        plans=True,
    )
