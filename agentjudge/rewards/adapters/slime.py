"""Judges and rewards in slime: a reward function, for one sample or for a group, and the normalisation of groups.

    # reward.py
    custom_rm = make_custom_rm("http://127.0.0.1:8010")
    post_process_rewards = agentjudge.rewards.adapters.slime.post_process_rewards

    --custom-rm-path reward.custom_rm [--group-rm]
    --custom-reward-post-process-path reward.post_process_rewards

A sample without a score gets `remove_sample`, which slime turns into a loss mask of 0, and `metadata["judge_missing"]`.
It has to have a number as its reward all the same. With `--group-rm` that is the mean of the rest of its group, so that
slime's own baseline stays where it was (its deviation becomes a little smaller). One sample at a time has no group: it
is 0, and `post_process_rewards`, which leaves such samples out of mean and deviation, is needed.

The column `reference` is the label where that is a text, `case` where it is a JSON object; the others are `metadata`.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import fsum, sqrt
from typing import Any

from agentjudge.rewards.adapters.openrlhf import columns
from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import Scorer, Source, as_scorer, learned

MISSING = "judge_missing"


def make_custom_rm(source: Source) -> Callable[..., Awaitable[Any]]:
    """The reward function of slime, for `--custom-rm-path` with or without `--group-rm`."""
    return partial(custom_rm, as_scorer(source))


async def custom_rm(scorer: Scorer, args: Any, sample: Any, **options: Any) -> Any:
    """The reward of a sample of slime's, or the rewards of a list of them; `args` and `options` are not needed.

    Returns:
        A number, or a list of numbers in the order of the samples.
    """
    samples = sample if isinstance(sample, list) else [sample]
    asked = [Sample(each.prompt, each.response, columns(each.label) | dict(each.metadata or {})) for each in samples]
    results = await scorer.score_samples(asked)
    scores = [result.score for result in results]
    known = [score for score in scores if score is not None]
    neutral = fsum(known) / len(known) if known else 0.0
    for each, result in zip(samples, results, strict=True):
        if learned(result) is None:
            each.remove_sample = True
        each.metadata = dict(each.metadata or {}) | {MISSING: result.score is None}
    rewards = [neutral if score is None else score for score in scores]
    return rewards if isinstance(sample, list) else rewards[0]


def post_process_rewards(args: Any, samples: Sequence[Any], **options: Any) -> tuple[list[float], list[float]]:
    """Rewards as they are, and normalised in their groups of `n_samples_per_prompt`, as slime does it for GRPO.

    Samples without a score are in neither mean nor deviation (of n - 1), and get 0; so do groups with fewer than two
    scores. `args.grpo_std_normalization` says whether to divide by the deviation.
    """
    raw = [float(sample.get_reward_value(args)) for sample in samples]
    size, normal = args.n_samples_per_prompt, [0.0] * len(samples)
    for start in range(0, len(samples), size):
        places = [
            n for n in range(start, min(start + size, len(samples))) if not (samples[n].metadata or {}).get(MISSING)
        ]
        if len(places) < 2:
            continue
        mean = fsum(raw[n] for n in places) / len(places)
        spread = sqrt(fsum((raw[n] - mean) ** 2 for n in places) / (len(places) - 1))
        for n in places:
            normal[n] = (raw[n] - mean) / (spread + 1e-6) if args.grpo_std_normalization else raw[n] - mean
    return raw, normal
