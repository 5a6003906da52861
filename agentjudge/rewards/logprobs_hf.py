"""Log-probabilities from transformers in this process: exact spreads over the whole vocabulary, and no server.

    scorer = HFScorer("checkpoints/qwen3-0.6b")

One forward pass a score, in a thread of its own. The weights are loaded when they are first needed, and are not pickled
with the scorer: each process loads its own.
"""

import asyncio
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from agentjudge.errors import ConfigError, ModelError, boundary, require
from agentjudge.rewards.logprobs import Spread, Token, checked

T = TypeVar("T")
ROWS = 64
"""Tokens whose log-probabilities over the whole vocabulary are in memory at once."""


class HFScorer:
    """A scorer in this process, on the GPU where there is one.

    Args:
        path: folder that `save_pretrained` wrote, or a hub id where the hub can be reached.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def __reduce__(self) -> tuple[type["HFScorer"], tuple[str]]:
        return HFScorer, (self.path,)

    async def encode(self, text: str) -> list[int]:
        """See `LogprobScorer`.

        Raises:
            ConfigError: transformers is absent, or there is no such model.
        """
        return await self._run(self._encode, text)

    async def score(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Token]:
        """See `LogprobScorer`."""
        return await self._run(self._score, checked(prefix), list(continuation))

    async def spreads(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Spread]:
        """See `LogprobScorer`; exact."""
        return await self._run(self._spreads, checked(prefix), list(continuation))

    async def _run(self, work: Callable[..., T], *given: Any) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="agentjudge-logprobs")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def _model(self) -> tuple[Any, Any]:
        """Tokenizer and model."""
        with self._lock:
            if self._loaded is None:
                transformers, torch = require("transformers", extra="hf"), require("torch", extra="hf")
                with boundary(ConfigError, f"cannot load the model {self.path}"):
                    tokenizer = transformers.AutoTokenizer.from_pretrained(self.path)
                    model = transformers.AutoModelForCausalLM.from_pretrained(self.path, dtype="auto")
                self._loaded = tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
            return self._loaded

    def _encode(self, text: str) -> list[int]:
        tokenizer, _ = self._model()
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def _score(self, prefix: list[int], continuation: list[int]) -> list[Token]:
        import torch

        tokenizer, _ = self._model()
        tokens: list[Token] = []
        for ids, logprobs in self._rows(prefix, continuation):
            picked = logprobs.gather(-1, torch.tensor(ids, device=logprobs.device)[:, None])[:, 0].tolist()
            tokens += [Token(tokenizer.decode([id]), min(0.0, p)) for id, p in zip(ids, picked, strict=True)]
        return tokens

    def _spreads(self, prefix: list[int], continuation: list[int]) -> list[Spread]:
        spreads: list[Spread] = []
        for _, logprobs in self._rows(prefix, continuation):
            size = math.log(logprobs.shape[-1])
            entropy = -(logprobs.exp() * logprobs).sum(-1)
            spreads += [
                Spread(max(0.0, -size - mean), max(0.0, size - spread), True)
                for mean, spread in zip(logprobs.mean(-1).tolist(), entropy.tolist(), strict=True)
            ]
        return spreads

    def _rows(self, prefix: list[int], continuation: list[int]) -> Iterator[tuple[list[int], Any]]:
        """Token ids and their log-probabilities over the vocabulary, some rows at a time."""
        import torch

        _, model = self._model()
        room = getattr(model.config, "max_position_embeddings", None) or 2**31
        if len(prefix) + len(continuation) > room:
            raise ModelError(f"{len(prefix) + len(continuation)} tokens are more than the model's context of {room}")
        ids = torch.tensor([prefix + continuation], device=model.device)
        with torch.inference_mode(), boundary(ModelError, f"{self.path} failed"):
            logits = model(input_ids=ids, logits_to_keep=len(continuation) + 1).logits[0, :-1]
            for start in range(0, len(continuation), ROWS):
                rows = slice(start, start + ROWS)
                yield continuation[rows], torch.log_softmax(logits[rows].float(), dim=-1)

    async def aclose(self) -> None:
        """Stop the thread; the weights go with the scorer."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False, cancel_futures=True)
