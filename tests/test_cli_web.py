"""`agentjudge score`: runs in the formats of others, judged or listed, and what it says of bad input."""

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agentjudge.cli import main

GOAL = "Put one green lamp into the cart."
STEPS = [
    {"observation": "RootWebArea 'Lamps'\n  [4] button 'Add green lamp'", "action": "click('4')"},
    {"observation": "RootWebArea 'Cart'\n  [9] StaticText '1 green lamp'"},
]
VERDICT = {
    "points": [{"point": "p", "reason": "Step 1 shows it.", "met": "yes"}],
    "side_effect": {"reason": "None seen.", "label": "no"},
    "looping": {"reason": "None seen.", "label": "no"},
    "optimality": {"reason": "Two steps.", "label": "completely optimal"},
    "evidence": ["step 1:1"],
    "reason": "The cart shows the lamp.",
    "label": "success",
    "confidence": 0.9,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: two runs in our own lines, and a model that plans and then gives a verdict."""
    lines = [{"id": f"r{n}", "goal": GOAL, "steps": STEPS, "final_answer": "Done."} for n in range(2)]
    (tmp_path / "runs.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    (tmp_path / "one.jsonl").write_text(json.dumps(lines[0]))
    turns = [json.dumps({"points": ["The cart holds a green lamp."]}), json.dumps(VERDICT)]
    (tmp_path / "turns.jsonl").write_text(json.dumps(turns))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def score(*args: Any) -> Result:
    return CliRunner().invoke(main, ["score", *map(str, args)])


def told(*args: Any, code: int = 0) -> Any:
    done = score(*args, "--json")
    assert (done.exit_code, done.stderr) == (code, ""), done.output
    return json.loads(done.stdout)


def refused(*args: Any) -> str:
    done = score(*args)
    assert (done.exit_code, done.stdout) == (2, "") and done.stderr.count("\n") == 1, done.output
    return done.stderr


def test_one_run_is_shown_as_it_is_judged(folder: Path) -> None:
    done = score("one.jsonl", "--model", "scripted:turns.jsonl")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("success (90%, stated)") and GOAL in lines[0]
    assert "  The cart holds a green lamp.: yes Step 1 shows it." in lines
    assert (
        any("1 green lamp" in line and "step 1" in line for line in lines) and "The cart shows the lamp." in done.stdout
    )
    assert done.stderr.startswith("agentjudge: 1 run")


def test_many_runs_are_a_table_or_json(folder: Path) -> None:
    done = score("runs.jsonl", "--model", "scripted:turns.jsonl")
    assert (
        done.exit_code == 0
        and done.stdout.count("success") == 2
        and "completely optimal" in " ".join(done.stdout.split())
    )
    found = told("runs.jsonl", "--model", "scripted:turns.jsonl")
    assert (found["format"], found["scored"], found["failed"]) == ("agentjudge", 2, 0)
    assert [(v["case_id"], v["label"], v["evidence"][0]["step"]) for v in found["verdicts"]] == [
        ("r0", "success", 1),
        ("r1", "success", 1),
    ]


def test_a_run_folder_is_made_and_gone_on_with(folder: Path) -> None:
    turns = json.loads((folder / "turns.jsonl").read_text())
    (folder / "turns.jsonl").write_text(json.dumps({"case": "r0", "turns": turns}))
    given = ("runs.jsonl", "--model", "scripted:turns.jsonl", "--out", "run")
    first = told(*given, code=3)
    assert (first["scored"], first["failed"]) == (1, 1)
    assert "run" in refused(*given)
    (folder / "turns.jsonl").write_text(json.dumps({"case": "r1", "turns": turns}))
    both = told(*given, "--resume")  # r0, of which the model knows nothing any more, is kept
    assert [(verdict["case_id"], verdict["label"]) for verdict in both["verdicts"]] == [
        ("r0", "success"),
        ("r1", "success"),
    ]


def test_a_failed_verdict_is_exit_code_three_and_has_no_label(folder: Path) -> None:
    (folder / "noise.jsonl").write_text(json.dumps(["noise"] * 9))
    found = told("one.jsonl", "--model", "scripted:noise.jsonl", code=3)
    assert found["failed"] == 1 and found["verdicts"][0]["label"] is None


def test_what_is_in_the_runs_is_listed_without_a_judge(folder: Path) -> None:
    found = told("runs.jsonl", "--list")
    row = {"id": "r0", "goal": GOAL, "steps": 2, "actions": 1, "pages": 2, "screenshots": 0, "answer": "Done."}
    assert found["format"] == "agentjudge" and found["runs"][0] == row
    assert "r1" in score("runs.jsonl", "--list").stdout


def test_the_context_is_a_budget(folder: Path) -> None:
    found = told("one.jsonl", "--model", "scripted:turns.jsonl", "--context", 7000)
    assert found["verdicts"][0]["usage"]["budget_exhausted"] == "context"


def test_a_judge_of_something_else_is_refused_before_it_judges(folder: Path) -> None:
    done = score("runs.jsonl", "--judge", "compare", "--model", "scripted:turns.jsonl")
    assert (done.exit_code, done.stdout) == (2, "") and "take --judge trajectory" in done.stderr


def test_bad_input_is_one_line_that_says_what_to_do(folder: Path) -> None:
    assert "no such file or folder" in refused("nowhere")
    assert "--out" in refused("one.jsonl", "--resume")
    (folder / "odd.json").write_text('{"hello": 1}')
    assert "no trajectory in a known format" in refused("odd.json") or "no known trajectory" in refused("odd.json")
    (folder / "history.json").write_text(json.dumps({"history": [{"model_output": None, "result": [{}], "state": {}}]}))
    assert "goal" in refused("history.json")
    assert told("history.json", "--goal", GOAL, "--list")["runs"][0]["goal"] == GOAL


class Planted:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("planted"),))


def test_pickles_are_refused_unless_trusted_and_never_run(folder: Path) -> None:
    run = folder / "run7"
    run.mkdir()
    (run / "summary_info.json").write_text("{}")
    (run / "step_0.pkl.gz").write_bytes(gzip.compress(pickle.dumps(Planted())))
    assert "--trust-pickle" in refused(run) and refused(run, "--trust-pickle")
    assert not (folder / "planted").exists()
