"""docs/mcp.md does what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from agentjudge.cli import main

GUIDE = (Path(__file__).resolve().parents[1] / "docs" / "mcp.md").read_text(encoding="utf-8")


def block(kind: str, number: int = 0) -> str:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)[number]


def test_the_client_says_what_the_guide_shows() -> None:
    pytest.importorskip("mcp", reason="needs the extra mcp")
    done = subprocess.run([sys.executable, "-c", block("python")], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert done.stdout == block("text")


def test_the_files_of_servers_are_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentjudge.tools.mcp_config import read_servers

    monkeypatch.setenv("WIKI_KEY", "k")
    path = tmp_path / "servers.json"
    path.write_text(block("json", 1))
    servers = read_servers(path)
    assert servers["time"].allow == ("convert_time",) and servers["wiki"].headers == {"Authorization": "Bearer k"}
    assert json.loads(block("json"))["mcpServers"]["agentjudge"]["args"][0] == "mcp"


def test_the_options_of_the_guide_are_there() -> None:
    told = CliRunner().invoke(main, ["mcp", "--help"]).stdout
    used = {option for line in GUIDE.splitlines() for option in re.findall(r"(--[a-z][a-z-]*)", line)}
    assert used - {"--mcp"} <= set(re.findall(r"(--[a-z-]+)", told))
