"""What a judgement reuses of what was read before, by the server's own count."""

from itertools import takewhile
from typing import Any

from agentjudge.budget import Budget
from agentjudge.case import Claim
from agentjudge.demo import CORPUS
from agentjudge.judge import Judge
from agentjudge.models.base import Sampling
from agentjudge.tools.corpus import Corpus

NAME = "tiny-qwen3"
CASES = 6
LEAST = 0.9
"""Share of the reusable tokens that has to come from the cache."""


def common(one: list[int], other: list[int]) -> int:
    """How many tokens two prompts begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def test_nine_tenths_of_the_reusable_tokens_come_from_the_cache(qwen3: Any) -> None:
    """Reusable is what a prompt has in common with an earlier one and its answer, of any case, to the single token."""
    corpus = Corpus.load(CORPUS)
    claims = [Claim(id=document.id, claim=document.text[:80]) for document in corpus.documents[:CASES]]
    counters = ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
    before = [qwen3.metric(counter) for counter in counters]
    budget = Budget(turns=4, tool_calls=4, answer_tokens=200, seconds=240)
    with Judge.load(
        "veri-r1", model=qwen3.spec(NAME), corpus=corpus, budget=budget, sampling=Sampling(max_tokens=60, seed=0)
    ) as judge:
        traces = [judge.run(claim) for claim in claims]
    hits, asked = [qwen3.metric(counter) - was for counter, was in zip(counters, before, strict=True)]

    turns = [turn for trace in traces for turn in trace.turns]
    assert len(turns) >= 3 * CASES, "the judgements have too few turns to reuse anything"
    read: list[list[int]] = []
    reusable = 0
    for turn in turns:
        assert turn.prompt_ids is not None and turn.output_ids is not None
        reusable += max((common(turn.prompt_ids, earlier) for earlier in read), default=0)
        read.append([*turn.prompt_ids, *turn.output_ids])
    print(f"\n{hits:.0f} of {reusable} reusable tokens from the cache ({hits / reusable:.1%}), {asked:.0f} asked for")
    assert asked == sum(turn.usage.prompt_tokens for turn in turns), "others asked the server at the same time"
    assert hits == sum(turn.usage.cached_tokens for turn in turns), "usage tells another number than the metrics"
    assert hits >= LEAST * reusable
    assert hits <= reusable + 128 * len(turns), "more was reused than there is: the count of reusable tokens is wrong"
