"""A circuit breaker: a judge that is out is left alone for a while, then asked once before all may ask it again.

    closed --outages in a row--> open --seconds--> half-open --an answer--> closed
                                  ^------------an outage-----------'

An outage is a failure that may pass by itself, or no answer at all. An answer that cannot be read shows that the judge
is there. Judgements that began before the last answer, or before the breaker opened, say nothing new when they fail.
"""

import time
from collections.abc import Callable
from typing import Literal

from agentjudge.errors import ConfigError
from agentjudge.serving.rewards_entries import Unavailable

State = Literal["closed", "half-open", "open"]


class Breaker:
    """For one judge and one event loop.

    Args:
        outages: in a row that open it.
        seconds: it stays open before one judgement may try.
        clock: seconds that only grow.
    """

    def __init__(self, *, outages: int = 5, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        if outages < 1 or seconds <= 0:
            raise ConfigError(f"a breaker needs 1 outage or more and some seconds, not {outages} and {seconds}")
        self._most, self._seconds, self._clock = outages, seconds, clock
        self._row = 0
        self._opened: float | None = None
        self._probing = False
        self._since = float("-inf")

    @property
    def state(self) -> State:
        """Half-open: the time is over, and the next judgement tries, or one is trying."""
        if self._opened is None:
            return "closed"
        return "half-open" if self._clock() >= self._opened + self._seconds else "open"

    def enter(self) -> float:
        """Begin a judgement; when it began, by the breaker's clock.

        Raises:
            Unavailable: the judge is out.
        """
        now = self._clock()
        if self._opened is not None:
            left = self._opened + self._seconds - now
            if left > 0:
                raise Unavailable(f"the judge is out; it will be tried in {left:.3g} s", after=left)
            if self._probing:
                raise Unavailable("the judge is out; it is being tried", after=1.0)
            self._probing = True
        return now

    def succeeded(self) -> None:
        """The judge answered."""
        self._row, self._opened, self._probing, self._since = 0, None, False, self._clock()

    def failed(self, began: float) -> None:
        """The judge did not answer; `began` is what `enter` returned."""
        if began < self._since:
            return
        self._row += 1
        if self._opened is not None or self._row >= self._most:
            self._opened = self._since = self._clock()
            self._probing = False

    def left(self) -> None:
        """A judgement ended without a word on the judge, such as by an error of the case."""
        self._probing = False
