"""The contract of a model: one request in, one turn out.

A request carries the conversation as an OpenAI-shaped view *and* the typed case and tool events, so a model that is
not a language model (`embedded`) need not parse prose. Pictures are content parts `{"type": "image_ref", "image":
SHA256}`; a client resolves them through the request's store when it sends them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.evidence import EvidenceRef, EvidenceStore
from agentjudge.models.profiles import ModelProfile
from agentjudge.registry import lookup, register
from agentjudge.trace import Message, Phase, ToolEvent, Turn

__all__ = ["Model", "Request", "Sampling", "load_model", "register"]


class Sampling(BaseModel):
    """How tokens are drawn. Every field is sent in every request: servers have defaults of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=1024, ge=1)
    """Tokens of one turn."""
    seed: int | None = None
    logprobs: bool = True
    """Ask for the log-probability of each sampled token."""
    thinking: bool | None = None
    """Switch of reasoning models; None leaves it to the model profile."""


@dataclass(slots=True)
class Request:
    """All that a model may look at for one turn."""

    case: Case
    """Without gold."""
    messages: Sequence[Message]
    events: Sequence[ToolEvent]
    opening: Sequence[EvidenceRef]
    """Evidence that stands in the opening messages."""
    store: EvidenceStore
    tools: Sequence[dict[str, Any]]
    """OpenAI function tools of the judge. They stay in the prompt to its end, for an unchanged prefix; they may
    be called in the phase `act` alone."""
    sampling: Sampling
    phase: Phase = "act"
    schema: dict[str, Any] | None = None
    """JSON schema that the answer must satisfy, in turns that are not free."""
    alternatives: int = 0
    """How many of the likeliest tokens to tell beside each sampled one; 0: none. Servers may tell fewer, or none."""
    deadline: float | None = None
    """Seconds from now within which the turn must be over."""
    stop: Sequence[str] = ()
    """Strings that end the turn and stay in it (tag protocols)."""
    continue_last: bool = False
    """The last message is an assistant's that the model goes on writing (tag protocols)."""
    remaining: dict[str, int] = field(default_factory=dict)
    """What the budget still allows: `turns`, `tool_calls`."""


class Model(Protocol):
    """Anything that can take a turn. Safe for concurrent calls from one event loop."""

    name: str
    """The string it was loaded from."""
    profile: ModelProfile

    async def act(self, request: Request) -> Turn:
        """Take one turn.

        Returns:
            A turn with `message_out` and, where the model has them, ids, log-probabilities and usage. The loop fills in
            `messages_in`, `phase` and times.

        Raises:
            ModelError: the turn could not be had; retries are over by then.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and weights."""
        ...


Loader = Callable[[str], Model]


def load_model(spec: str) -> Model:
    """The model that a string names.

    Args:
        spec: `KIND` or `KIND:REST`, such as `embedded`, `vllm:Qwen/Qwen3-8B@http://127.0.0.1:8000` or
            `scripted:turns.jsonl`. Each kind is registered by `@register("model", KIND)` on a function from REST to a
            model.

    Raises:
        ConfigError: unknown kind, or the kind refuses REST.
    """
    kind, _, rest = spec.partition(":")
    if not kind.strip():
        raise ConfigError("the model's name is empty; try --model embedded")
    model: Model = lookup("model", kind).target(rest)
    return model
