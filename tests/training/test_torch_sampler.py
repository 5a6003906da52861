"""Sampling from a live model, held against transformers' own generation and against whole forward passes."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tiny_models import build_qwen3  # noqa: E402

from agentjudge.errors import ConfigError, ContextOverflow, ModelError  # noqa: E402
from agentjudge.training.tokens import Sampled  # noqa: E402
from agentjudge.training.torch_sampler import TorchSampler  # noqa: E402

CONTEXT = 512


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_qwen3(tmp_path_factory.mktemp("sampler") / "qwen3", context=CONTEXT)


@pytest.fixture
def model(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.fixture(scope="module")
def words(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder)


@pytest.fixture
async def sampler(model: Any, words: Any) -> AsyncIterator[TorchSampler]:
    sampler = TorchSampler(model, words, version="v1")
    yield sampler
    await sampler.aclose()


def prompts(count: int, *, shared: int = 20, seed: int = 0) -> list[list[int]]:
    """Prompts of many lengths with a common beginning."""
    chance = random.Random(seed)
    start = [chance.randrange(256) for _ in range(shared)]
    return [start + [chance.randrange(256) for _ in range(chance.randrange(1, 60))] for _ in range(count)]


def odds_of(model: Any, prompt: list[int], sampled: Sampled, *, temperature: float = 1.0) -> Any:
    """Log-probabilities at the places of the sampled tokens, by one forward pass over everything."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + sampled.ids])).logits[0].float()
    return torch.log_softmax(logits / temperature, dim=-1)[len(prompt) - 1 : -1]


def of_tokens(odds: Any, sampled: Sampled) -> Any:
    return odds.gather(-1, torch.tensor(sampled.ids)[:, None])[:, 0]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
async def test_greedy_ids_are_those_of_transformers(folder: Path, words: Any, attention: str) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    )
    sampler = TorchSampler(model, words)
    asked = prompts(12)
    answers = await asyncio.gather(*(sampler.sample(p, max_tokens=24, temperature=0, top_p=0.3) for p in asked))
    await sampler.aclose()
    for prompt, answer in zip(asked, answers, strict=True):
        ids = torch.tensor([prompt])
        expected = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False)
        assert answer.ids == expected[0, len(prompt) :].tolist()
        assert answer.finish == ("stop" if answer.ids[-1] in sampler.ends else "length")
        exact = of_tokens(odds_of(model, prompt, answer), answer)
        assert answer.logprobs == pytest.approx(exact.tolist(), abs=1e-4), "not those of the plain softmax"


async def test_32_at_once_are_as_one_by_one(sampler: TorchSampler, model: Any) -> None:
    asked = prompts(32)
    options = [{"max_tokens": 4 + 2 * n, "temperature": 1.0, "seed": n % 5} for n in range(32)]

    async def late(n: int) -> Sampled:
        await asyncio.sleep(0.002 * (n % 7))
        return await sampler.sample(asked[n], **options[n])

    together = await asyncio.gather(*(late(n) for n in range(32)))
    with sampler.paused():
        pass
    alone = [await sampler.sample(prompt, **more) for prompt, more in zip(asked, options, strict=True)]
    assert [each.ids for each in together] == [each.ids for each in alone]
    off = [
        abs(of_tokens(odds_of(model, prompt, answer), answer) - torch.tensor(answer.logprobs))
        for prompt, answer in zip(asked, together, strict=True)
    ]
    assert float(torch.cat(off).mean()) < 1e-5 and all(each.version == "v1" for each in together)


@pytest.mark.parametrize("temperature, top_p", [(0.7, 1.0), (1.6, 1.0), (1.3, 0.6), (1.0, 1e-6)])
async def test_logprobs_are_of_what_was_drawn_from(
    sampler: TorchSampler, model: Any, temperature: float, top_p: float
) -> None:
    """Held against transformers' own warpers; the frequencies of first tokens are those of the probabilities."""
    (prompt,) = prompts(1)
    answer = await sampler.sample(prompt, max_tokens=20, temperature=temperature, top_p=top_p, seed=3)
    with torch.no_grad():
        logits = model(torch.tensor([prompt + answer.ids])).logits[0, len(prompt) - 1 : -1].float()
    warp = transformers.LogitsProcessorList([transformers.TemperatureLogitsWarper(temperature)])
    if top_p < 1:
        warp.append(transformers.TopPLogitsWarper(top_p))
    exact = of_tokens(torch.log_softmax(warp(None, logits), dim=-1), answer)
    assert answer.logprobs == pytest.approx(exact.tolist(), abs=1e-4)

    draws = await asyncio.gather(
        *(sampler.sample(prompt, max_tokens=1, temperature=temperature, top_p=top_p, seed=n) for n in range(400))
    )
    expected = torch.softmax(warp(None, logits[:1])[0], dim=-1)
    seen = torch.bincount(torch.tensor([each.ids[0] for each in draws]), minlength=len(expected)) / 400
    assert float((seen - expected).abs().max()) < 0.1
    assert not seen[expected == 0].any(), "drawn from outside of the smallest set"


async def test_seeds(sampler: TorchSampler, model: Any, words: Any) -> None:
    (prompt,) = prompts(1)

    async def ids(source: TorchSampler, seed: int | None) -> list[int]:
        return (await source.sample(prompt, max_tokens=12, temperature=2.0, seed=seed)).ids

    state = torch.random.get_rng_state()
    assert await ids(sampler, 1) == await ids(sampler, 1) != await ids(sampler, 2)
    assert await ids(sampler, None) != await ids(sampler, None)
    assert await ids(sampler, -1) and await ids(sampler, 2**80)
    assert torch.equal(state, torch.random.get_rng_state()), "the process's own generator was used"
    drawn = []
    for _ in range(2):
        seeded = TorchSampler(model, words, seed=5)
        drawn.append([await ids(seeded, None), await ids(seeded, None)])
        await seeded.aclose()
    assert drawn[0] == drawn[1] and drawn[0][0] != drawn[0][1]


async def test_a_conversation_goes_on_from_what_was_read(
    sampler: TorchSampler, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of prompts that are read: all of the first one, then what is new."""
    read: list[int] = []
    forward = sampler._forward

    def seen(first: int, tokens: Any, starts: Any) -> Any:
        read.append(sum(len(each) for each in tokens))
        return forward(first, tokens, starts)

    monkeypatch.setattr(sampler, "_forward", seen)
    (prompt,) = prompts(1, shared=100)
    for turn in range(3):
        read.clear()
        answer = await sampler.sample(prompt, max_tokens=8, temperature=1.0, seed=turn)
        assert read[0] == (len(prompt) if turn == 0 else 4)
        exact = of_tokens(odds_of(model, prompt, answer), answer)
        assert answer.logprobs == pytest.approx(exact.tolist(), abs=1e-4)
        prompt = [*prompt, *answer.ids, 7, 8, 9]
    read.clear()
    group = await asyncio.gather(*(sampler.sample([5] * 150, max_tokens=4, temperature=1.0, seed=n) for n in range(8)))
    assert read[0] == 150 and sum(read) < 150 + 8 * 8, "the prompt of a group is read once"
    for answer in group:
        exact = of_tokens(odds_of(model, [5] * 150, answer), answer)
        assert answer.logprobs == pytest.approx(exact.tolist(), abs=1e-4)


@pytest.mark.parametrize("way", ["in place", "data", "fused", "foreach", "adapter"])
async def test_new_weights_are_used_at_once(model: Any, words: Any, way: str) -> None:
    """Keys and values of the old ones are dropped, however the weights were changed."""
    if way == "adapter":
        peft = pytest.importorskip("peft")
        model = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["k_proj"], init_lora_weights=False))
    sampler = TorchSampler(model, words)
    (prompt,) = prompts(1, shared=80)
    before = await sampler.sample(prompt, max_tokens=6, temperature=0)
    if way in ("fused", "foreach", "adapter"):
        rates = {way: True} if way != "adapter" else {}
        optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=0.01, **rates)
        model(torch.tensor([prompt])).logits.logsumexp(-1).sum().backward()
        optimizer.step()
    else:
        with torch.no_grad():
            for weight in model.parameters():
                (weight if way == "in place" else weight.data).mul_(1.1)
    after = await sampler.sample(prompt, max_tokens=6, temperature=0)
    await sampler.aclose()
    exact = of_tokens(odds_of(model, prompt, after), after)
    assert after.logprobs == pytest.approx(exact.tolist(), abs=1e-4) and after.logprobs != before.logprobs


async def test_nothing_is_sampled_in_a_pause(sampler: TorchSampler, model: Any) -> None:
    (prompt,) = prompts(1)
    async with sampler.paused():
        with torch.no_grad():
            model.lm_head.weight.mul_(0.9)
        sampler.version = "v2"
        waiting = asyncio.create_task(sampler.sample(prompt, max_tokens=6, temperature=0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
    last = await waiting
    exact = of_tokens(odds_of(model, prompt, last), last)
    assert last.logprobs == pytest.approx(exact.tolist(), abs=1e-4) and last.version == "v2"


async def test_a_pause_lets_answers_in_flight_end(sampler: TorchSampler) -> None:
    sampler.ends = frozenset()
    running = [asyncio.create_task(sampler.sample(p, max_tokens=60, temperature=1.0)) for p in prompts(4)]
    while len(sampler._active) < 4:
        await asyncio.sleep(0.001)
    async with sampler.paused():
        assert not sampler._active
        answers = await asyncio.wait_for(asyncio.gather(*running), 5)
    assert [len(each.ids) for each in answers] == [60] * 4


async def test_the_model_is_given_back_as_it_was(sampler: TorchSampler, model: Any) -> None:
    model.train()
    model.model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    await sampler.sample([1, 2, 3], max_tokens=3, temperature=1.0)
    assert [module.training for module in model.modules()] == modes
    model(torch.tensor([[1, 2, 3]])).logits.sum().backward()
    assert next(model.parameters()).grad is not None


async def test_stop_strings_and_ends(sampler: TorchSampler, words: Any) -> None:
    sampler.ends = frozenset()
    (prompt,) = prompts(1)
    whole = await sampler.sample(prompt, max_tokens=30, temperature=1.5, seed=0)
    text = words.decode(whole.ids[:12])
    stop = text[-2:]
    first = next(n for n in range(1, 31) if stop in words.decode(whole.ids[:n]))
    cut = await sampler.sample(prompt, max_tokens=30, temperature=1.5, seed=0, stop=[stop, "never that"])
    assert cut.ids == whole.ids[:first] and cut.finish == "stop" and words.decode(cut.ids).endswith(stop)
    sampler.ends = frozenset({whole.ids[5]})
    ended = await sampler.sample(prompt, max_tokens=30, temperature=1.5, seed=0)
    assert ended.ids == whole.ids[: whole.ids.index(whole.ids[5]) + 1] and ended.finish == "stop"


async def test_limits(sampler: TorchSampler) -> None:
    sampler.ends = frozenset()
    most = await sampler.sample([3] * (CONTEXT - 5), max_tokens=50, temperature=1.0)
    assert len(most.ids) == 5 and most.finish == "length"
    with pytest.raises(ContextOverflow, match=f"{CONTEXT} tokens, the model's context {CONTEXT}"):
        await sampler.sample([3] * CONTEXT, max_tokens=1, temperature=1.0)
    for prompt, tokens in (([], 1), ([3], 0), ([10**6], 1), ([-1], 1)):
        with pytest.raises(ModelError):
            await sampler.sample(prompt, max_tokens=tokens, temperature=1.0)
    assert (await sampler.sample([3], max_tokens=2, temperature=1.0)).ids


async def test_late_and_given_up(sampler: TorchSampler) -> None:
    sampler.ends = frozenset()
    (prompt,) = prompts(1)
    with pytest.raises(ModelError, match="no answer within 0.05 s") as late:
        await sampler.sample(prompt, max_tokens=480, temperature=1.0, deadline=0.05)
    assert late.value.retriable
    left = asyncio.create_task(sampler.sample(prompt, max_tokens=480, temperature=1.0))
    beside = asyncio.create_task(sampler.sample(prompt, max_tokens=20, temperature=1.0, seed=4))
    await asyncio.sleep(0.02)
    left.cancel()
    expected = (await beside).ids
    async with sampler.paused():
        assert not sampler._active, "the thread went on writing an answer that nobody waits for"
    assert (await sampler.sample(prompt, max_tokens=20, temperature=1.0, seed=4)).ids == expected


async def test_more_requests_than_rows(model: Any, words: Any) -> None:
    sampler = TorchSampler(model, words, rows=3)
    asked = prompts(10)
    some = await asyncio.gather(*(sampler.sample(p, max_tokens=9, temperature=1.0, seed=1) for p in asked))
    alone = [await sampler.sample(p, max_tokens=9, temperature=1.0, seed=1) for p in asked]
    assert [each.ids for each in some] == [each.ids for each in alone]
    assert len(sampler._cache._held) <= 4
    await sampler.aclose()


async def test_a_model_that_breaks_fails_its_requests_and_the_next_are_served(
    sampler: TorchSampler, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of memory")

    whole = sampler._forward
    monkeypatch.setattr(sampler, "_forward", broken)
    tried = [sampler.sample(p, max_tokens=5, temperature=1.0) for p in prompts(3)]
    for problem in await asyncio.gather(*tried, return_exceptions=True):
        assert isinstance(problem, ModelError) and "the model failed: out of memory" in problem.message
    monkeypatch.setattr(sampler, "_forward", whole)
    assert (await sampler.sample([1], max_tokens=5, temperature=1.0)).ids


async def test_closing(model: Any, words: Any) -> None:
    sampler = TorchSampler(model, words)
    sampler.ends = frozenset()
    running = asyncio.create_task(sampler.sample([1], max_tokens=480, temperature=1.0))
    await asyncio.sleep(0.02)
    await sampler.aclose()
    with pytest.raises(ModelError, match="was closed"):
        await running
    with pytest.raises(ModelError, match="is closed"):
        await sampler.sample([1], max_tokens=1, temperature=1.0)


async def test_bfloat16(model: Any, words: Any) -> None:
    sampler = TorchSampler(model, words, dtype="bfloat16")
    (prompt,) = prompts(1)
    answer = await sampler.sample(prompt, max_tokens=30, temperature=1.0, seed=0)
    await sampler.aclose()
    exact = of_tokens(odds_of(model, prompt, answer), answer)
    off = (exact - torch.tensor(answer.logprobs)).abs()
    assert 1e-6 < float(off.mean()) < 0.1


def test_what_cannot_be_sampled_is_refused(model: Any, words: Any) -> None:
    model.config.layer_types = ["full_attention", "sliding_attention"]
    with pytest.raises(ConfigError, match="layers of sliding_attention"):
        TorchSampler(model, words)
    model.config.layer_types = ["full_attention"] * 2
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ConfigError, match="attn_implementation='sdpa'"):
        TorchSampler(model, words)
