"""Turns of a judge's model: what opens the conversation, what a turn may use, how long the conversation has become.

A budget may bound the tokens of a prompt and its answer (`Budget.context`). The server's own count of the last prompt
is taken where it tells one, and what has been said since is estimated at the same rate of characters a token; without
a server's count, at `CHARS` characters a token. A conclusion always keeps its room: a free turn is taken only where a
result and the verdict would still fit after it, and results for which there is no room are withheld by name.
"""

import json
import time
from typing import Any

from agentjudge.budget import Spent
from agentjudge.case import parse_case
from agentjudge.errors import BudgetError, ContextOverflow
from agentjudge.graphs.dialect import Dialect
from agentjudge.graphs.state import Freed, Instead, JudgeContext, Opening, State
from agentjudge.models.base import Request, Sampling
from agentjudge.trace import Message, Phase, Turn

CHARS = 3.0
"""Characters of a token, where no server has counted any."""
RATES = (0.8, 4.0)
"""Least and most characters a token that are believed."""
ASKING = 2_400
"""Characters kept for the request for the verdict."""
FRAME = 24
"""Characters that a chat template puts around a message, about."""
RESULT = 6_400
"""Characters kept for what a free turn may bring."""


def opened(state: State, context: JudgeContext, dialect: Dialect, *, plan: bool) -> State:
    """The update that opens the conversation, with the question for the plan alone where one is to be made."""
    given: Any = state["case"]
    case = (parse_case(given) if isinstance(given, dict) else given).blind()
    opening = dialect.plan(case, context) if plan else None
    planning = opening is not None
    opening = opening or dialect.open(case, context)
    return {"case": case, "next": "plan" if planning else "act", **_said(opening)}


def unfolded(state: State, context: JudgeContext, dialect: Dialect, text: str) -> State:
    """The update that shows the case, now that the plan is made.

    Raises:
        ParseError: the text is no plan.
    """
    return {"next": "act", **_said(dialect.unfold(text, state["case"], context))}


def _said(opening: Opening) -> State:
    pictures = Spent(images=sum(_pictures(message) for message in opening.messages))
    return {"messages": opening.messages, "opening": opening.refs, "spent": pictures}


async def take_turn(state: State, context: JudgeContext, dialect: Dialect, *, phase: Phase) -> Turn:
    """One turn of the model within the budget's time and tokens.

    Raises:
        BudgetError: the time is over.
        ContextOverflow: the conversation leaves no room for the answer.
        ModelError: the turn could not be had.
    """
    deadline = context.seconds_left(keep=phase != "conclude")
    if deadline is not None and deadline <= 0:
        raise BudgetError(f"no time left of {context.budget.seconds:g} s")
    sampling = _sampling(context, state["spent"], free=phase == "act")
    most = context.budget.context
    if most is not None and prompt_tokens(state, context, _rate(state, context)) + sampling.max_tokens > most:
        raise ContextOverflow(f"the conversation leaves no room for an answer in the budget of {most} tokens")
    messages, continue_last = dialect.render(state["messages"])
    spent = state["spent"]
    request = Request(
        case=state["case"],
        messages=messages,
        events=state.get("events", []),
        opening=state.get("opening", ()),
        store=context.store,
        tools=context.tools.specs if dialect.functions else (),
        sampling=sampling,
        phase=phase,
        schema=_schema(phase, state, context, dialect),
        alternatives=dialect.alternatives if phase == "conclude" else 0,
        deadline=deadline,
        stop=dialect.stop,
        continue_last=continue_last,
        remaining={
            "turns": max(0, context.budget.turns - spent.turns),
            "tool_calls": max(0, context.budget.tool_calls - spent.tool_calls),
        },
    )
    began = time.perf_counter()
    turn = await context.model.act(request)
    turn.seconds = round(time.perf_counter() - began, 6)
    turn.started = round(began - context.started, 6)
    turn.phase = phase
    turn.messages_in = tuple(range(len(state["messages"])))
    return turn


def _schema(phase: Phase, state: State, context: JudgeContext, dialect: Dialect) -> dict[str, Any] | None:
    if phase == "act":
        return None
    return dialect.plan_schema() if phase == "plan" else dialect.schema(state, context)


def _sampling(context: JudgeContext, spent: Spent, *, free: bool) -> Sampling:
    sampling, budget = context.sampling, context.budget
    if not free:
        return sampling.model_copy(update={"max_tokens": budget.answer_tokens, "thinking": False})
    if budget.tokens is None:
        return sampling
    left = max(1, budget.tokens - budget.answer_tokens - spent.tokens)
    return sampling if left >= sampling.max_tokens else sampling.model_copy(update={"max_tokens": left})


class Room:
    """What tool results may still take of the context that the budget gives, the conclusion's room kept."""

    def __init__(self, state: State, context: JudgeContext) -> None:
        self._context = context
        self.rate = CHARS
        """Characters a token."""
        self.left = float("inf")
        """Tokens."""
        budget = context.budget
        if budget.context is not None:
            self.rate = _rate(state, context)
            taken = prompt_tokens(state, context, self.rate)
            self.left = budget.context - taken - ASKING / self.rate - budget.answer_tokens

    def take(self, message: Message) -> bool:
        """Whether there is room for a message; it is taken then."""
        if self.left == float("inf"):
            return True
        tokens = _tokens(message, self._context, self.rate)
        if tokens <= self.left:
            self.left -= tokens
            return True
        return False


def may_act(state: State, context: JudgeContext) -> bool:
    """Whether there is room for a free turn, a result of it, and the conclusion."""
    room = Room(state, context)
    return room.left >= context.sampling.max_tokens + RESULT / room.rate


def prompt_tokens(state: State, context: JudgeContext, rate: float) -> int:
    """Tokens of the conversation so far: those that the server counted, and at this rate what came since."""
    messages, counted = state["messages"], _counted(state)
    if counted is None:
        known, since = round(len(json.dumps(context.tools.specs)) / rate), messages
    else:
        known = counted.usage.prompt_tokens + counted.usage.completion_tokens - _freed(state).tokens
        since = messages[max(counted.messages_in, default=-1) + 2 :]
    return known + sum(_tokens(message, context, rate) for message in since)


def free(state: State, context: JudgeContext, instead: list[Instead]) -> Freed:
    """The room won since the server's last count, by messages that are replaced and that it had counted."""
    rate, counted, messages = _rate(state, context), _counted(state), state["messages"]
    seen = [each for each in instead if counted is not None and each.place in counted.messages_in]
    won = (_tokens(messages[each.place], context, rate) - _tokens(each.entry, context, rate) for each in seen)
    return Freed(len(state.get("turns", [])), _freed(state).tokens + max(0, sum(won)), rate)


def _freed(state: State) -> Freed:
    freed = state.get("freed", Freed())
    return freed if freed.turns == len(state.get("turns", [])) else Freed()


def _counted(state: State) -> Turn | None:
    """The last turn of which the server told its tokens."""
    return next((turn for turn in reversed(state.get("turns", [])) if turn.usage.prompt_tokens), None)


def _rate(state: State, context: JudgeContext) -> float:
    """Characters a token, as the server counted them last, tools among them."""
    counted = _counted(state)
    if counted is None:
        return CHARS
    if freed := _freed(state).rate:
        return freed
    messages = state["messages"]
    characters = sum(len(json.dumps(messages[i], ensure_ascii=False)) for i in counted.messages_in)
    characters += len(json.dumps(context.tools.specs))
    return min(RATES[1], max(RATES[0], characters / counted.usage.prompt_tokens))


def _tokens(message: Message, context: JudgeContext, rate: float) -> int:
    """Tokens of a message, estimated: text by its characters, pictures by the patches that the model sees."""
    content, profile = message.get("content"), context.model.profile
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    text = FRAME + sum(len(json.dumps(call)) for call in message.get("tool_calls") or ())
    patches = 0
    for part in parts:
        if part.get("type") == "image_ref":
            across, down = profile.seen(context.store.image(part["image"]).size)
            patches += across * down // profile.patch**2
        else:
            text += len(part.get("text") or "")
    return round(text / rate) + patches


def text_of(message: Message) -> str:
    """The text of a message; empty where it has none."""
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _pictures(message: Message) -> int:
    content = message.get("content")
    return sum(part.get("type") == "image_ref" for part in content) if isinstance(content, list) else 0
