"""What a sampler sampled, held against what is trained."""

from collections.abc import Sequence
from typing import Any

from agentjudge.training.rows import TrainRow
from agentjudge.training.tokens import Sampled, TokenSampler


class Noted:
    """A sampler, and what it sampled."""

    def __init__(self, sampler: TokenSampler) -> None:
        self._sampler = sampler
        self.answers: list[tuple[list[int], Sampled]] = []

    async def sample(self, prompt: Sequence[int], **asked: Any) -> Sampled:
        sampled = await self._sampler.sample(prompt, **asked)
        self.answers.append((list(prompt), sampled))
        return sampled

    async def aclose(self) -> None:
        await self._sampler.aclose()


def same(rows: Sequence[TrainRow], answers: Sequence[tuple[list[int], Sampled]]) -> None:
    """What is trained is what was sampled, with its log-probabilities and behind what it was sampled behind."""
    sampled = sorted((prompt + answer.ids, len(prompt), answer.logprobs) for prompt, answer in answers)
    trained = [(row.input_ids[:end], start, row.logprobs[start:end]) for row in rows for start, end, _ in row.spans]
    assert sorted(trained) == sampled, "what is trained is what was sampled, behind what it was sampled behind"
