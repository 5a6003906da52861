"""Verdicts over HTTP: every kind of case, steps, traces, files, limits, and what goes wrong."""

import asyncio
import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_servers import CALL, Hesitant, api, events_in, said
from PIL import Image

from agentjudge.case import ActionChoice
from agentjudge.errors import ModelError
from agentjudge.models.scripted import ScriptedModel
from agentjudge.serving.api_app import Watch
from agentjudge.serving.api_bench import Bench
from agentjudge.serving.api_files import FileLimits
from agentjudge.serving.api_work import ApiLimits
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

CLAIM = {"claim": "Linus Torvalds was born in Helsinki."}


def png(width: int = 40, height: int = 30, colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


async def test_a_verdict_and_everything_about_it(tmp_path: Path) -> None:
    async with api(tmp_path, model="embedded") as client:
        reply = await client.post("/v1/verdicts", json={"case": CLAIM})
        record = reply.json()
        assert reply.status_code == 200 and record["status"] == "scored" and record["judge"] == "veri-r1"
        verdict = Verdict.model_validate(record["verdict"])
        assert verdict.label == "SUPPORT" and verdict.evidence[0].quote
        around = record["sources"][verdict.evidence[0].id]
        assert around["title"] == "Linus Torvalds" and around["after"].startswith(" He began")
        assert (await client.get(f"/v1/verdicts/{record['id']}")).json() == record
        trace = Trace.from_json((await client.get(f"/v1/verdicts/{record['id']}/trace")).json())
        assert trace.verdict == verdict and [event.name for event in trace.events] == ["retrieve"]
        assert (await client.get("/v1/verdicts")).json() == {"verdicts": [record]}
        assert (await client.delete(f"/v1/verdicts/{record['id']}")).status_code == 204
        assert (await client.get(f"/v1/verdicts/{record['id']}")).status_code == 404


async def test_steps_come_in_order_and_again_from_the_trace(tmp_path: Path) -> None:
    async with api(tmp_path, [CALL, "I have seen enough.", said("SUPPORT", "torvalds:0")]) as client:
        live = await client.events("/v1/verdicts", {"case": CLAIM})
        names = [event.name for event in live]
        assert names == [
            *("start", "turn_started", "turn", "tool_call", "tool_result"),
            *("turn_started", "turn", "conclude", "turn", "verdict"),
        ]
        assert [event.id for event in live] == list(range(len(live)))
        call, result = live[3].data, live[4].data
        assert call["args"] == result["args"] == {"query": "Linus Torvalds born"}
        assert call["call_id"] == result["call_id"] and live[2].data["calls"] == [call["call_id"]]
        assert result["evidence"][0]["quote"] and result["sources"][result["evidence"][0]["id"]]["title"]
        assert live[0].data["status"] == "running" and live[-1].data["verdict"]["label"] == "SUPPORT"
        again = events_in((await client.get(f"/v1/verdicts/{live[0].data['id']}/events")).text)
        assert again == live
        tail = await client.get(f"/v1/verdicts/{live[0].data['id']}/events", headers={"Last-Event-ID": "7"})
        assert events_in(tail.text) == live[8:]


async def test_who_hangs_up_loses_nothing_and_several_may_follow(tmp_path: Path) -> None:
    say = Hesitant()
    say.gate = asyncio.Event()
    async with api(tmp_path, say) as client:
        asking = asyncio.create_task(client.post("/v1/verdicts", json={"case": CLAIM}))
        while say.asked < 2:
            await asyncio.sleep(0.01)
        asking.cancel()
        (record,) = (await client.get("/v1/verdicts")).json()["verdicts"]
        assert record["status"] == "running"
        assert (await client.get(f"/v1/verdicts/{record['id']}/trace")).status_code == 404
        paths = [client.get(f"/v1/verdicts/{record['id']}/events") for _ in range(3)]
        following = [asyncio.create_task(path) for path in paths]
        await asyncio.sleep(0.05)
        say.gate.set()
        heard = [events_in(reply.text) for reply in await asyncio.gather(*following)]
        assert heard[0] == heard[1] == heard[2] and heard[0][-1].name == "verdict"


async def test_a_verdict_that_is_deleted_is_broken_off(tmp_path: Path) -> None:
    say = Hesitant()
    say.gate = asyncio.Event()
    async with api(tmp_path, say) as client:
        asking = asyncio.create_task(client.events("/v1/verdicts", {"case": CLAIM}))
        while say.asked < 2:
            await asyncio.sleep(0.01)
        (record,) = (await client.get("/v1/verdicts")).json()["verdicts"]
        assert (await client.delete(f"/v1/verdicts/{record['id']}")).status_code == 204
        last = (await asking)[-1]
        assert last.name == "error" and "deleted" in last.data["detail"]


CASES: dict[str, dict[str, Any]] = {
    "claim": CLAIM,
    "response": {"kind": "response", "prompt": "When did the bridge open?", "response": "In 1932."},
    "comparison": {"prompt": "When did the bridge open?", "responses": ["In 1932.", "I do not know."]},
    "action_choice": {"goal": "Open the shop", "observation": "[1] link 'Shop'", "candidates": ["click [1]", "stop"]},
    "trajectory": {
        "goal": "Find the price of the mug.",
        "steps": [{"observation": "[1] link 'Mug'", "action": "click [1]"}, {"observation": "Mug 7 EUR"}],
        "final_answer": "7 EUR",
    },
}


@pytest.mark.parametrize("kind", CASES)
async def test_every_kind_of_case_finds_its_judge(tmp_path: Path, kind: str) -> None:
    async with api(tmp_path, model="embedded", judges=()) as client:
        judges = {judge["name"]: judge for judge in (await client.get("/v1/judges")).json()["judges"]}
        record = (await client.post("/v1/verdicts", json={"case": CASES[kind]})).json()
        assert record["status"] in ("scored", "abstained"), record["verdict"]["failure"]
        assert kind in judges[record["judge"]]["takes"] and record["case"]["kind"] == kind
        trace = await client.get(f"/v1/verdicts/{record['id']}/trace")
        assert Trace.from_json(trace.json()).judge == record["judge"]
        again = events_in((await client.get(f"/v1/verdicts/{record['id']}/events")).text)
        assert again[-1].data["verdict"] == record["verdict"]


async def test_a_picture_by_multipart_goes_to_a_judge_that_looks(tmp_path: Path) -> None:
    zoom = {"tool_calls": [{"function": {"name": "image_zoom_in_tool", "arguments": {}}}]}

    def say(request: Any) -> Any:
        if request.events:
            return said("SUPPORT", "original_image")
        spec = next(tool for tool in request.tools if tool["function"]["name"] == "image_zoom_in_tool")
        names = spec["function"]["parameters"]["properties"]
        args: dict[str, Any] = {"bbox_2d": [0, 0, 500, 500]}
        if image := next((name for name in names if "image" in name), None):
            args[image] = "original_image"
        zoom["tool_calls"][0]["function"]["arguments"] = {k: v for k, v in args.items() if k in names}
        return zoom

    async with api(tmp_path, say, judges=("veri-r1", "arm-thinker")) as client:
        files = [("images", ("red.png", png(), "image/png"))]
        reply = await client.post("/v1/verdicts", data={"claim": "It is red."}, files=files)
        record = reply.json()
        assert record["judge"] == "arm-thinker" and record["status"] == "scored", record["verdict"]
        (sha,) = record["case"]["images"]
        assert record["files"] == {sha: "red.png"}
        file = await client.get(f"/v1/files/{sha}")
        assert file.content == png() and file.headers["content-type"] == "image/png"
        crops = [(sha, about) for sha, about in record["pictures"].items() if about["parent"]]
        ((crop, about),) = crops
        assert about["root"] == sha and about["root_size"] == [40, 30]
        assert about["box_root"][:2] == [0, 0] and 500 <= about["box_root"][2] < 1000, (
            "what the tool cuts holds the box"
        )
        assert Image.open(io.BytesIO((await client.get(f"/v1/files/{crop}")).content)).size == tuple(about["size"])


async def test_documents_by_multipart_and_inline_are_read(tmp_path: Path) -> None:
    def say(request: Any) -> str:
        return said("SUPPORT", *[ref.id for ref in request.opening])

    text = {"id": "memo", "text": "The Zorb bridge opened in 1932."}
    async with api(tmp_path, say) as client:
        case = {"claim": "The Zorb bridge opened in 1932.", "documents": [text, uri(b"It is red.", "text/plain")]}
        refused = await client.post("/v1/verdicts", json={"case": {**case, "documents": ["/etc/passwd"]}})
        assert refused.status_code == 422 and "must not name files" in refused.json()["detail"]
        fields = {"case": json.dumps({"claim": case["claim"], "documents": [text]})}
        files = [("documents", ("note.md", b"# Note\n\nIt opened in May.", "text/markdown"))]
        record = (await client.post("/v1/verdicts", data=fields, files=files)).json()
        assert record["status"] == "scored", record["verdict"]
        quotes = " ".join(ref["quote"] for ref in record["verdict"]["evidence"])
        assert "The Zorb bridge opened in 1932." in quotes and "It opened in May." in quotes
        assert list(record["files"].values()) == ["note.md"]


async def test_what_is_not_of_the_form_is_refused_with_its_field(tmp_path: Path) -> None:
    limits = ApiLimits(max_body=20_000, files=FileLimits(pixels=2_000, files=2, pages=1))
    async with api(tmp_path, limits=limits) as client:

        async def refused(code: int, word: str, **how: Any) -> None:
            reply = await client.post("/v1/verdicts", **how)
            assert reply.status_code == code and word in reply.text, (reply.status_code, reply.text)
            assert "SECRET" not in reply.text

        await refused(400, "not JSON", content=b"{", headers={"content-type": "application/json"})
        await refused(415, "application/json", content=b"x", headers={"content-type": "text/plain"})
        await refused(422, "claim", json={"case": {"kind": "claim", "other": "SECRET"}})
        await refused(422, "either 'case' or 'claim'", json={})
        await refused(422, "extra", json={"case": CLAIM, "more": "SECRET"})
        await refused(422, "takes a Claim", json={"case": CASES["response"], "judge": "veri-r1"})
        await refused(404, "no judge", json={"case": CLAIM, "judge": "nobody"})
        await refused(404, "no corpus", json={"case": CLAIM, "corpus": "nowhere"})
        await refused(422, "greater than 0", json={"case": CLAIM, "deadline": 0})
        await refused(413, "over 20000 bytes", json={"case": {"claim": "x" * 30_000}})
        await refused(422, "over the limit of 2,000", json=_pictured(png(50, 50)))
        await refused(422, "over 2 files", json={"case": {**CLAIM, "images": [uri(png())] * 3}})
        await refused(422, "none of", files=[("images", ("x.png", b"no picture", "image/png"))], data=CLAIM)
        await refused(422, "no file is expected", files=[("pictures", ("x.png", png(), "image/png"))], data=CLAIM)
        listed = await client.get("/v1/verdicts")
        assert listed.json() == {"verdicts": []}


def _pictured(data: bytes) -> dict[str, Any]:
    return {"case": {**CLAIM, "images": [uri(data)]}}


async def test_a_pdf_of_too_many_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (20, 20), "white") for _ in range(3)]
    out = io.BytesIO()
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:])
    async with api(tmp_path, limits=ApiLimits(files=FileLimits(pages=2))) as client:
        reply = await client.post("/v1/verdicts", data=CLAIM, files=[("documents", ("x.pdf", out.getvalue()))])
        assert reply.status_code == 422 and "3 pages" in reply.json()["detail"]


async def test_a_judge_that_fails_is_a_verdict_and_tells_no_path(tmp_path: Path) -> None:
    def say(request: Any) -> str:
        raise ModelError("the server is gone", retriable=True)

    async with api(tmp_path, say) as client:
        live = await client.events("/v1/verdicts", {"case": CLAIM})
        assert live[-1].name == "verdict" and live[-1].data["status"] == "failed"
        assert live[-1].data["verdict"]["failure"] == {
            "kind": "model",
            "message": "the server is gone",
            "retriable": True,
        }
        broken = b"%PDF-1.7 " + b"x" * 100
        reply = await client.post("/v1/verdicts", data=CLAIM, files=[("documents", ("x.pdf", broken))])
        assert str(tmp_path) not in reply.text


async def test_the_deadline_bounds_the_judgement(tmp_path: Path) -> None:
    async def say(request: Any) -> str:
        assert request.deadline is not None and request.deadline <= 5
        return said("NOT ENOUGH INFO")

    async with api(tmp_path, say) as client:
        record = (await client.post("/v1/verdicts", json={"case": CLAIM, "deadline": 5})).json()
        assert record["status"] == "scored", record["verdict"]


async def test_the_log_has_no_content_unless_asked(tmp_path: Path) -> None:
    for contents in (False, True):
        lines: list[dict[str, Any]] = []
        async with api(tmp_path / str(contents), watch=Watch(lines.append, contents)) as client:
            await client.post("/v1/verdicts", json={"case": CLAIM})
            await client.get("/v1/verdicts/nothing")
            await client.get("/health")
        routes = [line["route"] for line in lines if "route" in line]
        assert routes == ["/v1/verdicts", "/v1/verdicts/{id}"]
        (judged,) = [line for line in lines if "judgement" in line]
        assert judged["status"] == "scored" and judged["tool_calls"] == 1
        assert ("Torvalds" in json.dumps(lines)) == contents


async def test_metrics_and_health_count(tmp_path: Path) -> None:
    async with api(tmp_path) as client:
        await client.post("/v1/verdicts", json={"case": CLAIM})
        text = (await client.get("/metrics")).text
        assert 'agentjudge_api_verdicts_total{judge="veri-r1",status="scored"} 1.0' in text
        assert 'route="/v1/verdicts"' in text and "agentjudge_api_judgements_running 0.0" in text
        assert (await client.get("/health")).json()["verdicts"] == {"running": 0, "in_flight": 0}


async def test_spans_are_reported(tmp_path: Path) -> None:
    traces: list[Trace] = []
    async with api(tmp_path, watch=Watch(report=traces.append)) as client:
        await client.post("/v1/verdicts", json={"case": CLAIM})
    assert [trace.judge for trace in traces] == ["veri-r1"]


async def test_a_queue_that_is_full_says_when_to_come_again(tmp_path: Path) -> None:
    say = Hesitant()
    say.gate = asyncio.Event()
    async with api(tmp_path, say, limits=ApiLimits(queue=1)) as client:
        asking = asyncio.create_task(client.post("/v1/verdicts", json={"case": CLAIM}))
        while say.asked < 2:
            await asyncio.sleep(0.01)
        reply = await client.post("/v1/verdicts", json={"case": CLAIM})
        assert reply.status_code == 429 and int(reply.headers["Retry-After"]) >= 1
        say.gate.set()
        assert (await asking).status_code == 200


async def test_pages_of_other_hosts_cannot_ask(tmp_path: Path) -> None:
    async with api(tmp_path, local=True) as client:
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example:8010"}):
            assert (await client.get("/v1/judges", headers=headers)).status_code == 403
        same = {"Origin": "http://127.0.0.1:8010", "Host": "127.0.0.1:8010"}
        assert (await client.get("/v1/judges", headers=same)).status_code == 200


async def test_a_corpus_by_name_and_its_retrieve(tmp_path: Path) -> None:
    for name, text in (("one", "Mont Blanc is 4806 m high."), ("two", "The Zorb bridge opened in 1932.")):
        (tmp_path / f"{name}.txt").write_text(text)
    corpora = {name: (str(tmp_path / f"{name}.txt"),) for name in ("one", "two")}
    looked: Callable[[Any], Any] = lambda request: said("NOT ENOUGH INFO") if request.events else CALL  # noqa: E731
    async with api(tmp_path / "store", looked, corpora=corpora) as client:
        assert [each["name"] for each in (await client.get("/v1/corpora")).json()["corpora"]] == ["one", "two"]
        body = {"queries": ["Zorb bridge"], "topk": 1}
        one = (await client.post("/retrieve", json=body)).json()["result"][0]
        two = (await client.post("/v1/corpora/two/retrieve", json=body)).json()["result"][0]
        assert one == [] and "1932" in two[0]["contents"]
        records = [
            (await client.post("/v1/verdicts", json={"case": CLAIM, **of})).json() for of in ({}, {"corpus": "two"})
        ]
        assert [record["corpus"] for record in records] == ["one", "two"]
        none = (await client.post("/v1/verdicts", json={"case": CLAIM, "corpus": None})).json()
        assert none["corpus"] is None and none["verdict"]["usage"]["tool_calls"] == 0


async def test_without_names_only_judges_that_the_model_can_drive_are_served() -> None:
    bench = Bench.load(model="embedded")
    action = ActionChoice(id="a", goal="Put a lamp in the cart.", observation="RootWebArea", candidates=("click('1')",))
    served = [about["name"] for about in bench.about()]
    assert bench.choose(action) == "web-arbiter" and not {"checklist", "webjudge"} & set(served)
    await bench.aclose()
    named = Bench.load(("checklist",), model=ScriptedModel([]))
    assert named.choose(action) == "checklist"
    await named.aclose()
