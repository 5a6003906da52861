"""A thousand rollouts of the real judge in generated worlds, with two families of tokenizers, and not a token of drift.

The models are Qwen3-shaped, of random weights but for a head under which a token is mostly followed by the next one of
a few phrases: a thought, a call, a verdict. So they search, are told things, conclude, slip in every way, and are cut
off; what they sample is often not what the tokenizer would make of its text.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from noted_samplers import Noted, same  # noqa: E402
from tiny_models import random_qwen3  # noqa: E402
from two_tokenizers import Kind, build  # noqa: E402

from agentjudge.budget import Budget  # noqa: E402
from agentjudge.judge import Judge  # noqa: E402
from agentjudge.models.base import Sampling  # noqa: E402
from agentjudge.models.profiles import ModelProfile  # noqa: E402
from agentjudge.trace import Trace  # noqa: E402
from agentjudge.training.gym import ClaimGym  # noqa: E402
from agentjudge.training.rows import assemble, drift_of  # noqa: E402
from agentjudge.training.templates import Family, keep_prefix  # noqa: E402
from agentjudge.training.tokens import TokenModel  # noqa: E402
from agentjudge.training.torch_sampler import TorchSampler  # noqa: E402

pytestmark = pytest.mark.slow

GROUP, WORLDS, AT_ONCE = 8, 63, 32
CONTEXT, WIDTH = 4096, 64
ASKED = "<|im_start|>assistant\n"
OFF = "<think>\n\n</think>\n\n"
CALL = ['<tool_call>\n{"name": "retrieve", ', '"arguments": {"query": "', "works at", '"}}\n', "</tool_call>"]
VERDICT = ['{"reason": "', "None.", '", "evidence": [], ', '"label": "NOT ENOUGH INFO", ', '"confidence": 0.5}']


@dataclass
class Setting:
    family: Family
    profile: ModelProfile
    phrases: list[list[str]]
    """Each from the piece that comes before it; the end of the turn follows."""


SETTINGS: dict[Kind, Setting] = {
    "bpe": Setting(
        "qwen3",
        ModelProfile(thinking_switch="enable_thinking"),
        [[ASKED, "<think>\nLook.\n</think>\n\n", *CALL], [OFF, *VERDICT]],
    ),
    "unigram": Setting("hermes", ModelProfile(), [[ASKED, *CALL], [ASKED, *VERDICT]]),
}


def sloppy(words: Any, phrases: Sequence[Sequence[str]], *, seed: int) -> Any:
    """A model that mostly goes on with its phrases."""
    torch.manual_seed(seed)
    words.add_tokens([transformers.AddedToken(piece, normalized=False) for phrase in phrases for piece in phrase])
    model = random_qwen3(words, width=WIDTH, context=CONTEXT)
    with torch.no_grad():
        for layer in model.model.layers:  # heard, and no more: what was read before changes the odds a little
            layer.self_attn.o_proj.weight.normal_(std=0.05)
        embeddings = torch.nn.functional.normalize(torch.randn(len(words), WIDTH), dim=-1) * WIDTH**0.5
        model.model.embed_tokens.weight.copy_(embeddings)
        head = torch.randn(len(words), WIDTH) * 0.15
        for number, phrase in enumerate(phrases):
            chain = [words.convert_tokens_to_ids(piece) for piece in phrase] + [words.eos_token_id]
            for token, following in zip(chain, chain[1:], strict=False):
                head[following] += 0.16 * embeddings[token]
            head[chain[1]] += (0.02 - 0.02 * number) * embeddings[chain[0]]
        model.lm_head.weight.copy_(head)
    return model


async def rollouts(model: TokenModel, worlds: int) -> list[Trace]:
    """Groups of rollouts, some dozens at once."""
    window = asyncio.Semaphore(AT_ONCE)

    async def one(judge: Judge, case: Any) -> Trace:
        async with window:
            return await judge.arun(case)

    running = []
    for number, world in enumerate(islice(ClaimGym(hops=(1,), documents=6).worlds(), worlds)):
        judge = Judge.load(
            "veri-r1",
            model=model,
            corpus=world.corpus,
            budget=Budget(turns=3, tool_calls=2, answer_tokens=16),
            sampling=Sampling(max_tokens=8 + number % 3, temperature=1.0),
        )
        running += [one(judge, world.cases[0]) for _ in range(GROUP)]
    return list(await asyncio.gather(*running))


@pytest.fixture(scope="module", params=list(SETTINGS))
def rolled(request: pytest.FixtureRequest) -> Any:
    kind: Kind = request.param
    setting = SETTINGS[kind]
    words = build(kind, size=1500)
    policy = sloppy(words, setting.phrases, seed=4)
    keep_prefix(words, setting.family)
    noted = Noted(TorchSampler(policy, words, version="0", seed=0))
    model = TokenModel(noted, words, profile=setting.profile)

    async def run() -> list[Trace]:
        traces = await rollouts(model, WORLDS)
        await model.aclose()
        return traces

    traces = asyncio.run(run())
    return policy, words, noted.answers, traces


def test_500_rollouts_do_not_drift(rolled: Any) -> None:
    _, words, answers, traces = rolled
    assert len(traces) == GROUP * WORLDS > 500
    rows = [row for trace in traces for row in assemble(trace, "strict")]
    assert drift_of(rows) == (sum(len(trace.turns) - 1 for trace in traces), 0, 0, 0)
    assert len(rows) == len(traces), "a rollout is one row"

    same(rows, answers)

    turns = [turn for trace in traces for turn in trace.turns]
    again = [words.encode(words.decode(turn.output_ids), add_special_tokens=False) for turn in turns]
    other = sum(ids != turn.output_ids for ids, turn in zip(again, turns, strict=True))
    cut = sum(turn.finish_reason == "length" for turn in turns)
    looked = sum(any(event.status == "ok" for event in trace.events) for trace in traces)
    scored = sum(trace.verdict.status == "scored" for trace in traces)
    print(
        f"\n{len(turns)} turns, {other} not the tokens of their text, {cut} cut off; {looked} looked, {scored} scored"
    )
    assert min(other, cut, looked, scored) > 40, "not the rollouts that this test is about"


def test_the_trainers_log_probabilities_are_the_samplers(rolled: Any) -> None:
    policy, words, _, traces = rolled
    rows = [row for trace in traces[::6] for row in assemble(trace)]
    off = []
    for row in rows:
        with torch.no_grad():
            logits = policy(torch.tensor([row.input_ids])).logits[0, :-1]
        exact = torch.log_softmax(logits, -1).gather(-1, torch.tensor(row.input_ids[1:])[:, None])[:, 0]
        mask = torch.tensor(row.loss_mask[1:], dtype=torch.bool)
        off.append((exact - torch.tensor(row.logprobs[1:]))[mask].abs())
    mean = float(torch.cat(off).mean())
    print(f"\n{len(torch.cat(off))} tokens, {mean:.2e} nats off on average, {float(torch.cat(off).max()):.2e} at most")
    assert mean < 1e-4 and float(torch.cat(off).max()) < 0.02
