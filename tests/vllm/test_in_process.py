"""The engine in our process says what the server says, many judgements at a time, and ends cleanly."""

import math
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from agentjudge.budget import Budget
from agentjudge.case import Claim
from agentjudge.demo import CORPUS
from agentjudge.judge import Judge
from agentjudge.models.base import Sampling
from agentjudge.runs.folder import open_run
from agentjudge.tools.corpus import Corpus
from agentjudge.trace import Trace
from tests.vllm.conftest import CONTEXT, ENVIRONMENT, HERE, PYTHON, start

OPTIONS = f"max_model_len={CONTEXT}&max_num_batched_tokens={CONTEXT}&enable_chunked_prefill=false&enforce_eager=true"
NEAR = 1e-3
"""Nats between log-probabilities of two batches in float32.

In bfloat16 a random model meets ties all the time: there 16 of 24 judgements were equal to their end."""


def test_in_process_as_behind_the_server(servers: Any, tmp_path: Path) -> None:
    documents = Corpus.load(CORPUS).documents[:24]
    firsts = [(document, document.sentences()[0]) for document in documents]
    claims = [Claim(id=d.id, claim=d.text[s.start : s.end]) for d, s in firsts]
    (tmp_path / "cases.jsonl").write_text("\n".join(claim.model_dump_json() for claim in claims))

    served: dict[str, Trace] = {}
    budget, sampling = Budget(turns=4, tool_calls=3, answer_tokens=700, seconds=400), Sampling(max_tokens=60, seed=0)
    servers.stop()  # one at a time, for memory's sake
    options = ["--served-model-name", "tiny-qwen3", "--dtype", "float32"]
    server = start(servers.models / "qwen3", options, servers.logs / "beside.log")
    with Judge.load(
        "veri-r1", model=server.spec("tiny-qwen3"), corpus=CORPUS, seed=0, budget=budget, sampling=sampling
    ) as judge:
        judge.batch(claims, concurrency=16, on_trace=lambda trace: served.update({trace.case.id: trace}))
    server.stop()

    model = f"vllm-inprocess:{servers.models / 'qwen3'}?{OPTIONS}&max_num_seqs=16&dtype=float32"
    command = [PYTHON, HERE / "in_process.py", sysconfig.get_path("purelib"), tmp_path / "cases.jsonl", model]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [*map(str, command), str(tmp_path / "run")], capture_output=True, text=True, env=environment, timeout=900
    )
    assert done.returncode == 0 and "judged in process" in done.stdout, done.stdout[-2000:] + done.stderr[-4000:]

    here = {trace.case.id: trace for trace in open_run(tmp_path / "run").traces()}
    assert set(here) == set(served) == {claim.id for claim in claims}
    others = [told for id in served if (told := difference(here[id], served[id]))]
    assert len(others) <= 0.1 * len(served), "\n".join(others)
    assert sum(turn.usage.cached_tokens > 0 for trace in here.values() for turn in trace.turns[1:]) > len(claims) / 2


def difference(one: Trace, other: Trace) -> str:
    """Where two judgements go apart, token for token; their first turns must not.

    What comes after a turn that was cut off is not held against each other: half a call is read by each in its own way.
    """
    first, second = one.turns[0], other.turns[0]
    assert first.prompt_ids == second.prompt_ids, "the chat template is filled otherwise"
    assert first.output_ids == second.output_ids and read(first.message_out) == read(second.message_out)
    for turn in one.turns:
        assert len(turn.output_ids or ()) == len(turn.logprobs or ()) == turn.usage.completion_tokens > 0
        assert all(math.isfinite(logprob) and logprob <= 0 for logprob in turn.logprobs or ())
    near = zip(first.logprobs or (), second.logprobs or (), strict=True)
    assert all(abs(a - b) < NEAR for a, b in near)
    for place, (here, there) in enumerate(zip(one.turns, other.turns, strict=False)):
        if here.prompt_ids != there.prompt_ids:
            pairs = zip(one.messages, other.messages, strict=False)
            return f"before turn {place}: {next((pair for pair in pairs if read(pair[0]) != read(pair[1])), None)}"
        if here.output_ids != there.output_ids:
            return f"turn {place} ({here.phase}): {here.message_out} and {there.message_out}"
        if here.finish_reason == there.finish_reason == "length":
            return ""
    said = [
        (len(trace.turns), trace.verdict.status, trace.verdict.label, trace.verdict.failure) for trace in (one, other)
    ]
    return "" if said[0] == said[1] else str(said)


def read(message: dict[str, Any]) -> Any:
    """What was said and called, without the ids of the calls."""
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return str(message.get("content") or "").strip(), calls
