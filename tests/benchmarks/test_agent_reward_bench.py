"""AgentRewardBench: runs with people's labels, by hand on rows of our own; what judges of others reach on real ones."""

import csv
import json
import os
from pathlib import Path

import pytest
from run_judges import ByLastThought

from agentjudge.benchmarks.agent_reward_bench import load_actions, people_agree, people_kappa, twice, word
from agentjudge.benchmarks.harness import Options
from agentjudge.benchmarks.recorded import agent_reward_bench_people
from agentjudge.benchmarks.recorded_table import beside
from agentjudge.benchmarks.recorded_web import Annotation
from agentjudge.errors import DataError
from agentjudge.registry import lookup

CASES = "web/agentrewardbench_webjudge/cases.jsonl.gz"
YES, NO, UNSURE = "Successful", "Unsuccessful", "Unsure"
WORDS = ("Complete Failure", "Suboptimal", "Somewhat Optimal", "Completely Optimal")
RANKS = {n: f"{n}. {words}" for n, words in enumerate(WORDS, 1)}


def row(task, thought, success, *, benchmark="webarena", agent="A", side="No", rank=2, loop="No", **more):
    """A record of a run of two steps; several labels of success are those of several people."""
    people = [success] if isinstance(success, str) else success
    history = f"1. click('3'). Reasoning: Go.\n2. scroll(0, 9). Reasoning: {thought}"
    said = {"human_success": people, "human_side_effect": [side] * len(people), "human_looping": [loop] * len(people)}
    said |= {"human_optimality": [RANKS[rank]] * len(people), "cum_reward": 0.0, "image_files": []}
    return {
        "id": f"{benchmark}|{task}|{agent}", "benchmark": benchmark, "task_id": task, "agent": agent, "goal": "Buy.",
        "action_history": history, "webjudge": {}, **said, **more,
    }  # fmt: skip


def splits(folder: Path, name: str = "web/records/agentrewardbench_splits.csv", **places: tuple[str, str]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task_id", "benchmark", "split"])
        writer.writerows([task, *place] for task, place in places.items())


@pytest.fixture
def runs(bench):
    """Seven runs of six tasks, one of them with an unsure label."""
    bench.write(
        CASES,
        [
            row("w1", "success 0.9 no no completely optimal", YES, rank=4, cum_reward=1.0),
            row("w1", "failure 0.8 no yes complete failure", NO, agent="B", rank=1, loop="Yes", cum_reward=0.4),
            row("w2", "success 0.7 no no suboptimal", [NO, YES], cum_reward=0.6),
            row("w3", "? ", YES, benchmark="workarena"),
            row("w4.l2", "null", YES, benchmark="workarena"),
            row("w5.resized.7", "impossible 0.6 no no suboptimal", [NO, NO], benchmark="visualwebarena", side="Yes"),
            row("w6", "success", UNSURE),
        ],
    )
    places = {"w1": "webarena", "w2": "webarena", "w3": "workarena_l1", "w4.l2": "workarena_l2"}
    places |= {"w5.7": "visualwebarena", "w6": "webarena"}
    splits(bench.folder, **{task: (name, "test") for task, name in places.items()})
    return bench


def measured(bench, *sets, **options):
    model = ByLastThought()
    report = lookup("benchmark", "agent_reward_bench").target().run(
        Options(data=bench.folder, model=model, sets=sets or None, **options)
    )  # fmt: skip
    return report, model


def test_success_by_hand_with_what_was_not_decided_counted_as_not_found(runs):
    report, model = measured(runs)
    (found,) = report.sets
    means = {name: each.over_all for name, each in found.metrics.items()}
    # gold: yes no no yes yes no; said: yes no yes failed abstained no
    assert (means["precision"], means["recall"], means["F1"]) == pytest.approx((1 / 2, 1 / 3, 2 / 5))
    assert (means["recall, official"], means["F1, official"]) == pytest.approx((1, 2 / 3))
    assert (means["accuracy"], means["accuracy, official"]) == pytest.approx((3 / 6, 3 / 4))
    assert means["specificity"] == pytest.approx(2 / 3)
    assert means["balanced accuracy"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert means["AUROC"] == 1
    assert "precision at recall 50%" not in means  # only a third of the successes has a probability
    assert means["success rate less people's"] == pytest.approx(2 / 6 - 3 / 6)
    assert (found.n, found.scored, found.abstained, found.failed) == (6, 4, 1, 1)
    assert found.clusters == 5  # both runs of w1 are of one task
    assert all(case.gold is None and not case.metadata for case in model.seen)
    assert report.headlines[0].metric == "precision"


def test_numbers_by_column_and_of_the_runs_on_which_people_agree(runs):
    (found,) = measured(runs)[0].sets
    means = {name: each.over_all for name, each in found.metrics.items()}
    assert (means["precision, WA"], means["recall, WA"]) == (0.5, 1)
    assert (means["recall, Work"], means["recall, Work++"]) == (0, 0)
    assert "precision, Work" not in means and "precision, AB" not in means and "recall, VWA" not in means
    assert means["precision, unanimous"] == 1 and found.metrics["precision, unanimous"].n == 5
    assert (means["accuracy, labelled twice"], means["people agree, labelled twice"]) == (0.5, 0.5)
    assert found.metrics["people agree, labelled twice"].n == 2
    assert "2 labelled by two people; 1 without a sure label left out" in found.note
    assert "screenshots of 0 of the 6 runs" in found.note


def test_side_effects_loops_and_optimality_by_hand(runs):
    (found,) = measured(runs)[0].sets
    means = {name: each.over_all for name, each in found.metrics.items()}
    # the two that are not decided say nothing; the last of the others misses a side effect
    assert (means["side effect"], means["side effect, F1"]) == pytest.approx((3 / 6, 0))
    assert (means["looping"], means["looping, F1"]) == pytest.approx((4 / 6, 1))
    assert means["optimality"] == pytest.approx(4 / 6)
    floors = found.metrics["looping"].floors
    assert floors == pytest.approx({"always failure": 1 / 6, "always success": 5 / 6})
    assert found.metrics["optimality"].floors == pytest.approx({"always failure": 1 / 6, "always success": 1 / 6})


def test_floors_stand_beside_the_judge(runs):
    (found,) = measured(runs)[0].sets
    accuracy = found.metrics["accuracy"].floors
    assert accuracy["always failure"] == accuracy["always success"] == 0.5
    assert accuracy["reward > 0.5"] == pytest.approx(3 / 6)  # w1 and one failure are right, w2 is rewarded
    assert found.metrics["precision"].floors["reward > 0.5"] == 0.5
    assert "always failure" not in found.metrics["precision"].floors  # it calls nothing a success
    assert found.metrics["AUROC"].floors["guessing"] == 0.5
    assert found.metrics["calibration error"].lower_is_better
    assert not found.metrics["people agree, labelled twice"].floors


def test_official_files_are_read_by_split_and_only_where_people_labelled_them(bench):
    def run(task, thought, *, valid=True):
        step = {"action": "send_msg_to_user('It is done.')", "reasoning": thought, "axtree": "[1] button 'x'"}
        body = {"benchmark": "webarena", "agent": "A", "goal": "Buy.", "valid": valid, "steps": [step]}
        name = f"agent-reward-bench/trajectories/cleaned/webarena/A/exp/{task}.json"
        bench.write(name, [body | {"summary_info": {"cum_reward": 1.0}}])

    for task, thought in (("w.1", "success"), ("w.2", "failure"), ("w.3", "success"), ("w.9", "success")):
        run(task, thought)
    run("w.4", "success", valid=False)
    data = bench.folder / "agent-reward-bench/agent_reward_bench/data"
    splits(data, "splits.csv", **{f"w.{n}": ("webarena", "dev" if n == 3 else "test") for n in range(1, 5)})
    path = data / "annotations.csv"
    lines = [f"A,webarena,w.{n},A,e,{YES if n == 1 else NO},No,{RANKS[2]},No" for n in (1, 2, 3, 4)]
    path.write_text("annotator_name,benchmark,task_id,model_name,exp_name,trajectory_success,trajectory_side_effect,"
                    "trajectory_optimality,trajectory_looping\n" + "\n".join(lines))  # fmt: skip
    report, model = measured(bench)
    test, dev = report.sets
    assert (test.name, test.n, dev.name, dev.n) == ("test", 2, "dev", 1)
    assert test.metrics["accuracy"].over_all == 1 and dev.metrics["accuracy"].over_all == 0
    assert test.metrics["accuracy"].floors["self-report"] == 0.5  # both answered
    assert report.skipped["actions"].startswith("needs the records of the runs: no cases.jsonl in ")
    assert model.seen[0].steps[0].observation == "[1] button 'x'" and model.seen[0].final_answer == "It is done."


def test_what_is_absent_or_malformed_is_named(bench, runs):
    assert measured(runs)[0].skipped["test"].startswith("needs the pages of the runs: no trajectories/cleaned in ")
    bench.write(CASES, [row("w1", "success", "Perhaps")])
    with pytest.raises(DataError, match="human_success 'Perhaps' is none of Successful, Unsuccessful, Unsure"):
        measured(bench)
    bench.write(CASES, [row("w1", "success", YES, human_looping=[])])
    with pytest.raises(DataError, match="human_looping must be lists of one length"):
        measured(bench)
    bench.write(CASES, [row("w77", "success", YES)])
    with pytest.raises(DataError, match="no task 'w77'"):
        measured(bench)


def test_words_of_people():
    said = Annotation(YES, "Unsure", RANKS[3], "Yes")
    assert [word(said, name) for name in ("side effect", "optimality", "looping", "success")] == [
        None, "somewhat optimal", "yes", "successful",
    ]  # fmt: skip
    assert word(Annotation(YES, "", "", ""), "looping") is None


@pytest.fixture(scope="module")
def real() -> Path:
    root = os.environ.get("AGENTJUDGE_DATA")
    if not root or not Path(root, "web/agentrewardbench_webjudge").is_dir():
        pytest.skip("recorded runs are needed: set AGENTJUDGE_DATA to the folder that holds web/")
    return Path(root)


def test_real_runs_have_the_columns_of_the_official_rule_and_people_who_differ(real):
    found = load_actions(real)
    assert len(found.items) == 667 and "screenshots of 66 of the 667 runs" in found.note
    for item in found.items:
        task, name = item.case.metadata["task_id"], item.case.metadata["benchmark"]
        column = {"assistantbench": "AB", "visualwebarena": "VWA", "webarena": "WA"}.get(name)
        assert item.group == (column or ("Work++" if "l2" in task.lower() else "Work"))
    benchmark = lookup("benchmark", "agent_reward_bench").target()
    floors = {judge.name: judge for judge in benchmark.floors([item.case for item in found.items])}
    made = [floors["reward > 0.5"].judge(item.case) for item in found.items]
    assert all(verdict.status == "scored" for verdict in made)
    doubles = sum(len(item.case.metadata["annotations"]) > 1 for item in found.items)
    assert doubles == 49


def test_the_human_ceiling_of_all_runs_is_what_is_known_of_it(real):
    """Our count on the units of a set is that of `recorded`, which is held against the annotations themselves."""
    from agentjudge.benchmarks.agent_reward_bench import Mark
    from agentjudge.benchmarks.recorded_web import annotations
    from agentjudge.benchmarks.statistics import Unit

    units = [Unit("", Mark(True, None, None, said, {}), False, "") for said in annotations(real).values()]
    units = list(filter(twice, units))
    known = agent_reward_bench_people(real)
    assert len(units) == 106
    for name in ("success", "side effect", "looping", "optimality"):
        assert people_agree(name)(units) == pytest.approx(known[name.replace(" ", "_")].share.mean)
    assert people_kappa(units) == pytest.approx(known["success"].kappa)
    assert round(people_agree("success")(units), 3) == 0.886 and round(people_kappa(units), 3) == 0.755


def test_recorded_and_published_judges_stand_beside_ours(real):
    rows = {(each.judge, each.rows): each for each in beside(real)}
    agreed = {judge: each for (judge, on), each in rows.items() if on == "recorded, unanimous"}
    unanimous = {judge: round(each.numbers["accuracy"], 3) for judge, each in agreed.items()}
    assert unanimous == {"rule": 0.872, "webjudge_7B": 0.856, "webjudge_o4_mini": 0.837, "webjudge_gpt4o": 0.967}
    assert rows["webjudge_gpt4o", "recorded, unanimous"].n == 92
    published = [each for (_, on), each in rows.items() if on == "published, test"]
    assert len(published) == 13 and all(each.n == 1106 for each in published)
    best = rows["GPT-4o (A)", "published, test"].numbers
    assert (best["precision"], best["recall"], best["F1"]) == pytest.approx((0.698, 0.831, 0.759))
    assert rows["Rule-based", "published, test"].numbers["precision, AB"] == 0.25
    assert rows["webjudge_7B", "recorded, set actions"].n == 647
    assert rows["rule", "recorded, test"].n == 805


def test_a_report_with_other_judges_is_read_back_and_shown(runs, capsys):
    from agentjudge.console import out

    path = runs.folder / "web/records/agentrewardbench_leaderboard.csv"
    path.write_text("Judge,Overall,Recall,F1,AB,VWA,WA,Work,Work++\nMine,50.0,25.0,33.3,,1.0,2.0,3.0,4.0\n")
    notes = runs.folder / "web/records/agentrewardbench_annotations.csv"
    notes.write_text(f"benchmark,task_id,model_name,trajectory_success\nwebarena,w1,A,{YES}\n")
    report, _ = measured(runs)
    assert report.recorded[0].numbers["precision, AB"] is None and report.recorded[0].n == 1
    found = json.loads(json.dumps(report.to_json()))
    assert lookup("benchmark", "agent_reward_bench").target().read(found) == report
    report.render(out())
    shown = capsys.readouterr().out
    assert "as recorded" in shown and "Mine" in shown and "33.3" in shown
    assert [row["precision, Work++"] for row in report.others] == ["4.0"]
