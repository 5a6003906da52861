"""transformers in process, on a tiny model that recites."""

import asyncio
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import ACT, CONCLUDE, build_qwen3  # noqa: E402

from agentjudge.case import Claim, Document  # noqa: E402
from agentjudge.errors import ConfigError, ModelError  # noqa: E402
from agentjudge.evidence import EvidenceStore  # noqa: E402
from agentjudge.judge import Judge  # noqa: E402
from agentjudge.models.base import Request, Sampling, load_model  # noqa: E402
from agentjudge.models.hf import HFModel, read_text  # noqa: E402
from agentjudge.models.profiles import ModelProfile  # noqa: E402

MESSAGES = [{"role": "user", "content": "Is the sky blue?"}]
TOOL = {"type": "function", "function": {"name": "retrieve", "description": "", "parameters": {"type": "object"}}}
CALL = ["<think>", "look it up", "</think>\n", "<tool_call>", '{"name": "retrieve", ', '"arguments": {"query": "sky"}}']
VERDICT = ['{"reason": "No word of it.", ', '"evidence": [], ', '"label": "NOT ENOUGH INFO", ', '"confidence": 0.5}']


@pytest.fixture(scope="module")
def reciting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calls a tool after an ordinary prompt, and answers after one without thinking."""
    phrases = {ACT: [*CALL, "</tool_call>"], CONCLUDE: VERDICT}
    return build_qwen3(tmp_path_factory.mktemp("hf") / "qwen3-reciting", phrases)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_qwen3(tmp_path_factory.mktemp("hf") / "qwen3-noise")


def request(messages: list[dict[str, Any]] = MESSAGES, **more: Any) -> Request:
    defaults: dict[str, Any] = {
        "case": Claim(id="c", claim="The sky is blue."),
        "messages": messages,
        "events": (),
        "opening": (),
        "store": EvidenceStore(),
        "tools": [],
        "sampling": Sampling(max_tokens=20, seed=0),
    }
    return Request(**{**defaults, **more})


async def test_a_tool_call_is_read_and_the_thinking_set_apart(reciting: Path) -> None:
    model = load_model(f"hf:{reciting}")
    assert model.profile.family == "qwen3" and not model.profile.images
    turn = await model.act(request(tools=[TOOL]))
    assert turn.message_out == {
        "role": "assistant",
        "content": "",
        "reasoning": "look it up",
        "tool_calls": [
            {"id": "call_0", "type": "function", "function": {"name": "retrieve", "arguments": '{"query": "sky"}'}}
        ],
    }
    assert turn.finish_reason == "tool_calls" and turn.model_version == "qwen3-reciting"
    result = {"role": "tool", "tool_call_id": "call_0", "name": "retrieve", "content": "It is blue."}
    messages = [*MESSAGES, turn.message_out, result]
    last = await model.act(request(messages, tools=[TOOL], phase="conclude", schema={"type": "object"}))
    assert json.loads(last.message_out["content"])["label"] == "NOT ENOUGH INFO"
    assert last.finish_reason == "stop" and "tool_calls" not in last.message_out
    shown = HFModel(str(reciting))._tokenizer.decode(last.prompt_ids or [])
    assert '<tool_call>{"name": "retrieve", "arguments": {"query": "sky"}}</tool_call>' in shown
    assert "<think>look it up</think>" in shown and "It is blue." in shown and '"name": "retrieve"' in shown
    await model.aclose()


@pytest.mark.parametrize("temperature", [0.0, 1.5])
async def test_ids_and_logprobs_are_those_of_the_model(noisy: Path, temperature: float) -> None:
    """Held against one forward pass over prompt and answer."""
    model = HFModel(str(noisy))
    turn = await model.act(request(sampling=Sampling(max_tokens=12, seed=3, temperature=temperature, top_p=0.9)))
    assert turn.prompt_ids is not None and turn.output_ids is not None and turn.logprobs is not None
    assert turn.prompt_ids == model._tokenizer.apply_chat_template(
        MESSAGES, add_generation_prompt=True, return_dict=False
    )
    assert turn.usage.prompt_tokens == len(turn.prompt_ids) and turn.usage.completion_tokens == len(turn.output_ids)
    with torch.no_grad():
        logits = model._model(torch.tensor([turn.prompt_ids + turn.output_ids])).logits[0].float()
    odds = torch.log_softmax(logits, dim=-1)[len(turn.prompt_ids) - 1 : -1]
    expected = [float(row[token]) for row, token in zip(odds, turn.output_ids, strict=True)]
    assert turn.logprobs == pytest.approx(expected, abs=1e-4)
    if temperature == 0:
        assert turn.output_ids == odds.argmax(-1).tolist()
    await model.aclose()


async def test_alternatives_are_the_likeliest_tokens_of_the_model(noisy: Path) -> None:
    """Held against one forward pass over prompt and answer."""
    model = HFModel(str(noisy))
    turn = await model.act(request(alternatives=5, sampling=Sampling(max_tokens=12, seed=3, temperature=1.5)))
    assert turn.prompt_ids is not None and turn.output_ids is not None
    assert turn.tokens is not None and turn.alternatives is not None
    with torch.no_grad():
        logits = model._model(torch.tensor([turn.prompt_ids + turn.output_ids])).logits[0].float()
    odds = torch.log_softmax(logits, dim=-1)[len(turn.prompt_ids) - 1 : -1]
    for row, likeliest in zip(odds, turn.alternatives, strict=True):
        values, tokens = torch.topk(row, 5)
        expected: dict[str, float] = {}
        for token, value in zip(tokens.tolist(), values.exp().tolist(), strict=True):
            text = model._tokenizer.decode([token])
            expected[text] = expected.get(text, 0.0) + value
        assert {text: math.exp(odd) for text, odd in likeliest.items()} == pytest.approx(expected, abs=1e-5)
    whole = model._tokenizer.decode(turn.output_ids)
    assert whole.startswith("".join(turn.tokens)), "the texts of the tokens are not those of the answer"
    silent = await model.act(request(alternatives=5, sampling=Sampling(max_tokens=2, logprobs=False)))
    assert silent.logprobs is silent.tokens is silent.alternatives is None
    plain = await model.act(request(sampling=Sampling(max_tokens=2)))
    assert plain.tokens is plain.alternatives is None
    await model.aclose()


async def test_sampling_follows_the_request_alone(noisy: Path) -> None:
    model = HFModel(str(noisy))

    async def ids(**sampling: Any) -> list[int]:
        turn = await model.act(request(sampling=Sampling(max_tokens=10, **sampling)))
        return turn.output_ids or []

    state = torch.random.get_rng_state()
    assert await ids(temperature=2, seed=1) == await ids(temperature=2, seed=1) != await ids(temperature=2, seed=2)
    assert torch.equal(state, torch.random.get_rng_state()), "a seed changed the process's own generator"
    assert await ids(temperature=2) != await ids(temperature=2)
    greedy = await ids()
    assert greedy == await ids(temperature=2, top_p=1e-6, seed=5)
    turn = await model.act(request(sampling=Sampling(max_tokens=3, logprobs=False)))
    assert turn.output_ids == greedy[:3] and turn.logprobs is None and turn.finish_reason == "length"
    await model.aclose()


async def test_a_stop_string_ends_the_turn_and_stays(reciting: Path) -> None:
    model = HFModel(str(reciting), profile=ModelProfile(protocol="tags"))
    turn = await model.act(request(stop=["it up</think>"]))
    assert turn.message_out == {"role": "assistant", "content": "<think>look it up</think>\n"}
    assert turn.finish_reason == "stop"
    running = {"role": "assistant", "content": "So far <think></think>"}
    more = await model.act(request([*MESSAGES, running], continue_last=True))
    assert more.message_out["content"] == "".join(VERDICT)
    await model.aclose()


async def test_a_deadline_stops_the_generation(noisy: Path) -> None:
    model = HFModel(str(noisy))
    model._ends.clear()
    model._model.generation_config.eos_token_id = None
    long = Sampling(max_tokens=4000, temperature=1.0, seed=0)
    began = time.monotonic()
    with pytest.raises(ModelError, match="no answer within 0.05 s") as error:
        await model.act(request(sampling=long, deadline=0.05))
    assert error.value.retriable
    waiting = asyncio.create_task(model.act(request(sampling=long)))
    await asyncio.sleep(0)
    waiting.cancel()
    assert len((await model.act(request(sampling=Sampling(max_tokens=2)))).output_ids or []) == 2
    assert time.monotonic() - began < 2, "the thread went on writing an answer that nobody waits for"
    await model.aclose()


async def test_what_it_cannot_do_is_a_model_error(noisy: Path) -> None:
    model = HFModel(str(noisy))
    with pytest.raises(ModelError, match="longer than the model's context"):
        await model.act(request([{"role": "user", "content": "blue " * 4000}]))
    with pytest.raises(ModelError, match="takes no pictures"):
        await model.act(request([{"role": "user", "content": [{"type": "image_ref", "image": "0" * 64}]}]))
    parts = [{"type": "text", "text": "Is it"}, {"type": "text", "text": "blue?"}]
    assert (await model.act(request([{"role": "user", "content": parts}]))).output_ids
    await model.aclose()


def test_what_cannot_be_loaded_is_a_config_error(tmp_path: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError, match="no config.json"):
        load_model(f"hf:{tmp_path}")
    with pytest.raises(ConfigError, match="cannot load the model /nowhere"):
        load_model("hf:/nowhere/model")
    with pytest.raises(ConfigError, match="hf:PATH"):
        load_model("hf:")
    for source in noisy.iterdir():
        if "template" not in source.name:
            (tmp_path / source.name).write_bytes(source.read_bytes())
    with pytest.raises(ConfigError, match="no chat template"):
        load_model(f"hf:{tmp_path}")


def test_a_whole_judgement(reciting: Path) -> None:
    document = Document(id="sea", text="The sea is salty.")
    cases = [Claim(id=str(n), claim="The sky is blue.", documents=(document,)) for n in range(3)]
    with Judge.load("veri-r1", model=f"hf:{reciting}", sampling=Sampling(max_tokens=40)) as judge:
        verdicts = judge.batch(cases, concurrency=3)
    assert [verdict.label for verdict in verdicts] == ["NOT ENOUGH INFO"] * 3


# reading


@pytest.mark.parametrize(
    "text, thinking, content, reasoning",
    [
        ("Yes.", False, "Yes.", None),
        ("<think>\nhm\n</think>\n\nYes.", False, "Yes.", "hm"),
        ("hm</think>Yes.", True, "Yes.", "hm"),
        ("<think>cut sho", False, "", "cut sho"),
        ("still at it", True, "", "still at it"),
        ("<think></think>Yes.", False, "Yes.", None),
        ("He said <think> aloud.", False, "He said <think> aloud.", None),
    ],
)
def test_reasoning_is_set_apart(text: str, thinking: bool, content: str, reasoning: str | None) -> None:
    message = read_text(text, thinking=thinking)
    assert message["content"] == content and message.get("reasoning") == reasoning


@pytest.mark.parametrize(
    "text, calls, content",
    [
        ('<tool_call>{"name": "a", "arguments": {"q": 1}}</tool_call>', [("a", '{"q": 1}')], ""),
        (
            'Two:\n<tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>\n'
            '<tool_call>{"name": "b", "arguments": "x"}</tool_call>',
            [("a", "{}"), ("b", "x")],
            "Two:",
        ),
        ('{"name": "a", "parameters": {"q": "é"}}', [("a", '{"q": "é"}')], ""),
        ('[{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}]', [("a", "{}"), ("b", "{}")], ""),
        ('{"label": "SUPPORT"}', [], '{"label": "SUPPORT"}'),
        ('<tool_call>{"name": "a"</tool_call>', [], '<tool_call>{"name": "a"</tool_call>'),
        (
            '<tool_call>{"name": 7, "arguments": {}}</tool_call>',
            [],
            '<tool_call>{"name": 7, "arguments": {}}</tool_call>',
        ),
        ("[]", [], "[]"),
        ("[7]", [], "[7]"),
        ("Not at all.", [], "Not at all."),
    ],
)
def test_tool_calls_are_found(text: str, calls: list[tuple[str, str]], content: str) -> None:
    message = read_text(text)
    found = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls", ())]
    assert found == calls and message["content"] == content
    assert "tool_calls" not in read_text(text, tools=False)
