"""`agentjudge vllm` and the doctor on real servers: one as the command starts it, one with everything off."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentjudge.doctor import EXTRAS, Finding, examine
from tests.vllm.conftest import ENVIRONMENT, PYTHON, start

NAME = "tiny-idefics3"
MACHINE = 2 + len(EXTRAS) + 1


def probed(spec: str, **options: Any) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(spec, **options)[MACHINE:]}


def problems(found: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.detail for name, finding in found.items() if finding.state == "problem"}


@pytest.fixture(scope="module")
def misconfigured(servers: Any) -> Iterator[Any]:
    """No tool parser, no prompt-token details, no prefix caching, a short context, processed odds, no pictures."""
    servers.stop()
    options = ["--no-enable-auto-tool-choice", "--no-enable-prompt-tokens-details", "--no-enable-prefix-caching"]
    options += ["--max-model-len", "2048", "--max-num-batched-tokens", "2048", "--served-model-name", NAME]
    options += ["--logprobs-mode", "processed_logprobs", "--limit-mm-per-prompt", '{"image": 0}']
    server = start(servers.models / "idefics3", options, servers.logs / "misconfigured.log")
    yield server
    server.stop()


def test_the_doctor_finds_each_misconfiguration(misconfigured: Any) -> None:
    found = problems(probed(misconfigured.spec(NAME), judge="trajectory"))
    assert set(found) == {"context", "log-prob mode", "prefix cache", "tool calls", "pictures"}, found
    assert "2048 tokens" in found["context"] and "--max-model-len" in found["context"]
    assert "processed" in found["log-prob mode"] and "--logprobs-mode raw_logprobs" in found["log-prob mode"]
    assert "--enable-prompt-tokens-details" in found["prefix cache"]
    assert "--enable-auto-tool-choice --tool-call-parser hermes" in found["tool calls"]
    assert "takes 0 a prompt" in found["pictures"] and '{"image": 32}' in found["pictures"]


def test_the_doctor_finds_a_wrong_name(misconfigured: Any) -> None:
    (found,) = probed(misconfigured.spec("tiny-other")).values()
    assert found.state == "problem" and f"serves {NAME!r}, not 'tiny-other'" in found.detail


@pytest.fixture(scope="module")
def commanded(servers: Any) -> Iterator[tuple[subprocess.Popen[str], list[str], int]]:
    """The server of the command, once it says that it is ready; and what it said."""
    servers.stop()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [
        sys.executable,
        "-m",
        "agentjudge.cli",
        "vllm",
        "trajectory",
        "--model",
        str(servers.models / "idefics3"),
    ]
    command += ["--python", str(PYTHON), "--cpu", "--port", str(port), "--name", NAME, "--context", "8192"]
    command += ["--template", str(servers.models / "idefics3" / "chat_template.jinja"), "--", "--seed", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **{name: ENVIRONMENT[name] for name in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE")}},
    )
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line.rstrip())
        if "checks it" in line:
            break
    if not (lines and "checks it" in lines[-1]):
        pytest.fail("\n".join(lines[-40:]), pytrace=False)
    yield process, lines, port
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=90)
    process.stderr.close()


def test_the_server_of_the_command_is_fit(commanded: Any) -> None:
    _, lines, port = commanded
    assert f"ready: --model vllm:{NAME}@http://127.0.0.1:{port}" in lines
    assert any(line.startswith("[vllm] ") and "Started server process" in line for line in lines)
    found = probed(f"vllm:{NAME}@http://127.0.0.1:{port}", judge="trajectory")
    assert not problems(found), found
    assert found["pictures"].detail == "takes 32 a prompt" and found["pictures of tools"].state == "ok"
    assert found["log-prob mode"].state == found["prefix cache"].state == found["JSON schema"].state == "ok"


def test_a_signal_ends_the_server_of_the_command(commanded: Any) -> None:
    process, lines, port = commanded
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(timeout=90) == 0 and "stopping vLLM" in said
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if f"--port\0{port}".encode() in _read(path)]
    assert not left


def test_parsers_of_every_family_are_known_to_vllm() -> None:
    from agentjudge.serving.vllm_families import _FAMILIES, UNKNOWN

    code = (
        "import json; from vllm.tool_parsers import ToolParserManager as T; "
        "from vllm.reasoning import ReasoningParserManager as R; "
        "print(json.dumps([sorted(T.list_registered()), sorted(R.list_registered())]))"
    )
    done = subprocess.run(
        [PYTHON, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **ENVIRONMENT}
    )
    tools, reasoning = json.loads(done.stdout.splitlines()[-1])
    served = [UNKNOWN, *(each for _, each in _FAMILIES)]
    assert {each.tools for each in served if each.tools} <= set(tools)
    assert {each.reasoning for each in served if each.reasoning} <= set(reasoning)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
