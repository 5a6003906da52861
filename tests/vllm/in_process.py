"""Judge cases with vLLM's engine in this very process; run by `test_in_process.py` where vLLM is.

    .venv-vllm/bin/python tests/vllm/in_process.py SITE_PACKAGES CASES MODEL RUN

The environment of vLLM has no LangGraph: what it lacks is taken from SITE_PACKAGES, behind its own.
"""

import asyncio
import multiprocessing
import sys
import time
from pathlib import Path


def main(site: str, cases: str, model: str, run: str) -> None:
    sys.path += [site]
    from agentjudge.budget import Budget
    from agentjudge.case import read_cases
    from agentjudge.demo import CORPUS
    from agentjudge.errors import ContextOverflow, ModelError
    from agentjudge.evidence import EvidenceStore
    from agentjudge.judge import Judge
    from agentjudge.models.base import Request, Sampling, load_model
    from agentjudge.runs.batch import judge_cases

    loaded = load_model(model)
    how = {"budget": Budget(turns=4, tool_calls=3, answer_tokens=700, seconds=400), "seed": 0, "corpus": CORPUS}
    read = list(read_cases(cases))
    with Judge.load("veri-r1", model=loaded, sampling=Sampling(max_tokens=60, seed=0), **how) as judge:
        judge_cases(judge, read, Path(run), concurrency=16)

        def ask(text: str, **more: object) -> str:
            request = Request(read[0], [{"role": "user", "content": text}], (), (), EvidenceStore(), [], Sampling())
            for name, value in more.items():
                setattr(request, name, value)
            try:
                judge.wait(loaded.act(request))
            except ModelError as exc:
                return f"{type(exc).__name__}: {exc.message}"
            return "answered"

        long, endless = "bridge " * 20_000, {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2000}
        more = Sampling(max_tokens=6000, thinking=False)
        assert ask(long).startswith(ContextOverflow.__name__), ask(long)
        late = ask("So?", schema=endless, sampling=more, deadline=1.0)
        assert "no answer within 1 s" in late, late
        refused = ask("So?", schema={"type": "nonsense"})
        assert refused.startswith("ModelError"), refused
        assert ask("So?", sampling=Sampling(max_tokens=3)) == "answered", "it is of no use after what was refused"
    deadline = time.monotonic() + 60  # it was killed, and is gone when the machine gets round to it
    while (left := multiprocessing.active_children()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"processes of the engine outlive it: {left}"
    asyncio.run(asyncio.sleep(0))
    print("judged in process")


if __name__ == "__main__":
    main(*sys.argv[1:])
