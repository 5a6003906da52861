"""Rollouts on real vLLM: what is trained is what the server sampled, and new weights are proved or refused.

The server of rollouts computes in fp32, as the trainer that its log-probabilities are held against.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from noted_samplers import Noted, same  # noqa: E402

from agentjudge.budget import Budget  # noqa: E402
from agentjudge.errors import ConfigError, ContextOverflow, ModelError  # noqa: E402
from agentjudge.judge import Judge  # noqa: E402
from agentjudge.models.base import Sampling  # noqa: E402
from agentjudge.trace import Trace  # noqa: E402
from agentjudge.training.gym import ClaimGym  # noqa: E402
from agentjudge.training.rows import TrainRow, assemble, drift_of  # noqa: E402
from agentjudge.training.templates import keep_prefix, turn_end  # noqa: E402
from agentjudge.training.tokens import TokenModel  # noqa: E402
from agentjudge.training.vllm_refresh import refresh  # noqa: E402
from agentjudge.training.vllm_sampler import VLLMSampler  # noqa: E402

NAME, TAGS = "tiny-qwen3", "tiny-veri-r1"
GROUP, WORLDS = 8, 13


class Live:
    """A server of our own options, and its weights in transformers."""

    def __init__(self, servers: Any, folder: Path, *, dtype: str = "float32", adapters: bool = False) -> None:
        servers.stop()  # one at a time, for memory's sake
        start = sys.modules[type(servers).__module__].start
        options = ["--served-model-name", NAME, TAGS, "--dtype", dtype]
        options += ["--enable-lora", "--max-lora-rank", "8"] if adapters else []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VLLM_SERVER_DEV_MODE", "1")
            patch.setenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1")
            self.server = start(folder, options, servers.logs / f"rollouts-{folder.name}-{dtype}.log")
        self.folder = folder
        self.words = keep_prefix(transformers.AutoTokenizer.from_pretrained(folder))
        self.policy = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    @property
    def url(self) -> str:
        return str(self.server.url)

    def sampler(self, name: str = NAME, **options: Any) -> VLLMSampler:
        return VLLMSampler(self.url, name, ends=[turn_end(self.words).id], **options)


@pytest.fixture(scope="module")
def live(servers: Any) -> Iterator[Live]:
    live = Live(servers, servers.models / "qwen3", adapters=True)
    yield live
    live.server.stop()


async def rollouts(model: TokenModel, worlds: int, sampling: Sampling) -> list[Trace]:
    running = []
    for world in islice(ClaimGym(hops=(1,), documents=6).worlds(), worlds):
        judge = Judge.load(
            "veri-r1",
            model=model,
            corpus=world.corpus,
            budget=Budget(turns=3, tool_calls=2, answer_tokens=24),
            sampling=sampling,
        )
        running += [judge.arun(world.cases[0]) for _ in range(GROUP)]
    traces = list(await asyncio.gather(*running))
    assert not [
        trace.verdict.failure for trace in traces if trace.verdict.failure and trace.verdict.failure.kind != "parse"
    ]
    return traces


def off(policy: Any, rows: Sequence[TrainRow]) -> Any:
    """Absolute differences of log-probabilities, a token, by a forward pass over each row."""
    found = []
    for row in rows:
        with torch.no_grad():
            logits = policy(torch.tensor([row.input_ids])).logits[0, :-1]
        exact = torch.log_softmax(logits, -1).gather(-1, torch.tensor(row.input_ids[1:])[:, None])[:, 0]
        mask = torch.tensor(row.loss_mask[1:], dtype=torch.bool)
        found.append((exact - torch.tensor(row.logprobs[1:]))[mask].abs())
    return torch.cat(found)


async def test_104_rollouts_do_not_drift(live: Live) -> None:
    noted = Noted(live.sampler())
    model = TokenModel(noted, live.words, name=NAME)
    traces = await rollouts(model, WORLDS, Sampling(max_tokens=48, temperature=1.0))
    await model.aclose()
    rows = [row for trace in traces for row in assemble(trace, "strict")]
    assert len(rows) == len(traces) == 104
    assert drift_of(rows) == (sum(len(trace.turns) - 1 for trace in traces), 0, 0, 0)
    same(rows, noted.answers)
    looked = sum(event.status == "ok" for trace in traces for event in trace.events)
    turns = [turn for trace in traces for turn in trace.turns]
    again = [live.words.encode(live.words.decode(turn.output_ids), add_special_tokens=False) for turn in turns]
    other = sum(ids != turn.output_ids for ids, turn in zip(again, turns, strict=True))
    apart = off(live.policy, rows)
    print(
        f"\n{len(turns)} turns, {looked} searches, {other} not the tokens of their text; "
        f"{len(apart)} tokens {float(apart.mean()):.1e} nats off, {float(apart.max()):.1e} at most"
    )
    assert looked > 20 and other > 0, "not the rollouts that this test is about"
    assert float(apart.mean()) < 0.02


async def test_running_texts_go_on_from_what_was_sampled(live: Live) -> None:
    """Tags: the one token that may be lost is an end in the middle of a text that goes on."""
    noted = Noted(live.sampler(TAGS))
    model = TokenModel(noted, live.words, name=TAGS)
    traces = await rollouts(model, 3, Sampling(max_tokens=48, temperature=1.0))
    await model.aclose()
    end = turn_end(live.words).id
    for trace in traces:
        lost = sum(turn.output_ids is not None and turn.output_ids[-1] == end for turn in trace.turns[:-1])
        assert drift_of(assemble(trace, "realign")).tokens == lost
    same([row for trace in traces for row in assemble(trace, "fork")], noted.answers)
    assert any(event.status == "ok" for trace in traces for event in trace.events)


async def test_the_sampler_by_itself(live: Live) -> None:
    prompt = live.words.encode("<|im_start|>user\nIs it blue?<|im_end|>\n<|im_start|>assistant\n")
    sampler = live.sampler(version="step-3")
    greedy = await sampler.sample(prompt, max_tokens=8, temperature=0, stop=["never"])
    assert greedy.version == "step-3" and len(greedy.ids) == len(greedy.logprobs)
    ids = torch.tensor([prompt])
    own = live.policy.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
    assert greedy.ids == own[0, len(prompt) :].tolist()
    noise = list(range(300, 340))  # what it has not learned to go on from
    seeded = [await sampler.sample(noise, max_tokens=8, temperature=1.0, seed=n) for n in (1, 1, 2)]
    assert seeded[0].ids == seeded[1].ids != seeded[2].ids
    text = live.words.decode(greedy.ids[:3])[-2:]
    cut = await sampler.sample(prompt, max_tokens=8, temperature=0, stop=[text])
    assert cut.finish == "stop" and cut.ids == greedy.ids[: len(cut.ids)] and text in live.words.decode(cut.ids)
    with pytest.raises(ConfigError, match="--logprobs-mode processed_logprobs"):
        await sampler.sample(prompt, max_tokens=8, temperature=0.7)
    with pytest.raises(ContextOverflow):
        await sampler.sample(prompt * 2000, max_tokens=8, temperature=1.0)
    with pytest.raises(ModelError, match="no answer within"):
        await sampler.sample(prompt, max_tokens=4000, temperature=1.0, deadline=0.05)
    await sampler.aclose()


def asked() -> list[list[int]]:
    """Prompts of noise."""
    chance = torch.Generator().manual_seed(0)
    return [torch.randint(256, 1500, (150,), generator=chance).tolist() for _ in range(4)]


def stirred(policy: Any, seed: int, *, by: float = 0.02) -> Any:
    """The model with other weights, as far as they are trained."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in policy.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=chance) * by)
    return policy


async def far(live: Live, policy: Any, name: str = NAME) -> float:
    """How far the server's tokens are from a model, found without `refresh`."""
    sampler, prompt = live.sampler(name), asked()[0]
    said = await sampler.sample(prompt, max_tokens=8, temperature=0)
    await sampler.aclose()
    with torch.no_grad():
        odds = torch.log_softmax(policy(torch.tensor([prompt + said.ids])).logits[0, len(prompt) - 1 : -1], -1)
    own = odds.gather(-1, torch.tensor(said.ids)[:, None])[:, 0]
    return float((own - torch.tensor(said.logprobs)).abs().mean())


async def test_adapters_are_proved(live: Live, tmp_path: Path) -> None:
    """Loaded while the server runs, each under a name of its own."""
    peft = pytest.importorskip("peft")
    policies = []
    for step in (1, 2):
        base = transformers.AutoModelForCausalLM.from_pretrained(live.folder, dtype=torch.float32)
        config = peft.LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj", "down_proj"])
        policies.append(stirred(peft.get_peft_model(base, config), step, by=0.1))
        policies[-1].save_pretrained(tmp_path / f"step-{step}")
    for step, policy in enumerate(policies, 1):
        folder = tmp_path / f"step-{step}"
        done = await refresh(live.url, f"step-{step}", policy, asked(), folder=folder, adapter=True)
        print(f"\nadapter {step}: {done}")
        assert done.after < 0.05 and await far(live, policy, f"step-{step}") < 0.05
        assert await far(live, policy) > 0.1, "the adapter changes nothing"
    with pytest.raises(ModelError, match="serves another model"):
        await refresh(live.url, "step-3", policies[0], asked(), folder=tmp_path / "step-2", adapter=True)


def tied(servers: Any, folder: Path) -> Path:
    """A random model whose output weights are those of its embeddings, as small models have them."""
    torch.manual_seed(0)
    old = servers.models / "qwen3"
    config = transformers.AutoConfig.from_pretrained(old)
    config.tie_word_embeddings = True
    transformers.Qwen3ForCausalLM(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(old).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "tied"])
async def test_new_weights_are_proved_or_refused(live: Live, servers: Any, tmp_path: Path, kind: str) -> None:
    """Never silently wrong: where `refresh` returns, the server's tokens are those of the new weights."""
    dtype = "bfloat16" if kind == "bfloat16" else "float32"
    old = tied(servers, tmp_path / "old") if kind == "tied" else servers.models / "qwen3"
    server = live if kind == "float32" else Live(servers, old, dtype=dtype)
    policy = stirred(transformers.AutoModelForCausalLM.from_pretrained(old, dtype=torch.float32), 1)
    policy = policy.to(getattr(torch, dtype)).float()  # what is left of the weights there
    folder = tmp_path / "new"
    policy.save_pretrained(folder)
    live.words.save_pretrained(folder)
    taken = False
    try:
        done = await refresh(server.url, NAME, policy, asked(), folder=folder)
        taken = True
        print(f"\n{kind}: this build takes new weights: {done}")
        assert done.after < 0.05 < done.before and await far(server, policy) < 0.05
        with pytest.raises(ModelError, match="serves another model"):
            await refresh(server.url, NAME, policy, asked(), folder=old)
    except ModelError as exc:
        print(f"\n{kind}: this build does not take new weights: {exc.message}")
        assert "Restart it with these weights" in exc.message
        assert await far(server, policy) > 0.05, "refused what was right"
    server.server.stop()
    if not taken:
        fresh = Live(servers, folder, dtype=dtype)  # restarted with the new weights, as the error says
        try:
            assert await far(fresh, policy) < 0.05
        finally:
            fresh.server.stop()


async def test_a_server_that_was_not_started_for_it_is_named(qwen3: Any, servers: Any) -> None:
    policy = transformers.AutoModelForCausalLM.from_pretrained(servers.models / "qwen3", dtype=torch.float32)
    with pytest.raises(ConfigError, match="start it with VLLM_SERVER_DEV_MODE=1"):
        await refresh(qwen3.url, NAME, policy, [list(range(300, 400))], folder=servers.models / "qwen3")
    with pytest.raises(ConfigError, match="--enable-lora"):
        await refresh(qwen3.url, "step-1", policy, [[300]], folder=servers.models, adapter=True)
    with pytest.raises(ConfigError, match="give some prompts"):
        await refresh(qwen3.url, NAME, policy, [], folder=servers.models)
