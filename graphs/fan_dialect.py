"""What a judge says that asks about every part of a case by itself, and what it hears (`agentjudge.graphs.fanout`)."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from agentjudge.case import Case
from agentjudge.errors import ParseError
from agentjudge.graphs.dialect import Dialect
from agentjudge.graphs.state import Draft, JudgeContext, State
from agentjudge.tools.base import ToolCall
from agentjudge.trace import Message, Phase, Turn


class Answer(NamedTuple):
    """What came of one part."""

    part: Message
    """The message that asks about it."""
    turn: Turn
    """The last answer."""
    value: Any
    """As the dialect reads it; None where it cannot."""
    problem: str
    """Why it cannot."""
    asked: int
    """Times."""


class FanDialect(Dialect):
    """The words of a judge on this machine. Its opening is a system message or none, then a user message a part."""

    asks: Phase = "conclude"
    """As what parts are asked about: freely (`act`), or under the schema and with the tokens of a conclusion."""
    whole = True
    """Whether the verdict needs every part."""

    @abstractmethod
    def read_part(self, part: Message, turn: Turn, state: State, context: JudgeContext) -> Any:
        """What an answer says of a part; anything but None.

        Raises:
            ParseError: nothing that could be used.
        """

    @abstractmethod
    def again(self, problem: str, state: State, context: JudgeContext) -> Message:
        """The request for another answer, after one that could not be used."""

    @abstractmethod
    def together(self, answers: Sequence[Answer], state: State, context: JudgeContext) -> Draft | None:
        """The verdict that follows from the answers, or None where a conclusion is to be asked for.

        Raises:
            ParseError: an answer that the verdict needs could not be read.
        """

    def conclusion(self, answers: Sequence[Answer], state: State, context: JudgeContext) -> list[Message]:
        """The conversation that asks for the verdict, where `together` gives none."""
        raise NotImplementedError

    def prepare(self, case: Case, context: JudgeContext) -> None:
        """Work on the case's files that takes time; done in a thread, before messages are made of them."""

    def calls(self, message: Message, tools: Collection[str]) -> list[ToolCall]:
        """None: these judges have no tools."""
        return []

    def observe(
        self, call: ToolCall, text: str, images: Sequence[str], context: JudgeContext, *, calls_left: int
    ) -> Message:
        """Never asked for."""
        raise NotImplementedError

    def force(self, state: State, context: JudgeContext, *, problem: str | None) -> Message:
        """The request for another verdict, after one that could not be used."""
        return self.again(problem or "", state, context)

    def read(self, text: str, state: State, context: JudgeContext) -> Draft:
        """The verdict in a conclusion, where one is asked for."""
        raise NotImplementedError


def answers(state: State, dialect: FanDialect, context: JudgeContext) -> list[Answer]:
    """What has come of the parts so far, in their order."""
    messages = state["messages"]
    told: dict[int, list[Turn]] = {}
    for turn in state.get("turns", []):
        if turn.phase == dialect.asks:
            part = next(place for place in turn.messages_in if messages[place]["role"] == "user")
            told.setdefault(part, []).append(turn)
    found = []
    for part, turns in sorted(told.items()):
        value, problem = None, ""
        try:
            value = dialect.read_part(messages[part], turns[-1], state, context)
        except ParseError as exc:
            problem = exc.message
        found.append(Answer(messages[part], turns[-1], value, problem, len(turns)))
    return found


def pictures(messages: Iterable[Message]) -> int:
    """How many pictures the messages show."""
    contents = (message.get("content") for message in messages)
    return sum(part.get("type") == "image_ref" for content in contents if isinstance(content, list) for part in content)
