"""WebRewardBench: does a score of next steps put the right one first (Web-Shepherd, arXiv 2505.15277)?

A step of a task has one right action and some wrong ones, each scored alone.

| number | counts |
|---|---|
| `MRR` | 1 / (1 + wrong ones that score above the right one + wrong ones that score the same), mean over steps |
| `step accuracy` | steps whose right action scores above every wrong one: a tie is lost |
| `trajectory accuracy` | tasks of which every step is so |

A step that lacks a score has lost: it counts 0 in all three. They are reported over all sources, and by source. The
sets are the three settings of the paper, on the same steps:

| set | the case brings | judge where none is named |
|---|---|---|
| `no checklist` | none | `web-arbiter`, which scores an action by its principles |
| `generated` | none, and the judge writes its own | `checklist` |
| `ground truth` | the subgoals that people checked | `checklist` |

Officially one checklist is written a task. Here one is written a step, by the judgement of an action drawn by lot, and
the other actions are held against the same. Floors score by lot, by length, and all alike. For the intervals, steps of
one task are drawn together, and `limit` draws whole tasks.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from agentjudge.benchmarks.files import find_folder
from agentjudge.benchmarks.harness import Benchmark, CaseSet, Decided, Facts, Item, Measure
from agentjudge.benchmarks.statistics import Statistic, Unit
from agentjudge.benchmarks.web_reward_rows import ShepherdStep, checklist_items, read_steps
from agentjudge.case import ActionChoice, Case
from agentjudge.errors import DataError
from agentjudge.registry import register
from agentjudge.runs.floors import RuleJudge
from agentjudge.runs.ordering import alone
from agentjudge.runs.policies import Ask, ByScore, Outcome, lot_of
from agentjudge.trace import Trace

FACTS = Facts(
    name="web_reward_bench",
    title="WebRewardBench",
    paper="arXiv 2505.15277",
    metric="mean reciprocal rank of the right action, ties standing before it",
    source="huggingface.co/datasets/LangAGI-Lab/WebRewardBench",
    licence="not stated where it could be read",
)
FILES = ("web_reward_bench*.jsonl", "test-*.jsonl", "test-*.parquet")
PLACES = ("web/WebRewardBench", "WebRewardBench/data", "WebRewardBench")
SOURCES = ("mind2web_task", "mind2web_website", "mind2web_domain", "webarena")
"""As the paper reports them; what is not there is not reported."""

Setting = Literal["no checklist", "generated", "ground truth"]


class Scores(NamedTuple):
    """The scores of a step."""

    right: float | None
    wrong: Sequence[float | None]
    """At least one."""
    task: bool = False
    """Every step of its task is won."""
    steps: int = 1
    """Of its task."""

    @property
    def known(self) -> Sequence[float] | None:
        """The wrong actions' scores; None where a score of the step is missing."""
        found = [score for score in self.wrong if score is not None]
        return None if self.right is None or len(found) < len(self.wrong) else found

    @property
    def rank(self) -> float:
        """The reciprocal rank of the right action (0..1), those that score the same standing before it."""
        known = self.known
        return 0.0 if known is None or self.right is None else 1 / (1 + sum(score >= self.right for score in known))

    @property
    def won(self) -> bool:
        """Whether the right action scores above every wrong one."""
        return self.rank == 1


@dataclass(frozen=True, slots=True)
class OneChecklist:
    """Best of n by score, where the checklist that the judge writes for one action, drawn by lot, is that of all."""

    scores: ByScore = ByScore()
    seed: int = 0

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        if not isinstance(case, ActionChoice) or case.checklist:
            return await self.scores.decide(case, ask)
        first = lot_of(self.seed, case).randrange(len(case.candidates))
        found = await ask(alone(case, first, id=f"{case.id}~{first}"))

        async def rest(case: Case) -> Trace:
            return found if case.id == found.case.id else await ask(case)

        planned = any(turn.phase == "plan" for turn in found.turns)
        written = tuple(item.name for item in found.verdict.criteria) if planned else ()
        return await self.scores.decide(case.model_copy(update={"checklist": written}), rest)


def load(data: Path | None, setting: Setting) -> CaseSet:
    """The steps, with or without their checklists.

    Raises:
        DataError: no data folder or file, a malformed row, or a step without a checklist where one is wanted.
    """
    folder = find_folder(data, *PLACES, wants=FILES, get=FACTS.source)
    found = sorted(path for pattern in FILES for end in ("", ".gz") for path in folder.glob(pattern + end))
    items = []
    for path in found:
        for step in read_steps(path):
            case, task = step.case, f"{step.source}: {step.task}"
            if setting == "ground truth":
                case = case.model_copy(update={"checklist": _points(step, path)})
            items.append(Item(case, step.source, unit=task))
    judge = "web-arbiter" if setting == "no checklist" else "checklist"
    return CaseSet(items, judge=judge, policy=OneChecklist() if setting == "generated" else None)


def _points(step: ShepherdStep, path: Path) -> tuple[str, ...]:
    try:
        return tuple(f"{title}: {goal}" for title, goal in checklist_items(step.checklist))
    except DataError as exc:
        raise DataError(f"{path}: step {step.case.id}: {exc.message}") from exc


def units(decided: Sequence[Decided]) -> list[Unit]:
    """A step with its scores."""
    scored = [(item, _scores(item.case, outcome)) for item, outcome in decided]
    steps = Counter(item.counted_in for item, _ in scored)
    lost = {item.counted_in for item, scores in scored if not scores.won}
    return [
        Unit(
            item.group,
            scores._replace(task=item.counted_in not in lost, steps=steps[item.counted_in]),
            scores.known is not None,
            item.counted_in,
        )
        for item, scores in scored
    ]


def _scores(case: Case, outcome: Outcome) -> Scores:
    """What each action got, the right one listed first; under a policy without points, what the preference says."""
    points: tuple[float | None, ...] = outcome.points
    if not points and outcome.verdict.preference is not None:
        points = (-outcome.verdict.preference, outcome.verdict.preference)
    assert isinstance(case, ActionChoice)
    right, *wrong = points or (None,) * len(case.candidates)
    return Scores(right, wrong)


def mrr(units: Sequence[Unit]) -> float | None:
    """Mean reciprocal rank of the right action."""
    return sum(unit.mark.rank for unit in units) / len(units) if units else None


def step_accuracy(units: Sequence[Unit]) -> float | None:
    """Share of steps whose right action scores above every wrong one."""
    return sum(unit.mark.won for unit in units) / len(units) if units else None


def trajectory_accuracy(units: Sequence[Unit]) -> float | None:
    """Share of tasks of which every step is won: each step stands for its part of the task."""
    parts = [1 / unit.mark.steps for unit in units]
    won = sum(part for part, unit in zip(parts, units, strict=True) if unit.mark.task)
    return won / sum(parts) if parts else None


def floors(cases: Sequence[Case]) -> list[RuleJudge]:
    """Judges without a model that score one action."""

    def length(case: Case) -> int:
        action = _action(case)
        return len(action.candidates[0]) + sum(map(len, action.thoughts))

    return [
        RuleJudge("by lot", lambda case: {"score": random.Random(f"lot:{case.id}").random()}),
        RuleJudge("longest", lambda case: {"score": length(case) / (length(case) + 1000)}),
        RuleJudge("shortest", lambda case: {"score": 1000 / (length(case) + 1000)}),
        RuleJudge("all alike", lambda case: {"score": 0.5}),
    ]


def _action(case: Case) -> ActionChoice:
    if not isinstance(case, ActionChoice) or len(case.candidates) != 1:
        raise DataError(f"case {case.id!r} is not one action")
    return case


@register("benchmark", "web_reward_bench", paper="2505.15277")
def web_reward_bench() -> Benchmark:
    """The right next step of a web agent by scores of single actions, in three settings of checklists."""
    kinds: dict[str, Statistic] = {
        "MRR": mrr,
        "step accuracy": step_accuracy,
        "trajectory accuracy": trajectory_accuracy,
    }
    measures = {name: Measure(of) for name, of in kinds.items()}
    for source in SOURCES:
        measures |= {f"{name}, {source}": Measure(of, groups=(source,)) for name, of in kinds.items()}
    settings: tuple[Setting, ...] = ("no checklist", "generated", "ground truth")
    return Benchmark(
        facts=FACTS,
        sets={setting: partial(load, setting=setting) for setting in settings},
        policy=ByScore(),
        units=units,
        floors=floors,
        measures=measures,
        judge="checklist",
    )
