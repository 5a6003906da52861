"""Checks of the machine, the extras and a model server, each with what to do about it."""

import asyncio
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from agentjudge.errors import AgentJudgeError

if TYPE_CHECKING:
    from agentjudge.models.base import Model, Request

EXTRAS = {
    "retrieval": ("sentence_transformers", "faiss", "torch"),
    "docs": ("pypdfium2", "trafilatura"),
    "vision": ("PIL",),
    "hf": ("torch", "transformers"),
    "train": ("trl", "torch", "transformers", "peft", "accelerate", "datasets", "tensorboard"),
    "serve": ("fastapi", "uvicorn", "prometheus_client"),
    "postgres": ("langgraph.checkpoint.postgres", "psycopg"),
    "ray": ("ray",),
    "text": ("langdetect",),
    "table": ("pyarrow",),
    "otel": ("opentelemetry.sdk",),
    "mcp": ("mcp",),
    "inspect": ("inspect_ai",),
}
"""Modules of each extra that users install."""
COLOUR_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
LOOK_UP = {
    "name": "look_up",
    "description": "Look a word up.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


class Finding(NamedTuple):
    """One check. `absent` is something optional that is not there; `problem` something that will hurt."""

    name: str
    state: Literal["ok", "absent", "problem"]
    detail: str


def examine(model: str | None, *, judge: str = "veri-r1", for_training: bool = False) -> list[Finding]:
    """All checks; those of a model only when one is named.

    Args:
        model: as for `load_model`.
        judge: its budget is what a vLLM server is held against.
        for_training: a vLLM server is to sample for training.

    Raises:
        ConfigError: unknown judge.
    """
    version = importlib.metadata.version("agentjudge")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    findings = [
        Finding("agentjudge", "ok", version),
        Finding("python", "ok", f"{platform.python_version()} on {platform.system()}, {cores} cores"),
    ]
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not _is_there(module)]
        detail = f"pip install 'agentjudge[{extra}]' (no {', '.join(missing)})" if missing else "installed"
        findings.append(Finding(f"extra {extra}", "absent" if missing else "ok", detail))
    findings.append(_embedded())
    if model is not None:
        kind, _, rest = model.partition(":")
        findings += asyncio.run(_server(rest, judge, for_training) if kind == "vllm" else _probe(model))
    return findings


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


def _embedded() -> Finding:
    try:
        from agentjudge.models.embedded.verifier import Verifier

        scores = Verifier.load().score([("The sky is blue.", "The sky is blue.")])
    except Exception as exc:
        return Finding("embedded model", "problem", str(exc))
    return Finding(
        "embedded model", "ok", f"loaded; an identical sentence supports with {scores.probabilities[0][0]:.2f}"
    )


async def _server(rest: str, judge: str, for_training: bool) -> list[Finding]:
    """A vLLM server, against what a judge needs of it."""
    from agentjudge.registry import lookup
    from agentjudge.serving.vllm_probe import probe_server

    spec = lookup("judge", judge).target()
    try:
        return await probe_server(rest, spec, for_training=for_training)
    except AgentJudgeError as exc:
        return [Finding("model", "problem", exc.message)]


async def _probe(spec: str) -> list[Finding]:
    """Whether a model gives what a judge needs: an answer under a schema, a tool call, token ids, log-probabilities."""
    from agentjudge.case import Claim
    from agentjudge.evidence import EvidenceStore
    from agentjudge.models.base import Request, Sampling, load_model

    try:
        model = load_model(spec)
    except AgentJudgeError as exc:
        return [Finding("model", "problem", exc.message)]

    def request(text: str, **options: Any) -> Request:
        return Request(
            case=Claim(id="probe", claim="probe"),
            messages=[{"role": "user", "content": text}],
            events=[],
            opening=[],
            store=EvidenceStore(),
            sampling=Sampling(max_tokens=64),
            deadline=60.0,
            **{"tools": [], **options},
        )

    findings: list[Finding] = []
    if spec.partition(":")[0] == "embedded":
        return [Finding("model", "ok", "embedded needs no server")]
    try:
        answer = await model.act(
            request('Answer with {"colour": "red"} or {"colour": "blue"}.', phase="conclude", schema=COLOUR_SCHEMA)
        )
        findings.append(Finding("model server", "ok", f"answers as {answer.model_version or model.name}"))
        findings.append(_schema(str(answer.message_out.get("content") or "")))
        findings.append(counted("token ids", answer.output_ids))
        findings.append(counted("log-probabilities", answer.logprobs))
        findings.append(await _tool_calls(model, request))
    except AgentJudgeError as exc:
        findings.append(Finding("model server", "problem", exc.message))
    finally:
        await model.aclose()
    return findings


async def _tool_calls(model: "Model", request: "Callable[..., Request]") -> Finding:
    tools = [{"type": "function", "function": LOOK_UP}]
    hint = "does the server run with a tool-call parser?"
    try:
        turn = await model.act(request("Look up the word 'judge' with the tool.", tools=tools))
    except AgentJudgeError as exc:  # vLLM without a parser refuses any request that offers tools
        return Finding("tool calls", "problem", f"{exc.message}; {hint}")
    if turn.message_out.get("tool_calls"):
        return Finding("tool calls", "ok", "calls a tool")
    return Finding("tool calls", "absent", f"did not call the tool offered; {hint}")


def _schema(text: str) -> Finding:
    try:
        held = json.loads(text)["colour"] in ("red", "blue")
    except (ValueError, TypeError, KeyError, RecursionError):
        held = False
    detail = "held" if held else f"not held: {text[:80]!r}; verdicts will need repair turns"
    return Finding("JSON schema", "ok" if held else "problem", detail)


def counted(name: str, values: Sequence[Any] | None) -> Finding:
    """Whether tokens, or what is told of each, are told."""
    if values:
        return Finding(name, "ok", f"{len(values)} for one answer")
    return Finding(name, "absent", "not given; needed for training only")
