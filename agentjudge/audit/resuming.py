"""A judge that goes on from what has happened, in the place of one that begins anew: for `judge_cases`.

judge_cases(Resuming(judge, probes), [probe.case for probe in probes], folder)
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from agentjudge.audit.base import Probe
from agentjudge.case import Case
from agentjudge.judge import Judge, spread
from agentjudge.trace import Trace


class Resuming:
    """Goes on from the trace that a probe gives; see `Judge.aresume`.

    The judgement is made as one of the probe's parent, so that marks in its messages stay what they were, and is
    written under the id of the probe. Each probe has a seed of its own, so that draws of one question differ.

    Args:
        judge: of the same prompts, model and sources as the one whose traces are given.
        probes: with `given`.
    """

    def __init__(self, judge: Judge, probes: Sequence[Probe]) -> None:
        self._judge = judge
        self.blobs = judge.blobs
        self._probes = {probe.case.id: probe for probe in probes}

    @property
    def opens_pages(self) -> bool:
        """As the judge's."""
        return self._judge.opens_pages

    def settings(self) -> dict[str, Any]:
        """As the judge's."""
        return self._judge.settings()

    def batch(
        self, cases: list[Case], *, concurrency: int = 32, on_trace: Callable[[Trace], None] | None = None
    ) -> None:
        """See `agentjudge.runs.batch.Judges`."""

        async def work(case: Case) -> None:
            probe = self._probes[case.id]
            if probe.given is None:
                raise ValueError(f"nothing is given that {case.id!r} could go on from")
            draw = int.from_bytes(hashlib.sha256(case.id.encode()).digest()[:3], "big")
            trace = await self._judge.aresume(probe.parent, probe.given, act=probe.way == "sampled", draw=draw)
            named = trace.case.model_copy(update={"id": case.id})
            verdict = trace.verdict.model_copy(update={"case_id": case.id})
            if on_trace is not None:
                on_trace(replace(trace, case=named, verdict=verdict))

        self._judge.wait(spread(cases, work, concurrency=concurrency))
