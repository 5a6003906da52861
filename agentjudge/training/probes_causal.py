"""Would the verdicts be others with other evidence? The judge concludes again, in the same words, and is counted.

    held = await unmoved(judge, traces, change="removed")
    print(held.same, held.by_label["REFUTE"])           # verdicts that stay when what was looked up is taken away

| `change` | the judge has |
|---|---|
| `kept` | all that it had; what changes then changes by chance, so this is what to compare the others with |
| `removed` | no result of a tool, nor what was said after one, as in the reward `tool_mattered` |
| `swapped` | in place of each sentence that it cited one that another case was shown |

A verdict that stays whatever is shown does not rest on it: it was known by heart, or guessed. NOT ENOUGH INFO should
stay, so look at the labels one by one. What a judge said in its own words before it concluded is kept with `swapped`,
and may still tell of the evidence that is gone.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from agentjudge.case import Document, Record
from agentjudge.errors import ConfigError, DataError
from agentjudge.evidence import EvidenceRef, EvidenceStore
from agentjudge.judge import spread
from agentjudge.prompts import Fence
from agentjudge.registry import register
from agentjudge.rewards.mattered import Concluding, before
from agentjudge.runs.statistics import Interval, wilson
from agentjudge.tools.citing import plain
from agentjudge.trace import Trace
from agentjudge.training.probes_faithful import titles

Change = Literal["kept", "removed", "swapped"]


class Unmoved(Record):
    """The verdicts that stayed when something was done to what they rest on."""

    change: Change
    same: Interval
    """Share of the verdicts that gave the same label; one that then abstained did not."""
    by_label: dict[str, Interval]
    """The same for each label that was given at first."""
    became: dict[str, int]
    """Labels of the verdicts that changed, `none` for abstentions, and how many each."""
    failed: int
    """Conclusions that could not be had; they are left out."""
    left_out: int
    """Traces that say nothing here: no scored label, no tool that showed anything, or nothing cited to swap."""


@register("training", "unmoved", paper="2604.18574")
async def unmoved(
    judge: Concluding,
    traces: Sequence[Trace],
    *,
    change: Change = "removed",
    evidence: Callable[[Trace], EvidenceStore] | None = None,
    seed: int = 0,
    concurrency: int = 16,
) -> Unmoved:
    """How many verdicts stay the same when the judge concludes over something else.

    Args:
        judge: of the same prompts and the same model as the traces.
        traces: of judgements that looked something up, of two cases at least for `swapped`.
        change: see the table above.
        evidence: makes the store of a trace; needed where pictures were shown, such as
            `agentjudge.runs.rescore.stored_evidence` makes of a run; `shown_store` when None.
        seed: of the sentences that are swapped in.
        concurrency: conclusions in flight at once.

    Raises:
        ConfigError: unknown `change`.
        DataError: no trace that something can be done to, or no conclusion could be had.
    """
    if change not in get_args(Change):
        raise ConfigError(f"evidence is {', '.join(map(repr, get_args(Change)))}, not {change!r}")
    made = [(trace, _changed(trace, change, traces, seed)) for trace in traces]
    pairs = [(trace, other) for trace, other in made if other is not None]
    if not pairs:
        raise DataError(f"no evidence of these {len(traces)} traces can be {change}: none has a label and looked it up")
    found: dict[int, str | None] = {}
    errors: list[str] = []

    async def work(numbered: tuple[int, tuple[Trace, Trace]]) -> None:
        number, (_, other) = numbered
        verdict = (await judge.aconclude(other, lambda: (evidence or shown_store)(other))).verdict
        if verdict.failure is not None:
            errors.append(verdict.failure.message)
        else:
            found[number] = verdict.label

    await spread(enumerate(pairs), work, concurrency=concurrency)
    if not found:
        raise DataError(f"no conclusion could be had: {errors[0]}")
    rows = [(pairs[number][0].verdict.label or "", label) for number, label in sorted(found.items())]
    return Unmoved(
        change=change,
        same=_share(rows),
        by_label={
            label: _share([row for row in rows if row[0] == label]) for label in dict.fromkeys(row[0] for row in rows)
        },
        became=dict(Counter(now or "none" for was, now in rows if now != was)),
        failed=len(errors),
        left_out=len(traces) - len(pairs),
    )


def shown_store(trace: Trace) -> EvidenceStore:
    """A store with the sentences that were shown in a trace, each in its place.

    Raises:
        DataError: pictures were shown too.
    """
    if trace.pictures:
        raise DataError(
            "pictures were shown in this trace; `evidence` has to bring them, as `stored_evidence` of a run"
        )
    own = {document.id for document in trace.case.documents if isinstance(document, Document)}
    texts: dict[str, str] = {}
    for ref in (ref for event in trace.events for ref in event.refs):
        if ref.doc is not None and ref.start is not None and ref.quote and ref.doc not in own:
            text = texts.get(ref.doc, "").ljust(ref.start)
            texts[ref.doc] = text[: ref.start] + ref.quote + text[ref.start + len(ref.quote) :]
    store, named = EvidenceStore(), titles(trace)
    for doc, text in texts.items():
        store.add_document(doc, text, title=named.get(doc, ""))
    return store


def swapped(trace: Trace, others: Sequence[str], *, seed: int = 0) -> Trace | None:
    """The trace with another sentence in place of each that its verdict cites; None where a tool showed none of them.

    The ids stay, so that a verdict can cite what now stands there.

    Args:
        trace: any.
        others: sentences to choose from.
        seed: of the choice.
    """
    shown = {ref.id: ref for event in trace.events for ref in event.refs if ref.kind == "text" and ref.id}
    cited = [shown[ref.id] for ref in trace.verdict.evidence if ref.id in shown]
    own = {ref.quote for ref in shown.values()}
    foreign = [other for other in others if other not in own]
    if not cited or not foreign:
        return None
    draw = random.Random(f"{seed}/{trace.case.id}")
    ends = {ref.doc: 0 for ref in cited} | _ends(trace)
    refs, texts = dict[str, EvidenceRef](), dict[str, str]()
    for ref in cited:
        quote = draw.choice(foreign)
        start = ends[ref.doc] + 1  # behind all that is shown of the document, where there is room for any length
        ends[ref.doc] = start + len(quote)
        refs[ref.id] = ref.model_copy(update={"start": start, "end": ends[ref.doc], "quote": quote})
        texts[_line(ref.quote or "")] = _line(quote)
    if not all(any(text in _words(m) for m in trace.messages if m.get("role") == "tool") for text in texts):
        return None
    messages = [_told(message, texts) for message in trace.messages]
    now = {id(old): new for old, new in zip(trace.messages, messages, strict=True)}
    return replace(
        trace,
        messages=messages,
        turns=[replace(turn, message_out=now[id(turn.message_out)]) for turn in trace.turns],
        events=[
            replace(event, refs=tuple(refs.get(ref.id, ref) for ref in event.refs), data=_told(event.data, texts))
            for event in trace.events
        ],
    )


def _changed(trace: Trace, change: Change, traces: Sequence[Trace], seed: int) -> Trace | None:
    """What the judge is to conclude over; None where the trace has no label, or nothing was shown."""
    if trace.verdict.label is None or not any(event.status == "ok" for event in trace.events):
        return None
    if change == "removed":
        return before(trace)
    if change == "kept":
        return trace
    quotes = [
        ref.quote
        for other in traces
        if other.case.id != trace.case.id
        for event in other.events
        for ref in event.refs
        if ref.kind == "text" and ref.quote
    ]
    return swapped(trace, list(dict.fromkeys(quotes)), seed=seed)


def _share(rows: Sequence[tuple[str, str | None]]) -> Interval:
    return wilson(sum(now == was for was, now in rows), len(rows))


def _ends(trace: Trace) -> dict[str | None, int]:
    """By document where the last sentence that was shown ends, in characters."""
    ends: dict[str | None, int] = {}
    for ref in (ref for event in trace.events for ref in event.refs):
        ends[ref.doc] = max(ends.get(ref.doc, 0), ref.end or 0)
    return ends


def _line(quote: str) -> str:
    """A sentence as it stands in a message."""
    return Fence.escape(plain(quote))


def _words(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text") or "") for part in content)
    return str(content or "")


def _told(value: Any, texts: Mapping[str, str]) -> Any:
    """A JSON value with every text in it replaced; itself where there is none."""
    if isinstance(value, str):
        for old, new in texts.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        made: Any = {key: _told(each, texts) for key, each in value.items()}
    elif isinstance(value, list):
        made = [_told(each, texts) for each in value]
    else:
        return value
    return value if made == value else made
