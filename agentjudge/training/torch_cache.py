"""Keys and values of many sequences at once, each in a row of its own: what `TorchSampler` decodes over.

    cache = RowCache()
    cache.aim(first=0, positions=positions, width=width)      # the rows and columns of the next forward pass
    model(input_ids=ids, position_ids=positions, cache=cache, attention_mask=mask)

Column `c` of a row holds token `c` of its sequence, so rows of any lengths stand side by side, nothing is shifted when
a sequence joins or leaves, and what lies beyond a row's end is garbage that the mask hides. Rows in use lie together
from the first on, so a step looks at a slice and copies nothing. A row whose sequence is over keeps it: a later prompt
that begins with it (the next turn of its conversation) goes on in the row, and one that shares a part (the same system
prompt and tools) copies that part.

It takes the place of transformers' `Cache` in a forward pass and has the two methods of it that models call.
"""

from typing import Any, NamedTuple

import numpy as np

LEAST_COLUMNS = 256


class Found(NamedTuple):
    """A row that holds the beginning of a prompt, and how many tokens of it."""

    row: int
    shared: int


class RowCache:
    """Rows of keys and values that grow as they are needed."""

    def __init__(self) -> None:
        self._layers: list[list[Any]] = []
        """Keys and values, each [rows, heads, columns, size of a head]."""
        self._held: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self._used: list[int] = []
        self._clock = 0
        self._columns = LEAST_COLUMNS
        self._first = self._width = 0
        self._positions: Any = None
        self._rows: Any = None

    # what transformers calls

    def update(self, keys: Any, values: Any, layer_idx: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Take the new keys and values of a layer, [rows, heads, tokens, size]; returns all that may be looked at."""
        size = len(self._held)
        while len(self._layers) <= layer_idx:
            self._layers.append([])
        if not self._layers[layer_idx]:
            shapes = [(size, new.shape[1], self._columns, new.shape[3]) for new in (keys, values)]
            self._layers[layer_idx] = [new.new_zeros(shape) for new, shape in zip((keys, values), shapes, strict=True)]
        last = self._first + keys.shape[0]
        seen = []
        for kept, new in zip(self._layers[layer_idx], (keys, values), strict=True):
            kept[self._rows, :, self._positions] = new.transpose(1, 2)
            seen.append(kept[self._first : last, :, : self._width])
        return seen[0], seen[1]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns that are looked at."""
        return self._width

    # what the sampler calls

    def aim(self, first: int, positions: Any, width: int) -> None:
        """Point the next forward pass at the rows from `first` on, and at their columns below `width`.

        Args:
            first: the first row.
            positions: [rows, tokens], the columns that are written.
            width: columns that are looked at.
        """
        import torch

        self._first, self._positions, self._width = first, positions, width
        self._rows = torch.arange(first, first + positions.shape[0], device=positions.device)[:, None]

    def fit(self, rows: int, columns: int) -> None:
        """Make room for so many rows and columns; what is there stays."""
        have = len(self._held)
        if rows > have:
            more = max(rows, 2 * have) - have
            self._held += [np.empty(0, np.int64)] * more
            self._used += [0] * more
        wide = self._columns
        if columns > wide:
            wide = max(columns, 2 * wide)
        if rows > have or wide > self._columns:
            self._columns = wide
            for layer in self._layers:
                layer[:] = [self._grown(kept) for kept in layer]

    def _grown(self, kept: Any) -> Any:
        grown = kept.new_zeros((len(self._held), kept.shape[1], self._columns, kept.shape[3]))
        grown[: kept.shape[0], :, : kept.shape[2]] = kept
        return grown

    def hold(self, row: int, ids: Any) -> None:
        """Note which tokens, an array, a row's columns are of."""
        self._clock += 1
        self._held[row], self._used[row] = np.asarray(ids, np.int64), self._clock

    def longest(self, prompt: Any) -> Found:
        """The row that holds most of the beginning of a prompt (an array), among all of them."""
        best = Found(0, 0)
        for row, held in enumerate(self._held):
            if len(held) > best.shared and (shared := common(held, prompt)) > best.shared:
                best = Found(row, shared)
        return best

    def whole(self, row: int) -> int:
        """Tokens that a row holds."""
        return len(self._held[row])

    def oldest(self, first: int, *, most: int) -> int:
        """Of the rows from `first` on an empty one, made if there are not `most` yet, or that of longest ago."""
        found = min(range(first, len(self._held)), key=lambda row: (len(self._held[row]) > 0, self._used[row]))
        if len(self._held[found]) and len(self._held) < most:
            found = len(self._held)
            self.fit(found + 1, 0)
        return found

    def copy(self, source: int, row: int, tokens: int) -> None:
        """Copy the first columns of a row to another one."""
        for layer in self._layers:
            for kept in layer:
                kept[row, :, :tokens] = kept[source, :, :tokens]

    def swap(self, a: int, b: int) -> None:
        """Exchange two rows."""
        if a == b:
            return
        for layer in self._layers:
            for kept in layer:
                kept[[a, b]] = kept[[b, a]]
        self._held[a], self._held[b] = self._held[b], self._held[a]
        self._used[a], self._used[b] = self._used[b], self._used[a]

    def clear(self) -> None:
        """Forget everything and give its memory back."""
        self._layers, self._held, self._used, self._columns = [], [], [], LEAST_COLUMNS
        self._positions = self._rows = None


def common(a: Any, b: Any) -> int:
    """Length of the longest common prefix of two arrays."""
    size = min(len(a), len(b))
    differs = a[:size] != b[:size]
    return int(differs.argmax()) if size and differs.any() else size
