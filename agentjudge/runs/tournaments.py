"""Tournaments: the best of many candidates by matches of two.

    policy = Knockout(Swap(agreed_or_tie))         # n-1 matches
    policy = RoundRobin(Swap(double_game))         # n(n-1)/2 matches, Borda points

A match is any policy for a pair, on a case of its own with the id `ID~0v3`. A tie is half a point for each in a round
robin; in a knockout one of the two goes on by lot, never because it stands first. A match that failed or was
abstained from is no match at all: the tournament has no winner then, and its outcome is failed or abstained. Either
way `Outcome.undecided` tells; `tiebreak.TieBreak` as the match asks once more before it comes to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, NamedTuple

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.runs.habits import Habits
from agentjudge.runs.merging import by_points, equal, merged
from agentjudge.runs.ordering import candidates, chosen, reordered
from agentjudge.runs.policies import Ask, Outcome, Policy, Swap, gathered, lot_of


@dataclass(frozen=True, slots=True)
class Knockout:
    """Single elimination: n-1 matches, each of the losers is out. A tie is decided by a seeded lot."""

    match: Policy = Swap()
    draw: Literal["lot", "listed"] = "lot"
    """Who meets whom at first: drawn by lot, or neighbours in the case's own order."""
    seed: int = 0

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        n, lot = _at_least_two(case), lot_of(self.seed, case)
        alive = lot.sample(range(n), n) if self.draw == "lot" else list(range(n))
        games: list[_Game] = []
        lost: list[dict[int, int]] = []  # round by round: loser, and who beat him
        wins, lots = [0.0] * n, 0
        while len(alive) > 1:
            pairs = list(zip(alive[::2], alive[1::2], strict=False))
            played = await gathered(_play(self.match, case, min(pair), max(pair), ask) for pair in pairs)
            games += played
            if any(game.outcome.verdict.status != "scored" for game in played):
                return _tournament(case, games, (), (), lots)
            alive, lost = alive[2 * len(pairs) :], [*lost, {}]  # the odd one out goes first into the next round
            for game in played:
                winner = game.winner
                if winner is None:
                    winner, lots = lot.choice((game.low, game.high)), lots + 1
                lost[-1][game.low + game.high - winner] = winner
                wins[winner] += 1
                alive.append(winner)
        ranking = alive
        for beaten in reversed(lost):
            place = {loser: ranking.index(winner) for loser, winner in beaten.items()}
            ranking = ranking + sorted(place, key=place.__getitem__)
        return _tournament(case, games, ranking, wins, lots)


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Every pair plays once; places by Borda points, equal points by a seeded lot."""

    match: Policy = Swap()
    seed: int = 0

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        n = _at_least_two(case)
        games = await gathered(_play(self.match, case, low, high, ask) for low, high in combinations(range(n), 2))
        points = [0.0] * n
        if any(game.outcome.verdict.status != "scored" for game in games):
            return _tournament(case, games, (), (), 0)
        for game in games:
            for side in (game.low, game.high):
                points[side] += 0.5 if game.winner is None else float(game.winner == side)
        ranking, lots = by_points(points, lot=lot_of(self.seed, case))
        return _tournament(case, games, ranking, points, lots, equal(points))


class _Game(NamedTuple):
    """One match of a tournament."""

    low: int
    high: int
    outcome: Outcome

    @property
    def winner(self) -> int | None:
        """Its index; None for a tie."""
        best = chosen(self.outcome.verdict)
        return None if best is None else (self.low, self.high)[best]


async def _play(match: Policy, case: Case, low: int, high: int, ask: Ask) -> _Game:
    pair = reordered(case, (low, high), id=f"{case.id}~{low}v{high}")
    return _Game(low, high, await match.decide(pair, ask))


def _tournament(
    case: Case,
    games: Sequence[_Game],
    ranking: Sequence[int],
    points: Sequence[float],
    lots: int,
    level: tuple[tuple[int, ...], ...] | None = None,
) -> Outcome:
    """The outcome of some matches; an empty ranking means that nothing was decided. A pair has a preference.

    Undecided are those in `level`, of equal points, where points decide; else those of matches without a winner.
    """
    verdicts = [game.outcome.verdict for game in games]
    runs = tuple(
        replace(run, order=tuple((game.low, game.high)[i] for i in run.order))
        for game in games
        for run in game.outcome.runs
    )
    habits = sum((game.outcome.habits for game in games), Habits())
    drawn = sum(game.outcome.lots for game in games)
    tied: tuple[tuple[int, ...], ...] = tuple((game.low, game.high) for game in games if game.winner is None)
    if not ranking:
        return Outcome(merged(case.id, verdicts), runs, habits, tuple(points), drawn + lots, tied)
    if len(ranking) == 2:  # its one match is all there is; a tie stays one, and no lot was needed
        verdict = merged(case.id, verdicts, preference=verdicts[0].preference)
        return Outcome(verdict, runs, habits, tuple(points), drawn, tied)
    won = [game.outcome.verdict for game in games if game.winner == ranking[0]]
    verdict = merged(case.id, verdicts, ranking=tuple(ranking), agreeing=won)
    return Outcome(verdict, runs, habits, tuple(points), drawn + lots, tied if level is None else level)


def _at_least_two(case: Case) -> int:
    n = len(candidates(case))
    if n < 2:
        raise ConfigError(f"case {case.id!r} has one candidate; a tournament needs two")
    return n
