"""The desk: every job that is brought to it has an answer by its deadline, and no question is asked twice at a time.

    desk = Desk(asker, cache, metrics, queue=4096)
    answers = await desk.answer(jobs, end)          # one a job, in order; raises `Busy` before anything is begun
    await desk.drain(30.0)                          # what is in flight gets that long, the rest "no score"

A job that is known is answered at once. One that is in flight is waited for, whoever brought it: requests that want
the same share one judgement, and whoever gives up leaves it to the others. Only when the last one has given up is it
broken off. Failures are handed to all who wait, and kept for nobody.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agentjudge.errors import BudgetError
from agentjudge.serving.rewards_asking import Asker
from agentjudge.serving.rewards_cache import Entries, RewardCache
from agentjudge.serving.rewards_entries import Unavailable, no_score
from agentjudge.serving.rewards_jobs import Job
from agentjudge.serving.rewards_metrics import Metrics

SHUT = "the server is shutting down"
LAST = 1.0
"""Seconds for what is broken off to notice."""


class Busy(Exception):
    """More is in flight than the queue takes; `after` is the number of seconds after which there may be room."""

    def __init__(self, after: float) -> None:
        super().__init__(f"the queue is full; ask again in {after:.3g} s")
        self.after = after


@dataclass(frozen=True, slots=True)
class Answer:
    """The entries of a job."""

    entries: Entries
    cached: bool = False
    """They were known."""
    coalesced: bool = False
    """Somebody else had asked for them already."""


_Waiter = asyncio.Future[Entries | None]
"""Of one request for one job; None: its time is over."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A job that is being done."""

    job: Job
    end: float
    """The latest deadline of those who wait."""
    waiters: list[_Waiter] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None

    def land(self, entries: Entries) -> None:
        """Answer all who wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(entries)
        self.waiters.clear()


class Desk:
    """Jobs in flight, for one event loop.

    Args:
        asker: the judge.
        judge: its name, for answers that it did not give.
        cache: what is known.
        metrics: where it is counted.
        queue: jobs in flight at once, those that wait for their turn among them.
    """

    def __init__(self, asker: Asker, *, judge: str, cache: RewardCache, metrics: Metrics, queue: int) -> None:
        self.asker = asker
        self._judge = judge
        self._cache = cache
        self._metrics = metrics
        self._queue = queue
        self._flights: dict[str, _Flight] = {}
        self.draining = False

    @property
    def in_flight(self) -> int:
        """Jobs that are being done, or wait for their turn."""
        return len(self._flights)

    async def answer(self, jobs: Sequence[Job], end: float) -> list[Answer]:
        """The answers to jobs, in their order.

        Args:
            jobs: those with the same key are one question.
            end: when to answer at the latest, by the event loop's clock.

        Raises:
            Busy: there is no room for what is new among them.
            Unavailable: the server is shutting down.
        """
        if self.draining:
            raise Unavailable(SHUT, after=1.0)
        known = {job.key: self._cache.get(job.key) for job in jobs}
        new = {key for key, entries in known.items() if entries is None and key not in self._flights}
        if new and len(self._flights) and len(self._flights) + len(new) > self._queue:
            self._metrics.refused.inc()
            raise Busy(self.patience)
        loop, waits = asyncio.get_running_loop(), list[Answer | _Wait]()
        for job in jobs:
            entries = known[job.key]
            if entries is not None:
                self._metrics.cache_hits.inc()
                waits.append(Answer(entries, cached=True))
                continue
            self._metrics.cache_misses.inc()
            flight = self._flights.get(job.key)
            joined = flight is not None
            if flight is None:
                flight = self._depart(job, end)
            else:
                self._metrics.coalesced.inc()
                flight.end = max(flight.end, end)
            waiter = loop.create_future()
            flight.waiters.append(waiter)
            waits.append(_Wait(flight, waiter, joined))
        return await self._landed(waits, end)

    @property
    def patience(self) -> float:
        """Seconds until there may be room, about."""
        return max(1.0, self.asker.usual * (1 + self.asker.queued) / max(1, self.asker.running))

    async def drain(self, seconds: float) -> None:
        """Wait for what is in flight, and answer "no score" to what is left after so many seconds."""
        self.draining = True
        tasks = [flight.task for flight in self._flights.values() if flight.task is not None]
        if tasks and seconds > 0:
            await asyncio.wait(tasks, timeout=seconds)
        for flight in list(self._flights.values()):
            self._fail(flight, Unavailable(SHUT, after=1.0))
            self._abandon(flight)
        if tasks := [task for task in tasks if not task.done()]:
            await asyncio.wait(tasks, timeout=LAST)

    def _depart(self, job: Job, end: float) -> _Flight:
        flight = self._flights[job.key] = _Flight(job, end)
        flight.task = asyncio.create_task(self._fly(flight))
        return flight

    async def _landed(self, waits: "Sequence[Answer | _Wait]", end: float) -> list[Answer]:
        waiting = [wait for wait in waits if isinstance(wait, _Wait)]
        timer = asyncio.get_running_loop().call_at(end, _expire, waiting) if waiting else None
        try:
            return [wait if isinstance(wait, Answer) else self._taken(wait, await wait.waiter) for wait in waits]
        finally:
            if timer is not None:
                timer.cancel()
            for wait in waiting:
                self._leave(wait)

    def _leave(self, wait: "_Wait") -> None:
        """Somebody has an answer, or waits no longer; what nobody waits for is broken off."""
        waiters = wait.flight.waiters
        if wait.waiter in waiters:
            waiters.remove(wait.waiter)
            if not waiters:
                self._abandon(wait.flight)

    def _taken(self, wait: "_Wait", entries: Entries | None) -> Answer:
        if entries is not None:
            return Answer(entries, coalesced=wait.joined)
        cases = wait.flight.job.cases
        self._metrics.missed.inc(cases)
        late = no_score(self._judge, BudgetError("no answer by the deadline of the request", retriable=True))
        return Answer((late,) * cases, coalesced=wait.joined)

    async def _fly(self, flight: _Flight) -> None:
        job = flight.job
        try:
            entries = tuple(await job.work(lambda case: self.asker.ask(case, flight)))
            if all(entry.lasting for entry in entries):
                await self._cache.put(job.key, entries)
            flight.land(entries)
        except Exception as exc:
            self._fail(flight, exc)
        finally:
            self._forget(flight)

    def _abandon(self, flight: _Flight) -> None:
        """Break off what nobody waits for; whoever asks from now on begins anew."""
        if flight.task is not None and not flight.task.done():
            self._forget(flight)
            flight.task.cancel()

    def _forget(self, flight: _Flight) -> None:
        if self._flights.get(flight.job.key) is flight:
            del self._flights[flight.job.key]

    def _fail(self, flight: _Flight, error: Exception) -> None:
        flight.land((no_score(self._judge, error),) * flight.job.cases)


class _Wait(NamedTuple):
    """A request's interest in a job."""

    flight: _Flight
    waiter: _Waiter
    joined: bool


def _expire(waiting: Sequence[_Wait]) -> None:
    for wait in waiting:
        if not wait.waiter.done():
            wait.waiter.set_result(None)
