"""Judgements on the nodes of a Ray cluster: one driver, which owns the run folder, and workers that hold a judge each.

    recipe = Recipe(model="vllm:Qwen/Qwen3-8B", replicas=("http://gpu1:8000", "http://gpu2:8000"))
    with RayJudges.start(recipe, address="auto", blobs=Path("run") / BLOBS) as judges:
        judge_cases(judges, cases, Path("run"), resume=True)           # as with a Judge

Workers are plain actors, one outstanding call a case. Ray Data would be less code and not enough: it hands out blocks
of rows, so it cannot keep cases with one prefix at one replica (`affinity`), tries again whole blocks that a dead node
had half done, and tells of a row only when its block is done. Here a judgement lives on one worker, and so at one
replica, from its first turn to its verdict, and is written by the driver when it ends.

A worker that dies, alone or with its node, is replaced where the cluster has room, and what it had in flight is judged
again elsewhere; a call that is lost cannot answer any more, so no case has two verdicts. A case that was in flight
at two deaths is tried a third time with nothing beside it; if that worker dies too, it gets a failed verdict, which
`resume` takes up again. Pictures are fetched from a worker before the trace that names them is written.

Files of cases and corpora are opened by the workers: their paths must hold the same on every node.
"""

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from agentjudge import __version__
from agentjudge.case import Case
from agentjudge.errors import AgentJudgeError, ConfigError, StoreError, require
from agentjudge.evidence import EvidenceStore
from agentjudge.runs.affinity import choose, prefix_key
from agentjudge.runs.ray_seats import POLL_SECONDS, START_SECONDS, Seat, Seats, cause
from agentjudge.runs.ray_worker import Judged, Recipe
from agentjudge.trace import Trace
from agentjudge.verdict import Failure, Provenance, Verdict

DEATHS = 3
"""Of workers, after which a case that was with them is given up."""


@dataclass(eq=False, slots=True)
class _Task:
    """A case that has no verdict yet."""

    case: Case
    key: bytes | None
    deaths: int = 0


@dataclass(eq=False, slots=True)
class _Flight:
    """A call of a worker: to judge, or for the pictures of what it judged."""

    task: _Task
    seat: Seat
    trace: Trace | None = None
    blobs: tuple[str, ...] = ()


@dataclass(slots=True)
class _Queue:
    """What is left."""

    tasks: deque[_Task]
    suspects: deque[_Task] = field(default_factory=deque)
    """To be tried with nothing beside them."""
    alone: Seat | None = None
    """Kept free for a suspect."""


class RayJudges:
    """Judges on a cluster, with as much of `Judge` as `judge_cases` needs. Make it with `start`."""

    def __init__(self, ray: Any, seats: Seats, *, blobs: Path | None, ours: bool) -> None:
        self.blobs = blobs
        self._ray, self._seats, self._ours = ray, seats, ours
        self._flights: dict[Any, _Flight] = {}
        self._about = seats.first_word()

    @classmethod
    def start(
        cls,
        recipe: Recipe,
        *,
        address: str = "local",
        workers: int | None = None,
        gpus: float = 0.0,
        blobs: Path | None = None,
        corpus_hash: str | None = None,
    ) -> Self:
        """Join a cluster and wait for the first worker.

        Args:
            recipe: of the judge.
            address: `auto` for the cluster that this machine is part of, `local` for one that lasts as long as this
                object, or `HOST:PORT`.
            workers: each takes a CPU; one a replica, and one a node where there are none, when None.
            gpus: of each worker, for models in its process.
            blobs: the folder of pictures of the run; none can be kept when None.
            corpus_hash: what the texts of `recipe.corpus` must be.

        Raises:
            ConfigError: Ray is absent, there is no such cluster, fewer workers than replicas, or no worker can load
                the judge.
        """
        ray = require("ray", extra="ray")
        least = len(recipe.replicas) or 1
        if workers is not None and workers < least:
            raise ConfigError(f"{workers} workers cannot ask {least} replicas; give at least one each")
        ours = join(ray, address, workers or least)
        try:
            if workers is None:
                workers = max(least, 0 if recipe.replicas else sum(node["Alive"] for node in ray.nodes()))
            seats = Seats(ray, recipe, workers, gpus=gpus, corpus=corpus_hash)
            try:
                return cls(ray, seats, blobs=blobs, ours=ours)
            except BaseException:
                seats.close()
                raise
        except BaseException:
            if ours:
                ray.shutdown()
            raise

    @property
    def opens_pages(self) -> bool:
        """As of a `Judge`."""
        return self._about.opens_pages

    @property
    def nodes(self) -> set[str]:
        """The nodes with a worker that can judge."""
        return {seat.node for seat in self._seats.up}

    @property
    def lost(self) -> int:
        """Workers that ended before their time."""
        return self._seats.lost

    def settings(self) -> dict[str, Any]:
        """As of a `Judge`; the model without the addresses of its replicas, which may change from run to run."""
        return self._about.settings

    def wait_for_all(self, *, seconds: float = START_SECONDS) -> bool:
        """Wait until every place has its worker; whether that came true in time."""
        over = time.monotonic() + seconds
        while (hellos := self._seats.hellos) and time.monotonic() < over:
            for ref in self._ray.wait(list(hellos), timeout=POLL_SECONDS)[0]:
                self._seats.hear(hellos[ref])
        return not self._seats.hellos

    def batch(
        self, cases: Iterable[Case], *, concurrency: int = 32, on_trace: Callable[[Trace], None] | None = None
    ) -> None:
        """Judge cases; every one ends in exactly one trace.

        Args:
            cases: with ids that differ.
            concurrency: judgements in flight at each worker.
            on_trace: called with each trace, in this thread.

        Raises:
            ConfigError: no worker is left, and none comes back; what has ended is told by then.
        """
        queue = _Queue(deque(_Task(case, prefix_key(case)) for case in cases))
        waiting = time.monotonic()
        try:
            while queue.tasks or queue.suspects or self._flights:
                self._send(queue, concurrency)
                if self._seats.up:
                    waiting = time.monotonic()
                elif time.monotonic() - waiting > START_SECONDS:
                    raise ConfigError(self._seats.nobody())
                for trace in self._settled(queue):
                    if on_trace is not None:
                        on_trace(trace)
        finally:
            self._break_off()

    def close(self) -> None:
        """End the workers, and the cluster where `start` began it."""
        self._seats.close()
        if self._ours:
            self._ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # cases

    def _send(self, queue: _Queue, concurrency: int) -> None:
        """Hand out what there is room for."""
        if queue.alone is not None and queue.alone not in self._seats.all:
            queue.alone = None
        up = self._seats.up
        if queue.suspects and up:
            queue.alone = queue.alone or min(up, key=lambda seat: seat.flights)
            if queue.alone.flights == 0:
                self._judge(queue.suspects.popleft(), queue.alone)
        elif queue.alone is not None and queue.alone.flights == 0:
            queue.alone = None
        seats = {seat.place: seat for seat in up if seat is not queue.alone}
        while queue.tasks:
            loads = {place: seat.flights for place, seat in seats.items()}
            place = choose(queue.tasks[0].key, loads, most=concurrency)
            if place is None:
                return
            self._judge(queue.tasks.popleft(), seats[place])

    def _judge(self, task: _Task, seat: Seat) -> None:
        self._fly(seat.actor.judge.remote(task.case), _Flight(task, seat))

    def _fly(self, ref: Any, flight: _Flight) -> None:
        flight.seat.flights += 1
        self._flights[ref] = flight

    def _settled(self, queue: _Queue) -> Iterable[Trace]:
        """The traces that have come by now, after a wait for something to come."""
        hellos = self._seats.hellos
        refs = [*self._flights, *hellos]
        if not self._ray.wait(refs, num_returns=1, timeout=POLL_SECONDS)[0]:
            return
        for ref in self._ray.wait(refs, num_returns=len(refs), timeout=0)[0]:
            if (seat := hellos.get(ref)) is not None:
                self._seats.hear(seat)
            elif (trace := self._landed(ref, self._flights.pop(ref), queue)) is not None:
                yield trace

    def _landed(self, ref: Any, flight: _Flight, queue: _Queue) -> Trace | None:
        """What has become of a call: a trace, or None where there is more to do."""
        task, seat = flight.task, flight.seat
        seat.flights -= 1
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as exc:
            return self._failed(task.case, AgentJudgeError(f"the worker could not answer: {cause(exc)}"))
        except self._ray.exceptions.RayError as exc:
            self._seats.replace(seat, exc)
            task.deaths += 1
            if task.deaths >= DEATHS:
                told = f"{DEATHS} workers ended while they judged this case, the last one nothing else: {cause(exc)}"
                return self._failed(task.case, AgentJudgeError(told, retriable=True))
            if task.deaths == DEATHS - 1:
                queue.suspects.append(task)
            else:
                queue.tasks.appendleft(task)
            return None
        if flight.trace is not None:
            self._keep(flight.blobs, answer)
            return flight.trace
        return self._with_pictures(flight, answer)

    def _with_pictures(self, flight: _Flight, judged: Judged) -> Trace | None:
        """The trace, where its pictures are here; otherwise they are asked for."""
        missing = tuple(sha for sha in judged.blobs if not self._blob(sha).is_file())
        if not missing:
            return judged.trace
        self._fly(flight.seat.actor.read.remote(missing), _Flight(flight.task, flight.seat, judged.trace, missing))
        return None

    def _blob(self, sha: str) -> Path:
        if self.blobs is None:
            raise StoreError("the cases have pictures: start the judges with the folder that keeps them")
        return self.blobs / sha[:2] / sha

    def _keep(self, blobs: tuple[str, ...], data: list[bytes]) -> None:
        store = EvidenceStore(root=self.blobs)
        for sha, bytes_ in zip(blobs, data, strict=True):
            if store.put(bytes_) != sha:
                raise StoreError(f"a picture came from a worker with other bytes than its name {sha[:12]} says")

    def _failed(self, case: Case, error: AgentJudgeError) -> Trace:
        settings = self.settings()
        name = settings["name"]
        made = Provenance(judge=name, prompt_hash=settings["prompts"], model=settings["model"], version=__version__)
        verdict = Verdict(case_id=case.id, status="failed", failure=Failure.of(error), provenance=made)
        return Trace(case.blind(), name, [], [], [], (), verdict)

    def _break_off(self) -> None:
        """Let go of what is in flight, as after Ctrl-C; a later batch begins with idle workers."""
        for ref, flight in self._flights.items():
            flight.seat.flights -= 1
            with contextlib.suppress(Exception):
                self._ray.cancel(ref)
        self._flights.clear()


def join(ray: Any, address: str, workers: int) -> bool:
    """Connect this process; whether the cluster is one of its own.

    Raises:
        ConfigError: there is no such cluster.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # judgements call nobody
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of what is broken off by Ctrl-C
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == "local":
            cpus = max(workers, os.cpu_count() or 1)
            ray.init("local", num_cpus=cpus, include_dashboard=False, **quiet)
        else:
            ray.init(address, **quiet)
    except Exception as exc:
        hint = "; start one with `ray start --head`, or use --ray local" if address == "auto" else ""
        raise ConfigError(f"no Ray cluster at {address!r} ({exc}){hint}") from exc
    return True
