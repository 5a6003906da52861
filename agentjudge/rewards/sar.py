"""SAR, the self-aligned reward (arXiv 2509.05489): is an answer about its question, rather than about anything?

    SAR = (ppl(a) - ppl(a given q)) / ppl(a), from -1 to 1        ppl = exp of the mean negative log-probability

By how much the perplexity of the whole answer falls once the question is there. A general, long-winded answer is as
likely without the question as with it; a short one that takes the question up is not. The released code pays it at 0.2
beside the answer, with group advantages that are not divided by the deviation.

Here a is what was sampled in the last turn and q its whole prompt, with the evidence that was shown. Without it a
stands after `alone`, which has to hold at least one token: the header of an assistant's turn.
"""

from dataclasses import dataclass
from math import exp, fsum
from typing import ClassVar

from agentjudge.case import Case
from agentjudge.registry import register
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.contexts import ids_of
from agentjudge.rewards.logprobs import LogprobScorer
from agentjudge.rewards.reading import Missing, Reading, Term
from agentjudge.rewards.terms import CORRECT
from agentjudge.trace import Trace

ALONE = "<|im_start|>assistant\n"
"""The header in ChatML, Qwen's format."""


def relative_drop(with_question: float, alone: float) -> float:
    """SAR of two mean log-probabilities of the same tokens, with and without the question."""
    return max(-1.0, min(1.0, 1.0 - exp(min(alone - with_question, 1.0))))


@dataclass(frozen=True, slots=True)
class SelfAligned:
    """The formula above, for the last turn."""

    scorer: LogprobScorer
    alone: str = ALONE
    low: ClassVar = -1.0
    high: ClassVar = 1.0

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        ids = ids_of(trace.turns[-1]) if trace.turns else Missing("the trace has no turns")
        if isinstance(ids, Missing):
            return ids
        prompt, output = ids
        if not output:
            return 0.0
        told = await self.scorer.score(prompt, output)
        alone = await self.scorer.score(await self.scorer.encode(self.alone), output)
        return relative_drop(*(fsum(token.logprob for token in tokens) / len(output) for tokens in (told, alone)))


@register("reward", "sar", paper="2509.05489")
def sar(scorer: LogprobScorer, *, weight: float = 0.2, alone: str = ALONE, answer: Term = CORRECT) -> Composite:
    """The answer, and by how much its perplexity falls once the question is there; favours short answers to the point.

    Args:
        scorer: of the policy.
        weight: beside the answer.
        alone: what the answer stands after where the question is left out.
        answer: the outcome's term.
    """
    return Composite((Part("answer", answer), Part("self-aligned", SelfAligned(scorer, alone), weight)))
