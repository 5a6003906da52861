"""The learned outcome of a run, from its features: boosted trees and linear heads, in numpy alone.

    model = OutcomeModel.load()
    model.success(features)            # calibrated chance that the run did its task, 0..1
    model.looping(features)            # chance that people call it looping, 0..1
    model.optimality(features)         # chances of the four grades

`train_trajectory` makes the weights (`weights/trajectory.json`); what they were measured at is in
`weights/trajectory_card.json`. The chance of success is monotone in what is plainly bad (a longer run, repeats, a
captcha, an answer that gives up) and plainly good, so a run cannot gain by more of the bad.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agentjudge.errors import ConfigError, DataError, boundary
from agentjudge.models.embedded.verifier import WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = WEIGHTS / "trajectory.json"
OPTIMALITY = ("complete failure", "suboptimal", "somewhat optimal", "completely optimal")
"""1 to 4 of AgentRewardBench (arXiv 2504.08942)."""
GROUPS: dict[str, tuple[str, ...]] = {
    "length": ("steps", "steps_unanswered"),
    "repeats": ("again", "repeated", "repeats", "cycled", "retyped", "repeats_late", "same_thought", "idle"),
    "actions": ("scrolls", "back", "typed", "tabs", "ends_click", "ends_idle"),
    "goal": ("goal_length", "goal_points", "goal_conditions", "goal_values", "goal_picture"),
    "taken up": ("values_given", "words_given"),
    "answer": ("asks", "answered", "answered_asked", "unanswered_asked", "answer_length", "answer_numbers", "refused",
               "asked_back", "claimed", "blocked", "hedged_answer"),
    "last thoughts": ("hedged", "committed", "next"),
    "reading": ("on_goal", "entailed", "answer_on_goal", "answer_support", "answer_entails"),
}  # fmt: skip
"""Features by what a reason can say of them."""


@dataclass(frozen=True, slots=True)
class Trees:
    """Boosted regression trees; all nodes stand in one table, the root of a tree at its place in `roots`."""

    roots: "NDArray[Any]"
    feature: "NDArray[Any]"
    """[nodes]: -1 in a leaf."""
    threshold: "NDArray[Any]"
    """[nodes]: a feature up to it goes left."""
    left: "NDArray[Any]"
    right: "NDArray[Any]"
    value: "NDArray[Any]"
    """[nodes]: of a leaf."""
    base: float

    def logits(self, rows: "NDArray[Any]") -> "NDArray[Any]":
        """Log-odds [n] of rows of features [n, features]."""
        import numpy as np

        at = np.repeat(self.roots[None, :], len(rows), axis=0)
        while True:
            feature = self.feature[at]
            inner = feature >= 0
            if not inner.any():
                return np.asarray(self.base + self.value[at].sum(axis=1))
            values = np.take_along_axis(rows, np.maximum(feature, 0), axis=1)
            below = np.where(values <= self.threshold[at], self.left[at], self.right[at])
            at = np.where(inner, below, at)


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear head on standardised features; one row of weights for two classes."""

    mean: "NDArray[Any]"
    scale: "NDArray[Any]"
    weights: "NDArray[Any]"
    """[rows, features]."""
    bias: "NDArray[Any]"
    classes: "NDArray[Any]"
    """The labels that were fitted, by number."""

    def chances(self, rows: "NDArray[Any]") -> "NDArray[Any]":
        """Chances [n, classes] of rows of features; rows add up to 1."""
        import numpy as np

        said = (rows - self.mean) / self.scale @ self.weights.T + self.bias
        if said.shape[1] == 1:
            said = np.concatenate([np.zeros_like(said), said], axis=1)
        powers = np.exp(said - said.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class OutcomeModel:
    """What the features of a run say of it.

    Args:
        weights: in the form of `weights/trajectory.json`.

    Raises:
        ConfigError: the weights are of another form.
    """

    def __init__(self, weights: Mapping[str, Any]) -> None:
        import numpy as np

        try:
            self.names: tuple[str, ...] = tuple(weights["features"])
            trees = {name: np.array(weights["trees"][name]) for name in Trees.__slots__ if name != "base"}
            self._trees = Trees(**trees, base=float(weights["trees"]["base"]))
            self._slope, self._offset = map(float, weights["calibration"])
            self._usual = np.array(weights["usual"], float)
            self._heads = {
                name: Linear(*(np.array(head[part], float) for part in Linear.__slots__))
                for name, head in weights["heads"].items()
            }
        except (KeyError, TypeError, ValueError) as exc:
            raise ConfigError(
                f"these are no weights of an outcome model: {exc!r}; make them by train_trajectory"
            ) from exc

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """The weights in the package.

        Raises:
            DataError: the file is absent or unreadable.
        """
        with boundary(DataError, f"cannot read {path}"):
            weights = json.loads(path.read_text(encoding="utf-8"))
        return cls(weights)

    def row(self, features: Mapping[str, float]) -> "NDArray[Any]":
        """The features [features] in the order of the weights.

        Raises:
            ConfigError: one is missing.
        """
        import numpy as np

        missing = [name for name in self.names if name not in features]
        if missing:
            raise ConfigError(f"the features lack {missing[0]!r}; the weights are of another version")
        return np.array([features[name] for name in self.names], float)

    def logits(self, rows: "NDArray[Any]") -> "NDArray[Any]":
        """Calibrated log-odds of success [n] of rows of features."""
        import numpy as np

        return np.asarray(self._slope * self._trees.logits(rows) + self._offset)

    def success(self, features: Mapping[str, float]) -> float:
        """The chance that the run did what its task asks for, 0..1."""
        return sigmoid(float(self.logits(self.row(features)[None])[0]))

    def looping(self, features: Mapping[str, float]) -> float:
        """The chance that people say that it loops, 0..1."""
        return float(self._heads["looping"].chances(self.row(features)[None])[0, 1])

    def optimality(self, features: Mapping[str, float]) -> dict[str, float]:
        """The chances of the grades, which add up to 1."""
        head = self._heads["optimality"]
        chances = head.chances(self.row(features)[None])[0]
        known = dict(zip(head.classes.astype(int).tolist(), map(float, chances), strict=True))
        return {grade: known.get(number, 0.0) for number, grade in enumerate(OPTIMALITY)}

    def moved_by(self, features: Mapping[str, float]) -> list[tuple[str, float]]:
        """By how much each group of features moves the log-odds, against a usual run; the most first.

        A group is moved to the medians of the training runs, and what that changes is what it did.
        """
        row = self.row(features)
        rows = [row]
        for names in GROUPS.values():
            places = [self.names.index(name) for name in names]
            other = row.copy()
            other[places] = self._usual[places]
            rows.append(other)
        import numpy as np

        said = self.logits(np.stack(rows))
        moved = [(group, float(said[0] - other)) for group, other in zip(GROUPS, said[1:], strict=True)]
        return sorted(moved, key=lambda each: -abs(each[1]))


def sigmoid(logit: float) -> float:
    """A chance from log-odds."""
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def logit(chance: float) -> float:
    """Log-odds of a chance, which is kept within 0.0001..0.9999."""
    kept = min(max(chance, 1e-4), 1 - 1e-4)
    return math.log(kept / (1 - kept))


@lru_cache(maxsize=1)
def shipped() -> OutcomeModel:
    """The model in the package."""
    return OutcomeModel.load()
