"""What the API adds to a model's own time while many follow their judgements: 256 streams at once, for five minutes.

    python -m agentjudge.benchmarks.speed.streams [--streams N] [--seconds S] [--turn-seconds S] [--sessions SHARE]

The server is `agentjudge serve --store` in a process of its own, and so is its model: `benchmarks/speed/server.py`,
which takes `--turn-seconds` for each of four turns and costs next to nothing. Each stream asks for a judgement of a
claim of its own, follows its events to the verdict, and asks again; a share of them starts sessions, which have a
checkpoint a step in the database. Streams begin evenly spread over a judgement's time, as people do. Every event of
every stream is counted and stands in its order, or the judgement is lost.

What is told is the time from the request to the last event less four times `--turn-seconds`: HTTP on both sides, the
judge, three searches, the store, and whatever these wait for each other; and the same for each turn of the model, from
what it said before to what it says now. The rate follows from the number of streams and the time of a turn. Server,
model and clients share the machine, so its load is told as well.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from agentjudge.benchmarks.speed.rewards import cpu_seconds
from agentjudge.demo import CORPUS

TURNS = 4
LOOK = ("turn_started", "turn", "tool_call", "tool_result")
STEPS = ("start", *LOOK * (TURNS - 1), "conclude", "turn", "verdict")
"""The events of a judgement, in order."""
KINDS = ("verdicts", "sessions")
SETTLED = 0.2
"""Share of the time after which memory has to be flat: first uses and caches are over."""


@dataclass(slots=True)
class Heard:
    """What the clients got."""

    asked: int = 0
    lost: list[str] = field(default_factory=list)
    """Why, for each judgement that did not come whole."""
    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    """From the request to the verdict, of those that came."""
    turns: list[float] = field(default_factory=list)
    """From the request, or the turn before, to a turn; the last one to the verdict."""
    memory: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the beginning, and bytes of the server."""


@contextmanager
def running(*command: str, stderr: bool = False) -> Iterator[tuple[int, str]]:
    """A process, and the first line that it prints."""
    pipes = {"stderr" if stderr else "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", *command], text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            said = process.stderr if stderr else process.stdout
            assert said is not None
            yield process.pid, said.readline()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextmanager
def serving(*, streams: int, turn_seconds: float) -> Iterator[tuple[int, str]]:
    """The API before its model: its process and its address."""
    milliseconds = str(1000 * turn_seconds)
    with (
        tempfile.TemporaryDirectory() as folder,
        running("agentjudge.benchmarks.speed.server", "--latency-ms", milliseconds) as (_, port),
    ):
        options = ["--judge", "veri-r1", "--model", f"vllm:bench@http://127.0.0.1:{int(port)}", "--corpus", str(CORPUS)]
        options += ["--store", folder, "--concurrency", str(streams), "--port", "0", "--quiet"]
        with running("agentjudge.cli", "serve", *options, stderr=True) as (pid, line):
            found = re.search(r"http://([\d.]+:\d+)", line)
            if found is None:
                raise SystemExit(f"the server did not start: {line}")
            yield pid, found[1]


async def load(address: str, pid: int, *, streams: int, seconds: float, apart: float, sessions: float) -> Heard:
    """Streams for some seconds; each ends the judgement that it is at.

    Args:
        address: of the server, `host:port`.
        pid: its process, of which the memory is noted.
        streams: at once.
        seconds: after which no judgement is begun.
        apart: within which the streams begin, one after another.
        sessions: share of the streams that start sessions.
    """
    heard, began = Heard(), time.perf_counter()
    host, port = address.split(":")
    every = round(1 / sessions) if sessions else 0

    async def stream(number: int) -> None:
        kind = KINDS[bool(every) and number % every == 0]
        await asyncio.sleep(apart * number / streams)
        reader, writer = await asyncio.open_connection(host, int(port))
        count = 0
        while not count or time.perf_counter() - began < seconds:
            claim, count = f"The bridge {number}-{count} opened in 1932.", count + 1
            body = json.dumps({"case": {"claim": claim}, "stream": True}).encode()
            head = f"POST /v1/{kind} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
            heard.asked, sent = heard.asked + 1, time.perf_counter()
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            told, turns = await _told(reader)
            ended = time.perf_counter()
            if why := missing(told, claim):
                heard.lost.append(why)
            else:
                heard.seconds[kind].append(ended - sent)
                heard.turns += [to - since for since, to in pairwise([sent, *turns[: TURNS - 1], ended])]
        writer.close()

    async def watch() -> None:
        while True:
            heard.memory.append((time.perf_counter() - began, resident(pid)))
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(stream(number) for number in range(streams)))
    watching.cancel()
    return heard


async def _told(reader: asyncio.StreamReader) -> tuple[bytes, list[float]]:
    """The body of an answer that comes in chunks, or a whole one; and when its turns came."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if length := re.search(rb"content-length: *(\d+)", head):
        return await reader.readexactly(int(length[1])), []
    parts, turns = [], []
    while size := int(await reader.readline(), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
        turns += [time.perf_counter()] * len(re.findall(rb"^event: turn$", parts[-1], re.MULTILINE))
    await reader.readline()
    return b"".join(parts), turns


def missing(told: bytes, claim: str) -> str:
    """What a judgement lacks; nothing where all its events came in their order, to a verdict on this claim."""
    names = tuple(name.decode() for name in re.findall(rb"^event: (\w+)$", told, re.MULTILINE))
    if names != STEPS:
        return f"events {names}" if names else told[:200].decode(errors="replace")
    if [int(number) for number in re.findall(rb"^id: (\d+)$", told, re.MULTILINE)] != list(range(len(STEPS))):
        return "the numbers of the events"
    record = json.loads(told.rstrip().rpartition(b"\ndata: ")[2])
    if record["status"] == "failed" or record["case"]["claim"] != claim:
        return f"a verdict {record['status']} on {record['case']['claim']!r}"
    return ""


def resident(pid: int) -> int:
    """Bytes of a process in memory; 0 where /proc does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def measure(*, streams: int, seconds: float, turn_seconds: float, sessions: float) -> dict[str, Any]:
    """A run; see the module."""
    own = TURNS * turn_seconds
    with serving(streams=streams, turn_seconds=turn_seconds) as (pid, address):
        asyncio.run(load(address, pid, streams=8, seconds=0, apart=0.5, sessions=0.5))  # first uses
        cpu, began, mine = cpu_seconds(pid), time.perf_counter(), time.process_time()
        heard = asyncio.run(load(address, pid, streams=streams, seconds=seconds, apart=own, sessions=sessions))
        wall, used, mine = time.perf_counter() - began, cpu_seconds(pid) - cpu, time.process_time() - mine
    done = max(1, sum(map(len, heard.seconds.values())))
    found = {
        "judgements": heard.asked,
        "lost": len(heard.lost),
        "why": heard.lost[:3],
        "per_second": done / wall,
        "server_cpu_ms": 1000 * used / done,
        "server_cpu_share": used / wall,
        "client_cpu_ms": 1000 * mine / done,
        "load_average": os.getloadavg()[0],
    }
    return {**found, "overhead_ms": overhead(heard, own), "memory": memory(heard)}


def overhead(heard: Heard, own: float) -> dict[str, dict[str, float]]:
    """Milliseconds beside the model's own: of judgements by kind, of all, and of single turns."""
    kinds = {**heard.seconds, "all": [each for kind in heard.seconds.values() for each in kind], "turns": heard.turns}
    found = {}
    for kind, seconds in kinds.items():
        expected = own / TURNS if kind == "turns" else own
        more = sorted(1000 * (each - expected) for each in seconds)
        if more:
            at = {name: more[int(share * (len(more) - 1))] for name, share in (("p90", 0.9), ("p99", 0.99), ("max", 1))}
            found[kind] = {"p50": statistics.median(more), **at}
    return found


def memory(heard: Heard) -> dict[str, float]:
    """Megabytes of the server: at the beginning, when it had settled, at most, at the end, and more a minute since."""
    settled = [each for each in heard.memory if each[0] >= SETTLED * heard.memory[-1][0]]
    sizes = [size / 2**20 for _, size in settled]
    minutes = [at / 60 for at, _ in settled]
    slope = statistics.linear_regression(minutes, sizes).slope if len(set(minutes)) > 1 else 0.0
    ends = {"first": heard.memory[0][1] / 2**20, "settled": sizes[0], "most": max(sizes), "last": sizes[-1]}
    return {**ends, "more_a_minute": slope}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--turn-seconds", type=float, default=8.0, help="of the model, for each of four turns")
    parser.add_argument("--sessions", type=float, default=0.25, help="share of the streams that start sessions")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    how = {name: getattr(options, name) for name in ("streams", "seconds", "turn_seconds", "sessions")}
    found = measure(**how)
    if options.json:
        print(json.dumps({"how": how, **found}, indent=2))
    else:
        print(f"{options.streams} streams for {options.seconds:g} s, four turns of {options.turn_seconds:g} s")
        for name, value in found.items():
            parts = value if isinstance(value, dict) else {"": value}
            for part, each in parts.items():
                told = "  ".join(f"{k} {v:.1f}" for k, v in each.items()) if isinstance(each, dict) else each
                print(f"  {name + ' ' + part:28}{told if isinstance(told, str | int | list) else round(told, 2)}")
    if found["lost"]:
        raise SystemExit(f"{found['lost']} of {found['judgements']} judgements were lost: {found['why']}")


if __name__ == "__main__":
    main()
