"""What the reward server adds to an answer: 5,000 requests, 256 in flight, beside a bare FastAPI handler.

    python -m agentjudge.benchmarks.speed.rewards [--workers N] [--cache] [--json]

| arm | an answer is |
|---|---|
| `bare` | a FastAPI handler that takes a JSON object, sleeps 20 ms and returns one |
| `server` | POST /v1/rewards of a judge that sleeps 20 ms and has its verdict ready: all that the server itself does |
| `graph` | the same with the judge `compare` in one turn of a model that takes 20 ms: LangGraph and the judge on top |

Each arm is started as `agentjudge serve` starts it, in processes of its own, as many for each; the load comes from
another process over keep-alive connections, a round for each arm by turns. Every case differs, so no answer is shared
and none is known beforehand; with `--cache` each one is written to the disk. Every answer is read and must hold the
score. What counts is the ratio to `bare` within one run. With 256 in flight 20 ms are nothing: all arms are bound by
CPU, and the ratio of the servers' CPU tells what that of the throughput comes from.
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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentjudge.case import Case, Response
from agentjudge.serving.server import run
from agentjudge.trace import Trace
from agentjudge.verdict import Provenance, Usage, Verdict

SECONDS = 0.02
SCORE = 0.75
SAID = {
    "criteria": [{"name": "right", "reason": "The year is the one in the reference.", "score": SCORE}],
    "evidence": [],
    "reason": "It names the year, and nothing else that would be wrong.",
    "score": SCORE,
    "confidence": 0.8,
}
ARMS = ("bare", "server", "graph")
PATHS = {"bare": "/bare", "server": "/v1/rewards", "graph": "/v1/rewards"}


class Spec:
    """Of the judge without a graph."""

    name = "scripted"
    cases = (Response,)


class Sleeping:
    """A judge that sleeps and has its verdict ready."""

    spec = Spec()

    async def arun(self, case: Case) -> Trace:
        """The trace of one case."""
        await asyncio.sleep(SECONDS)
        verdict = Verdict(
            case_id=case.id,
            status="scored",
            score=SCORE,
            rationale=str(SAID["reason"]),
            usage=Usage(turns=1, seconds=SECONDS),
            provenance=Provenance(judge="scripted", model="scripted"),
        )
        return Trace(case.blind(), "scripted", [], [], [], (), verdict)

    def settings(self) -> dict[str, Any]:
        """What its verdicts depend on."""
        return {"name": "scripted"}

    async def aclose(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True)
class Arm:
    """Makes the application of an arm."""

    name: str
    cache: str = ""

    def __call__(self) -> Any:
        """The FastAPI application."""
        return _bare() if self.name == "bare" else self._rewards()

    def told(self, app: Any, address: str) -> str:
        """Where it is."""
        return address

    def _rewards(self) -> Any:
        from agentjudge.judge import Judge
        from agentjudge.models.scripted import ScriptedModel
        from agentjudge.serving.rewards import create_app
        from agentjudge.serving.rewards_jobs import Jobs

        async def say(request: Any) -> str:
            await asyncio.sleep(SECONDS)
            return json.dumps(SAID)

        judge = Sleeping() if self.name == "server" else Judge.load("compare", model=ScriptedModel(say))
        return create_app(Jobs(judge), cache=Path(self.cache) if self.cache else None)


def _bare() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/bare")  # type: ignore[untyped-decorator]
    async def bare(body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(SECONDS)
        return {"results": [{"id": "0", "score": SCORE}]}

    return app


def body(number: int) -> bytes:
    """The body of a request: one case, like no other."""
    words = f"The bridge over the river opened in 1932, says visitor {number}. " * 8
    prompt = "When did the bridge open? Answer in a sentence, and say where you know it from. " * 3
    return json.dumps(
        {"cases": [{"id": str(number), "kind": "response", "prompt": prompt, "response": words}]}
    ).encode()


async def load(address: str, path: str, *, n: int, in_flight: int, first: int = 0) -> dict[str, Any]:
    """`n` requests over `in_flight` connections; every answer is read and looked at."""
    host, port = address.removeprefix("http://").split(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "
    numbers, seconds, faults = iter(range(first, first + n)), [], []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for number in numbers:
            sent, began = body(number), time.perf_counter()
            writer.write(f"{head}{len(sent)}\r\n\r\n".encode() + sent)
            reply = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"content-length: *(\d+)", reply)
            answer = await reader.readexactly(int(length[1]) if length else 0)
            seconds.append(time.perf_counter() - began)
            if not reply.startswith(b"http/1.1 200") or json.loads(answer)["results"][0]["score"] != SCORE:
                faults.append(answer[:200])
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(in_flight)))
    wall = time.perf_counter() - began
    assert len(seconds) == n, "a request was lost"
    seconds.sort()
    return {
        "answers": len(seconds),
        "faults": len(faults),
        "per_second": len(seconds) / wall,
        "p50_ms": 1000 * statistics.median(seconds),
        "p99_ms": 1000 * seconds[int(0.99 * (len(seconds) - 1))],
    }


def cpu_seconds(pid: int) -> float:
    """CPU that a process and its children have used so far, where /proc tells."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(int(child)) for child in children)


@contextmanager
def serving(arm: str, *, workers: int, cache: bool) -> Iterator[tuple[int, str]]:
    """A server of an arm: its process and its address."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"name": arm, "cache": folder if cache and arm != "bare" else "", "workers": workers}
        command = [sys.executable, "-m", "agentjudge.benchmarks.speed.rewards", "--serve", json.dumps(options)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            try:
                assert server.stderr is not None
                yield server.pid, server.stderr.readline().split()[0]
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(30)


def measure(*, n: int, in_flight: int, rounds: int, workers: int, cache: bool) -> dict[str, list[dict[str, Any]]]:
    """All arms, by turns: a round of each, then another, so that what else the machine does meets all of them."""
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    with ExitStack() as stack:
        servers = {arm: stack.enter_context(serving(arm, workers=workers, cache=cache)) for arm in ARMS}
        for number in range(rounds + 1):
            for arm, (pid, address) in servers.items():
                count = n // rounds if number else 2 * in_flight  # first connections, imports, first uses
                before, own = cpu_seconds(pid), time.process_time()
                row = asyncio.run(load(address, PATHS[arm], n=count, in_flight=in_flight, first=number * n))
                row["server_cpu_ms"] = 1000 * (cpu_seconds(pid) - before) / count
                row["client_cpu_ms"] = 1000 * (time.process_time() - own) / count
                if number:
                    found[arm].append(row)
    return found


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The rounds of an arm as one: what was answered, and the medians of the rest."""
    counted = {name: sum(row[name] for row in rows) for name in ("answers", "faults")}
    return counted | {name: statistics.median(row[name] for row in rows) for name in rows[0] if name not in counted}


def main() -> None:
    """Run the arms and print them with their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5_000, help="requests an arm")
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5, help="of which the requests of an arm are made, by turns")
    parser.add_argument("--workers", type=int, default=1, help="server processes, of every arm")
    parser.add_argument("--cache", action="store_true", help="write every answer to the disk")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        given = json.loads(options.serve)
        workers = given.pop("workers")
        run(Arm(**given), host="127.0.0.1", port=0, workers=workers, drain=5.0)
        return
    how = {name: getattr(options, name) for name in ("n", "in_flight", "rounds", "workers", "cache")}
    rounds = measure(**how)
    results = {arm: summed(rows) for arm, rows in rounds.items()}
    for arm, row in results.items():
        if row["faults"]:
            raise SystemExit(f"{arm}: {row['faults']} of {row['answers']} answers were none, or wrong")
    ratios = {}
    for arm in ARMS[1:]:
        pairs = zip(rounds[arm], rounds["bare"], strict=True)
        ratios[f"{arm} / bare"] = statistics.median(one["per_second"] / bare["per_second"] for one, bare in pairs)
    cpu = {f"{arm} / bare": results[arm]["server_cpu_ms"] / (results["bare"]["server_cpu_ms"] or 1) for arm in ARMS[1:]}
    if options.json:
        print(json.dumps({"how": how, "results": results, "throughput_ratios": ratios, "cpu_ratios": cpu}, indent=2))
        return
    print(
        f"{options.n} requests in {options.rounds} rounds, {options.in_flight} in flight, {options.workers} process(es)"
    )
    for arm, row in results.items():
        print(f"  {arm:8}" + "  ".join(f"{key} {value:9.2f}" for key, value in row.items()))
    print("throughput, median of the rounds\n" + "\n".join(f"  {name}: {ratio:.2f}" for name, ratio in ratios.items()))
    print("CPU of the server\n" + "\n".join(f"  {name}: {ratio:.2f}" for name, ratio in cpu.items()))


if __name__ == "__main__":
    main()
