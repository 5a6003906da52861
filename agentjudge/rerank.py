"""Reward-guided search for agents: the best of several proposed next actions, as a call that a loop can make.

    found = rerank(judge=judge, goal=goal, observation=page, history=steps, candidates=proposals, thoughts=thoughts)
    found.best, found.action          # index and text; None where nothing was decided and no fallback was stated
    found.order, found.points         # all of them, best first; wins, Borda points or scores
    found.by                          # judgement, only, lot, fallback or nothing
    found.undecided                   # what was tied, contradictory or unanswered

| policy | calls, of K different actions | points |
|---|---|---|
| `knockout` | 2 (K - 1): pairs in both orders, losers are out | matches won |
| `scores` | K: each action alone | scores, 0 to 1 |
| `listwise` | 2: all at once, as listed and reversed | Borda points |

Equal actions are judged once. A pair whose two orders disagree is undecided and goes on by a seeded lot, as a tie does;
`TieBreak` in a policy of one's own asks again instead. What the budget leaves no time for, and what fails, makes the
outcome undecided: no action ever wins because it stands first, or because nobody said anything. Who wants to act
nevertheless states a `fallback`.

A judge with tools takes two calls of its model or more a judgement; loaded with `Budget(turns=0)` it takes one. The
search itself is that of WebArbiter (arXiv 2601.21872), whose harness asks one order and lets ties and failures go to
the first.
"""

import asyncio
import hashlib
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from agentjudge.case import ActionChoice, Step, first_error
from agentjudge.errors import ConfigError, DataError
from agentjudge.judge import Judge
from agentjudge.runs.answers import AnswerCache
from agentjudge.runs.distinct import Distinct, groups_of
from agentjudge.runs.invalid import invalid_actions
from agentjudge.runs.limited import LimitedJudge, RerankBudget
from agentjudge.runs.merging import agreed_or_tie
from agentjudge.runs.policies import Asked, ByScore, Outcome, Policy, Run, Swap, lot_of, run_policy
from agentjudge.runs.tournaments import Knockout
from agentjudge.verdict import Provenance, Verdict

__all__ = ["AnswerCache", "RerankBudget", "Reranked", "arerank", "invalid_actions", "rerank"]

PolicyName = Literal["knockout", "scores", "listwise"]
Fallback = Literal["listed", "frequent", "lot"]
By = Literal["judgement", "only", "lot", "fallback", "nothing"]
_GRACE = 0.5
"""Seconds in which a policy may draw its conclusion from what was not judged in time."""


@dataclass(frozen=True, slots=True)
class Reranked:
    """The proposed actions in their order. All indexes are those of `candidates`, but for those in `verdict`."""

    candidates: tuple[str, ...]
    best: int | None
    """Of the action to take; None where `by` is `nothing`."""
    order: tuple[int, ...]
    """Best first, without the invalid ones; empty where `by` is `nothing`."""
    by: By
    """judgement: the judge's choice; only: there was one action to choose from; lot: the best came to its place by at
    least one lot; fallback: nothing was decided, and the caller's fallback chose; nothing: nothing was decided."""
    reason: str
    """Why nothing was decided; empty where something was."""
    points: tuple[float | None, ...]
    """What each candidate got; None for one that is invalid, empty where nothing was decided."""
    verdict: Verdict
    """On the valid candidates, numbered as they remain; its usage is what this call cost."""
    runs: tuple[Run, ...]
    """The judgements; those from the cache without messages."""
    undecided: tuple[tuple[int, ...], ...]
    """Candidates between which nothing was decided."""
    invalid: dict[int, str] = field(default_factory=dict)
    """Candidates that were not judged, and why."""
    calls: int = 0
    """Judgements asked of the judge; those that a policy asks of another one (`OfJudge`) are in `runs` alone."""
    cached: int = 0
    """Judgements that were known, or asked for by somebody else at the time."""
    seconds: float = 0.0

    @property
    def action(self) -> str | None:
        """The best action, as it was proposed."""
        return None if self.best is None else self.candidates[self.best]

    def summary(self) -> dict[str, Any]:
        """What an agent's log wants to know, as JSON values."""
        return {
            "best": self.best,
            "action": self.action,
            "by": self.by,
            "reason": self.reason,
            "order": list(self.order),
            "points": list(self.points),
            "undecided": [list(group) for group in self.undecided],
            "invalid": {str(index): why for index, why in self.invalid.items()},
            "status": self.verdict.status,
            "calls": self.calls,
            "cached": self.cached,
            "seconds": self.seconds,
            "tokens": self.verdict.usage.prompt_tokens + self.verdict.usage.completion_tokens,
        }


async def arerank(
    *,
    judge: Asked,
    goal: str,
    candidates: Sequence[str],
    thoughts: Sequence[str] = (),
    observation: str = "",
    url: str | None = None,
    history: Sequence[Step | str] = (),
    images: Sequence[str] = (),
    policy: PolicyName | Policy = "knockout",
    budget: RerankBudget | None = None,
    cache: AnswerCache | None = None,
    fallback: Fallback | None = None,
    invalid: Literal["judge", "drop"] = "judge",
    seed: int = 0,
    concurrency: int = 8,
) -> Reranked:
    """The proposed actions of an agent at one page, best first.

    Args:
        judge: of `ActionChoice` cases, such as `Judge.load("web-arbiter", ...)`.
        goal: the agent's task.
        candidates: actions, in any form that `agentjudge.actions` reads.
        thoughts: the agent's reasons, one a candidate, or none.
        observation: text or accessibility tree of the page at hand.
        url: of that page.
        history: steps taken, or their actions alone.
        images: paths of pictures; the screenshot of the page comes first.
        policy: by name, or one of your own; equal actions are put together in any case.
        budget: calls and seconds; unlimited when None.
        cache: of answers; share one between calls.
        fallback: what to do where nothing is decided: `listed` keeps the given order, `frequent` takes what was
            proposed most often, `lot` draws.
        invalid: `drop` leaves out what is no action, or acts on an element that is not on the page.
        seed: of the lots.
        concurrency: judgements in flight at once.

    Raises:
        DataError: the goal is blank, there are no candidates, or not as many thoughts as candidates; or the judge takes
            no `ActionChoice`.
        ConfigError: unknown policy, or a cache with a judge that has no `settings`.
        StoreError: the cache's file cannot be read or written.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    case = _case(goal, candidates, thoughts, observation, url, history, images)
    chosen = Distinct(policy_of(policy, seed=seed) if isinstance(policy, str) else policy, seed=seed)
    wrong = invalid_actions(case) if invalid == "drop" else {}
    valid = [i for i in range(len(case.candidates)) if i not in wrong]
    limited = await LimitedJudge.of(judge, case, budget=budget or RerankBudget(), cache=cache)
    if not valid:
        outcome = Outcome(_nothing_asked(case, "abstained", "no candidate is valid"), ())
        groups: list[tuple[int, ...]] = []
    else:
        judged = case.model_copy(
            update={
                "candidates": tuple(case.candidates[i] for i in valid),
                "thoughts": tuple(case.thoughts[i] for i in valid) if case.thoughts else (),
            }
        )
        groups = [tuple(valid[i] for i in group) for group in groups_of(judged)]
        if len(groups) == 1:
            verdict = _nothing_asked(case, "scored", "one action to choose from; nothing was asked", len(valid))
            outcome = Outcome(verdict, ())
        else:
            outcome = await _decided(limited, chosen, judged, concurrency=concurrency)
    found = _read(case, outcome, valid, groups, fallback=fallback, seed=seed)
    seconds = round(clock() - began, 6)
    return replace(found, invalid=wrong, calls=limited.calls, cached=limited.cached, seconds=seconds)


def rerank(
    *,
    judge: Asked,
    goal: str,
    candidates: Sequence[str],
    thoughts: Sequence[str] = (),
    observation: str = "",
    url: str | None = None,
    history: Sequence[Step | str] = (),
    images: Sequence[str] = (),
    policy: PolicyName | Policy = "knockout",
    budget: RerankBudget | None = None,
    cache: AnswerCache | None = None,
    fallback: Fallback | None = None,
    invalid: Literal["judge", "drop"] = "judge",
    seed: int = 0,
    concurrency: int = 8,
) -> Reranked:
    """`arerank`, for callers without an event loop."""
    coroutine = arerank(
        judge=judge,
        goal=goal,
        candidates=candidates,
        thoughts=thoughts,
        observation=observation,
        url=url,
        history=history,
        images=images,
        policy=policy,
        budget=budget,
        cache=cache,
        fallback=fallback,
        invalid=invalid,
        seed=seed,
        concurrency=concurrency,
    )
    if isinstance(judge, Judge):
        return judge.wait(coroutine)
    with ThreadPoolExecutor(1) as thread:  # our caller may have an event loop already
        return thread.submit(asyncio.run, coroutine).result()


def policy_of(name: PolicyName, *, seed: int = 0) -> Policy:
    """The policy with this name; `seed` is that of its lots.

    Raises:
        ConfigError: there is none.
    """
    both = Swap(agreed_or_tie, seed=seed)
    policies: dict[str, Policy] = {
        "knockout": Knockout(both, seed=seed),
        "scores": ByScore(seed=seed),
        "listwise": both,
    }
    if name not in policies:
        raise ConfigError(f"unknown policy {name!r}; there is {', '.join(policies)}, or give one of your own")
    return policies[name]


def _case(
    goal: str,
    candidates: Sequence[str],
    thoughts: Sequence[str],
    observation: str,
    url: str | None,
    history: Sequence[Step | str],
    images: Sequence[str],
) -> ActionChoice:
    """The case, under an id that follows from it, so that lots and fences do too."""
    steps = tuple(Step(action=step) if isinstance(step, str) else step for step in history)
    try:
        case = ActionChoice(
            id="rerank",
            goal=goal,
            history=steps,
            observation=observation,
            url=url,
            candidates=tuple(candidates),
            thoughts=tuple(thoughts),
            images=tuple(images),
        )
    except ValidationError as exc:
        raise DataError(f"nothing to choose from: {first_error(exc)}") from exc
    paths: dict[str, Any] = {"images": True, "history": {"__all__": {"screenshot"}}}
    digest = hashlib.sha256(case.model_dump_json(exclude=paths).encode()).hexdigest()
    return case.model_copy(update={"id": f"rerank-{digest[:16]}"})


async def _decided(limited: LimitedJudge, policy: Policy, case: ActionChoice, *, concurrency: int) -> Outcome:
    """What the policy makes of the case; one that asks past the judge (`OfJudge`) is cut off where time is over."""
    try:
        async with asyncio.timeout_at(None if limited.end is None else limited.end + _GRACE) as limit:
            (outcome,) = await run_policy(limited, policy, [case], concurrency=concurrency)
            return outcome
    except TimeoutError:
        if not limit.expired():
            raise
        return Outcome(limited.unasked(case).verdict, ())


def _nothing_asked(case: ActionChoice, status: Literal["scored", "abstained"], why: str, n: int = 0) -> Verdict:
    ranking = tuple(range(n)) if status == "scored" else None
    provenance = Provenance(judge="rerank")
    return Verdict(case_id=case.id, status=status, ranking=ranking, rationale=why, provenance=provenance)


def _read(
    case: ActionChoice,
    outcome: Outcome,
    valid: Sequence[int],
    groups: Sequence[tuple[int, ...]],
    *,
    fallback: Fallback | None,
    seed: int,
) -> Reranked:
    """The outcome of the valid candidates, in the indexes of all."""
    verdict, lot = outcome.verdict, lot_of(seed, case)
    undecided = [tuple(valid[i] for i in group) for group in outcome.undecided]
    order: tuple[int, ...] = ()
    by: By = "nothing"
    reason = ""
    if verdict.status != "scored":
        reason = verdict.failure.message if verdict.failure else verdict.rationale
        undecided = undecided or [tuple(valid)]
        if fallback is not None and valid:
            by, order = "fallback", _fallen_back(fallback, valid, groups, lot)
    else:
        order = tuple(valid[i] for i in verdict.ranking or _of_two(verdict.preference, lot))
        if verdict.preference == 0 and not undecided:
            undecided = [tuple(valid)]
        by = "lot" if any(order[0] in group for group in undecided) else "judgement"
        by = "only" if len(groups) == 1 else by
    points: list[float | None] = [None] * len(case.candidates)
    for index, value in zip(valid, outcome.points, strict=False):
        points[index] = value
    return Reranked(
        candidates=case.candidates,
        best=order[0] if order else None,
        order=order,
        by=by,
        reason=reason,
        points=tuple(points) if outcome.points else (),
        verdict=verdict,
        runs=tuple(replace(run, order=tuple(valid[i] for i in run.order)) for run in outcome.runs),
        undecided=tuple(undecided),
    )


def _of_two(preference: int | None, lot: random.Random) -> Sequence[int]:
    """The order of two candidates; of a tie one by lot."""
    return (0, 1) if (preference or lot.choice((-1, 1))) < 0 else (1, 0)


def _fallen_back(
    fallback: Fallback, valid: Sequence[int], groups: Sequence[tuple[int, ...]], lot: random.Random
) -> tuple[int, ...]:
    if fallback == "listed":
        return tuple(valid)
    drawn = lot.sample(groups, len(groups))
    if fallback == "frequent":
        drawn.sort(key=len, reverse=True)
    return tuple(index for group in drawn for index in group)
