"""Fitting the embedded judge of runs, on runs of our own: what is read, how it is split, what comes out."""

from pathlib import Path

import numpy as np
import pytest

from agentjudge.case import Gold, Step, Trajectory
from agentjudge.errors import DataError
from agentjudge.models.embedded import train_trajectory as training
from agentjudge.models.embedded.train_trajectory import Example
from agentjudge.models.embedded.trajectory_features import Featurer
from agentjudge.models.embedded.trajectory_outcome import OutcomeModel
from agentjudge.models.embedded.verifier import Verifier

pytest.importorskip("sklearn")


def made(number: int, *, good: bool, task: int | None = None) -> Trajectory:
    """Good runs are short and answer; bad ones click the same thing again and again."""
    clicks = 2 + number % 3 if good else 12 + number % 5
    steps = tuple(
        Step(action=f"click('{n if good else 7}')", thought=f"Step {n} of run {number}.") for n in range(clicks)
    )
    answer = f"The price is {number} euros." if good else None
    metadata = {
        "task_id": f"shop.{'improved.' if number % 2 else ''}{number if task is None else task}",
        "benchmark": f"b{number % 2}", "agent": f"a{number // 3 % 3}", "reward": float(not good),
        "human_looping": ["No" if good else "Yes"],
        "human_side_effect": ["No"], "human_optimality": ["4. Completely Optimal" if good else "1. Complete Failure"],
    }  # fmt: skip
    gold = Gold(label="success" if good else "failure")
    return Trajectory(
        id=f"run {number}", goal=f"What is the price of item {number}?", steps=steps, final_answer=answer, gold=gold,
        metadata=metadata,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "TREES", {**training.TREES, "max_iter": 15})


@pytest.fixture(scope="module")
def runs() -> list[Trajectory]:
    return [made(number, good=number % 3 == 0, task=number // 2) for number in range(60)]


@pytest.fixture(scope="module")
def examples(runs: list[Trajectory]) -> list[Example]:
    return training.prepare(runs, Featurer(Verifier.load()))


def test_features_do_not_depend_on_labels_and_rewards(runs: list[Trajectory], examples: list[Example]) -> None:
    swapped = [run.model_copy(update={"gold": None, "metadata": {"task_id": "t"}}) for run in runs[:6]]
    again = training.prepare(swapped, Featurer(Verifier.load()))
    assert [each.whole for each in again] == [each.whole for each in examples[:6]]
    assert [each.success for each in again] == [None] * 6


def test_a_run_has_muted_flattered_and_cut_copies(examples: list[Example]) -> None:
    good = examples[0]
    assert good.muted is not None and good.muted["on_goal"] == 0.5 != good.whole["on_goal"]
    assert good.flattered["claimed"] == 1 and good.flattered["steps"] == good.whole["steps"]
    assert all(cut["answered"] == 0 and cut["steps"] <= good.whole["steps"] for cut in good.cut) and len(good.cut) == 2


def test_editions_of_a_task_are_that_task_and_no_task_is_in_two_folds(runs: list[Trajectory]) -> None:
    assert training.task_of(made(1, good=True)) == "shop.1" == training.task_of(made(1, good=True))
    tasks = [training.task_of(run) for run in runs]
    place = training.folds(tasks, seed=3)
    assert all(len({int(place[i]) for i, other in enumerate(tasks) if other == task}) == 1 for task in set(tasks))
    assert len(set(place.tolist())) == training.FOLDS
    with pytest.raises(DataError, match="task_id"):
        training.task_of(runs[0].model_copy(update={"metadata": {}}))


def test_exported_trees_say_what_the_booster_says(examples: list[Example], tmp_path: Path) -> None:
    weights = training.fit(examples)
    training.write(weights, tmp_path / "w.json")
    model = OutcomeModel.load(tmp_path / "w.json")
    rows = np.stack([model.row(example.whole) for example in examples])
    booster = training._booster(examples, model.names)
    slope, offset = weights["calibration"]
    assert model.logits(rows) == pytest.approx(slope * booster.decision_function(rows) + offset, abs=1e-4)
    assert model.success(examples[0].whole) > 0.5 > model.success(examples[1].whole)
    grades = model.optimality(examples[0].whole)
    assert grades["completely optimal"] > 0.5 and grades["suboptimal"] == 0, "no run has that grade"


def test_cross_validation_speaks_of_runs_that_it_was_not_fitted_on(examples: list[Example]) -> None:
    said = training.cross_validated(examples, seed=1)
    gold = np.array([example.success for example in examples])
    assert said.success[gold].min() > said.success[~gold].max(), "these runs are easy to tell apart"
    lied = [*examples]
    place = training.folds([example.task for example in examples], seed=1)
    for at in np.flatnonzero(place == 0):
        lied[at] = training.Example(**{f: getattr(lied[at], f) for f in Example.__slots__} | {"success": not gold[at]})
    told = training.cross_validated(lied, seed=1)
    assert told.success[place == 0] == pytest.approx(said.success[place == 0]), "labels of left-out runs change nothing"
    assert told.success[place == 1] != pytest.approx(said.success[place == 1])


def test_transfer_leaves_whole_groups_out(examples: list[Example], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "FOLDS", 2)
    for by in ("benchmark", "agent"):
        said = training.transferred(examples, by).success
        gold = np.array([example.success for example in examples])
        assert said[gold].mean() > said[~gold].mean() + 0.3


def test_too_few_runs_are_refused(examples: list[Example]) -> None:
    with pytest.raises(DataError, match="too few"):
        training.fit(examples[:6])
