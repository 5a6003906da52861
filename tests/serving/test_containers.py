"""The container files hold what they say, and what listens for others wants keys."""

import re
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner
from starlette.testclient import TestClient

from agentjudge.cli import main
from agentjudge.cli_serve import serve
from agentjudge.demo import CORPUS
from agentjudge.registry import lookup
from agentjudge.serving.rewards_service import RetrieveService
from agentjudge.serving.vllm_command import ServerOptions, plan_server

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("AGENTJUDGE_SERVE_KEY", "POSTGRES_PASSWORD", "SEARXNG_SECRET")


@pytest.fixture
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])


def test_images_are_pinned_and_secrets_have_no_default(compose: dict[str, Any]) -> None:
    froms = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    images = [service["image"] for service in compose.values() if "build" not in service]
    assert set(compose) == {"api", "postgres", "searxng", "vllm"} and len(set(froms)) == 1
    for image in (*froms, *images):
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?[\w.-]*", image), image
    text = (ROOT / "compose.yaml").read_text()
    for name in (*SECRETS, "AGENTJUDGE_CORPUS"):
        uses = re.findall(rf"\$\{{{name}[^}}]*\}}", text)
        assert uses and all(use.startswith(f"${{{name}:?") for use in uses)
        assert re.search(rf"^{name}=$", (ROOT / "deploy" / "env.example").read_text(), re.MULTILINE)
    assert [name for name, service in compose.items() if "ports" in service] == ["api"]
    assert compose["api"]["ports"][0].startswith("127.0.0.1:")
    assert all("healthcheck" in service for name, service in compose.items() if name != "api")


def test_vllm_is_started_as_the_command_starts_it(compose: dict[str, Any]) -> None:
    given = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", "\n".join(compose["vllm"]["command"])).split("\n")
    judge, model = lookup("judge", "trajectory").target(), "Qwen/Qwen3-8B"
    plan = plan_server(judge, model, ServerOptions(python="python3", host="0.0.0.0"))
    options = " ".join(plan.command).partition("api_server ")[2]
    planned = re.split(r" (?=--)", options.replace(f" --served-model-name {model}", ""))
    assert sorted(given) == sorted(re.sub(r"^(--[\w-]+) ", r"\1=", each) for each in planned)
    assert plan.environment.items() <= compose["vllm"]["environment"].items()
    longest = [plan_server(lookup("judge", name).target(), model, ServerOptions(python="python3")).command
               for name in ("veri-r1", "arm-thinker", "compare", "trajectory", "web-arbiter")]  # fmt: skip
    context = [int(command[command.index("--max-model-len") + 1]) for command in longest]
    assert f"--max-model-len={max(context)}" in given


def test_the_image_is_made_of_what_is_there() -> None:
    text = (ROOT / "Dockerfile").read_text()
    extras = re.search(r'ARG EXTRAS="([^"]+)"', text)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras is not None and set(extras[1].split()) <= set(known)
    heavy = [each for name in extras[1].split() for each in known[name] if "torch" in each or "agentjudge[" in each]
    assert heavy == []
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists() and f"!{name}" in ignored
    options = {option for param in serve.params for option in param.opts}
    commands = (ROOT / "compose.yaml").read_text() + text
    assert set(re.findall(r"--(?:host|store|corpus|model|search|checkpoints)\b", commands)) <= options


@pytest.mark.parametrize("more", [[], ["--workers", "2", "--corpus", str(CORPUS)], ["--rewards"]])
def test_what_others_reach_wants_keys(more: list[str]) -> None:
    found = CliRunner(env={"AGENTJUDGE_SERVE_KEY": None}).invoke(main, ["serve", "--host", "0.0.0.0", *more])
    assert found.exit_code == 2 and "whoever reaches 0.0.0.0 could use all of it" in found.output


def test_a_corpus_of_several_processes_has_its_keys() -> None:
    with TestClient(RetrieveService((str(CORPUS),), keys=("secret",))()) as client:
        for headers, code in (({}, 401), ({"X-API-Key": "other"}, 401), ({"X-API-Key": "secret"}, 200)):
            reply: httpx.Response = client.post("/retrieve", json={"queries": ["Linus"]}, headers=headers)
            assert reply.status_code == code, reply.text
        assert client.get("/health").status_code == 200
