"""What is learned from a step: rollouts, rewards, advantages, and the numbers that are told of them.

    lesson = taught(await drawing.step(12), estimator)
    lesson.paid, lesson.whole                    # rows with an advantage a token, and what they are counted by
    lesson.numbers["reward"], lesson.seen        # for the log and for the monitors

What engines share: nothing here knows of torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agentjudge.errors import ConfigError
from agentjudge.training.advantages import Estimator, estimate, estimators, to_tokens
from agentjudge.training.config import TrainConfig
from agentjudge.training.groups import Batch, Judged, made
from agentjudge.training.measures import told
from agentjudge.training.monitors import Seen, seen
from agentjudge.training.rows import drift_of
from agentjudge.training.trl_batches import Paid, Whole


@dataclass(frozen=True, slots=True)
class Lesson:
    """A step, ready to be learned from."""

    paid: tuple[Paid, ...]
    whole: Whole
    seen: tuple[Seen, ...]
    """All judgements that were drawn."""
    numbers: dict[str, float]


def taught(batch: Batch, estimator: Estimator) -> Lesson:
    """What a step teaches.

    Raises:
        ConfigError: the estimator needs something that the reward does not give.
    """
    rollouts = [rollout for group in batch.groups for rollout in group.rollouts]
    results = [result for group in batch.groups for result in group.results]
    rows = [row for group in batch.groups for row in group.rows]
    advantages = estimate(estimator, rollouts, results)
    paid = tuple(Paid(row, values) for row, values in zip(rows, to_tokens(advantages, rows), strict=True))
    whole = Whole(len({row.rollout for row in rows}), sum(row.trained for row in rows))
    watched = [
        seen(rollout, result, group.case)
        for group in batch.drawn
        for rollout, result in zip(group.rollouts, group.results, strict=True)
    ]
    return Lesson(paid, whole, tuple(watched), _numbers(batch.drawn) | {"rounds": float(batch.rounds)})


def estimator_of(config: TrainConfig) -> Estimator:
    """The estimator of a file.

    Raises:
        ConfigError: unknown name, options that it does not take, or something that estimates no advantages.
    """
    table = config.advantage
    estimator: Estimator = made("training", table.name, table.options)
    if not isinstance(estimator, Estimator):
        raise ConfigError(f"{table.name!r} estimates no advantages; there is {', '.join(estimators())}")
    if estimator.needs and "margins" in estimator.needs:
        raise ConfigError(f"{table.name!r} needs pairs of rollouts to be judged, which no command of ours does")
    return estimator


def _numbers(groups: Sequence[Judged]) -> dict[str, float]:
    pairs = [
        (rollout.trace, result, group.case)
        for group in groups
        for rollout, result in zip(group.rollouts, group.results, strict=True)
    ]
    scored = [(trace, result, case) for trace, result, case in pairs if result.score is not None]
    numbers = told((trace, case) for trace, _, case in scored)
    numbers["masked"] = 1 - len(scored) / len(pairs)
    numbers["judge_errors"] = sum(
        trace.verdict.failure is not None and trace.verdict.failure.kind != "parse" for trace, _, _ in pairs
    ) / len(pairs)
    numbers["frac_zero_std"] = sum(not group.tells for group in groups) / len(groups)
    if scored:
        scores = [result.score or 0.0 for _, result, _ in scored]
        numbers["reward"] = sum(scores) / len(scores)
        for part in dict.fromkeys(name for _, result, _ in scored for name in result.components):
            values = [result.components.get(part, 0.0) for _, result, _ in scored]
            numbers[f"reward/{part}"] = sum(values) / len(values)
    drift = drift_of(row for group in groups for row in group.rows)
    numbers |= {"drift": float(drift.tokens), "fork_rate": drift.fork_rate, "realign_rate": drift.realign_rate}
    return numbers
