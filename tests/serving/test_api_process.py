"""The API as a user starts it, told to end."""

import asyncio
import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_servers import events_in, process, said, until
from servers import Body, ChatServer, call

from agentjudge.demo import CORPUS


class Model:
    """Behind the judge: looks once, then says SUPPORT; while it is shut, nothing is said after the look."""

    def __init__(self) -> None:
        self.shut = threading.Event()
        self.second: Counter[str] = Counter()

    async def __call__(self, body: Body) -> Any:
        found = re.search(r"Zorb (\d+)", json.dumps(body["messages"]))
        name = found[1] if found else ""
        if not any(message["role"] == "tool" for message in body["messages"]):
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
