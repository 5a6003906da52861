from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from flawed_judges import (
    Rule,
    always_yes,
    claims,
    clicks,
    evidence_ignorer,
    honest,
    judged,
    labelled,
    pairs,
    runs,
    state_of,
    sums,
    trace_of,
    value_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agentjudge.audit.base import Audited, Probe
from agentjudge.audit.evidence import EvidenceDependence
from agentjudge.audit.operators import AGAIN, duplicated, exchanged, removed, supports, without
from agentjudge.audit.running import plan, run
from agentjudge.audit.utility import distance, held, utility
from agentjudge.case import REFUTE, SUPPORT, Case, Claim, Document, Gold, Response, Trajectory
from agentjudge.evidence import EvidenceRef
from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel
from agentjudge.trace import ToolEvent
from agentjudge.verdict import Confidence

AUDIT = EvidenceDependence()
ALL = {"sums": sums, "pairs": pairs, "claims": claims, "runs": runs, "clicks": clicks}
FALL = "verdicts that fall when their evidence is {}"
FOLLOW = "verdicts that differ between contrary evidence for one claim"


def contrary(n: int) -> list[Case]:
    """Each claim with a document that supports it, and with one that refutes it."""
    found: list[Case] = []
    for i in range(n):
        for label, year in ((SUPPORT, 1800 + i), (REFUTE, 1900 + i)):
            text = Document(id=f"d{i}-{label}", text=f"Bridge {i} opened in {year}. It is of iron.")
            claim = f"Bridge {i} opened in {1800 + i}."
            gold = Gold(label=label, evidence=((f"{text.id}:0",),))
            found.append(Claim(id=f"c{i}-{label}", claim=claim, documents=(text,), gold=gold))
    return found


def test_an_honest_judge_is_kept_and_its_verdicts_fall_with_their_evidence() -> None:
    finding = judged(AUDIT, honest, [*claims(30), *contrary(10)])
    assert finding.state == "kept", finding.numbers
    for variant in ("removed", "random"):
        assert value_of(finding, FALL.format(variant)) == 1
        assert value_of(finding, f"evidence dependence: right - {variant}") == pytest.approx(0.85)
    assert value_of(finding, FOLLOW) == 1
    assert value_of(finding, "both verdicts right on contrary evidence") == 1
    assert value_of(finding, "verdicts that change when evidence is shown twice") == 0
    assert value_of(finding, "CUE-R, removed: correctness") == -1
    assert value_of(finding, "CUE-R, duplicated: trace") == 0
    assert not finding.examples


def test_a_judge_that_knows_by_heart_is_broken_though_it_is_always_right() -> None:
    finding = judged(AUDIT, evidence_ignorer, claims(30))
    assert value_of(finding, "AUROC with the right evidence") == 1
    for variant in ("removed", "random"):
        assert state_of(finding, FALL.format(variant)) == "broken"
        assert value_of(finding, f"evidence dependence: right - {variant}") == 0
    assert finding.state == "broken" and len(finding.examples) == 5


def test_contrary_evidence_for_one_claim_has_to_be_told_apart() -> None:
    finding = judged(AUDIT, evidence_ignorer, contrary(10))
    assert state_of(finding, FOLLOW) == "broken" and value_of(finding, FOLLOW) == 0
    assert value_of(finding, "both verdicts right on contrary evidence") == 0
    assert value_of(finding, "AUROC with the right evidence") == 0.5


def test_a_success_that_rests_on_the_agents_words_is_broken() -> None:
    assert state_of(judged(AUDIT, honest, runs(40)), FALL.format("removed")) == "kept"
    finding = judged(AUDIT, always_yes, runs(40))
    assert state_of(finding, FALL.format("removed")) == "broken"
    shown = next(probe.case for probe in AUDIT.probes(runs(4)) if probe.variant == "removed")
    assert isinstance(shown, Trajectory) and all(step.action and not step.observation for step in shown.steps)


def test_a_judge_moved_by_a_copy_is_broken() -> None:
    def counts(case: Case) -> dict[str, object]:
        return labelled(REFUTE) if len(case.documents) > 1 else honest(case)

    finding = judged(AUDIT, counts, claims(60))
    assert state_of(finding, "verdicts that change when evidence is shown twice") == "broken"


def needs(both: bool) -> Rule:
    """Supports a claim by the sentences 'One.' and 'Two.', by both of them or by either."""

    def rule(case: Case) -> dict[str, object]:
        text = " ".join(each.text for each in case.documents if isinstance(each, Document))
        found = ["One." in text, "Two." in text]
        return labelled(SUPPORT if (all if both else any)(found) else "NOT ENOUGH INFO", 1.0)

    return rule


@pytest.mark.parametrize(("both", "synergy"), [(True, -1.0), (False, 1.0)])
def test_two_supports_of_which_both_are_needed_or_either(both: bool, synergy: float) -> None:
    gold = Gold(label=SUPPORT, evidence=(("d:0", "d:2"),))
    document = Document.of_sentences("d", ["One.", "Between.", "Two."])
    cases = [Claim(id=f"c{i}", claim=f"So it is, {i}.", documents=(document,), gold=gold) for i in range(3)]
    assert value_of(judged(AUDIT, needs(both), cases), "synergy of two supports") == synergy


def test_verdicts_without_tools_stand_beside_those_with_tools() -> None:
    case = Claim(id="c", claim="It rains.", gold=Gold(label=SUPPORT))
    made = list(AUDIT.probes([case]))
    assert [(probe.way, probe.case.id) for probe in made] == [("judged", "c"), ("bare", "c")]
    said = {"judged": labelled(SUPPORT), "bare": labelled("NOT ENOUGH INFO")}
    finding = AUDIT.find([Audited(probe, trace_of(lambda _, way=probe.way: said[way], probe.case)) for probe in made])
    assert value_of(finding, "verdicts that are the same without tools") == 0
    assert value_of(finding, "accuracy with tools - without") == 1


def test_scores_of_answers_are_told_and_not_limited() -> None:
    documents = [(Document(id=f"d{i}", text=f"Sum number {i} comes to {3 * i}."),) for i in range(1, 11)]
    cases = [case.model_copy(update={"documents": each}) for case, each in zip(sums(10), documents, strict=True)]

    def reads(case: Case) -> dict[str, object]:
        assert isinstance(case, Response)
        told = " ".join(each.text for each in case.documents if isinstance(each, Document))
        return {"score": float(case.response.split(" = ")[1].split(".")[0] + "." in told)}

    finding = judged(AUDIT, reads, cases)
    assert value_of(finding, "score that rests on evidence: right - removed") == 0.5  # of the right half
    assert finding.state == "silent"


def test_claims_that_must_be_decided_are_not_judged_without_evidence() -> None:
    two = [case.model_copy(update={"labels": (SUPPORT, REFUTE)}) for case in contrary(2)]
    assert {probe.variant for probe in AUDIT.probes(two)} == {"", "without tools", "duplicated"}
    settled = [case for case in claims(9) if case.gold and case.gold.label == "NOT ENOUGH INFO"]
    assert "removed" not in {probe.variant for probe in AUDIT.probes(settled)}


@settings(max_examples=15)
@given(st.integers(1, 20), st.sampled_from(sorted(ALL)))
def test_probes_are_the_same_each_time_with_ids_of_their_own_and_without_gold(n: int, kind: str) -> None:
    cases = ALL[kind](n)
    once, twice = (list(AUDIT.probes(cases)) for _ in range(2))
    assert once == twice
    assert len({(probe.case.id, probe.way) for probe in once}) == len(once)
    assert all(probe.case == probe.parent or probe.case.gold is None for probe in once)


def test_evidence_of_another_case_is_foreign() -> None:
    cases = contrary(8)
    for case in cases:
        for kind in ("random", "topic-related"):
            fields = exchanged(case, cases, kind)
            assert fields is not None
            (document,) = fields["documents"]
            assert not document.id.startswith(f"d{case.id[1:].split('-')[0]}-")
    assert exchanged(cases[0], cases[:2], "random") is None  # both ask the same


def test_sentences_that_stay_keep_their_ids_and_a_document_of_none_goes() -> None:
    document = Document(id="d", text="One. Two. Three.")
    case = Claim(id="c", claim="x", documents=(document, Document(id="e", text="Four.")))
    (kept,) = without(case, ("d:0", "e:0"))["documents"]
    assert [(s.id, kept.text[s.start : s.end]) for s in kept.sentences()] == [("d:1", "Two."), ("d:2", "Three.")]
    assert removed(case) == {"documents": ()}
    copies = duplicated(case)
    assert copies is not None and [each.id for each in copies["documents"]] == ["d", "e", f"d{AGAIN}", f"e{AGAIN}"]
    assert duplicated(case.model_copy(update={"documents": ("file.pdf",)})) is None
    assert supports(case) is None
    golden = case.model_copy(update={"gold": Gold(label=SUPPORT, evidence=(("e:0",), ("d:1", "e:0", "d:0")))})
    assert supports(golden) == ("d:1", "e:0")


def test_axes_by_hand() -> None:
    case = Claim(id="c", claim="x", gold=Gold(label=SUPPORT, evidence=(("d:0", "d:1"),)))

    def said(label: str, sure: float, cites: Sequence[str], calls: Sequence[str]) -> Audited:
        trace = trace_of(lambda _: {"label": label, "confidence": Confidence(value=sure, method="stated")}, case)
        refs = tuple(EvidenceRef(kind="text", id=id, doc="d", start=0, end=1, quote="x") for id in cites)
        events = [ToolEvent(str(n), "retrieve", {"query": query}, "ok") for n, query in enumerate(calls)]
        verdict = trace.verdict.model_copy(update={"evidence": refs})
        return Audited(Probe(case, case), replace(trace, verdict=verdict, events=events))

    one, two = said(SUPPORT, 0.8, ["d:0"], ["a", "b"]), said(REFUTE, 0.6, ["d:0", f"d{AGAIN}:0", "e:0"], ["a"])
    worth = utility(one, two)
    assert worth is not None
    assert worth.correctness == -1
    assert worth.grounding == pytest.approx(1 / 3 - 1 / 2)
    assert worth.confidence_error == pytest.approx(0.8 - 0.2)  # of REFUTE's 0.4 that is left, SUPPORT has half
    assert worth.trace == pytest.approx((1 - 1 / 2) + 1 / 2)
    assert distance(one.trace, one.trace) == 0
    assert held(case, one.verdict, REFUTE) == pytest.approx(0.1)


def test_probes_go_through_a_real_judge(tmp_path: Path) -> None:
    """A model that reads the documents it is shown, in the loop of the claim judge, with and without tools."""

    def reads(request) -> str:
        label = honest(request.case)["label"]
        cites = [f'"{request.opening[0].id}"'] if request.opening and label != "NOT ENOUGH INFO" else []
        return f'{{"reason": "Read.", "evidence": [{", ".join(cites)}], "label": "{label}", "confidence": 0.9}}'

    def loads(*, blobs: Path, tools: bool = True, temperature: float | None = None) -> Judge:
        return Judge.load("veri-r1", model=ScriptedModel(reads), blobs=blobs, seed=0)

    report = run(plan([AUDIT], contrary(6)), loads, tmp_path / "audit")
    (finding,) = report.findings
    assert finding.scored == finding.n > 50
    assert [state_of(finding, name) for name in (FOLLOW, FALL.format("removed"), FALL.format("random"))] == ["kept"] * 3
    assert value_of(finding, "CUE-R, removed: grounding") == -1
