"""Intrinsic rewards as one family, and what they all do (arXiv 2603.08660): they sharpen what is believed already.

| `by` | reward | goes wrong by |
|---|---|---|
| `vote` | 1 for the majority of the group | agreeing on what is wrong |
| `trajectory` | mean log-probability of all sampled tokens, from `floor` | repetition |
| `probability` | exp of that mean, 0 to 1 | ever shorter answers |
| `certainty` | self-certainty of the last turn, 0 to 50 nats; needs a scorer | agreeing on what is wrong |

All have the form psi((sign / |I|) x sum over I of H(q, p)) for some anchor q and index set I, rise at first where the
policy is right more often than not, and then fall: when is set by the policy, not by which of them it is. None says
anything of what is true. Run one only with accuracy on some gold beside it, and against a reward at random as a control
(`Noise`), which tells how much of a gain needs no reward at all (arXiv 2512.16912).

The log-probabilities are those recorded in the turns, of the sampled tokens: no model is asked for them.
"""

import hashlib
from dataclasses import dataclass, replace
from math import exp, fsum
from typing import ClassVar, Literal, Self, get_args

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, RewardResult, masked, of_parts
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.confidence import SelfCertainty
from agentjudge.rewards.groups import MajorityVote
from agentjudge.rewards.logprobs import LogprobScorer
from agentjudge.rewards.reading import Missing, Reading
from agentjudge.trace import Trace

By = Literal["vote", "trajectory", "probability", "certainty"]


@dataclass(frozen=True, slots=True)
class SampledLogprob:
    """The mean log-probability of all tokens that the policy sampled, or its exponential."""

    exponential: bool = False
    floor: float = -20.0

    @property
    def low(self) -> float:
        """See `Term`."""
        return 0.0 if self.exponential else self.floor

    @property
    def high(self) -> float:
        """See `Term`."""
        return 1.0 if self.exponential else 0.0

    def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        kept = [turn.logprobs for turn in trace.turns if turn.logprobs is not None]
        if len(kept) < len(trace.turns) or not any(kept):
            return Missing("a turn has no log-probabilities of what was sampled; serve the policy with vLLM")
        count = sum(map(len, kept))
        mean = max(self.floor, min(0.0, fsum(logprob for each in kept for logprob in each) / count))
        return exp(mean) if self.exponential else mean


@dataclass(frozen=True, slots=True)
class Noise(Alone):
    """A reward at random, 1 with probability `p`: the control that a claimed gain is to be compared with.

    It depends on the case, the step and what was said: a judgement has one reward however often it is scored, in a
    training that was resumed too, and no way of judging is paid better than another for longer than a step.
    """

    p: float = 0.5
    seed: int = 0
    step: int = 0
    """Of the training."""
    keys: ClassVar = ("noise",)
    low: ClassVar = 0.0
    high: ClassVar = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ConfigError(f"a probability lies from 0 to 1, not {self.p!r}")

    def at(self, step: int) -> Self:
        """See `Declared`; other throws at each step."""
        return replace(self, step=step)

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`; needs no gold."""
        if (found := masked(trace)) is not None:
            return found
        said = [turn.output_ids or turn.message_out for turn in trace.turns]
        thrown = repr((self.seed, self.step, case.id, said)).encode("utf-8", "replace")
        won = int.from_bytes(hashlib.sha256(thrown).digest()[:8], "big") < self.p * 2**64
        return of_parts({"noise": float(won)})


@register("reward", "intrinsic", paper="2603.08660")
def intrinsic(by: By = "vote", *, scorer: LogprobScorer | None = None) -> Composite | MajorityVote:
    """A reward without gold, of a family that sharpens what the policy believes: watch accuracy on gold beside it.

    Args:
        by: see the table of `agentjudge.rewards.intrinsic`.
        scorer: of the policy; for `certainty` alone.
    """
    if by == "vote":
        return MajorityVote()
    if by in ("trajectory", "probability"):
        return Composite((Part(by, SampledLogprob(by == "probability")),))
    if by not in get_args(By):
        raise ConfigError(f"unknown intrinsic reward {by!r}; there is {', '.join(get_args(By))}")
    if scorer is None:
        raise ConfigError("self-certainty needs a scorer: intrinsic('certainty', scorer=...)")
    return Composite((Part(by, SelfCertainty(scorer)),))


@register("reward", "noise")
def noise(p: float = 0.5, *, seed: int = 0) -> Noise:
    """A reward at random, as the control that a claimed gain is to be compared with."""
    return Noise(p, seed)
