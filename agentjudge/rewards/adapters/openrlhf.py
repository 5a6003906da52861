"""Judges and rewards in OpenRLHF: by URL, or as the agent executor of a file that you name.

    openrlhf ... --reward.remote_url http://127.0.0.1:8010/get_reward       # the reward server; reward_url(base)

    # agent.py, for --train.agent_func_path agent.py
    AgentExecutor = make_agent_executor(partial(Judge.load, "compare", model="vllm:NAME"), neutral=0.5)

OpenRLHF has no word for a sample without a score. The executor gives such a rollout no tokens of its own: its
`action_ranges` are empty, so nothing of it is in the loss nor in the loss's denominator. It still has a reward, since
its group's baseline is a mean over all: `neutral`, to be chosen where scores lie in the middle. `extra_logs` have
`judge_missing`, 0 or 1. By URL there is no such way: the server answers 503, OpenRLHF asks five times, and then stops
for want of a reward. The executor is what to use where judges may fail.
"""

from typing import Any

from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import Source, as_scorer, engine


def reward_url(base: str) -> str:
    """What `--reward.remote_url` is for a reward server at this address."""
    return base.rstrip("/") + "/get_reward"


def make_agent_executor(source: Source, *, neutral: float) -> type[Any]:
    """OpenRLHF's single turn, scored by a judge or a reward.

    Args:
        source: who says what a response is worth. The column `reference` is the label where that is a text, and `case`
            where it is a JSON object.
        neutral: the reward that a rollout without a score has in its group's baseline.

    Raises:
        ConfigError: OpenRLHF is not installed.
    """
    base = engine("openrlhf.utils.agent").SingleTurnAgentExecutor
    scorer = as_scorer(source)

    class AgentExecutor(base):  # type: ignore[misc, valid-type]  # OpenRLHF has no types
        """A turn of the policy, and what it is worth."""

        def __init__(self) -> None:
            super().__init__(None)

        async def execute(
            self,
            prompt: str,
            label: Any,
            sampling_params: Any,
            max_length: int,
            hf_tokenizer: Any,
            llm_engine: Any,
            images: Any = None,
        ) -> dict[str, Any]:
            """See `AgentExecutorBase`."""
            rollout: dict[str, Any] = await super().execute(
                prompt, label, sampling_params, max_length, hf_tokenizer, llm_engine, images
            )
            (start, end), *_ = rollout["action_ranges"]
            said = hf_tokenizer.decode(rollout["observation_tokens"][start:end], skip_special_tokens=True)
            result = (await scorer.score_samples([Sample(prompt, said, columns(label))]))[0]
            gone = result.score is None
            value = neutral if result.score is None else result.score
            logs = {"judge_missing": float(gone)}
            rollout |= {"reward": value, "scores": value, "extra_logs": logs}
            return rollout | {"action_ranges": []} if gone or result.withheld else rollout

    return AgentExecutor


def columns(label: Any) -> dict[str, Any]:
    """What a label says of its sample."""
    if not isinstance(label, str) or not label.strip():
        return {}
    return {"case": label} if label.lstrip().startswith("{") else {"reference": label}
