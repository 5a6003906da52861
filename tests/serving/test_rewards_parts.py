"""Parts of the reward server by themselves: breaker, cache, files, keys."""

import asyncio
import base64
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from reward_judges import ByNumber, answer, served

from agentjudge.case import Claim, Document, Response, Step, Trajectory, parse_case
from agentjudge.errors import ConfigError, DataError, ModelError, StoreError
from agentjudge.rewards.base import unknown
from agentjudge.rewards.verdict_value import VerdictValue
from agentjudge.serving.guards import Keys
from agentjudge.serving.rewards_breaker import Breaker
from agentjudge.serving.rewards_cache import FILE, RewardCache
from agentjudge.serving.rewards_entries import Entry, Unavailable, entry_of, no_score
from agentjudge.serving.rewards_files import Files, on_disk
from agentjudge.verdict import Provenance, Verdict

# breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def test_a_breaker_opens_after_outages_in_a_row_and_only_then() -> None:
    breaker = Breaker(outages=3, seconds=10, clock=Clock())
    for _ in range(5):
        breaker.failed(breaker.enter())
        breaker.failed(breaker.enter())
        breaker.succeeded()
    assert breaker.state == "closed"
    for _ in range(3):
        breaker.failed(breaker.enter())
    assert breaker.state == "open"
    with pytest.raises(Unavailable) as refused:
        breaker.enter()
    assert 9 < refused.value.after <= 10 and refused.value.retriable


def test_one_tries_when_the_time_is_over_and_closes_it_or_opens_it_again() -> None:
    clock = Clock()
    breaker = Breaker(outages=1, seconds=10, clock=clock)
    breaker.failed(breaker.enter())
    clock.now += 10
    assert breaker.state == "half-open"
    probe = breaker.enter()
    with pytest.raises(Unavailable, match="being tried"):
        breaker.enter()
    breaker.failed(probe)
    assert breaker.state == "open"
    clock.now += 10
    breaker.enter()
    breaker.succeeded()
    assert breaker.state == "closed" and breaker.enter() and breaker.enter()


def test_old_failures_say_nothing_new() -> None:
    clock = Clock()
    breaker = Breaker(outages=2, seconds=10, clock=clock)
    slow = [breaker.enter() for _ in range(5)]
    breaker.succeeded()
    for began in slow:
        breaker.failed(began)
    assert breaker.state == "closed"
    late = breaker.enter()
    for began in [breaker.enter() for _ in range(2)]:
        breaker.failed(began)
    clock.now += 10
    probe = breaker.enter()
    breaker.failed(late)  # began before it opened: not the probe's failure
    assert breaker.state == "half-open"
    breaker.failed(probe)
    assert breaker.state == "open"


def test_a_probe_that_ends_without_a_word_leaves_the_next_one_try() -> None:
    clock = Clock()
    breaker = Breaker(outages=1, seconds=10, clock=clock)
    breaker.failed(breaker.enter())
    clock.now += 10
    breaker.enter()
    breaker.left()
    assert breaker.enter()
    with pytest.raises(ConfigError):
        Breaker(outages=0)


# cache


def an_entry(score: float) -> Entry:
    verdict = Verdict(case_id="c", status="scored", score=score, provenance=Provenance(judge="j"))
    return entry_of(verdict, VerdictValue().of(verdict))


async def test_entries_outlive_the_cache_that_took_them(tmp_path: Path) -> None:
    cache = RewardCache(tmp_path)
    assert cache.get("a") is None
    await asyncio.gather(*(cache.put(f"{n}", (an_entry(n / 100),)) for n in range(100)))
    cache.close()
    again = RewardCache(tmp_path)
    assert [again.get(f"{n}") for n in range(100)] == [(an_entry(n / 100),) for n in range(100)]
    again.close()


async def test_two_processes_share_a_file(tmp_path: Path) -> None:
    one, other = RewardCache(tmp_path), RewardCache(tmp_path)
    await asyncio.gather(
        *(cache.put(f"{cache is one} {n}", (an_entry(0.5),)) for n in range(50) for cache in (one, other))
    )
    assert all(cache.get(f"{which} {n}") for n in range(50) for cache in (one, other) for which in (True, False))
    one.close()
    other.close()


async def test_a_cache_is_bounded_in_memory_and_on_disk(tmp_path: Path) -> None:
    small = RewardCache(entries=3)
    for n in range(5):
        await small.put(f"{n}", (an_entry(0.5),))
        assert small.get("0") is not None  # used all the time
    assert [small.get(f"{n}") is not None for n in range(5)] == [True, False, False, True, True]
    on_disk = RewardCache(tmp_path, entries=1, rows=40)
    for n in range(200):
        await on_disk.put(f"{n}", (an_entry(0.5),))
    on_disk.close()
    with sqlite3.connect(tmp_path / FILE) as base:
        (rows,) = base.execute("SELECT count(*) FROM rewards").fetchone()
        (newest,) = base.execute("SELECT count(*) FROM rewards WHERE key = '199'").fetchone()
    base.close()
    assert 40 <= rows <= 42 and newest == 1


def test_a_folder_that_cannot_hold_a_cache_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to look like a file of something" * 20)
    for folder in (tmp_path / "file", tmp_path):
        with pytest.raises(StoreError, match="cannot keep rewards in"):
            RewardCache(folder)
    with pytest.raises(ConfigError):
        RewardCache(entries=0)


async def test_a_disk_that_refuses_costs_no_answer(tmp_path: Path) -> None:
    cache = RewardCache(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as base:
        base.execute("DROP TABLE rewards")
    base.close()
    await asyncio.wait_for(cache.put("a", (an_entry(0.5),)), 20)
    assert cache.get("a") == (an_entry(0.5),) and cache.get("b") is None and "no such table" in cache.trouble
    cache.close()


def test_only_what_lasts_is_kept() -> None:
    for error in (ModelError("gone", retriable=True), Unavailable("out", after=2.0), RuntimeError("a secret")):
        entry = no_score("j", error)
        assert not entry.lasting and entry.score is None and "secret" not in str(entry)
    assert no_score("j", Unavailable("out", after=2.0)).after == 2.0
    abstained = Verdict(case_id="c", status="abstained", provenance=Provenance(judge="j"))
    assert an_entry(0.0).lasting and entry_of(abstained, VerdictValue().of(abstained)).lasting
    scored = Verdict(case_id="c", status="scored", score=0.5, provenance=Provenance(judge="j"))
    assert not entry_of(scored, unknown("the reward's own model is out")).lasting


def test_an_entry_is_shown_under_the_id_of_its_client() -> None:
    entry = an_entry(0.25)
    shown = json.loads(orjson.dumps(entry.shown('a "b"', seconds=0.5)))
    assert (shown["id"], shown["score"], shown["seconds"]) == ('a "b"', 0.25, 0.5)
    assert Verdict.model_validate(shown["verdict"]).case_id == 'a "b"'
    assert Entry.from_json(orjson.loads(orjson.dumps(entry.to_json()))) == entry


# files


def a_picture(colour: str = "red") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(data, "PNG")
    return data.getvalue()


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


CASES: list[dict[str, Any]] = [
    answer("x", images=["PATH"]),
    answer("x", documents=["PATH"]),
    {"kind": "trajectory", "goal": "Buy it", "steps": [{"screenshot": "PATH"}]},
    {"kind": "action_choice", "goal": "Buy it", "history": [{"screenshot": "PATH"}], "candidates": ["a"]},
]


def named(case: dict[str, Any], name: str) -> Any:
    def put(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: put(each) for key, each in value.items()}
        return [put(each) for each in value] if isinstance(value, list) else name if value == "PATH" else value

    return parse_case({"id": "c", **put(case)})


@pytest.mark.parametrize("case", CASES, ids=["image", "document", "screenshot", "history"])
def test_files_of_the_server_are_not_opened(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(a_picture())
    for name in (str(tmp_path / "secret.png"), "/etc/passwd", "a" * 64, "file:///etc/passwd", "http://x/y.png"):
        with pytest.raises(DataError, match="must not name files of the server") as refused:
            Files().admitted(named(case, name))
        assert name not in refused.value.message


@pytest.mark.parametrize("case", CASES, ids=["image", "document", "screenshot", "history"])
def test_files_of_the_allowed_folder_are_and_no_others(case: dict[str, Any], tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside.png"
    (root / "sub").mkdir(parents=True)
    outside.write_bytes(a_picture())
    (root / "sub" / "a.png").write_bytes(a_picture())
    (root / "link.png").symlink_to(outside)
    files = Files(root)
    for name in ("sub/a.png", str(root / "sub" / "a.png"), "sub/../sub/a.png"):
        found, contents = files.admitted(named(case, name))
        assert str(root.resolve() / "sub" / "a.png") in found.model_dump_json() and len(contents) == 1
    for name in ("../outside.png", str(outside), "link.png", "sub", "none.png", "/etc/passwd"):
        with pytest.raises(DataError, match="not in the folder"):
            files.admitted(named(case, name))


def test_the_content_of_a_file_is_part_of_the_question(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(a_picture())
    say = ByNumber()
    with TestClient(served(say, files=tmp_path)) as client:

        def cached() -> bool:
            reply = client.post("/v1/rewards", json={"cases": [answer("x #0.7", images=["a.png"])]})
            (found,) = reply.json()["results"]
            assert found["score"] == 0.7, found
            return bool(found["cached"])

        assert [cached(), cached()] == [False, True]
        (tmp_path / "a.png").write_bytes(a_picture("blue"))
        assert not cached()


async def test_inline_files_are_on_the_disk_as_long_as_the_judgement(tmp_path: Path) -> None:
    red, blue = uri(a_picture()), uri(a_picture("blue"))
    steps = (Step(screenshot=red), Step(), Step(screenshot=red))
    case = Trajectory(id="c", goal="Buy it", steps=steps, images=(blue,), documents=(red, Document(id="d", text="A.")))
    admitted, contents = Files().admitted(case)
    assert admitted == case and contents == []
    async with on_disk(case) as ready:
        assert isinstance(ready, Trajectory)
        shot, picture = ready.steps[0].screenshot, ready.images[0]
        assert shot is not None and shot == ready.steps[2].screenshot and ready.steps[1].screenshot is None
        assert Path(shot).read_bytes() == a_picture() and Path(picture).read_bytes() == a_picture("blue")
        assert Path(str(ready.documents[0])).suffix == ".png" and ready.documents[1] == case.documents[1]
    assert not Path(shot).exists() and not Path(shot).parent.exists()
    async with on_disk(Claim(id="c", claim="It is.")) as same:
        assert same == Claim(id="c", claim="It is.")


@pytest.mark.parametrize(
    "wrong",
    [
        "data:",
        "data:image/png,x",
        "data:text/html;base64,eA==",
        "data:image/png;base64,!!",
        "data:application/pdf;base64,eA==",
    ],
)
def test_a_data_uri_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(DataError, match="data URI"):
        Files().admitted(Response(id="c", prompt="Q", response="A", images=(wrong,)))


def test_an_inline_picture_reaches_the_judge() -> None:
    say = ByNumber()
    with TestClient(served(say)) as client:
        reply = client.post("/v1/rewards", json={"cases": [answer("x #0.7", images=[uri(a_picture())])]})
        broken = client.post("/v1/rewards", json={"cases": [answer("y #0.7", images=[uri(b"no picture")])]})
    assert reply.json()["results"][0]["score"] == 0.7
    (seen,) = say.seen
    assert len(seen.case.images) == 1 and seen.store.get(seen.case.images[0]) == a_picture()
    assert broken.json()["results"][0]["score"] is None and "data:" in broken.json()["results"][0]["error"]


def test_pages_by_hash_are_refused_and_a_folder_must_be_one(tmp_path: Path) -> None:
    document = {"id": "d", "files": ["a" * 64], "pages": 1}
    with TestClient(served()) as client:
        reply = client.post("/v1/rewards", json={"cases": [answer("x", documents=[document])]})
    assert reply.status_code == 422 and "pages by their hash" in reply.json()["detail"]
    with pytest.raises(DataError, match="no such folder"):
        Files(tmp_path / "none")


# keys


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 401),
        ({"Authorization": "Bearer first"}, 200),
        ({"authorization": "bearer second"}, 200),
        ({"X-API-Key": "second"}, 200),
        ({"Authorization": "Basic " + base64.b64encode(b"any:first").decode()}, 200),
        ({"Authorization": "Basic " + base64.b64encode(b"first:any").decode()}, 401),
        ({"Authorization": "Basic !"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer firs"}, 401),
        ({"X-API-Key": ""}, 401),
    ],
)
def test_requests_need_one_of_the_keys(headers: dict[str, str], code: int) -> None:
    with TestClient(served(keys=("first", "second"))) as client:
        assert client.post("/v1/rewards", json={"cases": [answer("x")]}, headers=headers).status_code == code
        assert client.get("/metrics", headers=headers).status_code == code
        assert client.get("/health", headers=headers).status_code == 200


def test_a_blank_key_is_refused_and_every_key_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="blank"):
        served(keys=("first", " "))
    compared: list[bytes] = []
    real = __import__("hmac").compare_digest
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append(b) or real(a, b))
    keys = Keys(("first", "second", "third"))
    scope = {"type": "http", "path": "/v1/rewards", "headers": [(b"x-api-key", b"first")]}
    assert keys.admit(scope) and len(compared) == 3
