"""Sampling on a vLLM server, ids in and ids out: `/v1/completions` with token ids as the prompt.

    sampler = VLLMSampler("http://127.0.0.1:8000", "Qwen/Qwen3-8B")
    model = TokenModel(sampler, tokenizer, name="vllm:Qwen/Qwen3-8B")

The server is asked for the ids that it sampled (`return_token_ids`) and for the ids that it read, which must be those
that were sent.

vLLM reports log-probabilities of the model's own distribution by default (`--logprobs-mode raw_logprobs`), not of the
one that it draws from. The two are the same at temperature 1 without top-p. A trainer needs the latter: for anything
else start the server with `--logprobs-mode processed_logprobs`, and say so here (`logprobs_mode`); without that, other
temperatures are refused. At temperature 0 both modes report the model's own, as they should.

The server's `generation_config.json` cannot slip in: what it could set is sent with every request.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import orjson

from agentjudge.errors import ConfigError, ModelError
from agentjudge.models.openai import NEUTRAL, split
from agentjudge.models.transport import Garbled, Transport
from agentjudge.training.tokens import Sampled

Mode = Literal["raw_logprobs", "processed_logprobs"]


class VLLMSampler:
    """A `TokenSampler` on a server.

    Args:
        base_url: with or without `/v1`.
        model: the server's name for it.
        logprobs_mode: as the server was started.
        ends: tokens that end a turn beside those of the model's own configuration.
        version: told with each answer; the model's name when empty.
        key: API key, if the server wants one.
        window: requests in flight at once, at most.
        tries: attempts a request.

    Raises:
        ConfigError: no model is named, the address cannot be called, or an unknown mode.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        logprobs_mode: Mode = "raw_logprobs",
        ends: Sequence[int] = (),
        version: str = "",
        key: str | None = None,
        window: int = 256,
        tries: int = 5,
    ) -> None:
        if not model:
            raise ConfigError("name the model that the server samples from")
        if logprobs_mode not in get_args(Mode):
            raise ConfigError(f"unknown mode {logprobs_mode!r}; there is {', '.join(get_args(Mode))}")
        _, url = split(f"{model}@{base_url}", default="")
        if not url:
            raise ConfigError(f"the address {base_url!r} must begin with http:// or https://")
        self.version = version
        self._model, self._mode, self._ends = model, logprobs_mode, list(ends)
        headers = {"Authorization": f"Bearer {key}"} if key else None
        self._transport = Transport(url, headers=headers, window=window, tries=tries)

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
        """Sample one answer; see `TokenSampler`.

        Raises:
            ConfigError: the server's log-probabilities would not be of what is drawn from.
            ModelError: the server refused, is gone or too late, or does not tell ids.
        """
        if self._mode == "raw_logprobs" and (temperature not in (0, 1) or (temperature and top_p < 1)):
            raise ConfigError(
                f"at temperature {temperature:g} and top-p {top_p:g} the server's log-probabilities are not of what it "
                "draws from; start it with --logprobs-mode processed_logprobs, and give logprobs_mode here"
            )
        sent = list(prompt)
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": sent,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "logprobs": 0,
            "return_token_ids": True,
            **NEUTRAL,
        }
        if stop:
            body |= {"stop": list(stop), "include_stop_str_in_output": True}
        if self._ends:
            body["stop_token_ids"] = self._ends
        if seed is not None:
            body["seed"] = seed % 2**63

        def read(data: bytes) -> Sampled:
            return read_sampled(data, sent, self.version)

        return await self._transport.post("/completions", orjson.dumps(body), read, deadline=deadline)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def read_sampled(data: bytes, prompt: Sequence[int], version: str = "") -> Sampled:
    """The answer in a reply of `/completions`.

    Args:
        data: the reply.
        prompt: the ids that were sent.
        version: of the weights; the model's name in the reply when empty.

    Raises:
        Garbled: not JSON, or not of the agreed shape.
        ModelError: the server read other ids, or tells none.
    """
    try:
        reply = orjson.loads(data)
        choice = reply["choices"][0]
        ids, seen, finish = choice.get("token_ids"), choice.get("prompt_token_ids"), choice.get("finish_reason")
        logprobs = [min(0.0, float(value)) for value in (choice.get("logprobs") or {}).get("token_logprobs") or ()]
        name = str(reply.get("model") or "")
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError) as exc:
        raise Garbled(f"not a completion, {type(exc).__name__}: {exc}") from exc
    if finish not in ("stop", "length"):
        raise Garbled(f"the server broke the answer off ({finish})")
    if ids is None or seen is None:
        raise ModelError("the server does not tell token ids; it takes vLLM 0.10.2 or newer")
    if list(seen) != list(prompt):
        raise ModelError(f"the server read {len(seen)} tokens that are not the {len(prompt)} that were sent")
    if len(ids) != len(logprobs):
        raise Garbled(f"{len(logprobs)} log-probabilities for {len(ids)} tokens")
    return Sampled([int(id) for id in ids], logprobs, finish, version or name)
