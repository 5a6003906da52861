"""Judges and rewards in verifiers, version 1: rewards of a task.

    class Question(vf.Task[Row]):
        judged = make_reward(judge)                     # weight=0.5, name="style" and more of them, if need be

    # or a function that a config names: --taskset.task.rewards.judged.fn reward.py:judged
    async def judged(task, trace):
        return await score_of(scorer, task, trace)

A sample without a score raises `Unscored`: verifiers records a `TaskError` on the trace, and the rollout has an error
in place of a reward (`trace.has_error`; `trace.reward` alone would read 0), which its trainers leave out. What counts
is the last reply; the columns are the fields of the task's data, so that a field `reference` is the reference, and
`case` the case of a policy that judges.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import Scorer, Source, Unscored, as_scorer, engine, learned


def make_reward(
    source: Source, *, name: str = "judged", weight: float = 1.0, priority: int = 0
) -> Callable[..., Awaitable[float]]:
    """A reward, as an attribute of a `Task`.

    Args:
        source: who says what a reply is worth.
        name: under which it is recorded.
        weight: in the sum of the task's rewards.
        priority: higher ones are asked first.

    Raises:
        ConfigError: verifiers is not installed.
    """
    vf, scorer = engine("verifiers.v1"), as_scorer(source)

    async def reward(self: Any, trace: Any) -> float:
        return await score_of(scorer, self.data, trace)

    reward.__name__ = reward.__qualname__ = name
    made: Callable[..., Awaitable[float]] = vf.reward(weight=weight, priority=priority)(reward)
    return made


async def score_of(scorer: Scorer, task: Any, trace: Any) -> float:
    """What the last reply of a trace is worth.

    Args:
        scorer: who says so.
        task: verifiers' `TaskData`.
        trace: verifiers' `Trace`.

    Raises:
        Unscored: nothing is known of it.
    """
    sample = Sample(task.prompt_text, trace.last_reply, task.model_dump(mode="json"))
    result = (await scorer.score_samples([sample]))[0]
    score = learned(result)
    if score is None:
        raise Unscored(result.error or "withheld")
    return score
