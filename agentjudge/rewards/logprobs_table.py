"""What was scored before, kept: to test rewards by known numbers, and to score a run again without its model.

recording = Recording(VLLMScorer("NAME@URL"))
...                                                    # rewards that ask it
recording.table.save(Path("logprobs.jsonl"))
scorer = Table.load(Path("logprobs.jsonl"))            # answers the same questions, and no others
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from agentjudge.errors import DataError, ModelError, boundary
from agentjudge.rewards.logprobs import LogprobScorer, Spread, Token, checked

Place = tuple[tuple[int, ...], tuple[int, ...]]
"""A prefix and a continuation."""


class Table:
    """What was scored before.

    Args:
        scored: tokens by prefix and continuation.
        encoded: token ids by text.
        spread: spreads by prefix and continuation.
    """

    def __init__(
        self,
        scored: Mapping[Place, Sequence[Token]],
        *,
        encoded: Mapping[str, Sequence[int]] | None = None,
        spread: Mapping[Place, Sequence[Spread]] | None = None,
    ) -> None:
        self.scored, self.encoded, self.spread = dict(scored), dict(encoded or {}), dict(spread or {})

    async def encode(self, text: str) -> list[int]:
        """See `LogprobScorer`; a text that is not in the table is a `ModelError`."""
        if text not in self.encoded:
            raise ModelError(f"the table has no tokens of {text!r}")
        return list(self.encoded[text])

    async def score(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Token]:
        """See `LogprobScorer`; tokens that are not in the table are a `ModelError`."""
        return list(_looked_up(self.scored, prefix, continuation))

    async def spreads(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Spread]:
        """See `LogprobScorer`; tokens that are not in the table are a `ModelError`."""
        return list(_looked_up(self.spread, prefix, continuation))

    def save(self, path: Path) -> None:
        """Write the table as JSON lines."""
        rows = [{"text": text, "ids": list(ids)} for text, ids in self.encoded.items()]
        rows += [{"prefix": list(p), "ids": list(c), "tokens": list(map(list, t))} for (p, c), t in self.scored.items()]
        rows += [{"prefix": list(p), "ids": list(c), "spread": list(map(list, s))} for (p, c), s in self.spread.items()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Table":
        """The table that `save` wrote.

        Raises:
            DataError: no such file, or not a table.
        """
        table = cls({})
        with boundary(DataError, f"cannot read the table {path}"):
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                ids = tuple(row["ids"])
                if "text" in row:
                    table.encoded[row["text"]] = ids
                elif "tokens" in row:
                    table.scored[tuple(row["prefix"]), ids] = [Token(*each) for each in row["tokens"]]
                else:
                    table.spread[tuple(row["prefix"]), ids] = [Spread(*each) for each in row["spread"]]
        return table


class Recording:
    """Another scorer, whose answers are kept in `table`."""

    def __init__(self, scorer: LogprobScorer) -> None:
        self._scorer = scorer
        self.table = Table({})

    async def encode(self, text: str) -> list[int]:
        """See `LogprobScorer`."""
        ids = await self._scorer.encode(text)
        self.table.encoded[text] = ids
        return ids

    async def score(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Token]:
        """See `LogprobScorer`."""
        tokens = await self._scorer.score(prefix, continuation)
        self.table.scored[tuple(prefix), tuple(continuation)] = tokens
        return tokens

    async def spreads(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Spread]:
        """See `LogprobScorer`."""
        spreads = await self._scorer.spreads(prefix, continuation)
        self.table.spread[tuple(prefix), tuple(continuation)] = spreads
        return spreads


T = TypeVar("T")


def _looked_up(table: Mapping[Place, Sequence[T]], prefix: Sequence[int], continuation: Sequence[int]) -> Sequence[T]:
    found = table.get((tuple(checked(prefix)), tuple(continuation)))
    if found is None:
        raise ModelError(f"the table has no such {len(continuation)} tokens after {len(prefix)} others")
    return found
