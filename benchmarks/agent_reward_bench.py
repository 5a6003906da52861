"""AgentRewardBench: does a judge tell the runs of web agents that succeeded, and what else went wrong (2504.08942)?

| set | runs |
|---|---|
| `test`, `dev` | the official files `trajectories/cleaned/BENCHMARK/AGENT/EXPERIMENT/TASK.json`, by official split |
| `actions` | WebJudge's records (arXiv 2504.01382): actions with reasons, key screenshots of some runs, no pages |

Gold is the first annotation, and a run of which that annotator is unsure is left out, as officially; `unanimous` are
the runs on which all annotators agree. Judges are ranked by precision. Nothing decided costs recall; a number called
`official` leaves it out instead, which spares a judge its hard runs. For the intervals, runs of one task are drawn
together. How far two people agree on the runs that both labelled stands beside how the judge does on the same runs.

Judges of others are counted again from what is recorded of them: WebJudge's three models and the environments' rewards
run by run (`recorded_web`), the 13 judges of the official table by their published rows (`recorded_table`). They saw
other runs than a set may have: each row says which. The embedded judge was fitted on `actions`; what it reaches on
runs that it has not seen is told by `embedded_trajectory`, by cross-validation.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from agentjudge.benchmarks.files import Unavailable, data_root, find_file
from agentjudge.benchmarks.harness import Benchmark, CaseSet, Decided, Facts, Item, Measure
from agentjudge.benchmarks.recorded_table import beside
from agentjudge.benchmarks.recorded_web import (
    COLUMNS,
    FAILURE,
    SUCCESS,
    UNSURE,
    Annotation,
    Key,
    Place,
    annotations,
    places,
)
from agentjudge.benchmarks.statistics import Statistic, Unit
from agentjudge.benchmarks.successes import (
    ASPECTS,
    accuracy,
    auroc,
    balanced_accuracy,
    calibration_error,
    f1,
    floors,
    gap,
    kappa,
    mark,
    precision,
    precision_at,
    read_alone,
    recall,
    specificity,
)
from agentjudge.benchmarks.trajectories import read_trajectories
from agentjudge.case import TRAJECTORY_LABELS, Gold, Trajectory
from agentjudge.errors import DataError
from agentjudge.registry import register
from agentjudge.runs.agreement import cohen_kappa

FACTS = Facts(
    name="agent_reward_bench",
    title="AgentRewardBench",
    paper="arXiv 2504.08942",
    metric="precision of the runs called successful",
    source="huggingface.co/datasets/McGill-NLP/agent-reward-bench; records: github.com/OSU-NLP-Group/Online-Mind2Web",
    licence="none found for the annotations; the records CC BY 4.0",
)
CLEANED = "trajectories/cleaned"
RECORDS = "cases.jsonl"
FITTED = "the embedded judge was fitted on these very runs, so its numbers here are not of unseen ones"
_GOLD = dict(zip((SUCCESS, FAILURE), TRAJECTORY_LABELS[:2], strict=True))
_LISTED = ("human_success", "human_side_effect", "human_optimality", "human_looping")
"""What people say, in the records: a list each, in the order of `Annotation`."""


class Mark(NamedTuple):
    """A mark of `successes`, with what people and the judge say of all aspects."""

    gold: bool
    said: bool | None
    p: float | None
    people: tuple[Annotation, ...]
    aspects: dict[str, str]
    """The judge's labels, by `ASPECTS`."""


def load_split(data: Path | None, split: str) -> CaseSet:
    """The runs of an official split that people labelled; one that its file calls invalid is left out.

    Raises:
        Unavailable: the files are not there.
        DataError: no data folder, or a malformed file.
    """
    root = data_root(data, holds=CLEANED)
    folders = [root / name / CLEANED for name in ("web/agent-reward-bench", "agent-reward-bench", ".")]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise Unavailable(f"needs the pages of the runs: no {CLEANED} in {folders[0].parent.parent} or in {root}")
    held = root if (root / "web" / "records").is_dir() else folder.parent.parent
    labels, place = annotations(held), places(held)

    def runs() -> Iterator[tuple[Trajectory, Sequence[Annotation]]]:
        for run in read_trajectories(folder):
            said = labels.get(_key(run), ())
            if said and place(_key(run)).split == split and run.metadata.get("valid") is not False:
                yield run, said

    return _case_set(runs(), place)


def load_actions(data: Path | None) -> CaseSet:
    """The runs that WebJudge recorded, of both official splits.

    Raises:
        Unavailable: the file is not there.
        DataError: no data folder, or a malformed file.
    """
    root = data_root(data, holds=f"web/agentrewardbench_webjudge/{RECORDS}")
    folders = [root / name for name in ("web/agentrewardbench_webjudge", "agentrewardbench_webjudge", ".")]
    path = next((path for folder in folders if (path := find_file(folder, RECORDS))), None)
    if path is None:
        raise Unavailable(f"needs the records of the runs: no {RECORDS} in {folders[0]} or in {root}")
    found = _case_set(((run, _listed(run)) for run in read_trajectories(path)), places(root))
    shown = sum(bool(item.case.images) for item in found.items)
    more = f"no pages, and screenshots of {shown} of the {len(found.items)} runs; both official splits"
    return found._replace(note=f"{more}; {found.note}; {FITTED}")


def _case_set(runs: Iterable[tuple[Trajectory, Sequence[Annotation]]], place: Callable[[Key], Place]) -> CaseSet:
    """The labelled runs, with what all annotators say in the metadata."""
    items, unsure = [], 0
    for run, said in runs:
        if not said or said[0].success == UNSURE:
            unsure += 1
            continue
        key = _key(run)
        spot = place(key)
        change = {
            "gold": Gold(label=_GOLD[said[0].success]),
            "metadata": run.metadata | {"annotations": [list(each) for each in said]},
        }
        items.append(Item(run.model_copy(update=change), spot.column, cluster=f"{key.benchmark}: {spot.task}"))
    twice = sum(len(item.case.metadata["annotations"]) > 1 for item in items)
    return CaseSet(items, f"{twice} labelled by two people; {unsure} without a sure label left out")


def _key(run: Trajectory) -> Key:
    return Key(*(str(run.metadata.get(name, "")) for name in ("benchmark", "task_id", "agent")))


def _listed(run: Trajectory) -> list[Annotation]:
    lists = [run.metadata.get(name) for name in _LISTED]
    try:
        found = [Annotation(*each) for each in zip(*lists, strict=True)]
    except (TypeError, ValueError) as exc:
        raise DataError(f"run {run.id!r}: {', '.join(_LISTED)} must be lists of one length") from exc
    if odd := next((each for each in found if each.success not in (*_GOLD, UNSURE)), None):
        raise DataError(f"run {run.id!r}: human_success {odd.success!r} is none of {', '.join((*_GOLD, UNSURE))}")
    return found


def units(decided: Sequence[Decided]) -> list[Unit]:
    """A run with what people and the judge say of it.

    Raises:
        DataError: see `successes.mark`.
    """
    found = []
    for item, outcome in decided:
        people = tuple(Annotation(*each) for each in item.case.metadata["annotations"])
        core = mark(people[0].success == SUCCESS, outcome.verdict)
        said = {each.name: each.label for each in outcome.verdict.criteria if each.name in ASPECTS and each.label}
        found.append(Unit(item.group, Mark(*core, people, said), core.said is not None, item.cluster))
    return found


def unanimous(unit: Unit) -> bool:
    """Whether all annotators of a run say the same of its success."""
    return len({each.success for each in unit.mark.people}) == 1


def twice(unit: Unit) -> bool:
    """Whether a run has two annotations."""
    return len(unit.mark.people) > 1


def word(said: Annotation, aspect: str) -> str | None:
    """What a person says of an aspect, in the words of `ASPECTS`; None where they are unsure."""
    label = str(getattr(said, aspect.replace(" ", "_")))
    return None if label in ("", UNSURE) else label.rpartition(". ")[2].lower()


def aspect_agreement(aspect: str) -> Statistic:
    """Share of runs of which the judge says what the first annotator says; None for a judge that says nothing."""

    def statistic(units: Sequence[Unit]) -> float | None:
        pairs = list(_pairs(units, aspect))
        return sum(gold == said for gold, said in pairs) / len(pairs) if any(said for _, said in pairs) else None

    return statistic


def aspect_f1(aspect: str) -> Statistic:
    """F1 of `yes`; None for a judge that says nothing of the aspect, or where there is nothing to find."""

    def statistic(units: Sequence[Unit]) -> float | None:
        pairs = list(_pairs(units, aspect))
        hits = sum(gold == said == "yes" for gold, said in pairs)
        whole = sum(gold == "yes" for gold, _ in pairs) + sum(said == "yes" for _, said in pairs)
        return 2 * hits / whole if whole and any(said for _, said in pairs) else None

    return statistic


def _pairs(units: Sequence[Unit], aspect: str) -> Iterator[tuple[str, str | None]]:
    for unit in units:
        if (gold := word(unit.mark.people[0], aspect)) is not None:
            yield gold, unit.mark.aspects.get(aspect)


def people_agree(aspect: str) -> Statistic:
    """Share of runs with two annotations, both sure, that say the same."""

    def statistic(units: Sequence[Unit]) -> float | None:
        pairs = _doubles(units, aspect)
        return sum(one == two for one, two in pairs) / len(pairs) if pairs else None

    return statistic


def people_kappa(units: Sequence[Unit]) -> float | None:
    """Cohen's kappa (-1..1) of two annotators on success."""
    pairs = _doubles(units, "success")
    return cohen_kappa([one for one, _ in pairs], [two for _, two in pairs]) if pairs else None


def _doubles(units: Sequence[Unit], aspect: str) -> list[tuple[str, str]]:
    words = ([word(each, aspect) for each in unit.mark.people[:2]] for unit in units if twice(unit))
    return [(one, two) for one, two in words if one is not None and two is not None]


@register("benchmark", "agent_reward_bench", paper="2504.08942")
def agent_reward_bench() -> Benchmark:
    """Runs of web agents with people's labels of success, side effects, looping and optimality."""
    columns = COLUMNS.values()
    return Benchmark(
        facts=FACTS,
        sets={
            "test": partial(load_split, split="test"),
            "dev": partial(load_split, split="dev"),
            "actions": load_actions,
        },
        judge="trajectory",
        units=units,
        floors=floors,
        recorded=beside,
        measures={
            "precision": Measure(precision),
            "recall": Measure(recall),
            "F1": Measure(f1),
            "recall, official": Measure(read_alone(recall)),
            "F1, official": Measure(read_alone(f1)),
            "accuracy": Measure(accuracy),
            "accuracy, official": Measure(read_alone(accuracy)),
            "balanced accuracy": Measure(balanced_accuracy),
            "kappa": Measure(kappa),
            "specificity": Measure(specificity),
            "AUROC": Measure(auroc, guessing=0.5),
            "precision at recall 50%": Measure(precision_at(0.5)),
            "calibration error": Measure(calibration_error, better="lower"),
            "success rate less people's": Measure(gap, better=None),
            **{f"precision, {name}": Measure(precision, groups=(name,)) for name in columns},
            **{f"recall, {name}": Measure(recall, groups=(name,)) for name in columns},
            "accuracy, unanimous": Measure(accuracy, where=unanimous),
            "precision, unanimous": Measure(precision, where=unanimous),
            "accuracy, labelled twice": Measure(accuracy, where=twice),
            "people agree, labelled twice": Measure(people_agree("success"), where=twice, better=None),
            "people's kappa, labelled twice": Measure(people_kappa, where=twice, better=None),
            "side effect": Measure(aspect_agreement("side effect")),
            "side effect, F1": Measure(aspect_f1("side effect")),
            "looping": Measure(aspect_agreement("looping")),
            "looping, F1": Measure(aspect_f1("looping")),
            "optimality": Measure(aspect_agreement("optimality")),
            **{f"people agree on {name}": Measure(people_agree(name), where=twice, better=None) for name in ASPECTS},
        },
    )
