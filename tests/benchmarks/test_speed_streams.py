"""256 streams at once against a server process: none is lost, and memory stays; no time is asserted."""

import asyncio
import json
import sys
from typing import Any

import httpx
import pytest

from agentjudge.benchmarks.speed import streams

STREAMS = 256
GROWTH = 48 * 2**20
"""Bytes by which the server may have grown after as many judgements more."""


def test_every_stream_comes_whole_and_memory_stays() -> None:
    with streams.serving(streams=STREAMS, turn_seconds=0.5) as (pid, address):
        sizes = []
        for _ in range(2):
            load = streams.load(address, pid, streams=STREAMS, seconds=0, apart=2.0, sessions=0.25)
            heard = asyncio.run(load)
            assert heard.asked == STREAMS and heard.lost == []
            assert {kind: len(seconds) for kind, seconds in heard.seconds.items()} == {"verdicts": 192, "sessions": 64}
            assert min(heard.seconds["verdicts"]) > 2.0, "the model took its time, four times"
            assert len(heard.turns) == streams.TURNS * STREAMS and min(heard.turns) > 0.4, "and once in each turn"
            assert sum(heard.turns) == pytest.approx(sum(map(sum, heard.seconds.values())))
            sizes.append(streams.resident(pid))
        assert httpx.get(f"http://{address}/health").json()["verdicts"] == {"running": 0, "in_flight": 0}
        assert sizes[1] - sizes[0] < GROWTH, sizes


def told(claim: str, *names: str, first: int = 0, status: str = "abstained") -> bytes:
    record = json.dumps({"status": status, "case": {"claim": claim}})
    lines = [f"id: {n}\nevent: {name}\ndata: {record}\n\n" for n, name in enumerate(names or streams.STEPS, first)]
    return "".join(lines).encode()


def test_what_is_not_whole_is_lost() -> None:
    assert streams.missing(told("a"), "a") == ""
    assert streams.missing(b": ping\n\n" + told("a"), "a") == ""
    assert "verdict abstained on 'b'" in streams.missing(told("b"), "a")
    assert "verdict failed" in streams.missing(told("a", status="failed"), "a")
    assert "numbers" in streams.missing(told("a", first=1), "a")
    assert "'start', 'error'" in streams.missing(told("a", "start", "error"), "a")
    swapped = [*streams.STEPS[:2], *reversed(streams.STEPS[2:4]), *streams.STEPS[4:]]
    assert "events" in streams.missing(told("a", *swapped), "a")
    assert "the server drains" in streams.missing(b'{"detail": "the server drains"}', "a")


def test_the_sums() -> None:
    heard = streams.Heard(seconds={"verdicts": [2.0 + n / 1000 for n in range(101)], "sessions": []})
    assert streams.overhead(heard, 2.0)["all"] == pytest.approx({"p50": 50, "p90": 90, "p99": 99, "max": 100})
    heard.turns = [0.5 + n / 1000 for n in range(101)]
    assert streams.overhead(heard, 2.0)["turns"] == pytest.approx({"p50": 50, "p90": 90, "p99": 99, "max": 100})
    heard.memory = [(0.0, 10 * 2**20), *((float(at), (100 + at // 60) * 2**20) for at in range(60, 301, 60))]
    found = streams.memory(heard)
    assert found == pytest.approx({"first": 10, "settled": 101, "most": 105, "last": 105, "more_a_minute": 1.0})


def test_the_table_and_the_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]) -> None:
    row = {"judgements": 7, "lost": 0, "why": [], "per_second": 16.04, "memory": {"first": 1.5, "more_a_minute": 0.04}}
    overhead = {"all": {"p50": 12.34, "p99": 45.67}}
    monkeypatch.setattr(streams, "measure", lambda **how: {**row, "overhead_ms": overhead})
    for flags in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["streams", *flags])
        streams.main()
        out = capsys.readouterr().out
        if flags:
            assert json.loads(out)["how"] == {"streams": 256, "seconds": 300, "turn_seconds": 8.0, "sessions": 0.25}
        else:
            assert "256 streams for 300 s" in out and "p50 12.3  p99 45.7" in out and "16.04" in out
    monkeypatch.setattr(streams, "measure", lambda **how: {**row, "lost": 2, "why": ["events"]})
    with pytest.raises(SystemExit, match="2 of 7 judgements were lost"):
        streams.main()
