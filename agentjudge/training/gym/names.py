"""Names of a generated world, in three classes by which training and test worlds are kept apart.

    Names.syllables(2)                   # 3,136 names such as Bakomi's first two syllables: Bako
    Names.of(["Rome", "Kyoto", ...])     # given ones, such as the single tokens of a tokenizer

What a name stands for is drawn anew in every world: in one it is a person, in the next a town, and nothing can be known
of it beforehand. Every name is of one class. In training worlds two names that stand in one fact, or that could, are of
different classes; in test worlds they are of one. So no fact of a test world can occur in any training world, although
both use the same names.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

from agentjudge.errors import ConfigError
from agentjudge.training.gym.relations import vocabulary

Split = Literal["train", "test"]
CLASSES = 3
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aiou"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]


@dataclass(frozen=True, slots=True)
class Names:
    """Single words; the class of a name is its place in the list, modulo 3."""

    words: Sequence[str]

    @classmethod
    def syllables(cls, count: int = 2) -> Self:
        """All names of so many open syllables, capitalised; of 2 there are 3,136, of 3 there are 175,616.

        Their stems differ, so that a search tells them apart, and none of them is an English stop word.

        Raises:
            ConfigError: `count` is neither 2 nor 3.
        """
        if count not in (2, 3):
            raise ConfigError(f"names have 2 or 3 syllables, not {count}")
        return cls(_Spelled(count))

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """Given names; in alphabetical order, so that their order does not matter.

        Raises:
            ConfigError: a name that is no single word of at least two letters or digits, or one that the sentences of
                the worlds use otherwise, or two that a search would take for one.
        """
        kept = sorted(set(words))
        wrong = [word for word in kept if not (word.isalnum() and len(word) > 1)]
        if wrong:
            raise ConfigError(f"{wrong[0]!r} is no name: names are single words of at least two letters or digits")
        lowered = {word.lower() for word in kept}
        if len(lowered) < len(kept):
            raise ConfigError("two names differ in upper and lower case alone")
        if used := sorted(lowered & vocabulary()):
            raise ConfigError(f"{used[0]!r} is no name: it is a word of the sentences")
        return cls(tuple(kept))

    def of_class(self, kind: int) -> int:
        """How many names of this class there are."""
        return len(range(kind, len(self.words), CLASSES))


class _Spelled(Sequence[str]):
    """Names spelled out when they are asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return int(len(_SYLLABLES) ** self._count)

    def __getitem__(self, place: int) -> str:  # type: ignore[override]
        if not 0 <= place < len(self):
            raise IndexError(place)
        parts = []
        for _ in range(self._count):
            place, at = divmod(place, len(_SYLLABLES))
            parts.append(_SYLLABLES[at])
        return "".join(reversed(parts)).capitalize()


class Drawing:
    """Names drawn for one world, none of them twice.

    Args:
        names: to draw from.
        rng: draws.
        split: which classes may meet.
    """

    def __init__(self, names: Names, rng: random.Random, split: Split) -> None:
        if split not in get_args(Split):
            raise ConfigError(f"worlds are for 'train' or 'test', not for {split!r}")
        self._names, self._rng, self.split = names, rng, split
        self._taken: set[int] = set()

    def apart(self, *others: int) -> int:
        """A class that may not meet these in a training world, or may in a test world: the class of what meets them."""
        if self.split == "test":
            return others[0] if others else self._roomiest()
        return self._rng.choice([kind for kind in range(CLASSES) if kind not in others])

    def _roomiest(self) -> int:
        """The class with the most names left; one of them by chance."""
        left = [self._left(kind) for kind in range(CLASSES)]
        return self._rng.choice([kind for kind in range(CLASSES) if left[kind] == max(left)])

    def _left(self, kind: int) -> int:
        return self._names.of_class(kind) - sum(place % CLASSES == kind for place in self._taken)

    def name(self, kind: int) -> str:
        """A name of a class that this world has not used yet.

        Raises:
            ConfigError: there is none left.
        """
        size = self._names.of_class(kind)
        if self._left(kind) < 1:
            raise ConfigError(
                f"the {len(self._names.words)} names are too few: a world has used up all {size} of a class; give more "
                "names, or make worlds with fewer documents, claims or hops"
            )
        while (place := kind + CLASSES * self._rng.randrange(size)) in self._taken:
            pass
        self._taken.add(place)
        return self._names.words[place]
