"""Keys: scopes, limits, and nobody sees what is another's."""

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_servers import Hesitant, api, ring
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentjudge.errors import ConfigError
from agentjudge.models.base import Request
from agentjudge.serving.api_keys import Key, KeyRing, read_keys
from agentjudge.serving.guards import digest

CLAIM = {"claim": "Linus Torvalds was born in Helsinki."}


def by(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer k_{name}"}


async def test_what_is_anothers_is_not_there(tmp_path: Path) -> None:
    """Every route with an id, for every id of another owner: 404, and word for word what an invented id gets."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(f"Linus Torvalds was born in {name}.")
    corpora = {name: (str(tmp_path / f"{name}.txt"),) for name in ("one", "two")}
    keys = ring(ann={"corpora": ["one"]}, bob={"corpora": ["two"]})
    async with api(tmp_path / "store", ring=keys, corpora=corpora) as client:
        ids = {name: await _fill(client, name) for name in ("ann", "bob")}

        @given(st.sampled_from(ROUTES), st.sampled_from(["ann", "bob"]), st.data())
        @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
        def each(route: tuple[str, str, str], me: str, data: Any) -> None:
            method, path, kind = route
            other = "bob" if me == "ann" else "ann"
            id = data.draw(st.sampled_from(sorted(ids[other][kind])))
            found.append((method, path.format(id=id), path.format(id=_invented(id)), me))

        found: list[tuple[str, str, str, str]] = []
        each()
        for method, path, invented, me in dict.fromkeys(found):
            body = BODIES.get(path.rsplit("/", 1)[-1])
            theirs, nobodys = [await client.request(method, at, json=body, headers=by(me)) for at in (path, invented)]
            assert theirs.status_code == nobodys.status_code == 404, (method, path, theirs.text)
            assert theirs.content == nobodys.content
        assert {(method, path.split("/")[2]) for method, path, _, _ in found} >= {
            ("GET", "verdicts"), ("GET", "files"), ("POST", "sessions"), ("DELETE", "sessions"), ("GET", "batches"),
        }  # fmt: skip
        for me, other in (("ann", "bob"), ("bob", "ann")):
            for path in ("/v1/verdicts?limit=500", "/v1/sessions?limit=200", "/v1/corpora"):
                text = (await client.get(path, headers=by(me))).text
                assert not any(id in text for each in ids[other].values() for id in each)
            older = await client.get(f"/v1/verdicts?before={min(ids[other]['verdicts'])}", headers=by(me))
            assert older.json() == {"verdicts": []}


ROUTES = [
    *(("GET", f"/v1/verdicts/{{id}}{tail}", "verdicts") for tail in ("", "/trace", "/events")),
    ("DELETE", "/v1/verdicts/{id}", "verdicts"),
    *((method, "/v1/sessions/{id}", "sessions") for method in ("GET", "DELETE")),
    *(("POST", f"/v1/sessions/{{id}}/{word}", "sessions") for word in ("challenge", "evidence", "ask", "resume")),
    ("GET", "/v1/batches/{id}", "batches"),
    ("GET", "/v1/batches/{id}/results", "batches"),
    ("POST", "/v1/batches/{id}/cancel", "batches"),
    ("GET", "/v1/files/{id}", "files"),
    ("POST", "/v1/corpora/{id}/retrieve", "corpora"),
]
BODIES: dict[str, Any] = {
    "challenge": {"words": "look again"},
    "evidence": {"text": ["more"]},
    "retrieve": {"queries": ["Linus"]},
}


def _invented(id: str) -> str:
    return id[:-4] + ("0000" if id[-4:] != "0000" else "1111")


async def _fill(client: httpx.AsyncClient, name: str) -> dict[str, set[str]]:
    """Something of every kind; its ids."""
    case = {**CLAIM, "documents": [f"data:text/plain;base64,{'YWJj' * (3 if name == 'ann' else 4)}"]}
    ids: dict[str, set[str]] = {"verdicts": set(), "sessions": set(), "batches": set(), "files": set()}
    for path in ("/v1/verdicts", "/v1/sessions", "/v1/sessions"):
        record = (await client.post(path, json={"case": case}, headers=by(name))).json()
        ids["verdicts"].add(record["id"])
        ids["files"] |= set(record["files"])
        if record["session"]:
            ids["sessions"].add(record["session"])
    batch = (await client.post("/v1/batches", json={"cases": [CLAIM] * 3}, headers=by(name))).json()
    ids["batches"].add(batch["id"])
    while (await client.get(f"/v1/batches/{batch['id']}", headers=by(name))).json()["status"] == "running":
        await asyncio.sleep(0.02)
    lines = (await client.get(f"/v1/batches/{batch['id']}/results", headers=by(name))).text.splitlines()
    assert len(lines) == 3
    ids["corpora"] = {"one" if name == "ann" else "two"}
    for sha in ids["files"]:
        assert (await client.get(f"/v1/files/{sha}", headers=by(name))).status_code == 200
    return ids


async def test_a_corpus_of_another_key_is_not_searched(tmp_path: Path) -> None:
    keys = ring(ann={"corpora": []}, bob={})
    async with api(tmp_path, ring=keys) as client:
        named = await client.post("/v1/verdicts", json={"case": CLAIM, "corpus": "demo"}, headers=by("ann"))
        assert named.status_code == 404
        record = (await client.post("/v1/verdicts", json={"case": CLAIM}, headers=by("ann"))).json()
        assert record["corpus"] is None and record["sources"] == {}
        assert (await client.post("/retrieve", json={"queries": ["x"]}, headers=by("ann"))).status_code == 404
        assert (await client.post("/retrieve", json={"queries": ["x"]}, headers=by("bob"))).status_code == 200


async def test_no_body_reaches_what_is_anothers(tmp_path: Path) -> None:
    """A corpus or a file of another owner, named in any body that takes one: refused as one that is nobody's."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(f"Linus Torvalds was born in {name}.")
    corpora = {name: (str(tmp_path / f"{name}.txt"),) for name in ("one", "two")}
    keys = ring(ann={"corpora": ["one"]}, bob={"corpora": ["two"]})
    async with api(tmp_path / "store", ring=keys, corpora=corpora) as client:
        ids = {name: await _fill(client, name) for name in ("ann", "bob")}
        mine = f"/v1/sessions/{min(ids['bob']['sessions'])}"
        for path, body in (
            ("/v1/verdicts", {"case": CLAIM}),
            ("/v1/sessions", {"case": CLAIM}),
            ("/v1/batches", {"cases": [CLAIM]}),
        ):
            found = [await client.post(path, json={**body, "corpus": c}, headers=by("bob")) for c in ("one", "none")]
            assert [reply.status_code for reply in found] == [404, 404]
            assert found[0].text.replace("one", "none") == found[1].text
        kept = await asyncio.to_thread(lambda: [*(tmp_path / "store" / "owners").rglob("*")])
        (sha,) = ids["ann"]["files"] - ids["bob"]["files"]
        named = {
            sha,
            *(str(file) for file in kept if sha in file.parts),
            *(f"{sha}/{f.name}" for f in kept if f.is_file()),
        }
        assert len(named) > 2
        for name in sorted(named):
            for field in ("images", "documents"):
                case = {**CLAIM, field: [name]}
                evidence = {field: [name]}
                for path, sent in (
                    ("/v1/verdicts", {"case": case}),
                    ("/v1/batches", {"cases": [case]}),
                    (f"{mine}/evidence", evidence),
                ):
                    reply = await client.post(path, json=sent, headers=by("bob"))
                    assert reply.status_code == 422, (path, name, reply.text)
        assert (await client.get(mine, headers=by("bob"))).json()["pending"] == 0


async def test_what_runs_at_the_same_time_stays_apart(tmp_path: Path) -> None:
    """Sessions of two owners with texts of their own, added evidence and objections, all at once."""
    prompts: list[str] = []
    hesitant = Hesitant()

    async def say(request: Request) -> Any:
        prompts.append(json.dumps(request.messages))
        await asyncio.sleep(0.01)
        return await hesitant(request)

    async with api(tmp_path, say, ring=ring(ann={}, bob={})) as client:

        async def session(name: str, number: int) -> None:
            me, heard = by(name), list[str]()

            async def post(path: str, body: Any) -> dict[str, Any]:
                reply = await client.post(path, json=body, headers=me)
                assert reply.status_code == 200, reply.text
                heard.append(reply.text)
                return dict(reply.json())

            memo = {"id": f"memo-{number}", "text": f"Of {name}-{number}: Linus Torvalds was born in Helsinki."}
            data = base64.b64encode(f"The file of {name}-{number} says Helsinki.".encode()).decode()
            case = {**CLAIM, "documents": [memo, f"data:text/plain;base64,{data}"]}
            first = await post("/v1/sessions", {"case": case})
            path = f"/v1/sessions/{first['session']}"
            await post(f"{path}/evidence", {"text": [f"Added by {name}-{number}."]})
            second = await post(f"{path}/challenge", {"words": f"{name}-{number} objects to it"})
            for id in (first["id"], second["id"]):
                for tail in ("", "/trace", "/events"):
                    heard.append((await client.get(f"/v1/verdicts/{id}{tail}", headers=me)).text)
            heard += [(await client.get(f"/v1/files/{sha}", headers=me)).text for sha in second["files"]]
            owners = set(re.findall(r"(?:ann|bob)-\d+", " ".join(heard)))
            assert owners == {f"{name}-{number}"}, owners

        await asyncio.gather(*(session(name, number) for name in ("ann", "bob") for number in range(10)))
        for name in ("ann", "bob"):
            listed = (await client.get("/v1/verdicts?limit=500", headers=by(name))).text
            assert set(re.findall(r"(ann|bob)-\d", listed)) == {name}
    for prompt in prompts:
        assert len(set(re.findall(r"(?:ann|bob)-\d+", prompt))) == 1


async def test_a_key_is_needed_and_has_its_scopes(tmp_path: Path) -> None:
    keys = ring(ann={"scopes": ["retrieve"]}, root={"scopes": ["admin"]})
    async with api(tmp_path, ring=keys) as client:
        for path in ("/v1/judges", "/v1/nothing", "/metrics"):
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, headers=by("nobody"))).status_code == 401
        for path in ("/health", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/v1/judges", headers=by("ann"))).status_code == 403
        assert (await client.get("/metrics", headers=by("ann"))).status_code == 403
        assert (await client.get("/metrics", headers=by("root"))).status_code == 200
        assert (await client.post("/retrieve", json={"queries": ["x"]}, headers=by("ann"))).status_code == 200
        schema = (await client.get("/openapi.json")).json()
        assert schema["security"] == [{"key": []}]


async def test_rate_and_concurrency_of_a_key(tmp_path: Path) -> None:
    say = Hesitant()
    say.gate = asyncio.Event()
    keys = ring(ann={"rate": 3}, bob={"concurrency": 1}, cy={})
    async with api(tmp_path, say, ring=keys) as client:
        codes = [(await client.get("/v1/judges", headers=by("ann"))) for _ in range(5)]
        assert [reply.status_code for reply in codes] == [200, 200, 200, 429, 429]
        assert 1 <= int(codes[-1].headers["Retry-After"]) <= 20
        asking = asyncio.create_task(client.post("/v1/verdicts", json={"case": CLAIM}, headers=by("bob")))
        while say.asked < 2:
            await asyncio.sleep(0.01)
        assert (await client.post("/v1/verdicts", json={"case": CLAIM}, headers=by("bob"))).status_code == 429
        other = asyncio.create_task(client.post("/v1/verdicts", json={"case": CLAIM}, headers=by("cy")))
        while say.asked < 4:
            await asyncio.sleep(0.01)
        say.gate.set()
        assert [reply.status_code for reply in await asyncio.gather(asking, other)] == [200, 200]
        assert (await client.post("/v1/verdicts", json={"case": CLAIM}, headers=by("bob"))).status_code == 200


def test_a_bucket_fills_evenly() -> None:
    now = [0.0]
    keys, key = KeyRing(clock=lambda: now[0]), Key(name="a", rate=60)
    assert [keys.take(key) for _ in range(61)][-2:] == [0.0, 1.0]
    now[0] = 2.0
    assert [keys.take(key) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_a_file_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[[key]]\nname = "web"\nsha256 = "{digest(b"s").hex()}"\nscopes = ["verdicts"]\nrate = 5\n')
    found = read_keys(file, ["all"])
    web = found.find([(b"x-api-key", b"s")])
    assert web is not None and (web.name, web.rate, web.scopes) == ("web", 5, {"verdicts"})
    everything = found.find([(b"authorization", b"Bearer all")])
    assert everything is not None and "admin" in everything.scopes and found.find([]) is None
    for wrong, word in [
        ("", "no \\[\\[key\\]\\]"),
        ('[[key]]\nname = "a"\n', "either 'key' or 'sha256'"),
        ('[[key]]\nname = "a"\nkey = "b"\nscopes = ["root"]\n', "scopes"),
        ('[[key]]\nname = "a"\nkey = "b"\n[[key]]\nname = "c"\nkey = "b"\n', "twice"),
        ('[[key]]\nname = "a"\nsha256 = "12"\n', "64 hexadecimal"),
        ("[[key", "cannot read"),
    ]:
        file.write_text(wrong)
        with pytest.raises(ConfigError, match=word):
            read_keys(file)
