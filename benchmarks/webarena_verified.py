"""WebArena-Verified: does a judge agree with a deterministic check on runs of web agents (ServiceNow)?

A run is a folder `TASK/` with `agent_response.json`, `network.har` and, where the official evaluator was run,
`eval_result.json`. Gold is that evaluator's score, which comes from two checks and no model: the agent's answer against
typed expected values, and requests in the network log against expected ones. Where no evaluation is recorded, the first
check is made here (`verified_response`): a wrong answer is a failure, a right one a success where the task has no other
check. The second check is not repeated: such runs have no gold, and are left out, as are those on which the official
evaluator itself broke.

The judge sees the addresses that the browser went to, as the network log has them, and the answer as a claim; no
actions are recorded. How far the check of the answer alone agrees with recorded evaluations stands beside it.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from agentjudge.benchmarks.files import FileRow, Unavailable, data_root
from agentjudge.benchmarks.harness import Benchmark, CaseSet, Facts, Item, Measure
from agentjudge.benchmarks.reports import Recorded
from agentjudge.benchmarks.statistics import Unit
from agentjudge.benchmarks.successes import (
    FAILURE,
    SUCCESS,
    Mark,
    absolute_gap,
    accuracy,
    balanced_accuracy,
    calibration_error,
    f1,
    floors,
    kappa,
    precision,
    recall,
    units,
)
from agentjudge.benchmarks.trajectories import read_trajectories
from agentjudge.benchmarks.trajectories.webarena_verified import RESPONSE, RESULT, TASKS
from agentjudge.benchmarks.verified_response import Task, check, read_tasks
from agentjudge.case import Gold, first_error
from agentjudge.errors import DataError, boundary
from agentjudge.registry import register

FACTS = Facts(
    name="webarena_verified",
    title="WebArena-Verified",
    paper="ServiceNow, github.com/ServiceNow/webarena-verified; tasks: arXiv 2307.13854",
    metric="agreement with the deterministic evaluator",
    source="github.com/ServiceNow/webarena-verified (tasks, two logs); logs of your own agents",
    licence="Apache-2.0",
)
PLACES = ("web/webarena_verified", "webarena_verified", "webarena-verified", ".")
HARD = Path("assets", "dataset", "subsets", "webarena-verified-hard.json")
TYPES = ("retrieve", "mutate", "navigate")
R = TypeVar("R", bound=FileRow)


class Evaluation(FileRow):
    """A recorded evaluation."""

    class Part(FileRow):
        """What one evaluator found."""

        evaluator_name: str
        score: float

    task_id: int | str
    status: str
    score: float
    evaluators_results: tuple[Part, ...] = ()


class Log(NamedTuple):
    """A folder of a run, with its task and what is recorded of it."""

    folder: Path
    task: Task
    evaluation: Evaluation | None

    @property
    def answer(self) -> bool:
        """Whether the check of the answer alone passes it."""
        path = self.folder / RESPONSE
        with boundary(DataError, f"cannot read {path}"):
            return check(path.read_text(encoding="utf-8"), self.task).right

    @property
    def gold(self) -> bool | None:
        """Whether the run succeeded; None where nothing says so."""
        if self.evaluation is not None:
            return None if self.evaluation.status == "error" else self.evaluation.score == 1
        right = self.answer
        return right if not right or self.task.answer_is_all else None


def logs(root: Path) -> Iterator[Log]:
    """The runs below a folder, in order of their names.

    Raises:
        DataError: the tasks are not there, a file is malformed, or a run is of no task.
    """
    tasks = read_tasks(root / TASKS)
    for folder in sorted(path.parent for path in root.rglob(RESPONSE)):
        evaluation = _read(folder / RESULT, Evaluation) if (folder / RESULT).is_file() else None
        name = str(evaluation.task_id) if evaluation else folder.name
        if name in tasks:
            yield Log(folder, tasks[name], evaluation)
        elif evaluation is not None:
            raise DataError(f"{folder / RESULT}: no task {name!r} in {root / TASKS}")


def _read(path: Path, kind: type[R]) -> R:
    with boundary(DataError, f"cannot read {path}"):
        data = path.read_bytes()
    try:
        return kind.model_validate_json(data)
    except ValidationError as exc:
        raise DataError(f"{path}: {first_error(exc)}") from exc


def _root(data: Path | None) -> Path:
    root = data_root(data, holds=PLACES[0])
    found = next((root / place for place in PLACES if (root / place / TASKS).is_file()), None)
    if found is None:
        raise DataError(
            f"no {TASKS} in {root / PLACES[0]} or in {root}; get the files from {FACTS.source} and pass --data"
        )
    return found


def load(data: Path | None, *, hard: bool) -> CaseSet:
    """The runs of which it is known whether they succeeded.

    Args:
        data: folder that holds `web/webarena_verified`, or the official repository with logs in it.
        hard: of the official hard tasks alone.

    Raises:
        Unavailable: there are no such runs.
        DataError: no data folder, no tasks, or a malformed file.
    """
    root = _root(data)
    wanted = _hard(root) if hard else None
    every = [log for log in logs(root) if wanted is None or str(log.task.task_id) in wanted]
    if not every:
        raise Unavailable(f"has no run, a folder with {RESPONSE}, {'of a hard task ' if hard else ''}below {root}")
    items, own = [], 0
    for log in every:
        gold = log.gold
        if gold is None:
            continue
        own += log.evaluation is None
        (run,) = read_trajectories(log.folder, tasks=root / TASKS)
        kept = {key: value for key, value in run.metadata.items() if key != "reward"}  # it is gold
        kept["claimed_success"] = str(run.metadata.get("status", "")).upper() == "SUCCESS"
        change = {"id": str(log.folder.relative_to(root)), "gold": Gold(label=SUCCESS if gold else FAILURE)}
        kind = str(log.task.answer.expected["task_type"]).lower()
        items.append(Item(run.model_copy(update=change | {"metadata": kept}), kind, cluster=str(log.task.task_id)))
    if not items:
        raise Unavailable(f"has {len(every)} runs below {root}, and none that is evaluated or can be here")
    left = len(every) - len(items)
    return CaseSet(items, f"{own} labelled by the check of the answer here; {left} runs without gold left out")


def _hard(root: Path) -> set[str]:
    path = root / HARD
    if not path.is_file():
        raise Unavailable(f"needs the list of hard tasks: no {path}")
    return set(map(str, _read(path, _Subset).task_ids))


class _Subset(FileRow):
    task_ids: tuple[int | str, ...]


def recorded(data: Path | None) -> list[Recorded]:
    """The check of the answer alone, against recorded evaluations: of the answer, and of the whole run.

    Raises:
        DataError: no data folder, no tasks, or a malformed file.
    """
    parts: dict[str, list[Unit]] = {"recorded checks of the answer": [], "recorded evaluations": []}
    for log in logs(_root(data)):
        if log.evaluation is None:
            continue
        golds: Mapping[str, bool | None] = {
            "recorded checks of the answer": next(
                (
                    p.score == 1
                    for p in log.evaluation.evaluators_results
                    if p.evaluator_name == "AgentResponseEvaluator"
                ),
                None,
            ),
            "recorded evaluations": log.gold,
        }
        for name, gold in golds.items():
            if gold is not None:
                parts[name].append(Unit("", Mark(gold, log.answer, None), True, str(log.task.task_id)))
    return [
        Recorded(
            judge="the check of the answer here",
            rows=name,
            n=len(units),
            numbers={"accuracy": accuracy(units), "precision": precision(units), "recall": recall(units)},
        )
        for name, units in parts.items()
        if units
    ]


@register("benchmark", "webarena_verified", paper="2307.13854")
def webarena_verified() -> Benchmark:
    """Runs of web agents with the score of a deterministic evaluator, which asks no model."""
    return Benchmark(
        facts=FACTS,
        sets={"logs": partial(load, hard=False), "hard": partial(load, hard=True)},
        judge="trajectory",
        units=units,
        floors=floors,
        recorded=recorded,
        measures={
            "agreement": Measure(accuracy),
            "balanced accuracy": Measure(balanced_accuracy),
            "kappa": Measure(kappa),
            "precision": Measure(precision),
            "recall": Measure(recall),
            "F1": Measure(f1),
            "gap of success rates": Measure(absolute_gap, better="lower"),
            "calibration error": Measure(calibration_error, better="lower"),
            **{f"agreement, {kind}": Measure(accuracy, groups=(kind,)) for kind in TYPES},
        },
    )
