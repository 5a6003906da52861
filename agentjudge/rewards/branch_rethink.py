r"""The reward of BR-RM, branch and rethink (arXiv 2510.23596), as its released code pays it.

| the last turn | reward |
|---|---|
| right | 0 |
| wrong | -10 in the code, -1 in its README |
| out of the format | -100 |

In the format is one JSON object, as our own judges give it, or the released layout: one `\boxed{1}` or `\boxed{2}` in
the block of the ranking score, which ends the text. The code takes any number in the box and fines its distance from
the right one, so that 7 costs 60; here that is out of the format. Its first turn, the branching, is hardly ever fined
there, since the parser fills in what is missing, and is not fined here.

One -100 outweighs the rest of a group: between right and wrong lie 2 standard deviations in a group of four and four,
and 0.3 where one of eight is out of the format. With `malformed=-20` it is 1.4, and the order is the same.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, RewardResult, masked, of_parts
from agentjudge.rewards.tags import last_text
from agentjudge.rewards.terms import correct, is_object
from agentjudge.trace import Trace

_BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}")
_RANKING = re.compile(
    r"\[The Begin of Ranking Score\]\s*\\boxed\s*\{\s*([12])\s*\}\s*(?:\[The End of Ranking Score\])?\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class BranchRethink(Alone):
    """0 for the right verdict, less for a wrong one, much less for one out of the format."""

    wrong: float = -10.0
    malformed: float = -100.0
    keys: ClassVar = ("verdict", "format")
    high: ClassVar = 0.0

    def __post_init__(self) -> None:
        if not self.malformed <= self.wrong <= 0:
            raise ConfigError(f"wanted malformed <= wrong <= 0, not {self.malformed!r} and {self.wrong!r}")

    @property
    def low(self) -> float:
        """See `Declared`."""
        return self.malformed

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`.

        Raises:
            DataError: the case's gold does not say what is right.
        """
        if (found := masked(trace)) is not None:
            return found
        right = correct(trace.verdict, case)
        if not _neat(trace):
            return of_parts({"verdict": 0.0, "format": self.malformed})
        return of_parts({"verdict": 0.0 if right else self.wrong, "format": 0.0})


def _neat(trace: Trace) -> bool:
    text, chosen = last_text(trace), trace.verdict.preference
    if trace.verdict.status == "failed":
        return False
    if is_object(text):
        return True
    ranking = _RANKING.search(text)
    if ranking is None or len(_BOXED.findall(text)) != 1:
        return False
    return chosen is not None and chosen != 0 and (ranking[1] == "2") == (chosen > 0)


@register("reward", "branch_rethink")
def branch_rethink(wrong: float = -10.0, malformed: float = -100.0) -> BranchRethink:
    """BR-RM's reward: 0 for the right verdict, -10 for the wrong one, -100 for one out of the format."""
    return BranchRethink(wrong, malformed)
