"""Traces as lines: what goes in comes out, and nothing is written twice."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.case import Claim, Document
from agentjudge.errors import DataError, StoreError
from agentjudge.evidence import Box, EvidenceRef
from agentjudge.runs import packing
from agentjudge.runs.packing import Packer, Pieces
from agentjudge.trace import Message, ToolEvent, Trace, Turn, TurnUsage
from agentjudge.verdict import Confidence, Criterion, Failure, Provenance, Usage, Verdict

SENTENCES = ["The bridge opened in 1932 to traffic.", "It is painted grey, as it always was.", "~It is old."]


def ref(id: str, quote: str) -> EvidenceRef:
    return EvidenceRef(kind="text", id=id, doc="bridge", start=7, end=7 + len(quote), quote=quote)


def trace(id: str, text: str = "", data: Any = None, ids: list[list[int]] | None = None, **outcome: Any) -> Trace:
    messages: list[Message] = [
        {"role": "system", "content": "You judge claims. Look things up with the tools, then decide."},
        {"role": "user", "content": f"Verify this:\n<{id}>\n{text}\n</{id}>"},
    ]
    turns, events, refs = [], [], tuple(ref(f"b:{i}", s) for i, s in enumerate(SENTENCES))
    for number, prompt in enumerate(ids or [[1, 2]]):
        call = {"id": "1", "type": "function", "function": {"name": "retrieve", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": text, "tool_calls": [call]})
        turn = Turn(messages[-1], tuple(range(len(messages) - 1)), prompt_ids=prompt, output_ids=[9, number])
        turns.append(turn)
        shown = "\n".join(f"[[{r.id}]] {r.quote}" for r in refs)
        messages.append({"role": "tool", "tool_call_id": "1", "content": f"<{id}>\n{shown}\n</{id}>"})
        events.append(ToolEvent("1", "retrieve", {"query": text}, "ok", refs=refs, data={"hits": data}, turn=number))
    usage = Usage(turns=1, completion_tokens=3, seconds=0.25)
    provenance = Provenance(judge="veri-r1", prompt_hash="ab" * 32, sampling={"seed": 1})
    outcome = outcome or {"status": "scored", "label": "REFUTE", "evidence": refs[:2]}
    verdict = Verdict(case_id=id, usage=usage, provenance=provenance, **outcome)
    claim = f"{id} {text}".encode("utf-8", "replace").decode()
    return Trace(Claim(id=id, claim=claim), "veri-r1", messages, turns, events, refs[:1], verdict)


def read(lines: list[bytes]) -> list[Trace]:
    pieces = Pieces()
    return [pieces.trace(pieces.read(line)) for line in lines]


texts = st.text(st.sampled_from('ab~.!?[] \n\t\u2028é😀\ud800\x00"'), max_size=120) | st.sampled_from(SENTENCES)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(st.tuples(texts, values), min_size=1, max_size=5))
def test_every_trace_comes_back(made: list[tuple[str, Any]]) -> None:
    traces = [trace(f"case {number}", text, data) for number, (text, data) in enumerate(made)]
    packer = Packer()
    back = read([packer.line(each) for each in traces])
    assert back == traces
    assert [json.dumps(each.to_json()) for each in back] == [json.dumps(each.to_json()) for each in traces]


@given(st.lists(st.tuples(texts, values), min_size=2, max_size=6), st.data())
def test_a_packer_goes_on_where_another_one_ended(made: list[tuple[str, Any]], data: st.DataObject) -> None:
    traces = [trace(f"case {number}", text, each) for number, (text, each) in enumerate(made)]
    whole = Packer()
    lines = [whole.line(each) for each in traces]
    cut = data.draw(st.integers(0, len(lines)))
    pieces = Pieces()
    for line in lines[:cut]:
        pieces.read(line)
    again = Packer(pieces)
    assert [again.line(each) for each in traces[cut:]] == lines[cut:]


def test_all_fields_come_back() -> None:
    region = EvidenceRef(kind="region", id="i", image="ab", box=Box(0, 0, 1, 1), box_root=Box(0.1, 0, 1 / 3, 1))
    step = EvidenceRef(kind="step", step=3)
    full = trace(
        "c",
        status="scored",
        score=0.25,
        evidence=(region, step),
        criteria=(Criterion(name="style", reason="~", score=0.5),),
        confidence=Confidence(value=0.5, method="stated"),
        rationale="A reason that is long enough to be a piece. And a second one.",
    )
    full.events[0].images, full.events[0].refs, full.events[0].error = ("ab", "cd"), (region, step), "none"
    full.turns[0].logprobs, full.turns[0].phase, full.turns[0].messages_in = [-0.5, 0.0], "conclude", (0,)
    full.turns[0].usage, full.turns[0].model_version = TurnUsage(5, 4, 3), "m"
    full.turns[0].tokens, full.turns[0].alternatives = ["Yes", "\udcc3"], [{"Yes": -0.5, " No": -9999.0}, {}]
    full.opening, full.case = (step,), Claim(id="c", claim="x", documents=(Document(id="d", text="t"),), images=("a",))
    failed = trace("f", status="failed", failure=Failure(kind="model", message="down", retriable=True))
    empty = Trace(Claim(id="e", claim="x"), "veri-r1", [], [], [], (), failed.verdict)
    packer = Packer()
    assert read([packer.line(each) for each in (full, failed, empty)]) == [full, failed, empty]


def test_turns_without_alternatives_say_nothing_of_them() -> None:
    plain, asked = trace("c"), trace("c")
    asked.turns[0].tokens, asked.turns[0].alternatives = ["Yes"], [{"Yes": -0.5}]
    turns = [json.loads(Packer().line(each))["trace"]["turns"][0] for each in (plain, asked)]
    assert not {"tokens", "alternatives"} & set(turns[0]) and {"tokens", "alternatives"} <= set(turns[1])


def test_what_two_traces_share_is_written_once() -> None:
    packer = Packer()
    lines = [packer.line(trace(f"c{number}")) for number in range(3)]
    whole = b"".join(lines).decode()
    assert all(whole.count(json.dumps(sentence)) == 1 for sentence in SENTENCES[:2])
    assert whole.count("Look things up with the tools") == 1 and whole.count("ab" * 32) == 1
    assert len(lines[1]) < 0.6 * len(lines[0])
    assert json.loads(lines[2])["new"] and len(json.loads(lines[2])["new"]) < 8


def test_prompts_that_go_on_are_written_once() -> None:
    start = list(range(1000, 3000))
    prompts = [start, [*start, 9, 0, 5, 6], [*start, 9, 0, 5, 6, 9, 1, 7], [1, 2, 3]]
    told = trace("c", ids=prompts)
    packer = Packer()
    line = packer.line(told)
    assert [turn["prompt_ids"][0] for turn in json.loads(line)["trace"]["turns"]] == [0, 2002, 2006, 0]
    assert read([line]) == [told]


def test_counting_starts_over_and_later_lines_need_no_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MOST_PIECES", 20)
    traces = [trace(f"c{number}", f"A claim about bridge number {number}.") for number in range(12)]
    packer = Packer()
    lines = [packer.line(each) for each in traces]
    starts = [number for number, line in enumerate(lines) if json.loads(line)["at"] == 0]
    assert len(starts) > 2
    assert read(lines) == traces
    assert read(lines[starts[1] :]) == traces[starts[1] :]


def test_lines_that_build_on_missing_ones_are_refused() -> None:
    packer = Packer()
    lines = [packer.line(trace(f"c{number}")) for number in range(3)]
    with pytest.raises(StoreError, match="builds on"):
        read([lines[0], lines[2]])


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"3", b'{"case": "c"}', b"\0\0\0"])
def test_what_is_no_line_is_told(line: bytes) -> None:
    with pytest.raises(ValueError):
        Pieces().read(line)


@pytest.mark.parametrize("data", [{1, 2}, b"bytes", object()])
def test_a_trace_that_is_not_json_is_refused_and_the_next_one_is_not(data: Any) -> None:
    packer = Packer()
    first = packer.line(trace("c0"))
    with pytest.raises(DataError, match="'c1' is not JSON"):
        packer.line(trace("c1", data=data))
    assert read([first, packer.line(trace("c2", "A text of its own."))]) == [
        trace("c0"),
        trace("c2", "A text of its own."),
    ]


def test_traces_share_nothing_that_can_change() -> None:
    packer = Packer()
    one, two = read(
        [packer.line(trace("c0", data=[{"a": "x" * 50}])), packer.line(trace("c1", data=[{"a": "x" * 50}]))]
    )
    one.messages[0]["content"] = "changed"
    one.events[0].data["hits"][0]["a"] = "changed"
    assert two == trace("c1", data=[{"a": "x" * 50}])
