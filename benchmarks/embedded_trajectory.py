"""Fit the embedded judge of whole runs and measure it: one command makes the shipped weights and their card.

    pip install 'agentjudge[train-embedded]' scikit-learn
    python -m agentjudge.benchmarks.embedded_trajectory --data DIR --fit       # weights/trajectory.json
    python -m agentjudge.benchmarks.embedded_trajectory --data DIR --report    # a table, and the card beside them

DIR is the data folder, of which `web/agentrewardbench_webjudge` is read: records of runs of four agents on four
benchmarks (actions and reasons, no pages) with labels of people. The held-out part of those records is not read.

Numbers are those of five-fold cross-validation by task, the mean over `SEEDS` splits, on the runs of which all people
say the same; the interval is that of a bootstrap by task. How easily the judge is fooled is told by runs cut off at 20
to 70% of their length, and by failures with a claim of success behind their last thought and their answer.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentjudge.benchmarks.statistics import Statistic, Unit
from agentjudge.benchmarks.successes import (
    REWARD_ABOVE,
    Mark,
    answered,
    auroc,
    calibration_error,
    precision,
    precision_at,
    recall,
)
from agentjudge.benchmarks.trajectories import read_trajectories
from agentjudge.case import Trajectory
from agentjudge.errors import DataError
from agentjudge.models.embedded import train_trajectory as training
from agentjudge.models.embedded.train_trajectory import Example, Said
from agentjudge.models.embedded.trajectory_features import Featurer
from agentjudge.models.embedded.trajectory_outcome import FILE
from agentjudge.models.embedded.verifier import Verifier
from agentjudge.runs.agreement import cohen_kappa
from agentjudge.runs.statistics import Interval, bootstrap_of

SEEDS = (0, 1, 2)
"""Of the splits into folds."""
DRAWS = 500
"""Resamples of a bootstrap."""
CARD = FILE.with_name("trajectory_card.json")
SET = "web/agentrewardbench_webjudge"
LICENCES = {
    "runs": "github.com/OSU-NLP-Group/Online-Mind2Web, evaluation results on AgentRewardBench: MIT, dataset CC BY 4.0",
    "labels": "github.com/McGill-NLP/agent-reward-bench, annotations.csv: none stated",
}
STATISTICS: dict[str, Statistic] = {
    "AUROC": auroc,
    "precision at recall 50%": precision_at(0.5),
    "calibration error": calibration_error,
    "precision": precision,
    "recall": recall,
}
"""Precision and recall are those of the label: a success from a chance of 0.5."""
LONG = 30
"""Steps at which the environments of these runs cut an agent off."""

Row = tuple[Unit, ...]
"""A run, as a judge saw it under each seed."""


def read(data: Path) -> list[Trajectory]:
    """The runs to train on.

    Raises:
        DataError: they are not there.
    """
    found = [path for name in ("cases.jsonl.gz", "cases.jsonl") if (path := data / SET / name).is_file()]
    if not found:
        raise DataError(f"no {SET}/cases.jsonl in {data}; name the data folder by --data")
    return list(read_trajectories(found[0]))


def rows_of(
    runs: Sequence[Trajectory], examples: Sequence[Example], said: Sequence[Sequence[float | None]]
) -> list[Row]:
    """The runs with a sure label.

    Args:
        runs: in the order of `examples`.
        examples: their labels.
        said: of each seed, the chance of success of each run; None where nothing is said.
    """
    made = []
    for at, (run, example) in enumerate(zip(runs, examples, strict=True)):
        if example.success is not None:
            group, cluster = str(run.metadata["benchmark"]), example.task
            marks = [Mark(example.success, None if p is None else p >= 0.5, p) for p in (each[at] for each in said)]
            made.append(tuple(Unit(group, mark, True, cluster) for mark in marks))
    return made


def measured(rows: Sequence[Row]) -> dict[str, list[float] | None]:
    """Each statistic with the ends of its interval; None where it has no value."""
    return {name: _interval(statistic, rows) for name, statistic in STATISTICS.items()}


def _interval(statistic: Statistic, rows: Sequence[Row]) -> list[float] | None:
    def mean(drawn: Sequence[Row]) -> float | None:
        found = [statistic([row[seed] for row in drawn]) for seed in range(len(drawn[0]))]
        values = [value for value in found if value is not None]
        return sum(values) / len(values) if len(values) == len(found) else None

    try:
        found = bootstrap_of(mean, rows, [row[0].cluster for row in rows], n=DRAWS)
    except ValueError:
        return None
    return _short(found)


def _short(found: Interval) -> list[float]:
    return [round(found.mean, 4), round(found.low, 4), round(found.high, 4)]


def floors(runs: Sequence[Trajectory]) -> dict[str, list[float | None]]:
    """Judges without a model: a chance a run, constant, or by length, self-report or the environment's reward."""
    rewards = [run.metadata.get("reward") for run in runs]
    return {
        "always failure": [0.0 for _ in runs],
        "fewest steps": [1 / (1 + len(run.steps)) for run in runs],
        "self-report": [float(answered(run)) for run in runs],
        f"reward > {REWARD_ABOVE:g}": [float(reward is not None and reward > REWARD_ABOVE) for reward in rewards],
    }


def report(runs: Sequence[Trajectory], examples: Sequence[Example]) -> dict[str, Any]:
    """Everything that the card says of the numbers."""
    said = [training.cross_validated(examples, seed=seed) for seed in SEEDS]
    rows = rows_of(runs, examples, [list(map(float, each.success)) for each in said])
    beside = {name: rows_of(runs, examples, [chances]) for name, chances in floors(runs).items()}
    lengths = [len(run.steps) for run, example in zip(runs, examples, strict=True) if example.success is not None]
    every = range(len(rows))

    def of(place: Sequence[int]) -> dict[str, Any]:
        judges = {"embedded": rows, **beside}
        successes = sum(rows[at][0].mark.gold for at in place)
        numbers = {name: measured([found[at] for at in place]) for name, found in judges.items()}
        return {"n": len(place), "successes": successes, "judges": numbers}

    benchmarks = sorted({row[0].group for row in rows})
    return {
        "runs": of(every),
        f"runs of at most {LONG} steps": of([at for at in every if lengths[at] <= LONG]),
        "by benchmark": {name: of([at for at in every if rows[at][0].group == name]) for name in benchmarks},
        "left out": {by: _transfer(runs, examples, by) for by in ("benchmark", "agent")},
        "called a success": fooled(examples, said),
        "aspects": aspects(examples, said),
    }


def _transfer(runs: Sequence[Trajectory], examples: Sequence[Example], by: str) -> dict[str, Any]:
    """AUROC and calibration error on the runs of each group, fitted without that group, beside fewest steps."""
    said = training.transferred(examples, by)
    rows = rows_of(runs, examples, [list(map(float, said.success))])
    steps = rows_of(runs, examples, [floors(runs)["fewest steps"]])
    names = [example.groups[by] for example in examples if example.success is not None]
    found = {}
    for name in sorted(set(names)):
        part = [at for at, each in enumerate(names) if each == name]
        own = {
            label: _interval(STATISTICS[label], [rows[at] for at in part]) for label in ("AUROC", "calibration error")
        }
        found[name] = {"n": len(part), **own, "fewest steps": _interval(auroc, [steps[at] for at in part])}
    return found


def fooled(examples: Sequence[Example], said: Sequence[Said]) -> dict[str, float]:
    """Shares of runs that are called a success: good ones whole and cut off, bad ones as they are and with a claim."""
    good = [at for at, example in enumerate(examples) if example.success]
    bad = [at for at, example in enumerate(examples) if example.success is False]
    found = {
        "successes, whole": [each.success[good] for each in said],
        "successes, cut off": [each.half[good] for each in said],
        "failures, as they are": [each.success[bad] for each in said],
        "failures, with a claim of success": [each.flattered[bad] for each in said],
    }
    return {name: round(float(sum((p >= 0.5).mean() for p in each) / len(each)), 4) for name, each in found.items()}


def aspects(examples: Sequence[Example], said: Sequence[Said]) -> dict[str, Any]:
    """Accuracy and Cohen's kappa of the other judgements, beside the constant label's accuracy."""
    rules = [[round(math.expm1(example.whole["repeats"])) > 2 for example in examples]]
    return {
        "looping": _aspect([example.looping for example in examples], [list(each.looping >= 0.5) for each in said]),
        "looping by rule (over two repeated steps)": _aspect([example.looping for example in examples], rules),
        "optimality": _aspect([example.optimality for example in examples], [list(each.optimality) for each in said]),
        "side effect, always no": _aspect([e.side_effect for e in examples], [[False] * len(examples)]),
    }


def _aspect(gold: Sequence[int | None], said: Sequence[Sequence[Any]]) -> dict[str, float]:
    place = [at for at, label in enumerate(gold) if label is not None]
    truth = [int(gold[at] or 0) for at in place]
    answers = [[int(each[at]) for at in place] for each in said]
    right = [sum(a == b for a, b in zip(truth, each, strict=True)) / len(place) for each in answers]
    kappas = [cohen_kappa(truth, each) or 0.0 for each in answers]
    constant = max(truth.count(label) for label in set(truth)) / len(truth)
    numbers = {"accuracy": sum(right) / len(right), "kappa": sum(kappas) / len(kappas), "constant label": constant}
    return {"n": len(place), **{name: round(value, 4) for name, value in numbers.items()}}


def table(found: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = []
    parts = {name: part for name, part in found.items() if "judges" in part} | found["by benchmark"]
    for name, part in parts.items():
        lines += [f"### {name}: n {part['n']}, {part['successes']} successful", ""]
        lines += [f"| judge | {' | '.join(STATISTICS)} |", f"|---|{'---|' * len(STATISTICS)}"]
        for judge, numbers in part["judges"].items():
            lines.append(f"| {judge} | {' | '.join(_cell(numbers[statistic]) for statistic in STATISTICS)} |")
        lines.append("")
    for by, groups in found["left out"].items():
        lines += [f"### fitted without the {by}", "", f"| {by} | n | AUROC | fewest steps | calibration error |"]
        lines.append("|---|---|---|---|---|")
        for name, row in groups.items():
            cells = [str(row["n"]), *(_cell(row[key]) for key in ("AUROC", "fewest steps", "calibration error"))]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    lines += ["| called a success | share |", "|---|---|"]
    lines += [f"| {name} | {share:.3f} |" for name, share in found["called a success"].items()] + [""]
    lines += ["| aspect | n | accuracy | kappa | constant label |", "|---|---|---|---|---|"]
    for name, row in found["aspects"].items():
        lines.append(
            f"| {name} | {row['n']} | {row['accuracy']:.3f} | {row['kappa']:.3f} | {row['constant label']:.3f} |"
        )
    return "\n".join(lines)


def _cell(numbers: list[float] | None) -> str:
    return "-" if numbers is None else f"{numbers[0]:.3f} ({numbers[1]:.3f} to {numbers[2]:.3f})"


def main() -> None:
    """Parse the command line, fit, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help=f"folder with {SET}")
    parser.add_argument("--out", type=Path, default=FILE.parent, help="folder for the weights and their card")
    parser.add_argument("--fit", action="store_true", help="write the weights, fitted on all runs")
    parser.add_argument("--report", action="store_true", help="cross-validate, print the table, write the card")
    options = parser.parse_args()
    if not (options.fit or options.report):
        parser.error("nothing to do: give --fit, --report or both")
    runs = read(options.data)
    examples = training.prepare(runs, Featurer(Verifier.load()))
    if options.fit:
        training.write(training.fit(examples), options.out / FILE.name)
    if options.report:
        found = report(runs, examples)
        print(table(found))
        card = {
            "data": SET,
            "licences": LICENCES,
            "split": f"{training.FOLDS} folds by task, seeds {list(SEEDS)}; runs on whose success all people agree",
            "intervals": f"95%, bootstrap by task, {DRAWS} draws; [value, low, high]",
            **found,
        }
        (options.out / CARD.name).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
