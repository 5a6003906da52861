"""An audit from the command line: what it costs, a kill in the middle, the report, the gate, the server behind it."""

import json
import os
import signal
import subprocess
import sys
import time
from html import escape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agentjudge.audit.base import Example, Finding, Number, Passed, Report
from agentjudge.audit.gate import Policy, demand, held
from agentjudge.audit.page import page
from agentjudge.case import read_cases
from agentjudge.cli import main
from agentjudge.errors import ConfigError
from agentjudge.runs.folder import open_run
from agentjudge.runs.statistics import Interval

ONLY = ("--only", "calibration", "--only", "repeats")


def run(*args: Any) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, args)], catch_exceptions=False)


def number(name: str = "fooled", mean: float = 0.01, limit: float | None = 0.02, better: Any = "low") -> Number:
    value = Interval(mean, max(0.0, mean - 0.01), min(1.0, mean + 0.01), 500)
    return Number(name=name, value=value, better=better, limit=limit)


def finding(*numbers: Number, **more: Any) -> Finding:
    return Finding(**{"audit": "keys", "title": "Keys", "n": 500, "scored": 500, "numbers": numbers, **more})


def report(*findings: Finding, **more: Any) -> Report:
    settings = {"name": "j", "model": "m", "tools": ["retrieve"], "sampling": {"temperature": 0.0, "seed": 1}}
    return Report(settings=settings, findings=findings, **more)


def test_an_audit_is_planned_made_and_told(tmp_path: Path) -> None:
    asked = ("--data", "gym:6", "--out", tmp_path / "a", *ONLY)
    planned = run(*asked, "--plan", "--json")
    cost = json.loads(planned.stdout)
    assert cost["judgements"] >= 6 and cost["calls"] >= cost["judgements"] and cost["prompt_tokens"] > 6 * 600
    assert not (tmp_path / "a").exists(), "nothing is judged"
    made = run(*asked)
    assert made.exit_code == 0 and f"{cost['judgements']:,} judgements, at most" in made.stderr
    found = Report.model_validate_json((tmp_path / "a/report.json").read_text())
    assert [each.audit for each in found.findings] == ["calibration", "repeats"] and found.settings["name"] == "veri-r1"
    shown = (tmp_path / "a/report.html").read_text()
    told = [number for each in found.findings for number in each.numbers]
    assert told and all(escape(number.name) in shown for number in told)
    assert run(*asked).exit_code == 2, "the folder holds an audit"
    again = run(*asked, "--resume", "--json")
    assert again.stderr.startswith("0 judgements") and Report.model_validate_json(again.stdout) == found


def test_an_audit_that_is_killed_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    command = [sys.executable, "-m", "agentjudge.cli", "audit", "--data", "gym:1000", "--only", "calibration"]
    command += ["--out", str(folder), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline, lines = time.monotonic() + 400, 0
        while lines < 50 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
            traces = folder / "judged/traces.jsonl"
            lines = traces.read_bytes().count(b"\n") if traces.is_file() else 0
    finally:
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
    assert 50 <= lines < 1000 and said.startswith(b"1,000 judgements, at most ")
    kept = set(open_run(folder / "judged").statuses())
    result = run("--data", "gym:1000", "--only", "calibration", "--out", folder, "--resume")
    assert result.exit_code == 0 and result.stderr.startswith(f"{1000 - len(kept):,} judgements")
    verdicts = [verdict.case_id for verdict in open_run(folder / "judged").verdicts()]
    assert len(verdicts) == len(set(verdicts)) == 1000 and kept < set(verdicts)


@pytest.mark.parametrize(
    ("mean", "better", "state"),
    [(0.005, "low", "kept"), (0.02, "low", "open"), (0.05, "low", "broken"),
     (0.95, "high", "kept"), (0.9, "high", "open"), (0.5, "high", "broken")],
)  # fmt: skip
def test_a_number_is_on_one_side_of_its_limit_or_open(mean: float, better: Any, state: str) -> None:
    limit = 0.02 if better == "low" else 0.9
    assert number(mean=mean, better=better, limit=limit).state == state
    assert finding(number(mean=mean, better=better, limit=limit), number(limit=None)).state == state


def test_a_gate_lets_through_what_is_kept_and_nothing_else() -> None:
    policy = Policy(require=("keys",))
    assert held(report(finding(number(mean=0.005))), policy).passed
    (against,) = held(report(finding(number(mean=0.02))), policy).against
    assert against == "keys, fooled: 0.020 [0.010, 0.030] over 500, and at most 0.02 is let through"
    assert held(report(finding(number(mean=0.02))), Policy(require=("keys",), on="mean")).passed
    assert held(report(finding(number(mean=0.2))), Policy(require=("keys",), limits={"keys": {"fooled": 0.3}})).passed
    (silent,) = held(report(finding(silent="no case fits")), policy).against
    assert silent == "keys says nothing: no case fits"
    with pytest.raises(ConfigError, match="the policy names 'order', and audited was keys"):
        held(report(finding()), Policy(require=("order",)))
    with pytest.raises(ConfigError, match="keys has no number 'fool'; there is fooled"):
        held(report(finding(number())), Policy(require=("keys",), limits={"keys": {"fool": 0.3}}))


def test_a_gate_ends_the_command_with_3(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('require = ["repeats"]\n[limits.repeats]\n"changed on repeat" = 0.0001\n')
    result = run("--data", "gym:4", "--only", "repeats", "--out", tmp_path / "a", "--gate", policy)
    assert result.exit_code == 3 and "the gate does not let it through:\n  repeats, changed on repeat: 0.000" in (
        result.stdout
    ), "four cases show nothing"
    for text, says in (
        ("require = []", "everything would pass"),
        ('require = ["a"]\ndemand = 1', "demand: Extra"),
        ("=", "cannot read"),
    ):
        policy.write_text(text)
        refused = run("--data", "gym:4", "--out", tmp_path / "b", "--gate", policy)
        assert refused.exit_code == 2 and says in refused.stderr, text


def test_a_server_demands_the_audit_of_the_judge_it_serves(tmp_path: Path) -> None:
    passed = report(finding(number()), gate=Passed(passed=True))
    (tmp_path / "report.json").write_text(passed.model_dump_json())
    same = {**passed.settings, "seed": 7, "sampling": {"temperature": 0.0, "seed": None}}
    demand(tmp_path, same)
    with pytest.raises(ConfigError, match="its tools was \\['retrieve'\\], and is \\[\\] here"):
        demand(tmp_path, {**same, "tools": []})
    (tmp_path / "report.json").write_text(
        report(gate=Passed(passed=False, against=("it is fooled",))).model_dump_json()
    )
    with pytest.raises(ConfigError, match="not let through by its audit .*: it is fooled"):
        demand(tmp_path, same)
    (tmp_path / "report.json").write_text(report().model_dump_json())
    with pytest.raises(ConfigError, match="held against no gate"):
        demand(tmp_path, same)
    with pytest.raises(ConfigError, match="cannot read the audit"):
        demand(tmp_path / "nothing", same)


def test_serve_refuses_a_judge_that_was_not_let_through(tmp_path: Path) -> None:
    asked = ("--data", "gym:4", "--only", "repeats", "--judge", "veri-r1", "--out", tmp_path / "a")
    policy = tmp_path / "policy.toml"
    policy.write_text('require = ["repeats"]\non = "mean"\n')
    assert run(*asked, "--gate", policy).exit_code == 0
    served = ["serve", "--rewards", "--model", "embedded", "--port", "0", "--audited", str(tmp_path / "a")]
    other = CliRunner().invoke(main, [*served, "--judge", "compare"])
    assert other.exit_code == 2 and "is the audit of another judge: its name was 'veri-r1'" in other.stderr
    command = [sys.executable, "-m", "agentjudge.cli", *served, "--judge", "veri-r1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert process.stderr is not None
        told = ""
        while "/v1/rewards" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
    finally:
        process.terminate()
        process.communicate()


def test_a_page_shows_text_as_text() -> None:
    shown = Example(case="<b>c</b>", shown="<script>alert(1)</script>", said="SUPPORT")
    made = page(report(finding(number(mean=0.3), number("gap", -0.2, None), examples=(shown,))))
    assert "<script" not in made and "&lt;script&gt;" in made and "default-src &#x27;none&#x27;" not in made
    assert 'class="broken"' in made and made.count("<svg") == 2 and "http" not in made.replace("http-equiv", "")


def test_cases_of_a_benchmark_are_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {
            "query": f"Town {n}",
            "retrieval": f"Village {n}",
            "query_response_k": f"a {n}",
            "retrieval_response_k": f"b {n}",
        }
        for n in range(4)
    ]
    (tmp_path / "contrast_instructions").mkdir()
    (tmp_path / "contrast_instructions/sum_contrast.json").write_text(json.dumps(rows))
    monkeypatch.setenv("AGENTJUDGE_DATA", str(tmp_path))
    asked = ("--only", "calibration", "--judge", "compare", "--plan", "--json")
    every = run("--data", "bench:contrast_instructions", *asked)
    assert every.exit_code == 0 and json.loads(every.stdout)["judgements"] == 8
    some = run("--data", "bench:contrast_instructions/sum:3", *asked)
    assert json.loads(some.stdout)["judgements"] == 3
    for said, says in (
        ("bench:nothing", "unknown benchmark 'nothing'"),
        ("bench:contrast_instructions/sun", "unknown set 'sun'; there is para, sum"),
        ("bench:contrast_instructions/para", "para_contrast.json is not in"),
        ("bench:contrast_instructions:few", "how many cases? such as bench:contrast_instructions:40"),
        ("bench:ifeval", "has no cases that a judge is asked about"),
        ("bench:llmbar", "Natural/dataset.json"),
    ):
        refused = run("--data", said, *asked)
        assert refused.exit_code == 2 and says in refused.stderr, (said, refused.stderr)


def test_keys_are_exported_for_training_and_nothing_is_judged(tmp_path: Path) -> None:
    made = run("--data", "gym:3", "--export", tmp_path / "keys.jsonl")
    found = list(read_cases(tmp_path / "keys.jsonl"))
    assert made.exit_code == 0 and f"{len(found):,} cases with gold, made of 3" in made.stdout.replace("\n", "")
    assert found and all(case.gold is not None and case.gold.label != "SUPPORT" for case in found)
    assert [path.name for path in tmp_path.iterdir()] == ["keys.jsonl"]
    lost = run("--data", "gym:3")
    assert lost.exit_code == 2 and "give --out FOLDER" in lost.stderr
