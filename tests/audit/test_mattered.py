import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flawed_judges import labelled, state_of, trace_of, value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from agentjudge.audit.base import Audited, Finding, Probe
from agentjudge.audit.cutting import NOTHING, without_result, without_sentence
from agentjudge.audit.mattered import Mattered, attributed, variation
from agentjudge.audit.running import audits, plan, run
from agentjudge.case import Claim, Document, Step, Trajectory
from agentjudge.errors import ConfigError
from agentjudge.judge import Judge
from agentjudge.models.base import Request, Sampling
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rewards.mattered import before
from agentjudge.runs.folder import open_run
from agentjudge.tools.corpus import Corpus

FALL = "fall of the verdict's probability without {}"
TEXTS = ("Bridge {0} opened in {1}. It is made of iron.", "Tower {0} is tall. It has no lift.")
CORPUS = Corpus(
    tuple(
        Document(id=f"{kind}{i}", title=f"{kind} {i}", text=text.format(i, 1800 + i))
        for i in range(1, 4)
        for kind, text in zip(("Bridge", "Tower"), TEXTS, strict=True)
    )
)
CASES = [Claim(id=f"c{i}", claim=f"Bridge {i} opened in {1800 + i}.") for i in range(1, 4)]


def looks_up(request: Request) -> str | dict[str, object]:
    """Looks the bridge up, or by chance the tower; supports what it then reads, and cites it."""
    assert isinstance(request.case, Claim)
    by_chance = request.sampling.temperature > 0 and (request.sampling.seed or 0) % 2
    if request.phase == "act" and not request.events:
        number = request.case.claim.split()[1]
        query = f"Tower {number} tall lift" if by_chance else request.case.claim
        return {"tool_calls": [{"function": {"name": "retrieve", "arguments": json.dumps({"query": query})}}]}
    found = next((r.id for e in request.events for r in e.refs if r.quote and r.quote in request.case.claim), None)
    label = "NOT ENOUGH INFO" if found is None else "SUPPORT"
    return json.dumps({"reason": "Read.", "evidence": [found] if found else [], "label": label, "confidence": 0.9})


def by_heart(request: Request) -> str | dict[str, object]:
    """Looks it up and cites whatever it is shown; says SUPPORT in any case."""
    if request.phase == "act" and not request.events:
        return looks_up(request)
    shown = [ref.id for event in request.events for ref in event.refs]
    return json.dumps({"reason": "So it is.", "evidence": shown[:1], "label": "SUPPORT", "confidence": 0.9})


def audited(model: Callable[[Request], object], folder: Path, *, resume: bool = False) -> Finding:
    def loads(*, blobs: Path, tools: bool = True, temperature: float | None = None) -> Judge:
        sampling = Sampling(temperature=temperature or 0.0)
        scripted = ScriptedModel(model)  # type: ignore[arg-type]
        return Judge.load("veri-r1", model=scripted, corpus=CORPUS, sampling=sampling, seed=1, blobs=blobs)

    (finding,) = run(plan([Mattered()], CASES), loads, folder, resume=resume).findings
    return finding


def test_a_call_that_decides_the_verdict_and_the_sentence_that_it_cites(tmp_path: Path) -> None:
    finding = audited(looks_up, tmp_path)
    assert 0 < value_of(finding, "calls that are others when drawn again") < 1
    assert value_of(finding, "importance of a call: verdicts after another one") == 1
    for said in ("the result of a call", "a cited sentence"):
        assert value_of(finding, FALL.format(said)) == pytest.approx(0.9 - 0.05)
    assert value_of(finding, FALL.format("a sentence that is not cited")) == 0
    assert value_of(finding, "verdicts that rest on something they cite") == 1
    assert finding.scored == finding.n and not finding.examples


def test_a_judge_that_cites_what_it_does_not_need(tmp_path: Path) -> None:
    finding = audited(by_heart, tmp_path)
    assert value_of(finding, "importance of a call: verdicts after another one") == 0
    assert value_of(finding, "verdicts that rest on something they cite") == 0
    assert len(finding.examples) == 3
    assert state_of(finding, "verdicts that rest on something they cite") == "open"  # of three claims nothing is sure


def test_the_second_round_is_runs_of_its_own_that_go_on(tmp_path: Path) -> None:
    first = audited(looks_up, tmp_path)
    folders = sorted(tmp_path.glob("again-*"))
    assert len(folders) == 2
    before_it = {folder: len(open_run(folder).statuses()) for folder in folders}
    lines = (folders[0] / "traces.jsonl").read_bytes().splitlines(keepends=True)
    (folders[0] / "traces.jsonl").write_bytes(b"".join(lines[:-1]))
    assert audited(looks_up, tmp_path, resume=True) == first
    assert {folder: len(open_run(folder).statuses()) for folder in folders} == before_it
    drawn = next(f for f in folders if any("again" in trace.case.id for trace in open_run(f).traces()))
    queries = {trace.events[0].args["query"] for trace in open_run(drawn).traces()}
    assert len(queries) == 6  # both calls, for each of three claims
    assert all(trace.verdict.case_id == trace.case.id for trace in open_run(drawn).traces())


def traced(case: Claim, *, corpus: Corpus | None = CORPUS) -> Audited:
    with Judge.load("veri-r1", model=ScriptedModel(looks_up), corpus=corpus, seed=1) as judge:
        return Audited(Probe(case, case), judge.run(case))


def test_going_on_from_before_a_call_is_the_judgement_again() -> None:
    with Judge.load("veri-r1", model=ScriptedModel(looks_up), corpus=CORPUS, seed=1) as judge:
        trace = judge.run(CASES[0])
        again = judge.wait(judge.aresume(CASES[0], before(trace, 0)))
        over = judge.wait(judge.aresume(CASES[0], trace, act=False))
    assert again.timeless().messages == trace.messages
    assert again.verdict.label == over.verdict.label == trace.verdict.label == "SUPPORT"
    assert [event.args for event in over.events] == [event.args for event in trace.events]


def test_a_judge_with_a_plan_goes_on_from_before_its_second_call() -> None:
    """The plan and the first call stay; only what comes after is asked again."""
    steps = tuple(Step(observation=f"Page {i}.", action="noop()") for i in range(3))
    case = Trajectory(id="t", goal="Open page 2.", steps=steps)

    def says(request: Request) -> str | dict[str, object]:
        if request.phase == "plan":
            return json.dumps({"points": ["Page 2 is open."]})
        done = len(request.events)
        if request.phase == "act" and done < 2:
            return {"tool_calls": [{"function": {"name": "get_step", "arguments": json.dumps({"step": done + 1})}}]}
        aspects = {name: {"reason": "Seen.", "label": "no"} for name in ("side_effect", "looping")}
        said: dict[str, object] = {"points": [{"point": "Page 2 is open.", "reason": "Seen.", "met": "yes"}], **aspects}
        said |= {"optimality": {"reason": "Seen.", "label": "completely optimal"}, "evidence": ["step 2"]}
        return json.dumps(
            {**said, "reason": "Seen.", "label": "success" if done == 2 else "failure", "confidence": 0.8}
        )

    with Judge.load("trajectory", model=ScriptedModel(says), seed=1) as judge:
        trace = judge.run(case)
        assert trace.verdict.label == "success" and len(trace.events) == 2
        cut = before(trace, trace.events[1].turn)
        again = judge.wait(judge.aresume(case, cut))
        over = judge.wait(judge.aresume(case, cut, act=False))
    assert again.verdict.label == "success" and [e.args for e in again.events] == [e.args for e in trace.events]
    assert [turn.phase for turn in again.turns] == [turn.phase for turn in trace.turns]
    assert over.verdict.label == "failure" and len(over.events) == 1


def test_what_is_cut_is_gone_from_messages_and_events() -> None:
    trace = traced(CASES[0]).trace
    (cited,) = [ref.id for ref in trace.verdict.evidence]
    said = next(message for message in trace.messages if message.get("role") == "tool")
    assert "opened in 1801" in str(said["content"])
    cut = without_sentence(trace, cited)
    assert cut is not None and cited not in cut.shown and len(cut.shown) == len(trace.shown) - 1
    assert "Bridge 1 opened in 1801." not in json.dumps([cut.messages[3:], cut.events[0].data])
    empty = without_result(trace, 0)
    assert not empty.shown and [m["content"] for m in empty.messages if m.get("role") == "tool"] == [NOTHING]
    assert trace.shown and without_sentence(trace, "never shown") is None
    assert all(any(turn.message_out is said for said in empty.messages) for turn in empty.turns)


def test_sentences_of_own_documents_are_taken_from_the_case() -> None:
    document = Document(id="d", text="Bridge 1 opened in 1801. It is red.")
    case = CASES[0].model_copy(update={"documents": (document,)})
    with Judge.load("veri-r1", model="embedded", seed=1) as judge:
        each = Audited(Probe(case, case), judge.run(case))
    made = {probe.variant: probe for probe in attributed(each)}
    assert each.verdict.label == "SUPPORT" and "sentence d:0" in made
    (kept,) = made["sentence d:0"].case.documents
    assert isinstance(kept, Document) and kept.text == "It is red." and made["sentence d:0"].given is None


def test_nothing_is_asked_of_judgements_that_say_nothing() -> None:
    silent = Audited(Probe(CASES[0], CASES[0]), trace_of(lambda _: {"status": "abstained"}, CASES[0]))
    bare = Audited(Probe(CASES[1], CASES[1]), trace_of(lambda _: labelled("SUPPORT"), CASES[1]))
    assert list(Mattered().again([silent, bare])) == []
    assert Mattered().find([silent, bare]).state == "silent"


def test_the_second_round_keeps_its_bound() -> None:
    each = traced(CASES[0])
    many = [
        Audited(Probe(c, c), replace(each.trace, case=c))
        for c in (CASES[0].model_copy(update={"id": f"n{n}"}) for n in range(40))
    ]
    made = list(Mattered().again(many))
    assert 0 < len(made) <= Mattered.most_again
    assert len({(probe.case.id, probe.way) for probe in made}) == len(made)


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abc"), min_size=1), st.lists(st.sampled_from("abc"), min_size=1))
def test_variation_is_a_distance(one: list[str], two: list[str]) -> None:
    assert variation(one, two) == pytest.approx(variation(two, one))
    assert 0 <= variation(one, two) <= 1 + 1e-9 and variation(one, one * 3) == pytest.approx(0)


def test_a_part_of_audits_is_not_made_by_itself() -> None:
    assert [audit.name for audit in audits(["mattered"])] == ["mattered"]
    with pytest.raises(ConfigError, match="'attribution' is a part of audits"):
        audits(["attribution"])


def test_variation_of_nothing() -> None:
    with pytest.raises(ValueError, match="need something"):
        variation([], ["a"])
