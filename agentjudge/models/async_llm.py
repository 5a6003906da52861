"""vLLM in this process, for batch work: `vllm-inprocess:PATH`.

    agentjudge judge cases.jsonl --model vllm-inprocess:checkpoints/qwen3-8b --out run/
    agentjudge judge cases.jsonl --model 'vllm-inprocess:qwen3-8b?max_model_len=16384&tensor_parallel_size=2' ...

The engine of `vllm serve` (`AsyncLLM`) without the server around it: no port, no health to wait for, and it ends with
the run. Judgements share its batches and its prefix cache; a deadline aborts the request. Behind `?` stand fields of
vLLM's `AsyncEngineArgs`, their values as JSON or as they are. A turn is what the HTTP client brings of a server: token
ids, log-probabilities, a schema that is enforced, the cached tokens. The prompt is written here, by the tokenizer's own
chat template, and tool calls are read as `<tool_call>{...}</tool_call>`; for pictures, other formats of calls, adapters
and several judges on one engine there is the server.
"""

import asyncio
import dataclasses
import difflib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from agentjudge.errors import ConfigError, ContextOverflow, ModelError, boundary
from agentjudge.models.base import Request
from agentjudge.models.hf import family, prompt_ids, read_text
from agentjudge.models.openai import MOST_ALTERNATIVES
from agentjudge.models.profiles import ModelProfile
from agentjudge.models.wire import summed
from agentjudge.registry import register
from agentjudge.trace import Message, Turn, TurnUsage

NEUTRAL = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""As of the HTTP client: nothing of the checkpoint's generation_config.json changes the odds."""
SCHEMAS = {"backend": "xgrammar", "disable_any_whitespace": True}
"""As `agentjudge vllm` starts a server: JSON allows any amount of white space, which weak models never stop using."""
_SCHEMAS = "structured_outputs_config"


class AsyncLLMModel:
    """A causal language model with a chat template in vLLM's engine.

    Args:
        path: folder of the checkpoint, or a hub id where the hub can be reached.
        options: fields of `AsyncEngineArgs`.
        name: the string it was loaded from.
        profile: found by the path, then by the architecture, when None.

    Raises:
        ConfigError: vLLM is absent, does not know an option, or cannot load the model.
    """

    def __init__(
        self,
        path: str,
        *,
        options: Mapping[str, Any] | None = None,
        name: str | None = None,
        profile: ModelProfile | None = None,
    ) -> None:
        if find_spec("vllm") is None:
            raise ConfigError("vLLM is not in this environment: pip install vllm, or serve it and name vllm:NAME@URL")
        if Path(path).is_dir() and not (Path(path) / "config.json").is_file():
            raise ConfigError(f"no model in {path}: it has no config.json")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # judgements call nobody
        from vllm.config import StructuredOutputsConfig
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        given = {"enable_prefix_caching": True, "max_logprobs": MOST_ALTERNATIVES, **(options or {})}
        _refuse_unknown(given, [field.name for field in dataclasses.fields(AsyncEngineArgs)])
        with boundary(ConfigError, f"vLLM cannot load {path}"):
            given[_SCHEMAS] = StructuredOutputsConfig(**{**SCHEMAS, **given.pop(_SCHEMAS, {})})
            self._engine = AsyncLLM.from_engine_args(AsyncEngineArgs(model=path, **given))
            self._tokenizer = self._engine.get_tokenizer()
        config = self._engine.model_config
        self._room = int(config.max_model_len)
        if not getattr(self._tokenizer, "chat_template", None):
            self._engine.shutdown()
            raise ConfigError(f"the tokenizer of {path} has no chat template")
        found = profile or family(path, config.hf_config.model_type)
        self.profile = found.model_copy(update={"images": False, "image_in_tool": False})
        self.name = name or f"vllm-inprocess:{path}"
        self._version = Path(path).name
        self._ids = (f"judge-{number}" for number in itertools.count())

    async def act(self, request: Request) -> Turn:
        """Take one turn.

        Raises:
            ContextOverflow: the conversation is as long as the context, or longer.
            ModelError: too late, a picture, or the engine refused or died.
        """
        prompt = prompt_ids(self._tokenizer, request, self.profile)
        if len(prompt) >= self._room:
            raise ContextOverflow(f"the conversation has {len(prompt)} tokens, and the context {self._room}")
        with boundary(ModelError, f"{self.name} failed"):
            sampling = self._sampling(request, most=self._room - len(prompt))
        try:
            async with asyncio.timeout(request.deadline):
                with boundary(ModelError, f"{self.name} failed"):
                    return self._turn(request, prompt, await self._generated(prompt, sampling))
        except TimeoutError:
            raise ModelError(f"{self.name} gave no answer within {request.deadline:.3g} s", retriable=True) from None

    async def _generated(self, prompt: list[int], sampling: Any) -> Any:
        stream = self._engine.generate({"prompt_token_ids": prompt}, sampling, next(self._ids))
        outputs = [output async for output in stream]  # one, for `FINAL_ONLY`
        if not outputs or outputs[-1].outputs[0].finish_reason == "abort":
            raise ModelError("the engine broke the answer off", retriable=True)
        return outputs[-1]

    def _sampling(self, request: Request, *, most: int) -> Any:
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        asked = request.sampling
        return SamplingParams(
            temperature=asked.temperature,
            top_p=asked.top_p,
            max_tokens=min(asked.max_tokens, most),
            seed=asked.seed,
            logprobs=min(request.alternatives, MOST_ALTERNATIVES) if asked.logprobs else None,
            stop=list(request.stop) or None,
            include_stop_str_in_output=bool(request.stop),
            structured_outputs=None if request.schema is None else StructuredOutputsParams(json=request.schema),
            output_kind=RequestOutputKind.FINAL_ONLY,
            **NEUTRAL,
        )

    def _turn(self, request: Request, prompt: list[int], output: Any) -> Turn:
        said = output.outputs[0]
        ids, steps = list(said.token_ids), said.logprobs
        if self.profile.protocol == "tags":
            message: Message = {"role": "assistant", "content": said.text}
        else:
            thinking = self._tokenizer.decode(prompt[-8:]).rstrip().endswith("<think>")
            tools = bool(request.tools) and request.phase == "act"
            message = read_text(said.text, thinking=thinking, tools=tools)
        beside = steps is not None and request.alternatives > 0
        return Turn(
            message_out=message,
            prompt_ids=prompt,
            output_ids=ids,
            logprobs=None if steps is None else [float(step[id].logprob) for id, step in zip(ids, steps, strict=True)],
            tokens=[_text(step[id]) for id, step in zip(ids, steps, strict=True)] if beside else None,
            alternatives=[_likeliest(step, request.alternatives) for step in steps] if beside else None,
            finish_reason="tool_calls" if "tool_calls" in message else str(said.finish_reason or "stop"),
            model_version=self._version,
            usage=TurnUsage(
                prompt_tokens=len(prompt), cached_tokens=output.num_cached_tokens or 0, completion_tokens=len(ids)
            ),
        )

    async def aclose(self) -> None:
        """End the engine and its processes."""
        await asyncio.to_thread(self._engine.shutdown)


def _text(token: Any) -> str:
    return token.decoded_token or ""


def _likeliest(step: Mapping[int, Any], most: int) -> dict[str, float]:
    """Text to log-probability of the likeliest tokens at a place; of one text they are summed."""
    named: dict[str, float] = {}
    for token in sorted(step.values(), key=lambda token: token.rank)[:most]:
        named[_text(token)] = summed(named.get(_text(token)), min(0.0, float(token.logprob)))
    return named


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"; there is {', '.join(near)}" if near else ""
            raise ConfigError(f"vLLM's engine has no option {name!r}{hint}")


def read_options(query: str) -> dict[str, Any]:
    """The options behind `?`: JSON where a value is JSON, text otherwise.

    Raises:
        ConfigError: one has no value.
    """
    try:
        pairs = parse_qsl(query, strict_parsing=bool(query), keep_blank_values=True)
    except ValueError as exc:
        raise ConfigError(f"options of the engine are NAME=VALUE, joined by &: {query!r}") from exc
    return {name: _value(value) for name, value in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@register("model", "vllm-inprocess")
def vllm_inprocess(rest: str) -> AsyncLLMModel:
    """The engine of vLLM in this process, for batch work: `vllm-inprocess:PATH[?OPTION=VALUE&...]`."""
    path, _, query = rest.partition("?")
    if not path:
        raise ConfigError("name the checkpoint: vllm-inprocess:PATH")
    return AsyncLLMModel(path, options=read_options(query), name=f"vllm-inprocess:{rest}")
