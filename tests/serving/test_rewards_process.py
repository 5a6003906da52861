"""The reward server as a user starts it: a process, killed, told to end, started again, with several workers."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from reward_judges import answer, scored, worth
from serve_processes import Process
from servers import Body, ChatServer

from agentjudge.cli import main

CORPUS = '{"id": "alps", "title": "Mont Blanc", "text": "Mont Blanc is 4806 m high. It lies in the Alps."}\n'


class Server(Process):
    """A reward server."""

    def post(self, path: str = "/v1/rewards", *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers=headers, timeout=60)

    def scores(self, *texts: str) -> list[Any]:
        reply = self.post(cases=[answer(text) for text in texts])
        assert reply.status_code == 200, reply.text
        return [(one["score"], one["cached"]) for one in reply.json()["results"]]

    def kill(self) -> None:
        """SIGKILL, as when a machine dies."""
        self.end(signal.SIGKILL)


@contextmanager
def serving(*arguments: str, **how: Any) -> Iterator[Server]:
    server = Server(*arguments, **how)
    try:
        yield server
    finally:
        server.gone()


async def model(body: Body) -> str:
    """The model behind the judge: says the number in the answer, after as many seconds as it names."""
    text = json.dumps(body["messages"])
    if found := re.search(r"wait (\d+(?:\.\d+)?)", text):
        await asyncio.sleep(float(found[1]))
    return scored(worth(text))


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatServer]:
    with ChatServer(model) as server:
        yield server


@pytest.fixture(scope="module")
def rewards(chat: ChatServer) -> list[str]:
    return ["--rewards", "--model", f"vllm:any@{chat.url}"]


def test_what_was_answered_is_known_after_a_kill(chat: ChatServer, rewards: list[str], tmp_path: Path) -> None:
    texts = [f"{n} #0.{n % 10}" for n in range(1, 40)]
    wanted = [float(f"0.{n % 10}") for n in range(1, 40)]
    with serving(*rewards, "--cache", str(tmp_path)) as server:
        assert server.scores(*texts) == [(score, False) for score in wanted]
        server.kill()
    hits = chat.hits
    with serving(*rewards, "--cache", str(tmp_path)) as server:
        assert server.scores(*texts) == [(score, True) for score in wanted] and chat.hits == hits
        assert server.scores("new #0.5") == [(0.5, False)]
        assert server.end() == 0
    lines = [json.loads(line) for line in server.lines]
    assert [(line["route"], line["code"], line["scored"]) for line in lines] == [("/v1/rewards", 200, 39)] + [
        ("/v1/rewards", 200, 1)
    ]


def test_told_to_end_it_finishes_what_is_in_flight(rewards: list[str]) -> None:
    with serving(*rewards, "--drain", "30") as server:
        replies: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: replies.append(server.post(cases=[answer("wait 2 #0.7")])))
        asking.start()
        wait_for(lambda: httpx.get(f"{server.url}/health").json()["running"] == 1)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: httpx.get(f"{server.url}/health").status_code == 503)
        late = server.post(cases=[answer("late #0.7")])
        assert late.status_code == 503 and late.headers["Retry-After"]
        asking.join(60)
        assert replies[0].status_code == 200 and replies[0].json()["results"][0]["score"] == 0.7
        assert server.end() == 0


def test_what_is_not_finished_in_time_is_answered_without_a_score(rewards: list[str]) -> None:
    with serving(*rewards, "--drain", "0.3") as server:
        replies: list[httpx.Response] = []
        asking = [
            threading.Thread(target=lambda n=n: replies.append(server.post(cases=[answer(f"wait 600 {n} #0.7")])))
            for n in range(3)
        ]
        for thread in asking:
            thread.start()
        wait_for(lambda: httpx.get(f"{server.url}/health").json()["running"] == 3)
        assert server.end(signal.SIGINT) == 0
        for thread in asking:
            thread.join(60)
    assert [reply.status_code for reply in replies] == [503] * 3
    assert all("shutting down" in reply.json()["results"][0]["error"] for reply in replies)


def test_killed_and_started_again_under_load_clients_see_outages_and_nothing_wrong(
    rewards: list[str], tmp_path: Path
) -> None:
    arguments = [*rewards, "--cache", str(tmp_path), "--quiet"]
    seen: Counter[str] = Counter()
    got: dict[int, float] = {}
    over = threading.Event()

    async def client(url: str, first: int) -> None:
        async with httpx.AsyncClient(timeout=30) as http:
            for number in range(first, first + 60):
                while number not in got:
                    body = {"cases": [answer(f"wait 0.02 {number} #0.{number % 100:02}")]}
                    try:
                        reply = await http.post(f"{url}/v1/rewards", json=body)
                    except httpx.TransportError:
                        seen["connection"] += 1
                        await asyncio.sleep(0.05)
                        continue
                    seen[str(reply.status_code)] += 1
                    if reply.status_code == 200:
                        got[number] = reply.json()["results"][0]["score"]

    async def clients(url: str) -> None:
        await asyncio.gather(*(client(url, 100 * n) for n in range(8)))

    def load(url: str) -> None:
        asyncio.run(clients(url))
        over.set()

    server = Server(*arguments)
    thread = threading.Thread(target=load, args=(server.url,))
    thread.start()
    kills = 0
    try:
        for kill in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            before = len(got)
            wait_for(lambda: len(got) >= before + 40 or over.is_set(), seconds=120)  # noqa: B023
            server.end(kill)
            kills += not over.is_set()
            server = Server(*arguments, port=server.port)
        thread.join(120)
        assert over.is_set() and kills >= 2
    finally:
        server.kill()
    assert set(seen) <= {"200", "503", "connection"} and seen["connection"] > 0
    assert got == {100 * n + k: (100 * n + k) % 100 / 100 for n in range(8) for k in range(60)}


def test_keys_come_from_the_environment_and_a_script_may_judge(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text(json.dumps([scored(0.7)]) + "\n" + json.dumps({"case": "low", "turns": [scored(0.1)]}))
    arguments = ["--rewards", "--model", f"scripted:{script}"]
    with serving(*arguments, env={"AGENTJUDGE_SERVE_KEY": "three four"}) as server:
        cases = [answer("x"), answer("y", id="low")]
        for headers in ({}, {"X-API-Key": "three four"}, {"Authorization": "Bearer five"}):
            assert server.post(cases=cases, headers=headers).status_code == 401
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        assert httpx.get(f"{server.url}/health").status_code == 200
        reply = server.post(cases=cases, headers={"X-API-Key": "three"})
        assert [one["score"] for one in reply.json()["results"]] == [0.7, 0.1]
        assert server.post(cases=cases, headers={"Authorization": "Bearer four"}).status_code == 200


def test_a_corpus_is_served_beside_rewards(rewards: list[str], tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(CORPUS)
    with serving(*rewards, "--corpus", str(tmp_path / "corpus.jsonl"), "--api-key", "k", "--api-key", "l") as server:
        assert server.line.startswith("rewards of compare@")
        headers = {"Authorization": "Bearer k"}
        (hits,) = server.post("/retrieve", queries=["mont blanc"], headers=headers).json()["result"]
        assert hits[0]["id"] == "alps" and server.post("/retrieve", queries=["x"]).status_code == 401
        assert server.post("/retrieve", queries=1, headers=headers).status_code == 422
        assert server.post(cases=[answer("x #0.7")], headers=headers).json()["results"][0]["score"] == 0.7
        (corpus,) = httpx.get(f"{server.url}/v1/corpora", headers=headers).json()["corpora"]
        assert corpus["documents"] == 1
        assert httpx.get(f"{server.url}/health").json()["judge"].startswith("compare@")


def test_several_processes_share_a_port_a_cache_and_their_metrics(rewards: list[str], tmp_path: Path) -> None:
    with serving(*rewards, "--workers", "2", "--cache", str(tmp_path), "--quiet") as server:
        assert "(2 processes)" in server.line
        texts = [f"{n} #0.{n:02}" for n in range(1, 60)]
        for text in texts:  # a connection each, so that both get some
            assert server.scores(text) == [(worth(text), False)]
        assert [score for score, _ in server.scores(*texts)] == [worth(text) for text in texts]
        metrics = httpx.get(f"{server.url}/metrics").text
        assert 'agentjudge_verdicts_total{status="scored"} 118.0' in metrics
        assert "agentjudge_cache_hits_total 59.0" in metrics and "agentjudge_judgements_running 0.0" in metrics

        (one, *_) = workers = children(server.process.pid)
        assert len(workers) == 2
        os.kill(one, signal.SIGKILL)
        wait_for(lambda: len(set(children(server.process.pid)) - {one}) == 2, seconds=60)
        for _ in range(20):
            assert patiently(server, texts[0]) == (worth(texts[0]), True)
        left = children(server.process.pid)
        assert server.end() == 0
    assert any(f"worker {one} ended" in line for line in server.lines)
    assert not any(Path(f"/proc/{pid}").exists() for pid in left)


def test_workers_end_when_their_parent_is_killed(rewards: list[str]) -> None:
    with serving(*rewards, "--workers", "2") as server:
        workers = children(server.process.pid)
        server.kill()
    wait_for(lambda: not any(alive(pid) for pid in workers), seconds=60)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--workers", "2"], "several processes serve rewards or a corpus"),
        (["--workers", "2", "--rewards", "--store", "x"], "--store is for verdicts"),
        (["--judge", "no-such"], "unknown judge 'no-such'"),
        (["--rewards", "--judge", "no-such"], "unknown judge 'no-such'"),
        (["--rewards", "--reward", "no_such"], "unknown reward 'no_such'"),
        (["--rewards", "--reward", "likelihood"], "the reward 'likelihood' is made of parts"),
        (["--rewards", "--model", "scripted:/no/such"], "cannot read the script"),
        (["--rewards", "--cache", "/proc/none"], "cannot keep rewards in /proc/none"),
        (["--rewards", "--allow-files", "/no/such"], "no such folder"),
        (["--corpus", "x", "--cache", "y"], "--cache goes with --rewards"),
        (["--keys", "/no/such"], "cannot read the keys in /no/such"),
        (["--checkpoints", "mysql://x"], "not at 'mysql'"),
        (["--store", "/proc/none"], "cannot keep anything in /proc/none"),
        (["--corpus", "/no/such"], "/no/such"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_exit_2(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(main, ["serve", *arguments, "--port", "0"])
    assert result.exit_code == 2 and told in result.output
    assert result.output.startswith("error: ") and result.output.count("\n") == 1


def test_workers_that_cannot_serve_are_one_line_and_exit_2() -> None:
    command = [sys.executable, "-m", "agentjudge.cli", "serve", "--rewards", "--reward", "no_such", "--workers", "2"]
    done = subprocess.run([*command, "--port", "0"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.startswith("error: unknown reward 'no_such'")
    assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_a_port_in_use_and_a_missing_extra_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", "--rewards", "--port", str(port)])
    assert result.exit_code == 2 and f"cannot listen on 127.0.0.1 port {port}" in result.output
    for module in ("uvicorn", "prometheus_client"):
        with monkeypatch.context() as context:
            context.setitem(sys.modules, module, None)
            result = CliRunner().invoke(main, ["serve", "--rewards", "--port", "0"])
        assert result.exit_code == 2 and f"{module!r} is needed here: pip install 'agentjudge[serve]'" in result.output


def wait_for(true: Any, *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def patiently(server: Server, text: str) -> tuple[Any, bool]:
    """As `scores`; a connection that the killed worker had is another try."""
    for _ in range(5):
        try:
            return server.scores(text)[0]  # type: ignore[no-any-return]
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("no answer")


def children(pid: int) -> list[int]:
    """The worker processes of a server, without the helper of multiprocessing."""
    found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [child for child in found if b"spawn_main" in command_of(child)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    return command_of(pid) != b""
