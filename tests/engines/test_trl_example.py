"""The example runs: TRL's GRPO, our judge over HTTP, outages among its answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="needs .venv-trl: make test-engines")

pytestmark = pytest.mark.engines

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "grpo_with_judge.py"


def test_it_trains_and_says_what_was_masked(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLE, "--steps", "4", "--outages", "0.34", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    steps = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 2, 3, 4]
    masked = int(sum(step["masked"] for step in steps))
    assert 0 < masked < 4 * 16 and all(0 <= step["reward"] <= 1 for step in steps)
    assert f"rows 64, masked {masked}\n" in done.stdout and f"judge error rate {masked / 64:.3f}" in done.stdout
