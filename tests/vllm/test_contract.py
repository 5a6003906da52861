"""What the client says of a turn is what the server did: text."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from agentjudge.case import CLAIM_LABELS, Claim
from agentjudge.errors import ModelError
from agentjudge.evidence import EvidenceStore
from agentjudge.graphs.dialect import read_object
from agentjudge.models.base import Model, Request, Sampling, load_model
from agentjudge.trace import Turn

NAME = "tiny-qwen3"
TAGS = "tiny-veri-r1"
BLOCK = 128
"""Tokens in a block of vLLM's prefix cache on the CPU."""
TOOL = {
    "type": "function",
    "function": {
        "name": "retrieve",
        "description": "Find passages.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 80},
        "label": {"type": "string", "enum": list(CLAIM_LABELS)},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["reason", "label", "confidence"],
    "additionalProperties": False,
}
OPENING = [
    {"role": "system", "content": "You verify claims against evidence."},
    {"role": "user", "content": "The bridge opened in 1932. " * 30},
]


def request(messages: list[dict[str, Any]] = OPENING, *, tools: bool = False, **more: Any) -> Request:
    sampling = more.pop("sampling", Sampling(max_tokens=40, seed=0))
    return Request(
        case=Claim(id="c", claim="The bridge opened in 1932."),
        messages=messages,
        events=(),
        opening=(),
        store=EvidenceStore(),
        tools=[TOOL] if tools else [],
        sampling=sampling,
        **more,
    )


@pytest.fixture
async def model(qwen3: Any) -> AsyncIterator[Model]:
    model = load_model(qwen3.spec(NAME))
    yield model
    await model.aclose()


@pytest.fixture
async def tag_model(qwen3: Any) -> AsyncIterator[Model]:
    model = load_model(qwen3.spec(TAGS))
    yield model
    await model.aclose()


def check_tokens(turn: Turn) -> None:
    """Ids, log-probabilities and counts agree with each other."""
    assert turn.prompt_ids is not None and turn.output_ids is not None and turn.logprobs is not None
    assert len(turn.prompt_ids) == turn.usage.prompt_tokens > 0
    assert len(turn.output_ids) == turn.usage.completion_tokens > 0
    assert len(turn.logprobs) == len(turn.output_ids)
    assert all(-100 < logprob <= 0 for logprob in turn.logprobs)


async def test_token_ids_are_the_servers_own(model: Model, qwen3: Any) -> None:
    turn = await model.act(request(tools=True))
    check_tokens(turn)
    assert turn.prompt_ids == qwen3.render(NAME, OPENING, tools=[TOOL], add_generation_prompt=True)

    plain = await model.act(request())
    check_tokens(plain)
    assert plain.prompt_ids == qwen3.render(NAME, OPENING, add_generation_prompt=True)
    assert qwen3.text(NAME, plain.output_ids or []).removesuffix("<|im_end|>") == plain.message_out["content"]


async def test_tool_call_in_hermes_form_is_read(model: Model, qwen3: Any) -> None:
    turn = await model.act(request(tools=True))
    (call,) = turn.message_out["tool_calls"]
    assert call["function"]["name"] == "retrieve"
    assert json.loads(call["function"]["arguments"]) == {"query": "height of the bridge"}
    assert turn.finish_reason == "tool_calls"
    assert qwen3.text(NAME, turn.output_ids or []).endswith("</tool_call><|im_end|>")


async def test_sampling_is_what_was_asked_for(model: Model) -> None:
    noise = Sampling(max_tokens=30, seed=7, temperature=2.0)
    first, again = await model.act(request(sampling=noise)), await model.act(request(sampling=noise))
    other = await model.act(request(sampling=noise.model_copy(update={"seed": 8})))
    assert first.output_ids == again.output_ids != other.output_ids
    assert first.usage.completion_tokens <= 30
    cut = await model.act(request(sampling=Sampling(max_tokens=3)))
    assert cut.usage.completion_tokens == 3 and cut.finish_reason == "length"
    silent = await model.act(request(sampling=Sampling(max_tokens=3, logprobs=False)))
    assert silent.logprobs is None and silent.output_ids == cut.output_ids


@pytest.mark.parametrize("thinking", [None, True, False])
async def test_thinking_is_switched_through_the_template(model: Model, qwen3: Any, thinking: bool | None) -> None:
    turn = await model.act(request(sampling=Sampling(max_tokens=2, thinking=thinking)))
    prompt = qwen3.text(NAME, turn.prompt_ids or [])
    assert prompt.endswith("<think>\n\n</think>\n\n") == (thinking is False)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
async def test_label_under_a_schema_stays_in_the_closed_set(model: Model, temperature: float) -> None:
    messages = [*OPENING, {"role": "user", "content": "Give your verdict now."}]
    seen = set()
    for seed in range(6):
        sampling = Sampling(temperature=temperature, seed=seed, max_tokens=400, thinking=False)
        turn = await model.act(request(messages, tools=True, phase="conclude", schema=SCHEMA, sampling=sampling))
        check_tokens(turn)
        assert turn.finish_reason == "stop", turn.message_out
        assert not turn.message_out.get("tool_calls")
        verdict = read_object(turn.message_out["content"])  # the grammar lets control characters through
        assert list(verdict) == ["reason", "label", "confidence"]
        assert verdict["label"] in CLAIM_LABELS
        assert 0 <= verdict["confidence"] <= 1 and len(verdict["reason"]) <= 80
        seen.add(turn.message_out["content"])
    assert len(seen) > 1, "six seeds, one answer: the seed is not sent"


async def test_second_turn_reads_the_prefix_cache(model: Model) -> None:
    opening = [OPENING[0], {"role": "user", "content": f"{time.monotonic_ns()} {OPENING[1]['content']}"}]
    first = await model.act(request(opening, tools=True))
    assert first.usage.cached_tokens == 0
    call_id = first.message_out["tool_calls"][0]["id"]
    result = {"role": "tool", "tool_call_id": call_id, "name": "retrieve", "content": "[[bridge:0]] It opened in 1932."}
    second = await model.act(request([*opening, first.message_out, result], tools=True))
    check_tokens(second)
    whole_blocks = first.usage.prompt_tokens // BLOCK * BLOCK
    assert 0 < whole_blocks <= second.usage.cached_tokens < second.usage.prompt_tokens


async def test_tag_protocol_stops_at_a_tag_and_goes_on_writing(tag_model: Model, qwen3: Any) -> None:
    user = {"role": "user", "content": "Verify the claim: the bridge opened in 1932."}
    stop = ("</search>", "</answer>")
    first = await tag_model.act(request([user], stop=stop))
    check_tokens(first)
    written = first.message_out["content"]
    assert written.endswith("</search>") and first.finish_reason == "stop"

    running = f"{written}\n\n<information>\n[[bridge:0]] It opened in 1932.\n</information>\n\n<think>"
    messages = [user, {"role": "assistant", "content": running}]
    second = await tag_model.act(request(messages, stop=stop, continue_last=True))
    check_tokens(second)
    assert second.message_out["content"].endswith("</answer>")
    before = qwen3.text(TAGS, first.prompt_ids or [])
    assert qwen3.text(TAGS, second.prompt_ids or []) == before + running, "the turn was closed, or a new one was opened"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"messages": [{"role": "user", "content": "bridge " * 20_000}]}, id="context overflow"),
        pytest.param({"schema": {"type": "nonsense"}}, id="impossible schema"),
        pytest.param({"sampling": Sampling(max_tokens=100_000)}, id="answer longer than the context"),
    ],
)
async def test_rejected_request_is_not_repeated(model: Model, qwen3: Any, fault: dict[str, Any]) -> None:
    refused, served = qwen3.chats("4xx"), qwen3.chats("2xx")
    with pytest.raises(ModelError) as error:
        await model.act(request(**fault))
    assert not error.value.retriable
    assert "400" in error.value.message
    assert (qwen3.chats("4xx") - refused, qwen3.chats("2xx") - served) == (1, 0)


async def test_unknown_name_is_told_with_the_names_there_are(qwen3: Any) -> None:
    model, refused = load_model(qwen3.spec("tiny-nothing")), qwen3.chats("4xx")
    with pytest.raises(ModelError, match=NAME) as error:
        await model.act(request())
    assert not error.value.retriable
    assert qwen3.chats("4xx") - refused == 1
    await model.aclose()


async def test_deadline_fires_and_frees_the_server(
    model: Model, qwen3: Any, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    endless = {"type": "array", "items": {"type": "integer", "enum": [1, 2]}, "minItems": 2000}
    written = qwen3.metric("vllm:generation_tokens_total")
    began = time.monotonic()
    with pytest.raises(ModelError) as error:
        await model.act(request(schema=endless, sampling=Sampling(max_tokens=6000, thinking=False), deadline=1.0))
    assert error.value.retriable
    assert time.monotonic() - began < 10
    assert await asyncio.to_thread(eventually, lambda: qwen3.metric("vllm:num_requests_running") == 0)
    tokens = qwen3.metric("vllm:generation_tokens_total") - written
    assert tokens < 6000, "the server was left to write an answer that nobody waits for"


async def test_many_at_once_each_get_their_own_answer(model: Model) -> None:
    sampling = Sampling(max_tokens=12, temperature=2.0)
    alone = {seed: sampling.model_copy(update={"seed": seed}) for seed in range(48)}
    turns = await asyncio.gather(*(model.act(request(sampling=one)) for one in alone.values()))
    for turn in turns:
        check_tokens(turn)
    assert len({tuple(turn.output_ids or []) for turn in turns}) == len(turns)
