"""What the API tells Prometheus."""

from typing import Any

from agentjudge.errors import require
from agentjudge.serving.rewards_metrics import SECONDS
from agentjudge.verdict import Verdict


class ApiMetrics:
    """The numbers of one application."""

    def __init__(self) -> None:
        prometheus: Any = require("prometheus_client", extra="serve")
        self._prometheus, self._registry = prometheus, prometheus.CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Any:
            return prometheus.Counter(f"agentjudge_api_{name}", about, labels, registry=self._registry)

        def gauge(name: str, about: str) -> Any:
            return prometheus.Gauge(f"agentjudge_api_{name}", about, registry=self._registry)

        def histogram(name: str, about: str, *labels: str) -> Any:
            return prometheus.Histogram(
                f"agentjudge_api_{name}", about, labels, registry=self._registry, buckets=SECONDS
            )

        self.requests = counter("requests", "Requests answered.", "method", "route", "code")
        self.request_seconds = histogram("request_seconds", "From a request to the start of its answer.", "route")
        self.refused = counter("refused", "Requests refused at the door.", "why")
        self.verdicts = counter("verdicts", "Judgements that ended.", "judge", "status")
        self.judgement_seconds = histogram("judgement_seconds", "Of judgements, without their wait.", "judge")
        self.tokens = counter("tokens", "Tokens of judgements.", "judge", "kind")
        self.tool_calls = counter("tool_calls", "Tool calls of judgements.", "judge")
        self.running = gauge("judgements_running", "Judgements that are being made.")
        self.in_flight = gauge("judgements_in_flight", "Judgements that are being made, or wait for their turn.")

    def ended(self, judge: str, verdict: Verdict, *, first: bool) -> None:
        """Count a judgement; tokens only where its usage is that of one judgement alone."""
        usage = verdict.usage
        self.verdicts.labels(judge, verdict.status).inc()
        self.judgement_seconds.labels(judge).observe(usage.seconds)
        if first:
            self.tokens.labels(judge, "prompt").inc(usage.prompt_tokens)
            self.tokens.labels(judge, "completion").inc(usage.completion_tokens)
            self.tool_calls.labels(judge).inc(usage.tool_calls)

    def render(self) -> bytes:
        """The text of all numbers."""
        text: bytes = self._prometheus.generate_latest(self._registry)
        return text
