"""`agentjudge verify -i`: a conversation about a verdict, line by line."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentjudge.cli import main
from agentjudge.cli_verify_interactive import changed

CLAIM = "The Zorb bridge was opened in 1932."


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.txt").write_text(CLAIM)
    (tmp_path / "a memo.txt").write_text("The Zorb bridge was opened in 1975.")
    return tmp_path / "old.txt"


def talk(*lines: str, options: tuple[str, ...] = ()) -> Any:
    arguments = ["verify", CLAIM, "--doc", "old.txt", "-i", *options]
    return CliRunner().invoke(main, arguments, input="".join(f"{line}\n" for line in lines))


def test_evidence_and_objections_bring_new_verdicts(old: Path) -> None:
    done = talk('/add "a memo.txt"', "the memo says otherwise", "/again", "")
    assert done.exit_code == 0, done.output
    first, second, third = done.stdout.split(f"  {CLAIM}\n")[1:]
    assert "1975" not in first and "The Zorb bridge was opened in 1975." in second
    assert "evidence added 1" in second and "confidence" in second
    assert "nothing changed" in third
    assert "added" in done.stderr and "/add FILE" in done.stderr


def test_what_cannot_be_done_is_told_and_ends_nothing(old: Path) -> None:
    done = talk("/add none.txt", '/add a"', "/dance", "/again")
    assert done.exit_code == 0, done.output
    assert "cannot read none.txt" in done.stderr and "No closing quotation" in done.stderr
    assert done.stdout.count(CLAIM) >= 2, "the file's end ends it, behind a second verdict"
    refused = talk(options=("--json",))
    assert refused.exit_code == 2 and "leave --json out" in refused.stderr


def test_a_change_in_words() -> None:
    fields = {
        "label": {"before": "SUPPORT", "after": "REFUTE"},
        "confidence": {"before": {"value": 0.9, "method": "stated"}, "after": None},
    }
    told = changed({"since": "v", "fields": fields, "evidence": {"added": [{}], "dropped": []}})
    assert told == "changed: label SUPPORT → REFUTE, confidence 90% → none, evidence added 1"
    assert changed({"since": "v", "fields": {}, "evidence": {"added": [], "dropped": []}}) == "nothing changed"
