"""Sampling from a live torch model, the trainer's own weights: requests join and leave between two tokens.

    sampler = TorchSampler(model, tokenizer, version="step-0")
    model = TokenModel(sampler, tokenizer)                # judges run on it, as many at once as one likes
    with sampler.paused():                                # or `async with`
        optimizer.step()
    sampler.version = "step-1"

No server, no second copy of the weights, and log-probabilities that are the trainer's own to rounding. A thread takes
what is asked for; each of its steps reads the prompts of those that join and then gives every sequence one token, in
one forward pass (`torch_cache`). The next turn of a conversation goes on from the keys and values of the turn before,
and what prompts have in common at their beginning (the rollouts of a group, or all prompts of one judge) is read once.

What is drawn does not depend on who else is there, but for the rounding of another batch size: each request has a
generator of its own, which gives one number a token, and the token is where that number falls in the distribution. The
log-probabilities are of that distribution: after temperature and top-p. At temperature 0 they are the model's own.

Keys and values are of the weights that made them. They are dropped by `paused()`, and whenever the sampler wakes up
and finds that the weights are others: some values of each parameter are looked at, since version counters do not tell
(fused optimizers and writes to `parameter.data` leave them as they are). `paused()` first finishes what is in flight,
under the old weights.

The model is put into evaluation mode while it samples and back afterwards. Attention over all that came before is
needed: layers with a sliding window or a recurrent state are refused; serve these models with vLLM.
"""

import asyncio
import inspect
import secrets
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import numpy as np

from agentjudge.errors import ConfigError, ContextOverflow, ModelError, require
from agentjudge.models.hf import TAIL, end_tokens
from agentjudge.training.templates import turn_end
from agentjudge.training.tokens import Sampled
from agentjudge.training.torch_cache import RowCache, common
from agentjudge.training.torch_draw import Draw, draw

READ = 8192
"""Tokens of prompts that are read in one forward pass, padding included; a longer prompt is read alone."""
LOOKED_AT = 64
"""Values of a parameter by which new weights are known."""
WORTH = 16
"""Tokens of a prompt for which it is worth waiting until another one that shares them has been read."""


class TorchSampler:
    """A `TokenSampler` on a causal language model of transformers, on a CPU or a GPU.

    Args:
        model: in use by nobody else while it samples; wrapped by PEFT or not.
        tokenizer: the model's.
        version: told with each answer; set it anew after each change of the weights.
        rows: sequences that are decoded at once, at most; more wait.
        context: tokens of prompt and answer; the model's `max_position_embeddings` when None.
        dtype: `bfloat16` computes under autocast; None in the type of the weights.
        seed: makes requests without a seed of their own reproducible, in the order in which they come.

    Raises:
        ConfigError: torch is absent, or the model's attention is of a kind that this cannot do.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        version: str = "",
        rows: int = 64,
        context: int | None = None,
        dtype: Literal["bfloat16"] | None = None,
        seed: int | None = None,
    ) -> None:
        torch = require("torch", extra="train")
        config = model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
        if kinds:
            raise ConfigError(f"layers of {', '.join(sorted(kinds))} cannot be sampled here; serve the model with vLLM")
        attention = getattr(config, "_attn_implementation", None)
        if attention not in ("sdpa", "eager"):
            raise ConfigError(f"attention {attention!r} takes no mask; load the model with attn_implementation='sdpa'")
        self.version = version
        self.context: int = context or getattr(config, "max_position_embeddings", None) or 2**31
        self._model, self._tokenizer, self._rows = model, tokenizer, rows
        self._vocabulary = len(model.get_input_embeddings().weight)
        self._additive = attention == "eager"
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        known = inspect.signature(base.forward).parameters
        self._cache_name = "cache" if "cache" in known else "past_key_values"  # renamed in transformers 5.24
        self._dtype = None if dtype is None else getattr(torch, dtype)
        ends = end_tokens(base, tokenizer)
        if getattr(tokenizer, "chat_template", None):
            ends.append(turn_end(tokenizer).id)
        self.ends = frozenset(ends)
        """Tokens that end a turn."""
        self._seeds = None if seed is None else torch.Generator().manual_seed(seed)
        self._cache = RowCache()
        self._active: list[_Job] = []
        """In the order of their rows."""
        self._joining: list[_Job] = []
        self._values: Any = None
        """Some of the weights that the cache is of."""
        self._waiting: deque[_Job] = deque()
        self._lock = threading.Condition()
        self._holds = 0
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None

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
        """Sample one answer.

        Args:
            prompt: token ids.
            max_tokens: at most so many, and no more than the context has room for.
            temperature: 0 takes the likeliest token each time.
            top_p: the smallest set of tokens with this probability is drawn from.
            stop: strings that end the answer and stay in it.
            seed: makes the answer reproducible.
            deadline: seconds from now.

        Raises:
            ContextOverflow: the prompt fills the context.
            ModelError: too late, the model failed, or the sampler is closed.
        """
        if len(prompt) >= self.context:
            raise ContextOverflow(f"the prompt has {len(prompt)} tokens, the model's context {self.context}")
        if not prompt or max_tokens < 1:
            raise ModelError("a prompt has at least one token, and so has an answer")
        if min(prompt) < 0 or max(prompt) >= self._vocabulary:
            raise ModelError(f"the prompt has tokens that the model does not know, of {self._vocabulary} that it knows")
        most = min(max_tokens, self.context - len(prompt))
        job = _Job(np.asarray(prompt, np.int64), most, temperature, top_p, tuple(stop))
        if temperature > 0:
            job.chance = self._chance(seed, most)
        self._enqueue(job)
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.wrap_future(job.future)
        except TimeoutError:
            raise ModelError(f"no answer within {deadline:.3g} s", retriable=True) from None

    def _chance(self, seed: int | None, most: int) -> list[float]:
        """One number from 0 to 1 a token."""
        import torch

        if seed is None and self._seeds is not None:
            seed = int(torch.randint(2**62, (), generator=self._seeds))
        own = torch.Generator().manual_seed(secrets.randbits(62) if seed is None else seed % 2**63)
        numbers: list[float] = torch.rand(most, generator=own, dtype=torch.float64).tolist()
        return numbers

    def _enqueue(self, job: "_Job") -> None:
        with self._lock:
            if self._closed:
                raise ModelError("the sampler is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="agentjudge-sampler", daemon=True)
                self._thread.start()
            self._waiting.append(job)
            self._lock.notify_all()

    def paused(self) -> "_Paused":
        """A context, for `with` or `async with`, in which nothing is sampled and the weights may change.

        What is in flight is finished before it begins; what is asked for meanwhile waits for its end.
        """
        return _Paused(self)

    def _pause(self) -> None:
        with self._lock:
            self._holds += 1
            self._lock.wait_for(lambda: not self._busy)
            self._cache.clear()

    def _resume(self) -> None:
        with self._lock:
            self._holds -= 1
            self._lock.notify_all()

    async def aclose(self) -> None:
        """End the thread. What is in flight fails; the model is left as it was."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # the thread

    def _work(self) -> None:
        while self._awoken():
            done: list[_Job] = []
            try:
                with self._serving():
                    while True:
                        for job in done:
                            job.deliver(self.version)
                        done = self._step()
                        if not self._active and not self._called():
                            break
            except Exception as exc:
                self._break(exc)
            for job in done:  # after the model is back in its mode: the trainer may go on at once
                job.deliver(self.version)
            with self._lock:
                self._busy = False
                self._lock.notify_all()
        self._break(ModelError("the sampler was closed"))

    def _break(self, exc: Exception) -> None:
        """Tell everybody what went wrong: keys and values cannot be trusted any more."""
        problem = (
            exc if isinstance(exc, ModelError) else ModelError(f"the model failed: {str(exc) or type(exc).__name__}")
        )
        with self._lock:
            jobs = [*self._active, *self._joining, *self._waiting]
            self._waiting.clear()
        self._active, self._joining = [], []
        self._cache.clear()
        for job in jobs:
            job.fail(problem)

    def _awoken(self) -> bool:
        """Wait for work; False when there will be none."""
        with self._lock:
            self._lock.wait_for(lambda: self._closed or self._called())
            self._busy = not self._closed
            return self._busy

    def _called(self) -> bool:
        return bool(self._waiting) and not self._holds and not self._closed

    @contextmanager
    def _serving(self) -> Iterator[None]:
        """The model in evaluation mode, without gradients, under autocast where that is wanted."""
        import torch

        model = self._model
        training = [module for module in model.modules() if module.training]
        device = next(model.parameters()).device
        values = _some_values(model)
        if self._values is None or not torch.equal(values, self._values):
            self._values = values
            self._cache.clear()
        model.eval()
        try:
            with torch.inference_mode(), torch.autocast(device.type, self._dtype, enabled=self._dtype is not None):
                yield
        finally:
            for module in training:
                module.training = True

    def _step(self) -> "list[_Job]":
        """Let sequences join, then give each one a token; returns those that are over."""
        if self._closed:
            raise ModelError("the sampler was closed")
        over = []
        if joining := self._join():
            self._joining = joining
            starts = [job.start for job in joining]
            logits = self._forward(len(self._active), [job.prompt[job.start :] for job in joining], starts)
            for row, job in enumerate(joining, len(self._active)):
                self._cache.hold(row, job.prompt)
            self._active, self._joining = [*self._active, *joining], []
            self._draw(logits, joining)
            over += self._leave()
        if self._active:
            starts = [job.size - 1 for job in self._active]
            logits = self._forward(0, [np.asarray(job.ids[-1:]) for job in self._active], starts)
            self._draw(logits, self._active)
            over += self._leave()
        return over

    def _join(self) -> "list[_Job]":
        """The requests that join now, each in a row behind the active ones, with what is already known copied there."""
        with self._lock:
            waiting = [] if self._holds else list(self._waiting)
        joining: list[_Job] = []
        gone: list[_Job] = []
        for job in waiting:
            if job.future.cancelled():
                gone.append(job)
                continue
            row = len(self._active) + len(joining)
            if row == self._rows:
                break
            self._cache.fit(row + 1, 0)
            found = self._cache.longest(job.prompt)
            shared = min(found.shared, len(job.prompt) - 1)
            if any(common(job.prompt[:-1], other.prompt) >= shared + WORTH for other in joining):
                continue  # it is read now, and can be copied at the next step
            widest = max([len(job.prompt) - shared, *(len(other.prompt) - other.start for other in joining)])
            if joining and widest * (len(joining) + 1) > READ:
                break
            self._place(row, found.row, shared)
            job.start = shared
            joining.append(job)
        gone += joining
        with self._lock:
            for job in gone:
                self._waiting.remove(job)
        return joining

    def _place(self, row: int, source: int, shared: int) -> None:
        """Make `row` hold the first tokens of another one, or be that one where nothing else would be lost."""
        cache = self._cache
        if source >= row and cache.whole(source) <= shared + 1:
            cache.swap(source, row)
            return
        oldest = cache.oldest(row, most=self._rows)
        cache.copy(source, oldest, shared)
        cache.swap(oldest, row)
        cache.hold(row, ())

    def _forward(self, first: int, tokens: Sequence[Any], starts: Sequence[int]) -> Any:
        """The logits behind the last token of each row, [rows, vocabulary].

        Args:
            first: the row of the first sequence; the others follow.
            tokens: new ones of each sequence.
            starts: how many tokens each has before them.
        """
        import torch

        device = next(self._model.parameters()).device
        lengths = np.asarray([len(new) for new in tokens])
        longest = int(lengths.max())
        ids = np.zeros((len(tokens), longest), np.int64)
        for row, new in zip(ids, tokens, strict=True):
            row[: len(new)] = new
        positions = torch.from_numpy(np.asarray(starts)[:, None] + np.arange(longest)).to(device)
        width = int((lengths + starts).max())
        self._cache.fit(first + len(tokens), max(starts) + longest)
        self._cache.aim(first, positions, width)
        mask = (torch.arange(width, device=device) <= positions[:, :, None])[:, None]
        if self._additive:
            kind = self._dtype or self._model.dtype
            mask = torch.zeros_like(mask, dtype=kind).masked_fill_(~mask, torch.finfo(kind).min)
        places, where = np.unique(lengths - 1, return_inverse=True)
        out = self._model(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=torch.from_numpy(places).to(device),
            **{self._cache_name: self._cache},
        )
        return out.logits[torch.arange(len(tokens), device=device), torch.from_numpy(where).to(device)]

    def _draw(self, logits: Any, jobs: "Sequence[_Job]") -> None:
        """Give each sequence a token."""
        for job, token, logprob in zip(jobs, *draw(logits, [job.next for job in jobs]), strict=True):
            job.ids.append(token)
            job.logprobs.append(logprob)

    def _leave(self) -> "list[_Job]":
        """Take out those that are over; their rows keep all but the last token, which was never read."""
        over = []
        for row in range(len(self._active) - 1, -1, -1):
            job = self._active[row]
            if not (job.future.cancelled() or self._ended(job)):
                continue
            last = len(self._active) - 1
            self._cache.hold(row, np.concatenate([job.prompt, job.ids[:-1]]))
            self._cache.swap(row, last)
            self._active[row] = self._active[last]
            self._active.pop()
            over.append(job)
        return over

    def _ended(self, job: "_Job") -> bool:
        text = self._tokenizer.decode(job.ids[-TAIL:]) if job.stop else ""
        job.stopped = job.ids[-1] in self.ends or any(end in text for end in job.stop)
        return job.stopped or len(job.ids) == job.most


def _some_values(model: Any) -> Any:
    """Some values of each parameter, in one tensor: a step of an optimizer changes them."""
    import torch

    weights = [weight.detach().reshape(-1) for weight in model.parameters() if weight.numel()]
    return torch.cat([weight[:: max(1, len(weight) // LOOKED_AT)][:LOOKED_AT].float() for weight in weights])


@dataclass(slots=True, eq=False)
class _Job:
    """A request on its way."""

    prompt: np.ndarray[Any, np.dtype[np.int64]]
    most: int
    temperature: float
    top_p: float
    stop: tuple[str, ...]
    chance: Sequence[float] = ()
    start: int = 0
    """Tokens of the prompt that need not be read."""
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False
    future: "Future[Sampled]" = field(default_factory=Future)

    @property
    def size(self) -> int:
        """Tokens of prompt and answer."""
        return len(self.prompt) + len(self.ids)

    @property
    def next(self) -> Draw:
        """How the next token is drawn."""
        return Draw(self.temperature, self.top_p, self.chance[len(self.ids)] if self.chance else 0.0)

    def deliver(self, version: str) -> None:
        """Answer, unless it was given up or has failed."""
        finish: Literal["stop", "length"] = "stop" if self.stopped else "length"
        try:
            self.future.set_result(Sampled(self.ids, self.logprobs, finish, version))
        except InvalidStateError:
            pass

    def fail(self, problem: ModelError) -> None:
        """Answer that it could not be done."""
        try:
            self.future.set_exception(problem)
        except InvalidStateError:
            pass


class _Paused:
    """Both kinds of context manager."""

    def __init__(self, sampler: TorchSampler) -> None:
        self._sampler = sampler

    def __enter__(self) -> None:
        self._sampler._pause()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sampler._resume()

    async def __aenter__(self) -> None:
        await asyncio.to_thread(self._sampler._pause)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sampler._resume()
