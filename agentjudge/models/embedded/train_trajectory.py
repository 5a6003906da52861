"""Fit the embedded judge of whole runs, and cross-validate it by task.

The one command that makes the shipped weights and their card is `python -m agentjudge.benchmarks.embedded_trajectory`.

    examples = prepare(runs, Featurer(Verifier.load()))
    weights = fit(examples)                                # what `OutcomeModel` takes
    said = cross_validated(examples, seed=0)               # what it says of each run, fitted without its task

A run enters the fit in up to four copies. As it is; without its thoughts, so that an agent that writes none is not told
by that; and, with and without thoughts, cut off at 20 to 70% of its length and without its answer, as a failure: where
environments end a run as soon as their own check is content, a short run without an answer is mostly a success, and a
judge that learns this calls half of a run a success. A fifth copy, with a claim of success behind its last thought and
its answer, is not fitted on but measured. The calibration (slope and offset of the log-odds) is fitted on whole runs
that were left out of the fit, inside of the training part.

Labels are those of people, where all of them agree. Rewards of environments are never read. Tasks are never in two
folds; `.improved` and `.resized` editions of a task are that task.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentjudge.case import Trajectory
from agentjudge.errors import DataError, require
from agentjudge.models.embedded.trajectory_features import Featurer
from agentjudge.models.embedded.trajectory_outcome import OPTIMALITY, OutcomeModel
from agentjudge.models.embedded.trajectory_signs import read_signs, said

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
CUT_WEIGHT = 0.25
"""Of a run that was cut off, beside 1 for the whole one."""
CUT = (0.2, 0.7)
"""Shares of its steps that a run is cut off at."""
CLAIM = "The task has been completed successfully."
WORSE = frozenset(
    "steps steps_unanswered again repeated repeats cycled retyped repeats_late same_thought idle goal_conditions "
    "refused asked_back blocked hedged hedged_answer ends_idle claimed".split()
)
"""Features of which more never raises the chance of success."""
BETTER = frozenset({"committed", "entailed", "answer_support"})
"""Features of which more never lowers it."""
TREES = {
    "max_depth": 3, "learning_rate": 0.05, "max_iter": 150, "min_samples_leaf": 10, "l2_regularization": 5.0,
    "max_features": 0.3, "early_stopping": False, "random_state": 0,
}  # fmt: skip
RIDGE = 0.1
"""Inverse strength of the penalty of the linear heads."""
_EDITION = re.compile(r"\.(?:improved|resized)\b")


@dataclass(frozen=True, slots=True)
class Example:
    """A run as training sees it."""

    task: str
    whole: dict[str, float]
    """Features by name."""
    muted: dict[str, float] | None
    """Those of the run without its thoughts; None where it has none anyway."""
    flattered: dict[str, float]
    """Those of the run with a claim of success at its end."""
    cut: tuple[dict[str, float], ...]
    """Those of the run cut off, with and without thoughts."""
    success: bool | None
    """What people say; None where they disagree or do not know."""
    looping: bool | None
    side_effect: bool | None
    optimality: int | None
    """0 to 3, see `OPTIMALITY`."""
    groups: dict[str, str] = field(default_factory=dict)
    """Where it is from (benchmark, agent), for reports alone."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of n runs that it was not fitted on."""

    success: "NDArray[Any]"
    """[n], calibrated chances."""
    half: "NDArray[Any]"
    """[n], chances of success of the same runs cut off."""
    flattered: "NDArray[Any]"
    """[n], chances of success of the same runs with a claim of success at their end."""
    looping: "NDArray[Any]"
    """[n]"""
    optimality: "NDArray[Any]"
    """[n], the likeliest grade, 0 to 3."""


def task_of(run: Trajectory) -> str:
    """The task of a run: its id without the edition.

    Raises:
        DataError: the metadata name no task.
    """
    found = run.metadata.get("task_id")
    if not isinstance(found, str):
        raise DataError(f"run {run.id!r}: no task_id in its metadata; folds keep the runs of a task together")
    return _EDITION.sub("", found)


def prepare(runs: Sequence[Trajectory], featurer: Featurer) -> list[Example]:
    """The features and labels of runs; features are computed from `run.blind()`.

    Raises:
        DataError: a run names no task.
    """

    def features(run: Trajectory) -> dict[str, float]:
        return featurer.features(run, read_signs(run))

    made = []
    for run in runs:
        seen = run.blind()
        spoken = any(said(step.thought) for step in seen.steps)
        muted = _mute(seen)
        cuts = (_cut_off(seen), _cut_off(muted)) if spoken else (_cut_off(seen),)
        optimality = _agreed(run, "human_optimality")
        made.append(
            Example(
                task=task_of(run),
                whole=features(seen),
                muted=features(muted) if spoken else None,
                flattered=features(_flattered(seen)),
                cut=tuple(features(cut) for cut in cuts),
                success=None if run.gold is None or run.gold.label is None else run.gold.label == "success",
                looping=_yes(_agreed(run, "human_looping")),
                side_effect=_yes(_agreed(run, "human_side_effect")),
                optimality=int(optimality[0]) - 1 if optimality and optimality[0].isdigit() else None,
                groups={name: str(run.metadata.get(name, "")) for name in ("benchmark", "agent")},
            )
        )
    return made


def fit(examples: Sequence[Example]) -> dict[str, Any]:
    """The weights that `OutcomeModel` takes.

    Raises:
        ConfigError: scikit-learn is absent.
        DataError: there are fewer than `FOLDS` runs of either outcome, or one label alone of looping or of optimality.
    """
    import numpy as np

    counts = [sum(example.success is found for example in examples) for found in (True, False)]
    if min(counts) < FOLDS:
        raise DataError(f"{counts[0]} successes and {counts[1]} failures are too few to fit anything")
    names = tuple(examples[0].whole)
    labelled = [example for example in examples if example.success is not None]
    raw, gold = np.zeros(len(labelled)), np.array([example.success for example in labelled], int)
    place = folds([example.task for example in labelled], seed=len(labelled))
    for left_out in range(FOLDS):
        held = place == left_out
        part = [example for example, out in zip(labelled, held, strict=True) if not out]
        rows = _rows([example.whole for example, out in zip(labelled, held, strict=True) if out], names)
        raw[held] = _booster(part, names).decision_function(rows)
    linear = require("sklearn.linear_model", extra="train-embedded")
    calibration = linear.LogisticRegression(C=1e3).fit(raw[:, None], gold)
    whole = _rows([example.whole for example in examples], names)
    return {
        "features": list(names),
        "trees": _exported(_booster(labelled, names)),
        "calibration": [float(calibration.coef_[0, 0]), float(calibration.intercept_[0])],
        "usual": [float(value) for value in np.median(whole, axis=0)],
        "heads": {
            "looping": _head(whole, [example.looping for example in examples]),
            "optimality": _head(whole, [example.optimality for example in examples]),
        },
    }


def cross_validated(examples: Sequence[Example], *, seed: int = 0) -> Said:
    """What models say of runs that were fitted without their tasks, calibration included.

    Args:
        examples: runs with labels.
        seed: of the split into `FOLDS` folds.
    """
    place = folds([example.task for example in examples], seed=seed)
    return left_out(examples, [(place != fold, place == fold) for fold in range(FOLDS)])


def transferred(examples: Sequence[Example], by: str) -> Said:
    """What models say of the runs of each benchmark, or agent, that were fitted on the others and on other tasks.

    Args:
        examples: runs with labels.
        by: `benchmark` or `agent`.
    """
    import numpy as np

    groups = np.array([example.groups[by] for example in examples])
    tasks = [example.task for example in examples]
    if by == "benchmark":
        return left_out(examples, [(groups != group, groups == group) for group in sorted(set(groups))])
    place = folds(tasks, seed=0)
    parts = [(group, fold) for group in sorted(set(groups)) for fold in range(FOLDS)]
    return left_out(examples, [((groups != g) & (place != f), (groups == g) & (place == f)) for g, f in parts])


def left_out(examples: Sequence[Example], parts: Sequence[tuple[Any, Any]]) -> Said:
    """What models say of the runs of each part; each run is in one.

    Args:
        examples: runs with labels.
        parts: masks [n] of the runs fitted on, and of those to speak of.
    """
    import numpy as np

    n = len(examples)
    found = Said(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, int))
    for train, test in parts:
        if not test.any():
            continue
        model = OutcomeModel(fit([example for example, used in zip(examples, train, strict=True) if used]))
        for at in map(int, np.flatnonzero(test)):
            example = examples[at]
            found.success[at] = model.success(example.whole)
            found.half[at] = model.success(example.cut[0])
            found.flattered[at] = model.success(example.flattered)
            found.looping[at] = model.looping(example.whole)
            grades = model.optimality(example.whole)
            found.optimality[at] = OPTIMALITY.index(max(grades, key=lambda grade: grades[grade]))
    return found


def folds(tasks: Sequence[str], *, seed: int) -> "NDArray[Any]":
    """The fold [n] of each run, 0 to `FOLDS` - 1; runs of a task share it."""
    import numpy as np

    names = sorted(set(tasks))
    np.random.default_rng(seed).shuffle(names)
    place = {name: number % FOLDS for number, name in enumerate(names)}
    return np.array([place[task] for task in tasks])


def write(weights: Mapping[str, Any], path: Path) -> None:
    """Write weights as JSON, numbers rounded to what float32 holds."""

    def short(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.7g}")
        if isinstance(value, Mapping):
            return {name: short(each) for name, each in value.items()}
        return [short(each) for each in value] if isinstance(value, list) else value

    path.write_text(json.dumps(short(weights), separators=(",", ":")) + "\n", encoding="utf-8")


def _mute(run: Trajectory) -> Trajectory:
    return run.model_copy(update={"steps": tuple(step.model_copy(update={"thought": ""}) for step in run.steps)})


def _cut_off(run: Trajectory) -> Trajectory:
    """The run cut off where its id says, with no answer."""
    place = int.from_bytes(hashlib.sha256(run.id.encode()).digest()[:6], "big") / 2**48
    steps = max(1, round(len(run.steps) * (CUT[0] + place * (CUT[1] - CUT[0]))))
    return run.model_copy(update={"steps": run.steps[:steps], "final_answer": None})


def _flattered(run: Trajectory) -> Trajectory:
    """The run with a claim of success behind its last thought, and behind its answer where it has one."""
    steps = list(run.steps)
    if steps:
        last = max((n for n, step in enumerate(steps) if said(step.thought)), default=len(steps) - 1)
        steps[last] = steps[last].model_copy(update={"thought": f"{steps[last].thought} {CLAIM}".strip()})
    answer = None if run.final_answer is None else f"{run.final_answer} {CLAIM}".strip()
    return run.model_copy(update={"steps": tuple(steps), "final_answer": answer})


def _agreed(run: Trajectory, name: str) -> str | None:
    """What all people say, where they agree."""
    labels = list(run.metadata.get(name) or [])
    return str(labels[0]) if len(set(labels)) == 1 else None


def _yes(label: str | None) -> bool | None:
    return {"Yes": True, "No": False}.get(label or "")


def _rows(features: Sequence[Mapping[str, float]], names: Sequence[str]) -> "NDArray[Any]":
    import numpy as np

    return np.array([[each[name] for name in names] for each in features], float).reshape(len(features), len(names))


def _copies(examples: Sequence[Example]) -> Iterator[tuple[Mapping[str, float], bool, float]]:
    """Features, outcome and weight of all copies of runs; those that are as good as the run itself share its weight."""
    for example in examples:
        same = [example.whole, *([] if example.muted is None else [example.muted])]
        for copy in same:
            yield copy, bool(example.success), 1 / len(same)
        for cut in example.cut:
            yield cut, False, CUT_WEIGHT / len(example.cut)


def _booster(examples: Sequence[Example], names: Sequence[str]) -> Any:
    import numpy as np

    ensemble = require("sklearn.ensemble", extra="train-embedded")
    threads = require("threadpoolctl", extra="train-embedded")
    features, gold, weights = zip(*_copies(examples), strict=True)
    directions = [-1 if name in WORSE else 1 if name in BETTER else 0 for name in names]
    model = ensemble.HistGradientBoostingClassifier(monotonic_cst=directions, **TREES)
    with threads.threadpool_limits(limits=1, user_api="openmp"):  # on this little data threads only wait
        return model.fit(_rows(features, names), np.array(gold, int), sample_weight=np.array(weights))


def _exported(booster: Any) -> dict[str, Any]:
    """The trees of a booster as `Trees` has them."""
    made: dict[str, list[Any]] = {name: [] for name in ("roots", "feature", "threshold", "left", "right", "value")}
    for (tree,) in booster._predictors:
        first = len(made["feature"])
        made["roots"].append(first)
        for node in tree.nodes:
            made["feature"].append(-1 if node["is_leaf"] else int(node["feature_idx"]))
            made["threshold"].append(0.0 if node["is_leaf"] else float(node["num_threshold"]))
            made["left"].append(first + int(node["left"]))
            made["right"].append(first + int(node["right"]))
            made["value"].append(float(node["value"]))
    return {**made, "base": float(booster._baseline_prediction.ravel()[0])}


def _head(rows: "NDArray[Any]", labels: Sequence[int | None]) -> dict[str, Any]:
    """A linear head as `Linear` has it, on the rows that have a label."""
    import numpy as np

    known = np.array([label is not None for label in labels])
    gold = np.array([int(label) for label in labels if label is not None])
    if len(set(gold.tolist())) < 2:
        raise DataError("all runs have one label of looping, or of optimality, so it cannot be fitted")
    mean, scale = rows[known].mean(axis=0), rows[known].std(axis=0)
    scale[scale == 0] = 1
    linear = require("sklearn.linear_model", extra="train-embedded")
    head = linear.LogisticRegression(C=RIDGE, max_iter=5_000).fit((rows[known] - mean) / scale, gold)
    parts = {"mean": mean, "scale": scale, "weights": head.coef_, "bias": head.intercept_, "classes": head.classes_}
    return {name: part.tolist() for name, part in parts.items()}
