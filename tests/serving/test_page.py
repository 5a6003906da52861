"""The page at `/` in a real browser: what is asked, what is shown, what goes wrong, and what it never does."""

import asyncio
import base64
import io
import json
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from api_servers import CALL, Hesitant, ring, said
from PIL import Image, ImageDraw

from agentjudge.demo import CORPUS
from agentjudge.errors import ModelError
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel
from agentjudge.serving.api_app import create_app
from agentjudge.serving.api_bench import Bench
from agentjudge.serving.api_store import Store
from agentjudge.serving.api_work import ApiLimits
from agentjudge.serving.page import parts
from tests.chromium import Tab, chromium, needs_chromium

browser = needs_chromium()
READY = "document.documentElement.dataset.ready"
VERDICT = "document.querySelector('#thread > :last-child .verdict-line .pill')?.textContent"
CLAIM = "Linus Torvalds was born in Helsinki."
HOSTILE = "<img src=x onerror=\"window.broken = 'yes'\"><script>window.broken = 'yes'</script>"
NOT_ASKED = {"data", "blob"}


class Served:
    """A server in this process."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{server.config.port}/"

    def hang_up(self) -> None:
        """Break all connections off."""
        for connection in list(self.server.server_state.connections):
            connection.transport.abort()


@asynccontextmanager
async def served(
    folder: Path, say: Any = None, *, judges: tuple[str, ...] = ("veri-r1",), model: Any = None, **how: Any
) -> AsyncIterator[Served]:
    corpora = {"demo": (str(CORPUS),)}
    bench = Bench.load(judges, model=model or ScriptedModel(say or Hesitant()), corpora=corpora)
    app = create_app(bench, Store.open(folder / "store"), local=True, **how)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        yield Served(server)
    finally:
        server.should_exit = True
        Served(server).hang_up()
        await serving


@pytest.fixture
async def tab() -> AsyncIterator[Tab]:
    async with chromium() as tab:
        yield tab


async def enter(tab: Tab, url: str, **how: Any) -> None:
    await tab.open(url, **how)
    await tab.until(READY)


async def write(tab: Tab, id: str, text: str) -> None:
    """Type into a field, as a person does."""
    await tab.run(f"document.getElementById('{id}').focus()")
    await tab.send("Input.insertText", text=text)


async def press(tab: Tab, key: str, *, ctrl: bool = False) -> None:
    text = {"Enter": "\r"}.get(key, key)
    code = 13 if key == "Enter" else ord(key.upper()[0])
    how = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 2 if ctrl else 0}
    await tab.send("Input.dispatchKeyEvent", type="keyDown", text="" if ctrl else text, **how)
    await tab.send("Input.dispatchKeyEvent", type="keyUp", **how)


async def drop(tab: Tab, *files: tuple[str, bytes]) -> None:
    """Let files fall onto the page."""
    sent = json.dumps([[name, base64.b64encode(data).decode()] for name, data in files])
    await tab.run(
        f"""(() => {{
          const carried = new DataTransfer();
          for (const [name, data] of {sent}) carried.items.add(
            new File([Uint8Array.from(atob(data), (each) => each.charCodeAt(0))], name));
          for (const type of ["dragenter", "dragover", "drop"]) document.body.dispatchEvent(
            new DragEvent(type, {{ dataTransfer: carried, bubbles: true, cancelable: true }}));
        }})()"""
    )
    await tab.until("document.querySelectorAll('.files li').length > 0")


async def choose(tab: Tab, id: str, *files: Path) -> None:
    """Pick files by the button."""
    found = await tab.send("Runtime.evaluate", expression=f"document.getElementById('{id}')")
    await tab.send("DOM.setFileInputFiles", files=list(map(str, files)), objectId=found["result"]["objectId"])


async def check(tab: Tab, url: str, claim: str = CLAIM, **how: Any) -> str:
    """Ask for a claim, and wait for its verdict."""
    await enter(tab, url, **how)
    await write(tab, "claim", claim)
    await press(tab, "Enter", ctrl=True)
    verdict: str = await tab.until(VERDICT)
    return verdict


async def text(tab: Tab, selector: str) -> str:
    found: str = await tab.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
    return found


def left(tab: Tab, url: str) -> set[str]:
    """Requests that went elsewhere."""
    return {each for each in tab.requests if each.partition(":")[0] not in NOT_ASKED and not each.startswith(url)}


async def scrolls_sideways(tab: Tab) -> bool:
    wide: bool = await tab.run("document.documentElement.scrollWidth > innerWidth")
    return wide


def chart() -> bytes:
    """A white picture with a red bar."""
    image = Image.new("RGB", (800, 600), "white")
    ImageDraw.Draw(image).rectangle((400, 150, 559, 449), fill="#d01010")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


async def look(request: Request) -> Any:
    """Zooms in once, then cites the crop."""
    if request.tools and not any(message["role"] == "assistant" for message in request.messages):
        spec = next(tool for tool in request.tools if tool["function"]["name"] == "image_zoom_in_tool")
        which = next(name for name in spec["function"]["parameters"]["properties"] if "image" in name)
        call = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [450, 200, 750, 800], which: "original_image"}}
        return {"content": "I look at the bar.", "tool_calls": [{"function": call}]}
    return said("SUPPORT", "observation_1", reason="The bar is red.")


@browser
async def test_a_claim_is_verified_with_its_steps_as_they_come(tab: Tab, tmp_path: Path) -> None:
    say = Hesitant()
    say.gate = asyncio.Event()
    async with served(tmp_path, say) as server:
        await enter(tab, server.url)
        await tab.run(
            "window.heard = []; window.status_line = document.getElementById('status');"
            "new MutationObserver(() => window.heard.push(window.status_line.textContent))"
            ".observe(window.status_line, { childList: true, characterData: true, subtree: true })"
        )
        await write(tab, "claim", CLAIM)
        await press(tab, "Enter", ctrl=True)
        await tab.until("document.querySelector('.call .result')?.innerText.includes('sentences in Linus Torvalds')")
        assert await tab.run("!document.querySelector('.verdict-line') && !!document.querySelector('.waiting')")
        assert "Linus Torvalds born" in await text(tab, ".call header")
        say.gate.set()
        assert await tab.until(VERDICT) == "SUPPORT"
        assert await text(tab, ".meter") == "90% sure (stated)"
        cost = await text(tab, ".cost")
        assert "2 turns" in cost and "1 tool call" in cost and "tokens read" in cost and "corpus demo" in cost
        marks = "[...document.querySelectorAll('.proof mark')].map(mark => mark.textContent)"
        assert await tab.run(marks) == ["Linus Torvalds was born in Helsinki in 1969."]
        assert "He began his kernel as a student." in await text(tab, ".passage")
        heard = await tab.run("window.heard")
        assert heard[0] == "Checking." and heard[-1] == "Verdict: SUPPORT, 90% sure."
        assert any(said.startswith("retrieve: ") for said in heard)
        await press(tab, "s")
        await tab.until("document.querySelector('.steps-of').open")
        assert await tab.run("document.querySelector('.talk-steps mark').firstChild.textContent") == (
            "Linus Torvalds was born in Helsinki in 1969."
        )
        assert tab.problems == [] and left(tab, server.url) == set()
        await tab.screenshot(tmp_path / "claim.png")


@browser
async def test_a_verdict_has_a_link_and_a_place_in_the_history(tab: Tab, tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        await check(tab, server.url)
        first = await tab.run("location.href")
        assert re.fullmatch(re.escape(server.url) + r"#/verdicts/v_[\w-]+", first)
        await press(tab, "n")
        await tab.until("document.activeElement.id === 'claim'")
        await write(tab, "claim", "Tux is a penguin.")
        await tab.run("document.getElementById('go').click()")
        await tab.until(f"location.href !== {json.dumps(first)} && {VERDICT}")
        texts = "[...document.querySelectorAll('#past .text')].map(each => each.textContent)"
        assert await tab.run(texts) == ["Tux is a penguin.", CLAIM]
        await press(tab, "j")
        await tab.until(f"location.href === {json.dumps(first)} && {VERDICT}")
        await tab.open("about:blank")
        await enter(tab, first)
        assert await tab.until(VERDICT) == "SUPPORT" and await text(tab, "h1.question") == CLAIM
        await tab.run("document.querySelector('.steps-of').open = true")
        await tab.until("document.querySelector('.talk-steps .call')?.innerText.includes('retrieve')")
        await tab.run("document.querySelector('#past li:last-child .away').click()")
        assert await tab.run(texts) == ["Tux is a penguin."]
        assert tab.problems == []


@browser
async def test_a_crop_is_drawn_on_the_picture_that_was_dropped(tab: Tab, tmp_path: Path) -> None:
    async with served(tmp_path, look, judges=("veri-r1", "arm-thinker")) as server:
        await enter(tab, server.url)
        await drop(tab, ("chart.png", chart()))
        assert "chart.png" in await text(tab, ".files")
        await write(tab, "claim", "The bar is red.")
        await press(tab, "Enter", ctrl=True)
        assert await tab.until(VERDICT) == "SUPPORT", await text(tab, "#verdicts")
        await tab.until("[...document.images].every(image => image.complete && image.naturalWidth)")
        await tab.run("document.querySelector('.proof').scrollIntoView({ block: 'center' })")
        frame, box = await tab.run(
            "['.proof .source img', '.proof .source .box:not(.cut)'].map(name => document.querySelector(name)"
            ".getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])"
        )
        sides = [(box[i] - frame[i % 2]) / (frame[i % 2 + 2] - frame[i % 2]) * 1000 for i in range(4)]
        assert all(abs(side - wanted) < 12 for side, wanted in zip(sides, (450, 200, 750, 800), strict=True)), sides
        picture = Image.open(io.BytesIO(await tab.screenshot(tmp_path / "crop.png"))).convert("RGB")
        inside = picture.getpixel((int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)))
        beside = picture.getpixel((int(frame[0] + 8), int((frame[1] + frame[3]) / 2)))
        assert inside[0] > 150 > inside[1] + 50, "the red bar lies inside of the box"  # type: ignore[index]
        assert beside[0] < 200, "what lies outside of the crop is dimmed"  # type: ignore[index]
        await tab.run("document.querySelector('.proof .framed').click()")
        await tab.until("document.querySelector('#zoom[open] img')?.naturalWidth === 800")
        await tab.run("document.getElementById('zoom').close()")
        await tab.run("document.querySelector('.steps-of').open = true")
        await tab.until("document.querySelectorAll('.talk-steps .region img').length === 2")
        assert tab.problems == [] and left(tab, server.url) == set()


@browser
async def test_a_challenge_with_a_document_changes_the_verdict(tab: Tab, tmp_path: Path) -> None:
    memo = tmp_path / "memo.txt"
    memo.write_text("😀 An old memo. Linus Torvalds was born in Turku, says the 😀 register.")
    async with served(tmp_path) as server:
        assert await check(tab, server.url) == "SUPPORT"
        await tab.until("!!document.getElementById('words')")
        await press(tab, "c")
        await tab.until("document.activeElement.id === 'words'")
        await tab.send("Input.insertText", text="The memo says otherwise.")
        await choose(tab, "again-input", memo)
        await tab.until("!!document.querySelector('#again .files li')")
        await press(tab, "Enter", ctrl=True)
        await tab.until("document.querySelectorAll('#thread > *').length === 2")
        assert await tab.until(VERDICT) == "REFUTE"
        assert await text(tab, ".words") == "The memo says otherwise."
        changed = await text(tab, ".changed")
        assert "SUPPORT" in changed and "REFUTE" in changed and "1 piece of evidence added" in changed
        assert (
            await tab.run("document.querySelector('#thread > :last-child .proof mark').textContent")
            == "😀 An old memo."
        )
        assert "new" in await text(tab, "#thread > :last-child .proof header")
        assert "memo" in await text(tab, ".given")
        await tab.screenshot(tmp_path / "challenge.png")
        address = await tab.run("location.href")
        await tab.open("about:blank")
        await enter(tab, address)
        await tab.until("document.querySelectorAll('#thread .verdict-line').length === 2")
        assert tab.problems == [] and left(tab, server.url) == set()


@browser
async def test_a_text_that_is_pasted_is_evidence_too(tab: Tab, tmp_path: Path) -> None:
    async with served(tmp_path, model="embedded") as server:
        await enter(tab, server.url)
        await write(tab, "claim", "The Zorb bridge was opened in 1932.")
        await tab.run("[...document.querySelectorAll('#ask button')].find(b => b.innerText === 'Add a text').click()")
        await tab.send("Input.insertText", text="The Zorb bridge was opened in 1975.")
        await tab.run("document.querySelector('.writing .button').click()")
        await tab.until("!!document.querySelector('.files li')")
        await tab.run("document.getElementById('corpus').value = ''; document.getElementById('go').click()")
        assert await tab.until(VERDICT) == "REFUTE", await text(tab, "#verdicts")
        assert "opened in 1975" in await text(tab, ".proof mark")
        assert "corpus" not in await text(tab, ".cost")


@browser
async def test_a_run_of_an_agent_is_dropped_as_json(tab: Tab, tmp_path: Path) -> None:
    run = {"goal": "Find the mug.", "steps": [{"observation": "[1] link 'Mug'", "action": "click [1]"}]}
    async with served(tmp_path, model="embedded", judges=("veri-r1", "trajectory", "checklist")) as server:
        await enter(tab, server.url)
        await drop(tab, ("run.json", json.dumps(run).encode()))
        assert "Find the mug." in await text(tab, ".case-file")
        options = await tab.run("[...document.getElementById('judge').options].map(each => each.value)")
        assert options == ["", "trajectory", "checklist"]
        await tab.run("document.getElementById('go').click()")
        assert await tab.until(VERDICT) in ("success", "failure", "blocked", "impossible", "abstained")
        assert "click [1]" in await text(tab, ".case")
        await enter(tab, server.url)
        shown = {**run, "steps": [{**run["steps"][0], "screenshot": "shots/one.png"}]}
        await drop(tab, ("run.json", json.dumps(shown).encode()))
        await tab.run("document.getElementById('go').click()")
        await tab.until("document.getElementById('ask-problem').innerText.includes('one.png')")
        await drop(tab, ("one.png", chart()))
        await tab.until("document.querySelectorAll('.files li').length === 2")
        await tab.run("document.getElementById('go').click()")
        await tab.until(VERDICT)
        await tab.until("document.querySelector('.case .steps img')?.naturalWidth === 800")
        assert tab.problems == []


@browser
async def test_errors_say_what_happened_and_what_to_do(tab: Tab, tmp_path: Path) -> None:
    say = Hesitant()
    say.gate = asyncio.Event()
    async with served(tmp_path, say, limits=ApiLimits(queue=1)) as server:
        await enter(tab, server.url)
        await tab.run("document.getElementById('go').click()")
        assert "There is no claim" in await tab.until("document.getElementById('ask-problem').innerText")
        await drop(tab, ("notes.txt", b"Nothing."), ("tool.exe", b"MZ"))
        assert "tool.exe is of a kind that no judge reads" in await text(tab, ".attached")
        assert tab.problems == []

        await tab.run(
            f"fetch('/v1/verdicts', {{ method: 'POST', headers: {{ 'Content-Type': 'application/json' }},"
            f" body: JSON.stringify({{ claim: {json.dumps(CLAIM)} }}) }}); null"
        )
        while not say.asked:
            await asyncio.sleep(0.02)
        await write(tab, "claim", CLAIM)
        await press(tab, "Enter", ctrl=True)
        await tab.until("document.getElementById('ask-problem').innerText.includes('The server is busy')")
        assert await tab.run("document.getElementById('claim').value") == CLAIM, "nothing typed is lost"
        assert await tab.run("document.querySelector('#ask-problem button').disabled"), "it counts down"
        await tab.screenshot(tmp_path / "error.png")
        say.gate.set()
        await tab.until("!document.querySelector('#ask-problem button').disabled")
        await tab.run("document.querySelector('#ask-problem button').click()")
        assert await tab.until(VERDICT) == "SUPPORT"

        await tab.run("location.hash = '#/verdicts/v_nothing'")
        await tab.until("document.getElementById('problem').innerText.includes('It is not there')")
        assert {problem.partition(":")[0] for problem in tab.problems} == {"Failed to load resource"}
        server.hang_up()
        await tab.run("location.hash = '#/'")
        server.server.should_exit = True
        await asyncio.sleep(1)
        await write(tab, "claim", CLAIM)
        await press(tab, "Enter", ctrl=True)
        await tab.until("document.getElementById('ask-problem').innerText.includes('cannot be reached')")
        assert "agentjudge serve" in await text(tab, "#ask-problem")


@browser
async def test_a_verdict_that_failed_says_why(tab: Tab, tmp_path: Path) -> None:
    def broken(request: Request) -> Any:
        raise ModelError("the model's server answers 500")

    async with served(tmp_path, broken) as server:
        assert await check(tab, server.url) == "failed"
        told = await text(tab, ".failure")
        assert "model failure" in told and "answers 500" in told and "tell the server's owner" in told
        assert tab.problems == []


@browser
async def test_a_lost_connection_is_taken_up_again(tab: Tab, tmp_path: Path) -> None:
    say = Hesitant()
    say.gate = asyncio.Event()
    async with served(tmp_path, say) as server:
        await enter(tab, server.url)
        await write(tab, "claim", CLAIM)
        await press(tab, "Enter", ctrl=True)
        await tab.until("!!document.querySelector('.call .result')")
        server.hang_up()
        await tab.until("document.getElementById('status').textContent.includes('Connection lost')")
        await asyncio.sleep(1)
        say.gate.set()
        assert await tab.until(VERDICT) == "SUPPORT"
        assert await tab.run("document.querySelectorAll('.call').length") == 1, "no step is shown twice"


@browser
async def test_a_key_is_asked_for_only_where_the_server_wants_one(tab: Tab, tmp_path: Path) -> None:
    async with served(tmp_path / "open") as server:
        await enter(tab, server.url)
        assert await tab.run("!document.querySelector('#key[open]') && document.getElementById('open-key').hidden")
    async with served(tmp_path / "shut", look, judges=("arm-thinker",), ring=ring(ann={})) as server:
        await enter(tab, server.url)
        await tab.until("!!document.querySelector('#key[open]')")
        await write(tab, "key-value", "wrong")
        await press(tab, "Enter")
        await tab.until("document.getElementById('key-problem').innerText.includes('does not know this key')")
        await write(tab, "key-value", "k_ann")
        await press(tab, "Enter")
        await tab.until("!document.querySelector('#key[open]') && !document.getElementById('ask').hidden")
        assert await text(tab, "#problem") == ""
        await drop(tab, ("chart.png", chart()))
        await write(tab, "claim", "The bar is red.")
        await press(tab, "Enter", ctrl=True)
        assert await tab.until(VERDICT) == "SUPPORT"
        await tab.until("document.querySelector('.proof .source img')?.naturalWidth === 800")
        assert not any("k_ann" in url for url in tab.requests)


@browser
async def test_hostile_text_is_text(tab: Tab, tmp_path: Path) -> None:
    def say(request: Request) -> Any:
        if request.tools and not request.events:
            return {"content": HOSTILE, **CALL}
        return said("REFUTE", *[ref.id for ref in request.opening][:1], reason=HOSTILE)

    async with served(tmp_path, say) as server:
        await enter(tab, server.url)
        await drop(tab, ("a.txt", f"It says {HOSTILE} there.".encode()))
        await write(tab, "claim", HOSTILE)
        await press(tab, "Enter", ctrl=True)
        await tab.until(VERDICT)
        await tab.run("document.querySelector('.steps-of').open = true")
        assert await tab.run("window.broken ?? null") is None
        assert await tab.run("document.querySelectorAll('#main img[onerror], #main script, #past img').length") == 0
        assert await text(tab, ".reason") == HOSTILE
        await tab.until("document.querySelector('.proof mark')?.textContent.includes('<img src=x')")
        assert tab.problems == [] and left(tab, server.url) == set()


@browser
@pytest.mark.parametrize("dark", [False, True])
async def test_a_phone_needs_no_scrolling_sideways(tab: Tab, tmp_path: Path, dark: bool) -> None:
    async with served(tmp_path, look, judges=("arm-thinker",)) as server:
        await enter(tab, server.url, size=(360, 740), dark=dark)
        assert not await scrolls_sideways(tab)
        await drop(tab, ("a-name-that-is-long-" * 8 + ".png", chart()))
        assert not await scrolls_sideways(tab)
        await write(tab, "claim", "The bar is red, " + "W" * 90)
        await tab.run("document.getElementById('go').click()")
        await tab.until(VERDICT)
        await tab.run("document.querySelector('.steps-of').open = true")
        await tab.until("[...document.images].every(image => image.complete && image.naturalWidth)")
        assert not await scrolls_sideways(tab)
        await tab.screenshot(tmp_path / "phone.png")
        await tab.run("document.getElementById('open-past').click()")
        await tab.until("!!document.querySelector('#past-dialog[open] a')")
        assert not await scrolls_sideways(tab)
        ground = await tab.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        assert (sum(ground[:3]) < 200) == dark


def axe() -> Path | None:
    """The accessibility checker, where it is installed: `npm install axe-core` here or in a folder of NODE_PATH."""
    here = Path(__file__).parents[2] / "node_modules"
    folders = [here, *map(Path, filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)))]
    return next((file for each in folders if (file := each / "axe-core/axe.min.js").is_file()), None)


@browser
@pytest.mark.skipif(axe() is None, reason="no axe-core: npm install axe-core, here or in a folder of NODE_PATH")
@pytest.mark.parametrize("dark", [False, True])
async def test_axe_finds_nothing_serious(tab: Tab, tmp_path: Path, dark: bool) -> None:
    checker = axe()
    assert checker is not None

    async def issues() -> list[str]:
        await tab.run(checker.read_text() + "; null")
        found = await tab.run(
            "axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) =>"
            " [impact, id, ...nodes.map(({ html }) => html.slice(0, 120))]))"
        )
        return [each for each in found if each[0] in ("serious", "critical")]

    async with served(tmp_path, look, judges=("arm-thinker",)) as server:
        await enter(tab, server.url, dark=dark)
        assert await issues() == [], "the empty page"
        await drop(tab, ("chart.png", chart()))
        await write(tab, "claim", "The bar is red.")
        await tab.run("document.getElementById('go').click()")
        await tab.until(VERDICT)
        await tab.run("document.querySelector('.steps-of').open = true")
        await tab.until("!!document.getElementById('words')")
        assert await issues() == [], "a verdict"
        await write(tab, "words", "look again")
        await press(tab, "Enter", ctrl=True)
        await tab.until("document.querySelectorAll('#thread .verdict-line').length === 2")
        assert await issues() == [], "a challenge"
        await tab.run("document.getElementById('open-keys').click()")
        assert await issues() == [], "a dialog"
        await tab.run("document.getElementById('keys').close(); location.hash = '#/verdicts/none'")
        await tab.until("!!document.querySelector('#problem .failure')")
        assert await issues() == [], "an error"


def test_the_page_is_small_and_names_no_other_host() -> None:
    files = parts()
    assert sum(map(len, files.values())) < 300_000 and {"index.html", "page.js", "page.css"} <= set(files)
    for name, data in files.items():
        assert not re.search(rb"https?://", data), name
        assert b"innerHTML" not in data and b"insertAdjacentHTML" not in data and b"eval(" not in data, name


async def test_its_policy_is_strict_and_its_parts_are_kept_by_browsers(tmp_path: Path) -> None:
    import httpx

    async with served(tmp_path) as server, httpx.AsyncClient(base_url=server.url) as client:
        page = await client.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "require-trusted-types" in policy
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        for path in re.findall(r'(?:href|src)="(/page/[^"]+)"', page.text):
            part = await client.get(path)
            assert part.status_code == 200 and part.headers["content-security-policy"] == policy
            again = await client.get(path, headers={"If-None-Match": part.headers["etag"]})
            assert again.status_code == 304 and not again.content
        assert (await client.get("/page/../page.py")).status_code == 404
        assert (await client.get("/page/none.js")).status_code == 404
