"""The routes: what each one asks of the desk, and how it puts the answers into the form that its clients read."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from agentjudge.serving import rewards_bodies as bodies
from agentjudge.serving import rewards_engines as engines
from agentjudge.serving.rewards_desk import Answer, Busy, Desk
from agentjudge.serving.rewards_entries import Entry
from agentjudge.serving.rewards_http import Reply, Route, retry_after
from agentjudge.serving.rewards_jobs import Job, Jobs
from agentjudge.serving.rewards_metrics import Metrics


@dataclass(frozen=True, slots=True)
class Samples:
    """What a trainer asks for."""

    jobs: list[Job]
    """Of the answers that are not blank."""
    asking: list[engines.Asking]
    grouped: bool = False
    key: str | None = None
    """Name of the value in the answer, where it is to be an object."""
    deadline: float | None = None


class Routes:
    """All POST routes of rewards.

    Args:
        jobs: what is made of requests.
        desk: where it is brought.
        neutral: what trainers get in place of a score.
        metrics: where it is counted.
        blank: what trainers get for a blank answer.
    """

    def __init__(
        self, jobs: Jobs, desk: Desk, neutral: engines.Neutral, metrics: Metrics, *, blank: float = 0.0
    ) -> None:
        self._jobs = jobs
        self._blank = blank
        self._desk = desk
        self._neutral = neutral
        self._metrics = metrics

    def all(self) -> dict[str, Route]:
        """The routes by their paths."""
        return {
            "/v1/rewards": Route(lambda data, query: bodies.read_rewards(data, self._jobs), self._rewards),
            "/v1/rank": Route(lambda data, query: bodies.read_rank(data, self._jobs), self._rank),
            "/get_reward": Route(self._read_openrlhf, self._openrlhf),
            "/slime": Route(self._read_slime, self._slime),
        }

    async def _rewards(self, asked: bodies.Asked, end: float) -> Reply:
        answers, seconds = await self._answered(asked.jobs, end)
        shown = bodies.shown_rewards(asked, answers, judge=self._jobs.judge_id, seconds=seconds)
        return _reply(shown, answers)

    async def _rank(self, asked: bodies.Asked, end: float) -> Reply:
        answers, seconds = await self._answered(asked.jobs, end)
        return _reply(bodies.shown_rank(asked, answers, judge=self._jobs.judge_id, seconds=seconds), answers)

    async def _answered(self, jobs: Sequence[Job], end: float) -> tuple[list[Answer], float]:
        clock = asyncio.get_running_loop().time
        began = clock()
        answers = await self._desk.answer(jobs, end)
        return answers, round(clock() - began, 4)

    # trainers

    def _read_openrlhf(self, data: Any, query: str) -> Samples:
        asking = engines.read_openrlhf(data, self._jobs.judge.spec.cases)
        jobs = [self._jobs.one(each.case) for each in asking if each.case is not None]
        return Samples(jobs, asking)

    def _read_slime(self, data: Any, query: str) -> Samples:
        asking = engines.read_slime(data, self._jobs.judge.spec.cases)
        answers = [each.case for each in asking if each.case is not None]
        grouped = isinstance(data, list)
        jobs = self._jobs.group(answers) if grouped and answers else [self._jobs.one(case) for case in answers]
        return Samples(jobs, asking, grouped, dict(parse_qsl(query)).get("key"))

    async def _openrlhf(self, samples: Samples, end: float) -> Reply:
        found = await self._given(samples, end)
        if isinstance(found, Reply):
            return found
        given, answers = found
        scale, rewards = self._scale(), [each.value for each in given]
        logs = {
            "judge_missing": [float(each.missing) for each in given],
            "prompt_unmatched": [float(each.unmatched) for each in samples.asking],
        }
        shown = {"rewards": rewards, "scores": [scale(value) for value in rewards], "extra_logs": logs}
        return Reply(shown, answers=answers)

    async def _slime(self, samples: Samples, end: float) -> Reply:
        found = await self._given(samples, end)
        if isinstance(found, Reply):
            return found
        given, answers = found
        shown: list[Any] = [each.value for each in given]
        if samples.key is not None:
            shown = [{samples.key: each.value, "judge_missing": int(each.missing)} for each in given]
        missing = {"X-Judge-Missing": str(sum(each.missing for each in given))}
        return Reply(shown if samples.grouped else shown[0], headers=missing, answers=answers)

    async def _given(self, samples: Samples, end: float) -> tuple[list[engines.Given], Sequence[Answer]] | Reply:
        """What is given for each sample, in order; or else the reply upon which the trainer asks again."""
        answers: Sequence[Answer] = ()
        try:
            answers = await self._desk.answer(samples.jobs, end)
        except Busy:
            given = self._neutral.refused(samples.jobs)
            if given is None:
                self._neutral.failed(samples.jobs)
                raise
        else:
            entries = [entry for answer in answers for entry in answer.entries]
            given = self._neutral.given(samples.jobs, entries)
            if given is None:
                self._neutral.failed(samples.jobs)
                return self._again(entries, answers)
        self._metrics.neutral.inc(sum(each.missing for each in given))
        left, blank = iter(given), engines.Given(self._blank)
        return [blank if each.case is None else next(left) for each in samples.asking], answers

    def _again(self, entries: Sequence[Entry], answers: Sequence[Answer]) -> Reply:
        why = next(entry for entry in entries if entry.score is None)
        hint = "" if self._neutral.value is not None else "; declare a neutral value to go on without a score"
        after = why.after if why.after is not None else 1.0
        return Reply({"detail": f"{why.error}{hint}"}, 503, retry_after(after), answers)

    def _scale(self) -> Any:
        """From a reward to its place between its bounds, 0 to 1, which is what OpenRLHF filters groups by."""
        reward = self._jobs.paying(None)
        low, wide = reward.low, reward.high - reward.low
        return lambda value: min(1.0, max(0.0, (value - low) / wide)) if wide > 0 else 0.5


def _reply(shown: Any, answers: Sequence[Answer]) -> Reply:
    """200; or 503 with Retry-After where nobody was asked about anything."""
    patience = [entry.after for answer in answers for entry in answer.entries]
    asked = [after for after in patience if after is None]
    if asked:
        return Reply(shown, answers=answers)
    return Reply(shown, 503, retry_after(min(after for after in patience if after is not None)), answers)
