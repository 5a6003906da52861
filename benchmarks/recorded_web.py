"""Judgements of web agents' runs that others recorded, counted again from people's labels: no model is asked.

    found = against_people(Path("data"))["webjudge_7B"]
    found.n, found.accuracy                     # 914, 0.856
    table(Path("data"))["rule"]["all"].precision

| source | what is recorded | licence of the data |
|---|---|---|
| AgentRewardBench (arXiv 2504.08942) | labels of 1,302 trajectories, splits, a table of 13 judges | none found |
| WebJudge (arXiv 2504.01382) | three models' judgements of 951 of them, with the environments' rewards | CC BY 4.0 |

AgentRewardBench takes the first annotation of a trajectory and leaves out those of which its annotator is unsure. An
answer that cannot be read drops out of its precision and of its recall too, which spares a judge its hard cases; here
it counts as a success that was not found, and `official=True` gives the table's own way. The judgements of the 13
judges are not published; `recorded_table` finds the counts that its rows leave possible.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from agentjudge.benchmarks.files import FileRow, find_file, records
from agentjudge.case import NonBlank, Record
from agentjudge.errors import DataError, boundary
from agentjudge.runs.classification import Classification, classify

SUCCESS, FAILURE, UNSURE = "Successful", "Unsuccessful", "Unsure"
LABELS = (SUCCESS, FAILURE)
RULE = "rule"
"""The environment's own reward, as a judge."""
COLUMNS = {
    "assistantbench": "AB", "visualwebarena": "VWA", "webarena": "WA", "workarena_l1": "Work", "workarena_l2": "Work++",
}  # fmt: skip
"""The columns of the official table, by the benchmark in `splits.csv`."""
_STATUS = re.compile(r"status:\W*(success|failure)", re.IGNORECASE)
_RENAMED = re.compile(r"\.(improved|resized)(?=\.)")

Split = Literal["dev", "test"]


class Key(NamedTuple):
    """A trajectory."""

    benchmark: str
    task: str
    agent: str


class Annotation(NamedTuple):
    """What one person says of a trajectory, in the words of the file; empty where it does not say."""

    success: str
    side_effect: str
    optimality: str
    looping: str


class Place(NamedTuple):
    """Where a trajectory stands."""

    split: str
    column: str
    """Of the official table."""
    task: str
    """Its name in the splits, which the agents' runs of it share."""


class Judgement(FileRow):
    """A row of WebJudge's judgements."""

    judge_folder: NonBlank
    benchmark: NonBlank
    task_id: NonBlank
    agent: NonBlank
    judge_text: str | None
    cum_reward: float | None


class Cased(FileRow):
    """A trajectory of the development cases, with the verdicts that are kept with it."""

    class Said(FileRow):
        """What one judge said."""

        verdict: Literal["success", "failure"]

    benchmark: NonBlank
    task_id: NonBlank
    agent: NonBlank
    webjudge: dict[str, Said]


class Success(Record):
    """How well a judge finds success. Shares are 0..1, and 0 where there is nothing to take a share of."""

    n: int
    """Trajectories that are counted."""
    unread: int
    """Those of them without an answer that could be read."""
    positives: int
    """Successful ones."""
    precision: float
    recall: float
    f1: float
    accuracy: float
    specificity: float
    """Of the failures, those called so: the true negative rate."""


def status(text: str | None) -> bool | None:
    """What a judge in WebJudge's form says at its end; None if nothing.

    WebJudge itself takes what follows the first `Status:`, which may be a quotation from the page.
    """
    found = _STATUS.findall(text or "")
    return found[-1].lower() == "success" if found else None


def people(data: Path) -> dict[Key, tuple[str, ...]]:
    """Labels of success, by trajectory; see `annotations`."""
    return {key: tuple(each.success for each in said) for key, said in annotations(data).items()}


def annotations(data: Path) -> dict[Key, tuple[Annotation, ...]]:
    """What people say, by trajectory, in the order of the file: the first one's word is the official label.

    Args:
        data: folder that holds `web/records`, or the official repository.

    Raises:
        DataError: the annotations are absent or are something else.
    """
    found: dict[Key, tuple[Annotation, ...]] = {}
    for where, row in csv_rows(data, "agentrewardbench_annotations.csv"):
        with boundary(DataError, f"{where}: not an annotation"):
            key, label = Key(row["benchmark"], row["task_id"], row["model_name"]), row["trajectory_success"]
        if label not in (*LABELS, UNSURE):
            raise DataError(f"{where}: trajectory_success {label!r} is none of {', '.join((*LABELS, UNSURE))}")
        said = Annotation(label, *(row.get(f"trajectory_{name}") or "" for name in Annotation._fields[1:]))
        found[key] = (*found.get(key, ()), said)
    return found


def judgements(data: Path, *, reward_above: float = 0.0) -> dict[str, dict[Key, bool | None]]:
    """Whether each judge calls a trajectory a success, None where it does not say; `rule` is the reward.

    Args:
        data: folder that holds `web/records`.
        reward_above: a cumulative reward above it is a success: AgentRewardBench takes 0.5.

    Raises:
        DataError: the judgements are absent or are something else, or one is there twice.
    """
    found: dict[str, dict[Key, bool | None]] = {RULE: {}}
    for where, row in records(_file(data, "records", "webjudge_on_agentrewardbench.jsonl"), Judgement):
        key = Key(row.benchmark, row.task_id, row.agent)
        judge = found.setdefault(row.judge_folder, {})
        if key in judge:
            raise DataError(f"{where}: a second judgement by {row.judge_folder} of {'/'.join(key)}")
        judge[key] = status(row.judge_text)
        found[RULE][key] = None if row.cum_reward is None else row.cum_reward > reward_above
    return found


def case_verdicts(data: Path) -> dict[str, dict[Key, bool]]:
    """The verdicts that are kept with the development cases, by judge.

    Args:
        data: folder that holds `web/agentrewardbench_webjudge`.

    Raises:
        DataError: the cases are absent or are something else.
    """
    found: dict[str, dict[Key, bool]] = {}
    for _, row in records(_file(data, "agentrewardbench_webjudge", "cases.jsonl"), Cased):
        for judge, said in row.webjudge.items():
            found.setdefault(judge, {})[Key(row.benchmark, row.task_id, row.agent)] = said.verdict == "success"
    return found


def against_people(data: Path) -> dict[str, Classification]:
    """Each judge on the trajectories on which all annotators agree, none of them unsure.

    The judges saw different trajectories, so their numbers must not be compared.

    Raises:
        DataError: see `people` and `judgements`.
    """
    labels = people(data)
    found = {}
    for judge, said in judgements(data).items():
        agreed = {key: labels[key][0] for key in said if _unanimous(labels.get(key, ()))}
        if agreed:
            found[judge] = classify(list(agreed.values()), [_label(said[key]) for key in agreed], labels=LABELS)
    return found


def success(gold: Sequence[str], said: Sequence[bool | None], *, official: bool = False) -> Success:
    """AgentRewardBench's numbers of some trajectories.

    Args:
        gold: the first annotation of each; those that are unsure are left out.
        said: whether the judge calls it a success; None where its answer could not be read.
        official: leave out what could not be read, as AgentRewardBench does, instead of counting it as not right.

    Raises:
        ValueError: unequal lengths.
    """
    pairs = [(label, _label(answer)) for label, answer in zip(gold, said, strict=True) if label != UNSURE]
    unread = sum(answer is None for _, answer in pairs)
    kept = [pair for pair in pairs if not official or pair[1] is not None]
    if not kept:
        return Success(n=0, unread=unread, positives=0, precision=0, recall=0, f1=0, accuracy=0, specificity=0)
    found = classify([label for label, _ in kept], [answer for _, answer in kept], labels=LABELS)
    of = found.labels[SUCCESS]
    return Success(
        n=found.n,
        unread=unread,
        positives=of.gold,
        precision=of.precision,
        recall=of.recall,
        f1=of.f1,
        accuracy=found.accuracy,
        specificity=found.labels[FAILURE].recall,
    )


def table(data: Path, *, split: Split = "test", official: bool = False) -> dict[str, dict[str, Success]]:
    """AgentRewardBench's table of the judges whose judgements are recorded: by judge, then `all` and by column.

    Only part of the trajectories of a split is recorded: `n` says how many, `expected` how many there are.

    Args:
        data: folder that holds `web/records`.
        split: the table is of `test`.
        official: see `success`.

    Raises:
        DataError: the files are absent or are something else.
    """
    labels, place = people(data), places(data)
    found = {}
    for judge, said in judgements(data, reward_above=0.5).items():
        golds = {key: labels[key][0] for key in said if key in labels and place(key).split == split}
        found[judge] = {
            column: success(list(part.values()), [said[key] for key in part], official=official)
            for column, part in _by_column(golds, place).items()
        }
    return found


def expected(data: Path, *, split: Split = "test") -> dict[str, tuple[int, int]]:
    """How many trajectories the table is of, and how many of them succeeded: `all` and by column."""
    place = places(data)
    golds = {
        key: labels[0] for key, labels in people(data).items() if place(key).split == split and labels[0] != UNSURE
    }

    return {
        column: (len(part), sum(label == SUCCESS for label in part.values()))
        for column, part in _by_column(golds, place).items()
    }


def _by_column(golds: Mapping[Key, str], place: Callable[[Key], Place]) -> dict[str, dict[Key, str]]:
    """All labels, and those of each column."""
    parts = {name: {key: gold for key, gold in golds.items() if place(key).column == name} for name in COLUMNS.values()}
    return {"all": dict(golds), **parts}


def _label(answer: bool | None) -> str | None:
    return None if answer is None else LABELS[not answer]


def _unanimous(labels: Sequence[str]) -> bool:
    return len(set(labels)) == 1 and labels[0] != UNSURE


def places(data: Path) -> Callable[[Key], Place]:
    """Where each trajectory stands; in the splits a task has no `improved` and `resized` in its name.

    Args:
        data: folder that holds `web/records`, or the official repository.

    Raises:
        DataError: the splits are absent or are something else; from what is returned, a task that they lack.
    """
    found = {}
    for where, row in csv_rows(data, "agentrewardbench_splits.csv"):
        with boundary(DataError, f"{where}: not a task's split"):
            found[row["task_id"]] = Place(row["split"], COLUMNS[row["benchmark"]], row["task_id"])

    def place(key: Key) -> Place:
        task = key.task if key.task in found else _RENAMED.sub("", key.task)
        if task not in found:
            raise DataError(f"agentrewardbench_splits.csv has no task {key.task!r}")
        return found[task]

    return place


def _file(data: Path, folder: str, name: str) -> Path:
    """The file, gzipped or not; under its own name if it is absent, for the message."""
    return find_file(data / "web" / folder, name) or data / "web" / folder / name


def csv_rows(data: Path, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV file, each with its place; official files bear no name of the benchmark."""
    own, bare = data / "web" / "records" / name, name.removeprefix("agentrewardbench_")
    official = (data / folder / bare for folder in ("agent_reward_bench/data", "data", "."))
    path = next((path for path in (own, *official) if path.is_file()), own)
    with boundary(DataError, f"cannot read {path}"), path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, 1))
