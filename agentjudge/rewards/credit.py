"""Which turn earned it: an outcome's reward spread over turns by declared factors (LaRe, arXiv 2412.11120).

    model = fit([factors_of(trace, case) for trace, case in seen], outcomes)     # numpy, on recorded judgements
    reward = lare(model, outcome=veri_r1())                                      # each turn's share of the outcome

LaRe describes a step by a few latent factors, and fits a decoder f so that over an episode of T steps the mean of
f(factors) is the return divided by T. The decoder here is linear with an intercept, fitted by ridge regression, so that
what a factor is worth can be read. Upstream a language model writes the factors as code, which is run; here they are
declared in `FACTORS`, or given as a function of your own: no text of a model is ever executed.

What the turns are given is moved by one and the same amount until they sum to the outcome's reward, so the score is the
outcome's and cannot be raised by what a turn looks like; only who gets how much of it depends on that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum

import numpy as np
from numpy.typing import NDArray

from agentjudge.case import Case
from agentjudge.errors import DataError
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, Reward, RewardResult, of_parts
from agentjudge.rewards.coverage import potential
from agentjudge.rewards.shaping import sound_turns
from agentjudge.rewards.veri_r1 import veri_r1
from agentjudge.trace import Trace

FACTORS = ("gold evidence gained", "anything new shown", "calls", "failed or repeated call", "concludes")
"""What `factors_of` says of each turn."""
Factors = Callable[[Trace, Case], Sequence[Sequence[float]]]
"""As many numbers for each turn of a trace, always the same ones."""


def factors_of(trace: Trace, case: Case) -> list[tuple[float, ...]]:
    """The declared factors of each turn, in the order of `FACTORS`."""
    gains = [after - before for before, after in pairwise(potential(trace, case))]
    sound, seen = sound_turns(trace, case), {ref.id for ref in trace.opening}
    rows: list[tuple[float, ...]] = []
    for number, turn in enumerate(trace.turns):
        events = [event for event in trace.events if event.turn == number]
        shown = {ref.id for event in events for ref in event.refs}
        new = float(bool(shown - seen))
        seen |= shown
        rows.append((gains[number], new, float(len(events)), 1.0 - sound[number], float(turn.phase == "conclude")))
    return rows


@dataclass(frozen=True, slots=True)
class Decomposition:
    """A linear decoder of factors."""

    weights: tuple[float, ...]
    """What each factor adds to a turn's reward."""
    intercept: float

    def decode(self, factors: Sequence[Sequence[float]]) -> list[float]:
        """The reward of each turn, before it is made to sum to anything.

        Raises:
            DataError: another number of factors than was fitted.
        """
        if any(len(row) != len(self.weights) for row in factors):
            raise DataError(f"the decomposition was fitted to {len(self.weights)} factors a turn")
        return [fsum([self.intercept, *(w * x for w, x in zip(self.weights, row, strict=True))]) for row in factors]

    def spread(self, outcome: float, factors: Sequence[Sequence[float]]) -> tuple[float, ...]:
        """The outcome's reward, spread over the turns: decoded rewards, moved alike until they sum to it."""
        decoded = self.decode(factors)
        rest = (outcome - fsum(decoded)) / max(1, len(decoded))
        return tuple(each + rest for each in decoded)


def fit(
    factors: Sequence[Sequence[Sequence[float]]], outcomes: Sequence[float], *, ridge: float = 1e-3
) -> Decomposition:
    """The decoder whose mean over each judgement's turns comes nearest to its outcome divided by their number.

    Args:
        factors: of each judgement, of each turn; judgements without turns are left out.
        outcomes: one a judgement.
        ridge: by how much large weights are held back.

    Raises:
        DataError: no judgement with turns, or the numbers do not go together.
    """
    if len(factors) != len(outcomes):
        raise DataError(f"{len(factors)} judgements for {len(outcomes)} outcomes")
    known = [(np.asarray(rows, float), float(o)) for rows, o in zip(factors, outcomes, strict=True) if len(rows)]
    if not known or len({rows.shape[1:] for rows, _ in known}) != 1:
        raise DataError("wanted at least one judgement with turns, and as many factors for each of them")
    means: NDArray[np.float64] = np.stack([rows.mean(0) for rows, _ in known])
    wanted = np.array([outcome / len(rows) for rows, outcome in known])
    centre, middle = means.mean(0), wanted.mean()
    apart = means - centre
    size = means.shape[1]
    weights = np.linalg.solve(apart.T @ apart + ridge * len(known) * np.eye(size), apart.T @ (wanted - middle))
    return Decomposition(tuple(map(float, weights)), float(middle - centre @ weights))


@dataclass(frozen=True, slots=True)
class Lare(Alone):
    """An outcome's reward, with each turn's share of it."""

    model: Decomposition
    outcome: Reward
    factors: Factors = factors_of

    @property
    def keys(self) -> tuple[str, ...]:
        """See `Declared`."""
        return self.outcome.keys

    @property
    def low(self) -> float:
        """See `Declared`."""
        return self.outcome.low

    @property
    def high(self) -> float:
        """See `Declared`."""
        return self.outcome.high

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`."""
        result = self.outcome.score(trace, case)
        if result.score is None:
            return result
        turns = self.model.spread(result.score, self.factors(trace, case))
        return of_parts(result.components, turn_rewards=turns, metrics=result.metrics)


@register("reward", "lare", paper="2412.11120")
def lare(model: Decomposition, *, outcome: Reward | None = None, factors: Factors = factors_of) -> Lare:
    """An outcome's reward spread over the turns, by a decoder of declared factors that was fitted to outcomes.

    Args:
        model: see `fit`.
        outcome: the reward that is spread; Veri-R1's by default.
        factors: those that the decoder was fitted to.
    """
    return Lare(model, outcome or veri_r1(), factors)
