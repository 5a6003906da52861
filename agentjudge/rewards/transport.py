"""Rewards of a picture or video by optimal transport over given embeddings (PISCES, arXiv 2602.01624).

    quality   cosine of a video's embedding and its text's, the latter transported to where real videos lie
    semantic  how well the words find their patches: the similarity of a partial transport of tokens to patches

Text and video embeddings of one model lie apart from each other, so their plain cosine says little. `transported` maps
texts onto a set of real videos by the barycentre of an entropic transport plan; `quality` is the cosine after that.
`semantic` moves `mass` of the words, 0.9, so that a word or two may be nowhere to be seen, at a cost of 1 - cosine plus
`place_weight` times how far a patch lies, in time and in space, from where the word is seen on the whole. A patch takes
one word's worth at most, where there are as many, so one patch cannot be everything that was asked for.

The paper learns its map with a network and fuses its plan into the attention of its text encoder; its text was not
readable to us, and what is here is the form that its abstract states, for embeddings that are handed in. Neither is a
judge: they are cheap scalars, to be gated by one (`agentjudge.rewards.gates`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from agentjudge.case import Case
from agentjudge.errors import DataError
from agentjudge.registry import register
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.reading import Reading
from agentjudge.trace import Trace

Array = NDArray[np.float64]
LEFT_OUT = 4.0
"""Cost of what is moved from nowhere to nowhere, in units of the dearest real one."""
NONE = 1e-12
"""In place of a weight of 0, whose logarithm there is none of."""


def _unit(vectors: Array) -> Array:
    rows: Array = np.atleast_2d(np.asarray(vectors, float))
    norms: Array = np.linalg.norm(rows, axis=-1, keepdims=True)
    if not np.isfinite(rows).all() or (norms == 0).any():
        raise DataError("an embedding is not finite, or has no direction")
    return np.asarray(rows / norms)


def sinkhorn(cost: Array, a: Array, b: Array, *, epsilon: float = 0.05, steps: int = 300) -> Array:
    """The entropic transport plan between two sets of weights, by updates of logarithms.

    Args:
        cost: (n, m).
        a: (n,), what each row gives; sums to what b sums to.
        b: (m,), what each column takes.
        epsilon: how much the plan is smoothed, in units of the cost.
        steps: updates of each side.

    Returns:
        (n, m); its columns sum to b, its rows to a as far as the steps went.
    """
    f, g = np.zeros(len(a)), np.zeros(len(b))
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log(a), np.log(b)
    for _ in range(steps):
        f = epsilon * (log_a - _logsumexp((g[None, :] - cost) / epsilon, axis=1))
        g = epsilon * (log_b - _logsumexp((f[:, None] - cost) / epsilon, axis=0))
    return np.asarray(np.exp((f[:, None] + g[None, :] - cost) / epsilon))


def _logsumexp(values: Array, axis: int) -> Array:
    top = values.max(axis=axis, keepdims=True)
    return np.asarray((top + np.log(np.exp(values - top).sum(axis=axis, keepdims=True))).squeeze(axis))


def partial_plan(
    cost: Array, *, mass: float = 0.9, room: float | None = None, epsilon: float = 0.05, steps: int = 300
) -> Array:
    """The plan that moves so much of evenly weighted rows to columns, (n, m) with the sum `mass`.

    What stays goes to a row and a column of no cost, which may not exchange anything with each other.

    Args:
        cost: (n, m).
        mass: share of the rows that is moved, above 0 and up to 1.
        room: what a column takes at most; 1 / m when None, so that only all of them together take everything.
        epsilon: see `sinkhorn`.
        steps: see `sinkhorn`.
    """
    n, m = cost.shape
    each = 1.0 / m if room is None else room
    wide = np.zeros((n + 1, m + 1))
    wide[:n, :m] = cost
    wide[n, m] = LEFT_OUT * max(1.0, float(cost.max(initial=0.0)))
    a = np.append(np.full(n, 1.0 / n), m * each - mass + NONE)
    b = np.append(np.full(m, each), 1.0 - mass + NONE)
    return sinkhorn(wide, a, b, epsilon=epsilon, steps=steps)[:n, :m]


def transported(texts: Array, videos: Array, *, epsilon: float = 0.05) -> Array:
    """Each text where transport takes it among the videos: (n, d) unit vectors.

    Args:
        texts: (n, d) embeddings.
        videos: (m, d) embeddings of real videos.
        epsilon: see `sinkhorn`.
    """
    ours, theirs = _unit(texts), _unit(videos)
    plan = sinkhorn(
        1.0 - ours @ theirs.T,
        np.full(len(ours), 1.0 / len(ours)),
        np.full(len(theirs), 1.0 / len(theirs)),
        epsilon=epsilon,
    )
    return _unit(plan @ theirs)


def quality(text: Array, video: Array) -> float:
    """Cosine of a transported text and a video, both (d,); -1 to 1."""
    return float(np.clip(_unit(text)[0] @ _unit(video)[0], -1.0, 1.0))


def semantic(
    tokens: Array, patches: Array, places: Array | None = None, *, mass: float = 0.9, place_weight: float = 0.2
) -> float:
    """How similar the words are to the patches that a partial transport gives them, -1 to 1.

    Args:
        tokens: (n, d) embeddings of the words.
        patches: (m, d) embeddings of the patches.
        places: (m, k) of each patch, each coordinate 0 to 1, such as its time and its row and column.
        mass: share of the words that is moved.
        place_weight: of the distance from where a word is seen on the whole.
    """
    alike = _unit(tokens) @ _unit(patches).T
    cost = 1.0 - alike
    if places is not None:
        at = np.asarray(places, float)
        odds = np.exp((alike - alike.max(1, keepdims=True)) / 0.1)
        centre = odds / odds.sum(1, keepdims=True) @ at
        cost = cost + place_weight * np.linalg.norm(at[None] - centre[:, None], axis=-1) / np.sqrt(at.shape[1])
    plan = partial_plan(cost, mass=mass, room=max(1.0 / len(cost), 1.0 / cost.shape[1]))
    return float(np.clip((plan * alike).sum() / max(plan.sum(), 1e-12), -1.0, 1.0))


Embedded = Callable[[Trace, Case], tuple[Array, Array]]
"""The embeddings of a judgement: of its text and of what was made."""
Placed = Callable[[Trace, Case], tuple[Array, Array, Array | None]]
"""The embeddings of its words and of the patches of what was made, and the places of the latter."""


@dataclass(frozen=True, slots=True)
class Quality:
    """`quality` of given embeddings."""

    embed: Embedded
    low: ClassVar = -1.0
    high: ClassVar = 1.0

    def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        return quality(*self.embed(trace, case))


@dataclass(frozen=True, slots=True)
class Semantic:
    """`semantic` of given embeddings."""

    embed: Placed
    mass: float = 0.9
    place_weight: float = 0.2
    low: ClassVar = -1.0
    high: ClassVar = 1.0

    def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`."""
        tokens, patches, places = self.embed(trace, case)
        return semantic(tokens, patches, places, mass=self.mass, place_weight=self.place_weight)


@register("reward", "pisces", paper="2602.01624")
def pisces(
    whole: Embedded, pieces: Placed, *, weights: tuple[float, float] = (1.0, 1.0), mass: float = 0.9
) -> Composite:
    """How near what was made lies to its text, whole and piece by piece, by optimal transport over given embeddings.

    Args:
        whole: the transported embedding of the text (see `transported`) and that of what was made.
        pieces: embeddings of words and patches, and where the patches are.
        weights: of quality and of semantics.
        mass: share of the words that has to be found.
    """
    semantics = Part("semantic", Semantic(pieces, mass), weights[1])
    return Composite((Part("quality", Quality(whole), weights[0]), semantics))
