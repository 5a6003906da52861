"""`agentjudge train` from end to end on a tiny model: imitation, reinforcement, a run that is killed and resumed."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tiny_policies import build_policy

from agentjudge.cli import main
from agentjudge.runs import toml

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

STEPS = 5
TABLES: dict[str, Any] = {
    "judge": {"k": 1, "budget": {"turns": 1, "tool_calls": 1, "answer_tokens": 16}, "sampling": {"max_tokens": 12}},
    "data": {"gym": {"documents": 4}},
    "sft": {"steps": 6, "batch": 4, "micro_batch": 2, "lr": 5e-3, "threads": 1},
    "reward": {"name": "noise"},
    "grpo": {"steps": STEPS, "prompts": 2, "group": 4, "lr": 1e-3, "micro_batch": 4, "threads": 1},
}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_policy(tmp_path_factory.mktemp("policy"))


def config(folder: Path, policy: Path, **tables: Any) -> Path:
    """A file of a run whose output is `folder/out`."""
    folder.mkdir(parents=True, exist_ok=True)
    output = {"folder": str(folder / "out"), "save_every": 1, "tensorboard": False, **tables.pop("output", {})}
    file = folder / "run.toml"
    file.write_text(toml.dumps({"model": {"path": str(policy)}, **TABLES, "output": output, **tables}))
    return file


def run(*args: Any) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, args)], catch_exceptions=False)


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out/log.jsonl").read_text().splitlines()]


def steps(folder: Path) -> list[dict[str, Any]]:
    """The lines of the steps."""
    return [line for line in log(folder) if "loss" in line]


def drawn(folder: Path) -> dict[int, list[tuple[str, float]]]:
    """What each step drew, and what it earned."""
    records = [json.loads(line) for line in (folder / "out/records.jsonl").read_text().splitlines()]
    told = {each["step"]: [(seen["group"], seen["reward"]) for seen in each["judgements"]] for each in records}
    return {step: each for step, each in told.items() if step}  # nothing is drawn before the first


@pytest.fixture(scope="module")
def whole(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    tables: dict[str, Any] = {"evaluation": {"every": STEPS, "n": 3}, "output": {"tensorboard": True}}
    result = run("grpo", "--config", config(folder, policy, **tables), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"model": str(folder / "out/final"), "steps": STEPS, "stopped": ""}
    return folder


def test_reinforcement_from_end_to_end(whole: Path, policy: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    told = steps(whole)
    assert [line["step"] for line in told] == list(range(1, STEPS + 1))
    for line in told:
        assert math.isfinite(line["loss"]) and 0 <= line["reward"] <= 1 and line["masked"] == 0
        assert {"joint", "calls", "tokens/wrong", "frac_zero_std", "judge_errors", "fork_rate", "drift"} <= set(line)
        if line["frac_zero_std"] < 1:
            assert line["rows"] > 0 and line["entropy"] > 0 and {"clip_ratio/region_mean", "grad_norm"} <= set(line)
            assert line["sampler_difference"] < 1e-4
    assert any(line["frac_zero_std"] < 1 for line in told)
    model = AutoModelForCausalLM.from_pretrained(whole / "out/final")
    words = AutoTokenizer.from_pretrained(whole / "out/final")
    before = AutoModelForCausalLM.from_pretrained(policy)
    assert words.chat_template and model.config.vocab_size == len(words)
    moved = [(a - b).abs().max() for a, b in zip(model.parameters(), before.parameters(), strict=True)]
    assert all(torch.isfinite(each) for each in moved) and max(moved) > 0


def test_unseen_cases_are_measured_at_the_start_and_at_the_end(whole: Path) -> None:
    found = [(line["step"], line["eval"]["decoding"]) for line in log(whole) if "eval" in line]
    assert found == [(0, "greedy"), (0, "sampled"), (STEPS, "greedy"), (STEPS, "sampled")]
    (first, *_) = [line["eval"] for line in log(whole) if "eval" in line]
    assert first["n"] == 3 and set(first["per_class"]) == {"NOT ENOUGH INFO", "REFUTE", "SUPPORT"}
    assert first["floors"]["always NOT ENOUGH INFO"]["joint"] == pytest.approx(1 / 3)
    assert list((whole / "out/tensorboard").glob("events*"))


def test_a_run_ends_with_its_report(whole: Path, tmp_path: Path) -> None:
    assert "always NOT ENOUGH INFO" in (whole / "out/report.md").read_text()
    result = run("report", whole / "out", "--out", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "page.html").read_text() == (whole / "out/report.html").read_text()


def test_a_run_that_is_killed_goes_on_where_it_was(whole: Path, policy: Path, tmp_path: Path) -> None:
    file = config(tmp_path, policy)
    command = [sys.executable, "-m", "agentjudge.cli", "train", "grpo", "--config", str(file)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 900
        while not (tmp_path / "out/checkpoint-2/trainer_state.json").is_file():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not (tmp_path / "out/final").exists()
    assert run("grpo", "--config", file).exit_code == 2  # the folder holds a run
    result = run("grpo", "--config", file, "--resume")
    assert result.exit_code == 0, result.output
    assert [line["step"] for line in steps(tmp_path)] == list(range(1, STEPS + 1))
    assert drawn(tmp_path) == drawn(whole)
    for resumed, straight in zip(steps(tmp_path), steps(whole), strict=True):
        assert resumed["reward"] == straight["reward"] and resumed["learning_rate"] == straight["learning_rate"]
        assert resumed["loss"] == pytest.approx(straight["loss"], abs=1e-4)


def test_imitation_behind_a_gate(policy: Path, tmp_path: Path) -> None:
    file = config(tmp_path, policy, gate={"least": 0.9, "n": 3})
    result = run("sft", "--config", file, "--json")
    assert result.exit_code == 3
    said = json.loads(result.stdout)
    assert said["missed"].startswith("the gate is 0.9 in label on 3 unseen cases") and said["steps"] == 6
    losses = [line["loss"] for line in steps(tmp_path)]
    assert all(math.isfinite(loss) for loss in losses) and losses[-1] < losses[0] - 0.5
    gate = json.loads((tmp_path / "out/final/gate.json").read_text())
    assert gate["passed"] is False and gate["eval"]["n"] == 3
    refused = run("grpo", "--config", config(tmp_path / "next", tmp_path / "out/final"))
    assert refused.exit_code == 2 and "its gate is 0.9: train it further" in refused.stderr


def test_a_gate_that_is_reached_opens(policy: Path, tmp_path: Path) -> None:
    tables = {**TABLES["sft"], "steps": 1}
    result = run("sft", "--config", config(tmp_path, policy, gate={"least": 0.0, "n": 3}, sft=tables))
    assert result.exit_code == 0 and json.loads((tmp_path / "out/final/gate.json").read_text())["passed"] is True


def test_measuring_a_model(policy: Path, tmp_path: Path) -> None:
    file = config(tmp_path, policy)
    result = run("eval", "--config", file, "-n", "3", "--seeds", "2", "--no-tools", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["n"] == 6 and said["tools"] == "none" and said["calls"] == 0
    assert 0 <= said["joint"]["low"] <= said["joint"]["mean"] <= said["joint"]["high"] <= 1
    table = run("eval", "--config", file, "-n", "3")
    assert "always NOT ENOUGH INFO: label 0.333, joint 0.333" in table.stdout


def test_an_alarm_that_was_named_ends_the_training(policy: Path, tmp_path: Path) -> None:
    tables: dict[str, Any] = {"reward": {"name": "veri_r1"}, "monitors": {"stop_on": ["zero-std"]}}
    result = run("grpo", "--config", config(tmp_path, policy, **tables))
    assert result.exit_code == 3 and "stopped: groups without variance" in result.stdout
    assert len(steps(tmp_path)) < STEPS and (tmp_path / "out/final/config.json").is_file()
    unknown = config(tmp_path / "other", policy, monitors={"stop_on": ["bordeom"]})
    assert "there is no monitor 'bordeom'" in run("grpo", "--config", unknown).stderr


def test_a_run_is_held_against_one_with_a_reward_at_random(whole: Path, policy: Path, tmp_path: Path) -> None:
    tables: dict[str, Any] = {"evaluation": {"every": STEPS, "n": 3}, "monitors": {"control": str(whole / "out")}}
    result = run("grpo", "--config", config(tmp_path, policy, **tables))
    assert result.exit_code == 0, result.output
    gained = [line["watch/gain over random"] for line in steps(tmp_path) if "watch/gain over random" in line]
    assert gained[-1] == 0, "the same run, held against itself"
    bare = config(tmp_path / "bare", policy, monitors={"control": str(tmp_path / "nothing")})
    refused = run("grpo", "--config", bare)
    assert refused.exit_code == 2 and "no run that was measured on unseen cases" in refused.stderr


def test_probing_a_model(whole: Path, policy: Path, tmp_path: Path) -> None:
    file = config(tmp_path, policy)
    asked = ("probe", "--config", file, "--model", whole / "out/final", "--start", policy, "-n", "3", "--tries", "2")
    said = json.loads(run(*asked, "--json").stdout)
    assert said["n"] == 3 and [each["k"] for each in said["reach"]] == [1, 2]
    assert all(share["exact"][0] == 0 for share in said["contamination"]["shares"]), "nothing was learned by heart"
    assert said["unmoved"] == {} and said["faithfulness"] is None, "it says nothing that could be read"
    assert set(said["silent"]) == {"unmoved, kept", "unmoved, removed", "unmoved, swapped", "faithfulness"}
    assert "pass@2" in run(*asked).stdout


def test_a_model_that_is_not_there(policy: Path, tmp_path: Path) -> None:
    file = config(tmp_path, tmp_path / "before/final")
    refused = run("grpo", "--config", file)
    assert refused.exit_code == 2 and "is the stage before this one trained yet?" in refused.stderr
    (tmp_path / "before/final").mkdir(parents=True)
    assert "it has no config.json" in run("sft", "--config", file).stderr
    assert not (tmp_path / "out").exists(), "nothing is begun"
