"""How often, in which order and against whom a judge is asked, and what becomes of its answers.

A policy knows nothing of the judge's inside: it asks for judgements of cases and makes one verdict of them. Policies
nest, so a knockout whose matches are played in both orders, five times each, is

    policy = Knockout(Swap(double_game, inner=Repeat(5)))
    outcomes = await run_policy(judge, policy, cases, on_trace=run.add)
    print(rates(outcomes))

| policy | asks | of a case `ID` | makes |
|---|---|---|---|
| `Once` | 1 | `ID`, or `ID~shuffled` | the judge's own verdict, in the order given or one drawn by lot |
| `Repeat` | n | `ID`, `ID~r2`, ... | the vote: label, preference, ranking by Borda points, or mean score |
| `Swap` | 2 | `ID`, `ID~swap` | two orders by a merge rule; more than two candidates: as listed and reversed, Borda |
| `tournaments.Knockout` | n-1 matches | `ID~0v3` | a ranking; the beaten stand by round, then by who beat them |
| `tournaments.RoundRobin` | n(n-1)/2 matches | `ID~0v3` | a ranking by Borda points: 1 a win, 1/2 a tie |
| `ByScore` | n | `ID~0`, `ID~1` | best of n by score: a ranking, or of two a preference |
| `distinct.Distinct` | as within, of n different actions | `ID` | what is made within, equal actions side by side |
| `tiebreak.TieBreak` | one policy, a second one where it decides nothing | `ID`, `ID~tiebreak` | the one that decides |

Failures and abstentions are never merged into a preference. A run without a verdict casts no vote: `Repeat` needs its
quorum, a merge rule says itself what it does (see `merging`), and a match or a score that is missing ends its
tournament. Where nothing is decided the outcome is failed if a run failed, abstained otherwise. Equal points stand by
a seeded lot, and the outcome counts them. Every outcome keeps all its runs, and counts how often the first place
shown was chosen, how often another order changed the answer, and how often repeats agree: `rates` sums them up.

For two candidates the verdict is a preference, for more a ranking, whatever of the two the judge gave.
"""

import asyncio
import math
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.runs.habits import Habits, Rates, rates
from agentjudge.runs.merging import (
    OUTCOMES,
    Merge,
    Vote,
    borda,
    by_points,
    double_game,
    equal,
    majority,
    merged,
    plurality,
    sign,
)
from agentjudge.runs.ordering import Order, alone, as_choice, candidates, options_of, reordered, restored
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

__all__ = ["ByScore", "Once", "Outcome", "Policy", "Rates", "Repeat", "Run", "Swap", "rates", "run_policy"]

T = TypeVar("T")


class Asked(Protocol):
    """Anything that judges one case, such as a `Judge`."""

    async def arun(self, case: Case) -> Trace:
        """The trace of one judgement, failed ones included."""
        ...


class Ask(Protocol):
    """Asks for one judgement, as soon as one of the places in flight is free."""

    async def __call__(self, case: Case) -> Trace:
        """The trace of one judgement."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """One judgement within an outcome."""

    trace: Trace
    """As the judge saw and said it, under an id of its own."""
    order: Order = ()
    """Index, in the outcome's case, of the candidate at each place shown; empty where there is no choice."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on the candidates shown, as if in ascending order of their index."""
        if len(self.order) < 2:
            return self.trace.verdict
        return restored(as_choice(self.trace.verdict, len(self.order)), self.order)

    @property
    def vote(self) -> Vote:
        """Its preference (-3..3, negative: the candidate of lower index); None where there is none."""
        return self.verdict.preference


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy made of one case."""

    verdict: Verdict
    """Under the case's id, in the case's own order of candidates; its usage is that of all runs."""
    runs: tuple[Run, ...]
    habits: Habits = field(default_factory=Habits)
    points: tuple[float | None, ...] = ()
    """What each candidate got: Borda points, wins or score; None for a score that is missing."""
    lots: int = 0
    """Candidates whose place was drawn by lot, and matches decided so."""
    undecided: tuple[tuple[int, ...], ...] = ()
    """Candidates between which nothing was decided, so that a lot placed them or nothing did, by index: matches of a
    knockout that were tied or contradictory, matches without a verdict, equal points, missing scores. Of one pair the
    verdict itself says it."""

    @property
    def votes(self) -> tuple[Vote, ...]:
        """The preference of each run, in the case's own order."""
        return tuple(run.vote for run in self.runs)

    @property
    def missing(self) -> int:
        """Runs that abstained or failed."""
        return sum(run.verdict.status != "scored" for run in self.runs)


class Policy(Protocol):
    """A way to come to one verdict on one case."""

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """Ask as often as needed, and merge.

        Raises:
            DataError: the policy needs another kind of case.
        """
        ...


@dataclass(frozen=True, slots=True)
class Once:
    """One judgement. With a seed, candidates are shown in an order drawn by lot, as RewardBench does."""

    shuffle: int | None = None

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        if self.shuffle is None:
            trace = await ask(case)
            run = Run(trace, tuple(range(len(options_of(case)))))
        else:
            n = len(candidates(case))
            order = tuple(lot_of(self.shuffle, case).sample(range(n), n))
            run = Run(await ask(reordered(case, order, id=f"{case.id}~shuffled")), order)
        verdict = run.verdict.model_copy(update={"case_id": case.id})
        return Outcome(verdict, (run,), Habits.of_choice(run.trace.verdict, len(run.order)))


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same question `n` times, and a vote.

    Draws differ where the model samples (temperature above 0); a deterministic judge agrees with itself.
    """

    n: int
    inner: Policy = Once()
    quorum: int | None = None
    """Scored runs needed for a vote; more than half of them when None."""
    seed: int = 0
    """Of the lots between candidates of equal points."""

    def __post_init__(self) -> None:
        if self.n < 1 or (self.quorum is not None and not 1 <= self.quorum <= self.n):
            raise ConfigError(f"cannot take {self.n} repeats with a quorum of {self.quorum}")

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        ids = [case.id, *(f"{case.id}~r{k}" for k in range(2, self.n + 1))]
        parts = await gathered(self.inner.decide(case.model_copy(update={"id": id}), ask) for id in ids)
        verdicts = [part.verdict for part in parts]
        scored = [verdict for verdict in verdicts if verdict.status == "scored"]
        habits = sum((part.habits for part in parts), Habits.of_repeats(scored))
        runs, drawn = tuple(run for part in parts for run in part.runs), sum(part.lots for part in parts)
        if len(scored) < (self.n // 2 + 1 if self.quorum is None else self.quorum):
            return Outcome(merged(case.id, verdicts), runs, habits, lots=drawn)
        verdict, points, lots = _vote(case.id, verdicts, scored, lot=lot_of(self.seed, case))
        return Outcome(verdict, runs, habits, points, drawn + lots, equal([p for p in points if p is not None]))


@dataclass(frozen=True, slots=True)
class Swap:
    """Both orders of a pair, merged; more than two candidates are shown as listed and reversed."""

    merge: Merge = double_game
    inner: Policy = Once()
    seed: int = 0
    """Of the lots between candidates of equal points."""

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        n = len(candidates(case))
        if n < 2:
            raise ConfigError(f"case {case.id!r} has one candidate; there is nothing to swap")
        back = tuple(reversed(range(n)))
        swapped = reordered(case, back, id=f"{case.id}~swap")
        one, two = await gathered([self.inner.decide(case, ask), self.inner.decide(swapped, ask)])
        runs = (*one.runs, *(replace(run, order=tuple(back[i] for i in run.order)) for run in two.runs))
        verdicts = [one.verdict, restored(two.verdict, back)]
        habits = one.habits + two.habits + Habits.of_swap(*verdicts)
        drawn = one.lots + two.lots
        if n == 2:
            preference = self.merge([verdict.preference for verdict in verdicts])
            verdict = merged(case.id, verdicts, preference=preference, undecided="the two orders disagree")
            return Outcome(verdict, runs, habits, lots=drawn)
        rankings = [verdict.ranking for verdict in verdicts if verdict.ranking is not None]
        if len(rankings) < 2:
            return Outcome(merged(case.id, verdicts), runs, habits, lots=drawn)
        points = borda(rankings)
        ranking, lots = by_points(points, lot=lot_of(self.seed, case))
        verdict = merged(case.id, verdicts, ranking=ranking)
        return Outcome(verdict, runs, habits, points, drawn + lots, equal(points))


@dataclass(frozen=True, slots=True)
class ByScore:
    """Best of n: every candidate is scored alone, as a Response of its own. Knows no order, so shows no habits."""

    inner: Policy = Once()
    seed: int = 0
    """Of the lots between candidates of equal score."""

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        n = len(candidates(case))
        parts = await gathered(self.inner.decide(alone(case, i, id=f"{case.id}~{i}"), ask) for i in range(n))
        verdicts = [part.verdict for part in parts]
        points = tuple(verdict.score for verdict in verdicts)
        runs = tuple(replace(run, order=(i,)) for i, part in enumerate(parts) for run in part.runs)
        habits = sum((part.habits for part in parts), Habits())
        scores = [score for score in points if score is not None]
        if len(scores) < n:
            missing = tuple((i,) for i, score in enumerate(points) if score is None)
            verdict = merged(case.id, verdicts, undecided="a judge gave no score")
            return Outcome(verdict, runs, habits, points, undecided=missing)
        if n == 2:
            preference = (scores[1] > scores[0]) - (scores[1] < scores[0])
            verdict = merged(case.id, verdicts, preference=preference)
            return Outcome(verdict, runs, habits, points, undecided=equal(scores))
        ranking, lots = by_points(scores, lot=lot_of(self.seed, case))
        return Outcome(merged(case.id, verdicts, ranking=ranking), runs, habits, points, lots, equal(scores))


async def run_policy(
    judge: Asked,
    policy: Policy,
    cases: Iterable[Case],
    *,
    concurrency: int = 32,
    on_trace: Callable[[Trace], None] | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    finished: Mapping[str, Trace] | None = None,
) -> list[Outcome]:
    """The outcomes of many cases, in their order.

    Args:
        judge: anything with `arun`, such as a `Judge`.
        policy: how each case is decided.
        cases: read lazily; ids should differ, as those of the runs are made from them.
        concurrency: judgements in flight at once, those of one case among them.
        on_trace: called with the trace of each judgement made, as soon as it is there.
        on_outcome: called with each outcome, as soon as it is there.
        finished: traces by id that are taken instead of asking again, to go on with a run that was broken off.

    Raises:
        ConfigError: `concurrency` below 1.
        DataError: a case is of a kind that the policy or the judge does not take.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency must be at least 1, not {concurrency}")
    places = asyncio.Semaphore(concurrency)
    outcomes: dict[int, Outcome] = {}
    numbered = enumerate(cases)

    async def ask(case: Case) -> Trace:
        if finished is not None and case.id in finished:
            return finished[case.id]
        async with places:
            trace = await judge.arun(case)
        if on_trace is not None:
            on_trace(trace)
        return trace

    async def work() -> None:
        for number, case in numbered:
            outcomes[number] = await policy.decide(case, ask)
            if on_outcome is not None:
                on_outcome(outcomes[number])

    await gathered(work() for _ in range(concurrency))
    return [outcomes[number] for number in sorted(outcomes)]


async def gathered(coroutines: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """The results of coroutines that run at once, in order; the first error ends the others and is raised itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as exc:
        raise exc.exceptions[0] from None
    return [task.result() for task in tasks]


def lot_of(seed: int, case: Case) -> random.Random:
    """The lots of one case: the same for the same seed and id, whatever ran before."""
    return random.Random(f"{seed}:{case.id}")


def _vote(
    case_id: str, verdicts: Sequence[Verdict], scored: Sequence[Verdict], *, lot: random.Random
) -> tuple[Verdict, tuple[float | None, ...], int]:
    """The vote of the scored repeats, with the points and lots of a ranking."""
    kinds = {kind for verdict in scored for kind in OUTCOMES if getattr(verdict, kind) is not None}
    if len(kinds) != 1:
        return merged(case_id, verdicts, undecided=f"the repeats answer in {len(kinds)} ways: {sorted(kinds)}"), (), 0
    kind = kinds.pop()
    values = [getattr(verdict, kind) for verdict in scored]
    if kind == "label":
        label = plurality(values)
        share = None if label is None else values.count(label) / len(values)
        verdict = merged(case_id, verdicts, label=label, confidence=share, undecided="the vote is split")
        return verdict, (), 0
    if kind == "preference":
        preference = majority(values)
        same = sum(sign(value) == sign(preference) for value in values)
        return merged(case_id, verdicts, preference=preference, confidence=same / len(values)), (), 0
    if kind == "ranking":
        points = borda(values)
        ranking, lots = by_points(points, lot=lot)
        return merged(case_id, verdicts, ranking=ranking), points, lots
    if kind == "score":
        return merged(case_id, verdicts, score=_mean(values)), (), 0
    if len({len(value) for value in values}) > 1:
        return merged(case_id, verdicts, undecided="the repeats score different numbers of steps"), (), 0
    return merged(case_id, verdicts, step_scores=tuple(map(_mean, zip(*values, strict=True)))), (), 0


def _mean(values: Sequence[float]) -> float:
    return min(1.0, math.fsum(values) / len(values))
