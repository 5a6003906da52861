"""The API killed in the middle of a hundred sessions: each goes on where it was, out of SQLite and out of Postgres."""

import asyncio
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from api_servers import Sse, events_in, process, said, until
from serve_processes import Process
from servers import Body, ChatServer, call

from agentjudge.demo import CORPUS

AT_ONCE, WAITING, ENDED = 80, 20, 10
"""Sessions whose judgement is being made at the kill, those that wait behind them, and those that had ended before."""
SESSIONS = AT_ONCE + WAITING
LIVES = 4


class Model:
    """Behind the judge: looks once, then says SUPPORT; slowly, and while it is shut, some turns are never answered."""

    def __init__(self) -> None:
        self.shut = threading.Event()
        self.asked: Counter[tuple[int, str]] = Counter()
        """How often for each session, by its number and `look` or `say`."""
        self._chance = random.Random(0)

    @staticmethod
    def kept(number: int) -> str:
        """The turn in which a session is kept."""
        return "look" if number % 2 else "say"

    async def __call__(self, body: Body) -> Any:
        text = json.dumps(body["messages"])
        found = re.search(r"Zorb (\d+) ", text)
        assert found is not None
        number, shown = int(found[1]), [m for m in body["messages"] if m["role"] == "tool"]
        turn = "say" if shown else "look"
        self.asked[number, turn] += 1
        await asyncio.sleep(self._chance.uniform(0.05, 0.4))
        while self.shut.is_set() and turn == self.kept(number):
            await asyncio.sleep(0.25)
        if not shown:
            return call("retrieve", {"query": f"Zorb {number} bridge"})
        (cited, *_) = re.findall(r"\[\[([\w-]+:\d+)\]\]", json.dumps(shown))
        return said("REFUTE" if "objects to it" in text else "SUPPORT", cited)


class Heard(NamedTuple):
    """What a client got of a session before its connection broke."""

    number: int
    events: list[Sse]

    @property
    def session(self) -> str:
        return str(self.events[0].data["session"])


async def ask(client: httpx.AsyncClient, number: int) -> Heard:
    body = {"case": {"claim": f"The Zorb {number} bridge is long."}, "stream": True}
    text = ""
    try:
        async with client.stream("POST", "/v1/sessions", json=body) as reply:
            async for part in reply.aiter_text():
                text += part
    except httpx.HTTPError:
        pass  # the server is killed
    whole, _, _ = text.rpartition("\n\n")
    return Heard(number, events_in(whole))


def client_of(server: Process) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=600, limits=httpx.Limits(max_connections=None))


async def looked_after(server: Process, known: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Every session that a client knew of: there once, with one verdict of its own claim; the verdicts by session."""
    async with client_of(server) as client:
        listed = (await client.get("/v1/sessions", params={"limit": 200})).json()["sessions"]
        assert len(listed) == len({each["id"] for each in listed}) and set(known) <= {each["id"] for each in listed}

        async def one(id: str) -> dict[str, Any]:
            record = (await client.post(f"/v1/sessions/{id}/resume")).json()
            assert record["status"] == "scored" and record["verdict"]["label"] == "SUPPORT", record
            assert record["case"]["claim"] == f"The Zorb {known[id]} bridge is long."
            assert record["verdict"]["usage"]["turns"] == 2 and record["verdict"]["evidence"]
            events = events_in((await client.get(f"/v1/verdicts/{record['id']}/events")).text)
            names = [event.name for event in events]
            assert names == "start turn_started turn tool_call tool_result turn_started turn verdict".split(), names
            session = (await client.get(f"/v1/sessions/{id}")).json()
            assert session["status"] == "idle" and [each["id"] for each in session["verdicts"]] == [record["id"]]
            return dict(record)

        found = dict(zip(known, await asyncio.gather(*map(one, known)), strict=True))
        verdicts = (await client.get("/v1/verdicts", params={"limit": 500})).json()["verdicts"]
        claims = Counter(each["case"]["claim"] for each in verdicts)
        assert max(claims.values()) == 1, "no judgement was made twice"
        return found


async def killed_in_the_middle(options: list[str], model: Model) -> None:
    """Forty sessions are in their first turn, forty in their second, twenty wait, and ten have ended."""
    options = [*options, "--concurrency", str(AT_ONCE)]
    with process(*options) as server:
        async with client_of(server) as client:
            ended = await asyncio.gather(*(ask(client, number) for number in range(SESSIONS, SESSIONS + ENDED)))
            model.shut.set()
            asking = [asyncio.create_task(ask(client, number)) for number in range(AT_ONCE)]
            kept = [(number, model.kept(number)) for number in range(AT_ONCE)]
            await asyncio.to_thread(until, lambda: all(model.asked[each] for each in kept))
            asking += [asyncio.create_task(ask(client, number)) for number in range(AT_ONCE, SESSIONS)]
            while (await client.get("/health")).json()["verdicts"]["in_flight"] < SESSIONS:
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)  # what is on its way to the clients comes
            server.end(signal.SIGKILL)
            broken = await asyncio.gather(*asking)
    assert [each.events[-1].name for each in ended] == ["verdict"] * ENDED
    assert Counter(each.events[-1].name for each in broken) == {"turn_started": AT_ONCE, "start": WAITING}
    known = {each.session: each.number for each in (*ended, *broken)}
    assert len(known) == SESSIONS + ENDED
    model.shut.clear()
    with process(*options) as server:
        records = await looked_after(server, known)
        for each in ended:
            assert records[each.session] == each.events[-1].data, "what had ended is as it was told"
        for number in range(SESSIONS + ENDED):
            again = model.kept(number) if number < AT_ONCE else ""
            asked = {turn: model.asked[number, turn] for turn in ("look", "say")}
            assert asked == {turn: 1 + (turn == again) for turn in asked}, "only the broken turn is taken again"
        async with client_of(server) as client:
            path = f"/v1/sessions/{broken[0].session}"
            after = (await client.post(f"{path}/challenge", json={"words": "look again"})).json()
            assert after["changed"]["fields"]["label"] == {"before": "SUPPORT", "after": "REFUTE"}, after
        assert server.end() == 0
    assert any(json.loads(line).get("resumed") == SESSIONS for line in server.lines)


@pytest.fixture
def model() -> Iterator[Model]:
    yield Model()


@pytest.fixture
def options(model: Model, tmp_path: Path) -> Iterator[list[str]]:
    with ChatServer(model, keep=False) as server:
        where = ["--corpus", f"demo={CORPUS}", "--store", str(tmp_path)]
        yield ["--judge", "veri-r1", "--model", f"vllm:any@{server.url}", *where]


async def test_sessions_go_on_after_a_kill(options: list[str], model: Model) -> None:
    await killed_in_the_middle(options, model)


async def test_sessions_go_on_after_a_kill_from_postgres(
    options: list[str], model: Model, tmp_path: Path, postgres: str
) -> None:
    await killed_in_the_middle([*options, "--checkpoints", postgres], model)
    assert not (tmp_path / "checkpoints.sqlite").exists()


async def test_whenever_it_is_killed_nothing_that_was_begun_is_lost(options: list[str], model: Model) -> None:
    """Sessions begin in every life of the server, which ends at any moment; the last one ends all that was begun."""
    chance, known = random.Random(1), dict[str, int]()
    for life in range(LIVES):
        numbers = range(life * SESSIONS // LIVES, (life + 1) * SESSIONS // LIVES)
        with process(*options) as server:
            async with client_of(server) as client:
                asking = [asyncio.create_task(ask(client, number)) for number in numbers]
                await asyncio.to_thread(until, lambda first=numbers[0]: model.asked[first, "look"] > 0)
                await asyncio.sleep(chance.uniform(0.0, 0.9))
                server.end(signal.SIGKILL)
                heard = await asyncio.gather(*asking)
        known |= {each.session: each.number for each in heard if each.events}
    assert len(known) > SESSIONS // 2
    with process(*options) as server:
        await looked_after(server, known)
        assert server.end() == 0
    assert max(model.asked.values()) <= LIVES + 1


@pytest.fixture
def postgres() -> Iterator[str]:
    """A real Postgres of this test's own."""
    binary = next((p for p in Path("/usr/lib/postgresql").glob("*/bin/postgres")), None)
    found = binary.parent if binary else Path(shutil.which("initdb") or "/").parent
    if not (found / "initdb").exists():
        pytest.skip("no Postgres is installed")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a socket is bounded
    how: dict[str, Any] = {}
    if os.geteuid() == 0:  # Postgres does not run as root
        shutil.chown(folder, "nobody", "nogroup")
        how = {"user": "nobody", "group": "nogroup"}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = folder / "data"
    made = subprocess.run(
        [found / "initdb", "-D", data, "-U", "judge", "-A", "trust", "-N"], capture_output=True, text=True, **how
    )
    assert made.returncode == 0, made.stderr
    command = [found / "postgres", "-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder, **how) as running:
        try:
            ready = [found / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"]
            until(lambda: subprocess.run(ready).returncode == 0)
            yield f"postgresql://judge@127.0.0.1:{port}/postgres"
        finally:
            running.send_signal(signal.SIGQUIT)
            running.wait(30)
            shutil.rmtree(folder, ignore_errors=True)
