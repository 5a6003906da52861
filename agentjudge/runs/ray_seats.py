"""The workers of a run on Ray: places that keep their number, and whoever sits in them now.

    seats = Seats(ray, recipe, workers=4, gpus=0)
    about = seats.first_word()
    seats.up                             # those that can judge
    seats.replace(seat, exc)             # its worker is gone

A place keeps its replica and its share of the prefixes whoever sits there. A worker that dies is replaced by a new one,
which may wait for room in the cluster; a place whose workers never say a word is given up.
"""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from agentjudge import __version__
from agentjudge.errors import ConfigError
from agentjudge.runs.ray_worker import About, Recipe, Worker

START_SECONDS = 900.0
"""Within which a worker has to be there when there is none; a large model in its process loads for minutes."""
SILENT = 3
"""Workers in a row that never said a word, before their place is given up."""
POLL_SECONDS = 1.0
CREATION = "creation task"
"""In what Ray says where the worker itself raised; whatever else ends one before its first word may be its node's."""


@dataclass(eq=False, slots=True)
class Seat:
    """A place with the worker that has it now."""

    place: int
    actor: Any
    hello: Any
    """Its first word, to be waited for; None once it is there."""
    flights: int = 0
    """Its calls that have not ended."""
    node: str = ""
    silent: int = 0
    """Workers before it, in a row, that never said a word."""


class Seats:
    """See the module.

    Args:
        ray: the module.
        recipe: of the judge.
        workers: how many places.
        gpus: of each worker.
        corpus: hash that the texts of the recipe's corpus must have; that of the first worker when None.
    """

    def __init__(self, ray: Any, recipe: Recipe, workers: int, *, gpus: float, corpus: str | None) -> None:
        self.lost = 0
        """Workers that ended before their time."""
        self._ray, self._recipe, self._corpus = ray, recipe, corpus
        self._make = ray.remote(Worker).options(
            num_cpus=1, num_gpus=gpus, max_restarts=0, scheduling_strategy="SPREAD", max_concurrency=1_000
        )
        self._why = ""
        self._first: About | None = None
        self.all = [self._seat(place) for place in range(workers)]

    @property
    def up(self) -> list[Seat]:
        """Those that can judge."""
        return [seat for seat in self.all if seat.hello is None]

    @property
    def hellos(self) -> dict[Any, Seat]:
        """First words that have not come yet, to be waited for."""
        return {seat.hello: seat for seat in self.all if seat.hello is not None}

    def first_word(self) -> About:
        """Wait for the first worker, and hear what it says.

        Raises:
            ConfigError: none comes, or it cannot load the judge, or it is not fit.
        """
        began = time.monotonic()
        while self._first is None:
            ready, _ = self._ray.wait(list(self.hellos), timeout=POLL_SECONDS)
            for ref in ready:
                try:
                    about = self._ray.get(ref)
                except self._ray.exceptions.RayError as exc:
                    seat = self.hellos[ref]
                    if CREATION in str(exc) or seat.silent + 1 >= SILENT:
                        raise ConfigError(f"a worker could not load the judge: {cause(exc)}") from exc
                    self.replace(seat, exc)
                else:
                    self._greet(self.hellos[ref], about)
            if self._first is None and time.monotonic() - began > START_SECONDS:
                raise ConfigError(self.nobody())
        return self._first

    def hear(self, seat: Seat) -> None:
        """Take the first word of a worker, or that it will say none.

        Raises:
            ConfigError: it would judge otherwise than the others, or no place is left.
        """
        try:
            about = self._ray.get(seat.hello)
        except self._ray.exceptions.RayError as exc:
            self.replace(seat, exc)
        else:
            self._greet(seat, about)

    def replace(self, seat: Seat, exc: Exception) -> None:
        """Give the place of a worker that is gone to a new one; a second time does nothing.

        Raises:
            ConfigError: no place is left.
        """
        if seat not in self.all:
            return
        self.lost, self._why = self.lost + 1, cause(exc)
        with contextlib.suppress(Exception):
            self._ray.kill(seat.actor)
        silent = 0 if seat.hello is None else seat.silent + 1
        if silent < SILENT:
            self.all[self.all.index(seat)] = self._seat(seat.place, silent=silent)
            return
        self.all.remove(seat)
        if not self.all:
            raise ConfigError(self.nobody())

    def nobody(self) -> str:
        """Says that no worker is there, and why."""
        why = self._why or "the cluster has no CPU free for one"
        return f"no worker is there ({why}); what has ended is kept, and --resume goes on with the rest"

    def close(self) -> None:
        """End the workers."""
        up = self.up
        with contextlib.suppress(Exception):
            self._ray.wait([seat.actor.close.remote() for seat in up], num_returns=len(up), timeout=5)
        for seat in self.all:
            with contextlib.suppress(Exception):
                self._ray.kill(seat.actor)

    def _seat(self, place: int, *, silent: int = 0) -> Seat:
        actor = self._make.remote(self._recipe, place)
        return Seat(place, actor, actor.about.remote(), silent=silent)

    def _greet(self, seat: Seat, about: About) -> None:
        node = about.node[:8]
        if about.version != __version__:
            raise ConfigError(f"node {node} has agentjudge {about.version}, and this machine {__version__}")
        first = self._first or about
        if about.corpus != (self._corpus or first.corpus):
            raise ConfigError(f"node {node} finds other texts under the paths of the corpus than this machine")
        if about.settings != first.settings:
            raise ConfigError(f"node {node} loads the judge with other prompts or tools than the first one")
        self._first = first
        seat.hello, seat.node = None, about.node


def cause(exc: Exception) -> str:
    """The last line of what Ray says: it puts whole stacks of other machines into its messages."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(exc).__name__
