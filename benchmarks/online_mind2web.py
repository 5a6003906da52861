"""Online-Mind2Web: does a judge agree with people on the runs of six web agents on live sites (arXiv 2504.01382)?

    labels = read_labels(Path("human_label.json"))["Operator"]
    agreement_of(read_predictions(Path("webjudge_o4-mini/operator_results.json")), labels)

A set is an agent. People labelled each of its 300 runs 0 (failed), 1 (succeeded) or 2 (not executable: a captcha, a
site that is down). The official agreement takes 2 for a failure: what is published of Operator, with ten such runs, are
whole numbers of 300 runs and not of 290. Here too, since `blocked` and `impossible` are kinds of failure; `executable`
numbers leave these runs out. People failed 69 to 72% of the runs of four of the agents, and a judge that always says
failure agrees with them as often: read balanced accuracy and kappa beside agreement, and how far the judge's success
rate lies from theirs.

Runs are looked for in a folder of each agent's name, in either layout of `result.json`; none are part of the labels'
repository. What a judge of others said is read from its own output, JSON lines with `predicted_label` (`final_eval` in
older files): `JUDGE/AGENT_results.json` beside the labels stands in the report as a recorded judge.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field

from agentjudge.benchmarks.files import FileRow, Unavailable, data_root, records
from agentjudge.benchmarks.harness import Benchmark, CaseSet, Facts, Item, Measure
from agentjudge.benchmarks.reports import Recorded
from agentjudge.benchmarks.statistics import Unit
from agentjudge.benchmarks.successes import (
    FAILURE,
    SUCCESS,
    Mark,
    absolute_gap,
    accuracy,
    auroc,
    balanced_accuracy,
    calibration_error,
    f1,
    floors,
    gap,
    kappa,
    precision,
    recall,
    units,
)
from agentjudge.benchmarks.trajectories import read_trajectories
from agentjudge.case import Gold, NonBlank, Trajectory
from agentjudge.errors import DataError
from agentjudge.registry import register

FACTS = Facts(
    name="online_mind2web",
    title="Online-Mind2Web",
    paper="arXiv 2504.01382",
    metric="agreement with people, not executable counting as failed",
    source="github.com/OSU-NLP-Group/Online-Mind2Web, data/evaluation_results/online_mind2web_evaluation_results",
    licence="CC BY 4.0",
)
AGENTS = {
    "SeeAct": "seeact",
    "Agent-E": "agente",
    "Browser_Use": "browser_use",
    "Claude_Computer_Use_3.5": "claude_computer_use_3.5",
    "Claude_Computer_Use_3.7": "claude_computer_use_3.7",
    "Operator": "operator",
}
"""The agents by their names in the labels, and in the names of judges' files."""
LABELS = ("0", "1", "2")
FAILED, SUCCEEDED, NOT_EXECUTABLE = LABELS
_OFFICIAL = "data/evaluation_results/online_mind2web_evaluation_results"
_FILES = ("web/records/online_mind2web_human_label.json", f"{_OFFICIAL}/human_label.json", "human_label.json")
_RUNS = ("web/online_mind2web", "online_mind2web", "data", ".")

Label = Literal["0", "1", "2"]


class Prediction(FileRow):
    """A line of a judge's output."""

    task_id: NonBlank
    said: int | None = Field(validation_alias=AliasChoices("predicted_label", "final_eval"))


def labels_file(root: Path) -> Path:
    """The file of people's labels.

    Raises:
        DataError: it is not there.
    """
    found = next((root / name for name in _FILES if (root / name).is_file()), None)
    if found is None:
        raise DataError(f"no {_FILES[0]} or {_FILES[1]} in {root}; get the files from {FACTS.source} and pass --data")
    return found


def read_labels(path: Path) -> dict[str, dict[str, Label]]:
    """People's labels, by agent and task.

    Raises:
        DataError: the file cannot be read, or lacks an agent's label.
    """
    found: dict[str, dict[str, Label]] = {agent: {} for agent in AGENTS}
    for where, row in records(path, _Row):
        for agent in AGENTS:
            label = (row.model_extra or {}).get(f"{agent}_human_label")
            if label not in LABELS:
                raise DataError(f"{where}: {agent}_human_label {label!r} is none of {', '.join(LABELS)}")
            found[agent][row.task_id] = label
    return found


class _Row(FileRow, extra="allow"):
    task_id: NonBlank


def read_predictions(path: Path) -> dict[str, bool | None]:
    """What a judge says of each task: whether the run succeeded; None where its answer could not be read.

    Raises:
        DataError: the file cannot be read, a line has no prediction, or a task is there twice.
    """
    found: dict[str, bool | None] = {}
    for where, row in records(path, Prediction):
        if row.task_id in found:
            raise DataError(f"{where}: a second prediction of task {row.task_id!r}")
        if row.said not in (0, 1, None):
            raise DataError(f"{where}: predicted_label {row.said!r} is neither 0 nor 1")
        found[row.task_id] = None if row.said is None else bool(row.said)
    return found


def agreement_of(
    predictions: Mapping[str, bool | None], labels: Mapping[str, Label], *, executable: bool = False
) -> dict[str, float | None]:
    """How far a judge agrees with people on the runs of one agent, by the names that the report has.

    Args:
        predictions: by task; what is not labelled does not count.
        labels: by task.
        executable: leave out the runs that were not executable, instead of taking them for failures.

    Returns:
        Shares, and kappa (-1..1); None where one has no value.
    """
    made = _units(predictions, labels, executable=executable)
    return {
        "agreement": accuracy(made),
        "balanced accuracy": balanced_accuracy(made),
        "kappa": kappa(made),
        "precision": precision(made),
        "recall": recall(made),
        "success rate less people's": gap(made),
    }


def _units(
    predictions: Mapping[str, bool | None], labels: Mapping[str, Label], *, executable: bool = False
) -> list[Unit]:
    kept = {task: label for task, label in labels.items() if not executable or label != NOT_EXECUTABLE}
    return [
        Unit(label, Mark(label == SUCCEEDED, said, None), said is not None, task)
        for task, label in kept.items()
        if task in predictions
        for said in (predictions[task],)
    ]


def load(data: Path | None, agent: str) -> CaseSet:
    """The labelled runs of one agent.

    Raises:
        Unavailable: its runs are not there.
        DataError: no data folder, no labels, or a malformed file.
    """
    root = data_root(data, holds=_FILES[0])
    labels = read_labels(labels_file(root))[agent]
    folder = next((root / place / agent for place in _RUNS if (root / place / agent).is_dir()), None)
    if folder is None:
        raise Unavailable(f"needs its {len(labels)} runs, as TASK/result.json in {root / _RUNS[0] / agent}")
    items, others = [], 0
    for run in read_trajectories(folder):
        label = labels.get(_task(run))
        if label is None:
            others += 1
            continue
        gold = Gold(label=SUCCESS if label == SUCCEEDED else FAILURE)
        items.append(Item(run.model_copy(update={"gold": gold}), label, cluster=_task(run)))
    lacking = len(labels) - len({item.cluster for item in items})
    return CaseSet(items, f"{lacking} labelled runs are not there; {others} runs without a label left out")


def _task(run: Trajectory) -> str:
    return str(run.metadata.get("task_id") or run.id)


def recorded(data: Path | None) -> list[Recorded]:
    """What judges of others said of the agents' runs, where their output lies beside the labels.

    Raises:
        DataError: no data folder, no labels, or a malformed file.
    """
    file = labels_file(data_root(data, holds=_FILES[0]))
    labels, found = read_labels(file), []
    for judge in sorted(path for path in file.parent.iterdir() if path.is_dir()):
        for agent, name in AGENTS.items():
            path = judge / f"{name}_results.json"
            if path.is_file():
                said = read_predictions(path)
                n = len(said.keys() & labels[agent].keys())
                found.append(Recorded(judge=judge.name, rows=agent, n=n, numbers=agreement_of(said, labels[agent])))
    return found


@register("benchmark", "online_mind2web", paper="2504.01382")
def online_mind2web() -> Benchmark:
    """Runs of six web agents on live sites, with people's labels: agreement and success rates."""
    ran = (FAILED, SUCCEEDED)
    return Benchmark(
        facts=FACTS,
        sets={agent: partial(load, agent=agent) for agent in AGENTS},
        judge="trajectory",
        units=units,
        floors=floors,
        recorded=recorded,
        measures={
            "agreement": Measure(accuracy),
            "balanced accuracy": Measure(balanced_accuracy),
            "kappa": Measure(kappa),
            "gap of success rates": Measure(absolute_gap, better="lower"),
            "success rate less people's": Measure(gap, better=None),
            "precision": Measure(precision),
            "recall": Measure(recall),
            "F1": Measure(f1),
            "AUROC": Measure(auroc, guessing=0.5),
            "calibration error": Measure(calibration_error, better="lower"),
            "agreement, executable": Measure(accuracy, groups=ran),
            "balanced accuracy, executable": Measure(balanced_accuracy, groups=ran),
            "kappa, executable": Measure(kappa, groups=ran),
            "agreement, not executable": Measure(accuracy, groups=(NOT_EXECUTABLE,)),
        },
    )
