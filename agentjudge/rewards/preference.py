"""Rewards of judges of pairs, which look at the verdict alone: WebArbiter (arXiv 2601.21872), RM-R1 (2505.02387).

+1 for the right verdict, -1 for anything else: the wrong one, an abstention, and an answer that cannot be read, for
which the policy is to blame. An outage is none of these, and masks. Neither paper pays for the format or the length.

An answer in the released layout has to end in its verdict tag: exactly one, within the last 80 characters, and the tag
of the other side nowhere. An answer that is one JSON object, as our own judges give it, is paid by the verdict that was
read from it, and what the text of its reason looks like does not matter.
"""

from dataclasses import dataclass
from typing import ClassVar

from agentjudge.case import Case
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, RewardResult, masked, of_parts
from agentjudge.rewards.tags import last_text, sole_tag
from agentjudge.rewards.terms import correct, is_object
from agentjudge.trace import Trace

RESPONSES = ("<Answer>Response 1</Answer>", "<Answer>Response 2</Answer>")
LETTERS = ("<answer>[[A]]</answer>", "<answer>[[B]]</answer>")


@dataclass(frozen=True, slots=True)
class VerdictOnly(Alone):
    """1 for the right verdict in the format, else -1."""

    tags: tuple[str, str]
    """The verdict tags of the released layout, for the first and for the second answer."""
    keys: ClassVar = ("verdict",)
    low: ClassVar = -1.0
    high: ClassVar = 1.0

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`.

        Raises:
            DataError: the case's gold does not say what is right.
        """
        if (found := masked(trace)) is not None:
            return found
        right = correct(trace.verdict, case) and self._neat(trace)
        return of_parts({"verdict": 1.0 if right else -1.0})

    def _neat(self, trace: Trace) -> bool:
        text, chosen = last_text(trace), trace.verdict.preference
        if is_object(text):
            return True
        side = sole_tag(text, self.tags)
        return side is not None and chosen is not None and chosen != 0 and side == (chosen > 0)


@register("reward", "web_arbiter", paper="2601.21872")
def web_arbiter() -> VerdictOnly:
    """WebArbiter's reward: 1 for the right verdict on two actions, else -1."""
    return VerdictOnly(RESPONSES)


@register("reward", "rm_r1")
def rm_r1() -> VerdictOnly:
    """RM-R1's reward: 1 for the right verdict on two answers, else -1."""
    return VerdictOnly(LETTERS)
