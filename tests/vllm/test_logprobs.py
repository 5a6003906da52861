"""Log-probabilities of given tokens on a real server, and rewards that are made of them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentjudge.case import NOT_ENOUGH_INFO, Claim, Gold
from agentjudge.demo import CORPUS
from agentjudge.errors import ModelError
from agentjudge.judge import Judge
from agentjudge.models.base import Sampling
from agentjudge.rewards.confidence import crew, self_certainty
from agentjudge.rewards.evidence_gain import evidence_gain
from agentjudge.rewards.flr import flr
from agentjudge.rewards.likelihood import likelihood
from agentjudge.rewards.logprobs_vllm import VLLMScorer
from agentjudge.rewards.sar import sar
from agentjudge.trace import Trace

NAME, TAGS = "tiny-qwen3", "tiny-veri-r1"
CASE = Claim(id="c", claim="The bridge opened in 1932.", gold=Gold(label=NOT_ENOUGH_INFO))


@pytest.fixture
async def scorer(qwen3: Any) -> AsyncIterator[VLLMScorer]:
    scorer = VLLMScorer(f"{NAME}@{qwen3.url}", vocabulary=len_of(qwen3))
    yield scorer
    await scorer.aclose()


def len_of(server: Any) -> int:
    """The size of the model's vocabulary, by its configuration."""
    folder = next(Path(arg) for arg in server.process.args if str(arg).endswith("/qwen3"))
    return int(json.loads((folder / "config.json").read_text())["vocab_size"])


@pytest.fixture
def trace(qwen3: Any) -> Trace:
    """A judgement in the tag format, which this model has been taught by rote: a search, then an answer."""
    sampling = Sampling(max_tokens=60, seed=0)
    with Judge.load("veri-r1", model=qwen3.spec(TAGS), corpus=CORPUS, sampling=sampling, seed=0) as judge:
        return judge.run(CASE)


async def test_tokens_of_the_servers_own_are_as_likely_as_it_said(scorer: VLLMScorer, trace: Trace) -> None:
    turn = trace.turns[0]
    assert turn.prompt_ids and turn.output_ids and turn.logprobs
    tokens = await scorer.score(turn.prompt_ids, turn.output_ids)
    assert [token.logprob for token in tokens] == pytest.approx(turn.logprobs, abs=0.05)  # bfloat16
    assert "".join(token.text for token in tokens).strip() == str(turn.message_out["content"]).strip()


async def test_texts_are_encoded_as_the_server_does(scorer: VLLMScorer, qwen3: Any) -> None:
    text = "\n<|im_start|>user\nSUPPORT"
    ids = await scorer.encode(text)
    assert qwen3.text(NAME, ids) == text
    one = await scorer.encode("<|im_start|>")
    assert len(one) == 1


async def test_spreads_grow_with_the_tokens_that_are_told(scorer: VLLMScorer, qwen3: Any, trace: Trace) -> None:
    turn = trace.turns[0]
    assert turn.prompt_ids and turn.output_ids
    few = VLLMScorer(f"{NAME}@{qwen3.url}", vocabulary=len_of(qwen3), top=3)
    some, more = [await each.spreads(turn.prompt_ids, turn.output_ids) for each in (few, scorer)]
    for a, b in zip(some, more, strict=True):
        assert not b.exact and a.from_uniform <= b.from_uniform + 1e-6 and a.to_uniform <= b.to_uniform + 1e-6
    everything = VLLMScorer(f"{NAME}@{qwen3.url}", vocabulary=len_of(qwen3), top=-1)
    with pytest.raises(ModelError, match="greater than max allowed: 20"):
        await everything.spreads(turn.prompt_ids, turn.output_ids)
    await few.aclose()
    await everything.aclose()


async def test_rewards_of_a_real_judgement(scorer: VLLMScorer, trace: Trace) -> None:
    assert trace.verdict.label == NOT_ENOUGH_INFO and len(trace.turns) > 1
    sure = await crew(scorer).ascore(trace, CASE)
    right = await likelihood(scorer, "token probability").ascore(trace, CASE)
    assert sure.score == pytest.approx(right.score, abs=0.02) and sure.score is not None and sure.score > 0.5
    gain = await evidence_gain(scorer, bridge="\n<answer>\nLabel: ").ascore(trace, CASE)
    assert gain.components["answer"] == 1.0
    assert sum(gain.turn_rewards) == pytest.approx(gain.components["evidence gain"])
    for reward in (sar(scorer), flr(scorer), self_certainty(scorer)):
        result = await reward.ascore(trace, CASE)
        assert result.score is not None and reward.low <= result.score <= reward.high, result


async def test_a_server_that_is_gone_masks(trace: Trace) -> None:
    scorer = VLLMScorer(f"{NAME}@http://127.0.0.1:9", deadline=3.0)
    result = await crew(scorer).ascore(trace, CASE)
    assert result.score is None and "confidence: model:" in result.error
    await scorer.aclose()
