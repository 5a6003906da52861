"""Tokens and pictures between a judge and the servers of verl.

    sampler = VerlSampler(server_manager, ends=(151645,))
    with rolling(Rolling(params={"temperature": 1.0, "top_k": -1})) as at:
        trace = await judge.arun(case)                 # its model samples through the sampler
    at.seconds, at.preempted, at.steps

All judgements of a worker share one model and one sampler. What belongs to a single judgement, its request id (by
which verl sends all its turns to one server, with the prefix in the cache), its pictures and what its turns took, goes
with the task that it runs in (`contextvars`).

The room of a judgement is that of its row: its first prompt, and `response_length` tokens behind it. A turn for which
there is none overflows, as it does where a server's context ends.

Pictures: a chat template writes one placeholder for a picture, a model sees as many tokens as it has patches, and a row
that is trained needs them all. `PictureModel` shows a model pictures as text: the placeholders, already as many as the
processor will make of the picture. verl's server folds them to one again, and counts for itself.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import groupby
from typing import Any
from uuid import uuid4

from agentjudge.errors import ConfigError, ContextOverflow, ModelError, require
from agentjudge.models.base import Model, Request
from agentjudge.models.profiles import ModelProfile
from agentjudge.models.wire import render
from agentjudge.trace import Turn
from agentjudge.training.tokens import Sampled

TAIL = 24
"""Tokens at the end in which a stop string is looked for."""


@dataclass(slots=True)
class Rolling:
    """A judgement under way."""

    params: dict[str, Any] = field(default_factory=dict)
    """verl's sampling parameters, which the judge's own are put into."""
    prompt_length: int | None = None
    """Tokens of the prompt of its row, at most."""
    response_length: int | None = None
    """Tokens of the row behind that; what the server allows when None."""
    request_id: str = field(default_factory=lambda: uuid4().hex)
    pictures: dict[str, Any] = field(default_factory=dict)
    """Shown so far, by SHA-256, in the order of their placeholders."""
    shown: list[str] = field(default_factory=list)
    """Pictures of the turn at hand, in the order of their placeholders; one may be there twice."""
    seconds: float = 0.0
    """Spent waiting for tokens."""
    preempted: int = 0
    steps: list[int] = field(default_factory=list)
    """Versions of the weights that were sampled from, by the trainer's step."""
    opening: int | None = None
    """Tokens of the first prompt."""

    def room(self, prompt: int) -> int | None:
        """How many tokens may still be sampled behind a prompt of this length."""
        if self.opening is None:
            self.opening = prompt
        if self.response_length is None:
            return None
        first = self.opening if self.prompt_length is None else min(self.opening, self.prompt_length)
        return first + self.response_length - prompt


_current: ContextVar[Rolling] = ContextVar("rolling")


@contextmanager
def rolling(judgement: Rolling) -> Iterator[Rolling]:
    """What is sampled inside belongs to this judgement."""
    token = _current.set(judgement)
    try:
        yield judgement
    finally:
        _current.reset(token)


class VerlSampler:
    """A `TokenSampler` over verl's `server_manager`.

    Args:
        server_manager: with `generate`, as agent loops are given one.
        tokenizer: finds the end of a turn, and stop strings.
        pictures: options of the image processor, such as `max_pixels`.
    """

    def __init__(self, server_manager: Any, tokenizer: Any, *, pictures: Mapping[str, Any] | None = None) -> None:
        self._server, self._tokenizer, self._pictures = server_manager, tokenizer, dict(pictures or {})
        self._ends = frozenset(tokenizer.all_special_ids)

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
        """Sample one turn.

        Raises:
            ContextOverflow: the row is full.
            ModelError: too late, given up by the server, or the server failed; another try may help.
            ConfigError: the server tells no log-probabilities.
        """
        at, began = _current.get(), time.perf_counter()
        room = at.room(len(prompt))
        if room is not None and room < 1:
            raise ContextOverflow(f"the conversation fills its row of {at.response_length} tokens of response")
        max_tokens = max_tokens if room is None else min(max_tokens, room)
        params = at.params | {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "logprobs": True}
        if stop:
            params |= {"stop": list(stop), "include_stop_str_in_output": True}
        if seed is not None:
            params["seed"] = seed
        try:
            async with asyncio.timeout(deadline):
                output = await self._server.generate(
                    request_id=at.request_id,
                    prompt_ids=list(prompt),
                    sampling_params=params,
                    image_data=[at.pictures[sha] for sha in at.shown] or None,
                    mm_processor_kwargs=self._pictures if at.shown else None,
                )
        except TimeoutError:
            raise ModelError(f"verl's server gave no answer within {deadline:.3g} s", retriable=True) from None
        except Exception as exc:
            raise ModelError(f"verl's server failed: {type(exc).__name__}: {exc}", retriable=True) from exc
        finally:
            at.seconds += time.perf_counter() - began
        at.preempted += max(0, output.num_preempted or 0)
        version = output.extra_fields.get("global_steps")
        at.steps += [
            int(step)
            for step in (output.extra_fields.get(f"{end}_global_steps", version) for end in ("min", "max"))
            if step is not None
        ]
        return self._sampled(output, stop, "" if version is None else str(version))

    def _sampled(self, output: Any, stop: Sequence[str], version: str) -> Sampled:
        ids = list(output.token_ids)
        if output.stop_reason == "aborted" or not ids:
            raise ModelError("verl's server gave up on a turn", retriable=True)
        if output.log_probs is None or len(output.log_probs) != len(ids):
            raise ConfigError(
                "verl's server tells no log-probability for each token: set "
                "actor_rollout_ref.rollout.calculate_log_probs=True"
            )
        tail = self._tokenizer.decode(ids[-TAIL:]) if stop else ""
        ended = ids[-1] in self._ends or any(tail.rstrip().endswith(end) for end in stop)
        logprobs = [min(0.0, float(value)) for value in output.log_probs]
        return Sampled(ids, logprobs, "stop" if ended else "length", version)

    async def aclose(self) -> None:
        """Nothing to release: the servers are verl's."""


class PictureModel:
    """A model that is shown pictures as the placeholders that they become.

    Args:
        model: takes text.
        processor: of the model that is trained, with `image_processor`.
        profile: of that model.
        options: of its image processor, such as `max_pixels`.
    """

    def __init__(
        self, model: Model, processor: Any, *, profile: ModelProfile, options: Mapping[str, Any] | None = None
    ) -> None:
        self._options = dict(options or {})
        self.name, self.profile = model.name, profile
        self.token = str(getattr(processor, "image_token", "<|image_pad|>"))
        """The placeholder."""
        self._model, self._images = model, processor.image_processor
        self._patches = int(self._images.merge_size) ** 2

    async def act(self, request: Request) -> Turn:
        """Take one turn; see `Model`."""
        at = _current.get()
        parts = [part for message in request.messages for part in _parts(message) if part["type"] == "image_ref"]
        at.shown = [part["image"] for part in parts]
        for sha in at.shown:
            if sha not in at.pictures:
                at.pictures[sha] = await asyncio.to_thread(_opened, request.store.get(sha))
        texts = {sha: await asyncio.to_thread(self._written, at.pictures[sha]) for sha in dict.fromkeys(at.shown)}
        messages: list[dict[str, Any]] = []
        for said, run in groupby(request.messages, lambda message: message["role"] == "assistant"):
            given = list(run)
            if not said:
                given = render(given, picture=texts.__getitem__, image_in_tool=self.profile.image_in_tool)
            messages += given
        return await self._model.act(replace(request, messages=messages))

    def _written(self, picture: Any) -> dict[str, Any]:
        """The part that stands for a picture."""
        across, down = self._images(images=[picture], return_tensors="np", **self._options)["image_grid_thw"][0][1:]
        placeholders = self.token * (int(across) * int(down) // self._patches)
        return {"type": "text", "text": f"<|vision_start|>{placeholders}<|vision_end|>"}

    async def aclose(self) -> None:
        """Release the model."""
        await self._model.aclose()


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _opened(data: bytes) -> Any:
    image = require("PIL.Image", extra="vision")
    return image.open(BytesIO(data)).convert("RGB")
