"""What is refused before vLLM's engine is asked, and how its options are read; the engine itself: tests/vllm."""

from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from agentjudge.errors import ConfigError
from agentjudge.models.async_llm import _likeliest, _refuse_unknown, read_options
from agentjudge.models.base import load_model


def test_options_are_json_or_text() -> None:
    assert read_options("") == {}
    given = "max_model_len=16384&dtype=bfloat16&enforce_eager=true&limit_mm_per_prompt=%7B%22image%22%3A2%7D"
    read = {"max_model_len": 16384, "dtype": "bfloat16", "enforce_eager": True, "limit_mm_per_prompt": {"image": 2}}
    assert read_options(given) == read
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        read_options("max_model_len")


def test_an_unknown_option_is_told_with_those_near_it() -> None:
    with pytest.raises(ConfigError, match="no option 'max_model_length'; there is max_model_len"):
        _refuse_unknown({"max_model_length": 1}, ["max_model_len", "dtype"])


def test_the_likeliest_tokens_are_summed_by_text() -> None:
    step = {
        1: SimpleNamespace(rank=2, logprob=-1.0, decoded_token="a"),
        2: SimpleNamespace(rank=1, logprob=-0.5, decoded_token="b"),
        3: SimpleNamespace(rank=3, logprob=-1.0, decoded_token="a"),
        4: SimpleNamespace(rank=9, logprob=-4.0, decoded_token="c"),
    }
    assert _likeliest(step, 2) == {"b": -0.5, "a": -1.0}
    assert _likeliest(step, 3)["a"] == pytest.approx(-0.306853)


def test_a_checkpoint_must_be_named_and_vllm_be_there() -> None:
    with pytest.raises(ConfigError, match="name the checkpoint"):
        load_model("vllm-inprocess:")
    if find_spec("vllm") is None:
        with pytest.raises(ConfigError, match="vLLM is not in this environment"):
            load_model("vllm-inprocess:checkpoints/qwen3")
