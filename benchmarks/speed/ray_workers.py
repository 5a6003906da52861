"""What a second worker brings where the model's latency is the bound, and what Ray adds to a judgement.

    python -m agentjudge.benchmarks.speed.ray_workers [-n 80] [--latency-ms 300] [--concurrency 4] [--rounds 2]

Two servers with a fixed latency play two replicas of a model; a judgement is 4 turns with 3 searches. A worker asks one
replica and has `concurrency` judgements in flight. Rounds with one worker and with two alternate over one cluster, and
the ratio of their throughputs is what counts. A third arm is the same judge in this process, with one worker's
judgements in flight.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentjudge.case import Case, Claim
from agentjudge.demo import CORPUS
from agentjudge.errors import require
from agentjudge.judge import Judge
from agentjudge.runs.batch import Judges, judge_cases
from agentjudge.runs.folder import open_run
from agentjudge.runs.ray_pool import RayJudges, join
from agentjudge.runs.ray_worker import Recipe

TURNS = 4
MODEL = "vllm:bench"


@contextmanager
def servers(count: int, *, latency_ms: float) -> Iterator[list[str]]:
    """Addresses of servers that answer after a fixed time."""
    command = [sys.executable, "-m", "agentjudge.benchmarks.speed.server", "--latency-ms", str(latency_ms)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        yield [f"http://127.0.0.1:{server.stdout.readline().strip()}" for server in running if server.stdout]
    finally:
        for server in running:
            server.kill()
            server.wait()
            if server.stdout:
                server.stdout.close()


def timed(judges: Judges, cases: Sequence[Case], concurrency: int) -> tuple[float, float]:
    """Wall and CPU seconds of this process for the cases, run folder included."""
    with tempfile.TemporaryDirectory() as folder:
        judges.blobs = None
        judges.batch(list(cases[: 2 * concurrency]), concurrency=concurrency)  # everything is loaded behind it
        began, used = time.perf_counter(), time.process_time()
        judge_cases(judges, cases, Path(folder) / "run", concurrency=concurrency)
        spent = time.perf_counter() - began, time.process_time() - used
        verdicts = list(open_run(Path(folder) / "run").verdicts())
        assert len(verdicts) == len(cases) and all(v.status == "scored" and v.usage.turns == TURNS for v in verdicts)
    return spent


def measure(n: int, *, latency_ms: float, concurrency: int, rounds: int, address: str) -> dict[str, Any]:
    """Judgements a second by workers, and CPU milliseconds of the driver a judgement."""
    ray = require("ray", extra="ray")
    cases = [Claim(id=f"case-{number}", claim=f"The mountain is {number} m high.") for number in range(n)]
    rates: dict[str, list[float]] = {"in this process": [], "1 worker": [], "2 workers": []}
    cpu: dict[str, list[float]] = {arm: [] for arm in rates}
    corpus = (str(CORPUS),)

    def note(arm: str, judges: Judges) -> None:
        seconds, used = timed(judges, cases, concurrency)
        rates[arm].append(n / seconds)
        cpu[arm].append(1000 * used / n)

    with servers(2, latency_ms=latency_ms) as urls:
        with Judge.load(model=f"{MODEL}@{urls[0]}", corpus=CORPUS) as judge:
            note("in this process", judge)
        ours = join(ray, address, 2)
        try:
            for _ in range(rounds):
                for workers in (1, 2):
                    recipe = Recipe(model=MODEL, replicas=tuple(urls[:workers]), corpus=corpus)
                    with RayJudges.start(recipe, workers=workers) as judges:
                        judges.wait_for_all()
                        note(f"{workers} worker{'s' * (workers > 1)}", judges)
        finally:
            if ours:
                ray.shutdown()
    mean = {arm: statistics.mean(each) for arm, each in rates.items()}
    return {
        "n": n,
        "latency_ms": latency_ms,
        "concurrency": concurrency,
        "per_second": rates,
        "bound_of_one_worker": concurrency / (TURNS * latency_ms / 1000),
        "ratio": mean["2 workers"] / mean["1 worker"],
        "driver_cpu_ms": {arm: statistics.mean(each) for arm, each in cpu.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=80, help="judgements of an arm")
    parser.add_argument("--latency-ms", type=float, default=300.0)
    parser.add_argument("--concurrency", type=int, default=4, help="judgements in flight at a worker")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--address", default="local")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(
        options.n,
        latency_ms=options.latency_ms,
        concurrency=options.concurrency,
        rounds=options.rounds,
        address=options.address,
    )
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{options.n} judgements of {TURNS} turns, {options.latency_ms:g} ms each, {options.concurrency} in flight")
    for arm, rates in found["per_second"].items():
        told = ", ".join(f"{rate:.2f}" for rate in rates)
        print(f"  {arm:16} {told} a second; driver {found['driver_cpu_ms'][arm]:.1f} ms CPU a judgement")
    print(f"  most that one worker's latency allows: {found['bound_of_one_worker']:.2f} a second")
    print(f"  2 workers / 1 worker: {found['ratio']:.2f}")


if __name__ == "__main__":
    main()
