"""WebPRMBench: does a judge prefer the right next step of a web agent to four wrong ones (arXiv 2601.21872).

A state is a goal, a page as accessibility tree, the steps so far, and five steps that might follow, one of them right.
The file has a row for each wrong step beside the right one, so four a state, in an order that it fixes.

| set | a state is asked | right if | guessing | calls |
|---|---|---|---|---|
| `pairs` | by four pairs, as filed | of `pairwise` each pair counts; `BoN` wants all four | 50%; 6.25% | 4 |
| `five-way` | once, all five in an order drawn by lot | the right one comes first (`best of five`) | 20% | 1 |
| `knockout` | by four matches in both orders | the right one is left (`knockout`) | 20% | 8 |

These are not the same test: name the set with every number. A knockout is how such a judge chooses among the actions
that an agent proposes: single elimination, who meets whom drawn by lot, an odd one out has a bye. A match whose two
orders disagree is a tie, which a lot decides, never the place; a match that failed ends the knockout, and it is lost.

Each number is the plain mean of four environments, as AssistantBench has 30 states and Mind2Web 707; a tie of a pair is
wrong. For the intervals, states of one goal are drawn together. Layout: `test-00000-of-00001.jsonl`, whose rows
`webprm_rows` reads.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from agentjudge.benchmarks.harness import Benchmark, CaseSet, Decided, Facts, Item, Measure
from agentjudge.benchmarks.statistics import Statistic, Unit, plain_mean, weighted, within
from agentjudge.benchmarks.webprm_rows import ENVIRONMENTS, SOURCE, WRONG, Response, Sections, states
from agentjudge.case import ActionChoice, Gold
from agentjudge.registry import register
from agentjudge.runs.measures import right
from agentjudge.runs.merging import agreed_or_tie
from agentjudge.runs.ordering import options_of
from agentjudge.runs.policies import Once, Policy, Swap
from agentjudge.runs.tournaments import Knockout

FACTS = Facts(
    name="webprmbench",
    title="WebPRMBench",
    paper="arXiv 2601.21872",
    metric="share of states whose right step wins all four pairs, mean of four environments",
    source=SOURCE,
    licence="CC BY 4.0 as the project's page states it",
)
GUESSED_PAIR, GUESSED_STATE, GUESSED_FIVE = 1 / 2, 1 / 2**WRONG, 1 / (1 + WRONG)


CALLS = 2 * WRONG
"""Of a knockout: as many matches as there are wrong steps, in both orders."""

Mode = Literal["pairs", "five-way", "knockout"]


class Marks(NamedTuple):
    """How a state went."""

    mode: Mode
    """As it was asked: in pairs each by itself, all at once (or each alone, by its score), or in matches."""
    won: float
    """Share of its pairs that are won; otherwise 1 or 0."""

    @property
    def best(self) -> bool:
        """The right step is preferred to all others."""
        return self.won == 1


def choice(id: str, said: Sections, responses: Sequence[Response], gold: Gold) -> ActionChoice:
    """Steps to choose from, at the page of a state."""
    return ActionChoice(
        id=id,
        goal=said.goal,
        history=said.history,
        observation=said.tree,
        url=said.url or None,
        candidates=tuple(each.action for each in responses),
        thoughts=tuple(each.thought for each in responses),
        gold=gold,
    )


def load_pairs(data: Path | None) -> CaseSet:
    """Four pairs a state, each in the order of the file.

    Raises:
        DataError: see `states`.
    """
    items = []
    for state in states(data):
        for number, (said, side) in enumerate(state.pairs):
            case = choice(f"{state.id}~{number}", said, said.responses, Gold(preference=2 * side - 1))
            items.append(Item(case, state.environment, state.id, state.cluster))
    return CaseSet(items, "four pairs a state: guessing reaches 50% of pairs and 6.25% of states")


def load_five(data: Path | None, policy: Policy, note: str) -> CaseSet:
    """All five steps of a state in one case, the right one listed first.

    Raises:
        DataError: see `states`.
    """
    items = []
    for state in states(data):
        said, side = state.pairs[0]
        every = [said.responses[side], *(each.responses[1 - other] for each, other in state.pairs)]
        case = choice(state.id, said, every, Gold(ranking=tuple(range(len(every)))))
        items.append(Item(case, state.environment, state.id, state.cluster))
    return CaseSet(items, f"{note}: guessing reaches 20% of states", policy=policy)


def units(decided: Sequence[Decided]) -> list[Unit]:
    """A state, with its four pairs or its one choice."""
    found: dict[str, list[Decided]] = {}
    for each in decided:
        found.setdefault(each.item.counted_in, []).append(each)
    made = []
    for rows in found.values():
        first = rows[0].item
        marks = []
        for item, outcome in rows:
            assert item.case.gold is not None
            marks.append(right(outcome.verdict, item.case.gold))
        won = sum(mark or 0.0 for mark in marks) / len(marks)
        made.append(Unit(first.group, Marks(_mode(rows[0]), won), None not in marks, first.cluster))
    return made


def _mode(row: Decided) -> Mode:
    if len(options_of(row.item.case)) == 2:
        return "pairs"
    return "knockout" if any(len(run.order) == 2 for run in row.outcome.runs) else "five-way"


def best_of_n(units: Sequence[Unit]) -> float | None:
    """Share of states whose right step won all its pairs; None of states that were not asked in pairs."""
    return _mean([float(unit.mark.best) for unit in units if unit.mark.mode == "pairs"])


def pairwise(units: Sequence[Unit]) -> float | None:
    """Share of pairs won; every state has as many."""
    return _mean([unit.mark.won for unit in units if unit.mark.mode == "pairs"])


def best_of_five(units: Sequence[Unit]) -> float | None:
    """Share of states whose right step came first of five; None of states that were not asked so."""
    return _mean([unit.mark.won for unit in units if unit.mark.mode == "five-way"])


def knockout(units: Sequence[Unit]) -> float | None:
    """Share of states whose right step was left at the end; None of states that were not asked in matches."""
    return _mean([unit.mark.won for unit in units if unit.mark.mode == "knockout"])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


@register("benchmark", "webprmbench", paper="2601.21872")
def webprmbench() -> Benchmark:
    """The right next step of a web agent against four wrong ones, in four environments."""
    kinds: dict[str, tuple[Statistic, float]] = {
        "BoN": (best_of_n, GUESSED_STATE),
        "pairwise": (pairwise, GUESSED_PAIR),
        "best of five": (best_of_five, GUESSED_FIVE),
        "knockout": (knockout, GUESSED_FIVE),
    }
    names, equal = tuple(ENVIRONMENTS.values()), dict.fromkeys(ENVIRONMENTS.values(), 1.0)
    measures = {
        name: Measure(plain_mean([within(each, of) for each in names]), guessing=chance)
        for name, (of, chance) in kinds.items()
    }
    for name, (of, chance) in kinds.items():
        measures[f"{name}, mean of the environments here"] = Measure(weighted(equal, of), guessing=chance)
        measures |= {f"{name}, {each}": Measure(of, groups=(each,), guessing=chance) for each in names}
    return Benchmark(
        facts=FACTS,
        sets={
            "pairs": load_pairs,
            "five-way": partial(load_five, policy=Once(shuffle=0), note="one choice of five"),
            "knockout": partial(load_five, policy=Knockout(Swap(agreed_or_tie)), note=f"{CALLS} calls a state"),
        },
        units=units,
        measures=measures,
        judge="web-arbiter",
    )
