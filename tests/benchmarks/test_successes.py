"""What benchmarks of judges of runs count, held against scikit-learn and by hand; and judges without a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from agentjudge.benchmarks.statistics import Unit
from agentjudge.benchmarks.successes import (
    Mark,
    absolute_gap,
    accuracy,
    answered,
    auroc,
    balanced_accuracy,
    calibration_error,
    f1,
    floors,
    gap,
    kappa,
    mark,
    precision,
    precision_at,
    probability,
    read_alone,
    recall,
    rewarded,
    specificity,
)
from agentjudge.case import Claim, Step, Trajectory
from agentjudge.errors import DataError
from agentjudge.verdict import Confidence, Failure, Provenance, Verdict

MADE = {"case_id": "x", "provenance": Provenance(judge="j")}


def units(*marks: tuple) -> list[Unit]:
    return [Unit("", Mark(*each, *(None,) * (3 - len(each))), each[1] is not None, "") for each in marks]


def verdict(label: str | None = None, **fields) -> Verdict:
    return Verdict(status="scored", label=label, **MADE, **fields)


def run(answer: str | None = None, *, steps: int = 1, **metadata) -> Trajectory:
    return Trajectory(
        id="x", goal="Buy.", steps=tuple(Step(action="scroll(0, 1)") for _ in range(steps)), final_answer=answer,
        metadata=metadata,
    )  # fmt: skip


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 10).map(lambda n: n / 10)), min_size=1))
def test_the_numbers_are_those_of_scikit_learn_where_everything_is_decided(rows):
    made, gold, said, p = units(*rows), *map(list, zip(*rows, strict=True))
    assert accuracy(made) == pytest.approx(metrics.accuracy_score(gold, said))
    if any(said):
        assert precision(made) == pytest.approx(metrics.precision_score(gold, said))
    if any(gold):
        assert recall(made) == pytest.approx(metrics.recall_score(gold, said))
    if any(gold) or any(said):
        assert f1(made) == pytest.approx(metrics.f1_score(gold, said, zero_division=0))
    if len(set(gold)) == 2:
        assert balanced_accuracy(made) == pytest.approx(metrics.balanced_accuracy_score(gold, said))
        assert auroc(made) == pytest.approx(metrics.roc_auc_score(gold, p))
        points = zip(*metrics.precision_recall_curve(gold, p)[:2], strict=True)
        assert precision_at(0.5)(made) == pytest.approx(max(each for each, found in points if found >= 0.5))
    if len({*gold, *said}) == 2:
        assert kappa(made) == pytest.approx(metrics.cohen_kappa_score(gold, said))
    assert gap(made) == pytest.approx((sum(said) - sum(gold)) / len(gold)) and absolute_gap(made) == abs(gap(made))
    assert read_alone(recall)(made) == recall(made)


def test_nothing_decided_is_no_answer():
    made = units((True, True), (True, None), (False, None), (False, False))
    assert (precision(made), recall(made), specificity(made), accuracy(made)) == (1, 0.5, 0.5, 0.5)
    assert f1(made) == pytest.approx(2 / 3) and read_alone(f1)(made) == read_alone(accuracy)(made) == 1
    assert gap(made) == -0.25
    nothing = units((True, None), (False, None))
    assert (precision(nothing), recall(nothing), f1(nothing), kappa(nothing)) == (None, 0, 0, 0)
    assert read_alone(recall)(nothing) is None and auroc(nothing) is None and calibration_error(nothing) is None
    every = (accuracy, precision, recall, specificity, f1, balanced_accuracy, kappa, auroc, gap, absolute_gap)
    assert all(statistic([]) is None for statistic in (*every, precision_at(0.5), calibration_error))


def test_precision_at_a_recall_takes_runs_of_one_probability_together():
    made = units((True, True, 0.9), (False, True, 0.8), (True, True, 0.8), (True, False, 0.1), (False, False, 0.1))
    assert precision_at(0.3)(made) == 1
    assert precision_at(0.5)(made) == pytest.approx(2 / 3)
    assert precision_at(1)(made) == pytest.approx(3 / 5)
    assert precision_at(0.9)(units((True, True, 0.9), (True, None))) is None  # the other is never called


def test_calibration_is_that_of_the_label():
    made = units((True, True, 0.8), (False, False, 0.2), (True, False, 0.2), (False, True, 0.8), (True, True))
    assert calibration_error(made) == pytest.approx(0.3)  # sure to 0.8, right half of the time


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (verdict("success", probabilities={"success": 0.7, "failure": 0.3}), (True, 0.7)),
        (verdict("failure", confidence=Confidence(value=0.9, method="stated")), (False, pytest.approx(0.1))),
        (verdict("success", confidence=Confidence(value=0.9, method="stated")), (True, 0.9)),
        (verdict("impossible"), (False, None)),
        (verdict("blocked"), (False, None)),
        (Verdict(status="abstained", **MADE), (None, None)),
        (Verdict(status="failed", failure=Failure(kind="model", message="gone"), **MADE), (None, None)),
    ],
)
def test_a_verdict_is_read(said, found):
    assert mark(True, said) == (True, *found)
    assert said.status != "scored" or probability(said) == found[1]


def test_a_score_is_no_answer_to_whether_a_run_succeeded():
    with pytest.raises(DataError, match="gives no label; take one of trajectories"):
        mark(True, Verdict(status="scored", score=0.5, **MADE))


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (run("The total is 3.80."), True),
        (run(" "), False),
        (run(), False),
        (run("I could not find the product."), False),
        (run("Sorry, there is none."), False),
        (run("It is not available in green."), False),
        (run("The canary sings."), True),
        (run("No such page.", answer_action="report_infeasible('No such page.')"), False),
        (run("Closed.", answer_action="report_infeasible('Closed.')"), False),
        (run("I could not.", claimed_success=True), True),
        (run("Done.", claimed_success=False), False),
    ],
)
def test_what_an_agent_says_of_itself(case, says):
    assert answered(case) is says


def test_judges_without_a_model():
    cases = [run("Done.", steps=2, reward=0.5), run(steps=4, reward=0.6), run(steps=6)]
    made = {judge.name: [judge.judge(case) for case in cases] for judge in floors(cases)}
    labels = {name: [verdict.label for verdict in each] for name, each in made.items()}
    assert labels == {
        "always failure": ["failure"] * 3,
        "always success": ["success"] * 3,
        "self-report": ["success", "failure", "failure"],
        "fewest steps": ["success", "success", "failure"],
        "reward > 0.5": ["failure", "success", None],
    }
    shares = [verdict.probabilities["success"] for verdict in made["fewest steps"]]
    assert shares == pytest.approx([4 / 6, 4 / 8, 4 / 10])
    assert made["reward > 0.5"][2].status == "failed" and "no reward" in made["reward > 0.5"][2].failure.message
    assert [each.label for each in made["always success"][0].criteria] == ["no", "no", "completely optimal"]
    empty = {judge.name: judge.judge(run(steps=0)) for judge in floors([run(steps=0)])}
    assert empty["fewest steps"].label == "success"
    assert empty["self-report"].label == "failure"
    other = {judge.name: judge.judge(Claim(id="1", claim="It is.")) for judge in floors(cases)}
    assert other["self-report"].status == "failed" and "not a run" in other["self-report"].failure.message
    with pytest.raises(DataError):
        rewarded(run(reward=True))
