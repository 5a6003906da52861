"""The client: what it asks for, and what it makes of the answer."""

import asyncio
import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from PIL import Image
from servers import ChatServer, Faults, ServerProcess, call

from agentjudge.case import Claim
from agentjudge.errors import ConfigError, ModelError, StoreError
from agentjudge.evidence import EvidenceStore
from agentjudge.models import openai as client
from agentjudge.models.base import Request, Sampling, load_model
from agentjudge.models.openai import OPENAI_URL, VLLM_URL, OpenAIModel, split
from agentjudge.models.profiles import ModelProfile

MESSAGES = [{"role": "system", "content": "Judge."}, {"role": "user", "content": "The sky is blue."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "retrieve",
        "description": "Find passages.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}
SCHEMA = {"type": "object", "properties": {"label": {"enum": ["yes", "no"]}}, "required": ["label"]}


def request(messages: list[dict[str, Any]] = MESSAGES, **more: Any) -> Request:
    defaults: dict[str, Any] = {
        "case": Claim(id="c", claim="The sky is blue."),
        "messages": messages,
        "events": (),
        "opening": (),
        "store": EvidenceStore(),
        "tools": [],
        "sampling": Sampling(),
    }
    return Request(**{**defaults, **more})


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "VLLM_API_KEY", "AGENTJUDGE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


async def ask(spec: str, request: Request) -> Any:
    model = load_model(spec)
    try:
        return await model.act(request)
    finally:
        await model.aclose()


def body_of(vllm: bool = True, profile: ModelProfile | None = None, **more: Any) -> dict[str, Any]:
    name = "qwen3-8b" if profile is None else "x"
    model = OpenAIModel("m", model=name, base_url=VLLM_URL, vllm=vllm, profile=profile)
    return model.payload(request(**more))


# what is asked for


def test_sampling_is_always_sent_in_full() -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=77, seed=5)
    body = body_of(sampling=sampling)
    assert {name: body[name] for name in ("temperature", "top_p", "max_tokens", "seed")} == {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 77,
        "seed": 5,
    }
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (-1, 0.0, 1.0)
    assert body["return_token_ids"] is True and body["logprobs"] is True and body["top_logprobs"] == 0
    bare = body_of()
    assert "seed" not in bare and (bare["temperature"], bare["top_p"], bare["max_tokens"]) == (0.0, 1.0, 1024)
    silent = body_of(sampling=Sampling(logprobs=False))
    assert "logprobs" not in silent and "top_logprobs" not in silent


def test_alternatives_are_asked_for_as_far_as_servers_allow() -> None:
    assert body_of(alternatives=10)["top_logprobs"] == 10
    assert body_of(alternatives=50, vllm=False)["top_logprobs"] == client.MOST_ALTERNATIVES
    assert "top_logprobs" not in body_of(vllm=False)
    silent = body_of(alternatives=10, sampling=Sampling(logprobs=False))
    assert "logprobs" not in silent and "top_logprobs" not in silent


def test_other_servers_get_standard_fields_alone() -> None:
    more = {"tools": [TOOL], "schema": SCHEMA, "stop": ("</x>",), "sampling": Sampling(seed=1, thinking=False)}
    body = body_of(vllm=False, **more)
    assert set(body) == {
        *("model", "messages", "temperature", "top_p", "max_tokens", "seed", "logprobs", "tools", "tool_choice"),
        *("response_format", "stop"),
    }
    hosted = OpenAIModel("m", model="m", base_url=OPENAI_URL, vllm=False).payload(request())
    assert "max_completion_tokens" in hosted and "max_tokens" not in hosted


def test_tools_are_offered_in_free_turns_and_out_of_reach_in_the_conclusion() -> None:
    assert "tools" not in body_of() and "tool_choice" not in body_of() and "parallel_tool_calls" not in body_of()
    free = body_of(tools=[TOOL])
    assert (free["tools"], free["tool_choice"], free["parallel_tool_calls"]) == ([TOOL], "auto", True)
    last = body_of(tools=[TOOL], phase="conclude", schema=SCHEMA)
    assert (last["tools"], last["tool_choice"]) == ([TOOL], "none")
    assert last["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize(
    "phase, thinking, sent",
    [
        ("act", None, None),
        ("act", True, True),
        ("act", False, False),
        ("conclude", None, False),
        ("conclude", True, True),
        ("conclude", False, False),
    ],
)
def test_thinking_is_off_in_the_conclusion_unless_asked_for(phase: Any, thinking: Any, sent: bool | None) -> None:
    body = body_of(phase=phase, sampling=Sampling(thinking=thinking))
    assert body.get("chat_template_kwargs") == (None if sent is None else {"enable_thinking": sent})
    no_switch = body_of(phase=phase, sampling=Sampling(thinking=thinking), profile=ModelProfile())
    assert "chat_template_kwargs" not in no_switch


def test_tag_protocol_stops_and_goes_on() -> None:
    body = body_of(stop=("</search>",), continue_last=True)
    assert body["stop"] == ["</search>"] and body["include_stop_str_in_output"] is True
    assert body["continue_final_message"] is True and body["add_generation_prompt"] is False
    plain = body_of()
    assert not {"stop", "include_stop_str_in_output", "continue_final_message", "add_generation_prompt"} & set(plain)
    with pytest.raises(ModelError, match="needs vLLM"):
        body_of(vllm=False, continue_last=True)


def png(side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((side, side), 90).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("kind", ["vllm", "openai"])
async def test_pictures_are_sent_as_data_with_their_hash(serve: Callable[..., ChatServer], kind: str) -> None:
    store, server = EvidenceStore(), serve()
    first, second = store.add_image(png()), store.add_image(png(9))
    parts = [{"type": "text", "text": "Look:"}, *({"type": "image_ref", "image": i.sha256} for i in (first, second))]
    messages = [{"role": "user", "content": parts}]
    spec = f"{kind}:m@{server.url}"
    await ask(spec, request(messages, store=store))
    text, *pictures = server.bodies[0]["messages"][0]["content"]
    assert text == parts[0]
    for sent, image in zip(pictures, (first, second), strict=True):
        assert sent["type"] == "image_url" and sent["image_url"] == {"url": store.data_uri(image.sha256)}
        assert sent.get("uuid") == (image.sha256 if kind == "vllm" else None)


async def test_pictures_of_tools_follow_the_profile(serve: Callable[..., ChatServer]) -> None:
    store, server = EvidenceStore(), serve()
    image = store.add_image(png()).sha256
    said = {"role": "assistant", **call("crop", {"box": [0, 0, 1, 1]})}
    shown = [{"type": "text", "text": "The crop."}, {"type": "image_ref", "image": image}]
    result = {"role": "tool", "tool_call_id": "call_0", "name": "crop", "content": shown}
    for name in ("qwen3-vl-8b", "internvl3"):
        await ask(f"vllm:{name}@{server.url}", request([*MESSAGES, said, result], store=store))
    inside, after = server.bodies
    assert [part["type"] for part in inside["messages"][-1]["content"]] == ["text", "image_url"]
    assert inside["messages"][-1]["role"] == "tool"
    assert after["messages"][-2]["content"] == "The crop." and after["messages"][-1]["role"] == "user"
    assert after["messages"][-1]["content"][1]["uuid"] == image


def test_a_picture_of_another_case_is_not_shown() -> None:
    mine, other = EvidenceStore(), EvidenceStore()
    image = mine.add_image(png()).sha256
    messages = [{"role": "user", "content": [{"type": "image_ref", "image": image}]}]
    model = OpenAIModel("m", model="m", base_url=VLLM_URL)
    model.payload(request(messages, store=mine))
    with pytest.raises(StoreError, match="no picture"):
        model.payload(request(messages, store=other))


def test_pictures_are_serialised_once_and_forgotten_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    store = EvidenceStore()
    images = [store.add_image(png(side)).sha256 for side in range(20, 30)]
    original = EvidenceStore.data_uri

    def counted(self: EvidenceStore, sha256: str) -> str:
        made.append(sha256)
        return original(self, sha256)

    monkeypatch.setattr(EvidenceStore, "data_uri", counted)
    model = OpenAIModel("m", model="m", base_url=VLLM_URL)
    messages = [{"role": "user", "content": [{"type": "image_ref", "image": image} for image in images]}]
    for _ in range(3):
        model.payload(request(messages, store=store))
    assert made == images
    monkeypatch.setattr(client, "PICTURE_BYTES", 1500)
    small = client._Pictures(with_uuid=True)
    for image in images * 2:
        small.part(image, store)
        assert small._bytes <= 1500 or len(small._parts) == 1
        assert small._bytes == sum(map(len, small._parts.values()))


# what comes back


@pytest.mark.parametrize("kind", ["vllm", "openai"])
async def test_ids_and_logprobs_are_carried(serve: Callable[..., ChatServer], kind: str) -> None:
    server = serve(lambda body: "The sky is blue.")
    turn = await ask(f"{kind}:m@{server.url}", request())
    assert turn.message_out == {"role": "assistant", "content": "The sky is blue."}
    assert turn.logprobs == [-0.25] * 4
    assert turn.usage.prompt_tokens == 6 and turn.usage.cached_tokens == 3 and turn.usage.completion_tokens == 4
    assert turn.model_version == "m"
    if kind == "vllm":
        assert (turn.prompt_ids, turn.output_ids) == (list(range(6)), [100, 101, 102, 103])
    else:
        assert turn.prompt_ids is None and turn.output_ids is None


@pytest.mark.parametrize("kind", ["vllm", "openai"])
async def test_alternatives_are_carried(serve: Callable[..., ChatServer], kind: str) -> None:
    server = serve(lambda body: "The sky is blue.")
    turn = await ask(f"{kind}:m@{server.url}", request(alternatives=3))
    assert turn.tokens == ["t"] * 4 and turn.alternatives == [{"t": -0.25, "t1": -2.0, "t2": -4.0}] * 4
    assert server.bodies[0]["top_logprobs"] == 3
    plain = await ask(f"{kind}:m@{server.url}", request())
    assert plain.tokens is plain.alternatives is None


async def test_a_conversation_goes_round(serve: Callable[..., ChatServer]) -> None:
    """Turn by turn, what was sent before is sent again byte for byte: the server's prefix cache depends on it."""
    server = serve()
    model, messages = load_model(f"vllm:m@{server.url}"), list(MESSAGES)
    for number in range(3):
        turn = await model.act(request(messages, tools=[TOOL]))
        (made,) = turn.message_out["tool_calls"]
        assert made["id"] == f"call_{number}" and made["function"]["name"] == "retrieve"
        result = {"role": "tool", "tool_call_id": made["id"], "name": "retrieve", "content": f"passage {number}"}
        messages += [turn.message_out, result]
    last = await model.act(request(messages, tools=[TOOL], phase="conclude", schema=SCHEMA))
    await model.aclose()
    assert json.loads(last.message_out["content"]) == {"label": "no"}
    sent = [body["messages"] for body in server.bodies]
    assert all(later[: len(before)] == before for before, later in zip(sent, sent[1:], strict=False))


async def test_a_refused_request_is_sent_once(serve: Callable[..., ChatServer]) -> None:
    server = serve(lambda body: web.json_response({"error": {"message": "no such parameter"}}, status=400))
    with pytest.raises(ModelError, match="400: no such parameter") as error:
        await ask(f"vllm:m@{server.url}", request())
    assert server.hits == 1 and not error.value.retriable


async def test_a_stalled_server_is_a_model_error(serve: Callable[..., ChatServer]) -> None:
    server = serve(faults=Faults(rate=1, kinds=("stall",)))
    began = time.monotonic()
    with pytest.raises(ModelError) as error:
        await ask(f"vllm:m@{server.url}", request(deadline=0.3))
    assert error.value.kind == "model" and time.monotonic() - began < 3


async def test_a_server_killed_in_mid_run_is_a_model_error() -> None:
    with ServerProcess("--latency-ms", "20") as server:
        model = OpenAIModel("m", model="m", base_url=f"{server.url}/v1", tries=2)
        assert (await model.act(request())).message_out["content"] == "Enough."
        tasks = [asyncio.create_task(model.act(request(deadline=20))) for _ in range(20)]
        await asyncio.sleep(0.005)
        server.kill()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, ModelError) and result.retriable for result in done), done
        await model.aclose()


async def test_models_that_err_are_told_as_they_are(serve: Callable[..., ChatServer]) -> None:
    """Faults of the model, unlike those of the wire, are for the loop to deal with."""
    found = {}
    for kind in ("wrong_tool", "wrong_args", "oversize", "empty"):
        server = serve(faults=Faults(rate=1, kinds=(kind,)))
        found[kind] = (await ask(f"vllm:m@{server.url}", request(tools=[TOOL]))).message_out
        assert server.hits == 1
    assert found["wrong_tool"]["tool_calls"][0]["function"]["name"] == "retrieve_the_moon"
    assert found["wrong_args"]["tool_calls"][0]["function"]["arguments"]
    assert len(found["oversize"]["content"]) > 190_000
    assert found["empty"] == {"role": "assistant", "content": ""}


def test_one_model_serves_many_event_loops(serve: Callable[..., ChatServer]) -> None:
    server = serve()
    model = load_model(f"vllm:m@{server.url}")
    for _ in range(5):
        assert asyncio.run(model.act(request())).message_out["content"] == "Enough."


# how it is named


@pytest.mark.parametrize(
    "rest, name, url",
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", VLLM_URL),
        ("m@http://h:9", "m", "http://h:9/v1"),
        ("m@http://h:9/", "m", "http://h:9/v1"),
        ("m@http://h:9/v1", "m", "http://h:9/v1"),
        ("m@https://h/v1/", "m", "https://h/v1"),
        ("m@https://h/api/openai", "m", "https://h/api/openai"),
        ("m@http://h/v1/chat/completions", "m", "http://h/v1"),
        ("org/m@rev@http://h:9", "org/m@rev", "http://h:9/v1"),
        ("org/m@rev", "org/m@rev", VLLM_URL),
        ("a@http://x@http://h", "a@http://x", "http://h/v1"),
        ("@http://h:9", "", "http://h:9/v1"),
        ("", "", VLLM_URL),
        ("m@http://[::1]:8000", "m", "http://[::1]:8000/v1"),
    ],
)
def test_names_and_addresses(rest: str, name: str, url: str) -> None:
    assert split(rest, default=VLLM_URL) == (name, url)


@pytest.mark.parametrize(
    "rest", ["m@localhost:8000", "m@10.0.0.1:8000/v1", "m@http://", "m@http://h:99999", "m@http://h:x", "m@http://[::1"]
)
def test_an_address_that_cannot_be_called_is_told_at_once(rest: str) -> None:
    with pytest.raises(ConfigError, match="address"):
        split(rest, default=VLLM_URL)


async def test_the_only_model_is_found(serve: Callable[..., ChatServer]) -> None:
    server = serve(models=("Qwen/Qwen3-8B",))
    model = load_model(f"vllm:@{server.url}")  # inside a running loop
    assert model.profile.family == "qwen3"
    await model.act(request())
    await model.aclose()
    assert server.bodies[0]["model"] == "Qwen/Qwen3-8B"


def test_no_name_needs_exactly_one_model(serve: Callable[..., ChatServer], unused_tcp_port: int) -> None:
    with pytest.raises(ConfigError, match="2 models.*a, b.*vllm:NAME@URL"):
        load_model(f"vllm:@{serve(models=('a', 'b')).url}")
    with pytest.raises(ConfigError, match="cannot be reached.*vllm:NAME@URL"):
        load_model(f"vllm:@http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ConfigError, match="name the model"):
        load_model("openai:")


async def test_keys_come_from_the_environment(
    serve: Callable[..., ChatServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        load_model("openai:gpt-5")
    await ask(f"openai:m@{server.url}", request())
    monkeypatch.setenv("OPENAI_API_KEY", "open")
    await ask(f"openai:m@{server.url}", request())
    await ask(f"vllm:m@{server.url}", request())
    monkeypatch.setenv("VLLM_API_KEY", "local")
    await ask(f"vllm:m@{server.url}", request())
    monkeypatch.setenv("AGENTJUDGE_API_KEY", "ours")
    await ask(f"vllm:m@{server.url}", request())
    sent = [headers.get("Authorization") for headers in server.headers]
    assert sent == [None, "Bearer open", None, "Bearer local", "Bearer ours"]


# what it costs


async def test_a_picture_costs_little_more_than_text(serve: Callable[..., ChatServer]) -> None:
    """Making the bodies of 4 turns with a picture of 200 KB in the first message, beside serialising it anew."""
    from agentjudge.models.wire import dump

    store = EvidenceStore()
    image = store.add_image(png(450)).sha256
    size = len(store.get(image))
    assert 150_000 < size < 300_000
    model = OpenAIModel("m", model="m", base_url=VLLM_URL)
    opening = {"role": "user", "content": [{"type": "text", "text": "Look."}, {"type": "image_ref", "image": image}]}
    body = dump(model.payload(request([opening], store=store)))
    assert len(body) > size * 4 / 3

    def cpu(work: Callable[[], Any]) -> float:
        best = float("inf")
        for _ in range(5):
            began = time.process_time()
            for _ in range(40):
                work()
            best = min(best, time.process_time() - began)
        return best / 40

    cached = cpu(lambda: dump(model.payload(request([opening], store=store))))
    part = {"type": "image_url", "image_url": {"url": store.data_uri(image)}, "uuid": image}
    anew = cpu(lambda: json.dumps({"messages": [{"role": "user", "content": [part]}]}))
    assert cached < anew
    assert cached < 1e-3
