"""Online-Mind2Web: agreement with people by hand on runs of our own in the official layouts, and on the real labels."""

import json
import os
from pathlib import Path

import pytest
from run_judges import ByLastThought

from agentjudge.benchmarks.harness import Options
from agentjudge.benchmarks.online_mind2web import AGENTS, agreement_of, labels_file, read_labels, read_predictions
from agentjudge.errors import DataError
from agentjudge.registry import lookup

LABELS = "data/evaluation_results/online_mind2web_evaluation_results/human_label.json"


def labels(**operator: str) -> list[dict]:
    """A row a task: what people say of Operator's run; the others' all failed."""
    others = {f"{agent}_human_label": "0" for agent in AGENTS}
    return [
        {"task_id": task, "confirmed_task": "Buy.", **others, "Operator_human_label": label}
        for task, label in operator.items()
    ]


@pytest.fixture
def runs(bench):
    """Six runs of Operator in both layouts, one without a label; and one labelled run that is not there."""
    bench.write(LABELS, labels(a="1", b="1", c="0", d="2", e="0", gone="0"))
    said = {"a": "success 0.9", "b": "failure 0.6", "c": "success 0.7", "d": "blocked 0.8", "e": "?", "z": "success"}
    for task, thought in said.items():
        step = {"step": 0, "action": "page -> NAVIGATE -> http://x", "thought": thought, "screenshot": None}
        new = {"schema_version": "online-mind2web-v2", "task": "Buy.", "task_id": task, "action_history": [step]}
        old = {"task": "Buy.", "task_id": task, "action_history": ["<a> x -> CLICK"], "thoughts": [thought]}
        body = new if task in "ab" else old
        path = bench.folder / f"web/online_mind2web/Operator/{task}/result.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(body | {"agent_final_answer": "Done.", "final_result_response": "Done."}))
    return bench


def measured(bench, **options):
    benchmark = lookup("benchmark", "online_mind2web").target()
    return benchmark.run(Options(data=bench.folder, model=ByLastThought(), **options))


def test_agreement_by_hand_where_not_executable_is_a_failure(runs):
    report = measured(runs)
    (found,) = report.sets
    means = {name: each.over_all for name, each in found.metrics.items()}
    # gold: yes yes no (not executable) no; said: yes no yes blocked failed
    assert means["agreement"] == pytest.approx(2 / 5) and means["agreement, executable"] == pytest.approx(1 / 4)
    assert means["agreement, not executable"] == 1
    assert means["balanced accuracy"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert means["balanced accuracy, executable"] == pytest.approx((1 / 2 + 0) / 2)
    assert means["gap of success rates"] == means["success rate less people's"] == 0
    assert found.metrics["gap of success rates"].floors["always failure"] == pytest.approx(2 / 5)
    assert found.metrics["agreement"].floors["always failure"] == pytest.approx(3 / 5)
    assert found.metrics["kappa"].floors["always failure"] == 0
    assert not found.metrics["success rate less people's"].floors
    assert (found.name, found.n, found.failed) == ("Operator", 5, 1)
    assert found.note == "1 labelled runs are not there; 1 runs without a label left out"


def test_agents_without_runs_are_left_out_with_the_reason(runs):
    skipped = measured(runs).skipped
    assert list(skipped) == ["SeeAct", "Agent-E", "Browser_Use", "Claude_Computer_Use_3.5", "Claude_Computer_Use_3.7"]
    assert skipped["SeeAct"].startswith("needs its 6 runs, as TASK/result.json in ")
    with pytest.raises(DataError, match="Agent-E needs its 6 runs"):
        measured(runs, sets=["Agent-E"])


def test_what_judges_of_others_said_stands_beside_ours(runs):
    said = {"a": 1, "b": 1, "c": 1, "d": 1, "z": 1}
    lines = [{"task_id": task, "predicted_label": label, "task": "Buy."} for task, label in said.items()]
    path = runs.folder / LABELS.replace("human_label.json", "webjudge_o4-mini/operator_results.json")
    path.parent.mkdir()
    path.write_text("\n".join(map(json.dumps, lines)))
    (row,) = measured(runs).recorded
    assert (row.judge, row.rows, row.n) == ("webjudge_o4-mini", "Operator", 4)
    assert row.numbers["agreement"] == pytest.approx(2 / 4) and row.numbers["success rate less people's"] == 0.5
    path.write_text(json.dumps({"task_id": "a", "final_eval": 0}))
    assert measured(runs).recorded[0].numbers["agreement"] == 0
    for line, says in (
        ({"task_id": "a"}, "predicted_label"),
        ({"task_id": "a", "predicted_label": 2}, "predicted_label 2 is neither 0 nor 1"),
    ):
        path.write_text(json.dumps(line))
        with pytest.raises(DataError, match=f"operator_results.json:1: {says}"):
            read_predictions(path)
    path.write_text("\n".join([json.dumps(lines[0])] * 2))
    with pytest.raises(DataError, match="json:2: a second prediction of task 'a'"):
        read_predictions(path)


def test_agreement_of_predictions_by_hand():
    people = {"1": "1", "2": "0", "3": "2", "4": "1", "5": "0"}
    found = agreement_of({"1": True, "2": True, "3": False, "4": None, "9": True}, people)
    assert found["agreement"] == pytest.approx(2 / 4) and found["recall"] == found["precision"] == 0.5
    assert found["balanced accuracy"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found["success rate less people's"] == 0
    assert agreement_of({"1": True, "2": True, "3": False}, people, executable=True)["agreement"] == 0.5
    assert agreement_of({}, people)["agreement"] is None


def test_what_is_absent_or_malformed_is_named(bench):
    bench.folder.mkdir()
    assert "get the files from github.com/OSU-NLP-Group/Online-Mind2Web" in bench.refused("online_mind2web")
    bench.write(LABELS, labels(a="1"))
    said = bench.refused("online_mind2web")
    assert said.startswith("no set can be run: SeeAct needs its 1 runs, as ")
    bench.write(LABELS, labels(a="3"))
    assert "row 1: Operator_human_label '3' is none of 0, 1, 2" in bench.refused("online_mind2web")


def test_the_real_labels_and_what_always_saying_failure_reaches_on_them():
    root = os.environ.get("AGENTJUDGE_DATA")
    if not root or not Path(root, "web/records").is_dir():
        pytest.skip("the labels are needed: set AGENTJUDGE_DATA to the folder that holds web/records")
    people = read_labels(labels_file(Path(root)))
    assert {agent: sum(label == "1" for label in each.values()) for agent, each in people.items()} == {
        "SeeAct": 92, "Agent-E": 84, "Browser_Use": 90,
        "Claude_Computer_Use_3.5": 87, "Claude_Computer_Use_3.7": 169, "Operator": 184,
    }  # fmt: skip
    never = {agent: agreement_of(dict.fromkeys(each, False), each) for agent, each in people.items()}
    assert [round(never[agent]["agreement"], 3) for agent in AGENTS] == [0.693, 0.72, 0.7, 0.71, 0.437, 0.387]
    assert all(each["kappa"] == 0 and each["balanced accuracy"] == 0.5 for each in never.values())
    assert len([label for label in people["Operator"].values() if label == "2"]) == 10
    only = agreement_of(dict.fromkeys(people["Operator"], False), people["Operator"], executable=True)
    assert only["agreement"] == pytest.approx(106 / 290)
