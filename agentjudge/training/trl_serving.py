"""A vLLM server as the sampler of a training: each step's weights are handed over, and proved to be served.

    sampler = Served(config, tokenizer, cases)
    await sampler.renew(model, step)                     # before the rollouts of a step
    await sampler.sample(prompt, ...)

Weights go through a folder that the server can read, `served/` in that of the run: all of them (`reload_weights`), or,
where LoRA is trained, each step's adapters under a name of their own. `vllm_refresh` says how the server has to be
started, and does not believe it: greedy answers to some prompts must have the probabilities that the trainer's own
model gives them. A server that serves something else ends the training with what to do about it.
"""

import asyncio
import shutil
from collections.abc import Sequence
from typing import Any

from agentjudge.case import Case
from agentjudge.training.config import TrainConfig
from agentjudge.training.tokens import Sampled
from agentjudge.training.vllm_refresh import refresh
from agentjudge.training.vllm_sampler import VLLMSampler

PROOFS = 4
"""Prompts by which a server is proved."""
FOLDER = "served"


class Served:
    """A `TokenSampler` on a server whose weights follow the training.

    Args:
        config: of the run; its sampler names the model and the server.
        tokenizer: of the policy.
        cases: some, whose text makes the prompts by which the server is proved.
    """

    def __init__(self, config: TrainConfig, tokenizer: Any, cases: Sequence[Case]) -> None:
        name, _, self._url = config.rollout.sampler.removeprefix("vllm:").partition("@")
        self._name, self._config = name, config
        self._adapter = config.model.lora is not None
        asked = [[{"role": "user", "content": case.blind().model_dump_json()}] for case in cases]
        self._prompts = [
            list(tokenizer.apply_chat_template(each, add_generation_prompt=True, return_dict=False)) for each in asked
        ]
        self._step: int | None = None
        self._sampler = self._open(name)

    def _open(self, name: str) -> VLLMSampler:
        table = self._config.rollout
        return VLLMSampler(self._url, name, logprobs_mode=table.logprobs_mode, window=table.concurrency)

    async def renew(self, model: Any, step: int) -> None:
        """Hand over the weights of a step; once a step, however often it is asked for.

        Raises:
            ConfigError: the server was not started so that it takes weights.
            ModelError: it serves others than these.
        """
        if step == self._step:
            return
        place = self._config.output.folder / FOLDER
        folder = (place / f"step-{step}" if self._adapter else place).resolve()
        await asyncio.to_thread(model.save_pretrained, folder)
        name = f"{self._name}-step-{step}" if self._adapter else self._name
        await refresh(self._url, name, model, self._prompts, folder=folder, adapter=self._adapter)
        if self._adapter:
            await self._sampler.aclose()
            self._sampler = self._open(name)
            if self._step is not None:
                shutil.rmtree(place / f"step-{self._step}", ignore_errors=True)
        self._sampler.version, self._step = f"step-{step}", step

    async def sample(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        temperature: float,
        top_p: float = 1.0,
        stop: Sequence[str] = (),
        seed: int | None = None,
        deadline: float | None = None,
    ) -> Sampled:
        """See `TokenSampler`."""
        return await self._sampler.sample(
            prompt, max_tokens=max_tokens, temperature=temperature, top_p=top_p, stop=stop, seed=seed, deadline=deadline
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sampler.aclose()
