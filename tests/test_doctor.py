"""What the doctor finds: the machine, the extras, and servers that lack something a judge needs."""

import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from servers import ChatServer, call, completion

from agentjudge.doctor import EXTRAS, Finding, examine
from agentjudge.errors import ConfigError
from agentjudge.models.embedded.verifier import Verifier

Serve = Callable[..., ChatServer]
MACHINE = 2 + len(EXTRAS) + 1
"""Findings before those of a model."""


class FakeVLLM(ChatServer):
    """What vLLM answers to the doctor, by how it was started; as it should be where nothing is said.

    The keyword arguments are the server's options, or what the model's template does.
    """

    def __init__(self, *, names: tuple[str, ...] = ("qwen3-vl-m", "qwen3-m"), **started: Any) -> None:
        super().__init__(self.say, models=names)
        self.started = started
        self.seen: set[str] = set()
        self.cached = 0

    def how(self, name: str, default: Any) -> Any:
        return self.started.get(name, default)

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_get("/version", self.version)
        app.router.add_get("/metrics", self.metrics)
        return app

    async def version(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"version": "0.32.0"})

    async def metrics(self, _: web.Request) -> web.StreamResponse:
        text = f'# HELP x\nvllm:prefix_cache_hits_total{{engine="0",model_name="m"}} {float(self.cached)}\n'
        return web.Response(text=text if self.how("metrics", True) else "")

    async def _list(self, _: web.Request) -> web.StreamResponse:
        entries = [{"id": name, "max_model_len": self.how("context", 100_000), "parent": None} for name in self.models]
        entries += [{"id": name, "parent": base} for name, base in self.how("adapters", {}).items()]
        return web.json_response({"object": "list", "data": entries})

    def say(self, body: dict[str, Any]) -> Any:
        pictures = [m["role"] for m in body["messages"] for part in parts(m) if part["type"] == "image_url"]
        if len(pictures) > self.how("limit", 64):
            return refusal(f"At most {self.how('limit', 64)} image(s) may be provided in one prompt.")
        if body.get("tool_choice") == "auto" and not self.how("parser", True):
            return refusal('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
        reply = completion(self.said(body), body)
        shown = sum(role not in self.how("dropped", ()) for role in pictures)
        thinks = body.get("chat_template_kwargs", {}).get("enable_thinking", True) and self.how("switch", True)
        prompt = 4 * shown + thinks + sum(len(words(m)) for m in body["messages"])
        usage, text = reply["usage"], json.dumps(body["messages"])
        reply["prompt_token_ids"] = list(range(prompt))
        known = self.how("caching", True) and text in self.seen
        self.seen.add(text)
        self.cached += 16 if known else 0
        details = {"cached_tokens": 16 if known else 0} if self.how("details", True) else None
        usage |= {"prompt_tokens": prompt, "prompt_tokens_details": details}
        if self.how("processed", False):
            for entry in (reply["choices"][0]["logprobs"] or {"content": []})["content"]:
                for beside in entry["top_logprobs"]:
                    beside["logprob"] /= body["temperature"] or 1.0
        return web.json_response(reply)

    def said(self, body: dict[str, Any]) -> Any:
        """The message."""
        if "response_format" in body:
            text = '{"colour": "red"}' if self.how("schema", True) else "Bonjour!"
            return {"content": "", "reasoning": text} if self.how("swallows", False) else {"content": text}
        if body.get("tool_choice") == "auto":
            told = '<tool_call>\n{"name": "look_up", "arguments": {"word": "judge"}}\n</tool_call>'
            return {"content": told} if self.how("unread", False) else call("look_up", {"word": "judge"})
        if body.get("continue_final_message"):
            return {"content": "", "reasoning": "6 7"} if self.how("swallows", False) else "6 7"
        return {"content": "<think>one</think> One."} if self.how("thoughts", False) else {"content": "One."}


def parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    return message["content"] if isinstance(message.get("content"), list) else []


def words(message: dict[str, Any]) -> list[str]:
    texts = [part["text"] for part in parts(message) if part["type"] == "text"]
    return " ".join(texts or [str(message.get("content") or "")]).split()


def refusal(message: str, status: int = 400) -> web.Response:
    return web.json_response({"object": "error", "message": message, "code": status}, status=status)


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeVLLM]]:
    """Starts fakes, which end with the test."""
    with ExitStack() as stack:
        yield lambda **started: stack.enter_context(FakeVLLM(**started))


def healthy(body: dict[str, Any]) -> Any:
    """A server that can do all that a judge needs."""
    if "response_format" in body:
        return '{"colour": "red"}'
    return call(body["tools"][0]["function"]["name"], {"word": "judge"})


def probed(model: str, **options: Any) -> dict[str, Finding]:
    """What was found about a model, by name; each check is made once."""
    found = examine(model, **options)[MACHINE:]
    assert len({finding.name for finding in found}) == len(found)
    return {finding.name: finding for finding in found}


# the machine


def test_the_machine_is_examined_without_a_model() -> None:
    found = examine(None)
    assert len(found) == MACHINE
    assert [f.name for f in found] == [
        "agentjudge",
        "python",
        *(f"extra {extra}" for extra in EXTRAS),
        "embedded model",
    ]
    assert found[0].detail.count(".") == 2 and "cores" in found[1].detail
    assert found[-1].state == "ok" and "supports with 0." in found[-1].detail


def test_every_extra_that_users_install_is_examined() -> None:
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    declared = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(declared) - {"all", "dev", "train-embedded", "bench-speed"}


def test_an_extra_that_is_absent_is_told_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRAS, "docs", ("json", "no_such_module", "no_such_package.part"))
    found = next(finding for finding in examine(None) if finding.name == "extra docs")
    missing = "no_such_module, no_such_package.part"
    assert found == Finding("extra docs", "absent", f"pip install 'agentjudge[docs]' (no {missing})")


def test_an_embedded_model_that_cannot_be_loaded_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load = Verifier.load
    monkeypatch.setattr(Verifier, "load", lambda: load(tmp_path))
    found = examine(None)[-1]
    assert (found.name, found.state) == ("embedded model", "problem") and str(tmp_path) in found.detail


# a vLLM server

Fake = Callable[..., FakeVLLM]
WHOLE = ["model server", "served name", "context", "JSON schema", "token ids", "log-probabilities", "log-prob mode"]


def problems(found: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.detail for name, finding in found.items() if finding.state == "problem"}


def test_a_server_with_everything_is_fit(fake: Fake) -> None:
    server = fake()
    found = probed(f"vllm:qwen3-vl-m@{server.url}")
    assert list(found) == [*WHOLE, "prefix cache", "tool calls", "pictures", "pictures of tools"]
    assert {finding.state for finding in found.values()} == {"ok"}, found
    assert found["model server"].detail == "vLLM 0.32.0, 2 names" and found["served name"].detail == "qwen3-vl-m"
    assert found["pictures"].detail == "takes 40 a prompt" and found["log-prob mode"].detail.startswith("raw")
    asked = {json.dumps(body.get("response_format")) for body in server.bodies} - {"null"}
    assert len(asked) == 1 and "colour" in asked.pop()
    assert max(sum(len(parts(m)) for m in body["messages"]) for body in server.bodies) == 40


def test_a_text_model_is_not_asked_for_pictures(fake: Fake) -> None:
    found = probed(f"vllm:qwen3-m@{fake(limit=0).url}")
    assert found["pictures"].state == "absent" and found["thinking switch"] == Finding(
        "thinking switch", "ok", "changes the prompt"
    )
    assert not problems(found)


@pytest.mark.parametrize(
    ("started", "name", "option"),
    [
        ({"parser": False}, "tool calls", "--enable-auto-tool-choice --tool-call-parser hermes"),
        ({"unread": True}, "tool calls", "--tool-call-parser hermes"),
        ({"details": False}, "prefix cache", "--enable-prompt-tokens-details"),
        ({"details": False, "metrics": False}, "prefix cache", "--enable-prompt-tokens-details"),
        ({"caching": False}, "prefix cache", "--enable-prefix-caching"),
        ({"context": 4096}, "context", "--max-model-len 43008"),
        ({"schema": False}, "JSON schema", """--structured-outputs-config '{"backend": "xgrammar"}'"""),
        ({"swallows": True}, "JSON schema", "without --reasoning-parser"),
        ({"processed": True}, "log-prob mode", "--logprobs-mode raw_logprobs"),
        ({"limit": 0}, "pictures", """--limit-mm-per-prompt '{"image": 40}'"""),
        ({"limit": 4}, "pictures", "takes 4 a prompt, veri-r1 may show 40"),
        ({"dropped": ("tool",)}, "pictures of tools", "--chat-template"),
    ],
)
def test_what_is_wrong_is_found_and_nothing_else(fake: Fake, started: dict[str, Any], name: str, option: str) -> None:
    found = problems(probed(f"vllm:qwen3-vl-m@{fake(**started).url}"))
    assert list(found) == [name] and option in found[name]


def test_everything_wrong_is_found_at_once(fake: Fake) -> None:
    server = fake(parser=False, details=False, context=2048, schema=False, processed=True, limit=0)
    found = problems(probed(f"vllm:qwen3-vl-m@{server.url}", judge="trajectory"))
    assert list(found) == ["context", "JSON schema", "log-prob mode", "prefix cache", "tool calls", "pictures"]


def test_a_wrong_name_is_told_with_the_names_there_are(fake: Fake) -> None:
    server = fake()
    (found,) = probed(f"vllm:nobody@{server.url}").values()
    assert found.state == "problem" and "'qwen3-vl-m', 'qwen3-m', not 'nobody'" in found.detail
    assert not server.bodies


def test_training_wants_log_probabilities_of_what_was_sampled_from(fake: Fake) -> None:
    raw = problems(probed(f"vllm:qwen3-m@{fake().url}", for_training=True))
    assert list(raw) == ["log-prob mode"] and "--logprobs-mode processed_logprobs" in raw["log-prob mode"]
    assert not problems(probed(f"vllm:qwen3-m@{fake(processed=True).url}", for_training=True))


def test_a_context_that_suffices_for_a_part_is_told(fake: Fake) -> None:
    found = probed(f"vllm:qwen3-m@{fake(context=16_384).url}", judge="trajectory")["context"]
    assert found.state == "absent" and "a whole judgement by trajectory may take 65536" in found.detail


def test_an_adapter_has_the_context_of_its_base(fake: Fake) -> None:
    found = probed(f"vllm:qwen3-a@{fake(adapters={'qwen3-a': 'qwen3-m'}).url}")
    assert found["served name"].detail == "qwen3-a, an adapter on qwen3-m" and found["context"].state == "ok"


def test_a_template_without_the_switch_is_told(fake: Fake) -> None:
    found = probed(f"vllm:qwen3-m@{fake(switch=False).url}")["thinking switch"]
    assert found.state == "absent" and "takes no enable_thinking" in found.detail
    left = probed(f"vllm:qwen3-m@{fake(thoughts=True).url}")["thinking switch"]
    assert left.state == "problem" and "--reasoning-parser qwen3" in left.detail


def test_tag_protocols_need_no_tools(fake: Fake) -> None:
    server = fake(names=("veri-r1",), parser=False)
    found = probed(f"vllm:veri-r1@{server.url}")
    assert found["tag protocol"].state == "ok" and not problems(found)
    assert any(body.get("continue_final_message") for body in server.bodies)
    swallowed = problems(probed(f"vllm:veri-r1@{fake(names=('veri-r1',), swallows=True).url}"))
    assert "without --reasoning-parser" in swallowed["tag protocol"]


def test_a_server_that_is_not_there_is_one_problem() -> None:
    (found,) = probed("vllm:m@http://127.0.0.1:9").values()
    assert (found.name, found.state) == ("model server", "problem") and "cannot be reached" in found.detail


@pytest.mark.parametrize("status", [400, 401])
def test_a_server_that_refuses_everything_has_many_problems(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(FakeVLLM, "say", lambda self, body: refusal("go away", status))
    found = problems(probed(f"vllm:qwen3-m@{fake().url}"))
    assert {"JSON schema", "tool calls", "prefix cache"} <= set(found)
    assert all("go away" in detail for detail in found.values())


def test_an_unknown_judge_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown judge 'nobody'"):
        examine("vllm:m@http://127.0.0.1:9", judge="nobody")


# other models


def test_a_server_of_another_make_has_no_token_ids(serve: Serve) -> None:
    found = probed(f"openai:m@{serve(healthy).url}")
    assert list(found) == ["model server", "JSON schema", "token ids", "log-probabilities", "tool calls"]
    assert (found["token ids"].state, found["model server"].state) == ("absent", "ok")
    assert found["token ids"].detail == "not given; needed for training only"
    assert found["model server"].detail == "answers as m"


@pytest.mark.parametrize(
    "said", ["Red, surely.", "", '{"colour": "green"}', '["red"]', "null", '"red"', '{"color": "red"}', "[" * 100_000]
)
def test_a_schema_that_is_not_held_is_a_problem(serve: Serve, said: str) -> None:
    found = probed(f"openai:m@{serve(lambda body: said if 'response_format' in body else healthy(body)).url}")
    assert found["JSON schema"].state == "problem" and "repair turns" in found["JSON schema"].detail
    assert repr(said[:80]) in found["JSON schema"].detail and found["tool calls"].state == "ok"


def test_a_tool_that_is_not_called_is_told_with_the_likely_cause(serve: Serve) -> None:
    found = probed(f"openai:m@{serve(lambda body: healthy(body) if 'response_format' in body else 'A judge.').url}")
    assert found["tool calls"].state == "absent" and "tool-call parser" in found["tool calls"].detail


def test_a_server_that_refuses_tools_is_there_all_the_same(serve: Serve) -> None:
    found = probed(
        f"openai:m@{serve(lambda body: healthy(body) if 'response_format' in body else refusal('no tools')).url}"
    )
    assert found["model server"].state == "ok" and found["tool calls"].state == "problem"
    assert "no tools" in found["tool calls"].detail


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_server_that_refuses_everything_is_one_problem(serve: Serve, status: int) -> None:
    server = serve(lambda body: web.json_response({"error": {"message": "go away"}}, status=status))
    found = probed(f"openai:m@{server.url}")
    assert list(found) == ["model server"] and found["model server"].state == "problem"
    assert "go away" in found["model server"].detail


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("vlm:m", "unknown model 'vlm'; there is 'vllm'"),
        ("", "the model's name is empty"),
        ("openai:m@http://", "not an address that can be called"),
        ("scripted:gone.jsonl", "cannot read the script gone.jsonl"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_one_problem(model: str, says: str) -> None:
    (found,) = examine(model)[MACHINE:]
    assert (found.name, found.state) == ("model", "problem") and says in found.detail


def test_the_embedded_model_needs_no_server() -> None:
    assert probed("embedded") == {"model": Finding("model", "ok", "embedded needs no server")}
