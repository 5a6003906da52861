"""A token a row from logits, each under its own temperature and top-p, and its log-probability there.

    tokens, logprobs = draw(logits, [Draw(temperature=1.0, top_p=0.9, chance=0.37), Draw(temperature=0.0)])

A row gets one number from 0 to 1, and the token is the one where that number falls in the distribution. So it needs no
generator on the device, costs one number a token whatever the vocabulary, and does not depend on the other rows.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Draw(NamedTuple):
    """How one row's token is drawn."""

    temperature: float
    """0 takes the likeliest."""
    top_p: float = 1.0
    chance: float = 0.0
    """From 0 to 1, 1 excluded."""


def draw(logits: Any, rows: Sequence[Draw]) -> tuple[list[int], list[float]]:
    """A token for each row and its log-probability, of the distribution that it was drawn from.

    At temperature 0 the log-probability is the model's own: no top-p, temperature 1.

    Args:
        logits: [rows, vocabulary].
        rows: one for each.
    """
    import torch

    device, greedy = logits.device, [row.temperature == 0 for row in rows]
    heat = torch.tensor([row.temperature or 1.0 for row in rows], device=device)
    odds = torch.log_softmax(logits.float() / heat[:, None], dim=-1)
    top = [1.0 if still else row.top_p for row, still in zip(rows, greedy, strict=True)]
    if min(top) < 1:
        odds = truncated(odds, torch.tensor(top, device=device))
    if all(greedy):
        tokens = odds.argmax(-1)
    else:
        below = odds.double().exp().cumsum(-1)
        chance = torch.tensor([row.chance for row in rows], dtype=torch.float64, device=device)
        wanted = chance * (1 - 1e-12) * below[:, -1]  # never the whole, behind which no token lies
        tokens = torch.searchsorted(below, wanted[:, None], right=True)[:, 0]
        if any(greedy):
            tokens = torch.where(torch.tensor(greedy, device=device), odds.argmax(-1), tokens)
    values = odds.gather(-1, tokens[:, None])[:, 0]
    return tokens.tolist(), [min(value, 0.0) for value in values.tolist()]


def truncated(odds: Any, top: Any) -> Any:
    """Log-probabilities of the smallest sets of tokens that have at least the probability `top`, a row.

    Args:
        odds: log-probabilities, [rows, vocabulary].
        top: [rows]; 1 leaves a row as it is.
    """
    ordered, order = odds.sort(dim=-1, descending=True)
    before = ordered.exp().cumsum(-1) - ordered.exp()
    kept = (before < top[:, None]) | (top >= 1)[:, None]
    kept[:, 0] = True
    kept = kept.new_zeros(kept.shape).scatter(-1, order, kept)
    cut = odds.masked_fill(~kept, float("-inf"))
    return cut - cut.logsumexp(-1, keepdim=True)
