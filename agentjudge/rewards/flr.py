"""FLR, the likelihood of follow-ups (arXiv 2409.13948): would a user now say something pleased, or something vexed?

    FLR = mean over pleased f of log p(f) / |f|  -  mean over vexed f of the same        f as the user's next turn

The released code averages raw logits, at positions one too late; this is the clean form of the same idea, in nats a
token. The paper has 120 sentences in six dimensions. Those here are ours, a few for each of what a judge owes its user:
to have understood, to be right, to have shown its evidence.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.contexts import ids_of, likely
from agentjudge.rewards.logprobs import LogprobScorer
from agentjudge.rewards.reading import Missing, Reading
from agentjudge.trace import Trace

PLEASED = (
    "That answers exactly what I asked.",
    "You are right, I checked it.",
    "Good, the sentence you quote settles it.",
)
VEXED = (
    "That is not what I asked.",
    "You are wrong, I checked it.",
    "The sentence you quote says nothing of the kind.",
)
OPENS = "\n<|im_start|>user\n"
"""What comes between an assistant's turn that has ended and the words of the user, in ChatML."""


@dataclass(frozen=True, slots=True)
class FollowUps:
    """The formula above, after the last turn."""

    scorer: LogprobScorer
    pleased: tuple[str, ...] = PLEASED
    vexed: tuple[str, ...] = VEXED
    opens: str = OPENS
    bound: float = 10.0
    """Nats a token between which the difference is kept."""

    def __post_init__(self) -> None:
        if not self.pleased or not self.vexed or self.bound <= 0:
            raise ConfigError("wanted at least one follow-up of each kind and a positive bound")

    @property
    def low(self) -> float:
        """See `Term`."""
        return -self.bound

    @property
    def high(self) -> float:
        """See `Term`."""
        return self.bound

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        ids = ids_of(trace.turns[-1]) if trace.turns else Missing("the trace has no turns")
        if isinstance(ids, Missing):
            return ids
        prefix = [*ids[0], *ids[1], *await self.scorer.encode(self.opens)]
        pleased, vexed = await asyncio.gather(self._mean(prefix, self.pleased), self._mean(prefix, self.vexed))
        return max(-self.bound, min(self.bound, pleased - vexed))

    async def _mean(self, prefix: Sequence[int], said: Sequence[str]) -> float:
        rows = await asyncio.gather(*(likely(self.scorer, prefix, text) for text in said))
        return fsum(fsum(token.logprob for token in row) / max(1, len(row)) for row in rows) / len(rows)


@register("reward", "flr", paper="2409.13948")
def flr(
    scorer: LogprobScorer,
    *,
    pleased: Sequence[str] = PLEASED,
    vexed: Sequence[str] = VEXED,
    opens: str = OPENS,
    weight: float = 1.0,
) -> Composite:
    """How much likelier it is that the user goes on pleased than vexed.

    Args:
        scorer: of a frozen chat model.
        pleased: what a pleased user may say next.
        vexed: what a vexed one may.
        opens: what stands between the end of the last turn and the user's words.
        weight: of a nat a token.
    """
    return Composite((Part("follow-ups", FollowUps(scorer, tuple(pleased), tuple(vexed), opens), weight),))
