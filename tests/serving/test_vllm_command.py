"""The server of a judge and a model: its command by family, and its process from start to end."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentjudge.budget import Budget
from agentjudge.cli import main
from agentjudge.errors import ConfigError, ModelError
from agentjudge.graphs.loop import LoopJudge
from agentjudge.models.profiles import profile_of
from agentjudge.registry import load_kind, lookup
from agentjudge.serving.vllm_command import (
    NOWHERE,
    TEMPLATES,
    ServerOptions,
    ServerPlan,
    command_for,
    least_context,
    plan_server,
    wanted_context,
)
from agentjudge.serving.vllm_families import served_as
from agentjudge.serving.vllm_process import VLLMServer, cause, find_python, started


def judge(name: str = "veri-r1") -> LoopJudge:
    return lookup("judge", name).target()


def option(command: list[str], name: str) -> list[str]:
    """The values of an option; none where it is not there."""
    if name not in command:
        return []
    start = command.index(name) + 1
    end = next((i for i in range(start, len(command)) if command[i].startswith("--")), len(command))
    return command[start:end]


# by family


@pytest.mark.parametrize(
    ("model", "tools", "reasoning"),
    [
        ("Qwen/Qwen3-8B", "hermes", "qwen3"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "hermes", None),
        ("Qwen/Qwen3-4B-Thinking-2507", "hermes", "qwen3"),
        ("Qwen/Qwen2.5-7B-Instruct", "hermes", None),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "hermes", None),
        ("Qwen/Qwen3-VL-8B-Instruct", "hermes", None),
        ("Qwen/Qwen3-VL-8B-Thinking", "hermes", "qwen3"),
        ("Qwen/Qwen3.5-27B", "qwen3_xml", "qwen3"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3_json", None),
        ("OpenGVLab/InternVL3-8B", "hermes", None),
        ("OpenGVLab/InternVL2_5-8B", "internlm", None),
        ("HuggingFaceM4/Idefics3-8B-Llama3", "hermes", None),
        ("someone/veri-r1-qwen2.5-3b", None, None),
        ("someone/WebArbiter-7B", None, None),
        ("someone/else", "hermes", None),
    ],
)
def test_parsers_are_those_of_the_family(model: str, tools: str | None, reasoning: str | None) -> None:
    command = command_for(judge(), model)
    assert option(command, "--tool-call-parser") == ([tools] if tools else [])
    assert ("--enable-auto-tool-choice" in command) == (tools is not None)
    assert option(command, "--reasoning-parser") == ([reasoning] if reasoning else [])
    assert command[:3] == ["python", "-m", "vllm.entrypoints.openai.api_server"]
    assert option(command, "--model") == option(command, "--served-model-name") == [model]


@pytest.mark.parametrize("name", sorted(load_kind("judge")))
@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "Qwen/Qwen3-VL-8B-Instruct"])
def test_what_every_judge_needs(name: str, model: str) -> None:
    command = command_for(judge(name), model)
    assert option(command, "--host") == ["127.0.0.1"] and option(command, "--logprobs-mode") == ["raw_logprobs"]
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(command)
    assert json.loads(option(command, "--structured-outputs-config")[0])["backend"] == "xgrammar"
    assert option(command, "--allowed-media-domains") == [NOWHERE] and "--allowed-local-media-path" not in command
    context = int(option(command, "--max-model-len")[0])
    assert least_context(judge(name).budget) <= context <= (served_as(model).context or 0)


@pytest.mark.parametrize(
    ("name", "pictures"), [("trajectory", 24 + 8), ("arm-thinker", 32 + 8), ("webjudge", 64), ("checklist", 64)]
)
def test_pictures_are_limited_by_the_budget(name: str, pictures: int) -> None:
    command = command_for(judge(name), "Qwen/Qwen2.5-VL-7B-Instruct")
    assert json.loads(option(command, "--limit-mm-per-prompt")[0]) == {"image": pictures, "video": 0}
    assert option(command, "--mm-processor-cache-gb") == ["4"]
    blind = command_for(judge(name), "Qwen/Qwen3-8B")
    assert not {"--limit-mm-per-prompt", "--mm-processor-cache-gb"} & set(blind)


def test_the_context_is_the_budgets_or_reckoned_or_the_models() -> None:
    qwen3, qwen3_vl = profile_of("qwen3-8b"), profile_of("qwen3-vl-8b")
    assert wanted_context(Budget(context=5000), qwen3) == least_context(Budget(context=5000)) == 5000
    small, large = Budget(turns=2, tool_calls=2, images=2), Budget(turns=9, tool_calls=9, images=9)
    assert wanted_context(small, qwen3) < wanted_context(large, qwen3) < wanted_context(large, qwen3_vl)
    assert wanted_context(small, qwen3) == 2048 + 2 * 1024 + 2 * 2048 + 1024
    assert wanted_context(small, qwen3_vl) == 11_264  # 2 pictures of 900 tokens, in whole thousands of 1024
    given = plan_server(judge(), "Qwen/Qwen3-8B", ServerOptions(context=4096))
    assert option(given.command, "--max-model-len") == ["4096"] and not given.notes
    capped = plan_server(judge("trajectory"), "Qwen/Qwen2.5-7B-Instruct")
    assert option(capped.command, "--max-model-len") == ["32768"]
    assert "may take 65536" in capped.notes[0] and "takes 32768" in capped.notes[0]


def test_a_model_in_a_folder_is_known_by_its_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "ours"
    folder.mkdir()
    config = {"model_type": "qwen2_5_vl", "text_config": {"max_position_embeddings": 9000}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text("{% for tool in tools %}{% endfor %}")
    plan = plan_server(judge("trajectory"), str(folder))
    assert option(plan.command, "--model") == [str(folder)] and plan.names == ("ours",)
    assert option(plan.command, "--max-model-len") == ["9000"]
    assert option(plan.command, "--tool-call-parser") == ["hermes"]
    assert not any("template" in note for note in plan.notes), "its own template shows tools"
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"reading .*config\.json"):
        plan_server(judge(), str(folder))


@pytest.mark.parametrize("model", ["Qwen/Qwen2.5-VL-7B-Instruct", "OpenGVLab/InternVL3-8B"])
def test_a_template_without_tools_is_told(model: str, tmp_path: Path) -> None:
    plan = plan_server(judge(), model)
    assert "writes no tools into the prompt" in plan.notes[-1] and "--chat-template" not in plan.command
    (tmp_path / "mine.jinja").write_text("{{ tools }}")
    given = plan_server(judge(), model, ServerOptions(template=tmp_path / "mine.jinja"))
    assert option(given.command, "--chat-template") == [str(tmp_path / "mine.jinja")]
    assert not any("template" in note for note in given.notes)
    with pytest.raises(ConfigError, match="no chat template at"):
        plan_server(judge(), model, ServerOptions(template=tmp_path / "gone.jinja"))


def test_idefics3_gets_a_template_that_shows_tools() -> None:
    command = command_for(judge(), "HuggingFaceM4/Idefics3-8B-Llama3")
    (template,) = option(command, "--chat-template")
    assert Path(template).parent == TEMPLATES and "tools" in Path(template).read_text()


def test_for_training_log_probabilities_are_of_what_was_sampled_from() -> None:
    command = command_for(judge(), "Qwen/Qwen3-8B", ServerOptions(for_training=True))
    assert option(command, "--logprobs-mode") == ["processed_logprobs"]


def test_what_is_given_wins() -> None:
    options = ServerOptions(
        python="/opt/python",
        host="0.0.0.0",
        port=8123,
        names=("judge", "claims"),
        tools="pythonic",
        reasoning="none",
        data_parallel=4,
        image_cache=1.5,
        media_path=Path("/data"),
        media_domains=("pictures.example", "other.example"),
        extra=("--max-model-len", "8192"),
    )
    plan = plan_server(judge("trajectory"), "Qwen/Qwen3-VL-8B-Thinking", options)
    command = plan.command
    assert command[0] == "/opt/python" and plan.url == "http://127.0.0.1:8123" and plan.names == ("judge", "claims")
    assert option(command, "--tool-call-parser") == ["pythonic"] and "--reasoning-parser" not in command
    assert option(command, "--data-parallel-size") == ["4"] and "caches prefixes of its own" in plan.notes[-1]
    assert option(command, "--allowed-media-domains") == ["pictures.example", "other.example"]
    assert option(command, "--allowed-local-media-path") == ["/data"]
    assert command[-2:] == ["--max-model-len", "8192"], "what comes last wins in vLLM"


def test_on_the_cpu_prompts_are_read_whole() -> None:
    plan = plan_server(judge(), "Qwen/Qwen3-8B", ServerOptions(cpu=True, context=4096))
    assert "--no-enable-chunked-prefill" in plan.command
    assert option(plan.command, "--max-num-batched-tokens") == ["4096"]
    assert plan.environment["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    elsewhere = plan_server(judge(), "Qwen/Qwen3-8B")
    assert "--enforce-eager" not in elsewhere.command and not any("CPU" in name for name in elsewhere.environment)
    assert elsewhere.environment["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"


# adapters


def adapter(folder: Path, rank: int) -> str:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, "peft_type": "LORA"}))
    return str(folder)


def test_adapters_share_a_base_with_room_for_the_highest_rank(tmp_path: Path) -> None:
    adapters = {"qwen3-claims": adapter(tmp_path / "a", 4), "qwen3-runs": adapter(tmp_path / "b", 20)}
    plan = plan_server(judge(), "Qwen/Qwen3-8B", ServerOptions(adapters=adapters))
    assert option(plan.command, "--lora-modules") == [f"qwen3-claims={tmp_path}/a", f"qwen3-runs={tmp_path}/b"]
    assert option(plan.command, "--max-lora-rank") == ["32"] and option(plan.command, "--max-loras") == ["2"]
    assert plan.names == ("Qwen/Qwen3-8B", *adapters) and not plan.notes
    spare = command_for(judge(), "Qwen/Qwen3-8B", ServerOptions(adapters=adapters, cpu=True))
    assert option(spare, "--max-loras") == ["3"], "on the CPU the last slot stays empty, for the base"


def test_an_adapter_whose_name_hides_its_family_is_told(tmp_path: Path) -> None:
    adapters = {"claims": adapter(tmp_path / "a", 8)}
    (note,) = plan_server(judge(), "Qwen/Qwen3-8B", ServerOptions(adapters=adapters)).notes
    assert "takes claims for 'generic'" in note and "qwen3-claims" in note


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    high = adapter(tmp_path / "high", 4096)
    for adapters, says in (
        ({"qwen3-a": str(tmp_path / "gone")}, "no folder"),
        ({"qwen3-a": str(tmp_path / "empty")}, "no adapter_config.json"),
        ({"qwen3-a": high}, "up to rank 512, not 4096"),
        ({"Qwen/Qwen3-8B": "org/name"}, "are the same"),
    ):
        with pytest.raises(ConfigError, match=says):
            plan_server(judge(), "Qwen/Qwen3-8B", ServerOptions(adapters=adapters))


# the command


def test_the_command_is_printed_for_a_shell(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    lora = adapter(tmp_path / "a" / "lora", 8)
    args = ["vllm", "trajectory", "--model", "Qwen/Qwen3-VL-8B-Instruct", "--print", "--adapter", f"qwen3-vl-a={lora}"]
    done = CliRunner().invoke(main, [*args, "--python", sys.executable, "--", "--gpu-memory-utilization", "0.8"])
    assert done.exit_code == 0 and done.stderr == "", done.output
    words = shlex.split(done.stdout)
    assert words[0] == "VLLM_MEDIA_URL_ALLOW_REDIRECTS=0" and words[-2:] == ["--gpu-memory-utilization", "0.8"]
    assert words[3] == sys.executable and option(words, "--lora-modules") == [f"qwen3-vl-a={lora}"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nobody", "--model", "m"], "unknown judge 'nobody'"),
        (["veri-r1", "--model", "m", "--adapter", "x"], "NAME=PATH"),
        (["veri-r1", "--model", "m", "--adapter", "x=a/b", "--adapter", "x=c/d"], "two adapters are called 'x'"),
        (["veri-r1", "--model", "m", "--python", "/no/python"], "no program at /no/python"),
    ],
)
def test_bad_input_is_one_line(args: list[str], says: str) -> None:
    done = CliRunner().invoke(main, ["vllm", *args, "--print"])
    assert (done.exit_code, done.stdout) == (2, "") and says in done.stderr


def test_the_python_that_has_vllm_is_found_beside_its_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AGENTJUDGE_VLLM_PYTHON", raising=False)
    for name in ("vllm", "python"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("agentjudge.serving.vllm_process.find_spec", lambda name: None)
    assert find_python() == str(tmp_path / "python")
    monkeypatch.setenv("AGENTJUDGE_VLLM_PYTHON", sys.executable)
    assert find_python() == sys.executable
    monkeypatch.delenv("AGENTJUDGE_VLLM_PYTHON")
    (tmp_path / "vllm").unlink()
    with pytest.raises(ConfigError, match="no python here has vLLM"):
        find_python()


# the process: a stand-in that is healthy after a moment, with an engine of its own

STAND_IN = """
import http.server, os, subprocess, sys, time
engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("engine", engine.pid, flush=True)
if "--fail" in sys.argv:
    print("ValueError: User-specified max_model_len (9) is greater than the derived max_model_len (8)", flush=True)
    sys.exit(1)
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
        if self.path == "/die":
            os.kill(os.getpid(), 9)
    def log_message(self, *_):
        pass
time.sleep(0.3)
print("serving", os.environ["STAND_IN"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def stand_in(*args: str) -> ServerPlan:
    port = free_port()
    command = [sys.executable, "-c", STAND_IN, str(port), *args]
    return ServerPlan(command, {"STAND_IN": "here"}, ("m",), f"http://127.0.0.1:{port}", ())


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds; one that nobody has waited for yet is over too."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def engine_of(lines: list[str]) -> int:
    return int(next(line for line in lines if line.startswith("[vllm] engine")).split()[-1])


def test_a_server_is_waited_for_and_its_whole_group_ended() -> None:
    lines: list[str] = []
    with started(stand_in(), say=lines.append) as server:
        assert server.healthy() and "[vllm] serving here" in lines
        pid, engine = server.process.pid, engine_of(lines)
        assert not Path(f"/proc/{engine}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    assert gone(pid) and gone(engine)


def test_a_server_that_dies_before_it_answers_says_why() -> None:
    with pytest.raises(ModelError) as error, started(stand_in("--fail"), say=lambda line: None):
        pass
    first, *last = error.value.message.splitlines()
    assert "ended with status 1" in first and "before it could answer; the model takes less than that" in first
    assert "is greater than the derived max_model_len" in last[-1]


def test_a_server_that_is_not_healthy_in_time_is_given_up() -> None:
    lines: list[str] = []
    server = VLLMServer(stand_in()._replace(url="http://127.0.0.1:9"), say=lines.append)
    try:
        while not lines:
            time.sleep(0.05)
        with pytest.raises(ModelError, match=r"no answer within 0 s; the end of its log:\n    engine"):
            server.wait_healthy(seconds=0.0)
    finally:
        server.stop()
    assert gone(server.process.pid) and gone(engine_of(lines))


def test_what_cannot_be_started_is_told() -> None:
    with pytest.raises(ConfigError, match="cannot start /no/such/python"):
        VLLMServer(ServerPlan(["/no/such/python"], {}, (), "", ()), say=lambda line: None)


RUN = """
import sys
from agentjudge.errors import AgentJudgeError
from agentjudge.serving.vllm_command import ServerPlan
from agentjudge.serving.vllm_process import run_server
from tests.serving.test_vllm_command import stand_in
def say(line):
    print(line, flush=True)
plan = stand_in()
print(plan.url, flush=True)
try:
    run_server(plan, say=say, ready=lambda server: say("ready"))
except AgentJudgeError as exc:
    print(exc.message, flush=True)
    sys.exit(2)
"""


@pytest.fixture
def running() -> Any:
    """`run_server` in a process of its own, ready; and the lines that it printed."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), str(root / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if lines[-1] == "ready":
            break
    assert lines and lines[-1] == "ready", lines
    yield process, lines
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


def rest(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    said = process.stdout.read()
    process.wait(timeout=30)
    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_with_status_0(running: Any, number: signal.Signals) -> None:
    process, lines = running
    process.send_signal(number)
    assert "stopping vLLM" in rest(process) and process.returncode == 0
    assert gone(engine_of(lines))


def test_a_server_that_dies_while_it_serves_is_told(running: Any) -> None:
    process, lines = running
    parent = int(Path(f"/proc/{engine_of(lines)}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    said = rest(process)
    assert process.returncode == 2 and "vLLM ended by SIGKILL, as when the machine runs out of memory" in said
    assert "while it served" in said and "serving here" in said.splitlines()[-1]
    assert gone(engine_of(lines))


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("OSError: [Errno 98] Address already in use", "--port"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "--gpu-memory-utilization"),
        ("ValueError: Qwen2VL does not support LoRA yet.", "cannot put adapters"),
        ("RuntimeError: Failed to infer device type", "--cpu"),
        ("ModuleNotFoundError: No module named 'vllm'", "--python"),
        ("INFO all is well", ""),
    ],
)
def test_known_causes_have_a_hint(line: str, hint: str) -> None:
    found = cause(["INFO one", line])
    assert hint in found if hint else found == ""
