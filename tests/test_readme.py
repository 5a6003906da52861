"""The README's examples run and print what the README says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


EXAMPLES = re.findall(r"```python\n(.*?)```\s*```text\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_prints_what_it_says(number: int) -> None:
    code, said = EXAMPLES[number]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert out.getvalue() == said


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == README.count("```python") == 2


def test_every_file_it_names_exists() -> None:
    root = Path(__file__).resolve().parents[1]
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (root / name).exists(), name
