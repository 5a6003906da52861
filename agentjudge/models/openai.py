"""One client for every OpenAI-compatible server: vLLM with all it gives, and the rest with what they have in common.

    model = load_model("vllm:Qwen/Qwen3-8B@http://gpu:8000")
    turn = await model.act(request)

From vLLM a turn brings the prompt's and the sampled token ids, the log-probability of each sampled token, the
reasoning text and the cached-token count; pictures carry their hash as `uuid`, so the server recognises them from
turn to turn. The concluding turn runs under a JSON schema with the tools still in the prompt (an unchanged prefix)
but out of reach, and without thinking unless that is asked for.
"""

import asyncio
import os
import re
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson

from agentjudge.errors import ConfigError, ModelError
from agentjudge.evidence import EvidenceStore
from agentjudge.models.base import Request
from agentjudge.models.profiles import ModelProfile, profile_of
from agentjudge.models.transport import Garbled, Transport
from agentjudge.models.wire import dump, read_turn, render
from agentjudge.registry import register
from agentjudge.trace import Turn

VLLM_URL = "http://127.0.0.1:8000/v1"
OPENAI_URL = "https://api.openai.com/v1"
PICTURE_BYTES = 64 * 2**20
"""Serialised pictures kept from turn to turn."""
MOST_ALTERNATIVES = 20
"""Of a token: more are refused by OpenAI, and by vLLM as it is started by default."""
NEUTRAL = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""vLLM takes what a request does not name from the model's generation_config.json; these leave its odds as they are."""
_HOST = re.compile(r"(localhost|[\w.-]+:\d{2,5})(/.*)?")


class OpenAIModel:
    """A model behind `/v1/chat/completions`.

    Args:
        name: the string it was loaded from.
        model: the server's name for the model.
        base_url: without a slash at its end.
        key: API key, if the server wants one.
        vllm: use vLLM's extensions.
        profile: found by the model's name when None.
        window: requests in flight at once, at most.
        tries: attempts a request.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str,
        base_url: str,
        key: str | None = None,
        vllm: bool = True,
        profile: ModelProfile | None = None,
        window: int = 256,
        tries: int = 5,
    ) -> None:
        self.name = name
        self.profile = profile or profile_of(model)
        self._model = model
        self._vllm = vllm
        self._limit = "max_completion_tokens" if base_url == OPENAI_URL else "max_tokens"
        headers = _authorization(key)
        self._transport = Transport(base_url, headers=headers, window=window, tries=tries, proxy=not vllm)
        self._pictures = _Pictures(with_uuid=vllm)

    async def act(self, request: Request) -> Turn:
        """Take one turn.

        Raises:
            ModelError: the server refused, is gone or too late, or the model declined to answer.
        """
        body = dump(self.payload(request))
        read = partial(read_turn, alternatives=request.alternatives > 0)
        turn = await self._transport.post("/chat/completions", body, read, deadline=request.deadline)
        turn.model_version = turn.model_version or self._model
        return turn

    def payload(self, request: Request) -> dict[str, Any]:
        """The request's body, with serialised pictures as fragments."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": render(
                request.messages,
                picture=lambda image: self._pictures.part(image, request.store),
                image_in_tool=self.profile.image_in_tool,
                reasoning=self._vllm,
            ),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._limit: sampling.max_tokens,
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.logprobs:
            body["logprobs"] = True
            if request.alternatives:
                body["top_logprobs"] = min(request.alternatives, MOST_ALTERNATIVES)
        if request.tools:
            body["tools"] = list(request.tools)
            body["tool_choice"] = "auto" if request.phase == "act" else "none"
        if request.schema is not None:
            schema = {"name": "verdict", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.stop:
            body["stop"] = list(request.stop)
        if self._vllm:
            body |= self._extensions(request)
        elif request.continue_last:
            raise ModelError("this server cannot continue an unfinished answer; the tag format needs vLLM")
        return body

    def _extensions(self, request: Request) -> dict[str, Any]:
        """What only vLLM understands."""
        more: dict[str, Any] = {"return_token_ids": True, **NEUTRAL}
        if request.sampling.logprobs and not request.alternatives:
            more["top_logprobs"] = 0
        if request.tools:
            more["parallel_tool_calls"] = True
        if request.stop:
            more["include_stop_str_in_output"] = True
        if request.continue_last:
            more |= {"continue_final_message": True, "add_generation_prompt": False}
        thinking = request.sampling.thinking
        if thinking is None and request.phase != "act":
            thinking = False
        if switches := self.profile.template_kwargs(thinking=thinking):
            more["chat_template_kwargs"] = switches
        return more

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


class _Pictures:
    """Content parts of pictures, serialised once for all turns; the least recently used are forgotten first."""

    def __init__(self, *, with_uuid: bool) -> None:
        self._with_uuid = with_uuid
        self._parts: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def part(self, image: str, store: EvidenceStore) -> orjson.Fragment:
        """The part of the picture with this SHA-256.

        Raises:
            StoreError: this case has no such picture, whatever other cases have.
        """
        store.image(image)
        found = self._parts.get(image)
        if found is None:
            part: dict[str, Any] = {"type": "image_url", "image_url": {"url": store.data_uri(image)}}
            if self._with_uuid:
                part["uuid"] = image
            found = self._parts[image] = orjson.dumps(part)
            self._bytes += len(found)
            while self._bytes > PICTURE_BYTES and len(self._parts) > 1:
                self._bytes -= len(self._parts.popitem(last=False)[1])
        else:
            self._parts.move_to_end(image)
        return orjson.Fragment(found)


def _authorization(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def split(rest: str, *, default: str) -> tuple[str, str]:
    """Name and base URL of `NAME[@URL]`.

    The URL begins at the last `@http`, so names may hold an `@`. One without a path is completed by `/v1`.

    Raises:
        ConfigError: no URL that could be called.
    """
    at = max(rest.rfind("@http://"), rest.rfind("@https://"))
    if at < 0:
        if _HOST.fullmatch(rest.rpartition("@")[2]) and "@" in rest:
            raise ConfigError(f"the address in {rest!r} must begin with http:// or https://")
        return rest.strip(), default
    name, url = rest[:at].strip(), rest[at + 1 :].rstrip("/").removesuffix("/chat/completions")
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"not an address that can be called: {url!r}")
    return name, url if parts.path else f"{url}/v1"


def _only_model(url: str, key: str | None) -> str:
    """The name of the only model that a server has.

    Raises:
        ConfigError: it has several, or cannot be asked.
    """

    def read(data: bytes) -> list[str]:
        try:
            return [str(entry["id"]) for entry in orjson.loads(data)["data"]]
        except (orjson.JSONDecodeError, LookupError, TypeError) as exc:
            raise Garbled(str(exc)) from exc

    async def ask() -> list[str]:
        transport = Transport(url, headers=_authorization(key), tries=2)
        try:
            return await transport.get("/models", read, deadline=10.0)
        finally:
            await transport.aclose()

    try:
        with ThreadPoolExecutor(1) as thread:  # our caller may have an event loop already
            names = thread.submit(asyncio.run, ask()).result()
    except ModelError as exc:
        raise ConfigError(f"no model is named, and {exc.message}; name one: vllm:NAME@URL") from exc
    if len(names) != 1:
        raise ConfigError(f"{url} has {len(names)} models ({', '.join(names[:8])}); name one: vllm:NAME@URL")
    return names[0]


@register("model", "vllm")
def vllm(rest: str) -> OpenAIModel:
    """A vLLM server: `vllm:NAME[@URL]`, by default on this machine's port 8000; its only model where NAME is empty."""
    name, url = split(rest, default=VLLM_URL)
    key = os.environ.get("AGENTJUDGE_API_KEY") or os.environ.get("VLLM_API_KEY")
    return OpenAIModel(f"vllm:{rest}", model=name or _only_model(url, key), base_url=url, key=key)


@register("model", "openai")
def openai(rest: str) -> OpenAIModel:
    """Any other OpenAI-compatible endpoint: `openai:NAME[@URL]`; the key is taken from OPENAI_API_KEY."""
    name, url = split(rest, default=OPENAI_URL)
    if not name:
        raise ConfigError("name the model: openai:NAME or openai:NAME@URL")
    key = os.environ.get("OPENAI_API_KEY")
    if not key and url == OPENAI_URL:
        raise ConfigError("set OPENAI_API_KEY, or name another server: openai:NAME@URL")
    return OpenAIModel(f"openai:{rest}", model=name, base_url=url, key=key, vllm=False)
