"""Traces with token ids, made up for tests of training."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from agentjudge.case import Case, Claim, Gold
from agentjudge.evidence import EvidenceRef
from agentjudge.trace import Message, Phase, ToolEvent, Trace, Turn
from agentjudge.verdict import Provenance, Verdict

CLAIM = Claim(id="c", claim="Mount Everest is 8849 m high.", gold=Gold(label="SUPPORT"))


class Ids(NamedTuple):
    """A turn in tokens."""

    prompt: Sequence[int]
    output: Sequence[int]
    parent: int | None = None
    """The turn that it continues; the one before when None, no other when negative."""
    images: Sequence[str] = ()
    """Shown right before it."""
    phase: Phase = "act"
    logprobs: Sequence[float] | None = None


def trace_of(turns: Sequence[Ids], *, case: Case = CLAIM, events: Sequence[ToolEvent] = (), **verdict: Any) -> Trace:
    """A trace whose turns have these ids; the k-th token sampled of a turn has log-probability -(k + 1) / 100."""
    messages: list[Message] = []
    made: list[Turn] = []
    seen: list[tuple[int, ...]] = []
    for number, turn in enumerate(turns):
        parts = [{"type": "text", "text": "?"}, *({"type": "image_ref", "image": image} for image in turn.images)]
        parent = number - 1 if turn.parent is None else turn.parent
        before = seen[parent] if parent >= 0 else ()
        messages_in = (*before, len(messages))
        messages.append({"role": "user", "content": parts})
        out: Message = {"role": "assistant", "content": f"turn {number}"}
        messages.append(out)
        seen.append((*messages_in, len(messages) - 1))
        logprobs = [-(k + 1) / 100 for k in range(len(turn.output))] if turn.logprobs is None else list(turn.logprobs)
        made.append(Turn(out, messages_in, turn.phase, prompt_ids=list(turn.prompt), output_ids=list(turn.output)))
        made[-1].logprobs = logprobs
    outcome = verdict or {"label": "SUPPORT"}
    given = Verdict(case_id=case.id, status="scored", provenance=Provenance(judge="j"), **outcome)
    return Trace(case.blind(), "j", messages, made, list(events), (), given)


def sentence(doc: str, number: int = 0) -> EvidenceRef:
    """A sentence that was shown."""
    return EvidenceRef(kind="text", id=f"{doc}:{number}", doc=doc, start=0, end=1, quote="x")


def call(turn: int, *shows: str, status: Any = "ok") -> ToolEvent:
    """A call that showed the first sentence of some documents."""
    return ToolEvent(
        f"call {turn}", "retrieve", {"query": " ".join(shows)}, status, tuple(map(sentence, shows)), turn=turn
    )
