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
from tests.vllm.conftest import CONTEXT, ENVIRONMENT, HERE, PYTHON

OPTIONS = f"max_model_len={CONTEXT}&max_num_batched_tokens={CONTEXT}&enable_chunked_prefill=false&enforce_eager=true"
NEAR = 0.1
"""Nats between log-probabilities of two batches in bfloat16."""


def test_in_process_as_behind_the_server(servers: Any, tmp_path: Path) -> None:
    documents = Corpus.load(CORPUS).documents[:24]
    firsts = [(document, document.sentences()[0]) for document in documents]
    claims = [Claim(id=d.id, claim=d.text[s.start : s.end]) for d, s in firsts]
    (tmp_path / "cases.jsonl").write_text("\n".join(claim.model_dump_json() for claim in claims))

    served: dict[str, Trace] = {}
    budget, sampling = Budget(turns=4, tool_calls=3, answer_tokens=700, seconds=400), Sampling(max_tokens=60, seed=0)
    spec = servers.use("qwen3").spec("tiny-qwen3")
    with Judge.load("veri-r1", model=spec, corpus=CORPUS, seed=0, budget=budget, sampling=sampling) as judge:
        judge.batch(claims, concurrency=16, on_trace=lambda trace: served.update({trace.case.id: trace}))
    servers.stop()

    model = f"vllm-inprocess:{servers.models / 'qwen3'}?{OPTIONS}&max_num_seqs=16&dtype=bfloat16"
    command = [PYTHON, HERE / "in_process.py", sysconfig.get_path("purelib"), tmp_path / "cases.jsonl", model]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [*map(str, command), str(tmp_path / "run")], capture_output=True, text=True, env=environment, timeout=900
    )
    assert done.returncode == 0 and "judged in process" in done.stdout, done.stdout[-2000:] + done.stderr[-4000:]

    here = {trace.case.id: trace for trace in open_run(tmp_path / "run").traces()}
    assert set(here) == set(served) == {claim.id for claim in claims}
    same = sum(alike(here[id], served[id]) for id in served)
    assert same >= 0.9 * len(served), f"only {same} of {len(served)} judgements are the server's"
    assert sum(turn.usage.cached_tokens > 0 for trace in here.values() for turn in trace.turns[1:]) > len(claims) / 2


def alike(one: Trace, other: Trace) -> bool:
    """Whether two judgements are equal, token for token; their first turns must be."""
    first, second = one.turns[0], other.turns[0]
    assert first.prompt_ids == second.prompt_ids, "the chat template is filled otherwise"
    assert first.output_ids == second.output_ids and read(first.message_out) == read(second.message_out)
    for turn in one.turns:
        assert len(turn.output_ids or ()) == len(turn.logprobs or ()) == turn.usage.completion_tokens > 0
        assert all(math.isfinite(logprob) and logprob <= 0 for logprob in turn.logprobs or ())
    near = zip(first.logprobs or (), second.logprobs or (), strict=True)
    assert all(abs(a - b) < NEAR for a, b in near)
    said = [[(turn.prompt_ids, turn.output_ids) for turn in trace.turns] for trace in (one, other)]
    return said[0] == said[1] and (one.verdict.status, one.verdict.label) == (other.verdict.status, other.verdict.label)


def read(message: dict[str, Any]) -> Any:
    """What was said and called, without the ids of the calls."""
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return message["content"].strip(), calls
