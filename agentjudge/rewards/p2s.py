"""P2S, probabilistic process supervision (arXiv 2601.20649): does each step lead towards a chain known to be right?

Given a chain of steps that ends in the right answer (`chain`; the paper samples and filters it anew with the policy),
with s_t its steps from t on and p_i all that came before the end of the policy's step i,

    path faithfulness of step i = max over t of [log P(s_t given p_i) - log P(s_t given nothing of the policy's)]
    of the last step            = log P(right answer given all before the policy's own)

    reward = -1 out of the format; where the group has a right answer, 1 or 0; else the weighted mean of the steps

Steps weigh more the later they come, by a sigmoid. So the process decides only in groups that know no answer, which is
where an outcome tells nothing. A step is a turn; the side without the policy's words is the prompt of the first turn,
where the paper masks them. The paper was not readable to us as a whole: this follows a reading note of its published
version, whose weights are not stated (`steepness`), and everything is bounded by `bound` nats and scaled to -1 .. 1.

A judgement of m turns against a chain of n steps costs m n + 2 scores.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum
from typing import ClassVar

from agentjudge.case import Case
from agentjudge.errors import ConfigError, DataError
from agentjudge.registry import register
from agentjudge.rewards.base import RewardResult, of_parts
from agentjudge.rewards.contexts import before_answer, gold_text, ids_of, likely
from agentjudge.rewards.logprobs import LogprobScorer
from agentjudge.rewards.reading import Missing, OfTerms, Reading, Row, Term, total
from agentjudge.rewards.terms import CORRECT, NEAT
from agentjudge.trace import Trace


def chain_of(case: Case) -> Sequence[str]:
    """The steps in `metadata["chain"]`.

    Raises:
        DataError: there are none.
    """
    chain = case.metadata.get("chain")
    if not isinstance(chain, list | tuple) or not chain or not all(isinstance(step, str) and step for step in chain):
        raise DataError(f"case {case.id!r}: metadata['chain'] must be a list of the steps of a known chain")
    return chain


def weights(steps: int, steepness: float) -> list[float]:
    """What each of some steps weighs: a sigmoid from first to last, and all of them 1 in sum."""
    raw = [1.0 / (1.0 + exp(-steepness * ((i + 1) / steps - 0.5))) for i in range(steps)]
    return [each / fsum(raw) for each in raw]


@dataclass(frozen=True, slots=True)
class PathFaithfulness:
    """The weighted steps above, one number a turn; their sum lies from -1 to 1."""

    scorer: LogprobScorer
    chain: Callable[[Case], Sequence[str]] = chain_of
    reference: Callable[[Case], str] = gold_text
    steepness: float = 6.0
    bound: float = 20.0
    """Nats that make a whole 1."""
    low: ClassVar = -1.0
    high: ClassVar = 1.0

    async def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        chain, wanted = self.chain(case), self.reference(case)
        if trace.verdict.status == "failed":
            return (0.0,) * len(trace.turns)  # out of the format, and paid for that
        last = await before_answer(trace, self.scorer)
        if isinstance(last, Missing):
            return last
        pairs = [ids_of(turn) for turn in trace.turns]
        if gap := next((pair for pair in pairs if isinstance(pair, Missing)), None):
            return gap
        known = [pair for pair in pairs if not isinstance(pair, Missing)]
        suffixes = ["\n".join(chain[t:]) for t in range(len(chain))]
        without = await self._likelihoods(known[0][0], suffixes) if len(known) > 1 else []
        values = []
        for prompt, output in known[:-1]:
            told = await self._likelihoods(prompt + output, suffixes)
            values.append(max(after - before for after, before in zip(told, without, strict=True)))
        values += await self._likelihoods(last.prefix, [last.instead(wanted)])
        shares = weights(len(values), self.steepness)
        return tuple(w * max(-1.0, min(1.0, v / self.bound)) for w, v in zip(shares, values, strict=True))

    async def _likelihoods(self, prefix: Sequence[int], texts: Sequence[str]) -> list[float]:
        rows = await asyncio.gather(*(likely(self.scorer, prefix, text) for text in texts))
        return [fsum(token.logprob for token in row) for row in rows]


@dataclass(frozen=True, slots=True)
class P2S(OfTerms):
    """The reward of a group, from the hierarchy above."""

    path: Term
    answer: Term = CORRECT
    neat: Term = NEAT
    keys: ClassVar = ("format", "answer", "path")
    low: ClassVar = -1.0
    high: ClassVar = 1.0

    def __post_init__(self) -> None:
        if not -1 <= self.path.low <= self.path.high <= 1 or not 0 <= self.answer.low <= self.answer.high <= 1:
            raise ConfigError("the path is a term from -1 to 1, the answer one from 0 to 1")

    @property
    def terms(self) -> Mapping[str, Term]:
        """See `OfTerms`."""
        return {"format": self.neat, "answer": self.answer, "path": self.path}

    def pay(self, rows: Sequence[Row], traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `OfTerms`."""
        solved = any(total(row["answer"]) >= 0.5 and total(row["format"]) >= 0.5 for row in rows)
        results = []
        for row in rows:
            neat = total(row["format"]) >= 0.5
            path = row["path"] if neat and not solved else 0.0
            parts = {
                "format": 0.0 if neat else -1.0,
                "answer": total(row["answer"]) if neat and solved else 0.0,
                "path": total(path),
            }
            results.append(of_parts(parts, turn_rewards=path if isinstance(path, tuple) else ()))
        return results


@register("reward", "p2s", paper="2601.20649")
def p2s(
    scorer: LogprobScorer,
    *,
    chain: Callable[[Case], Sequence[str]] = chain_of,
    reference: Callable[[Case], str] = gold_text,
    steepness: float = 6.0,
    bound: float = 20.0,
) -> P2S:
    """Right or wrong where the group has a right answer, else how far each step leads towards a known chain.

    Args:
        scorer: of the policy.
        chain: the steps of a known chain to the right answer; `metadata["chain"]` by default.
        reference: the right answer, as it would be written after the last step.
        steepness: of the sigmoid by which later steps weigh more.
        bound: nats that make a step's reward 1.
    """
    return P2S(PathFaithfulness(scorer, chain, reference, steepness, bound))
