"""The API as a user starts it: killed in the middle of sessions, told to end, many streams at once."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_servers import events_in, process, said
from servers import Body, ChatServer, call

from agentjudge.demo import CORPUS

SESSIONS = 20
STREAMS = 64


class Model:
    """Behind the judge: looks once, then says SUPPORT; while it is shut, nothing is said after the look."""

    def __init__(self) -> None:
        self.shut = threading.Event()
        self.first: Counter[str] = Counter()
        self.second: Counter[str] = Counter()

    async def __call__(self, body: Body) -> Any:
        found = re.search(r"Zorb (\d+)", json.dumps(body["messages"]))
        name = found[1] if found else ""
        if not any(message["role"] == "tool" for message in body["messages"]):
            self.first[name] += 1
            await asyncio.sleep(0.05)
            return call("retrieve", {"query": f"Zorb {name} bridge"})
        self.second[name] += 1
        while self.shut.is_set():
            await asyncio.sleep(0.02)
        text = json.dumps(body["messages"])
        shown = json.dumps([message for message in body["messages"] if message["role"] == "tool"])
        (cited, *_) = re.findall(r"\[\[([\w-]+:\d+)\]\]", shown)
        return said("REFUTE" if "objects to it" in text else "SUPPORT", cited)


@pytest.fixture
def model() -> Iterator[Model]:
    yield Model()


@pytest.fixture
def options(model: Model) -> Iterator[list[str]]:
    with ChatServer(model) as server:
        yield ["--judge", "veri-r1", "--model", f"vllm:any@{server.url}", "--corpus", f"demo={CORPUS}"]


def until(true: Callable[[], bool], *, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def broken_off_and_resumed(model: Model, options: list[str]) -> None:
    """Kill the server while its sessions are in their second turn; the next one goes on behind the first."""
    model.shut.set()
    with process(*options) as server:
        heard: list[str] = []

        def ask(number: int) -> None:
            case = {"claim": f"The Zorb {number} bridge is long."}
            try:
                with httpx.stream(
                    "POST", f"{server.url}/v1/sessions", json={"case": case, "stream": True}, timeout=240
                ) as reply:
                    heard.extend(line for line in reply.iter_lines() if line.startswith("data: "))
            except httpx.HTTPError:
                pass  # the server is killed

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(SESSIONS)]
        for thread in threads:
            thread.start()
        until(lambda: len(model.second) == SESSIONS)
        server.end(signal.SIGKILL)
        for thread in threads:
            thread.join(30)
    assert not any('"verdict":{' in line for line in heard)
    model.shut.clear()
    with process(*options) as server:
        listed = httpx.get(f"{server.url}/v1/sessions", params={"limit": 100}, timeout=240).json()["sessions"]
        assert len(listed) == SESSIONS
        for session in listed:
            record = httpx.post(f"{server.url}/v1/sessions/{session['id']}/resume", timeout=240).json()
            assert record["status"] == "scored" and record["verdict"]["label"] == "SUPPORT", record["verdict"]
            assert record["verdict"]["usage"]["turns"] == 2
            events = events_in(httpx.get(f"{server.url}/v1/verdicts/{record['id']}/events").text)
            assert [event.name for event in events].count("tool_result") == 1
        assert set(model.first.values()) == {1}, "no first turn was taken again"
        path = f"{server.url}/v1/sessions/{listed[0]['id']}"
        after = httpx.post(f"{path}/challenge", json={"words": "look again"}, timeout=240).json()
        assert after["changed"]["fields"]["label"] == {"before": "SUPPORT", "after": "REFUTE"}, after
        assert len(httpx.get(path).json()["verdicts"]) == 2
        assert server.end() == 0
    assert any(json.loads(line).get("resumed") == SESSIONS for line in server.lines)


def test_sessions_go_on_after_a_kill(model: Model, options: list[str], tmp_path: Path) -> None:
    broken_off_and_resumed(model, [*options, "--store", str(tmp_path)])


def test_sessions_go_on_after_a_kill_from_postgres(
    model: Model, options: list[str], tmp_path: Path, postgres: str
) -> None:
    broken_off_and_resumed(model, [*options, "--store", str(tmp_path), "--checkpoints", postgres])
    assert not (tmp_path / "checkpoints.sqlite").exists()


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


def test_told_to_end_it_finishes_and_takes_nothing_new(model: Model, options: list[str], tmp_path: Path) -> None:
    model.shut.set()
    with process(*options, "--store", str(tmp_path), "--drain", "30") as server:
        replies: list[httpx.Response] = []
        body = {"case": {"claim": "The Zorb 1 bridge is long."}}
        ask = threading.Thread(
            target=lambda: replies.append(httpx.post(f"{server.url}/v1/verdicts", json=body, timeout=240))
        )
        ask.start()
        until(lambda: len(model.second) == 1)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{server.url}/health").status_code == 503)
        late = httpx.post(f"{server.url}/v1/verdicts", json=body)
        assert late.status_code == 503 and late.headers["Retry-After"]
        model.shut.clear()
        ask.join(60)
        assert replies[0].status_code == 200 and replies[0].json()["status"] == "scored"
        assert server.end() == 0


def test_what_is_not_finished_in_time_is_told_and_goes_on(model: Model, options: list[str], tmp_path: Path) -> None:
    model.shut.set()
    store = ["--store", str(tmp_path)]
    with process(*options, *store, "--drain", "0.3") as server:
        streams: list[str] = []

        def ask(path: str, number: int) -> None:
            body = {"case": {"claim": f"The Zorb {number} bridge is long."}, "stream": True}
            streams.append(httpx.post(f"{server.url}{path}", json=body, timeout=240).text)

        threads = [
            threading.Thread(target=ask, args=(path, n)) for n, path in enumerate(("/v1/verdicts", "/v1/sessions"))
        ]
        for thread in threads:
            thread.start()
        cases = [{"claim": f"The Zorb {n} bridge is long."} for n in range(10, 14)]
        batch = httpx.post(f"{server.url}/v1/batches", json={"cases": cases}, timeout=240)
        assert batch.status_code == 202
        until(lambda: len(model.second) == 6)
        assert server.end() == 0
        for thread in threads:
            thread.join(30)
    assert [events_in(text)[-1].name for text in streams] == ["error", "error"]
    model.shut.clear()
    with process(*options, *store) as server:
        done = f"{server.url}/v1/batches/{batch.json()['id']}"
        until(lambda: httpx.get(done).json()["status"] == "done")
        assert httpx.get(done).json()["scored"] == 4
        records = [json.loads(line) for line in httpx.get(f"{done}/results").text.splitlines()]
        assert [record["case"]["claim"] for record in records] == [case["claim"] for case in cases]
        (session,) = httpx.get(f"{server.url}/v1/sessions").json()["sessions"]
        record = httpx.post(f"{server.url}/v1/sessions/{session['id']}/resume", timeout=240).json()
        assert record["status"] == "scored"
        listed = httpx.get(f"{server.url}/v1/verdicts").json()["verdicts"]
        (single,) = [each for each in listed if each["session"] is None]
        assert single["status"] == "failed" and single["verdict"]["failure"]["retriable"]


def test_many_streams_at_once_and_none_is_lost(options: list[str], tmp_path: Path) -> None:
    with process(*options, "--store", str(tmp_path), "--quiet") as server:

        async def all() -> list[list[Any]]:
            limits = httpx.Limits(max_connections=STREAMS)
            end = time.monotonic() + 5
            async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=240) as client:

                async def ask(number: int) -> list[Any]:
                    heard = []
                    while not heard or time.monotonic() < end:
                        path = "/v1/sessions" if number % 4 == 0 else "/v1/verdicts"
                        body = {"case": {"claim": f"The Zorb {number} bridge is long."}, "stream": True}
                        reply = await client.post(path, json=body)
                        assert reply.status_code == 200, reply.text
                        heard.append(events_in(reply.text))
                    return heard

                return await asyncio.gather(*(ask(number) for number in range(STREAMS)))

        heard = asyncio.run(all())
        for number, streams in enumerate(heard):
            for events in streams:
                assert [event.name for event in events][-1] == "verdict" and events[-1].data["status"] == "scored"
                assert [event.id for event in events] == list(range(len(events)))
                assert f"Zorb {number} " in events[-1].data["case"]["claim"]
        health = httpx.get(f"{server.url}/health").json()
        assert health["verdicts"] == {"running": 0, "in_flight": 0}
        assert server.end() == 0
