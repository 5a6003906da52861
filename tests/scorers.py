"""A language model of letters, small enough to be right by inspection: token ids are code points.

It has seen nothing but its prefix: a letter is the likelier, the oftener it followed the letter before it there. So
texts become likelier once they have been read, which is all that rewards by likelihood are about. Letters beyond ASCII
share the odds of those within.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np

from agentjudge.errors import ModelError
from agentjudge.rewards.logprobs import Spread, Token, checked, spread_of
from agentjudge.trace import Trace

VOCABULARY = 128


class Letters:
    """See above.

    Args:
        bold: how much a pair of letters that was seen counts beside one that was not.
        down: whether every question is answered by an outage.
    """

    def __init__(self, *, bold: float = 50.0, down: bool = False) -> None:
        self.bold, self.down = bold, down
        self.asked: list[tuple[str, str]] = []

    def odds(self, prefix: Sequence[int]) -> np.ndarray:
        """Probabilities of the next letter, (VOCABULARY,)."""
        counts = np.ones(VOCABULARY)
        for before, after in zip(prefix, prefix[1:], strict=False):
            if before == prefix[-1]:
                counts[after % VOCABULARY] += self.bold
        return counts / counts.sum()

    def _up(self) -> None:
        if self.down:
            raise ModelError("no server", retriable=True)

    async def encode(self, text: str) -> list[int]:
        self._up()
        return [ord(letter) for letter in text]

    async def score(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Token]:
        self._up()
        said = checked(prefix)
        self.asked.append(("".join(map(chr, said)), "".join(map(chr, continuation))))
        if not self.bold:
            return [Token(chr(id), log(1 / VOCABULARY)) for id in continuation]
        tokens = []
        for id in continuation:
            tokens.append(Token(chr(id), log(self.odds(said)[id % VOCABULARY])))
            said.append(id)
        return tokens

    async def spreads(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Spread]:
        self._up()
        said, spreads = checked(prefix), []
        if not self.bold:
            return [spread_of([log(1 / VOCABULARY)] * VOCABULARY, VOCABULARY)] * len(continuation)
        for id in continuation:
            spreads.append(spread_of(np.log(self.odds(said)).tolist(), VOCABULARY))
            said.append(id)
        return spreads


def spelled(trace: Trace, prompts: Sequence[str]) -> Trace:
    """The trace with token ids: of these prompts, and of what its turns say."""
    turns = [
        replace(
            turn,
            prompt_ids=[ord(letter) for letter in prompt],
            output_ids=[ord(letter) for letter in turn.message_out["content"]],
        )
        for turn, prompt in zip(trace.turns, prompts, strict=True)
    ]
    return replace(trace, turns=turns, messages=[turn.message_out for turn in turns])
