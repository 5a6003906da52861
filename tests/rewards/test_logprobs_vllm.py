"""The client of `prompt_logprobs`, against a server that answers in vLLM's shape."""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from scorers import VOCABULARY, Letters
from servers import ChatServer

from agentjudge.errors import ConfigError, ContextOverflow, DataError, ModelError
from agentjudge.rewards.logprobs_vllm import VLLMScorer

LETTERS = Letters()


def entries(prompt: list[int], place: int, top: int) -> dict[str, Any] | None:
    """What vLLM says of the token at a place: it, and the most likely ones, by id."""
    if place == 0:
        return None
    logprobs = np.log(LETTERS.odds(prompt[:place]))
    order = np.argsort(-logprobs, kind="stable")
    kept = {int(id) for id in order[: len(order) if top < 0 else top]} | {prompt[place]}
    ranks = {int(id): rank for rank, id in enumerate(order, 1)}
    return {
        str(id): {"logprob": float(logprobs[id]), "rank": ranks[id], "decoded_token": chr(id)} for id in sorted(kept)
    }


class PromptServer(ChatServer):
    """Also answers `/v1/completions` and `/tokenize`."""

    broken: list[Any]

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_post("/tokenize", self._tokenize)
        return app

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if self.broken:
            found = self.broken.pop(0)
            return found if isinstance(found, web.StreamResponse) else web.json_response(found)
        prompt = body["prompt"]
        rows = [entries(prompt, place, body["prompt_logprobs"]) for place in range(len(prompt))]
        choice = {"index": 0, "text": "x", "finish_reason": "length", "logprobs": None, "prompt_logprobs": rows}
        return web.json_response({"id": "cmpl-0", "object": "text_completion", "model": "m", "choices": [choice]})

    async def _tokenize(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        ids = [ord(letter) for letter in body["prompt"]]
        return web.json_response({"count": len(ids), "max_model_len": 99, "tokens": ids, "token_strs": None})


@pytest.fixture
def server() -> Iterator[PromptServer]:
    with PromptServer() as server:
        server.broken = []
        yield server


@pytest.fixture
def scorer(server: PromptServer) -> Callable[..., VLLMScorer]:
    return lambda **options: VLLMScorer(f"m@{server.url}", **options)


async def test_tokens_are_scored_as_the_server_finds_them(server: PromptServer, scorer: Callable[..., Any]) -> None:
    made = scorer(key="secret")
    prefix, ids = [ord(c) for c in "say abc: "], await made.encode("abc")
    tokens = await made.score(prefix, ids)
    assert tokens == await LETTERS.score(prefix, ids)
    told, asked = server.bodies
    assert told == {"model": "m", "prompt": "abc", "add_special_tokens": False}
    wanted = {"model": "m", "prompt": prefix + ids, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
    assert asked == wanted and server.headers[0]["Authorization"] == "Bearer secret"
    assert await made.score(prefix, []) == [] and len(server.bodies) == 2
    with pytest.raises(DataError, match="at least one token"):
        await made.score([], ids)
    await made.aclose()


async def test_spreads_are_exact_from_all_tokens_and_lower_bounds_from_some(scorer: Callable[..., Any]) -> None:
    prefix, ids = [ord(c) for c in "abcabc"], [ord("a"), ord("~")]
    exact = await LETTERS.spreads(prefix, ids)
    whole, some = scorer(vocabulary=VOCABULARY, top=-1), scorer(vocabulary=VOCABULARY, top=3)
    assert all(a == pytest.approx(b) for a, b in zip(await whole.spreads(prefix, ids), exact, strict=True))
    for bound, true in zip(await some.spreads(prefix, ids), exact, strict=True):
        assert not bound.exact and bound.from_uniform <= true.from_uniform + 1e-9
        assert bound.to_uniform <= true.to_uniform + 1e-9
    with pytest.raises(ConfigError, match="size of the model's vocabulary"):
        await scorer().spreads(prefix, ids)
    for made in (whole, some):
        await made.aclose()


async def test_the_token_that_is_there_is_none_of_the_most_likely(scorer: Callable[..., Any]) -> None:
    """vLLM adds it to them; taken for one, it would say that all tokens between are as unlikely as it is."""
    prefix, unlikely, likely = [ord(c) for c in "ababab"], [ord("~")], [ord("a")]
    made = scorer(vocabulary=VOCABULARY, top=2)
    assert await made.spreads(prefix, unlikely) == await made.spreads(prefix, likely)
    await made.aclose()


GARBLED = [
    {"choices": []},
    {"choices": [{"prompt_logprobs": None}]},
    {"choices": [{"prompt_logprobs": [None, {"98": {"logprob": -1.0}}]}]},
    {"choices": [{"prompt_logprobs": [None, {"98": {"logprob": -1}}, {"1": {"logprob": -1}}]}]},
    {"choices": [{"prompt_logprobs": [None, {"98": {"logprob": "x"}}, {"99": {}}]}]},
]


async def test_a_garbled_reply_is_asked_for_again(server: PromptServer, scorer: Callable[..., Any]) -> None:
    made = scorer()
    for reply in GARBLED:
        server.broken = [reply]
        assert await made.score([97, 98], [99]) == await LETTERS.score([97, 98], [99])
    assert len(server.bodies) == 2 * len(GARBLED)
    server.broken = GARBLED * 4
    with pytest.raises(ModelError, match="cannot be read"):
        await made.score([97, 98], [99])
    await made.aclose()


async def test_what_is_longer_than_the_context_is_said_so(server: PromptServer, scorer: Callable[..., Any]) -> None:
    made = scorer()
    error = {"error": {"message": "This model's maximum context length is 8 tokens", "code": 400}}
    server.broken = [web.json_response(error, status=400)]
    with pytest.raises(ContextOverflow):
        await made.score([97], [98])
    await made.aclose()


def test_it_is_pickled_as_its_arguments() -> None:
    made = VLLMScorer("org/name@http://h:1/v1", vocabulary=7, top=3, key="k")
    again = pickle.loads(pickle.dumps(made))
    assert again.__reduce__() == made.__reduce__() and again._name == "org/name"


@pytest.mark.parametrize("wrong", [{"model": ""}, {"model": "m", "top": 0}, {"model": "m", "top": -2}])
def test_what_it_cannot_be_made_of(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        VLLMScorer(**wrong)
