"""Whole judgements on a real server: every case gets exactly one verdict, whatever becomes of the server."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from agentjudge.budget import Budget
from agentjudge.case import Claim, Step, Trajectory
from agentjudge.demo import CORPUS
from agentjudge.graphs.overflow import WITHHELD
from agentjudge.judge import Judge
from agentjudge.models.base import Request, Sampling, load_model
from agentjudge.tools.corpus import Corpus
from agentjudge.trace import Trace, Turn
from agentjudge.verdict import Verdict
from tests.vllm.conftest import CONTEXT

NAME = "tiny-qwen3"
TAGS = "tiny-veri-r1"
BUDGET = Budget(turns=4, tool_calls=3, answer_tokens=700, seconds=240)
HONEST_FAILURES = {"parse", "budget"}
"""How a judgement on a model of noise may fail while its server is up."""


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus.load(CORPUS)


@pytest.fixture(scope="module")
def claims(corpus: Corpus) -> list[Claim]:
    """Twenty claims: the first sentences of twenty documents."""
    documents = corpus.documents[:20]
    starts = [(document, document.sentences()[0]) for document in documents]
    return [Claim(id=f"claim-{d.id}", claim=d.text[s.start : s.end]) for d, s in starts]


def judged(spec: str, corpus: Corpus, claims: list[Claim], **options: Any) -> Iterator[tuple[Verdict, Trace]]:
    traces: dict[str, Trace] = {}
    options = {"budget": BUDGET, "sampling": Sampling(max_tokens=60, seed=0), **options}
    with Judge.load("veri-r1", model=spec, corpus=corpus, seed=0, **options) as judge:
        verdicts = judge.batch(claims, concurrency=8, on_trace=lambda t: traces.update({t.case.id: t}))
    assert [verdict.case_id for verdict in verdicts] == [claim.id for claim in claims]
    return ((verdict, traces[verdict.case_id]) for verdict in verdicts)


def check(verdict: Verdict, trace: Trace) -> None:
    """A verdict of a server that was up throughout, and the record of how it came about."""
    assert verdict == trace.verdict
    if verdict.status == "scored":
        assert verdict.label in ("SUPPORT", "REFUTE", "NOT ENOUGH INFO")
        assert all(ref.id in trace.shown for ref in verdict.evidence)
    else:
        assert verdict.failure is not None and verdict.failure.kind in HONEST_FAILURES, verdict.failure
        assert verdict.label is None and verdict.confidence is None
    assert trace.turns
    for turn in trace.turns:
        assert len(turn.prompt_ids or ()) == turn.usage.prompt_tokens > 0
        assert len(turn.output_ids or ()) == len(turn.logprobs or ()) == turn.usage.completion_tokens > 0
        assert all(math.isfinite(logprob) and logprob <= 0 for logprob in turn.logprobs or ())
    assert verdict.usage.prompt_tokens == sum(turn.usage.prompt_tokens for turn in trace.turns)
    assert verdict.usage.completion_tokens == sum(turn.usage.completion_tokens for turn in trace.turns)
    assert Trace.from_json(trace.to_json()).to_json() == trace.to_json()


def test_judge_with_function_calls(qwen3: Any, corpus: Corpus, claims: list[Claim]) -> None:
    refused = qwen3.chats("4xx")
    searched, concluded, scored = 0, 0, 0
    for verdict, trace in judged(qwen3.spec(NAME), corpus, claims):
        check(verdict, trace)
        searched += any(event.name == "retrieve" and event.status == "ok" and event.refs for event in trace.events)
        concluded += trace.turns[-1].phase == "conclude"
        scored += verdict.status == "scored"
    assert searched >= 10, "the model that calls `retrieve` by rote was not understood"
    assert concluded == 20
    assert scored > 0, "not one conclusion under the schema could be read"
    assert qwen3.chats("4xx") == refused, "the judge sends requests that the server refuses"


def test_judge_on_pure_noise(qwen3: Any, corpus: Corpus, claims: list[Claim]) -> None:
    noise = Sampling(max_tokens=60, temperature=2.0, seed=1)
    for verdict, trace in judged(qwen3.spec(NAME), corpus, claims[:8], sampling=noise):
        check(verdict, trace)


def test_judge_with_the_papers_tags(qwen3: Any, corpus: Corpus, claims: list[Claim]) -> None:
    searched, scored = 0, 0
    for verdict, trace in judged(qwen3.spec(TAGS), corpus, claims[:10]):
        check(verdict, trace)
        assert "<tools>" not in qwen3.text(TAGS, trace.turns[0].prompt_ids), "the paper's prompt offers no functions"
        searched += any(event.name == "retrieve" and event.status == "ok" for event in trace.events)
        scored += verdict.label == "NOT ENOUGH INFO"
    assert min(searched, scored) >= 5, "the model that searches and answers by rote was not understood"


def test_prefix_cache_carries_a_judgement(qwen3: Any, corpus: Corpus, claims: list[Claim]) -> None:
    ((verdict, trace),) = judged(qwen3.spec(NAME), corpus, claims[:1])
    assert len(trace.turns) > 1
    for before, turn in zip(trace.turns, trace.turns[1:], strict=False):
        assert turn.usage.cached_tokens >= before.usage.prompt_tokens // 128 * 128, "a turn rewrote what came before it"
    assert verdict.usage.cached_tokens == sum(turn.usage.cached_tokens for turn in trace.turns)


class KillsItsServer:
    """A model whose server dies once four cases are done and this one has read a tool's result."""

    def __init__(self, server: Any, finished: dict[str, Trace]) -> None:
        self.inner = load_model(server.spec(NAME))
        self.name, self.profile, self.aclose = self.inner.name, self.inner.profile, self.inner.aclose
        self.server, self.finished = server, finished
        self.done_before: set[str] = set()

    async def act(self, request: Request) -> Turn:
        turn = await self.inner.act(request)
        if not self.done_before and len(self.finished) >= 4 and request.phase == "act" and request.events:
            self.done_before = set(self.finished)
            self.server.kill()
        return turn


def test_server_killed_in_mid_run_loses_nothing(qwen3: Any, corpus: Corpus, claims: list[Claim]) -> None:
    traces: dict[str, Trace] = {}
    model, sampling = KillsItsServer(qwen3, traces), Sampling(max_tokens=60, seed=0)
    with Judge.load("veri-r1", model=model, corpus=corpus, budget=BUDGET, sampling=sampling) as judge:
        verdicts = judge.batch(claims, concurrency=4, on_trace=lambda trace: traces.update({trace.case.id: trace}))

    assert [verdict.case_id for verdict in verdicts] == [claim.id for claim in claims]
    assert set(traces) == {claim.id for claim in claims}
    outages = 0
    for verdict in verdicts:
        trace = traces[verdict.case_id]
        assert verdict == trace.verdict
        if verdict.case_id in model.done_before:
            check(verdict, trace)
        elif not trace.turns or trace.turns[-1].phase == "act":  # no conclusion had come back when the server died
            outages += 1
            assert verdict.status == "failed" and verdict.failure is not None
            assert verdict.failure.kind == "model" and verdict.failure.retriable
            assert verdict.label is None and verdict.score is None and verdict.confidence is None
    assert 4 <= len(model.done_before) <= 20 - outages and outages >= 8
    kept = [trace for trace in traces.values() if trace.turns and trace.verdict.status == "failed"]
    assert any(trace.events for trace in kept), "what judgements in flight had done before the server died is gone"


class Browses:
    """Calls of the test's own, each prompt counted by the server, whose model speaks wherever a schema is on."""

    def __init__(self, server: Any) -> None:
        self.inner = load_model(server.spec(NAME))
        self.name, self.profile, self.aclose = self.inner.name, self.inner.profile, self.inner.aclose
        self.prompts: list[int] = []

    async def act(self, request: Request) -> Turn:
        free = request.phase == "act"
        if free:
            request.sampling = request.sampling.model_copy(update={"max_tokens": 1})
        turn = await self.inner.act(request)
        self.prompts.append(turn.usage.prompt_tokens)
        if free:
            function = {"name": "get_step", "arguments": f'{{"step": {len(self.prompts) * 7 % 400}}}'}
            called = {"id": f"call_{len(self.prompts)}", "type": "function", "function": function}
            turn.message_out = {"role": "assistant", "content": "", "tool_calls": [called]}
        return turn


@pytest.fixture(scope="module")
def long_run() -> Trajectory:
    """400 steps with over 2 MB of pages."""
    pages = (
        "\n".join(f"  [{i}] link 'Item {i} of page {n}, {'in stock ' * 5}'" for i in range(90)) for n in range(400)
    )
    steps = tuple(Step(observation=page, action=f"click('{n % 90}')") for n, page in enumerate(pages))
    return Trajectory(id="long", goal="Open item 7 of page 399.", steps=steps, final_answer="It is open.")


@pytest.mark.parametrize("driven", [True, False])
def test_a_run_of_two_megabytes_within_the_context(qwen3: Any, long_run: Trajectory, driven: bool) -> None:
    refused = qwen3.chats("4xx")
    model = Browses(qwen3) if driven else qwen3.spec(NAME)
    budget = Budget(turns=30, tool_calls=30, context=CONTEXT, answer_tokens=1500, seconds=400)
    with Judge.load(
        "trajectory", model=model, budget=budget, sampling=Sampling(max_tokens=200, seed=0), seed=0
    ) as judge:
        trace = judge.run(long_run)
    check_run(trace)
    assert max(turn.usage.prompt_tokens for turn in trace.turns) + 1500 <= CONTEXT
    assert qwen3.chats("4xx") == refused, "the judge sends requests that the server refuses"
    if driven:
        assert trace.verdict.usage.budget_exhausted == "context" and len(trace.events) >= 3
        assert max(turn.usage.prompt_tokens for turn in trace.turns) > CONTEXT / 2, "much of the context was not used"


def check_run(trace: Trace) -> None:
    """A verdict or an honest failure, and no result that was left out without a word."""
    verdict = trace.verdict
    if verdict.status == "failed":
        assert verdict.failure is not None and verdict.failure.kind in HONEST_FAILURES, verdict.failure
    else:
        assert all(ref.id in trace.shown for ref in verdict.evidence)
    results = [message for message in trace.messages if message["role"] == "tool"]
    assert len(results) == len(trace.events)
    for message, event in zip(results, trace.events, strict=True):
        assert (event.error == WITHHELD) == (WITHHELD in str(message["content"]))
