"""Process rewards that cannot be farmed: Clip and Delta (arXiv 2410.15115), and what bounds a soft signal in a group.

A score of each step, summed up, grows with the number of steps: a policy learns to repeat what is scored well. With
s_1 .. s_K the scores of the steps and e a threshold,

    clip    r_k = min(s_k - e, 0)              a good step earns nothing, so repeating it earns nothing
    delta   r_k = s_k - s_(k+1), r_K = s_K     what is still to come at step k is s_k, however many steps follow

and both, clip first. Delta does not pay progress (rising scores have negative differences); it makes the return from
each step on the score of that step. That is exact without a discount only.

The paper's threshold is such that most steps earn 0; which step is the last credited one, and its constants, are known
to us by notes alone. A step is a turn here. `clip_delta` shapes any term that reads a number off each turn, by
default `SOUND_TURNS`: 1 for a turn that concludes, or whose calls all brought something new, else 0.
"""

import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from math import exp, fsum, inf

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.reading import Missing, Reading, Reads, Term
from agentjudge.rewards.terms import CORRECT
from agentjudge.trace import ToolEvent, Trace


def clip(scores: Sequence[float], threshold: float) -> tuple[float, ...]:
    """What each step lacks to the threshold, as a negative number; 0 from there on up."""
    return tuple(min(score - threshold, 0.0) for score in scores)


def delta(scores: Sequence[float]) -> tuple[float, ...]:
    """What each step has over the one after it, the last one over 0."""
    following = (*scores[1:], 0.0)
    return tuple(score - after for score, after in zip(scores, following, strict=True))


def clip_then_delta(scores: Sequence[float], threshold: float) -> tuple[float, ...]:
    """Both; the return from each step on is what that step lacks to the threshold."""
    return delta(clip(scores, threshold))


def trust(right: Sequence[float], wrong: Sequence[float]) -> float:
    """How far to trust a soft signal, by what it gave the right and the wrong answers of a group (arXiv 2505.17018).

    Returns:
        1 where the right ones have the higher mean, or one of the kinds is absent; else exp(their difference), below 1.
    """
    if not right or not wrong:
        return 1.0
    return min(1.0, exp(fsum(right) / len(right) - fsum(wrong) / len(wrong)))


def sound_turns(trace: Trace, case: Case) -> tuple[float, ...]:
    """1 for each turn without a failed call and without one that was made before in the same words, else 0."""
    made: set[str] = set()
    sound = [1.0] * len(trace.turns)
    for event in sorted(trace.events, key=lambda event: event.turn):
        call = _call(event)
        if event.status != "ok" or call in made:
            sound[event.turn] = 0.0
        made.add(call)
    return tuple(sound)


def _call(event: ToolEvent) -> str:
    return json.dumps([event.name, event.args], sort_keys=True, ensure_ascii=False).casefold()


SOUND_TURNS = Reads(sound_turns, 0.0, inf)
"""`sound_turns`; a sum over turns, so it is to be shaped before it is paid."""


@dataclass(frozen=True, slots=True)
class ClipDelta:
    """A term that reads a number off each turn, clipped and made differences of: at least -threshold, at most 0."""

    process: Term
    threshold: float = 0.9
    low_score: float = 0.0
    """No turn's number is below it."""

    @property
    def low(self) -> float:
        """See `Term`."""
        return min(self.low_score - self.threshold, 0.0)

    @property
    def high(self) -> float:
        """See `Term`."""
        return 0.0

    def read(self, trace: Trace, case: Case) -> Reading | Awaitable[Reading]:
        """See `Term`."""
        found = self.process.read(trace, case)
        return self._later(found) if isawaitable(found) else self._shaped(found)

    async def _later(self, found: Awaitable[Reading]) -> Reading:
        return self._shaped(await found)

    def _shaped(self, found: Reading) -> Reading:
        if isinstance(found, Missing):
            return found
        if not isinstance(found, tuple):
            raise ConfigError("only a term that reads a number off each turn can be clipped and made differences of")
        if min(found, default=0.0) < self.low_score:
            raise ConfigError(f"a turn was given {min(found)!r}, which is below {self.low_score!r}, the least declared")
        return clip_then_delta(found, self.threshold)


@register("reward", "clip_delta", paper="2410.15115")
def clip_delta(
    process: Term = SOUND_TURNS, *, threshold: float = 0.9, weight: float = 0.2, answer: Term = CORRECT
) -> Composite:
    """The answer, and a process reward of turns that is clipped and made differences of, so that no step can be farmed.

    Args:
        process: reads a number from 0 to 1 off each turn.
        threshold: from which on a turn costs nothing.
        weight: of the process beside the answer.
        answer: the outcome's term.
    """
    return Composite((Part("answer", answer), Part("process", ClipDelta(process, threshold), weight)))
