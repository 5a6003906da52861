"""Models that replay what they are told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agentjudge.case import Claim
from agentjudge.errors import ConfigError, DataError, ModelError
from agentjudge.evidence import EvidenceStore
from agentjudge.models.base import Request, Sampling, load_model
from agentjudge.models.scripted import ScriptedModel
from agentjudge.trace import Turn


def request(*said: str, case: str = "c", running: str | None = None) -> Request:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "?"}]
    for text in said:
        messages += [{"role": "assistant", "content": text}, {"role": "tool", "tool_call_id": "1", "content": "!"}]
    if running is not None:
        messages = [messages[0], {"role": "assistant", "content": running}]
    return Request(
        case=Claim(id=case, claim="x"),
        messages=messages,
        events=(),
        opening=(),
        store=EvidenceStore(),
        tools=[],
        sampling=Sampling(),
        continue_last=running is not None,
    )


async def content(model: Any, *said: str, **options: Any) -> str:
    return str((await model.act(request(*said, **options))).message_out["content"])


async def test_turns_follow_the_conversation_not_a_counter() -> None:
    model = ScriptedModel(["one", "two"])
    assert await content(model) == await content(model) == "one"
    assert await content(model, "one") == "two"
    assert await asyncio.gather(*(content(model, *["x"] * (n % 2)) for n in range(6))) == ["one", "two"] * 3
    with pytest.raises(ModelError, match="over after 2 turns") as error:
        await content(model, "one", "two")
    assert not error.value.retriable


async def test_turns_of_a_tag_protocol_are_found_in_the_running_text() -> None:
    model = ScriptedModel(["<search> a </search>", "<search> a </search>", "<answer> x </answer>"])
    assert await content(model) == "<search> a </search>"
    once = "<search> a </search>\n<information>1</information>"
    assert await content(model, running=once) == "<search> a </search>"
    assert await content(model, running=once + once) == "<answer> x </answer>"


async def test_a_file_has_turns_for_one_case_or_for_all(tmp_path: Path) -> None:
    call = {"function": {"name": "retrieve", "arguments": {"query": "bridge"}}}
    lines = [[{"tool_calls": [call]}, "done"], {"case": "special", "turns": [{"content": "mine", "reasoning": "hm"}]}]
    path = tmp_path / "turns.jsonl"
    path.write_text("\n\n".join(map(json.dumps, lines)) + "\n")
    model = load_model(f"scripted:{path}")
    assert model.name == f"scripted:{path}"
    first = await model.act(request())
    assert first.finish_reason == "tool_calls"
    assert first.message_out["tool_calls"] == [
        {"id": "call_0", "type": "function", "function": {"name": "retrieve", "arguments": '{"query":"bridge"}'}}
    ]
    assert await content(model, "") == "done"
    special = await model.act(request(case="special"))
    assert special.message_out == {"role": "assistant", "content": "mine", "reasoning": "hm"}
    await model.aclose()


async def test_a_case_without_turns_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="no turns for case 'c'"):
        await content(ScriptedModel({"other": ["x"]}))


async def test_two_judgements_do_not_share_a_message() -> None:
    model = ScriptedModel([{"content": "x", "tool_calls": [{"function": {"name": "a"}}]}])
    first, second = await model.act(request()), await model.act(request())
    first.message_out["tool_calls"][0]["function"]["name"] = "changed"
    assert second.message_out["tool_calls"][0]["function"]["name"] == "a"


async def test_a_function_answers() -> None:
    async def later(request: Request) -> Turn:
        await asyncio.sleep(0)
        return Turn(message_out={"role": "assistant", "content": "later"}, output_ids=[1])

    assert await content(ScriptedModel(lambda r: f"{len(r.messages)} messages")) == "1 messages"
    assert (await ScriptedModel(later).act(request())).output_ids == [1]


async def test_alternatives_are_told_to_those_who_ask() -> None:
    likeliest = [{"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -2.5}]
    told = {"content": [{"token": "Yes", "logprob": -0.1, "top_logprobs": likeliest}]}
    model = ScriptedModel([{"content": "Yes", "logprobs": told}])
    asked, plain = request(), request()
    asked.alternatives = 2
    turn = await model.act(asked)
    assert (turn.tokens, turn.alternatives) == (["Yes"], [{"Yes": -0.1, "No": -2.5}])
    turn = await model.act(plain)
    assert turn.tokens is turn.alternatives is None and turn.logprobs == [-0.1]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "is empty"),
        ('["a"]\nnot json', "line 2"),
        ('{"turns": ["a"]}', "line 1: neither"),
        ('{"case": "c"}', "line 1: neither"),
        ("7", "line 1: neither"),
        ('["a"]\n["b"]', "line 2: every case has turns already"),
        ('{"case": "c", "turns": ["a"]}\n{"case": "c", "turns": ["a"]}', "line 2: case 'c' has turns already"),
        ("[7]", "turn 1 is neither"),
        ('[{"tool_calls": [7]}]', "not an assistant message"),
        ('[{"content": "x", "logprobs": {"content": [{}]}}]', "line 1: not log-probabilities"),
    ],
)
def test_a_slip_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "turns.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=problem):
        load_model(f"scripted:{path}")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DataError, match="cannot read the script /nowhere"):
        load_model("scripted:/nowhere")
    with pytest.raises(ConfigError, match="scripted:FILE"):
        load_model("scripted:")
