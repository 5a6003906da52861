"""The benchmark of the reward server, on as many requests as it takes to count; nothing of its times is asserted."""

import asyncio
import json
import sys
from typing import Any

import pytest
from fastapi.testclient import TestClient

from agentjudge.benchmarks.speed import rewards


def test_all_arms_answer_every_request_with_the_score() -> None:
    found = rewards.measure(n=24, in_flight=4, rounds=2, workers=1, cache=True)
    assert list(found) == ["bare", "server", "graph"]
    for rows in found.values():
        assert [(row["answers"], row["faults"]) for row in rows] == [(12, 0), (12, 0)]
        assert rewards.summed(rows)["answers"] == 24 and rewards.summed(rows)["per_second"] > 0


@pytest.mark.parametrize("arm", ["server", "graph"])
def test_an_arm_judges_every_request_itself(arm: str) -> None:
    with TestClient(rewards.Arm(arm)()) as client:
        for number in range(3):
            (found,) = client.post("/v1/rewards", content=rewards.body(number)).json()["results"]
            assert found["score"] == rewards.SCORE and not found["cached"]
        metrics = client.get("/metrics").text
    assert "agentjudge_judgement_seconds_count 3.0" in metrics


async def test_a_wrong_answer_is_a_fault() -> None:
    async def wrong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status, body in (
            ("200 OK", '{"results": [{"score": 0.1}]}'),
            ("503 Out", '{"results": [{"score": 0.75}]}'),
        ):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().rpartition(b"content-length:")[2]))
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()

    server = await asyncio.start_server(wrong, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await rewards.load(f"http://127.0.0.1:{port}", "/v1/rewards", n=2, in_flight=1)
    server.close()
    assert (found["answers"], found["faults"]) == (2, 2)


def test_the_table_and_the_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]) -> None:
    row = {"answers": 2, "faults": 0, "per_second": 10.0, "p50_ms": 1.0, "p99_ms": 2.0}
    rows = {arm: [{**row, "server_cpu_ms": 2.0 + n, "client_cpu_ms": 1.0}] * 3 for n, arm in enumerate(rewards.ARMS)}
    monkeypatch.setattr(rewards, "measure", lambda **how: rows)
    for flags in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["rewards", *flags])
        rewards.main()
        out = capsys.readouterr().out
        if flags:
            told = json.loads(out)
            assert told["throughput_ratios"] == {"server / bare": 1.0, "graph / bare": 1.0}
            assert told["cpu_ratios"] == {"server / bare": 1.5, "graph / bare": 2.0}
            assert told["results"]["graph"]["answers"] == 6 and told["how"]["n"] == 5_000
        else:
            assert "server / bare: 1.50" in out and "5000 requests in 5 rounds, 256 in flight" in out
    rows["graph"] = [{**rows["graph"][0], "faults": 1}] * 3
    with pytest.raises(SystemExit, match="graph: 3 of 6 answers were none, or wrong"):
        rewards.main()
