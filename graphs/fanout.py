"""The machine of judges that ask about every part of a case at once: each screenshot of a run, each step of it.

    START -> plan -> parts -> ask x n -> parts -> ... -> conclude -> check -> END

`plan` is that of the loop (`agentjudge.graphs.loop`): a plan before the case is shown, and then the case, of which each
user message asks about one part. `parts` sends every part to `ask`, all at the same time, each as a conversation of its
own: the system message and the part, nothing of the others. An answer that cannot be read is asked for once more
(`Budget.repairs`), in the same conversation. With all answers there either the verdict follows from them, or a
conclusion is asked for, in a conversation of its own again. All of it stands in one list of messages, and a turn's
`messages_in` name those that it really saw.

A part whose call fails for good, the client's own retries being over, fails the verdict with that failure: what a judge
could not look at speaks neither for nor against anything. The answers that came stay in the trace.

A part is a turn of the budget. Where turns, pictures or tokens do not suffice for all, the last parts are asked about,
which show how it ended, and the verdict names the limit; a judge that needs every part fails before it asks about one.
"""

import asyncio
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from agentjudge.budget import Limit, Spent
from agentjudge.case import Case
from agentjudge.errors import AgentJudgeError, BudgetError, ConfigError
from agentjudge.graphs.fan_dialect import Answer, FanDialect, answers, pictures
from agentjudge.graphs.loop import LoopJudge, LoopNodes
from agentjudge.graphs.state import JudgeContext, State
from agentjudge.graphs.turns import opened, take_turn, text_of, unfolded
from agentjudge.models.profiles import ModelProfile
from agentjudge.trace import Message, Trace, Turn, TurnUsage
from agentjudge.verdict import Failure

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.runtime import Runtime

Places = tuple[int, ...]
"""Of the messages of a conversation, among all those of the judgement."""


class FanState(State, total=False):
    """State of one judgement, with what is being asked."""

    asking: list[Places]
    """The conversations that wait for an answer."""
    faults: Annotated[list[Failure], operator.add]
    """Why answers could not be had."""


class Asked(State, total=False):
    """What `ask` works on: the messages of one conversation alone."""

    places: Places


@dataclass(frozen=True, slots=True)
class FanJudge(LoopJudge):
    """A judge on this machine."""

    dialect: Callable[[ModelProfile], FanDialect]

    def compile(self, *, checkpointer: Any = None) -> "CompiledStateGraph[Any, Any, Any, Any]":
        """The LangGraph state machine. Context: `JudgeContext`; input: `{"case": Case}`; output: the `FanState`."""
        return _compile(self, checkpointer)

    def gathered(self, trace: Trace, context: JudgeContext) -> State:
        """The input of a judgement that has the evidence of `trace` and only concludes.

        What led to the conclusion stays as it was. Of a judge without one the plan stays, and its parts are asked about
        again.

        Raises:
            ConfigError: the trace is of another judge, which asked about other things.
        """
        if trace.judge != self.name:
            raise ConfigError(f"{self.name!r} concludes over traces of its own, not over those of {trace.judge!r}")
        dialect = self.dialect(context.model.profile)
        concludes = dialect.asks != "conclude"
        turns = [turn for turn in trace.turns if turn.phase == "plan" or (concludes and turn.phase == "act")]
        if not turns:
            return {"case": trace.case, "next": "act"}
        last = next((turn.messages_in[0] for turn in trace.turns if turn.phase == "conclude"), len(trace.messages))
        messages = trace.messages[: last if concludes else _opening(turns)]
        cost = Spent(
            turns=sum(turn.phase == "act" for turn in turns),
            tokens=sum(turn.usage.completion_tokens for turn in turns),
            images=pictures(messages),
        )
        kept: State = {"case": trace.case, "messages": messages, "turns": turns, "spent": cost}
        if concludes:
            limit = trace.verdict.usage.budget_exhausted
            return {**kept, "opening": trace.opening, "exhausted": limit, "next": "conclude"}
        shown = unfolded(kept, context, dialect, text_of(turns[-1].message_out))
        return {**kept, **shown, "messages": [*messages, *shown["messages"]], "spent": cost + shown["spent"]}


@lru_cache(maxsize=64)
def _compile(judge: FanJudge, checkpointer: Any) -> "CompiledStateGraph[Any, Any, Any, Any]":
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    async def enter(state: FanState) -> Any:
        return state.get("next", "plan")

    async def route(state: FanState) -> Any:
        return state["next"]

    async def spread(state: FanState) -> Any:
        if not state["asking"]:
            return state["next"]
        all, shared = state["messages"], {"case": state["case"], "spent": state["spent"], "turns": _plan(state)}
        return [Send("ask", {**shared, "messages": [all[i] for i in at], "places": at}) for at in state["asking"]]

    nodes = FanNodes(judge)
    builder = StateGraph(FanState, context_schema=JudgeContext)
    for name in ("plan", "parts", "ask", "conclude", "check"):
        builder.add_node(name, getattr(nodes, name))
    builder.add_conditional_edges(START, enter, {"plan": "plan", "act": "parts", "conclude": "conclude"})
    builder.add_conditional_edges("plan", route, {"plan": "plan", "act": "parts", "end": END})
    builder.add_conditional_edges("parts", spread, {"ask": "ask", "conclude": "conclude", "end": END})
    builder.add_edge("ask", "parts")
    builder.add_conditional_edges("conclude", route, {"check": "check", "end": END})
    builder.add_conditional_edges("check", route, {"conclude": "conclude", "end": END})
    return builder.compile(checkpointer=checkpointer, name=judge.name)


class FanNodes(LoopNodes):
    """The nodes. `check` is that of the loop, and so is `plan`, once the files of the case are prepared."""

    judge: FanJudge

    async def plan(self, state: State, runtime: "Runtime[JudgeContext]") -> State:
        """The plan, where one is to be made, then the messages of the parts."""
        context = self._context(state, runtime)
        try:
            await self._prepare(state, context)
        except Exception as exc:
            return self._failed(state, context, exc)
        return await LoopNodes.plan(self, state, runtime)

    async def parts(self, state: FanState, runtime: "Runtime[JudgeContext]") -> FanState:
        """What is asked next: about all parts, then about those whose answers could not be read, then the verdict."""
        context = self._context(state, runtime)
        dialect = self.judge.dialect(context.model.profile)
        update: FanState = {"asking": []}
        try:
            if not state.get("messages"):
                await self._prepare(state, context)
                update = {**update, **opened(state, context, dialect, plan=False)}
                state = {**state, **update}
            if faults := state.get("faults"):
                return {**update, **self._broken(state, context, faults)}
            found = answers(state, dialect, context)
            if not found and (parts := _parts(state)):
                return {**update, **_first(parts, state, context, dialect)}
            again = _again(found, state, context, dialect)
            if again["asking"]:
                return {**update, **again}
            draft = dialect.together(found, state, context)
            if draft is None:
                return {**update, "next": "conclude"}
            return {**update, "verdict": self._verdict(state, context, draft), "next": "end"}
        except Exception as exc:
            return {**update, **self._failed(state, context, exc)}

    async def ask(self, state: Asked, runtime: "Runtime[JudgeContext]") -> FanState:
        """One answer about one part."""
        context = self._context(state, runtime)
        dialect = self.judge.dialect(context.model.profile)
        try:
            turn = await take_turn(state, context, dialect, phase=dialect.asks)
        except Exception as exc:
            return {"faults": [Failure.of(exc)]}
        turn.messages_in = state["places"]
        return {
            "messages": [turn.message_out],
            "turns": [turn],
            "spent": Spent(turns=1, tokens=turn.usage.completion_tokens),
        }

    async def conclude(self, state: State, runtime: "Runtime[JudgeContext]") -> State:
        """Ask for the verdict, in a conversation of its own; once more after one that could not be used."""
        context = self._context(state, runtime)
        dialect = self.judge.dialect(context.model.profile)
        said, before = state["messages"], [turn for turn in state["turns"] if turn.phase == "conclude"]
        asked: list[Message] = []
        try:
            await self._prepare(state, context)
            places: Places = ()
            if before:
                asked = [dialect.force(state, context, problem=state.get("problem"))]
                places = (*before[-1].messages_in, len(said) - 1)
            else:
                asked = dialect.conclusion(answers(state, dialect, context), state, context)
            places += tuple(range(len(said), len(said) + len(asked)))
            all = [*said, *asked]
            alone: State = {**state, "messages": [all[i] for i in places], "turns": _plan(state)}
            turn = await take_turn(alone, context, dialect, phase="conclude")
        except Exception as exc:
            return {"messages": asked, **self._failed(state, context, exc)}
        turn.messages_in = places
        spent = Spent(tokens=turn.usage.completion_tokens, images=pictures(asked))
        return {"messages": [*asked, turn.message_out], "turns": [turn], "spent": spent, "next": "check"}

    async def _prepare(self, state: State, context: JudgeContext) -> None:
        if isinstance(state["case"], Case):  # or JSON, of which no file is opened
            await asyncio.to_thread(self.judge.dialect(context.model.profile).prepare, state["case"], context)

    def _broken(self, state: State, context: JudgeContext, faults: Sequence[Failure]) -> State:
        """The failed verdict of a judgement of which answers could not be had."""
        parts = len(_parts(state))
        first = faults[0].model_copy(update={"message": f"{len(faults)} of {parts} calls failed: {faults[0].message}"})
        failed = self._failed(state, context, AgentJudgeError(first.message))
        return {**failed, "verdict": failed["verdict"].model_copy(update={"failure": first})}


def _plan(state: State) -> list[Turn]:
    """The plan, for dialects that build on it; its tokens are not in the conversations that follow."""
    plans = [turn for turn in state.get("turns", []) if turn.phase == "plan"]
    return [replace(turn, usage=TurnUsage()) for turn in plans[-1:]]


def _opening(turns: Sequence[Turn]) -> int:
    """Where the messages that show the case begin: behind the plan."""
    plans = [turn for turn in turns if turn.phase == "plan"]
    return len(plans[-1].messages_in) + 1 if plans else 0


def _parts(state: State) -> list[Places]:
    """The conversations about the parts, as they begin."""
    shared: Places = ()
    parts = []
    for place, message in enumerate(state["messages"][(start := _opening(state.get("turns", []))) :], start):
        if message["role"] == "assistant":
            break
        if message["role"] == "system":
            shared = (place,)
        else:
            parts.append((*shared, place))
    return parts


def _first(parts: list[Places], state: State, context: JudgeContext, dialect: FanDialect) -> FanState:
    """All parts, or the last ones, as many as the budget allows.

    Raises:
        BudgetError: not all, and the judge needs all.
    """
    left, limit = _allowed([state["messages"][part[-1]] for part in parts], state, context, dialect)
    if left == len(parts):
        return {"asking": parts}
    if dialect.whole:
        raise BudgetError(f"{len(parts)} parts are to be judged, and the budget's {limit} suffice for {left}: raise it")
    unseen = [state["messages"][part[-1]] for part in parts[: len(parts) - left]]
    gone = Spent(images=-pictures(unseen))
    return {"asking": parts[len(parts) - left :], "exhausted": limit, "spent": gone, "next": "conclude"}


def _allowed(
    asked: Sequence[Message], state: State, context: JudgeContext, dialect: FanDialect
) -> tuple[int, Limit | None]:
    """How many of these messages, the last ones, the budget allows to ask; and which limit says so."""
    budget, spent = context.budget, state["spent"]
    bounds: dict[Limit, int] = {"turns": budget.turns - spent.turns}
    if budget.images is not None:
        over, shown = spent.images - budget.images, 0
        while shown < len(asked) and over > 0:
            over -= pictures([asked[shown]])
            shown += 1
        bounds["images"] = len(asked) - shown
    if budget.tokens is not None:
        free = dialect.asks != "conclude"
        each, reserve = (context.sampling.max_tokens, budget.answer_tokens) if free else (budget.answer_tokens, 0)
        bounds["tokens"] = (budget.tokens - spent.tokens - reserve) // each
    limit = min(bounds, key=lambda name: bounds[name])
    return (len(asked), None) if bounds[limit] >= len(asked) else (max(0, bounds[limit]), limit)


def _again(found: Sequence[Answer], state: State, context: JudgeContext, dialect: FanDialect) -> FanState:
    """The answers that could not be read, asked for once more as far as the budget allows."""
    unread = [each for each in found if each.value is None and each.asked <= context.budget.repairs]
    said = [dialect.again(each.problem, state, context) for each in unread]
    left, _ = _allowed(said, state, context, dialect)
    unread, said = unread[len(unread) - left :], said[len(said) - left :]
    place = {id(message): number for number, message in enumerate(state["messages"])}
    places = [
        (*each.turn.messages_in, place[id(each.turn.message_out)], number)
        for number, each in enumerate(unread, len(state["messages"]))
    ]
    return {"messages": said, "asking": places}
