"""Asking the judge: so many at once, no longer than somebody waits, a few tries, and not at all while it is out.

    asker = Asker(judge, limits, metrics)
    trace = await asker.ask(case, until)        # `until.end`: the latest time at which anybody wants the answer

A judgement that is broken off, since nobody waits any more, counts as an outage if it had taken `HANGS` times as long
as answers usually do, and the judge gave no other answer in the meantime: a judge that hangs is out, but clients in a
hurry shut it for nobody.
"""

import asyncio
import itertools
import random
import time
from typing import Protocol

from agentjudge.case import Case
from agentjudge.models.window import Window
from agentjudge.serving.rewards_breaker import Breaker
from agentjudge.serving.rewards_jobs import Served
from agentjudge.serving.rewards_metrics import STATES, Metrics
from agentjudge.trace import Trace

BACKOFF = 0.25
"""Seconds; the pause before the n-th try is drawn from 0 to `BACKOFF * 2**n`."""


HANGS = 3.0
"""Times the usual seconds of an answer, after which none is a sign."""


class Until(Protocol):
    """For how long an answer is wanted; it may grow."""

    end: float
    """By the event loop's clock."""


class Asker:
    """A judge behind a window and a breaker, for one event loop.

    Args:
        judge: who is asked.
        concurrency: judgements at once.
        tries: attempts a judgement, the first one included; only failures that may pass are tried again.
        breaker: of this judge.
        metrics: where it is counted.
    """

    def __init__(self, judge: Served, *, concurrency: int, tries: int, breaker: Breaker, metrics: Metrics) -> None:
        self._judge = judge
        self._window = Window(concurrency)
        self._tries = tries
        self._metrics = metrics
        self.breaker = breaker
        self.running = 0
        """Judgements that the judge is at."""
        self.queued = 0
        """Judgements that wait for their turn."""
        self.usual = 1.0
        """Seconds until an answer, smoothed."""
        self._told = "closed"

    async def ask(self, case: Case, until: Until) -> Trace:
        """The trace of a judgement; its failure is a failed verdict.

        Raises:
            Unavailable: the judge is out.
        """
        clock = asyncio.get_running_loop().time
        for attempt in itertools.count(1):
            trace = await self._once(case)
            failure = trace.verdict.failure
            if failure is None or not failure.retriable or attempt >= self._tries:
                return trace
            pause = random.uniform(0, BACKOFF * 2**attempt)
            if clock() + pause >= until.end:
                return trace
            self._metrics.retries.inc()
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _once(self, case: Case) -> Trace:
        waits = self.queued > 0 or self.running >= self._window.most
        if waits:
            self._queue(1)
        try:
            async with self._window:
                if waits:
                    self._queue(-1)
                    waits = False
                return await self._judged(case)
        finally:
            if waits:
                self._queue(-1)

    async def _judged(self, case: Case) -> Trace:
        began, clock = self.breaker.enter(), time.perf_counter()
        self._run(1)
        try:
            trace = await self._judge.arun(case)
        except asyncio.CancelledError:
            if time.perf_counter() - clock >= HANGS * self.usual:
                self.breaker.failed(began)
            else:
                self.breaker.left()
            raise
        except Exception:
            self.breaker.left()
            raise
        finally:
            self._run(-1)
            self._tell()
        seconds = time.perf_counter() - clock
        self._metrics.judgements.observe(seconds)
        failure = trace.verdict.failure
        if failure is not None:
            self._metrics.of("judge_errors", failure.kind).inc()
        if failure is not None and failure.retriable:
            self.breaker.failed(began)
        else:
            self.usual += 0.1 * (seconds - self.usual)
            self.breaker.succeeded()
        self._tell()
        return trace

    def _queue(self, more: int) -> None:
        self.queued += more
        self._metrics.queued.inc(more)

    def _run(self, more: int) -> None:
        self.running += more
        self._metrics.running.inc(more)

    def _tell(self) -> None:
        """Tell the metrics of the breaker's state, if it is another one."""
        if (state := self.breaker.state) != self._told:
            self._told = state
            self._metrics.breaker.set(STATES[state])
