"""For tests that run inside an engine's environment, made by `install.py`; elsewhere they are skipped."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import guide
import pytest
import reward_servers
import tiny_models

from agentjudge.case import Response
from agentjudge.errors import ModelError
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel

TESTS = str(Path(__file__).resolve().parents[1])
if Path(sys.prefix).name.startswith(".venv-"):
    sys.path[:] = [place for place in sys.path if place != TESTS]  # tests/vllm would pass for vllm
else:
    engines = Path(__file__).parent.glob("test_*.py")
    collect_ignore = [file.name for file in engines if file.name != "test_agent_lightning.py"]


class Flaky:
    """Scores an answer by its length, and is away for every third one that it is asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: Request) -> str:
        case = request.case
        assert isinstance(case, Response)
        self.asked.append(case.response)
        if len(self.asked) % 3 == 0:
            raise ModelError("the judge's server is away", retriable=True)
        score = worth(case.response)
        criteria = [{"name": "length", "reason": "So long.", "score": score}]
        return json.dumps({"criteria": criteria, "reason": "So long.", "evidence": [], "score": score})


def worth(answer: str) -> float:
    """What `Flaky` thinks of an answer."""
    return round(sum(answer.encode()) % 101 / 100, 2)


@pytest.fixture
def flaky() -> Flaky:
    return Flaky()


@pytest.fixture
def judge(flaky: Flaky) -> Iterator[Judge]:
    """A judge of responses that fails on a third of them."""
    with Judge.load("compare", model=ScriptedModel(flaky), seed=0) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a tiny Qwen3, with the arguments of `build_qwen3` after the folder; random without phrases."""

    def build(phrases: dict[str, list[str]] | None = None, **options: Any) -> Path:
        return tiny_models.build_qwen3(tmp_path_factory.mktemp("model"), phrases, **options)

    return build


@pytest.fixture
def serve_rewards() -> Iterator[Callable[..., str]]:
    """Starts reward servers, with the arguments of `reward_server`; gives their addresses."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(reward_servers.reward_server(*args, **options))


@pytest.fixture
def run_block() -> Callable[..., dict[str, Any]]:
    """Runs a block of the guide to rewards with some names; gives what it defines."""

    def run(name: str, **names: Any) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "guide", **names}
        exec(compile(guide.BLOCKS[f"run: {name}"], "docs/rewards.md", "exec"), namespace)
        return namespace

    return run


@pytest.fixture
def block() -> Callable[[str], str]:
    """The text of a block of the guide."""
    return guide.BLOCKS.__getitem__
