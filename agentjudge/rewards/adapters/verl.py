"""Judges and rewards in verl: a score function, a reward manager, and an estimator that leaves masked samples out.

    reward.custom_reward_function.path=pkg://agentjudge.rewards.adapters.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.url=http://127.0.0.1:8010

    compute_score = make_compute_score(judge)       # or in a file of your own, which the path names

verl knows floats alone. A sample without a score is NaN, which nothing takes for a reward: with an estimator of verl's
own the loss becomes NaN. `agentjudge_grpo` is GRPO over the rows that have a score; the others get the advantage 0 and,
as far as the trainer lets an estimator do so (verl's v0 trainer does), a `response_mask` of 0, without which the terms
for KL and entropy would still pull at them. A group with fewer than two scores has the advantage 0 too. `missing` can
be a number instead; then it is a reward like any other. `critic/score/mean` is NaN in steps with a masked row.

The estimator is in `agentjudge.rewards.adapters.verl_estimator`, and registered by `...verl_manager` too, whose reward
manager also shows the prompt to the score function: verl's naive one does not, so that `extra_info` must hold `prompt`.
The score function returns the same keys for every sample, as verl takes those of the first: `score`, `judge_missing` (0
or 1). A failed judge never raises here: an exception would fail the whole group of the prompt.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import Scorer, Source, as_scorer, learned

NAN = float("nan")
Info = dict[str, float]
_scorers: dict[str, Scorer] = {}
"""Of this process, by URL."""


def make_compute_score(source: Source, *, missing: float = NAN) -> Callable[..., Awaitable[Info]]:
    """A score function for `reward.custom_reward_function`.

    Args:
        source: who says what a response is worth; columns are those of `extra_info`, and `reference`, which is the
            ground truth where it is a text.
        missing: what stands for no score; see the module.
    """
    return partial(judge_score, as_scorer(source), missing=missing)


async def compute_score(
    data_source: str = "",
    solution_str: str = "",
    ground_truth: Any = None,
    extra_info: Mapping[str, Any] | None = None,
    *,
    url: str,
    missing: float = NAN,
    **others: Any,
) -> Info:
    """The score function of verl for a reward server; `url` and `missing` come from `reward_kwargs`."""
    scorer = _scorers.setdefault(url, as_scorer(url))
    return await judge_score(scorer, data_source, solution_str, ground_truth, extra_info, missing=missing)


async def judge_score(
    scorer: Scorer,
    data_source: str = "",
    solution_str: str = "",
    ground_truth: Any = None,
    extra_info: Mapping[str, Any] | None = None,
    *,
    missing: float = NAN,
    **others: Any,
) -> Info:
    """The score function of verl, with the scorer in front; `others` are addresses of its router, not needed."""
    columns = dict(extra_info or {})
    if isinstance(ground_truth, str):
        columns.setdefault("reference", ground_truth)
    sample = Sample(columns.pop("prompt", ""), solution_str, columns)
    result = (await scorer.score_samples([sample]))[0]
    score = learned(result)
    return {"score": missing if score is None else score, "judge_missing": float(score is None)}
