"""Log-probabilities of given tokens: the one contract behind every reward that asks how likely a model finds a text.

    scorer = VLLMScorer("Qwen/Qwen3-8B@http://gpu:8000")          # or HFScorer(PATH), or a Table
    tokens = await scorer.score(turn.prompt_ids, await scorer.encode("SUPPORT"))
    print(sum(token.logprob for token in tokens))

Token ids are the truth: what a policy sampled goes in as the ids that the server gave, and is never decoded and encoded
again. Only texts of our own (a gold label, a follow-up) are encoded, and only those may be: an encoder takes text that
looks like a control token for one, so nothing that a policy wrote is ever handed to it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from agentjudge.errors import DataError

SURE = 1e-6
"""Probability that may lie outside of the most likely tokens although theirs seem to sum to 1."""


class Token(NamedTuple):
    """A token that was scored."""

    text: str
    logprob: float
    """Natural logarithm of its probability given all tokens before it; at most 0."""


class Spread(NamedTuple):
    """How a model's guess at one token is spread over its vocabulary, in nats from the uniform distribution U."""

    from_uniform: float
    """KL(U || p), the self-certainty of arXiv 2502.18581: 0 for a model that has no idea, without upper bound."""
    to_uniform: float
    """KL(p || U) = log V - entropy, of Shop-R1 (2507.17842): from 0 to log V."""
    exact: bool
    """Whether the whole vocabulary was seen; else both are lower bounds."""


class LogprobScorer(Protocol):
    """Scores given tokens. Safe for concurrent calls."""

    async def encode(self, text: str) -> list[int]:
        """Token ids of a text of our own, without tokens before or after it.

        Raises:
            ModelError: the server cannot be had.
        """
        ...

    async def score(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Token]:
        """The tokens of the continuation, each given the prefix and those before it.

        Args:
            prefix: ids, at least one.
            continuation: ids.

        Raises:
            ModelError: the server cannot be had, or the tokens are longer than the model's context.
            DataError: an empty prefix.
        """
        ...

    async def spreads(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Spread]:
        """How the guess at each token of the continuation is spread; arguments and errors as in `score`."""
        ...


def spread_of(logprobs: Sequence[float], vocabulary: int) -> Spread:
    """The spread of a guess of which some log-probabilities are known.

    Where the most likely k tokens alone are known, as a server tells them, what is left of the probability is taken to
    be spread evenly over the other tokens. That is the least that both numbers can be: the true ones are higher, the
    more so the more uneven the tail is. KL(U || p) is nearly all tail: of 5,000 tokens with normally distributed logits
    (deviation 4) the first 20 tell 14% of it, and 71% of KL(p || U). Values from different k are not to be compared.

    Args:
        logprobs: of different tokens, the most likely ones.
        vocabulary: V, how many tokens there are in all.

    Raises:
        DataError: more log-probabilities than tokens.
    """
    rest = vocabulary - len(logprobs)
    if rest < 0 or not logprobs:
        raise DataError(f"{len(logprobs)} log-probabilities of a vocabulary of {vocabulary}")
    known = math.fsum(logprobs)
    weighed = math.fsum(math.exp(logprob) * logprob for logprob in logprobs)
    if rest:
        left = max(0.0, 1.0 - math.fsum(map(math.exp, logprobs)))
        known += rest * math.log((left + SURE) / rest)
        weighed += left * math.log(left / rest) if left else 0.0
    size = math.log(vocabulary)
    return Spread(max(0.0, -size - known / vocabulary), max(0.0, size + weighed), rest == 0)


def checked(prefix: Sequence[int]) -> list[int]:
    """The prefix as a list.

    Raises:
        DataError: it is empty: nothing can be said of a token with nothing before it.
    """
    if not prefix:
        raise DataError("a log-probability needs at least one token before it")
    return list(prefix)
