import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra mcp")

import mcp_types as types
from hypothesis import given
from hypothesis import strategies as st
from rogue_mcp import RogueServer

from agentjudge import Judge
from agentjudge.case import Claim
from agentjudge.errors import ConfigError, ToolError
from agentjudge.evidence import EvidenceStore
from agentjudge.models.base import Request
from agentjudge.models.profiles import GENERIC
from agentjudge.models.scripted import ScriptedModel
from agentjudge.registry import lookup
from agentjudge.serving.api_bench import Bench
from agentjudge.tools.base import Executed, Tool, ToolBox, ToolCall, ToolContext
from agentjudge.tools.mcp import MAX_DESCRIPTION, MAX_TEXT, _told, mcp_tools, tool_name
from agentjudge.tools.mcp_client import McpClients, RemoteTool
from agentjudge.tools.mcp_config import McpServer, read_servers

ALLOWED = ("echo", "huge", "evil", "picture", "fails", "bare", "slow", "crashes")
TIME = {"command": sys.executable, "args": ["-m", "mcp_server_time"], "allow": ["convert_time"], "start_timeout": 300}
NOON = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}


@pytest.fixture(scope="module")
def rogue() -> Iterator[RogueServer]:
    with RogueServer() as server:
        yield server


@pytest.fixture(scope="module")
def box(rogue: RogueServer) -> Iterator[ToolBox]:
    box = ToolBox(mcp_tools({"rogue": McpServer(url=rogue.url, allow=ALLOWED, timeout=120)}))
    yield box
    asyncio.run(box.aclose())


@pytest.fixture
def context() -> ToolContext:
    sees = GENERIC.model_copy(update={"images": True})
    return ToolContext(Claim(id="1", claim="Mont Blanc is high."), EvidenceStore(), profile=sees)


async def call(box: ToolBox, name: str, context: ToolContext, **args: Any) -> Executed:
    return await box.execute(ToolCall("1", f"mcp__rogue__{name}", args), context)


# the file


def write(folder: Path, servers: Any, name: str = "servers.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def test_the_file_is_read_as_json_and_as_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIKI_KEY", "s3cret")
    wiki = {"type": "http", "url": "https://w.example/mcp", "headers": {"Authorization": "Bearer ${WIKI_KEY}"}}
    found = read_servers(write(tmp_path, {"wiki": {**wiki, "allow": ["search"], "autoApprove": []}}))
    toml = tmp_path / "servers.toml"
    toml.write_text(
        '[mcpServers.wiki]\nurl = "https://w.example/mcp"\nallow = ["search"]\n'
        'headers = {Authorization = "Bearer ${WIKI_KEY}"}\n'
    )
    assert read_servers(toml) == found
    assert found["wiki"].headers == {"Authorization": "Bearer s3cret"} and found["wiki"].allow == ("search",)


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ({}, "names no servers"),
        ([1], "names no servers"),
        ({"a": 1}, "mcpServers.a: expected an object"),
        ({"a": {"command": "x"}}, "name the tools that judges may use"),
        ({"a": {"command": "x", "allow": []}}, "name the tools that judges may use"),
        ({"a": {"command": "x", "allow": "*"}}, "mcpServers.a: allow"),
        ({"a": {"allow": ["t"]}}, "either 'command' or 'url'"),
        ({"a": {"command": "x", "url": "http://h/", "allow": ["t"]}}, "either 'command' or 'url'"),
        ({"a": {"url": "file:///etc", "allow": ["t"]}}, "http or https"),
        ({"a": {"command": "x", "allow": ["t", "t"]}}, "twice"),
        ({"a": {"command": "x", "allow": ["t"], "timeout": 0}}, "timeout"),
        ({"a b": {"command": "x", "allow": ["t"]}}, "letters"),
        ({"a": {"command": "x", "allow": ["t"], "env": {"K": "${NO_SUCH_VARIABLE}"}}}, "no variable NO_SUCH_VARIABLE"),
    ],
)
def test_a_file_that_is_none_says_why(tmp_path: Path, servers: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_servers(write(tmp_path, servers))


def test_an_absent_or_broken_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_servers(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_servers(tmp_path / "broken.json")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*McpServer.model_fields, "type"])


@given(entry=st.dictionaries(FIELDS, VALUES | st.lists(st.text(max_size=4), max_size=3), max_size=6))
def test_whatever_stands_in_it_is_a_server_with_allowed_tools_or_refused(
    entry: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "servers.json"
    path.write_text(json.dumps({"mcpServers": {"s": entry}}))
    try:
        server = read_servers(path)["s"]
    except ConfigError as exc:
        assert "mcpServers.s" in exc.message
    else:
        assert server.allow and (server.command is None) != (server.url is None)


# what is told and called


def test_only_allowed_tools_are_there_under_names_of_their_own(box: ToolBox) -> None:
    assert list(box.tools) == [f"mcp__rogue__{name}" for name in ALLOWED]
    assert not any("secret" in json.dumps(spec) for spec in box.specs)
    echo = box.specs[0]["function"]
    assert echo["parameters"]["required"] == ["text"]
    assert "<|im_end|>" not in json.dumps(box.specs) and len(echo["description"]) <= MAX_DESCRIPTION + 200


async def test_what_is_not_allowed_cannot_be_called(box: ToolBox, rogue: RogueServer, context: ToolContext) -> None:
    before = len(rogue.calls)
    refused = await call(box, "secret", context)
    assert refused.event.status == "bad_args" and "There is no tool" in refused.text
    clients = next(iter(box.tools.values()))._clients  # type: ignore[attr-defined]
    with pytest.raises(ToolError, match="not allowed"):
        await clients.call(RemoteTool("rogue", "secret", "", {"type": "object"}), {})
    assert len(rogue.calls) == before


async def test_text_becomes_evidence_word_for_word(box: ToolBox, context: ToolContext) -> None:
    done = await call(box, "echo", context, text="It is 4806 m high. It lies in the Alps.")
    assert done.event.status == "ok"
    first, second = done.event.refs
    assert (first.quote, second.quote) == ("It is 4806 m high.", "It lies in the Alps.")
    assert first.doc is not None and first.doc.startswith("rogue.echo/")
    assert context.store.document(first.doc).text[first.start : first.end] == first.quote
    assert f"[[{first.id}]] It is 4806 m high." in done.text
    assert done.event.data["hits"][0]["ids"] == [first.id, second.id]


async def test_arguments_are_checked_before_anything_is_sent(
    box: ToolBox, rogue: RogueServer, context: ToolContext
) -> None:
    before = len(rogue.calls)
    for args, told in [
        ({}, "'text' is a required property"),
        ({"text": 1}, "text: 1 is not"),
        ({"text": "a" * 101}, "too long"),
    ]:
        done = await call(box, "echo", context, **args)
        assert done.event.status == "bad_args" and told in done.text
    assert len(rogue.calls) == before


async def test_text_of_a_server_can_fake_neither_a_line_nor_a_fence(box: ToolBox, context: ToolContext) -> None:
    done = await call(box, "evil", context)
    lines = done.text.splitlines()
    assert all(line.startswith((f"[[{done.event.refs[0].doc}:", "# ")) for line in lines)
    assert "[[alps:0]]" not in done.text


async def test_structured_content_alone_is_shown_too(box: ToolBox, context: ToolContext) -> None:
    done = await call(box, "bare", context)
    assert done.event.refs[0].quote == '{"height": 4806}'


async def test_pictures_are_shown_and_what_cannot_be_is_named(box: ToolBox, context: ToolContext) -> None:
    done = await call(box, "picture", context)
    (image,) = done.event.images
    assert context.store.image(image).size == (4, 4)
    assert [ref.kind for ref in done.event.refs] == ["region"]
    assert "not base64" in done.text and "audio" in done.text and "file:///etc/passwd" in done.text
    blind = await call(box, "picture", ToolContext(context.case, EvidenceStore()))
    assert not blind.event.images and "this model sees none" in blind.text


async def test_a_huge_result_is_cut(box: ToolBox, context: ToolContext) -> None:
    done = await call(box, "huge", context)
    assert done.event.status == "ok" and len(done.text) < 21_000
    assert "more characters were not kept" in done.text
    assert len(context.store.document(done.event.refs[0].doc or "").text) == MAX_TEXT


async def test_errors_of_a_server_are_results(box: ToolBox, context: ToolContext) -> None:
    failed = await call(box, "fails", context)
    assert failed.event.status == "failed" and "That went wrong [ [x:0] ]." in failed.text
    crashed = await call(box, "crashes", context)
    assert crashed.event.status == "failed" and "refused" in crashed.text
    assert (await call(box, "echo", context, text="Still there.")).event.status == "ok"


async def test_a_slow_server_is_a_timeout_and_told_so(box: ToolBox, rogue: RogueServer, context: ToolContext) -> None:
    slow = ToolCall("1", "mcp__rogue__slow", {})
    done = await box.execute(slow, context, deadline=1.0)
    assert done.event.status == "timeout"
    async with asyncio.timeout(30):
        while not rogue.cancelled:
            await asyncio.sleep(0.05)
    assert (await call(box, "echo", context, text="Still there.")).event.status == "ok"


async def test_a_tool_that_has_changed_or_gone_is_refused(
    box: ToolBox, rogue: RogueServer, context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(rogue.calls)
    monkeypatch.setitem(rogue.schemas, "echo", {**rogue.schemas["echo"], "required": []})
    changed = await call(box, "echo", context, text="Hello.")
    assert changed.event.status == "failed" and "other arguments" in changed.text
    monkeypatch.delitem(rogue.schemas, "echo")
    gone = await call(box, "echo", context, text="Hello.")
    assert gone.event.status == "failed" and "any more" in gone.text
    assert len(rogue.calls) == before


async def test_many_calls_at_once_get_their_own_results(box: ToolBox, context: ToolContext) -> None:
    texts = [f"Number {n} is {n * n}." for n in range(20)]
    done = await asyncio.gather(*(call(box, "echo", context, text=text) for text in texts))
    assert [each.event.error for each in done] == [""] * 20
    assert [each.event.refs[0].quote for each in done] == texts


def test_headers_are_sent_and_unknown_tools_named(rogue: RogueServer) -> None:
    with pytest.raises(ConfigError, match=r"no tool 'nope' to allow; its tools: .*secret, echo"):
        mcp_tools({"rogue": McpServer(url=rogue.url, headers={"Authorization": "Bearer k"}, allow=("nope",))})
    assert "Bearer k" in rogue.seen_headers


def test_a_server_that_cannot_be_used_says_why() -> None:
    code = "import sys; print('no key was given', file=sys.stderr); sys.exit(1)"
    with pytest.raises(ConfigError, match="'dead' cannot be used.*no key was given"):
        mcp_tools({"dead": McpServer(command=sys.executable, args=("-c", code), allow=("t",), start_timeout=60)})
    with pytest.raises(ConfigError, match="'absent' cannot be used.*no-such-program"):
        mcp_tools({"absent": McpServer(command="no-such-program", allow=("t",))})
    with pytest.raises(ConfigError, match="'silent' cannot be used.*within 1 s"):
        silent = ("-c", "import time; time.sleep(600)")
        mcp_tools({"silent": McpServer(command=sys.executable, args=silent, allow=("t",), start_timeout=1)})


async def test_a_server_that_has_ended_fails_the_call_alone(context: ToolContext) -> None:
    with RogueServer() as server:
        box = ToolBox(mcp_tools({"rogue": McpServer(url=server.url, allow=("echo",), timeout=20, start_timeout=5)}))
        assert (await call(box, "echo", context, text="Here.")).event.status == "ok"
    done = await call(box, "echo", context, text="Here.")
    assert done.event.status == "failed" and "'rogue'" in done.text
    await box.aclose()
    await box.aclose()
    assert (await call(box, "echo", context, text="Here.")).event.status == "failed"


def test_tools_that_would_have_one_name_are_refused(rogue: RogueServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.b", "a/b"):
        monkeypatch.setitem(rogue.schemas, name, {"type": "object"})
    with pytest.raises(ConfigError, match="both be called 'mcp__rogue__a_b'"):
        mcp_tools({"rogue": McpServer(url=rogue.url, allow=("a.b", "a/b"))})


async def test_served_judges_have_them_where_they_take_them(tmp_path: Path, rogue: RogueServer) -> None:
    path = write(tmp_path, {"rogue": {"url": rogue.url, "allow": ["echo"]}})
    bench = Bench.load(("veri-r1", "checklist"), model=ScriptedModel([]), mcp=path)
    assert [about["tools"] for about in bench.about()] == [["mcp__rogue__echo"], []]
    await bench.aclose()
    with pytest.raises(ConfigError, match="no judge here uses tools of MCP servers"):
        Bench.load(("checklist",), model=ScriptedModel([]), mcp=path)


def test_names_are_those_that_models_may_call() -> None:
    assert tool_name(RemoteTool("time", "get.now/utc", "", {})) == "mcp__time__get_now_utc"
    one, other = (tool_name(RemoteTool("s" * 32, "t" * 60 + end, "", {})) for end in "ab")
    assert len(one) == len(other) == 64 and one != other


@pytest.mark.parametrize("schema", [{"type": "string"}, {"type": "object", "properties": {"a": {"type": 3}}}])
def test_a_tool_without_a_usable_schema_is_refused(schema: Any, rogue: RogueServer, monkeypatch: Any) -> None:
    monkeypatch.setitem(rogue.schemas, "echo", schema)
    with pytest.raises(ConfigError, match="'echo'|'rogue'"):
        mcp_tools({"rogue": McpServer(url=rogue.url, allow=("echo",))})


BLOCKS = st.one_of(
    st.builds(types.TextContent, text=st.text(max_size=200)),
    st.builds(types.ImageContent, data=st.text(max_size=20), mime_type=st.just("image/png")),
    st.builds(
        lambda text: types.EmbeddedResource(resource=types.TextResourceContents(uri="a:b", text=text)), st.text()
    ),
    st.builds(lambda: types.EmbeddedResource(resource=types.BlobResourceContents(uri="a:b", blob="AA"))),
    st.builds(types.ResourceLink, name=st.text(max_size=5), uri=st.text(max_size=20)),
)


@given(content=st.lists(BLOCKS, max_size=4), args=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
def test_whatever_a_server_returns_can_be_cited_as_it_stands(content: list[Any], args: dict[str, str]) -> None:
    sees = GENERIC.model_copy(update={"images": True})
    context = ToolContext(Claim(id="1", claim="-"), EvidenceStore(), profile=sees)
    remote = RemoteTool("s", "t", "", {})
    result = _told(remote, args, types.CallToolResult(content=content), context)
    assert result.text
    result.text.encode()
    for ref in result.refs:
        assert ref.quote == context.store.document(ref.doc or "").text[ref.start : ref.end]
    assert result.text.count("[[") == len(result.refs)


# judges


def script(request: Request) -> Any:
    """Converts a time, then cites what the server said; tells what it was offered in its reason."""
    if not request.events:
        return {"tool_calls": [{"function": {"name": "mcp__time__convert_time", "arguments": NOON}}]}
    if request.phase == "act":
        return "That is enough."
    cited = [ref.id for event in request.events for ref in event.refs]
    label = "SUPPORT" if any("21:00" in (r.quote or "") for e in request.events for r in e.refs) else "NOT ENOUGH INFO"
    return json.dumps({"reason": request.events[0].error, "evidence": cited, "label": label, "confidence": 0.9})


def children() -> set[int]:
    """Time servers that this process has started."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = status.read_text().rpartition(")")[2].split()[1]
            named = b"mcp_server_time" in (status.parent / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if named and int(parent) == os.getpid():
            found.add(int(status.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_judge_uses_a_server_of_others_which_may_die_and_ends_with_the_judge(tmp_path: Path) -> None:
    pytest.importorskip("mcp_server_time", reason="needs the time server of the extra dev")
    claim = "When it is noon in UTC, it is nine in the evening in Tokyo."
    path = write(tmp_path, {"time": {**TIME, "timeout": 300}})
    with Judge.load("veri-r1", model=ScriptedModel(script), mcp=path) as judge:
        (first,) = children()
        trace = judge.run(claim)
        verdict = trace.verdict
        assert (verdict.status, verdict.label) == ("scored", "SUPPORT"), verdict
        assert "21:00" in (verdict.evidence[0].quote or "")
        shown = next(message["content"] for message in trace.messages if message["role"] == "tool")
        assert shown.startswith("<untrusted-") and "[[time.convert_time/" in shown
        os.kill(first, signal.SIGKILL)
        again = judge.judge(claim)
        assert again.label == "SUPPORT", again
        assert children() - {first}
    assert not children()


def test_who_cannot_call_them_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    path = tmp_path / "absent.json"
    with pytest.raises(ConfigError, match="embedded.*no tools of MCP servers"):
        Judge.load("veri-r1", mcp=path)
    with pytest.raises(ConfigError, match="no tools of MCP servers"):
        Judge.load("webjudge", model=ScriptedModel([]), mcp=path)


def test_they_are_listed_and_only_judges_with_sources_take_them(box: ToolBox) -> None:
    assert "allowed" in lookup("tool", "mcp").summary
    tool: Tool[Any] = next(iter(box.tools.values()))
    spec = lookup("judge", "checklist").target()
    with pytest.raises(ConfigError, match="mcp__rogue__echo"):
        Judge(spec, model=ScriptedModel([]), tools=[tool])


def test_connections_are_for_those_who_have_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError, match=r"agentjudge\[mcp\]"):
        McpClients({})
