"""Features of runs, the learned outcome, and the facts of pages: what they depend on, and what they must not."""

import json
from pathlib import Path

import numpy as np
import pytest

from agentjudge.case import Gold, Step, Trajectory
from agentjudge.errors import ConfigError, DataError
from agentjudge.models.embedded.trajectory_features import Featurer, read_goal
from agentjudge.models.embedded.trajectory_outcome import GROUPS, OutcomeModel, logit, sigmoid
from agentjudge.models.embedded.trajectory_pages import read_pages
from agentjudge.models.embedded.trajectory_signs import read_signs
from agentjudge.models.embedded.verifier import WEIGHTS, Verifier

TOTAL = (
    "RootWebArea 'Order 77'\n\t[3] textbox 'Order'\n\t[4] StaticText 'Order total: $48.10'\n"
    "\t[5] StaticText 'Shipped to Oslo'"
)


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier.load()


@pytest.fixture(scope="module")
def model() -> OutcomeModel:
    return OutcomeModel.load()


def shop(
    *, repeats: int = 0, answer: str | None = None, thought: str = "Open the order.", page: str = ""
) -> Trajectory:
    steps = [Step(action="fill('3', 'order 77')", thought=thought, observation=page)]
    steps += [Step(action="click('4')", thought=thought, observation=page) for _ in range(1 + repeats)]
    return Trajectory(id="r", goal="What is the total of order 77?", steps=tuple(steps), final_answer=answer)


def features(run: Trajectory, verifier: Verifier) -> dict[str, float]:
    return Featurer(verifier).features(run, read_signs(run))


def test_neither_gold_nor_metadata_nor_the_id_is_read(verifier: Verifier) -> None:
    run = shop(answer="It is $48.10.")
    told = run.model_copy(
        update={
            "id": "other",
            "gold": Gold(label="failure"),
            "metadata": {"reward": 1.0, "agent": "a", "benchmark": "b"},
        }
    )
    assert features(run, verifier) == features(told, verifier)


def test_the_features_are_those_of_the_weights_and_each_has_a_group(verifier: Verifier, model: OutcomeModel) -> None:
    assert set(features(shop(), verifier)) == set(model.names)
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(model.names)


def test_a_goal_is_read_for_values_and_for_whether_it_asks() -> None:
    goal = read_goal('Create a problem "Mail is down" with impact 3 for Marta Lindqvist')
    assert not goal.asks and set(goal.values) >= {"mail is down", "3", "marta lindqvist"}
    assert read_goal("Tell me the price").asks and read_goal("Buy tea, then which is left?").asks


def test_repeats_and_refusals_lower_the_chance_of_success(verifier: Verifier, model: OutcomeModel) -> None:
    chances = [model.success(features(shop(repeats=n, answer="It is $48.10."), verifier)) for n in (0, 4, 25)]
    assert chances[0] > chances[1] > chances[2]
    refused = model.success(features(shop(answer="I could not find the order."), verifier))
    assert refused < chances[0]


def test_the_chance_never_rises_with_what_is_plainly_bad(model: OutcomeModel) -> None:
    rng = np.random.default_rng(0)
    rows = rng.uniform(0, 3, (200, len(model.names)))
    for name in ("steps", "repeats", "refused", "blocked", "asked_back", "cycled"):
        more = rows.copy()
        more[:, model.names.index(name)] += rng.uniform(0, 3, 200)
        assert (model.logits(more) <= model.logits(rows) + 1e-9).all(), name


def test_what_moved_the_chance_is_told_by_groups_the_most_first(verifier: Verifier, model: OutcomeModel) -> None:
    moved = model.moved_by(features(shop(repeats=25), verifier))
    assert {group for group, _ in moved} == set(GROUPS)
    sizes = [abs(by) for _, by in moved]
    assert sizes == sorted(sizes, reverse=True)
    assert dict(moved)["repeats"] < 0 and dict(moved)["length"] < 0


def test_looping_and_optimality_are_chances(verifier: Verifier, model: OutcomeModel) -> None:
    once, often = features(shop(), verifier), features(shop(repeats=25), verifier)
    assert model.looping(once) < 0.5 < model.looping(often)
    assert sum(model.optimality(once).values()) == pytest.approx(1)


def test_a_vanishing_chance_stays_a_number() -> None:
    assert sigmoid(-1e6) == 0.0 and sigmoid(1e6) == 1.0
    assert sigmoid(logit(0.3)) == pytest.approx(0.3) and logit(0.0) < -9


def test_an_answer_that_the_pages_contradict_moves_the_chance_down_and_one_they_bear_out_up(verifier: Verifier) -> None:
    shifts = {}
    for total in ("$48.10", "$99.00"):
        run = shop(answer=f"The order total is {total}.", page=TOTAL)
        shifts[total] = read_pages(run, read_signs(run), verifier)
    assert shifts["$48.10"].shift > 0 > shifts["$99.00"].shift
    assert shifts["$99.00"].ungrounded == ("99.00",) and not shifts["$48.10"].ungrounded
    assert shifts["$48.10"].passages[0].id == "step 1:2", "equal lines count once, as those of the last page"


def test_a_number_inside_of_a_longer_one_bears_nothing_out(verifier: Verifier) -> None:
    run = shop(answer="There are 48 of them.", page="[1] StaticText 'item 14800'")
    assert read_pages(run, read_signs(run), verifier).ungrounded == ("48",)


def test_missing_elements_and_errors_move_the_chance_down(verifier: Verifier) -> None:
    steps = (Step(action="click('4')", observation=TOTAL), Step(action="click('99')", observation=TOTAL, error="gone"))
    facts = read_pages(run := Trajectory(id="r", goal="g", steps=steps), read_signs(run), verifier)
    assert facts.moved == {"missing": -0.5, "failed": -0.5, "failed at the end": -1.0}


def test_without_pages_and_errors_nothing_is_moved(verifier: Verifier) -> None:
    run = shop(answer="It is $48.10.")
    assert read_pages(run, read_signs(run), verifier).moved == {}


def test_rows_read_off_a_picture_are_found_and_move_nothing(verifier: Verifier) -> None:
    run = shop(answer="The order total is $99.00.")
    facts = read_pages(run, read_signs(run), verifier, [("observation_1@0,0,9,9", "Order total: $48.10")])
    assert facts.passages[0].id == "observation_1@0,0,9,9" and facts.seen
    assert facts.ungrounded == ("99.00",) and facts.moved == {}


def test_weights_of_another_form_and_features_of_another_version_are_refused(
    tmp_path: Path, verifier: Verifier, model: OutcomeModel
) -> None:
    with pytest.raises(ConfigError, match="train_trajectory"):
        OutcomeModel({"features": ["steps"]})
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(DataError, match="broken.json"):
        OutcomeModel.load(tmp_path / "broken.json")
    some = features(shop(), verifier)
    del some["steps"]
    with pytest.raises(ConfigError, match="'steps'"):
        model.success(some)


def test_the_card_names_its_data_and_beats_the_floors_it_names() -> None:
    card = json.loads((WEIGHTS / "trajectory_card.json").read_text())
    judges = card["runs"]["judges"]
    assert card["licences"] and judges["embedded"]["AUROC"][1] > judges["fewest steps"]["AUROC"][0]
    assert judges["embedded"]["precision at recall 50%"][1] > judges["fewest steps"]["precision at recall 50%"][0]


def test_of_an_answer_in_json_the_data_count(verifier: Verifier) -> None:
    answer = json.dumps({"task_type": "RETRIEVE", "status": "SUCCESS", "retrieved_data": [{"total": "99.00"}]})
    run = shop(answer=answer, page=TOTAL)
    assert read_pages(run, read_signs(run), verifier).ungrounded == ("99.00",)
    empty = shop(answer=answer.replace('[{"total": "99.00"}]', "null"), page=TOTAL)
    assert "ungrounded" not in read_pages(empty, read_signs(empty), verifier).moved


def test_where_no_action_is_recorded_the_steps_are_counted(verifier: Verifier) -> None:
    run = Trajectory(id="r", goal="Buy tea.", steps=tuple(Step(observation=f"page {n}") for n in range(6)))
    assert read_signs(run).length == 5 and features(run, verifier)["steps"] == pytest.approx(np.log1p(5))
