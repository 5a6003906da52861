"""Judgements made up for tests of rewards: what was said, what was called, what was shown, what came out."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from agentjudge.case import Case, Claim, Comparison, Gold
from agentjudge.evidence import EvidenceRef
from agentjudge.trace import ToolEvent, Trace, Turn, TurnUsage
from agentjudge.verdict import Failure, Provenance, Verdict

CLAIM = Claim(id="c", claim="Mount Everest is 8849 m high.", gold=Gold(label="SUPPORT", evidence=(("a", "b"),)))
PAIR = Comparison(id="p", prompt="What is it?", responses=("A square.", "Bread."), gold=Gold(preference=-1))


class Call(NamedTuple):
    """A tool call, and the ids of what it showed."""

    turn: int = 0
    shows: Sequence[str] = ()
    status: Any = "ok"
    args: dict[str, Any] = {}
    name: str = "retrieve"


def ref(name: str) -> EvidenceRef:
    return EvidenceRef(kind="text", id=name, doc="d", start=0, end=1, quote="x")


def gold(case: Case, **known: Any) -> Any:
    """The case with another gold."""
    return case.model_copy(update={"gold": Gold(**known)})


def judgement(
    case: Case = CLAIM,
    *,
    said: Sequence[str | dict[str, Any]] = ("{}",),
    calls: Sequence[Call] = (),
    opening: Sequence[str] = (),
    cites: Sequence[str] = (),
    failed: str | None = None,
    tokens: int = 0,
    rationale: str = "",
    **outcome: Any,
) -> Trace:
    """A trace with one turn for each of `said`; scored with `outcome`, abstained without one, or failed."""
    turns = []
    for number, each in enumerate(said):
        message = {"role": "assistant", **({"content": each} if isinstance(each, str) else each)}
        last = number == len(said) - 1
        usage = TurnUsage(completion_tokens=tokens if last else 0)
        turns.append(Turn(message_out=message, phase="conclude" if last else "act", usage=usage))
    events = [
        ToolEvent(
            f"call_{n}", call.name, call.args or {"n": n}, call.status, tuple(map(ref, call.shows)), turn=call.turn
        )
        for n, call in enumerate(calls)
    ]
    status = "failed" if failed else "scored" if any(v is not None for v in outcome.values()) else "abstained"
    verdict = Verdict(
        case_id=case.id,
        status=status,
        evidence=tuple(map(ref, cites)),
        rationale=rationale,
        failure=Failure.model_validate({"kind": failed, "message": "gone"}) if failed else None,
        provenance=Provenance(judge="j"),
        **(outcome if status == "scored" else {}),
    )
    messages = [turn.message_out for turn in turns]
    return Trace(case.blind(), "j", messages, turns, events, tuple(map(ref, opening)), verdict)


def verdict_text(**fields: Any) -> str:
    """A verdict as one JSON object."""
    return json.dumps({"reason": "So it says.", **fields})
