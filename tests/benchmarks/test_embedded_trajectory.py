"""The command that fits and measures the embedded judge of runs: its table and its card, on runs of our own."""

import json
from pathlib import Path

import pytest

from agentjudge.benchmarks import embedded_trajectory as command
from agentjudge.errors import DataError

pytest.importorskip("sklearn")


def record(number: int) -> dict[str, object]:
    good = number % 3 == 0
    clicks = range(2 + number % 4 if good else 9 + number % 6)
    action = "\n".join(f"{n + 1}. click('{n if good else 7}'). Reasoning: Item {n} of {number}." for n in clicks)
    if good:
        action += f"\n{len(clicks) + 1}. send_msg_to_user('The price is {number}.'). Reasoning: It is shown."
    return {
        "id": f"run {number}", "goal": f"What is the price of item {number}?", "action_history": action,
        "agent": f"a{number // 2 % 2}", "benchmark": f"b{number % 2}", "task_id": f"task.{number // 2}",
        "cum_reward": float(good or number % 5 == 0), "human_looping": ["No" if good else "Yes"],
        "human_success": ["Successful" if good else "Unsuccessful"] if number != 5 else ["Successful", "Unsuccessful"],
        "human_side_effect": ["No"], "human_optimality": ["4. Completely Optimal" if good else "2. Suboptimal"],
    }  # fmt: skip


def test_the_command_writes_weights_a_table_and_a_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.training, "TREES", {**command.training.TREES, "max_iter": 15})
    monkeypatch.setattr(command.training, "FOLDS", 2)
    monkeypatch.setattr(command, "DRAWS", 60)
    monkeypatch.setattr(command, "SEEDS", (0, 1))
    folder = tmp_path / command.SET
    folder.mkdir(parents=True)
    (folder / "cases.jsonl").write_text("".join(json.dumps(record(n)) + "\n" for n in range(48)))
    monkeypatch.setattr("sys.argv", ["x", "--data", str(tmp_path), "--out", str(tmp_path), "--fit", "--report"])
    command.main()
    card = json.loads((tmp_path / "trajectory_card.json").read_text())
    assert card["runs"]["n"] == 47, "people disagree on one run"
    judges = card["runs"]["judges"]
    assert judges["embedded"]["AUROC"][0] > 0.95 and judges["always failure"]["AUROC"][0] == 0.5
    assert judges["reward > 0.5"]["recall"][0] == 1.0 and judges["reward > 0.5"]["precision"][0] < 1
    assert judges["self-report"]["precision"][0] == 1.0, "in these runs those that answer are right"
    assert set(card["by benchmark"]) == {"b0", "b1"} and card["called a success"]["successes, whole"] > 0.5
    assert card["aspects"]["looping"]["kappa"] > 0.9 and card["aspects"]["side effect, always no"]["kappa"] == 0
    shown = capsys.readouterr().out
    assert "### runs: n 47" in shown and "| embedded |" in shown and "fitted without the benchmark" in shown
    assert json.loads((tmp_path / "trajectory.json").read_text())["features"]


def test_absent_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name the data folder"):
        command.read(tmp_path)
