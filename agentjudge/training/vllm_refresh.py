"""New weights into a running vLLM server, and the proof that it serves them.

    refreshed = await refresh("http://127.0.0.1:8000", "policy", model, prompts, folder="build/grpo/step-10")
    refreshed.before, refreshed.after        # nats a token between the server and `model`

vLLM can read weights anew without a restart (`/collective_rpc`, method `reload_weights`), and it may answer 200 and
serve a model that is none: the CPU build of 0.32 does that to models whose output weights are tied to their embeddings,
and is right with others (tests/vllm/test_rollouts.py). So nothing is believed here. The server is asked for greedy
answers before, the weights are read, the prefix cache is reset, and the server is asked the same again. Each token that
it then says must have the log-probability that the new weights give it, within `tolerance`, and be about as likely as
the likeliest. Where it is not, the error says so, and the server must be restarted: what it says from then on is wrong.
The prompts are the same before and after, so that keys and values of the old weights in a prefix cache would be seen.

Adapters (`adapter=True`) are loaded by `/v1/load_lora_adapter`, which needs `--enable-lora` and
`VLLM_ALLOW_RUNTIME_LORA_UPDATING=1`, and are proved in the same way. Give each step's adapter a name of its own: keys
and values are kept by name. Reading weights and resetting the cache need `VLLM_SERVER_DEV_MODE=1`. Nothing else may be
in flight meanwhile.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agentjudge.errors import ConfigError, ModelError, require
from agentjudge.models.transport import Transport
from agentjudge.training.tokens import Sampled
from agentjudge.training.vllm_sampler import VLLMSampler

TOLERANCE = 0.05
"""Nats a token: a server in bfloat16 is about 0.01 off, one with other weights whole nats."""
PROBE = 16
"""Tokens of an answer that are compared."""


class Refreshed(NamedTuple):
    """How far the server was from the new weights, and is: mean absolute difference of log-probabilities, in nats."""

    before: float
    """NaN for an adapter, which was not there."""
    after: float
    tokens: int
    """Compared, after."""


async def refresh(
    base_url: str,
    name: str,
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    folder: str | Path,
    adapter: bool = False,
    tolerance: float = TOLERANCE,
    key: str | None = None,
    deadline: float = 600.0,
) -> Refreshed:
    """Have a server read new weights, and prove that it serves them.

    Args:
        base_url: of the server, with or without `/v1`.
        name: the server's name for the model; of the adapter, where one is loaded.
        model: the new weights in transformers, as they are in `folder`.
        prompts: token ids of some prompts like those of training; a few, of a hundred tokens or more.
        folder: that `save_pretrained` wrote, where the server can read it.
        adapter: load a LoRA adapter under this name instead of weights.
        tolerance: mean difference that is allowed, in nats a token.
        key: API key, if the server wants one.
        deadline: seconds for the whole.

    Raises:
        ConfigError: the server was not started so that it can do this, or there are no prompts.
        ModelError: it serves other weights than `model` has, and must be restarted.
    """
    if not prompts or any(not prompt for prompt in prompts):
        raise ConfigError("give some prompts, of at least one token, by which the server is proved")
    root = base_url.rstrip("/").removesuffix("/v1")
    sampler = VLLMSampler(root, name, key=key)
    headers = {"Authorization": f"Bearer {key}"} if key else None
    transport = Transport(root, headers=headers, tries=1, timeout=deadline)
    try:
        async with asyncio.timeout(deadline):
            before = float("nan") if adapter else (await _off(sampler, model, prompts)).mean
            await (_load(transport, name, folder) if adapter else _reload(transport, folder))
            after = await _off(sampler, model, prompts)
    except TimeoutError:
        raise ModelError(f"the server did not take new weights within {deadline:.3g} s; restart it") from None
    finally:
        await sampler.aclose()
        await transport.aclose()
    if max(after.mean, after.gap) > tolerance:
        raise ModelError(
            f"{root} was told to read {folder} and serves another model: its tokens are {after.mean:.3g} nats off and "
            f"{after.gap:.3g} nats less likely than the likeliest, where {tolerance:g} is allowed. Restart it with "
            "these weights; all that it says until then is wrong"
        )
    return Refreshed(before, after.mean, after.tokens)


async def _reload(transport: Transport, folder: str | Path) -> None:
    body = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
    hint = "start it with VLLM_SERVER_DEV_MODE=1, or restart it with the new weights"
    await _post(transport, "/collective_rpc", body, hint)
    reply = await _post(transport, "/reset_prefix_cache", {}, hint)
    if reply and not orjson.loads(reply).get("success", True):
        raise ModelError("the prefix cache is in use and was not reset; let all requests end before weights change")


async def _load(transport: Transport, name: str, folder: str | Path) -> None:
    body = {"lora_name": name, "lora_path": str(folder)}
    hint = "start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, and give each adapter a new name"
    await _post(transport, "/v1/load_lora_adapter", body, hint)


async def _post(transport: Transport, path: str, body: dict[str, Any], hint: str) -> bytes:
    try:
        return await transport.post(path, orjson.dumps(body), bytes)
    except ModelError as exc:
        if exc.retriable:
            raise ModelError(f"the server did not take new weights: {exc.message}; restart it with them") from exc
        raise ConfigError(f"the server takes no new weights: {exc.message}; {hint}") from exc


class _Off(NamedTuple):
    mean: float
    gap: float
    """How much less likely the server's tokens are than the likeliest."""
    tokens: int


async def _off(sampler: VLLMSampler, model: Any, prompts: Sequence[Sequence[int]]) -> _Off:
    """How far a server's greedy answers are from a model."""
    said = await asyncio.gather(*(sampler.sample(each, max_tokens=PROBE, temperature=0.0) for each in prompts))
    return await asyncio.to_thread(_compared, model, prompts, said)


def _compared(model: Any, prompts: Sequence[Sequence[int]], said: Sequence[Sampled]) -> _Off:
    torch = require("torch", extra="train")
    off, gaps, modes = list[float](), list[float](), [module for module in model.modules() if module.training]
    model.eval()
    try:
        for prompt, sampled in zip(prompts, said, strict=True):
            ids = torch.tensor([[*prompt, *sampled.ids]], device=next(model.parameters()).device)
            with torch.inference_mode():
                logits = model(ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
            odds = torch.log_softmax(logits, dim=-1)
            own = odds.gather(-1, ids[0, len(prompt) :, None])[:, 0]
            off += (own.cpu() - torch.tensor(sampled.logprobs)).abs().tolist()
            gaps += (odds.amax(-1) - own).tolist()
    finally:
        for module in modes:
            module.training = True
    return _Off(sum(off) / len(off), sum(gaps) / len(gaps), len(off))
