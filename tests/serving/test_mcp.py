import asyncio
import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra mcp")

import httpx
import jsonschema
from api_servers import CALL, Hesitant, said
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError, StdioServerParameters
from PIL import Image, ImageDraw, ImageFont

from agentjudge.cli import main
from agentjudge.demo import CORPUS
from agentjudge.errors import ConfigError, DataError
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel
from agentjudge.serving.api_bench import Bench, ServedCorpus
from agentjudge.serving.mcp_offers import Place, judge_offers, tool_offers
from agentjudge.serving.mcp_server import McpOffers, McpService
from agentjudge.serving.rewards_files import Files
from agentjudge.tools.corpus import Corpus
from agentjudge.tools.index import open_index
from agentjudge.verdict import Verdict

CLAIM = "Linus Torvalds was born in the capital of Finland."
COMMAND = [sys.executable, "-m", "agentjudge.cli", "mcp", "--corpus", str(CORPUS), "--judge", "veri-r1"]


def picture(words: str = "TOTAL 48.10") -> bytes:
    image = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(image).text((20, 60), words, fill="black", font=ImageFont.load_default(size=60))
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@asynccontextmanager
async def served(model: Any = "embedded", *, root: Path | None = None, **options: Any) -> AsyncIterator[Client]:
    """The official client, at a server in this process."""
    with TemporaryDirectory() as folder:
        corpus = Corpus.load([CORPUS])
        corpora = {"demo": ServedCorpus(corpus, open_index(corpus, "bm25"))}
        loaded = Bench.load(options.get("judges", ()), model=model)
        bench = Bench(list(loaded._components.values()), model=loaded.model, corpora=corpora)
        place = Place(Path(folder), Files(root))
        offers = [*judge_offers(bench, place), *tool_offers(bench, place, options.get("tools", ()))]
        async with Client(McpOffers(offers, bench, concurrency=8).server()) as client:
            yield client


async def text_of(client: Client, name: str, args: dict[str, Any], *, failed: bool = False) -> str:
    result = await client.call_tool(name, args)
    assert result.is_error is failed, result
    assert result.content[0].type == "text"
    return result.content[0].text


# judges


async def test_judges_and_tools_are_listed_with_schemas_that_are_some() -> None:
    async with served() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools)[:3] == ["judge_veri_r1", "judge_arm_thinker", "judge_compare"]
    assert {"retrieve", "ocr", "image_zoom_in_tool", "check_instruction"} <= set(tools)
    assert "judge_checklist" not in tools and not any(name.startswith("check_whether") for name in tools)
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.input_schema["type"] == "object" and "$ref" not in json.dumps(tool.input_schema)
        assert tool.description and tool.annotations is not None and tool.annotations.read_only_hint
    wanted = jsonschema.Draft202012Validator(tools["judge_arm_thinker"].input_schema)
    wanted.validate({"claim": CLAIM, "corpus": "demo"})
    wanted.validate({"case": {"kind": "comparison", "prompt": "2 + 2?", "responses": ["4", "5"], "images": ["a.png"]}})
    assert not wanted.is_valid({"case": {"claim": CLAIM, "gold": {"label": "SUPPORT"}}})


async def test_a_verdict_comes_as_json_and_in_words_with_its_steps() -> None:
    steps: list[tuple[float, str | None]] = []

    async def note(done: float, total: float | None, message: str | None) -> None:
        steps.append((done, message))

    async with served(judges=("veri-r1",)) as client:
        await client.list_tools()  # the client checks results by the schemas that it was told
        result = await client.call_tool("judge_veri_r1", {"claim": CLAIM}, progress_callback=note)
        verdict = Verdict.model_validate(result.structured_content)
        assert verdict.label == "SUPPORT" and "Helsinki" in (verdict.evidence[0].quote or "")
        words = result.content[0].text  # type: ignore[union-attr]
        assert words.startswith("SUPPORT (") and "“Linus Torvalds was born in Helsinki in 1969.”" in words
        assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
        assert any((message or "").startswith("calls retrieve") for _, message in steps)
        alone = await client.call_tool("judge_veri_r1", {"claim": CLAIM, "corpus": None})
        assert alone.structured_content["label"] == "NOT ENOUGH INFO"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({}, "give either 'case' or 'claim'"),
        ({"claim": " "}, "claim"),
        ({"claim": "x", "stream": True}, "stream: judge_veri_r1 has no such argument"),
        ({"claim": "x", "corpus": "other"}, "no corpus 'other' here; there is demo"),
        ({"claim": "x", "deadline": -1}, "deadline"),
        ({"case": {"prompt": "p", "response": "r"}}, "takes a Claim, not a Response"),
        ({"case": {"claim": "x", "images": ["/etc/passwd"]}}, "must not name files of the server"),
        ({"case": {"claim": "x", "images": ["data:image/png;base64,AAAA"]}}, "none of image/png"),
    ],
)
async def test_what_cannot_be_judged_is_an_error_that_says_why(args: dict[str, Any], told: str) -> None:
    async with served(ScriptedModel([]), judges=("veri-r1",)) as client:
        assert told in await text_of(client, "judge_veri_r1", args, failed=True)


async def test_a_failed_judgement_is_an_error_and_its_verdict_is_there() -> None:
    async with served(ScriptedModel([]), judges=("veri-r1",)) as client:
        result = await client.call_tool("judge_veri_r1", {"claim": CLAIM})
    assert result.is_error and "veri-r1 failed (model)" in result.content[0].text  # type: ignore[union-attr]
    assert Verdict.model_validate(result.structured_content).failure is not None


async def test_an_unknown_tool_is_an_error_of_the_protocol() -> None:
    async with served(ScriptedModel([]), judges=("veri-r1",)) as client:
        with pytest.raises(MCPError, match="no tool 'nope'; there is judge_veri_r1"):
            await client.call_tool("nope", {})


async def test_a_call_that_is_cancelled_is_broken_off() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def waits(request: Request) -> str:
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()
        return ""

    async with served(ScriptedModel(waits), judges=("veri-r1",)) as client:
        asking = asyncio.create_task(client.call_tool("judge_veri_r1", {"claim": CLAIM}))
        await asyncio.wait_for(begun.wait(), 60)
        asking.cancel()
        await asyncio.wait_for(ended.wait(), 60)
        assert "Helsinki" in await text_of(client, "retrieve", {"query": "Torvalds"})


async def test_calls_at_once_do_not_meet() -> None:
    async with served(ScriptedModel(Hesitant()), judges=("veri-r1",)) as client:
        cases = [{"case": {"id": f"c{n}", "claim": f"Claim {n}. wait 0.05"}} for n in range(12)]
        done = await asyncio.gather(*(client.call_tool("judge_veri_r1", case) for case in cases))
    assert [each.structured_content["case_id"] for each in done] == [f"c{n}" for n in range(12)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("claim", "case", "corpus", "deadline", "query", "k", "image", "bbox_2d", "response", "filename", "image_idx")


TOOLS = ("judge_veri_r1", "retrieve", "ocr", "image_zoom_in_tool", "check_instruction", "measure")
ARGS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON, max_size=4)


@settings(max_examples=15)
@given(calls=st.lists(st.tuples(st.sampled_from(TOOLS), ARGS), min_size=4, max_size=12))
def test_whatever_is_sent_is_answered(calls: list[tuple[str, dict[str, Any]]]) -> None:
    async def ask() -> None:
        async with served(ScriptedModel([CALL, said(None)]), judges=("veri-r1",)) as client:
            for tool, args in calls:
                result = await client.call_tool(tool, args)
                assert result.content[0].type == "text" and result.content[0].text

    asyncio.run(ask())


# tools


async def test_tools_take_things_themselves_in_place_of_names() -> None:
    async with served(ScriptedModel([]), judges=("veri-r1",), tools=("*",)) as client:
        read = await client.call_tool("ocr", {"image": uri(picture())})
        assert "TOTAL 48.10" in read.content[0].text  # type: ignore[union-attr]
        assert read.structured_content["evidence"][0]["kind"] == "region"
        zoomed = await client.call_tool("image_zoom_in_tool", {"image": uri(picture()), "bbox_2d": [0, 0, 500, 500]})
        shown = zoomed.content[1]
        assert shown.type == "image" and Image.open(io.BytesIO(base64.b64decode(shown.data))).size == (600, 200)
        other = {"what": "difference", "image": uri(picture()), "other": uri(picture("TOTAL 99.99"))}
        assert "in 2 places" in await text_of(client, "measure", other)
        check = {"response": "one two three", "lower_bound": 1, "upper_bound": 2}
        counted = await text_of(client, "check_whether_response_word_count_in_range", check)
        assert counted.startswith("Check result: False. text_0: 3 words")
        assert "[[torvalds:0]]" in await text_of(client, "retrieve", {"query": "Torvalds", "k": 1})
        assert "query" in await text_of(client, "retrieve", {"q": "Torvalds"}, failed=True)
        assert "image: Field required" in await text_of(client, "ocr", {}, failed=True)


async def test_files_are_read_below_the_root_alone(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "secret.png"
    root.mkdir()
    outside.write_bytes(picture("SECRET"))
    (root / "receipt.png").write_bytes(picture())
    (root / "link.png").symlink_to(outside)
    async with served(ScriptedModel([]), judges=("veri-r1",), root=root) as client:
        described = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert str(root) in json.dumps(described["ocr"].input_schema)
        assert "48.10" in await text_of(client, "find_text", {"image": "receipt.png", "text": "48.10"})
        for name in ("../secret.png", str(outside), "link.png", "absent.png", "."):
            told = await text_of(client, "ocr", {"image": name}, failed=True)
            assert "not in the folder that the server allows" in told and "SECRET" not in told


async def test_pages_of_a_document_can_be_opened(tmp_path: Path) -> None:
    pages = [Image.open(io.BytesIO(picture(f"Page {n}"))) for n in (1, 2)]
    pages[0].save(tmp_path / "report.pdf", save_all=True, append_images=pages[1:])
    async with served(ScriptedModel([]), judges=("veri-r1",), root=tmp_path) as client:
        for name in ("report.pdf", uri((tmp_path / "report.pdf").read_bytes(), "application/pdf")):
            opened = await client.call_tool("doc_page_retrieval_by_index", {"filename": name, "image_idx": 2})
            assert not opened.is_error and [block.type for block in opened.content] == ["text", "image"]
        assert "no page 3" in await text_of(
            client, "doc_page_retrieval_by_index", {"filename": "report.pdf", "image_idx": 3}, failed=True
        )


def test_patterns_choose_tools_and_misses_are_told(tmp_path: Path) -> None:
    bench = Bench.load(("veri-r1",), model=ScriptedModel([]))
    place = Place(tmp_path, Files())
    assert [offer.name for offer in tool_offers(bench, place, ("ocr", "find*"))] == ["ocr", "find_text"]
    with pytest.raises(DataError, match="no tool 'retrieve' here; there is image_zoom_in_tool"):
        tool_offers(bench, place, ("retrieve",))


# as a user starts it


async def test_a_client_starts_it_itself_on_standard_input_and_output() -> None:
    started = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env={"OMP_NUM_THREADS": "1"})
    async with Client(started) as client:
        assert client.server_info is not None and client.server_info.name == "agentjudge"
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names[:2] == ["judge_veri_r1", "retrieve"]
        result = await client.call_tool("judge_veri_r1", {"claim": CLAIM})
        assert result.structured_content["label"] == "SUPPORT"
        assert "[[torvalds:0]]" in await text_of(client, "retrieve", {"query": "Torvalds"})


async def test_it_is_served_over_http_to_those_who_have_the_key() -> None:
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

    env = {**os.environ, "AGENTJUDGE_MCP_KEY": "s3cret", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*COMMAND, "--http", "0"], stderr=subprocess.PIPE, text=True, env=env)
    watchdog = threading.Timer(300, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        line = await asyncio.to_thread(process.stderr.readline)
        assert "tools at http://127.0.0.1:" in line and "judge_veri_r1" in line, line + process.stderr.read()
        url = line.split(" at ")[1].split(": ")[0]
        async with create_mcp_http_client(headers={"Authorization": "Bearer s3cret"}) as asking:
            for mode in ("auto", "legacy"):
                async with Client(streamable_http_client(url, http_client=asking), mode=mode) as client:
                    assert "judge_veri_r1" in [tool.name for tool in (await client.list_tools()).tools]
                    result = await client.call_tool("judge_veri_r1", {"claim": CLAIM})
                    assert result.structured_content["label"] == "SUPPORT"
        keyed = {"Authorization": "Bearer s3cret"}
        assert httpx.post(url, json={}).status_code == 401
        assert httpx.post(url, json={}, headers={**keyed, "Origin": "http://evil.example"}).status_code == 403
        assert httpx.post(url, json={}, headers={**keyed, "Host": "evil.example"}).status_code == 421
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--judge", "veri-r1", "--no-judges"], "--no-judges goes without --judge"),
        (["--no-judges", "--no-tools"], "nothing is offered"),
        (["--judge", "nope"], "unknown judge 'nope'"),
        (["--root", "/no/such/folder"], "no such folder"),
        (["--http", "0", "--host", "0.0.0.0"], "give --api-key"),
        (["--mcp", "/no/such/file.json"], "no judge here uses tools of MCP servers with the model 'embedded'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: list[str], told: str) -> None:
    done = CliRunner().invoke(main, ["mcp", *options])
    assert done.exit_code == 2 and told in done.stderr


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError, match=r"agentjudge\[mcp\]"):
        McpService().open(tmp_path)
