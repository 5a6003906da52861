"""The conversation as it goes out, and replies as they come in."""

import copy
import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.errors import ModelError
from agentjudge.models.transport import Garbled
from agentjudge.models.wire import dump, read_turn, render


def picture(image: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{image}"}}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def ref(image: str) -> dict[str, Any]:
    return {"type": "image_ref", "image": image}


def call(arguments: str, call_id: str = "1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "crop", "arguments": arguments}}


def out(messages: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    before = copy.deepcopy(messages)
    rendered = render(messages, **{"picture": picture, "image_in_tool": False, **options})
    assert messages == before, "rendering changed its input"
    return rendered


# out


def test_own_keys_are_dropped_and_the_rest_is_kept() -> None:
    said = {"role": "assistant", "content": "x", "tool_calls": [call("{}")], "reasoning": "hm", "shown": ["a:1"]}
    answer = {"role": "tool", "content": "y", "tool_call_id": "1", "name": "crop", "event": 3}
    assert out([said, answer]) == [
        {"role": "assistant", "content": "x", "tool_calls": [call("{}")]},
        {"role": "tool", "content": "y", "tool_call_id": "1", "name": "crop"},
    ]
    assert out([said], reasoning=True)[0]["reasoning"] == "hm"


def test_pictures_stay_where_they_stand_in_a_user_message() -> None:
    (message,) = out([{"role": "user", "content": [text("A:"), ref("a"), text("B:"), ref("b")]}])
    assert message["content"] == [text("A:"), picture("a"), text("B:"), picture("b")]


def test_pictures_of_tools_follow_in_one_user_turn() -> None:
    messages = [
        {"role": "assistant", "content": "", "tool_calls": [call("{}", "1"), call("{}", "2"), call("{}", "3")]},
        {"role": "tool", "tool_call_id": "1", "name": "crop", "content": [text("left"), ref("a"), ref("b")]},
        {"role": "tool", "tool_call_id": "2", "name": "ocr", "content": "no picture"},
        {"role": "tool", "tool_call_id": "3", "name": "page", "content": [text("one"), ref("c"), text("two")]},
        {"role": "user", "content": "Go on."},
    ]
    rendered = out(messages)
    assert [message["role"] for message in rendered] == ["assistant", "tool", "tool", "tool", "user", "user"]
    assert [message["content"] for message in rendered[1:4]] == ["left", "no picture", "one\ntwo"]
    shown = [text("Shown by crop:"), picture("a"), picture("b"), text("Shown by page:"), picture("c")]
    assert rendered[4]["content"] == shown
    assert out(messages[:4]) == rendered[:5], "a later message changed what was said before it"


def test_pictures_stay_in_the_tool_message_of_a_model_that_takes_them() -> None:
    message = {"role": "tool", "tool_call_id": "1", "name": "crop", "content": [text("left"), ref("a")]}
    (rendered,) = out([message], image_in_tool=True)
    assert rendered["content"] == [text("left"), picture("a")]


def test_a_tool_message_of_text_parts_alone_needs_no_user_turn() -> None:
    (rendered,) = out([{"role": "tool", "tool_call_id": "1", "name": "crop", "content": [text("a"), text("b")]}])
    assert rendered["content"] == "a\nb"


@pytest.mark.parametrize("arguments", ['{"box": [1,', "[1, 2]", "", "null", '"x"', "{'a': 1}", "7"])
def test_arguments_that_are_no_object_go_out_as_one(arguments: str) -> None:
    (rendered,) = out([{"role": "assistant", "content": "", "tool_calls": [call(arguments)]}])
    sent = rendered["tool_calls"][0]
    assert json.loads(sent["function"]["arguments"]) == {"unreadable": arguments}
    assert (sent["id"], sent["function"]["name"]) == ("1", "crop")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "assistant", "tool"]),
            st.lists(st.one_of(st.just("text"), st.sampled_from("abc")), min_size=1, max_size=4),
        ),
        max_size=8,
    )
)
def test_every_picture_arrives_once_and_in_order(turns: list[tuple[str, list[str]]]) -> None:
    messages = [
        {"role": role, "content": [text("t") if part == "text" else ref(part) for part in parts]}
        for role, parts in turns
    ]
    wanted = [part for _, parts in turns for part in parts if part != "text"]
    for in_tool in (True, False):
        rendered = out(messages, image_in_tool=in_tool)
        found = [
            part["image_url"]["url"].removeprefix("data:")
            for message in rendered
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image_url"
        ]
        assert found == wanted
        if not in_tool:
            assert all(isinstance(m["content"], str) for m in rendered if m["role"] == "tool")
        inserted = [n for n, message in enumerate(rendered) if "Shown by" in str(message["content"])]
        roles = [message["role"] for n, message in enumerate(rendered) if n not in inserted]
        assert roles == [role for role, _ in turns]
        for n in inserted:
            assert rendered[n - 1]["role"] == "tool" and not in_tool
            assert n + 1 == len(rendered) or rendered[n + 1]["role"] != "tool", "a run of tool messages was split"


def test_surrogates_do_not_stop_a_request() -> None:
    body = {"messages": [{"role": "user", "content": "bad \ud800 text"}, orjson.Fragment(b'{"kept": 1}')], "n": [1.5]}
    assert orjson.loads(dump(body)) == {
        "messages": [{"role": "user", "content": "bad ? text"}, {"kept": 1}],
        "n": [1.5],
    }


# in


def reply(message: dict[str, Any], **choice: Any) -> bytes:
    return orjson.dumps({"choices": [{"message": message, **choice}]})


def test_a_whole_reply_of_vllm() -> None:
    data = {
        "model": "tiny",
        "prompt_token_ids": [1, 2, 3],
        "choices": [
            {
                "message": {"role": "assistant", "content": "Yes.", "reasoning": "hm"},
                "finish_reason": "stop",
                "token_ids": [7, 8],
                "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -1.5}]},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
    }
    turn = read_turn(orjson.dumps(data))
    assert turn.message_out == {"role": "assistant", "content": "Yes.", "reasoning": "hm"}
    assert (turn.prompt_ids, turn.output_ids, turn.logprobs) == ([1, 2, 3], [7, 8], [-0.5, -1.5])
    assert (turn.usage.prompt_tokens, turn.usage.cached_tokens, turn.usage.completion_tokens) == (3, 1, 2)
    assert (turn.finish_reason, turn.model_version) == ("stop", "tiny")


def test_a_bare_reply_is_a_turn() -> None:
    turn = read_turn(reply({"content": "Yes."}))
    assert turn.message_out == {"role": "assistant", "content": "Yes."}
    assert turn.prompt_ids is turn.output_ids is turn.logprobs is None
    assert turn.finish_reason == "stop" and turn.usage.completion_tokens == 0


@pytest.mark.parametrize("message", [{}, {"content": None}, {"content": ""}, {"content": [], "tool_calls": []}])
def test_an_empty_answer_is_a_turn_with_empty_content(message: dict[str, Any]) -> None:
    assert read_turn(reply(message)).message_out == {"role": "assistant", "content": ""}


def test_the_older_name_of_the_reasoning_is_read() -> None:
    assert read_turn(reply({"content": "x", "reasoning_content": "hm"})).message_out["reasoning"] == "hm"


def test_content_in_parts_is_joined() -> None:
    message = {"content": [text("a"), {"type": "refusal", "refusal": ""}, text("b")]}
    assert read_turn(reply(message)).message_out["content"] == "ab"


def test_calls_get_all_their_parts() -> None:
    raw = [{"function": {"name": "a", "arguments": {"q": 1}}}, {"id": "x", "function": {"name": "b"}}]
    assert read_turn(reply({"tool_calls": raw})).message_out["tool_calls"] == [
        {"id": "call_0", "type": "function", "function": {"name": "a", "arguments": '{"q":1}'}},
        {"id": "x", "type": "function", "function": {"name": "b", "arguments": "{}"}},
    ]


def test_arguments_are_kept_as_the_model_wrote_them() -> None:
    raw = [{"id": "1", "type": "function", "function": {"name": "a", "arguments": '{"q": '}}]
    assert read_turn(reply({"tool_calls": raw})).message_out["tool_calls"] == raw


def test_logprobs_that_do_not_fit_the_tokens_are_dropped() -> None:
    entries = {"content": [{"logprob": -0.5}]}
    turn = read_turn(reply({"content": "x"}, token_ids=[1, 2], logprobs=entries))
    assert turn.output_ids == [1, 2] and turn.logprobs is None
    assert read_turn(reply({"content": "x"}, logprobs=entries)).logprobs == [-0.5]


def entry(token: str, logprob: float = -0.5, *beside: tuple[str, Any], **more: Any) -> dict[str, Any]:
    likeliest = [{"token": text, "logprob": odds, "bytes": list(text.encode())} for text, odds in beside]
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": likeliest, **more}


def beside(*entries: Any, alternatives: bool = True, **choice: Any) -> Any:
    said = reply({"content": "x"}, logprobs={"content": list(entries)}, **choice)
    return read_turn(said, alternatives=alternatives)


def test_alternatives_are_kept_where_they_were_asked_for() -> None:
    told = entry("Yes", -0.25, ("Yes", -0.25), ("No", -2.5)), entry("!", -1.0)
    turn = beside(*told)
    assert turn.tokens == ["Yes", "!"] and turn.logprobs == [-0.25, -1.0]
    assert turn.alternatives == [{"Yes": -0.25, "No": -2.5}, {}]
    plain = beside(*told, alternatives=False)
    assert plain.tokens is plain.alternatives is None and plain.logprobs == [-0.25, -1.0]


def test_a_token_may_be_part_of_a_letter() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    turn = beside(*(entry("\ufffd", bytes=list(half)) for half in (first, second)))
    assert turn.tokens is not None
    assert "".join(turn.tokens).encode("utf-8", "surrogateescape") == "é".encode()


def test_alternatives_of_one_text_are_summed() -> None:
    (row,) = beside(entry("Yes", -0.7, ("Yes", math.log(0.5)), ("Yes", math.log(0.25)), ("No", -9999.0))).alternatives
    assert math.exp(row["Yes"]) == pytest.approx(0.75, abs=1e-5) and math.exp(row["No"]) == 0


@pytest.mark.parametrize(
    ("told", "tokens", "alternatives"),
    [
        ([{"logprob": -0.5}], None, None),
        ([{"logprob": -0.5, "token": "Yes"}], ["Yes"], None),
        ([{"logprob": -0.5, "token": "Yes", "top_logprobs": None}], ["Yes"], None),
        ([entry("Yes", -0.5, ("No", None), ("In", True), ("Yes", -0.5))], ["Yes"], [{"Yes": -0.5}]),
        ([entry("Yes", top_logprobs=[7, None, {}, {"token": 3, "logprob": -1}])], ["Yes"], None),
        ([entry("Yes", top_logprobs={"No": -1})], ["Yes"], None),
        ([entry("Yes", bytes=[300], top_logprobs=[{"token": "No", "logprob": -1}])], ["Yes"], [{"No": -1}]),
        ([entry("Yes", bytes="Yes")], ["Yes"], None),
        ([], [], None),
    ],
)
def test_a_server_that_tells_less_is_no_error(told: list[Any], tokens: Any, alternatives: Any) -> None:
    turn = beside(*told)
    assert (turn.tokens, turn.alternatives) == (tokens, alternatives)
    assert turn.message_out["content"] == "x"


def test_alternatives_that_do_not_fit_the_token_ids_are_dropped() -> None:
    turn = beside(entry("Yes", -0.5, ("No", -1.0)), token_ids=[1, 2])
    assert turn.logprobs is turn.tokens is turn.alternatives is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": "x"}]}',
        b'{"error": {"message": "overloaded"}}',
        reply({"content": "x"})[:-9],
        reply({"tool_calls": [7]}),
        reply({"tool_calls": [{"id": "1"}]}),
        reply({"tool_calls": [{"function": {"arguments": "{}"}}]}),
        reply({"tool_calls": [{"function": None}]}),
        reply({"content": "x"}, logprobs={"content": [{}]}),
        reply({"content": "x"}, logprobs={"content": [{"logprob": None}]}),
        b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}}',
        b'{"choices": [{"message": {"content": "x"}}], "usage": []}'.replace(b"[]", b"[1]"),
        reply({"content": "half"}, finish_reason="abort"),
    ],
)
def test_whatever_is_no_reply_is_garbled(data: bytes) -> None:
    with pytest.raises(Garbled):
        read_turn(data)


KEYS = (
    *("choices", "message", "content", "tool_calls", "function", "name", "arguments", "usage", "prompt_tokens"),
    *("logprobs", "logprob", "token_ids", "refusal", "finish_reason", "prompt_tokens_details", "id", "type", "text"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_no_json_makes_the_reader_crash(value: Any, wrapped: bool) -> None:
    data = orjson.dumps({"choices": [{"message": value}]} if wrapped else value)
    try:
        turn = read_turn(data)
    except (Garbled, ModelError):
        return
    assert isinstance(turn.message_out["content"], str)
    for made in turn.message_out.get("tool_calls", ()):
        assert isinstance(made["id"], str) and isinstance(made["function"]["arguments"], str)


@given(st.binary(max_size=40))
def test_no_bytes_make_the_reader_crash(data: bytes) -> None:
    with pytest.raises(Garbled):
        read_turn(data)


@pytest.mark.parametrize(
    "message, choice",
    [({"refusal": "I cannot help with that."}, {}), ({"content": ""}, {"finish_reason": "content_filter"})],
)
def test_a_refusal_is_an_error_that_stays(message: dict[str, Any], choice: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as error:
        read_turn(reply(message, **choice))
    assert not error.value.retriable
