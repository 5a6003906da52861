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

from agentjudge.errors import BudgetError
from agentjudge.serving.rewards_asking import Asker
from agentjudge.serving.rewards_cache import Entries, RewardCache
from agentjudge.serving.rewards_entries import Unavailable, no_score
from agentjudge.serving.rewards_jobs import Job
from agentjudge.serving.rewards_metrics import Metrics

SHUT = "the server is shutting down"


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


@dataclass(slots=True, eq=False)
class _Flight:
    """A job that is being done."""

    job: Job
    end: float
    """The latest deadline of those who wait."""
    landed: "asyncio.Future[Entries]"
    waiting: int = 0
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


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
        waits: list[Answer | tuple[_Flight, bool]] = []
        for job in jobs:
            entries = known[job.key]
            if entries is not None:
                self._metrics.cache_hits.inc()
                waits.append(Answer(entries, cached=True))
                continue
            flight = self._flights.get(job.key)
            self._metrics.cache_misses.inc()
            waits.append((flight or self._depart(job, end), flight is not None))
        return await self._landed(waits, end)

    @property
    def patience(self) -> float:
        """Seconds until there may be room, about."""
        return max(1.0, self.asker.usual * (1 + self.asker.queued) / max(1, self.asker.running))

    async def drain(self, seconds: float) -> None:
        """Wait for what is in flight, and answer "no score" to what is left after so many seconds."""
        self.draining = True
        landing = [flight.landed for flight in self._flights.values()]
        if landing:
            await asyncio.wait(landing, timeout=seconds)
        for flight in list(self._flights.values()):
            self._land(flight, Unavailable(SHUT, after=1.0))
            self._abandon(flight)

    def _depart(self, job: Job, end: float) -> _Flight:
        flight = _Flight(job, end, asyncio.get_running_loop().create_future())
        self._flights[job.key] = flight
        flight.task = asyncio.create_task(self._fly(flight))
        return flight

    async def _landed(self, waits: Sequence[Answer | tuple[_Flight, bool]], end: float) -> list[Answer]:
        flights = [wait for wait in waits if not isinstance(wait, Answer)]
        for flight, joined in flights:
            flight.waiting += 1
            flight.end = max(flight.end, end)
            if joined:
                self._metrics.coalesced.inc()
        try:
            async with asyncio.timeout_at(end):
                for flight, _ in flights:
                    if not flight.landed.done():
                        await asyncio.shield(flight.landed)
        except TimeoutError:
            pass
        finally:
            for flight, _ in flights:
                flight.waiting -= 1
                if not flight.waiting:
                    self._abandon(flight)
        return [wait if isinstance(wait, Answer) else self._taken(*wait) for wait in waits]

    def _taken(self, flight: _Flight, joined: bool) -> Answer:
        if flight.landed.done() and not flight.landed.cancelled():
            return Answer(flight.landed.result(), coalesced=joined)
        self._metrics.missed.inc(flight.job.cases)
        late = no_score(self._judge, BudgetError("no answer by the deadline of the request", retriable=True))
        return Answer((late,) * flight.job.cases, coalesced=joined)

    async def _fly(self, flight: _Flight) -> None:
        job = flight.job
        try:
            entries = tuple(await job.work(lambda case: self.asker.ask(case, flight)))
            if all(entry.lasting for entry in entries):
                await self._cache.put(job.key, entries)
            if not flight.landed.done():
                flight.landed.set_result(entries)
        except Exception as exc:
            self._land(flight, exc)
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

    def _land(self, flight: _Flight, error: Exception) -> None:
        if not flight.landed.done():
            flight.landed.set_result((no_score(self._judge, error),) * flight.job.cases)
