"""Limits of one judgement, and what has been spent.

Budgets are ours: LangGraph's recursion limit is only a backstop derived from them. Running out never loses a judgement:
the loop withholds the tools and forces the conclusion, for which `answer_tokens` and `answer_seconds` are kept back.
"""

from dataclasses import dataclass, fields
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Limit = Literal["turns", "tool_calls", "tokens", "images", "seconds", "context"]
"""What forced a conclusion: a field of `Budget`; `context` may also be the model's own."""


class Budget(BaseModel):
    """What one judgement may use. `None` means unlimited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turns: int = Field(default=8, ge=0)
    """Free model turns with tools offered; the conclusion comes after them."""
    tool_calls: int = Field(default=8, ge=0)
    """Tool calls executed in all, failed ones included."""
    tokens: int | None = Field(default=None, ge=1)
    """Tokens sampled over the whole judgement, the answer's reserve included."""
    images: int | None = Field(default=32, ge=0)
    """Pictures shown to the model in all, originals included."""
    seconds: float | None = Field(default=300.0, gt=0)
    """Wall-clock seconds of the whole judgement."""
    context: int | None = Field(default=None, ge=1024)
    """Tokens of a prompt and its answer together, the conclusion's included; the model's own limit when None."""
    answer_tokens: int = Field(default=1024, ge=16)
    """Tokens kept for the conclusion."""
    answer_seconds: float = Field(default=30.0, ge=0)
    """Seconds kept for the conclusion, at most half of `seconds`."""
    repairs: int = Field(default=1, ge=0)
    """Extra conclusion turns after one that could not be read."""

    @property
    def supersteps(self) -> int:
        """An upper bound of graph steps, used as LangGraph's recursion limit."""
        return 3 * (self.turns + 1) + 2 * (self.repairs + 1) + 8


@dataclass(slots=True)
class Spent:
    """Counters of one judgement; adding two gives their sum."""

    turns: int = 0
    tool_calls: int = 0
    tokens: int = 0
    images: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def exhausted(self, budget: Budget, *, elapsed: float) -> Limit | None:
        """The first limit that forbids another free turn, or None.

        Args:
            budget: the limits.
            elapsed: seconds since the judgement began.
        """
        if self.turns >= budget.turns:
            return "turns"
        if self.tool_calls >= budget.tool_calls:
            return "tool_calls"
        if budget.tokens is not None and self.tokens + budget.answer_tokens >= budget.tokens:
            return "tokens"
        if budget.images is not None and self.images > budget.images:
            return "images"
        if budget.seconds is not None and elapsed >= budget.seconds - min(budget.answer_seconds, budget.seconds / 2):
            return "seconds"
        return None
