"""The rewards of ARM-Thinker (arXiv 2512.05111), as its released code pays them, read from typed records.

`pays` names the table of the released code (repository InternLM/ARM-Thinker); in the format means `well_formed`:

| | `tools` | `critic-v1` | `critic-v2` | `accuracy` |
|---|---|---|---|---|
| for | `deepeyes_crop` v8, `mp_docvqa` v1, `llava_critic` v4 | `llava_critic` v1 | its v2 | v3, `mmif`, validation |
| out of the format | 0 | 0 | 1.0 if right | 1 if right |
| in it, wrong, no tool called | 0.3 | 0.3 | 0.5 | 0 |
| in it, wrong, a tool called | 0.4 | 0.3 | 0.5 | 0 |
| in it, right, no tool succeeded | 1.0 | 1.5 | 1.5 | 1 |
| in it, right, a tool succeeded | 1.5 | 1.5 | 1.5 | 1 |

`tools` is the paper's second stage: R_f = 0.3 for the format, R_a = 0.7 for the answer, R_try = 0.1 for having tried a
tool where the answer is wrong, R_succ = 0.5 for one that succeeded where it is right. The first stage (`stage-1`), of
which no code was released, is R_f + R_try for a tool called, whatever the answer.

The released code counts tool calls by looking for phrases in the decoded transcript, so a policy can print them and be
paid; it finds the last turn by splitting at the word "assistant"; and it pays the format to answers of which nothing
can be read. Here calls are `ToolEvent`s, turns are turns, and an answer that cannot be read is out of the format. That
a call succeeded does not say that it was of use: log `tool_mattered` beside this.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, RewardResult, masked, of_parts
from agentjudge.rewards.terms import correct, succeeded, tried, well_formed
from agentjudge.trace import Trace

Pays = Literal["tools", "critic-v1", "critic-v2", "accuracy", "stage-1"]
FORMAT, TRIED, ACCURACY, SUCCEEDED = 0.3, 0.1, 0.7, 0.5


@dataclass(frozen=True, slots=True)
class ArmThinker(Alone):
    """One of the tables above."""

    pays: Pays = "tools"
    tools: Collection[str] | None = None
    """Names of the tools that count, such as `image_zoom_in_tool`; all when None."""
    low: ClassVar = 0.0

    def __post_init__(self) -> None:
        if self.pays not in get_args(Pays):
            raise ConfigError(f"unknown table {self.pays!r}; there is {', '.join(get_args(Pays))}")

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Declared`."""
        if self.pays == "accuracy":
            return ("accuracy",)
        if self.pays == "stage-1":
            return ("format", "tool tried")
        return (
            ("format", "accuracy") if self.pays != "tools" else ("format", "accuracy", "tool tried", "tool succeeded")
        )

    @property
    def high(self) -> float:
        """See `Declared`."""
        return {"accuracy": 1.0, "stage-1": FORMAT + TRIED}.get(self.pays, 1.5)

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`.

        Raises:
            DataError: the case's gold does not say what is right.
        """
        if (found := masked(trace)) is not None:
            return found
        neat = well_formed(trace)
        right = self.pays != "stage-1" and correct(trace.verdict, case)
        if self.pays == "accuracy":
            return of_parts({"accuracy": float(right)})
        if self.pays == "critic-v2":
            return of_parts({"format": 0.5 * neat, "accuracy": float(right)})
        if self.pays == "critic-v1":
            return of_parts({"format": FORMAT * neat, "accuracy": 1.2 * (neat and right)})
        used = tried(trace, self.tools)
        if self.pays == "stage-1":
            return of_parts({"format": FORMAT * neat, "tool tried": TRIED * used})
        return of_parts(
            {
                "format": FORMAT * neat,
                "accuracy": ACCURACY * (neat and right),
                "tool tried": TRIED * (neat and not right and used),
                "tool succeeded": SUCCEEDED * (neat and right and succeeded(trace, self.tools)),
            }
        )


@register("reward", "arm_thinker", paper="2512.05111")
def arm_thinker(pays: Pays = "tools", tools: Collection[str] | None = None) -> ArmThinker:
    """ARM-Thinker's reward: format, accuracy, a tool tried, a tool that succeeded; all tables of the released code."""
    return ArmThinker(pays, tools)
