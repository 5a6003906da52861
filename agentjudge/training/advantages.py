"""Advantages: what each rollout, or each turn of it, is worth beside the others of its group. numpy, no engine.

    results = await paid(reward, [rollout.trace for rollout in rollouts], case)
    advantages = estimate("grpo", rollouts, results)                # or an estimator with options of its own,
    advantages = estimate(GDPO(weights={"label": 2.0}), rollouts, results)
    per_token = to_tokens(advantages, rows)                         # one array a row, 0 where nothing is trained

Every estimator says beforehand on which axes of the survey of credit assignment (arXiv 2604.09459) it lies, and what it
needs; what is not there is refused before anything is computed. They are registered under "training", and `estimators`
lists them.

What holds for all of them:

- a rollout counts once in its group, however many rows it has; groups are told apart by name, never by text;
- a result of None is masked: its advantage is 0, and its group is the group without it;
- a `withheld` result counts in its group's statistics, and has an advantage of 0 itself;
- a group from which nothing can be learned has advantages of exactly 0, and a flag that says why: all of it is masked,
  more than half of it is, only one rollout is left, or all are alike (standard deviation up to `FLAT`). No raw reward
  ever becomes an advantage, and nothing is divided by rounding errors; hence no epsilon is added to a divisor.

Standard deviations are those of a sample (n - 1), as in TRL and verl.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentjudge.errors import ConfigError, DataError
from agentjudge.registry import load_kind, lookup, register
from agentjudge.rewards.base import RewardResult
from agentjudge.training.rollouts import Rollout
from agentjudge.training.rows import TrainRow

Array = NDArray[np.float64]
Granularity = Literal["rollout", "turn"]
"""What an advantage is of; the survey's finer ones (token, segment) are nobody's here."""
Family = Literal[
    "Monte Carlo", "temporal difference", "LLM as critic", "game theoretic", "information theoretic"
]  # fmt: skip
Need = Literal["parts", "turn rewards", "turn rewards that sum to the score", "margins"]
Flag = Literal["masked", "mostly masked", "singleton", "zero variance"]
FLAT = 1e-6
"""Standard deviation up to which rewards count as alike."""
_REMEDY: dict[Need, str] = {
    "parts": "choose a reward of several parts, such as 'evidence_first', or the estimator 'grpo'",
    "turn rewards": "choose a reward that pays turns, such as 'evidence_first', or the estimator 'grpo'",
    "turn rewards that sum to the score": "choose the reward 'lare', which spreads a score over the turns",
    "margins": "judge the pairs of each group and give their matrix as margins={group: matrix}",
}


class Group(NamedTuple):
    """The rollouts of a group that have a score, at least two."""

    name: str
    rollouts: Sequence[Rollout]
    results: Sequence[RewardResult]
    margins: Array | None
    """Of these rollouts, where they were given."""

    @property
    def scores(self) -> Array:
        """The rewards."""
        return np.array([result.score for result in self.results], float)

    @property
    def turn_rewards(self) -> list[Array]:
        """What each turn earned; 0 for turns of a reward that pays none."""
        return [
            np.array(result.turn_rewards or [0.0] * len(rollout.trace.turns), float)
            for rollout, result in zip(self.rollouts, self.results, strict=True)
        ]

    @property
    def outcomes(self) -> Array:
        """What is left of the rewards when turns have theirs."""
        paid: Array = np.array([turns.sum() for turns in self.turn_rewards], float)
        return np.subtract(self.scores, paid)


class Worth(NamedTuple):
    """What the rollouts of a group are worth; all None where nothing tells them apart."""

    rollouts: Array | None
    turns: Sequence[Array] | None = None
    """Of each turn, where the estimator tells turns apart."""


class Estimator(ABC):
    """From a group to advantages. Frozen dataclasses, whose fields are the options."""

    name: ClassVar[str]
    granularity: ClassVar[Granularity] = "rollout"
    family: ClassVar[Family] = "Monte Carlo"
    needs: ClassVar[tuple[Need, ...]] = ()

    @abstractmethod
    def of_group(self, group: Group) -> Worth:
        """The advantages in one group.

        Raises:
            ConfigError: something that was asked for is not in the results.
        """

    def over_batch(self, values: Array) -> Array:
        """The advantages of all rollouts that were compared, seen together; as they are by default."""
        return values


@dataclass(frozen=True, slots=True)
class Advantages:
    """The advantages of a batch."""

    estimator: str
    rollouts: tuple[str, ...]
    """Ids, in order."""
    per_rollout: Array
    """Shape [rollouts]; where turns are told apart, the mean over the turns of each."""
    per_turn: tuple[Array, ...] | None
    """For each rollout shape [turns]; None where turns are not told apart."""
    masked: tuple[bool, ...]
    """Which rollouts say nothing: drop them where the engine can, for 0 may count in its means."""
    flags: Mapping[str, Flag] = field(default_factory=dict)
    """Groups from which nothing can be learned, and why."""

    def of_turn(self, rollout: int, turn: int) -> float:
        """The advantage of the tokens of a turn."""
        return float(self.per_rollout[rollout] if self.per_turn is None else self.per_turn[rollout][turn])


def estimate(
    estimator: str | Estimator,
    rollouts: Sequence[Rollout],
    results: Sequence[RewardResult],
    *,
    margins: Mapping[str, Array] | None = None,
) -> Advantages:
    """The advantages of rollouts, of one group or of many.

    Args:
        estimator: an estimator, or the name of one, with its defaults.
        rollouts: with ids of their own.
        results: one a rollout.
        margins: for each group the matrix of how much better one rollout is than another: row over column, with
            `m[j, i] == -m[i, j]`, in the order of the group's rollouts; NaN where a pair was not judged.

    Raises:
        ConfigError: unknown name, or what the estimator needs is not there.
        DataError: ids that are not unique, results or turn rewards that do not match the rollouts, or a broken matrix.
    """
    chosen = _named(estimator) if isinstance(estimator, str) else estimator
    _check(rollouts, results)
    values, known, flags = np.zeros(len(rollouts)), np.zeros(len(rollouts), bool), dict[str, Flag]()
    turns = [np.zeros(len(rollout.trace.turns)) for rollout in rollouts]
    for name, members in _groups(rollouts).items():
        present = [i for i in members if results[i].score is not None]
        if flag := _too_few(len(present), len(members)):
            flags[name] = flag
            continue
        kept = [members.index(i) for i in present]
        given = (margins or {}).get(name)
        matrix = None if given is None else _matrix(name, given, len(members))[np.ix_(kept, kept)]
        group = Group(name, [rollouts[i] for i in present], [results[i] for i in present], matrix)
        _provide(chosen, group)
        worth = chosen.of_group(group)
        known[present] = True
        if worth.rollouts is None:
            flags[name] = "zero variance"
            continue
        values[present] = worth.rollouts
        for i, each in zip(present, worth.turns or (), strict=False):
            turns[i] = each
    values[known] = chosen.over_batch(values[known])
    for i, result in enumerate(results):
        if result.score is None or result.withheld:
            values[i], turns[i] = 0.0, np.zeros_like(turns[i])
    told = chosen.granularity == "turn"
    if told:
        values = np.array([each.mean() if len(each) else 0.0 for each in turns])
    return Advantages(
        chosen.name,
        tuple(rollout.id for rollout in rollouts),
        values,
        tuple(turns) if told else None,
        tuple(result.score is None for result in results),
        flags,
    )


def to_tokens(advantages: Advantages, rows: Sequence[TrainRow]) -> list[Array]:
    """The advantage of each token of each row: that of its turn where the token is trained, else 0.

    Raises:
        ConfigError: a row of a rollout that has no advantage.
    """
    place = {id: i for i, id in enumerate(advantages.rollouts)}
    found = []
    for row in rows:
        if row.rollout not in place:
            raise ConfigError(f"a row is of the rollout {row.rollout!r}, which has no advantage")
        tokens = np.zeros(len(row.input_ids))
        for start, end, turn in row.spans:
            tokens[start:end] = advantages.of_turn(place[row.rollout], turn)
        found.append(tokens)
    return found


def fold(advantages: Advantages, rows: Sequence[TrainRow]) -> Array:
    """One advantage a rollout, shape [rollouts], for engines that take no other: the mean over its trained tokens.

    What turns are worth beside each other is lost by it; a trainer says so once.
    """
    if advantages.per_turn is None:
        return advantages.per_rollout
    sums, counts = np.zeros(len(advantages.rollouts)), np.zeros(len(advantages.rollouts))
    place = {id: i for i, id in enumerate(advantages.rollouts)}
    for row, tokens in zip(rows, to_tokens(advantages, rows), strict=True):
        sums[place[row.rollout]] += tokens.sum()
        counts[place[row.rollout]] += row.trained
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


def estimators() -> dict[str, type[Estimator]]:
    """All estimators by name."""
    found = {name: component.target for name, component in load_kind("training").items()}
    return {name: made for name, made in found.items() if isinstance(made, type) and issubclass(made, Estimator)}


def normal(values: Array) -> Array | None:
    """Values less their mean, by their standard deviation; None where they are alike or fewer than two."""
    if len(values) < 2 or (deviation := values.std(ddof=1)) <= FLAT:
        return None
    scaled: Array = (values - values.mean()) / deviation
    return scaled


def _named(name: str) -> Estimator:
    made = lookup("training", name).target
    if name not in estimators():
        raise ConfigError(f"{name!r} estimates no advantages; there is {', '.join(estimators())}")
    estimator: Estimator = made()
    return estimator


def _groups(rollouts: Sequence[Rollout]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for i, rollout in enumerate(rollouts):
        groups.setdefault(rollout.group, []).append(i)
    return groups


def _too_few(present: int, members: int) -> Flag | None:
    if present == 0:
        return "masked"
    if 2 * present < members:
        return "mostly masked"
    return "singleton" if present == 1 else None


def _check(rollouts: Sequence[Rollout], results: Sequence[RewardResult]) -> None:
    if len(rollouts) != len(results):
        raise DataError(f"{len(results)} results for {len(rollouts)} rollouts")
    if len({rollout.id for rollout in rollouts}) < len(rollouts):
        raise DataError("two rollouts have one id; give each its own, as group_of does")
    for rollout, result in zip(rollouts, results, strict=True):
        if result.turn_rewards and len(result.turn_rewards) != len(rollout.trace.turns):
            told, had = len(result.turn_rewards), len(rollout.trace.turns)
            raise DataError(f"rollout {rollout.id!r} has {had} turns, but rewards for {told}")


def _matrix(name: str, margins: Any, size: int) -> Array:
    matrix = np.asarray(margins, float)
    if matrix.shape != (size, size):
        raise DataError(f"the margins of group {name!r} are {matrix.shape}, for {size} rollouts")
    if not np.allclose(matrix, -matrix.T, equal_nan=True):
        raise DataError(f"the margins of group {name!r} contradict themselves: m[j, i] must be -m[i, j]")
    return matrix


def _provide(estimator: Estimator, group: Group) -> None:
    """Refuse what cannot be done.

    Raises:
        ConfigError: the group lacks what the estimator needs; the message says what to do.
    """
    for need in estimator.needs:
        if not _has(group, need):
            raise ConfigError(f"{estimator.name!r} needs {need}, which {group.name!r} has not: {_REMEDY[need]}")


def _has(group: Group, need: Need) -> bool:
    if need == "margins":
        return group.margins is not None
    if need == "parts":
        names = {tuple(sorted(result.components)) for result in group.results}
        return len(names) == 1 and len(next(iter(names))) > 1
    paid = all(
        result.turn_rewards or not rollout.trace.turns
        for rollout, result in zip(group.rollouts, group.results, strict=True)
    )
    return paid and (need == "turn rewards" or bool(np.allclose(group.outcomes, 0)))


@register("training", "credit-assignment", paper="2604.09459")
def axes() -> list[dict[str, Any]]:
    """Which estimators of advantages there are, on the axes of the survey of credit assignment."""
    return [
        {"name": name, "granularity": made.granularity, "family": made.family, "needs": list(made.needs)}
        for name, made in sorted(estimators().items())
    ]
