"""What each tool call was worth: by how much it raised the likelihood of the right verdict (arXiv 2510.01265).

RLP pays a thought by the log-probability of what comes next with it, less that without it. For a judge that looks
things up the thought is a tool call, and what comes next is gold's verdict (the turn-level form is IGPO's, 2510.14967).
With V_t = log P(gold verdict given the prompt of turn t), in nats and not below `floor`,

    gain of turn t = V_(t+1) - V_t         and 0 for the last turn, after which nothing was shown

The gains sum to V_last - V_first, however many turns there were, so calls cannot be farmed: one that shows what is
known already gains nothing, and one that misleads costs. The prompt of a turn is taken as the ids of
`Turn.prompt_ids`, and `bridge` opens the verdict after it, so the policy's own answer plays no part.

RLP scores the side without the thought by a slowly moving copy of the policy. Hand in a scorer of a frozen or such a
model; with the policy itself as the scorer it can learn to be ignorant of what it has not looked up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.contexts import gold_text, likely
from agentjudge.rewards.likelihood import FLOOR, read_off
from agentjudge.rewards.logprobs import LogprobScorer
from agentjudge.rewards.reading import Missing, Reading, Term
from agentjudge.rewards.terms import CORRECT
from agentjudge.trace import Trace

BRIDGE = '{"label": "'
"""Opens a JSON verdict whose first field is the label."""


@dataclass(frozen=True, slots=True)
class EvidenceGain:
    """The formula above; one number a turn, in nats."""

    scorer: LogprobScorer
    bridge: str = BRIDGE
    """What stands between a turn's prompt and the verdict."""
    reference: Callable[[Case], str] = gold_text
    """The right verdict, as it would be written after the bridge."""
    floor: float = FLOOR

    def __post_init__(self) -> None:
        if self.floor >= 0:
            raise ConfigError(f"the floor of a log-probability is negative, not {self.floor!r}")

    @property
    def low(self) -> float:
        """See `Term`."""
        return self.floor

    @property
    def high(self) -> float:
        """See `Term`."""
        return -self.floor

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        wanted = self.reference(case)
        prompts = [turn.prompt_ids for turn in trace.turns if turn.prompt_ids]
        if len(prompts) < len(trace.turns) or not prompts:
            return Missing("a turn has no token ids; serve the policy with vLLM, which gives them")
        opened = await self.scorer.encode(self.bridge)
        values: list[float] = []
        for number, prompt in enumerate(prompts):
            if number and prompt == prompts[number - 1]:
                values.append(values[-1])
                continue
            tokens = await likely(self.scorer, prompt + opened, wanted)
            values.append(read_off([token.logprob for token in tokens], "logprob", floor=self.floor))
        return (*(after - before for before, after in pairwise(values)), 0.0)


@register("reward", "evidence_gain", paper="2510.01265")
def evidence_gain(
    scorer: LogprobScorer,
    *,
    weight: float = 0.05,
    bridge: str = BRIDGE,
    reference: Callable[[Case], str] = gold_text,
    floor: float = FLOOR,
    answer: Term = CORRECT,
) -> Composite:
    """The answer, and for each turn by how much its tool calls raised the likelihood of the right verdict.

    Args:
        scorer: of a frozen model, or a slowly moving copy of the policy.
        weight: of a nat beside the answer.
        bridge: what opens the verdict after a turn's prompt.
        reference: the right verdict of a case, as it would be written after the bridge.
        floor: nats below which a log-probability counts no further; bounds the whole.
        answer: the outcome's term.
    """
    gain = EvidenceGain(scorer, bridge, reference, floor)
    return Composite((Part("answer", answer), Part("evidence gain", gain, weight)))
