"""How probable each of a few labels was at the place where a model wrote one of them: from alternatives to its tokens.

    {"label": "Yes"}      is written in the tokens      {"label": "   Yes   "}
                          and instead of the second                   Yes -0.1, In -2.5, No -5.0    would have come

The place of a label is known in the text of the answer. The bytes of the tokens say that text too, maybe after a
thought, and before the token that ends the turn, so the place of the label's first token follows exactly. White space
is left out of the count, and so is U+FFFD: some servers tell a token without the blank before it, or leave out bytes
that are no text. A token that begins before the label, such as `"Yes`, is compared with those that begin as it does.

A token stands for a label if it is the beginning of that label alone, or the label and what cannot belong to its word,
in small letters or capitals; tokens that stand for one label are added up. Where the sampled token is the beginning of
several labels the next one decides, and so on. What stands for none, or for several, is left out, and the shares of the
labels are made to sum to 1 (Web-Shepherd, arXiv 2505.15277; its code lets a token stand for any label it contains).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agentjudge.graphs.turns import text_of
from agentjudge.trace import Turn

Odds = dict[str, float]
"""Label to share: 0..1, 1 in all."""
_BLANK = b" \t\n\r\x0b\x0c"
_NO_TEXT = "\ufffd".encode()
_LINKS = b"_-"


class _Place(NamedTuple):
    """A sampled token, and what could have come in its place."""

    piece: bytes
    """What is counted of it."""
    logprob: float
    likeliest: Mapping[str, float]
    """Text to log-probability, the sampled token among them."""


def odds(turn: Turn, places: Sequence[int], labels: Sequence[str]) -> list[Odds | None]:
    """The odds of the labels at each place; None where they are not known.

    Args:
        turn: its alternatives, if it has any, were asked for.
        places: where the labels that it wrote begin, in characters of its text.
        labels: those it could have written; none is the beginning of another.
    """
    text, tokens = text_of(turn.message_out), _places(turn)
    begin = b"".join(token.piece for token in tokens).rfind(_bare(text))
    if begin < 0 or not tokens:
        return [None] * len(places)
    names = {label: _folded(_bare(label)) for label in labels}
    return [_odds(tokens, begin + len(_bare(text[:place])), names) for place in places]


def _places(turn: Turn) -> list[_Place]:
    tokens, logprobs, alternatives = turn.tokens or [], turn.logprobs or [], turn.alternatives or []
    if not len(tokens) == len(logprobs) == len(alternatives):
        return []
    return [
        _Place(_bare(token), logprob, {token: logprob, **likeliest})
        for token, logprob, likeliest in zip(tokens, logprobs, alternatives, strict=True)
    ]


def _odds(tokens: Sequence[_Place], place: int, names: Mapping[str, bytes]) -> Odds | None:
    """The odds at a place in bytes."""
    number = 0
    while number < len(tokens) and place >= len(tokens[number].piece):
        place -= len(tokens[number].piece)
        number += 1
    mass, said, way = dict.fromkeys(names, 0.0), b"", 1.0
    meant: list[str] = []
    for token in tokens[number:]:
        head, place = token.piece[:place], 0
        for text, logprob in token.likeliest.items():
            piece = _bare(text)
            meant = _meant(said + piece[len(head) :], names) if piece.startswith(head) else []
            if len(meant) == 1:
                mass[meant[0]] += way * math.exp(logprob)
        said += token.piece[len(head) :]
        if len(meant := _meant(said, names)) < 2:
            break
        way *= math.exp(token.logprob)
    total = sum(mass.values())
    return {label: share / total for label, share in mass.items()} if len(meant) == 1 and total > 0 else None


def _meant(said: bytes, names: Mapping[str, bytes]) -> list[str]:
    """The labels that a text says, or begins to say."""
    folded = _folded(said)
    return [label for label, name in names.items() if name.startswith(folded) or _says(folded, name)]


def _says(folded: bytes, name: bytes) -> bool:
    """Whether a text is a name and nothing that would go on with its last word."""
    behind = folded[len(name) : len(name) + 1]
    return folded.startswith(name) and not (behind.isalnum() or behind >= b"\x80")


def _folded(bare: bytes) -> bytes:
    return bare.lower().translate(None, _LINKS)


def _bare(text: str) -> bytes:
    """The bytes of a text, but for those that are not counted."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # what no server can have sent
        raw = text.encode("utf-8", "replace")
    return raw.translate(None, _BLANK).replace(_NO_TEXT, b"")
