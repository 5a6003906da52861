"""A server as the sampler of a training: it is given each step's weights, and found out where it does not serve them.

The server speaks vLLM's protocol over a tiny model; the real one is in tests/vllm.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tiny_policies import build_policy, tiny_tokenizer

from agentjudge.errors import ConfigError, ModelError
from agentjudge.training.config import TrainConfig, parse_config
from agentjudge.training.sources import open_source
from agentjudge.training.torch_sampler import TorchSampler
from agentjudge.training.trl_serving import Served

torch = pytest.importorskip("torch")


class Server:
    """Completions of a tiny model, whose weights are read anew where it is told to."""

    def __init__(self, folder: Path, *, heeds: bool = True) -> None:
        self.heeds, self.read = heeds, list[str]()
        self.load(folder)

    def load(self, folder: str | Path) -> None:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(folder)
        self.sampler = TorchSampler(model, tiny_tokenizer())

    async def complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        found = await self.sampler.sample(
            body["prompt"], max_tokens=body["max_tokens"], temperature=body["temperature"], seed=body.get("seed")
        )
        choice = {
            "token_ids": found.ids,
            "prompt_token_ids": body["prompt"],
            "finish_reason": found.finish,
            "logprobs": {"token_logprobs": found.logprobs},
        }
        return web.json_response({"model": "policy", "choices": [choice]})

    async def rpc(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.read.append(body["kwargs"]["weights_path"])
        if self.heeds:
            await self.sampler.aclose()
            self.load(body["kwargs"]["weights_path"])
        return web.json_response({"results": [None]})

    async def reset(self, _: web.Request) -> web.Response:
        return web.json_response({"success": True})

    def app(self, *, takes: bool = True) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/completions", self.complete)
        if takes:
            app.router.add_post("/collective_rpc", self.rpc)
            app.router.add_post("/reset_prefix_cache", self.reset)
        return app


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture
async def serve() -> AsyncIterator[Any]:
    runners: list[web.AppRunner] = []

    async def start(app: web.Application) -> str:
        runners.append(runner := web.AppRunner(app))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]

    yield start
    for runner in runners:
        await runner.cleanup()


def config(folder: Path, policy: Path, url: str) -> TrainConfig:
    tables = {
        "model": {"path": str(policy)},
        "data": {"gym": {"documents": 4}},
        "rollout": {"sampler": f"vllm:policy@{url}"},
        "output": {"folder": str(folder)},
    }
    return parse_config(tables, where="a test")


def served(asked: TrainConfig) -> Served:
    source = open_source(asked)
    return Served(asked, tiny_tokenizer(), [source.case(number).case for number in range(2)])


def trained(policy: Path) -> Any:
    """The policy, with other weights."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(policy)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


async def test_weights_are_handed_over_once_a_step(policy: Path, serve: Any, tmp_path: Path) -> None:
    server = Server(policy)
    sampler = served(config(tmp_path, policy, await serve(server.app())))
    model = trained(policy)
    await sampler.renew(model, 3)
    await sampler.renew(model, 3)
    assert server.read == [str(tmp_path / "served")]
    own = TorchSampler(model, tiny_tokenizer())
    prompt = list(range(300, 340))
    theirs, ours = await asyncio.gather(
        *(each.sample(prompt, max_tokens=8, temperature=1.0, seed=1) for each in (sampler, own))
    )
    assert theirs.ids == ours.ids and theirs.version == "step-3"
    for each in (sampler, own, server.sampler):
        await each.aclose()


async def test_a_server_that_only_says_it_took_them_is_found_out(policy: Path, serve: Any, tmp_path: Path) -> None:
    server = Server(policy, heeds=False)
    sampler = served(config(tmp_path, policy, await serve(server.app())))
    with pytest.raises(ModelError, match="serves another model"):
        await sampler.renew(trained(policy), 1)
    await sampler.aclose()
    await server.sampler.aclose()


async def test_a_server_that_takes_none_is_refused(policy: Path, serve: Any, tmp_path: Path) -> None:
    server = Server(policy)
    sampler = served(config(tmp_path, policy, await serve(server.app(takes=False))))
    with pytest.raises(ConfigError, match="takes no new weights.*VLLM_SERVER_DEV_MODE"):
        await sampler.renew(trained(policy), 1)
    await sampler.aclose()
    await server.sampler.aclose()
