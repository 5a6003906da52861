"""What the reward server tells Prometheus.

    metrics = Metrics()
    metrics.requests.labels("/v1/rewards", "200").inc()
    metrics.render()                    # the text of GET /metrics

With several worker processes the numbers are those of all of them together: `PROMETHEUS_MULTIPROC_DIR` names the folder
where they meet, as prometheus_client has it.
"""

import os
from pathlib import Path
from typing import Any

from agentjudge.errors import require

TOGETHER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
STATES = {"closed": 0, "half-open": 1, "open": 2}


class Metrics:
    """The numbers of one application."""

    def __init__(self) -> None:
        prometheus: Any = require("prometheus_client", extra="serve")
        self._prometheus = prometheus
        self.registry = registry = prometheus.CollectorRegistry()
        self._labelled: dict[tuple[str, tuple[str, ...]], Any] = {}

        def counter(name: str, about: str, *labels: str) -> Any:
            return prometheus.Counter(f"agentjudge_{name}", about, labels, registry=registry)

        def gauge(name: str, about: str, mode: str = "livesum") -> Any:
            return prometheus.Gauge(f"agentjudge_{name}", about, registry=registry, multiprocess_mode=mode)

        def histogram(name: str, about: str, *labels: str) -> Any:
            return prometheus.Histogram(f"agentjudge_{name}", about, labels, registry=registry, buckets=SECONDS)

        self.requests = counter("requests", "Requests answered.", "route", "code")
        self.request_seconds = histogram("request_seconds", "From a request's arrival to its answer.", "route")
        self.verdicts = counter("verdicts", "Cases answered, by the status of their verdict.", "status")
        self.unscored = counter("unscored", "Cases answered without a score.")
        self.judgements = histogram("judgement_seconds", "Of judgements made.")
        self.judge_errors = counter("judge_errors", "Judgements that failed, by the kind of failure.", "kind")
        self.retries = counter("judge_retries", "Judgements made again after a failure that may pass.")
        self.in_flight = gauge("requests_in_flight", "Requests that wait for their answer.")
        self.running = gauge("judgements_running", "Judgements that the judge is at.")
        self.queued = gauge("judgements_queued", "Judgements that wait for their turn.")
        self.cache_hits = counter("cache_hits", "Answers that were known.")
        self.cache_misses = counter("cache_misses", "Answers that had to be made.")
        self.coalesced = counter("coalesced", "Answers that another request was waiting for already.")
        self.refused = counter("refused", "Requests refused since the queue was full.")
        self.missed = counter("deadlines_missed", "Cases without an answer by their deadline.")
        self.neutral = counter("neutral_values", "Declared neutral values given to trainers in place of a score.")
        self.breaker = gauge("breaker_state", "0 closed, 1 half-open, 2 open.", "livemax")

    def of(self, name: str, *labels: str) -> Any:
        """The number of this name with these labels, looked up once."""
        found = self._labelled.get((name, labels))
        if found is None:
            found = self._labelled[name, labels] = getattr(self, name).labels(*labels)
        return found

    def render(self) -> bytes:
        """The text of all numbers, those of other processes included."""
        registry = self.registry
        if os.environ.get(TOGETHER):
            from prometheus_client import multiprocess

            registry = self._prometheus.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        text: bytes = self._prometheus.generate_latest(registry)
        return text


def forget(pid: int, folder: Path) -> None:
    """Take the gauges of a process that is gone out of the sums."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
