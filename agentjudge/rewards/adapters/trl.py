"""Judges and rewards as TRL's reward functions; the judge itself as its environment is in `trl_environment`.

    trainer = GRPOTrainer(model, reward_funcs=make_reward_func(judge), train_dataset=rows, args=args)

No score is `None` in the list that TRL gets. A row for which every function says None takes no part in its group's
mean and has the advantage 0, in `GRPOTrainer` and `AsyncGRPOTrainer`. Use one function, combined on our side: where
only some functions say None, TRL counts those as 0 for the row. Parts of the reward and the share of rows without one
are logged as `judge/...`; none of them pays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from agentjudge.rewards.adapters.samples import Said, Sample
from agentjudge.rewards.adapters.scoring import RewardScorer, Scorer, Source, as_scorer, learned, metrics

RewardFunc = Callable[..., Awaitable[list[float | None]]]
_OURS = frozenset({"prompts", "completions", "completion_ids"})
_TRAINERS = frozenset({"trainer_state", "log_extra", "log_metric", "environments"})


def make_reward_func(source: Source) -> RewardFunc:
    """A reward function; it can be pickled where its source can, as `AsyncGRPOTrainer` wants it."""
    return partial(judge_reward, as_scorer(source))


async def judge_reward(
    scorer: Scorer, *, prompts: Sequence[Said], completions: Sequence[Said], **columns: Any
) -> list[float | None]:
    """TRL's reward function, with the scorer in front.

    Args:
        scorer: who says what a completion is worth.
        prompts: one a completion.
        completions: what the policy said.
        columns: the dataset's, one value a completion, and what the trainer adds.
    """
    rows = {name: values for name, values in columns.items() if name not in _OURS | _TRAINERS}
    samples = [
        Sample(prompt, completion, {name: values[n] for name, values in rows.items()})
        for n, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
    ]
    step = int(getattr(columns.get("trainer_state"), "global_step", 0) or 0)
    environments = columns.get("environments")
    if isinstance(scorer, RewardScorer) and environments and all(hasattr(env, "_trace") for env in environments):
        ended = zip(environments, completions, strict=True)
        traces = await asyncio.gather(*(asyncio.to_thread(env._trace, completion) for env, completion in ended))
        results = await scorer.score_traces(traces, [env._case for env in environments], step=step)
    else:
        results = await scorer.score_samples(samples, step=step)
    if (log := columns.get("log_metric")) is not None:
        for name, value in metrics(results).items():
            log(name, value)
    if (keep := columns.get("log_extra")) is not None:
        keep("judge_error", [result.error for result in results])
    return [learned(result) for result in results]
