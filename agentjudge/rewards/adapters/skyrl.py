"""Judges and rewards in SkyRL: a text environment of one turn, and the masking of what it could not score.

    skyrl_gym.register(id="judged", entry_point=make_env("http://127.0.0.1:8010"))
    environment.env_class=judged

    class Generator(SkyRLGymGenerator):
        async def generate(self, batch, **options):
            return mask_unscored(await super().generate(batch, **options))

An environment of SkyRL can only say numbers, so a sample without a score has the reward NaN. `mask_unscored` turns it
into a `loss_masks` of 0 for all rows of that trajectory and, since SkyRL's baselines are means over a group, into the
mean of the rest of its group: nothing is learned from it, and the others' baseline stays where it was. Where nothing in
the group has a score the reward is 0, with every row masked. The environment says so in `metadata` and its metrics too:
`judge_missing`.

The columns of a sample are the environment's `extras`, and `reference`, the `ground_truth` of `reward_spec` where that
is a text.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import fsum, isnan
from typing import TYPE_CHECKING, Any, TypeVar

from agentjudge.rewards.adapters.samples import Said, Sample
from agentjudge.rewards.adapters.scoring import Scorer, Source, as_scorer, engine, learned

if TYPE_CHECKING:
    Base = Any
else:
    Base = engine("skyrl_gym.envs.base_text_env").BaseTextEnv

T = TypeVar("T")


class JudgeEnv(Base):  # type: ignore[misc]  # SkyRL has no types
    """One prompt, one answer, one judgement; `make_env` gives it its scorer.

    Args:
        env_config: SkyRL's, which nothing is read from.
        extras: the row of the dataset.
    """

    _scorer: Scorer

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._columns = dict(extras or {})
        truth = (self._columns.get("reward_spec") or {}).get("ground_truth")
        if isinstance(truth, str):
            self._columns.setdefault("reference", truth)
        self._prompt: Said = ""
        self._metrics: dict[str, float] = {}

    def init(self, prompt: Sequence[Mapping[str, Any]]) -> tuple[Any, dict[str, Any]]:
        """See `BaseTextEnv`."""
        self._prompt = prompt
        return prompt, {}

    def step(self, action: str) -> dict[str, Any]:
        """The judgement of an answer."""
        self.turns += 1
        result = _now(self._scorer.score_samples([Sample(self._prompt, action, self._columns)]))[0]
        score = learned(result)
        gone = score is None
        self._metrics = {"judge_missing": float(gone)}
        reward = float("nan") if score is None else score
        metadata = {"judge_missing": gone, "judge_error": result.error, "components": result.components}
        return {"observations": [], "reward": reward, "done": True, "metadata": metadata}

    def get_metrics(self) -> dict[str, Any]:
        """See `BaseTextEnv`."""
        return dict(self._metrics)


def make_env(source: Source) -> type[JudgeEnv]:
    """The environment in which this source says what an answer is worth."""
    return type("JudgeEnv", (JudgeEnv,), {"_scorer": as_scorer(source)})


def mask_unscored(output: dict[str, Any]) -> dict[str, Any]:
    """What a generator made, with the rows of trajectories without a score masked.

    Args:
        output: SkyRL's `GeneratorOutput`: `rewards`, a number or a list of numbers a row, `loss_masks`, and, for groups
            and for trajectories of several rows, `trajectory_ids`.
    """
    rewards = output["rewards"]
    ids = output.get("trajectory_ids") or [None] * len(rewards)
    names = [n if each is None else (each.instance_id, each.repetition_id) for n, each in enumerate(ids)]
    groups = [None if each is None else each.instance_id for each in ids]
    gone = {name for name, reward in zip(names, rewards, strict=True) if isnan(_total(reward))}
    known: dict[Any, list[float]] = {}
    ends = output.get("is_last_step") or [True] * len(rewards)
    for name, group, reward, last in zip(names, groups, rewards, ends, strict=True):
        if name not in gone and last:
            known.setdefault(group, []).append(_total(reward))
    means = {group: fsum(values) / len(values) for group, values in known.items()}
    masks = [[0] * len(mask) if name in gone else mask for name, mask in zip(names, output["loss_masks"], strict=True)]
    put = [_instead(reward, means.get(group, 0.0)) for reward, group in zip(rewards, groups, strict=True)]
    return output | {"rewards": put, "loss_masks": masks}


def _total(reward: Any) -> float:
    return fsum(reward) if isinstance(reward, list) else float(reward)


def _instead(reward: Any, value: float) -> Any:
    if isinstance(reward, list):
        return [value if isnan(each) else each for each in reward]
    return value if isnan(reward) else reward


def _now(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, whether or not this thread has an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
