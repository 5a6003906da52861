"""What a vLLM server's completion is read as; the server itself is in tests/vllm/test_rollouts.py."""

from typing import Any

import orjson
import pytest

from agentjudge.errors import ConfigError, ModelError
from agentjudge.models.transport import Garbled
from agentjudge.training.tokens import Sampled
from agentjudge.training.vllm_sampler import VLLMSampler, read_sampled


def reply(**choice: Any) -> bytes:
    whole = {
        "token_ids": [5, 6],
        "prompt_token_ids": [1, 2],
        "finish_reason": "stop",
        "logprobs": {"token_logprobs": [-0.5, 1e-9]},
    }
    return orjson.dumps({"model": "m", "choices": [whole | choice]})


def test_an_answer_is_read() -> None:
    assert read_sampled(reply(), [1, 2]) == Sampled([5, 6], [-0.5, 0.0], "stop", "m")
    cut = read_sampled(reply(finish_reason="length"), [1, 2], "step-3")
    assert cut.finish == "length" and cut.version == "step-3"


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b'{"choices": []}',
        reply(finish_reason="abort"),
        reply(logprobs={"token_logprobs": [-0.5]}),
        reply(logprobs={"token_logprobs": ["a", "b"]}),
        reply(logprobs=None),
    ],
)
def test_what_is_none_is_worth_another_try(data: bytes) -> None:
    with pytest.raises(Garbled):
        read_sampled(data, [1, 2])


def test_ids_that_were_not_sent_or_not_told_are_an_error() -> None:
    with pytest.raises(ModelError, match="read 2 tokens that are not the 3 that were sent"):
        read_sampled(reply(), [1, 2, 3])
    with pytest.raises(ModelError, match="does not tell token ids"):
        read_sampled(reply(token_ids=None), [1, 2])


def test_what_cannot_be_called_is_refused() -> None:
    for url, model in (("127.0.0.1:8000", "m"), ("http://", "m"), ("http://127.0.0.1:8000", "")):
        with pytest.raises(ConfigError):
            VLLMSampler(url, model)
    with pytest.raises(ConfigError, match="unknown mode 'processed'"):
        VLLMSampler("http://127.0.0.1:8000", "m", logprobs_mode="processed")  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature, top_p", [(0.7, 1.0), (1.0, 0.9)])
async def test_log_probabilities_of_something_else_are_refused(temperature: float, top_p: float) -> None:
    sampler = VLLMSampler("http://127.0.0.1:9", "m", tries=1)
    with pytest.raises(ConfigError, match="--logprobs-mode processed_logprobs"):
        await sampler.sample([1], max_tokens=1, temperature=temperature, top_p=top_p)
    for kept in ({"temperature": 1.0}, {"temperature": 0.0, "top_p": 0.9}):
        with pytest.raises(ModelError, match="cannot be reached"):
            await sampler.sample([1], max_tokens=1, **kept)
    await sampler.aclose()
