"""Audits of a real model on a real server, on rows of the field's own files: LLMBar and Contrast Instructions."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agentjudge.audit.base import Report
from agentjudge.cli import main
from agentjudge.runs.folder import open_run

ROWS = 4
"""Of each: what is checked is that audits hold together with a real model, not what they find in one of noise."""
SETS = ("bench:llmbar", "bench:contrast_instructions/para")
AUDITS = ("order", "style", "consistency", "repeats", "mattered")


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, ["audit", "--judge", "compare", *map(str, words)], catch_exceptions=False)


@pytest.mark.skipif(not os.environ.get("AGENTJUDGE_DATA"), reason="set AGENTJUDGE_DATA to the folder of data sets")
def test_contrasts_and_adversarial_choices_are_audited(qwen3: Any, tmp_path: Path) -> None:
    asked: list[Any] = ["--model", qwen3.spec("tiny-qwen3"), "--seed", 0, "--concurrency", 8]
    asked += [word for name in SETS for word in ("--data", f"{name}:{ROWS}")]
    asked += [word for name in AUDITS for word in ("--only", name)]
    told = json.loads(run(*asked, "--plan", "--json").stdout)

    before = qwen3.chats("2xx")
    made = run(*asked, "--out", tmp_path / "audit", "--json")
    assert made.exit_code == 0, made.output
    calls = qwen3.chats("2xx") - before
    report = Report.model_validate_json(made.stdout)
    found = {finding.audit: finding for finding in report.findings}
    assert set(found) == set(AUDITS)
    for finding in report.findings:
        assert finding.n > 0 or finding.silent, finding.audit
        for number in finding.numbers:
            assert number.value.low <= number.value.mean <= number.value.high, (finding.audit, number)
    assert found["order"].n >= 2 * ROWS * len(SETS), "each choice is asked about in both orders"

    judged = sum(len(open_run(place).statuses()) for place in (tmp_path / "audit").iterdir() if place.is_dir())
    assert 0 < judged <= told["judgements"]
    assert judged <= calls <= told["calls"], "the cost that was told is an upper bound of what was asked"

    again = run(*asked, "--out", tmp_path / "audit", "--resume", "--json")
    assert again.exit_code == 0 and Report.model_validate_json(again.stdout) == report
    failed = sum(
        status == "failed"
        for place in (tmp_path / "audit").iterdir()
        if place.is_dir()
        for status in open_run(place).statuses().values()
    )
    assert qwen3.chats("2xx") - before - calls <= failed * told["calls"], "what was judged is not asked again"
