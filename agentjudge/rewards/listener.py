"""The listener's reward (arXiv 2506.22832): does a second model, told the policy's reasons, come to the right answer?

    r = format + 0.5 x right + 0.5 x what the listener gives the right answer

A policy that is right for reasons nobody else would follow earns half of what one earns that convinces. The listener is
another judge of the same kind of case, frozen, on another model: it is given the case, what the policy wrote before its
answer, and, unless it has tools of its own, nothing of what the policy's tools showed. The answer itself is left out
(`thoughts`), as far as the thought does not name it. The weights are known to us by a single note.

What it gives the right answer is its calibrated probability of it where the verdict has one, else its confidence where
it agrees with gold, and what that leaves to all other answers where it does not. The policy's words reach it as
material, fenced; that does not help a listener which believes whatever it is told, so try it on persuasive nonsense
before it pays anybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from agentjudge.case import Case, Claim, Comparison, Response
from agentjudge.errors import DataError
from agentjudge.registry import register
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.judged import Judging, thoughts
from agentjudge.rewards.reading import Missing, Reading, Term
from agentjudge.rewards.terms import CORRECT, NEAT, correct
from agentjudge.trace import Trace

TOLD = "What another reader thought of it, which may be wrong:\n"


def told(trace: Trace, case: Case) -> Case:
    """The case without gold, and the policy's thoughts beside it.

    Raises:
        DataError: a kind of case that has no place for them.
    """
    said = TOLD + (thoughts(trace) or "(nothing)")
    plain = case.blind()
    if isinstance(plain, Claim):
        return plain.model_copy(update={"context": "\n\n".join(filter(None, (plain.context, said)))})
    if isinstance(plain, Response | Comparison):
        return plain.model_copy(update={"prompt": f"{plain.prompt}\n\n{said}"})
    raise DataError(f"case {case.id!r}: a {type(case).__name__} has no place for another reader's thoughts")


@dataclass(frozen=True, slots=True)
class Listener:
    """What another judge gives the right answer, 0 to 1, having read the policy's thoughts."""

    judge: Judging
    retell: Callable[[Trace, Case], Case] = told
    low: ClassVar = 0.0
    high: ClassVar = 1.0

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`.

        Raises:
            DataError: the case has no gold that says what is right, or no place for thoughts.
        """
        verdict = (await self.judge.arun(self.retell(trace, case))).verdict
        if verdict.failure is not None:
            return Missing(f"the listener failed ({verdict.failure.kind}): {verdict.failure.message}")
        gold = case.gold.label if case.gold is not None else None
        if gold is not None and verdict.probabilities is not None:
            return verdict.probabilities.get(gold, 0.0)
        if verdict.status == "abstained" or verdict.confidence is None:
            return Missing("the listener did not say how sure it is")
        sure = verdict.confidence.value
        return sure if correct(verdict, case) else 1.0 - sure


@register("reward", "listener", paper="2506.22832")
def listener(
    judge: Judging,
    *,
    retell: Callable[[Trace, Case], Case] = told,
    answer: Term = CORRECT,
    neat: Term = NEAT,
    weight: float = 0.5,
) -> Composite:
    """Format, the answer, and whether another judge comes to the right answer by the policy's reasons.

    Args:
        judge: the listener, such as `Late(partial(Judge.load, "veri-r1", model="vllm:NAME"))`.
        retell: the case with the policy's thoughts.
        answer: the outcome's term.
        neat: the format's term.
        weight: of the answer, and of the listener.
    """
    heard = Part("listener", Listener(judge, retell), weight)
    return Composite((Part("format", neat), Part("answer", answer, weight), heard))
