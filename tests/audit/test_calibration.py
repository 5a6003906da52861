import random
from pathlib import Path

import pytest
from flawed_judges import (
    claims,
    honest,
    judged,
    labelled,
    overconfident,
    pairs,
    runs,
    state_of,
    sums,
    value_of,
)

from agentjudge.audit.base import Report
from agentjudge.audit.calibration import Calibration, by_chance
from agentjudge.audit.page import page
from agentjudge.case import Case, Claim
from agentjudge.errors import DataError

AUDIT = Calibration()


def exact(case: Case) -> dict[str, object]:
    """As often right as it says, and as sure as chance has it."""
    draw = random.Random(case.id)
    sure = draw.uniform(0.4, 1)
    label = str(honest(case)["label"])
    wrong = next(each for each in ("SUPPORT", "REFUTE", "NOT ENOUGH INFO") if each != label)
    return labelled(label if draw.random() < sure else wrong, sure)


def test_a_judge_whose_confidence_is_exact_is_kept() -> None:
    finding = judged(AUDIT, exact, claims(450))
    assert state_of(finding, "ECE") == "kept", finding.numbers
    assert abs(value_of(finding, "overconfidence")) < 0.06
    assert value_of(finding, "value of abstaining where an error costs 3") > 0.1
    assert value_of(finding, "AURC") < 0.25 < 1 - 0.7
    assert finding.n == finding.scored == 450


def test_a_few_judgements_do_not_break_an_exact_judge() -> None:
    for n in (3, 12, 30):
        assert state_of(judged(AUDIT, exact, claims(n)), "ECE") != "broken"


def test_an_overconfident_judge_is_broken() -> None:
    finding = judged(AUDIT, overconfident, claims(90))
    assert state_of(finding, "ECE") == "broken"
    assert value_of(finding, "ECE") == pytest.approx(0.99 - 2 / 3)
    assert value_of(finding, "overconfidence") == pytest.approx(0.99 - 2 / 3)
    assert value_of(finding, "value of abstaining where an error costs 3") == 0
    assert value_of(finding, "AURC") == pytest.approx(1 / 3)  # confidence tells nothing apart
    assert finding.examples and "SUPPORT" in finding.examples[0].said


def test_an_underconfident_judge_gives_away_what_it_knows() -> None:
    def shy(case: Case) -> dict[str, object]:
        return labelled(str(honest(case)["label"]), 0.5)

    finding = judged(AUDIT, shy, claims(60))
    assert value_of(finding, "overconfidence") == -0.5 and state_of(finding, "ECE") == "broken"
    assert value_of(finding, "value of abstaining where an error costs 3") == -1


def test_scores_of_answers_are_read_as_probabilities() -> None:
    def half_sure(case: Case) -> dict[str, object]:
        return {"score": 0.25 + 0.5 * float(honest(case)["score"])}

    finding = judged(AUDIT, half_sure, sums(40))
    assert value_of(finding, "ECE") == 0.25
    assert value_of(finding, "Brier score") == pytest.approx(0.25**2)


def test_abstentions_are_counted_and_are_not_wrong() -> None:
    def hesitant(case: Case) -> dict[str, object]:
        assert isinstance(case, Claim)
        return {"status": "abstained"} if honest(case)["label"] == "REFUTE" else honest(case)

    finding = judged(AUDIT, hesitant, claims(90))
    assert value_of(finding, "abstained") == pytest.approx(1 / 3)
    assert finding.scored == 60 and value_of(finding, "overconfidence") == pytest.approx(-0.1)


def test_what_states_no_confidence_says_nothing() -> None:
    for cases in (runs(10), pairs(10)):
        finding = judged(AUDIT, honest, cases)
        assert finding.state == "silent" and [number.name for number in finding.numbers] == ["abstained"]

    def fails(case: Case) -> dict[str, object]:
        raise DataError("no")

    assert judged(AUDIT, fails, claims(5)).scored == 0


def test_only_cases_with_gold_are_asked_and_none_is_changed() -> None:
    blind = [case.model_copy(update={"gold": None}) for case in claims(4)]
    assert [probe.case for probe in AUDIT.probes([*blind, *sums(3)])] == sums(3)


def test_what_chance_alone_makes_falls_with_the_number_of_judgements() -> None:
    few, many = by_chance([0.55, 0.65, 0.75, 0.85] * 5), by_chance([0.55, 0.65, 0.75, 0.85] * 500)
    assert 0.05 < few < 0.25 and many < 0.02
    assert by_chance([1.0] * 10) == 0


def test_the_page_shows_both_curves_and_the_report_is_read_back(tmp_path: Path) -> None:
    report = Report(settings={"name": "j", "model": "m"}, findings=(judged(AUDIT, exact, claims(60)),))
    again = Report.model_validate_json(report.model_dump_json())
    assert again == report
    assert page(again).count("<svg xmlns") == 2 and "Risk by coverage" in page(again)
