"""Rewards without gold, by how sure a model is: CRew (arXiv 2510.13501), self-certainty (2502.18581), and the votes.

    CRew            = mean probability of the tokens of the final answer, given everything before them
    self-certainty  = mean over tokens of KL(U || p), how far each guess is from one that has no idea

CRew looks at the answer alone; self-certainty at every token that was sampled in the last turn. `borda` chooses among
samples by it: the one on rank r of N gives its answer (N - r + 1)^p votes, and p = 0 is a majority vote. With gold,
`preference_pairs` picks the pairs of right and wrong samples that CRew-DPO trains on.

Self-certainty needs the odds of the whole vocabulary. A server that tells the most likely k tokens gives a lower bound
that depends on k (see `agentjudge.rewards.logprobs.spread_of`): it orders samples of one model and one k, and is to be
compared with nothing else. `direction="to uniform"` is KL(p || U), log V less the entropy, of which the most likely
tokens tell most; it is the one of Shop-R1 (2507.17842).

A reward by a model's own confidence sharpens what it believes already: it rises, then falls (arXiv 2603.08660). Watch
accuracy on some gold beside it, and stop when that turns.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp, fsum
from typing import ClassVar, Literal, TypeVar

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.contexts import before_answer, ids_of
from agentjudge.rewards.logprobs import LogprobScorer
from agentjudge.rewards.reading import Missing, Reading
from agentjudge.trace import Trace

Answer = TypeVar("Answer", bound=Hashable)
Direction = Literal["from uniform", "to uniform"]


@dataclass(frozen=True, slots=True)
class AnswerConfidence:
    """CRew: the mean probability of the tokens of the answer."""

    scorer: LogprobScorer
    low: ClassVar = 0.0
    high: ClassVar = 1.0

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`; an answer that cannot be read is 0."""
        if trace.verdict.status == "failed":
            return 0.0
        found = await before_answer(trace, self.scorer)
        if isinstance(found, Missing):
            return found
        return fsum(exp(token.logprob) for token in found.answer) / max(1, len(found.answer))


@dataclass(frozen=True, slots=True)
class SelfCertainty:
    """The mean distance from the uniform guess over the tokens of the last turn, in nats."""

    scorer: LogprobScorer
    direction: Direction = "from uniform"
    most: float = 50.0
    """Nats at which a token's distance is cut off; one impossible token of the vocabulary would make it infinite."""
    low: ClassVar = 0.0

    def __post_init__(self) -> None:
        if self.direction not in ("from uniform", "to uniform") or self.most <= 0:
            raise ConfigError("wanted the direction 'from uniform' or 'to uniform' and a positive bound")

    @property
    def high(self) -> float:
        """See `Term`."""
        return self.most

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        ids = ids_of(trace.turns[-1]) if trace.turns else Missing("the trace has no turns")
        if isinstance(ids, Missing):
            return ids
        spreads = await self.scorer.spreads(*ids)
        far = [each.from_uniform if self.direction == "from uniform" else each.to_uniform for each in spreads]
        return fsum(min(self.most, each) for each in far) / max(1, len(far))


def borda(certainties: Sequence[float], answers: Sequence[Answer | None], *, power: float = 0.5) -> Answer | None:
    """The answer that samples elect, each with the more votes the surer it is.

    Args:
        certainties: one a sample.
        answers: theirs; None where a sample has none, which votes for nothing but keeps its rank.
        power: p; 0 is a majority vote, and the larger it is, the more the surest sample decides.

    Returns:
        The answer with the most votes, of several the one whose surest sample is surest; None where there is none.
    """
    order = sorted(range(len(answers)), key=lambda i: certainties[i], reverse=True)
    votes: dict[Answer, float] = {}
    for rank, i in enumerate(order):
        if (answer := answers[i]) is not None:
            votes[answer] = votes.get(answer, 0.0) + (len(answers) - rank) ** power
    return max(votes, key=lambda answer: votes[answer], default=None)


def preference_pairs(confidences: Sequence[float], right: Sequence[bool], *, most: int) -> list[tuple[int, int]]:
    """Pairs of a right and a wrong sample to prefer by, those first that the model's confidence tells best (CRew-DPO).

    Args:
        confidences: one a sample.
        right: which samples are.
        most: pairs to keep.

    Returns:
        Indexes (right, wrong), by falling difference of their confidences.
    """
    good = [i for i, each in enumerate(right) if each]
    bad = [i for i, each in enumerate(right) if not each]
    pairs = [(i, j) for i in good for j in bad]
    return sorted(pairs, key=lambda pair: confidences[pair[1]] - confidences[pair[0]])[:most]


@register("reward", "crew", paper="2510.13501")
def crew(scorer: LogprobScorer) -> Composite:
    """How sure the model is of its final answer: the mean probability of the answer's tokens; needs no gold.

    Args:
        scorer: of the policy, or of the model whose confidence counts.
    """
    return Composite((Part("confidence", AnswerConfidence(scorer)),))


@register("reward", "self_certainty", paper="2502.18581")
def self_certainty(
    scorer: LogprobScorer, *, direction: Direction = "from uniform", most: float = 50.0, weight: float = 1.0
) -> Composite:
    """How far each guess of the last turn is from one that has no idea, over the whole vocabulary; needs no gold.

    Args:
        scorer: of the policy; exact in process, a lower bound by a server's most likely tokens.
        direction: of the divergence, see `Spread`.
        most: nats at which a token's distance is cut off.
        weight: of a nat.
    """
    return Composite((Part("certainty", SelfCertainty(scorer, direction, most), weight),))
