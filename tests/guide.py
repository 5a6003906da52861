"""The blocks of docs/rewards.md, each under the comment that says what a test does with it."""

import re
from pathlib import Path

GUIDE = (Path(__file__).resolve().parents[1] / "docs" / "rewards.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"<!-- ([a-z]+: [a-z ]+) -->\n```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = {name: code for name, _, code in _BLOCK.findall(GUIDE)}
"""By comment, such as `run: trl`."""
FENCES = GUIDE.count("```") // 2
