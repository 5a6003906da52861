"""Whether a live vLLM server gives all that a judge needs; for each thing that it does not, the option that changes it.

    findings = await probe_server("Qwen/Qwen3-8B@http://gpu:8000", judge)

Each check asks the server itself, in the requests of a judgement, and none takes its word for its settings: a schema
that the prompt speaks against, the same odds at two temperatures, a long prompt twice, as many pictures as the judge
may show. About twelve short requests; one that is refused is a finding, not an end.
"""

import json
import math
import os
import re
import secrets
import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from agentjudge.case import Claim
from agentjudge.doctor import COLOUR_SCHEMA, LOOK_UP, Finding, counted
from agentjudge.errors import AgentJudgeError, ModelError
from agentjudge.evidence import EvidenceStore
from agentjudge.models.base import Request, Sampling
from agentjudge.models.openai import VLLM_URL, split, vllm
from agentjudge.models.transport import Garbled, Transport
from agentjudge.serving.vllm_command import least_context, most_pictures, wanted_context
from agentjudge.serving.vllm_families import served_as
from agentjudge.trace import Message

if TYPE_CHECKING:
    from agentjudge.graphs.loop import LoopJudge

Reply = dict[str, Any]
TOOLS = [{"type": "function", "function": LOOK_UP}]
LONG = 400
"""Words of the prompt that is sent twice: more than a block of any prefix cache."""
HITS = "vllm:prefix_cache_hits"
SECONDS = 60.0
"""For one request."""


async def probe_server(rest: str, judge: "LoopJudge", *, for_training: bool = False) -> list[Finding]:
    """All checks of a server. Where the model's name is unknown to it, or nobody answers, there are no others.

    Args:
        rest: `NAME[@URL]`, as after `vllm:`.
        judge: its budget is what context and pictures are held against.
        for_training: log-probabilities have to be of what was sampled from.

    Raises:
        ConfigError: an address that cannot be called, or no name where there are several.
    """
    probe = _Probe(rest, judge)
    try:
        entry, findings = await probe.entry()
        if entry is None:
            return findings
        findings.append(probe.context(entry))
        findings += await probe.answer()
        findings.append(await probe.odds(for_training))
        findings.append(await probe.prefix_cache())
        findings += await (probe.tags() if probe.tagged else probe.tool_calls())
        findings += await probe.thinking()
        findings += await probe.pictures()
        return findings
    finally:
        await probe.aclose()


class _Probe:
    """The requests to one server, and what is made of the replies."""

    def __init__(self, rest: str, judge: "LoopJudge") -> None:
        self._model, self._judge = vllm(rest), judge
        self._profile, self._store = self._model.profile, EvidenceStore()
        self.tagged = self._profile.protocol == "tags"
        self._name = str(self._model.payload(self._request([]))["model"])
        self._served = served_as(self._name)
        _, url = split(rest, default=VLLM_URL)
        key = os.environ.get("AGENTJUDGE_API_KEY") or os.environ.get("VLLM_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = Transport(url, headers=headers, tries=2)
        self._root = Transport(url.removesuffix("/v1"), headers=headers, tries=1)

    async def aclose(self) -> None:
        await self._model.aclose()
        await self._http.aclose()
        await self._root.aclose()

    async def ask(self, messages: Sequence[Message] | str, **options: Any) -> Reply:
        """The server's reply to a request of a judge's.

        Raises:
            ModelError: it refused.
        """
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        body = orjson.dumps(self._model.payload(self._request(messages, **options)))
        return await self._http.post("/chat/completions", body, _object, deadline=SECONDS)

    def _request(self, messages: Sequence[Message], **options: Any) -> Request:
        return Request(
            case=Claim(id="probe", claim="probe"),
            messages=messages,
            events=[],
            opening=[],
            store=self._store,
            **{"tools": [], "sampling": Sampling(max_tokens=64, seed=0), **options},
        )

    async def entry(self) -> tuple[Reply | None, list[Finding]]:
        """What the server lists under the model's name, and what that says."""
        try:
            listed = (await self._http.get("/models", _object, deadline=SECONDS))["data"]
            entries = {str(each["id"]): each for each in listed}
        except (AgentJudgeError, LookupError, TypeError) as exc:
            told = exc.message if isinstance(exc, AgentJudgeError) else f"{type(exc).__name__}: {exc}"
            return None, [Finding("model server", "problem", f"does not list its models: {told}")]
        if self._name not in entries:
            names = ", ".join(map(repr, list(entries)[:8])) or "none"
            detail = f"serves {names}, not {self._name!r}: name one of them, or start it with --served-model-name"
            return None, [Finding("served name", "problem", detail)]
        entry = entries[self._name]
        adapter = f", an adapter on {entry['parent']}" if entry.get("parent") else ""
        try:
            version = f"vLLM {(await self._root.get('/version', _object, deadline=SECONDS))['version']}, "
        except (AgentJudgeError, LookupError):
            version = ""
        return {**entry, "of": entries.get(str(entry.get("parent")))}, [
            Finding("model server", "ok", f"{version}{len(entries)} names"),
            Finding("served name", "ok", f"{self._name}{adapter}"),
        ]

    def context(self, entry: Reply) -> Finding:
        """The model's context against the judge's budget."""
        most = entry.get("max_model_len") or (entry.get("of") or {}).get("max_model_len")
        budget, name = self._judge.budget, self._judge.name
        least, wanted = least_context(budget), wanted_context(budget, self._profile)
        if not isinstance(most, int):
            return Finding("context", "absent", f"not told; {name} wants {wanted} tokens")
        if most < least:
            detail = f"{most} tokens; {name} cannot do with fewer than {least}: --max-model-len {wanted}"
            return Finding("context", "problem", detail)
        if most < wanted:
            detail = f"{most} tokens; a whole judgement by {name} may take {wanted}, results over that are taken back"
            return Finding("context", "absent", f"{detail}: --max-model-len {wanted}, if the model can")
        return Finding("context", "ok", f"{most} tokens, {name} wants {wanted}")

    async def answer(self) -> list[Finding]:
        """A conclusion under a schema that the prompt speaks against, with its tokens."""
        try:
            reply = await self.ask("Say hello in French, in one word.", phase="conclude", schema=COLOUR_SCHEMA)
        except AgentJudgeError as exc:
            return [Finding("JSON schema", "problem", f"refused: {exc.message}")]
        said = _said(reply)
        choice, text = reply["choices"][0], str(said.get("content") or "")
        findings = [_schema(text, reasoning=said.get("reasoning"))]
        findings.append(counted("token ids", choice.get("token_ids")))
        findings.append(counted("log-probabilities", (choice.get("logprobs") or {}).get("content")))
        return findings

    async def odds(self, for_training: bool) -> Finding:
        """Whether log-probabilities are told before or after the temperature."""
        try:
            spans = [await self._span(temperature) for temperature in (1.0, 2.0)]
        except AgentJudgeError as exc:
            return Finding("log-prob mode", "absent", f"not found out: {exc.message}")
        cold, hot = spans
        if cold is None or hot is None or cold < 0.2:
            return Finding("log-prob mode", "absent", "not found out: no alternatives beside the tokens")
        ratio = hot / cold
        mode = "raw" if ratio > 0.8 else "processed" if ratio < 0.65 else ""
        if not mode:
            return Finding("log-prob mode", "absent", f"not found out: odds change {ratio:.2f}-fold at temperature 2")
        right = "processed" if for_training else "raw"
        if mode == right:
            return Finding("log-prob mode", "ok", f"{mode}, as {'training' if for_training else 'judging'} wants")
        why = (
            "training needs those of what was sampled from"
            if for_training
            else "confidences read from odds would change with the temperature"
        )
        return Finding("log-prob mode", "problem", f"{mode}; {why}: --logprobs-mode {right}_logprobs")

    async def _span(self, temperature: float) -> float | None:
        """From the likeliest told alternative of the first token to the least likely, in nats."""
        sampling = Sampling(max_tokens=1, temperature=temperature, seed=0, thinking=False)
        reply = await self.ask("Say one word.", sampling=sampling, alternatives=20)
        content = (reply["choices"][0].get("logprobs") or {}).get("content") or [{}]
        told = [float(each["logprob"]) for each in content[0].get("top_logprobs") or []]
        told = [each for each in told if math.isfinite(each) and each > -1000]
        return max(told) - min(told) if len(told) > 1 else None

    async def prefix_cache(self) -> Finding:
        """The same long prompt twice: are cached tokens used, and told?"""
        text = f"{secrets.token_hex(8)} " + "the bridge opened in the spring of that year " * (LONG // 9)
        short = Sampling(max_tokens=1, seed=0)
        try:
            before = await self._hits()
            await self.ask(text, sampling=short)
            usage = (await self.ask(text, sampling=short)).get("usage") or {}
            after = await self._hits()
        except AgentJudgeError as exc:
            return Finding("prefix cache", "problem", f"refused a prompt of {LONG} words: {exc.message}")
        details = usage.get("prompt_tokens_details")
        cached, prompt = int((details or {}).get("cached_tokens") or 0), int(usage.get("prompt_tokens") or 0)
        if cached:
            return Finding("prefix cache", "ok", f"{cached} of {prompt} tokens of a repeated prompt")
        hit = before is not None and after is not None and after > before
        if hit or details is None:
            used = "is used" if hit else "may be used"
            option = "--enable-prompt-tokens-details"
            return Finding(
                "prefix cache", "problem", f"{used}, but usage does not say so, and costs are wrong: {option}"
            )
        return Finding("prefix cache", "problem", "a repeated prompt is read anew: --enable-prefix-caching")

    async def _hits(self) -> float | None:
        """The server's own count of cached tokens; None where it keeps none."""
        try:
            text = await self._root.get("/metrics", lambda data: data.decode("utf-8", "replace"), deadline=SECONDS)
        except ModelError:
            return None
        rows = [line for line in text.splitlines() if line.startswith((f"{HITS}_total", f"{HITS}{{"))]
        try:
            return sum(float(row.rsplit(maxsplit=1)[1]) for row in rows) if rows else None
        except (ValueError, IndexError):
            return None

    async def tool_calls(self) -> list[Finding]:
        """A call of a tool that is offered."""
        parser = f"--enable-auto-tool-choice --tool-call-parser {self._served.tools or 'hermes'}"
        try:
            reply = await self.ask("Look up the word 'judge' with the tool.", tools=TOOLS)
        except AgentJudgeError as exc:  # vLLM without a parser refuses any request that offers tools
            return [Finding("tool calls", "problem", f"{exc.message}; does it run with a tool-call parser? {parser}")]
        said = _said(reply)
        if said.get("tool_calls"):
            return [Finding("tool calls", "ok", "calls a tool")]
        text = str(said.get("content") or "") + str(said.get("reasoning") or "")
        if re.search(r"look_up\W.{0,40}(arguments|parameters|word)", text, re.DOTALL):
            where = "as text" if said.get("content") else "inside its reasoning"
            return [Finding("tool calls", "problem", f"the call stands {where}, unread: {text[:80]!r}; {parser}")]
        return [
            Finding("tool calls", "absent", f"did not call the tool offered; does its template show tools? {parser}")
        ]

    async def tags(self) -> list[Finding]:
        """A text that goes on where it broke off, and ends at a tag: tag protocols need both, and no tools."""
        messages: list[Message] = [
            {"role": "user", "content": "Count to nine."},
            {"role": "assistant", "content": "1 2 3 4 5"},
        ]
        sampling = Sampling(max_tokens=8, seed=0)
        try:
            reply = await self.ask(messages, continue_last=True, stop=("</answer>",), sampling=sampling)
        except AgentJudgeError as exc:
            return [Finding("tag protocol", "problem", f"cannot go on with an unfinished answer: {exc.message}")]
        if _said(reply).get("reasoning"):
            detail = "takes the answer for reasoning, and the tags with it: start it without --reasoning-parser"
            return [Finding("tag protocol", "problem", detail)]
        return [Finding("tag protocol", "ok", "goes on with an unfinished answer")]

    async def thinking(self) -> list[Finding]:
        """Whether the switch changes the prompt, and where thoughts are told."""
        if self._profile.thinking_switch == "none":
            return []
        try:
            on, off = [
                await self.ask("Say one word.", sampling=Sampling(max_tokens=size, seed=0, thinking=thinking))
                for thinking, size in ((True, 48), (False, 1))
            ]
        except AgentJudgeError as exc:
            return [Finding("thinking switch", "problem", f"refused: {exc.message}")]
        if on.get("prompt_token_ids") and on.get("prompt_token_ids") == off.get("prompt_token_ids"):
            detail = f"the template takes no {self._profile.thinking_switch}: it thinks as it always does"
            return [Finding("thinking switch", "absent", detail)]
        if re.search(r"</?think>", str(_said(on).get("content") or "")):
            parser = self._served.reasoning or "qwen3"
            detail = f"thoughts stand in the answer: --reasoning-parser {parser}"
            return [Finding("thinking switch", "problem", detail)]
        return [Finding("thinking switch", "ok", "changes the prompt")]

    async def pictures(self) -> list[Finding]:
        """As many pictures as the judge may show, and one that a tool shows."""
        most = most_pictures(self._judge.budget)
        if not self._profile.images or not most:
            return [Finding("pictures", "absent", "not asked: this family of models is taken to see none")]
        try:
            image = self._store.add_image(_png()).sha256
        except AgentJudgeError as exc:  # no pillow
            return [Finding("pictures", "problem", exc.message)]
        shown = {"type": "image_ref", "image": image}
        one = Sampling(max_tokens=1, seed=0)
        option = f"""--limit-mm-per-prompt '{{"image": {most}}}'"""
        try:
            await self.ask([{"role": "user", "content": [shown] * most}], sampling=one)
        except AgentJudgeError as exc:
            limit = re.search(r"at most (\d+) image", exc.message, re.IGNORECASE)
            if limit:
                detail = f"takes {limit[1]} a prompt, {self._judge.name} may show {most}: {option}"
            elif "context" in exc.message:
                return [Finding("pictures", "problem", f"{most} do not fit into the context: {exc.message}")]
            else:
                detail = f"refuses them: {exc.message}"
            return [Finding("pictures", "problem", detail)]
        findings = [Finding("pictures", "ok", f"takes {most} a prompt")]
        return [*findings, await self._from_a_tool(shown)]

    async def _from_a_tool(self, shown: dict[str, str]) -> Finding:
        """A picture in a tool's result: it must make the prompt longer."""
        one = Sampling(max_tokens=1, seed=0)
        call = {"id": "call_0", "type": "function", "function": {"name": "look_up", "arguments": '{"word": "it"}'}}
        told = {"role": "tool", "tool_call_id": "call_0", "name": "look_up"}
        text = {"type": "text", "text": "It looks like this:"}
        opening: list[Message] = [
            {"role": "user", "content": "Look it up."},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ]
        where = "in tool messages" if self._profile.image_in_tool else "in a user turn after a tool's"
        try:
            plain, seen = [
                await self.ask([*opening, {**told, "content": parts}], sampling=one)
                for parts in ([text], [text, shown])
            ]
        except AgentJudgeError as exc:
            return Finding("pictures of tools", "problem", f"not taken {where}: {exc.message}")
        more = [int((reply.get("usage") or {}).get("prompt_tokens") or 0) for reply in (plain, seen)]
        if more[1] <= more[0]:
            detail = f"the template drops pictures {where}: give one that shows them with --chat-template"
            return Finding("pictures of tools", "problem", detail)
        return Finding("pictures of tools", "ok", f"seen {where}")


def _schema(text: str, *, reasoning: Any) -> Finding:
    try:
        held = json.loads(text)["colour"] in ("red", "blue")
    except (ValueError, TypeError, KeyError, RecursionError):
        held = False
    if held:
        return Finding("JSON schema", "ok", "held against the prompt")
    if not text and reasoning:
        detail = "the answer came as reasoning: start it without --reasoning-parser, or with the one of the family"
        return Finding("JSON schema", "problem", detail)
    config = """--structured-outputs-config '{"backend": "xgrammar"}'"""
    detail = f"not held: {text[:80]!r}; verdicts will need repair turns: {config}"
    return Finding("JSON schema", "problem", detail)


def _said(reply: Reply) -> dict[str, Any]:
    return dict(reply["choices"][0]["message"])


def _object(data: bytes) -> Reply:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise Garbled(f"no JSON: {exc}") from exc
    if not isinstance(found, dict) or ("choices" in found and not found["choices"]):
        raise Garbled("not of the agreed shape")
    return found


def _png(side: int = 64) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * 3 * side) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
