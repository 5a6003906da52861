"""WebRewardBench: rows, ranks and the three settings, by hand on rows of our own."""

import json
import os
from pathlib import Path

import pytest

from agentjudge.benchmarks.statistics import Unit
from agentjudge.benchmarks.web_reward_bench import (
    Scores,
    _scores,
    load,
    mrr,
    step_accuracy,
    trajectory_accuracy,
)
from agentjudge.benchmarks.web_reward_rows import ChecklistItem, checklist_items, read_steps
from agentjudge.case import ActionChoice
from agentjudge.errors import DataError, ModelError
from agentjudge.graphs.web_arbiter import PRINCIPLES
from agentjudge.models.profiles import GENERIC
from agentjudge.runs.policies import Outcome
from agentjudge.trace import Turn
from agentjudge.verdict import Provenance, Verdict

CHECKLIST = "Checklist 1: Find pears\n- Goal: Reach the page.\n\nChecklist 2: Buy them\n- Goal: Pay."
FILE = "web/WebRewardBench/web_reward_bench.jsonl"


def reward_row(**fields):
    past = {"thought_history": ["Look."], "action_history": ["scroll(0, 500)"]}
    chosen = [{"thought": "Buy.", "action": "click('1')"}]
    rejected = [{"thought": "Wait.", "action": "noop()"}, {"thought": "", "action": "go_back()"}]
    row = {"task_id": 3, "step_id": 1, "intent": "Buy pears.", "start_url": "http://shop", "current_url": "http://p"}
    row |= {"text_observation": "[1] button 'Buy'", "gt_checklist": CHECKLIST, "source_name": "webarena"}
    return row | past | {"chosen": chosen, "rejected": rejected} | fields


def step(right, wrongs, *, source="webarena", task=1, number=1):
    """A step whose actions say their scores, of ten."""
    rejected = [{"thought": "", "action": f"click {score}"} for score in wrongs]
    chosen = [{"thought": "", "action": f"click {right}"}]
    return reward_row(source_name=source, task_id=task, step_id=number, chosen=chosen, rejected=rejected)


class ByNumber:
    """Scores an action by the number at its end, of ten; at `?` there is an outage."""

    name = "by-number"
    profile = GENERIC

    def __init__(self):
        self.seen: list[ActionChoice] = []

    async def act(self, request):
        case = request.case
        assert isinstance(case, ActionChoice) and len(case.candidates) == 1
        self.seen.append(case)
        word = case.candidates[0].split()[-1]
        if word == "?":
            raise ModelError("the server is gone")
        score = {"score": int(word) / 10}
        criteria = [{"name": name, "weight": 0.2, "reason": "Read.", **score} for name in PRINCIPLES]
        said = {"state": "A shop.", "criteria": criteria, "evidence": [], "reason": "Read.", **score}
        return Turn({"role": "assistant", "content": json.dumps(said | {"confidence": None})})

    async def aclose(self):
        """Nothing to release."""


def run(bench, *sets, **options):
    model = ByNumber()
    return bench.run(
        "web_reward_bench", **{"model": model, "sets": sets or None, "judge": "web-arbiter"} | options
    ), model


@pytest.fixture
def files(bench):
    rows = [
        step(9, [1, 2], source="mind2web_task"),  # won
        step(5, [5, 1], source="mind2web_task", number=2),  # a tie is lost
        step(9, [1, 2], source="mind2web_task", task=2),  # won, and its task with it
        step(3, [9, 8, 1]),  # third
        step(9, ["?", 1], task=2),  # lacks a score
        step(9, [1], task=2, number=2),
    ]
    bench.write(FILE, rows)
    return bench


def test_the_three_numbers_by_hand(files):
    report, _ = run(files, "generated")
    (found,) = report.sets
    means = {name: each.over_all for name, each in found.metrics.items()}
    assert means["MRR"] == pytest.approx((1 + 1 / 2 + 1 + 1 / 3 + 0 + 1) / 6)
    assert means["step accuracy"] == pytest.approx(3 / 6)
    assert means["trajectory accuracy"] == pytest.approx(1 / 4)  # a task's number is that of its source
    assert means["MRR, mind2web_task"] == pytest.approx(2.5 / 3)
    assert means["trajectory accuracy, mind2web_task"] == pytest.approx(1 / 2)
    assert means["step accuracy, webarena"] == pytest.approx(1 / 3) and means["trajectory accuracy, webarena"] == 0
    assert not any(name.endswith(("website", "domain")) for name in means)
    assert (found.n, found.units, found.clusters, found.failed) == (6, 6, 4, 1)
    assert found.judgements == 3 * 4 + 4 + 2 and report.headlines[0].metric == "MRR"


def test_floors_score_one_action_each(files):
    floors = run(files, "generated")[0].sets[0].metrics["MRR"].floors
    assert list(floors) == ["by lot", "longest", "shortest", "all alike"]
    assert floors["all alike"] == pytest.approx((1 / 3 + 1 / 3 + 1 / 3 + 1 / 4 + 1 / 3 + 1 / 2) / 6)
    assert run(files, "generated")[0].sets[0].metrics["step accuracy"].floors["all alike"] == 0
    assert floors["by lot"] == run(files, "generated")[0].sets[0].metrics["MRR"].floors["by lot"]


def test_settings_differ_in_what_the_case_brings_and_in_who_judges(files):
    report, model = run(files)
    assert [each.name for each in report.sets] == ["no checklist", "generated", "ground truth"]
    brought = [case.checklist for case in model.seen]
    given = ("Find pears: Reach the page.", "Buy them: Pay.")
    assert {len(each) for each in brought} == {0, 2} and brought.count(given) == 18
    assert all(case.gold is None and case.goal == "Buy pears." and case.observation for case in model.seen)
    sets = {name: load(files.folder, name) for name in ("no checklist", "generated", "ground truth")}
    assert {name: each.judge for name, each in sets.items()} == {
        "no checklist": "web-arbiter", "generated": "checklist", "ground truth": "checklist",
    }  # fmt: skip


def test_a_set_names_its_own_judge_where_nobody_is_named(files):
    report, _ = run(files, "no checklist", judge="")
    assert report.judge == "checklist" and report.sets[0].note == "judged by web-arbiter"
    assert report.sets[0].metrics["MRR"].over_all == pytest.approx(23 / 36)


class ByChecklist(ByNumber):
    """Writes another checklist each time it is asked for one; then every subgoal is done to `score` of ten."""

    def __init__(self):
        super().__init__()
        self.plans = 0

    async def act(self, request):
        case = request.case
        assert isinstance(case, ActionChoice)
        if request.phase == "plan":
            self.plans += 1
            return Turn(
                {"role": "assistant", "content": json.dumps({"analysis": "", "items": [f"Plan {self.plans}."]})}
            )
        self.seen.append(case)
        done = int(case.candidates[0].split()[-1])
        label = "Yes" if done > 6 else "In Progress" if done > 3 else "No"
        items = [{"reason": "Read.", "label": label}] * max(1, len(case.checklist))
        return Turn({"role": "assistant", "content": json.dumps({"summary": "", "items": items})})


def test_the_checklist_judge_holds_all_actions_of_a_step_against_one_checklist(bench):
    bench.write(FILE, [step(9, [5, 1]), step(5, [9, 1], number=2)])
    model = ByChecklist()
    report = bench.run("web_reward_bench", model=model, sets=["generated"])
    (found,) = report.sets
    assert report.judge == "checklist" and not found.note and found.judgements == 6
    assert found.metrics["MRR"].over_all == pytest.approx((1 + 1 / 2) / 2) and found.failed == 0
    assert model.plans == 2  # one a step
    brought = [case.checklist for case in model.seen]
    assert sorted(brought) == [(), (), ("Plan 1.",), ("Plan 1.",), ("Plan 2.",), ("Plan 2.",)]
    model = ByChecklist()
    bench.run("web_reward_bench", model=model, sets=["ground truth"])
    assert model.plans == 0 and {len(case.checklist) for case in model.seen} == {2}


def test_the_limit_draws_whole_tasks(files):
    (found,) = run(files, "generated", limit=1, seed=1)[0].sets
    assert found.clusters == 1 and found.n in (1, 2)


@pytest.mark.parametrize(
    ("right", "wrong", "rank", "won"),
    [
        (0.9, [0.1, 0.2, 0.3], 1, True),
        (0.9, [0.9, 0.2], 1 / 2, False),  # a tie stands before it
        (0.5, [0.9, 0.5, 0.5, 0.1], 1 / 4, False),
        (-1.0, [0.0, 1.0], 1 / 3, False),
        (None, [0.1], 0, False),
        (0.9, [0.1, None], 0, False),
    ],
)
def test_ties_are_penalised_and_a_step_without_a_score_is_lost(right, wrong, rank, won):
    scores = Scores(right, wrong)
    assert scores.rank == pytest.approx(rank) and scores.won is won


def test_tasks_count_alike_however_many_steps_they_have():
    long = [Unit("a", Scores(0.9, [0.1], task=True, steps=4), True, "1")] * 4
    short = [Unit("a", Scores(0.1, [0.9], task=False, steps=1), True, "2")]
    assert trajectory_accuracy([*long, *short]) == pytest.approx(1 / 2)
    assert step_accuracy([*long, *short]) == pytest.approx(4 / 5) and mrr([]) is None


def test_scores_of_a_policy_without_points_are_its_preference():
    case = ActionChoice(id="x", goal="Buy.", candidates=("a", "b"))
    made = {"case_id": "x", "provenance": Provenance(judge="j")}
    for preference, won in ((-2, True), (1, False), (0, False)):
        verdict = Verdict(status="scored", preference=preference, **made)
        assert _scores(case, Outcome(verdict, ())).won is won
    assert _scores(case, Outcome(Verdict(status="abstained", **made), ())) == Scores(None, [None])


def test_rows_of_web_reward_bench(bench):
    path = bench.write("web_reward_bench.jsonl.gz", [reward_row(), reward_row(step_id=2, image_list=["x"])])
    first, second = read_steps(path)
    case = first.case
    assert (case.id, case.goal, case.url, second.case.id) == ("webarena-3-1", "Buy pears.", "http://p", "webarena-3-2")
    assert case.candidates == ("click('1')", "noop()", "go_back()") and case.thoughts == ("Buy.", "Wait.", "")
    assert [(step.thought, step.action) for step in case.history] == [("Look.", "scroll(0, 500)")]
    assert case.gold.ranking == (0, 1, 2) and (first.source, first.task) == ("webarena", "3")
    items = checklist_items(first.checklist)
    assert items == (ChecklistItem("Find pears", "Reach the page."), ChecklistItem("Buy them", "Pay."))
    assert len(load(bench.folder, "ground truth").items) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"intent": " "}, ":2: intent"),
        ({"rejected": []}, ":2: rejected"),
        ({"chosen": [{"thought": "x", "action": ""}]}, ":2: chosen.0.action"),
        ({"chosen": reward_row()["rejected"]}, ":2: chosen: 2 right actions, not one"),
        ({"thought_history": []}, ":2: thought_history has 0 entries, action_history 1"),
    ],
)
def test_a_malformed_row_of_web_reward_bench_is_named(bench, change, says):
    path = bench.write("rows.jsonl", [reward_row(), reward_row(**change)])
    with pytest.raises(DataError, match=f"{path}{says}"):
        list(read_steps(path))


def test_what_is_absent_is_named(bench):
    bench.folder.mkdir()
    said = bench.refused("web_reward_bench")
    assert "get the files from huggingface.co/datasets/LangAGI-Lab/WebRewardBench" in said
    bench.write(FILE, [reward_row(gt_checklist="")])
    assert "step webarena-3-1: a checklist begins with" in bench.refused("web_reward_bench", sets=["ground truth"])


@pytest.mark.parametrize(
    "text", ["", "Find pears.", "Intro. Checklist 1: a\n- Goal: b", "Checklist 1: a", CHECKLIST + "\nChecklist 3:"]
)
def test_what_is_no_checklist_is_refused(text):
    with pytest.raises(DataError):
        checklist_items(text)


def test_pairs_of_webprm_collection_are_read_without_loss():
    root = os.environ.get("AGENTJUDGE_DATA")
    path = Path(root or "", "web/records/webprm_pref_goback_10.jsonl")
    if not root or not path.is_file():
        pytest.skip("real pairs are needed: set AGENTJUDGE_DATA to the folder that holds web/records")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    read = list(read_steps(path))
    assert len(read) == len(rows) == 10
    for row, step in zip(rows, read, strict=True):
        assert step.case.goal == row["intent"] and step.case.observation == row["text_observation"]
        assert [each.action for each in step.case.history] == row["action_history"]
        assert [each.thought for each in step.case.history] == row["thought_history"]
        assert step.case.candidates == (row["chosen"]["action"], row["rejected"]["action"])
        assert step.case.thoughts == (row["chosen"]["thought"], row["rejected"]["thought"])
        verdicts = row["checklist_target_list"].count("'") // 2
        assert len(checklist_items(step.checklist)) == verdicts
