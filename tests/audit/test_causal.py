import re

import pytest
from flawed_judges import (
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
    value_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agentjudge.audit.causal import MUST, MUST_NOT, CausalChanges
from agentjudge.audit.edits import (
    leaves_no_trace,
    negated,
    other_answer,
    other_month,
    other_name,
    other_number,
    remarked,
    replaced,
    spaced,
)
from agentjudge.case import SUPPORT, Case, Claim, Document, Gold, Response, Step, Trajectory

AUDIT = CausalChanges()
ALL = {"sums": sums, "pairs": pairs, "claims": claims, "runs": runs, "clicks": clicks}


@pytest.mark.parametrize("kind", ALL)
def test_an_honest_judge_follows_what_matters_and_nothing_else(kind: str) -> None:
    finding = judged(AUDIT, honest, ALL[kind](42))
    assert finding.state == "kept", finding.numbers
    names = [number.name for number in finding.numbers]
    assert "invariance" in names and ("sensitivity" in names) == (kind in ("sums", "claims"))


def test_a_judge_that_ignores_its_evidence_is_not_moved_by_what_is_changed_there() -> None:
    finding = judged(AUDIT, evidence_ignorer, claims(60))
    assert value_of(finding, f"{MUST}year in the evidence") == 0
    assert state_of(finding, "sensitivity") == "broken" and state_of(finding, "invariance") == "kept"
    assert finding.examples


def test_a_judge_that_takes_all_for_right_is_not_moved() -> None:
    for cases in (sums(20), claims(60)):
        finding = judged(AUDIT, always_yes, cases)
        assert value_of(finding, "sensitivity") == 0 and state_of(finding, "sensitivity") == "broken"
        assert state_of(finding, "invariance") != "broken"


def test_a_judge_that_counts_blanks_or_documents_is_moved_by_what_does_not_matter() -> None:
    def by_its_end(case: Case) -> dict[str, object]:
        return {"score": float(case.response.endswith("\n"))}  # type: ignore[attr-defined]

    assert state_of(judged(AUDIT, by_its_end, sums(40)), "invariance") == "broken"

    def first_document(case: Case) -> dict[str, object]:
        text = case.documents[-1].text  # type: ignore[union-attr]
        return labelled(SUPPORT if case.claim in text else "NOT ENOUGH INFO")  # type: ignore[attr-defined]

    finding = judged(AUDIT, first_document, claims(60))
    assert value_of(finding, f"{MUST_NOT}document added") == pytest.approx(2 / 3)  # all but the supported third


def test_what_is_seen_of_a_supported_claim() -> None:
    text = "Ada Keller was a painter. She moved to Ulm in March 1932 with 14 pupils."
    claim = "Ada Keller was in Ulm in March 1932 with 14 pupils."
    case = Claim(id="c", claim=claim, documents=(Document(id="d", text=text),), gold=Gold(label=SUPPORT))
    made = {probe.variant: probe.case for probe in AUDIT.probes([case])}
    said = {name: each.claim for name, each in made.items() if isinstance(each, Claim)}
    assert said[f"{MUST}number"] == claim.replace("14", "31")
    assert said[f"{MUST}year"] == claim.replace("1932", "1949")
    assert said[f"{MUST}month"] == claim.replace("March", "September")
    assert said[f"{MUST}name"] == claim.replace("Ada Keller", "Orvel Dastrum")
    assert said[f"{MUST}negation"] == claim.replace("was", "was not")
    (document,) = made[f"{MUST}number in the evidence"].documents
    assert isinstance(document, Document) and document.text == text.replace("14", "31")
    assert [sentence.id for sentence in document.sentences()] == ["d:0", "d:1"]
    refuted = case.model_copy(update={"gold": Gold(label="REFUTE")})
    assert not [probe for probe in AUDIT.probes([refuted]) if probe.variant.startswith(MUST)]


def test_an_answer_to_a_task_is_exchanged_where_it_was_seen() -> None:
    page = (Step(observation="Mugs: 14 in stock.", action="noop()"),)
    asked = {"id": "t", "steps": page, "final_answer": "There are 14.", "gold": Gold(label="success")}
    cases = [Trajectory(goal="How many mugs are in stock?", **asked), Trajectory(goal="Order mugs.", **asked)]
    found = [[p.case for p in AUDIT.probes([case]) if p.variant == f"{MUST}final answer"] for case in cases]
    assert [[each.final_answer for each in some if isinstance(each, Trajectory)] for some in found] == [
        ["There are 31."],
        [],
    ]


def test_a_wrong_answer_is_not_made_more_wrong() -> None:
    variants = {p.variant: p.parent for p in AUDIT.probes(sums(2)) if p.variant.startswith(MUST)}
    assert [parent.gold.score for parent in variants.values() if parent.gold] == [1]


@settings(max_examples=15)
@given(st.integers(1, 20), st.sampled_from(sorted(ALL)))
def test_probes_are_the_same_each_time_with_ids_of_their_own_and_without_gold(n: int, kind: str) -> None:
    cases = ALL[kind](n)
    once, twice = (list(AUDIT.probes(cases)) for _ in range(2))
    assert once == twice and len({probe.case.id for probe in once}) == len(once)
    assert all(probe.case == probe.parent or probe.case.gold is None for probe in once)
    assert all(
        probe.case.model_copy(update={"id": "", "gold": None})
        != probe.parent.model_copy(update={"id": "", "gold": None})
        for probe in once
        if probe.variant
    )


@pytest.mark.parametrize(
    ("claim", "evidence", "swap"),
    [
        ("It has 14 rooms.", "There are 14 rooms.", ("14", "31")),
        ("It has 14 rooms.", "There are 14 rooms, 31 beds.", ("14", "43")),
        ("It has 14 rooms.", "There are 114 rooms.", None),
        ("It has over 14 rooms.", "There are 14 rooms.", None),
        ("It has at least 14 rooms.", "There are 14 rooms.", None),
        ("COVID-19 is new.", "COVID-19 is 19 weeks old.", None),
        ("It costs $14.", "It costs $14.", None),
        ("It is 14% of it.", "It is 14% of it.", None),
        ("It has 1,400 rooms.", "It has 1,400 rooms.", None),
        ("It grew by 14.5 m.", "It grew by 14.5 m.", None),
        ("It opened in 1932.", "Since 1932.", None),
    ],
)
def test_numbers(claim: str, evidence: str, swap: tuple[str, str] | None) -> None:
    assert other_number(claim, evidence) == swap


@given(st.integers(1, 9999), st.integers(1, 9999))
def test_a_number_that_is_put_in_stands_nowhere(number: int, beside: int) -> None:
    claim, evidence = f"It weighs {number} tons.", f"They weigh {number} tons and {beside} tons."
    swap = other_number(claim, evidence) or other_number(claim, evidence, years=True)
    assert swap is not None and swap[0] == str(number)
    assert swap[1] not in re.findall(r"\d+", claim + evidence)
    assert leaves_no_trace(evidence, swap) == (str(number) not in replaced(evidence, *swap))


def test_years_months_and_names() -> None:
    assert other_number("It opened in 1932.", "Since 1932.", years=True) == ("1932", "1949")
    assert other_number("It opened before 1932.", "Since 1932.", years=True) is None
    assert other_month("In March.", "March or September.") == ("March", "July")
    assert other_month("It may be in May.", "May.") is None
    assert other_name("It was Ada Keller.", "Miss Ada Keller.") == ("Ada Keller", "Orvel Dastrum")
    assert other_name("It was Ada Keller.", "Miss Keller.") is None
    for part in ("The Rock sang.", "He fought in the My Lai Massacre.", "The CONCACAF Champions League is his."):
        assert other_name(part, part) is None
    assert other_name("It was Ada Keller of Ulm.", "Ada Keller of Ulm.") is None
    assert leaves_no_trace("Ada Keller.", ("Ada Keller", "x")) and not leaves_no_trace(
        "Ada Keller, that is Keller.", ("Ada Keller", "x")
    )


@pytest.mark.parametrize(
    ("claim", "contrary"),
    [
        ("The bridge is open.", "The bridge is not open."),
        ("Some bridges are open.", None),
        ("All bridges are open.", None),
        ("The bridge is not open.", None),
        ("The bridge, which was old, is open.", None),
        ("The bridge isn't open.", None),
        ("Is it open?", None),
        ("The bridge opened.", None),
    ],
)
def test_negations(claim: str, contrary: str | None) -> None:
    assert negated(claim) == contrary


@pytest.mark.parametrize(
    ("response", "reference", "made"),
    [
        ("The answer is 12.", None, "The answer is 29."),
        ("So \\boxed{12}", None, "So \\boxed{29}"),
        ("2 * 3 = 6 and 6 * 2 = 12", None, None),
        ("It is Ulm, I think.", "Ulm", "It is Bonn, I think."),
        ("Ulm. Yes, Ulm.", "Ulm", None),
        ("There are 12.", "12", "There are 29."),
        ("I do not know.", "12", None),
    ],
)
def test_decisive_parts(response: str, reference: str | None, made: str | None) -> None:
    assert other_answer(response, reference, ["Ulm", "Bonn"]) == made


def test_forms() -> None:
    assert spaced("a\nb") == "a  \nb  \n\n"
    assert remarked("<b>x</b> and **y**") == "<B>x</B> and __y__"
    assert remarked("2**3**4 < 5") is None
    response = Response(id="r", prompt="p", response="**Yes**", gold=Gold(score=1))
    assert [p.variant for p in AUDIT.probes([response])] == ["", f"{MUST_NOT}spacing", f"{MUST_NOT}markup"]
