"""Log-probabilities from a vLLM server: `prompt_logprobs` of `/v1/completions`, with token ids as the prompt.

    scorer = VLLMScorer("Qwen/Qwen3-8B@http://127.0.0.1:8000")

A request generates one token, which is thrown away, and brings the log-probability of every token of its prompt: the
model's own, before temperature, whatever `--logprobs-mode` says of sampled ones. vLLM computes such a prompt anew each
time, past its prefix cache, so a score costs a whole prefill.

`spreads` needs the vocabulary's size and as many log-probabilities a token as the server allows: 20 by default, from
which only a lower bound follows (`agentjudge.rewards.logprobs.spread_of`); a server started with `--max-logprobs -1`
gives all of them with `top=-1`, which is exact, and some megabytes a token of a large vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from agentjudge.errors import ConfigError
from agentjudge.models.openai import VLLM_URL, split
from agentjudge.models.transport import Garbled, Transport
from agentjudge.rewards.logprobs import Spread, Token, checked, spread_of

Row = dict[str, Any]
"""Entries `{"logprob", "rank", "decoded_token"}` by token id; minus infinity is written as -9999."""
T = TypeVar("T")


class VLLMScorer:
    """A scorer on a server. Pickled as its arguments.

    Args:
        model: `NAME[@URL]`; by default on this machine's port 8000.
        vocabulary: how many tokens the model has; only `spreads` needs it.
        top: log-probabilities a token that `spreads` asks for; -1 asks for all.
        key: API key, if the server wants one.
        window: requests in flight at once, at most.
        deadline: seconds for one request, its waiting and its attempts.

    Raises:
        ConfigError: no model is named, or the address cannot be called.
    """

    def __init__(
        self,
        model: str,
        *,
        vocabulary: int | None = None,
        top: int = 20,
        key: str | None = None,
        window: int = 64,
        deadline: float = 120.0,
    ) -> None:
        self._name, url = split(model, default=VLLM_URL)
        if not self._name:
            raise ConfigError("name the model that scores: NAME or NAME@URL")
        if top < -1 or top == 0:
            raise ConfigError(f"top is a number of tokens from 1 up, or -1 for all, not {top}")
        self._options = {"vocabulary": vocabulary, "top": top, "key": key, "window": window, "deadline": deadline}
        self._model, self._vocabulary, self._top, self._deadline = model, vocabulary, top, deadline
        headers = {"Authorization": f"Bearer {key}"} if key else None
        self._transport = Transport(url.removesuffix("/v1"), headers=headers, window=window)

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self._model, self._options)

    async def encode(self, text: str) -> list[int]:
        """See `LogprobScorer`; the server's tokenizer does it."""
        body = {"model": self._name, "prompt": text, "add_special_tokens": False}
        return await self._transport.post("/tokenize", orjson.dumps(body), _read_ids, deadline=self._deadline)

    async def score(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Token]:
        """See `LogprobScorer`."""
        return await self._ask(prefix, continuation, 0, _token)

    async def spreads(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Spread]:
        """See `LogprobScorer`.

        Raises:
            ConfigError: the size of the vocabulary was not given.
        """
        vocabulary, top = self._vocabulary, self._top
        if vocabulary is None:
            raise ConfigError("give the scorer the size of the model's vocabulary: VLLMScorer(..., vocabulary=...)")

        def spread(row: Row, _: int) -> Spread:
            # The token that is there comes beside the most likely ones, and would tear a hole into the tail.
            ranked = sorted((float(entry["logprob"]) for entry in row.values()), reverse=True)
            return spread_of(ranked if top < 0 else ranked[:top], vocabulary)

        return await self._ask(prefix, continuation, top, spread)

    async def _ask(
        self, prefix: Sequence[int], continuation: Sequence[int], top: int, make: Callable[[Row, int], T]
    ) -> list[T]:
        """What is made of each token of the continuation, given the server's entries for it."""
        prompt = [*checked(prefix), *continuation]
        if not continuation:
            return []

        def read(data: bytes) -> list[T]:
            rows = _read_rows(data, len(prompt))[len(prefix) :]
            return [make(row, id) for row, id in zip(rows, continuation, strict=True)]

        body = {"model": self._name, "prompt": prompt, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": top}
        return await self._transport.post("/v1/completions", orjson.dumps(body), read, deadline=self._deadline)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def _made(model: str, options: dict[str, Any]) -> VLLMScorer:
    return VLLMScorer(model, **options)


def _read_ids(data: bytes) -> list[int]:
    try:
        return [int(id) for id in orjson.loads(data)["tokens"]]
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as exc:
        raise Garbled(f"no token ids, {type(exc).__name__}: {exc}") from exc


def _read_rows(data: bytes, length: int) -> list[Row]:
    """The entries of all tokens of the prompt, of which the first has none."""
    try:
        found = orjson.loads(data)["choices"][0]["prompt_logprobs"]
        rows = [{} if row is None else {str(id): entry for id, entry in row.items()} for row in found]
        if len(rows) != length or not all(math.isfinite(e["logprob"]) for row in rows for e in row.values()):
            raise ValueError(f"{len(rows)} rows for {length} tokens")
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError) as exc:
        raise Garbled(f"no log-probabilities of the prompt, {type(exc).__name__}: {exc}") from exc
    return rows


def _token(row: Row, id: int) -> Token:
    entry = row.get(str(id))
    if entry is None:
        raise Garbled(f"no log-probability of the token {id} that is there")
    return Token(str(entry.get("decoded_token") or ""), min(0.0, float(entry["logprob"])))
