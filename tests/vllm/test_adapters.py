"""Two judges as two LoRA adapters on one base, as `agentjudge vllm` serves them."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

from agentjudge.budget import Budget  # noqa: E402
from agentjudge.case import Claim  # noqa: E402
from agentjudge.demo import CORPUS  # noqa: E402
from agentjudge.doctor import EXTRAS, examine  # noqa: E402
from agentjudge.evidence import EvidenceStore  # noqa: E402
from agentjudge.judge import Judge  # noqa: E402
from agentjudge.models.base import Request, Sampling, load_model  # noqa: E402
from agentjudge.registry import lookup  # noqa: E402
from agentjudge.serving.vllm_command import ServerOptions, plan_server  # noqa: E402
from agentjudge.serving.vllm_process import VLLMServer, started  # noqa: E402
from agentjudge.trace import Turn  # noqa: E402
from tests.vllm.conftest import ENVIRONMENT, PYTHON  # noqa: E402

BASE, CLAIMS, RUNS = "qwen3", "qwen3-claims", "qwen3-runs"
RANK, ALPHA = 4, 8
NEAR = 0.25
"""Nats between log-probabilities in bfloat16 and in float32, at most; with other weights they are 3 apart or more."""
TARGETS = ("o_proj", "down_proj")


class Adapter(NamedTuple):
    """Low-rank changes by the name of the weight that they are added to."""

    folder: Path
    parts: dict[str, tuple[Any, Any]]


def write_adapter(folder: Path, base: Any, seed: int) -> Adapter:
    """A random adapter in the form in which peft saves them."""
    chance = torch.Generator().manual_seed(seed)
    parts = {
        name.removesuffix(".weight"): (
            torch.randn(RANK, weight.shape[1], generator=chance) / weight.shape[1] ** 0.5,
            torch.randn(weight.shape[0], RANK, generator=chance) * 0.5,
        )
        for name, weight in base.named_parameters()
        if name.endswith(tuple(f"{target}.weight" for target in TARGETS))
    }
    folder.mkdir()
    saved = {}
    for name, (down, up) in parts.items():
        saved |= {f"base_model.model.{name}.lora_A.weight": down, f"base_model.model.{name}.lora_B.weight": up}
    safetensors.save_file(saved, str(folder / "adapter_model.safetensors"))
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA, "bias": "none"}
    config |= {"target_modules": list(TARGETS), "base_model_name_or_path": BASE}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return Adapter(folder, parts)


def merged(base: Path, adapter: Adapter | None) -> Any:
    """The base with an adapter added to its weights."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.no_grad():
        for name, (down, up) in (adapter.parts if adapter else {}).items():
            model.get_submodule(name).weight += ALPHA / RANK * up @ down
    return model


@torch.no_grad()
def odds(model: Any, turn: Turn) -> list[float]:
    """Log-probabilities of a turn's tokens with these weights."""
    assert turn.prompt_ids and turn.output_ids
    logprobs = model(torch.tensor([[*turn.prompt_ids, *turn.output_ids]])).logits[0].log_softmax(-1)
    start = len(turn.prompt_ids) - 1
    return [float(logprobs[start + place, token]) for place, token in enumerate(turn.output_ids)]


class Shared(NamedTuple):
    server: VLLMServer
    base: Path
    adapters: dict[str, Adapter]

    def spec(self, name: str) -> str:
        return f"vllm:{name}@{self.server.plan.url}"


@pytest.fixture(scope="module")
def shared(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    servers.stop()  # one at a time, for memory's sake
    base, folder = servers.models / "qwen3", tmp_path_factory.mktemp("adapters")
    model = merged(base, None)
    adapters = {name: write_adapter(folder / name, model, seed) for seed, name in enumerate((CLAIMS, RUNS))}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    options = ServerOptions(
        python=str(PYTHON),
        port=port,
        names=(BASE,),
        adapters={name: str(adapter.folder) for name, adapter in adapters.items()},
        context=8192,
        reasoning="none",  # the tiny model thinks nothing
        cpu=True,
    )
    plan = plan_server(lookup("judge", "veri-r1").target(), str(base), options)
    assert not plan.notes
    log: list[str] = []
    with started(plan._replace(environment={**plan.environment, **ENVIRONMENT}), say=log.append, seconds=540) as server:
        yield Shared(server, base, adapters)


def ask(text: str) -> Request:
    return Request(
        case=Claim(id="c", claim="c"),
        messages=[{"role": "user", "content": text}],
        events=(),
        opening=(),
        store=EvidenceStore(),
        tools=[],
        sampling=Sampling(max_tokens=12, seed=0),
    )


async def answers(shared: Shared, text: str) -> dict[str, Turn]:
    """What the base and both adapters say, asked at once."""
    models = {name: load_model(shared.spec(name)) for name in (BASE, CLAIMS, RUNS)}
    turns = await asyncio.gather(*(model.act(ask(text)) for model in models.values()))
    for model in models.values():
        await model.aclose()
    return dict(zip(models, turns, strict=True))


async def test_each_answers_under_its_own_name_with_its_own_weights(shared: Shared) -> None:
    text = "Is the bridge that was opened in 1932 the oldest one? " * 20
    first, again = await answers(shared, text), await answers(shared, text)  # the second time from the prefix cache
    assert {name: turn.model_version for name, turn in first.items()} == {name: name for name in (BASE, CLAIMS, RUNS)}
    assert len({tuple(turn.logprobs or ()) for turn in first.values()}) == 3
    assert len({tuple(turn.prompt_ids or ()) for turn in first.values()}) == 1
    weights = {name: merged(shared.base, shared.adapters.get(name)) for name in first}
    for name, turn in first.items():
        assert turn.prompt_ids and turn.output_ids and turn.logprobs
        assert again[name].output_ids == turn.output_ids and again[name].usage.cached_tokens > 0
        own, *others = [odds(weights[one], turn) for one in (name, *(other for other in weights if other != name))]
        assert turn.logprobs == pytest.approx(own, abs=NEAR), f"{name} does not answer with its own weights"
        assert all(turn.logprobs != pytest.approx(other, abs=NEAR) for other in others)


def test_two_judges_share_the_base(shared: Shared) -> None:
    claim = Claim(id="c", claim="The bridge opened in 1932.")
    budget = Budget(turns=2, tool_calls=2, answer_tokens=200, seconds=240)
    seen = {}
    for name in (CLAIMS, RUNS):
        sampling = Sampling(max_tokens=40, seed=0)
        with Judge.load("veri-r1", model=shared.spec(name), corpus=CORPUS, budget=budget, sampling=sampling) as judge:
            trace = judge.run(claim)
        assert trace.turns and {turn.model_version for turn in trace.turns} == {name}
        assert trace.verdict.failure is None or trace.verdict.failure.kind in ("parse", "budget")
        seen[name] = [turn.output_ids for turn in trace.turns]
    assert seen[CLAIMS] != seen[RUNS]


def test_the_doctor_knows_an_adapter(shared: Shared) -> None:
    found = {finding.name: finding for finding in examine(shared.spec(CLAIMS))[2 + len(EXTRAS) + 1 :]}
    assert found["served name"].detail == f"{CLAIMS}, an adapter on {BASE}"
    assert found["context"].detail.startswith("8192 tokens"), found["context"]
    assert found["log-prob mode"].state == found["prefix cache"].state == found["JSON schema"].state == "ok", found
