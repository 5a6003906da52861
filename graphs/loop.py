"""The machine all judges share: free turns with tools, then one conclusion without them, then a check.

    START -> plan -> act -> tools -> act ...    a plan, where the judge makes one; free turns
      |               |       |
      +---------------+-------+-> conclude -> check -> END
                                     ^__________|        one repair turn

A plan is made before the case itself is shown: the key points of a task, from the task alone. A free turn that calls
nothing and already reads as a verdict goes straight to `check`. Running out of any budget withholds the tools and
forces `conclude`, and the verdict says so; so does a result for which the model's context has no room. A judgement that
has its evidence already (`gathered`) begins at `conclude`, or goes on at `act`. Nothing here raises: whatever breaks
becomes a `failed` verdict with everything that had happened by then still in the state.

A judge file adds its prompts and its verdict parser as a `Dialect`, and registers a `LoopJudge`:

    @register("judge", "veri-r1", paper="2510.01932")
    def veri_r1() -> LoopJudge: ...
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentjudge import __version__
from agentjudge.budget import Budget, Limit, Spent
from agentjudge.case import Case
from agentjudge.errors import ContextOverflow, ParseError
from agentjudge.graphs.dialect import Dialect
from agentjudge.graphs.overflow import refused_for_room, withhold
from agentjudge.graphs.state import Draft, JudgeContext, Next, State, shown, usage_of
from agentjudge.graphs.turns import Room, may_act, opened, take_turn, text_of, unfolded
from agentjudge.models.profiles import ModelProfile
from agentjudge.prompts import prompt_hash
from agentjudge.tools.base import Executed, Tool, ToolCall, ToolContext
from agentjudge.trace import Message, ToolEvent, Trace, Turn, picture_names
from agentjudge.verdict import Failure, Provenance, Verdict

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.runtime import Runtime


@dataclass(frozen=True, slots=True)
class LoopJudge:
    """A judge on the shared machine."""

    name: str
    cases: tuple[type[Case], ...]
    """The kinds of case it takes."""
    dialect: Callable[[ModelProfile], Dialect]
    """The words for a family of models."""
    tools: tuple[str, ...]
    """Names of the tools it may use."""
    brings: Callable[[], Sequence[Tool[Any]]] = tuple
    """Makes the tools that work on the case itself and need no source; the others come with the caller's sources."""
    budget: Budget = Budget()
    plans: bool = False
    """Whether its dialects ask for a plan before they show the case."""

    def compile(self, *, checkpointer: Any = None) -> "CompiledStateGraph[Any, Any, Any, Any]":
        """The LangGraph state machine. Context: `JudgeContext`; input: `{"case": Case}`; output: the whole `State`."""
        return _compile(self, checkpointer)

    def takes(self, tool: Tool[Any], profile: ModelProfile) -> bool:
        """Whether it may use a tool with this family of models."""
        return self.takes_foreign(profile) if tool.foreign else tool.name in self.tools

    def takes_foreign(self, profile: ModelProfile) -> bool:
        """Whether it may use tools of others: it asks sources beside the case, by a model that calls any function."""
        return "search" in self.tools and profile.protocol == "tools" and profile.family != "embedded"

    def prompt_hash(self, profile: ModelProfile) -> str:
        """SHA-256 of the prompts used with this family of models."""
        return prompt_hash(self.dialect(profile).prompts)

    def with_conclusion(self, text: str) -> "LoopJudge":
        """This judge, asking for its verdict in other words; see `Dialect.with_conclusion`."""
        return replace(self, dialect=lambda profile: self.dialect(profile).with_conclusion(text))

    def gathered(self, trace: Trace, context: JudgeContext) -> State:
        """The input of a judgement that has the evidence of `trace` and only concludes.

        The opening is this judge's own; what follows is the trace's, up to the result of its last tool call. What was
        said after that was the old conclusion. Of a plan the question is this judge's own, and the trace's is what was
        answered and shown after it.
        """
        planned = any(turn.phase == "plan" for turn in trace.turns)
        start = opened({"case": trace.case}, context, self.dialect(context.model.profile), plan=planned)
        first = len(trace.turns[0].messages_in) if trace.turns else len(trace.messages)
        results = [i for i, message in enumerate(trace.messages) if i >= first and message.get("role") == "tool"]
        after = next((turn for turn in trace.turns if turn.phase != "plan"), None)
        until = len(trace.messages) if after is None else len(after.messages_in) - (after.phase == "conclude")
        opening = until if planned else first
        kept = trace.messages[first : max([opening, *(place + 1 for place in results)])]
        messages = [*start["messages"], *kept]
        place = {id(message): number for number, message in enumerate(messages)}
        turns = [
            replace(turn, messages_in=tuple(range(place[id(turn.message_out)])))
            for turn in trace.turns
            if id(turn.message_out) in place
        ]
        cost = Spent(
            turns=sum(turn.phase == "act" for turn in turns),
            tool_calls=len(trace.events),
            tokens=sum(turn.usage.completion_tokens for turn in turns),
            images=sum(len(event.images) for event in trace.events),
        )
        return {
            **start,
            "messages": messages,
            "opening": trace.opening if planned else start["opening"],
            "turns": turns,
            "events": trace.events,
            "spent": start["spent"] + cost,
            "exhausted": trace.verdict.usage.budget_exhausted,
            "next": "conclude",
        }


@lru_cache(maxsize=64)
def _compile(judge: LoopJudge, checkpointer: Any) -> "CompiledStateGraph[Any, Any, Any, Any]":
    from langgraph.graph import END, START, StateGraph

    nodes = LoopNodes(judge)
    builder = StateGraph(State, context_schema=JudgeContext)
    first: Next = "plan" if judge.plans else "act"
    routes = {"plan": "plan", "act": "act", "tools": "tools", "conclude": "conclude", "check": "check", "end": END}
    for name, targets in _EDGES.items():
        if name == "plan" and not judge.plans:
            continue
        builder.add_node(name, getattr(nodes, name))
        builder.add_conditional_edges(name, _route, {target: routes[target] for target in targets})
    builder.add_conditional_edges(START, _entrance(first), {to: to for to in (first, "act", "conclude")})
    return builder.compile(checkpointer=checkpointer, name=judge.name)


_EDGES: dict[str, tuple[Next, ...]] = {
    "plan": ("plan", "act", "end"),
    "act": ("act", "tools", "conclude", "check", "end"),
    "tools": ("act", "conclude", "end"),
    "conclude": ("check", "conclude", "end"),
    "check": ("conclude", "end"),
}


def _entrance(first: Next) -> Callable[[State], Any]:
    async def enter(state: State) -> Next:  # async, or LangGraph would take each of these to a thread and back
        return state.get("next", first)

    return enter


async def _route(state: State) -> Next:
    return state["next"]


class LoopNodes:
    """The nodes. Each returns an update of the state; `next` in it is the edge to take."""

    def __init__(self, judge: LoopJudge) -> None:
        self.judge = judge

    async def plan(self, state: State, runtime: "Runtime[JudgeContext]") -> State:
        """The plan, before the case is shown; one repair turn, then `failed`. Skipped where none is to be made."""
        context = self._context(state, runtime)
        dialect = self.judge.dialect(context.model.profile)
        update: State = {}
        try:
            if not state.get("messages"):
                update = opened(state, context, dialect, plan=True)
                if update["next"] == "act":
                    return update
                state = {**state, **update}
            turn = await take_turn(state, context, dialect, phase="plan")
        except Exception as exc:
            return {**update, **self._failed(state, context, exc)}
        said, spent = [turn.message_out], update.get("spent", Spent()) + Spent(tokens=turn.usage.completion_tokens)
        update = {**update, "turns": [turn], "spent": spent}
        try:
            rest = unfolded(state, context, dialect, text_of(turn.message_out))
            said, update = [*said, *rest["messages"]], {**update, **rest, "spent": spent + rest["spent"]}
        except ParseError as exc:
            if sum(turn.phase == "plan" for turn in state.get("turns", [])) >= context.budget.repairs:
                update |= self._failed({**state, "turns": [*state.get("turns", []), turn]}, context, exc)
            said.append({"role": "user", "content": _AGAIN.format(context.fence.escape(exc.message))})
        except Exception as exc:
            update |= self._failed(state, context, exc)
        return {**update, "messages": [*(state["messages"] if "case" in update else []), *said]}

    async def act(self, state: State, runtime: "Runtime[JudgeContext]") -> State:
        """A free turn: open the conversation if need be, offer the tools, take what the model says."""
        context = self._context(state, runtime)
        dialect = self.judge.dialect(context.model.profile)
        update: State = {}
        try:
            if not state.get("messages"):
                update = opened(state, context, dialect, plan=False)
                state = {**state, **update}
            limit = state["spent"].exhausted(context.budget, elapsed=context.elapsed)
            limit = limit or (None if may_act(state, context) else "context")
            if limit is not None or not context.tools.specs:
                return {**update, "next": "conclude", "exhausted": limit if context.tools.specs else None}
            turn = await take_turn(state, context, dialect, phase="act")
        except Exception as exc:
            return {**update, **self._stopped(state, context, dialect, exc)}
        after, nudge = self._after_act(state, context, dialect, turn)
        said = [turn.message_out] if nudge is None else [turn.message_out, nudge]
        update["messages"] = [*update.get("messages", []), *said]
        update["turns"] = [turn]
        update["spent"] = update.get("spent", Spent()) + Spent(turns=1, tokens=turn.usage.completion_tokens)
        update["next"] = after
        return update

    def _after_act(
        self, state: State, context: JudgeContext, dialect: Dialect, turn: Turn
    ) -> tuple[Next, Message | None]:
        if dialect.calls(turn.message_out, context.tools.tools):
            return "tools", None
        try:
            dialect.read(text_of(turn.message_out), state, context)
            return "check", None
        except ParseError:
            nudge = dialect.nudge(turn.message_out, state, context)
            return ("conclude", None) if nudge is None else ("act", nudge)

    async def tools(self, state: State, runtime: "Runtime[JudgeContext]") -> State:
        """Run the calls of the last turn, at once; those over the budget are refused by name."""
        context = self._context(state, runtime)
        dialect = self.judge.dialect(context.model.profile)
        spent = state["spent"]
        calls = dialect.calls(state["messages"][-1], context.tools.tools)
        allowed = max(0, context.budget.tool_calls - spent.tool_calls)
        pictures, profile = picture_names(state["case"], state.get("events", [])), context.model.profile
        tool_context = ToolContext(state["case"], context.store, dict(pictures), profile)
        deadline = context.seconds_left(keep=True)
        done = await asyncio.gather(
            *(context.tools.execute(call, tool_context, deadline=deadline) for call in calls[:allowed])
        )
        done += [_refused(call) for call in calls[allowed:]]
        left = allowed - min(allowed, len(calls))
        messages: list[Message] = []
        room = Room(state, context)
        limit: Limit | None = None
        for call, executed in zip(calls, done, strict=True):
            executed.event.turn = len(state["turns"]) - 1
            seen = dict(pictures)
            executed.name(seen, profile)
            said = dialect.observe(call, executed.text, executed.event.images, context, calls_left=left)
            if room.take(said):
                pictures |= seen
            else:
                executed.event, said = refused_for_room(call, executed.event, context, dialect)
                limit = "context"
            messages.append(said)
        cost = Spent(tool_calls=min(allowed, len(calls)), images=sum(len(executed.event.images) for executed in done))
        limit = limit or (spent + cost).exhausted(context.budget, elapsed=context.elapsed)
        update: State = {"messages": messages, "events": [executed.event for executed in done], "spent": cost}
        return {**update, "next": "act"} if limit is None else {**update, "next": "conclude", "exhausted": limit}

    async def conclude(self, state: State, runtime: "Runtime[JudgeContext]") -> State:
        """Ask for the verdict: no tools, the schema on, the reserve spent."""
        context = self._context(state, runtime)
        dialect = self.judge.dialect(context.model.profile)
        asked: list[Message] = []
        try:
            asked = [dialect.force(state, context, problem=state.get("problem"))]
            asking: State = {**state, "messages": [*state["messages"], *asked]}
            turn = await take_turn(asking, context, dialect, phase="conclude")
        except Exception as exc:
            return {"messages": asked, **self._stopped(state, context, dialect, exc)}
        spent = Spent(tokens=turn.usage.completion_tokens)
        return {"messages": [*asked, turn.message_out], "turns": [turn], "spent": spent, "next": "check"}

    async def check(self, state: State, runtime: "Runtime[JudgeContext]") -> State:
        """Read the verdict and hold it against what was shown; one repair turn, then `failed`."""
        context = self._context(state, runtime)
        dialect = self.judge.dialect(context.model.profile)
        attempts = sum(turn.phase == "conclude" for turn in state["turns"])
        last_chance = attempts > context.budget.repairs
        try:
            draft = dialect.read(text_of(state["messages"][-1]), state, context)
            known = shown(state)
            unknown = [cited for cited in draft.cited if cited not in known]
            complaints = [*draft.complaints, *(f"{cited!r} was never shown" for cited in unknown[:3])]
            if complaints and not last_chance:
                raise ParseError("; ".join(complaints))
            return {"verdict": self._verdict(state, context, draft), "next": "end"}
        except ParseError as exc:
            if last_chance:
                return self._failed(state, context, exc)
            return {"next": "conclude", "problem": exc.message}
        except Exception as exc:
            return self._failed(state, context, exc)

    def _verdict(self, state: State, context: JudgeContext, draft: Draft) -> Verdict:
        known = shown(state)
        return Verdict(
            case_id=state["case"].id,
            status="abstained" if draft.abstained else "scored",
            evidence=tuple(known[cited] for cited in dict.fromkeys(draft.cited) if cited in known),
            rationale=draft.rationale,
            usage=usage_of(state, context),
            provenance=self._provenance(state, context),
            **draft.outcome(),
        )

    def _stopped(self, state: State, context: JudgeContext, dialect: Dialect, exc: Exception) -> State:
        """A turn that could not be had: the judge concludes with less, where that may help, or fails."""
        withheld = withhold(state, context, dialect) if isinstance(exc, ContextOverflow) else None
        return self._failed(state, context, exc) if withheld is None else withheld

    def _failed(self, state: State, context: JudgeContext, exc: Exception) -> State:
        verdict = Verdict(
            case_id=state["case"].id,
            status="failed",
            failure=Failure.of(exc),
            usage=usage_of(state, context),
            provenance=self._provenance(state, context),
        )
        return {"verdict": verdict, "next": "end"}

    def _provenance(self, state: State, context: JudgeContext) -> Provenance:
        turns = state.get("turns", [])
        return Provenance(
            judge=self.judge.name,
            prompt_hash=context.prompt_hash,
            model=context.model.name,
            model_version=turns[-1].model_version if turns else "",
            sampling=context.sampling.model_dump(exclude_none=True),
            seed=context.seed,
            version=__version__,
        )

    def _context(self, state: State, runtime: "Runtime[JudgeContext]") -> JudgeContext:
        context: JudgeContext | None = runtime.context
        if context is not None:
            return context
        from agentjudge.graphs.studio import default_context

        return default_context(self.judge, state["case"])


_AGAIN = "That answer cannot be used: {}. Answer in the form that was asked for, and with nothing else."


def _refused(call: ToolCall) -> Executed:
    text = "No tool calls are left; answer with what you have seen."
    args = call.args if isinstance(call.args, dict) else {}
    return Executed(ToolEvent(call_id=call.id, name=call.name, args=args, status="failed", error=text), text)
