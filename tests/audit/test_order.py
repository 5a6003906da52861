import itertools

import pytest
from flawed_judges import (
    clicks,
    first_position,
    honest,
    judged,
    pairs,
    state_of,
    sums,
    value_of,
    weighed,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agentjudge.audit.order import Order
from agentjudge.audit.repeats import Repeats
from agentjudge.runs.ordering import options_of


@pytest.mark.parametrize("cases", [pairs(50), pairs(60, answers=4), clicks(50)])
def test_an_honest_judge_is_kept(cases) -> None:
    assert judged(Order(), honest, cases).state == "kept"


@pytest.mark.parametrize(("answers", "pull"), [(2, 0.5), (4, 0.75)])
def test_a_judge_of_first_places_is_broken(answers: int, pull: float) -> None:
    finding = judged(Order(), first_position, pairs(30, answers=answers))
    assert value_of(finding, "flips") == value_of(finding, "reversals") == 1
    assert state_of(finding, "flips") == state_of(finding, f"pull of the first place of {answers}") == "broken"
    assert value_of(finding, f"pull of the first place of {answers}") == pytest.approx(pull)
    assert [value_of(finding, f"place {i + 1} of {answers}") for i in range(answers)] == [1, *[0] * (answers - 1)]


def test_a_judge_of_last_places_has_a_pull_as_well() -> None:
    def last(case):
        return weighed(case, range(len(options_of(case))))

    assert state_of(judged(Order(), last, pairs(30)), "pull of the first place of 2") == "broken"


def test_a_tie_in_both_orders_is_no_flip() -> None:
    def ties(case):
        return {"preference": 0}

    finding = judged(Order(), ties, pairs(50))
    assert state_of(finding, "flips") == "kept" and [number.name for number in finding.numbers][2:] == []


def test_ten_pairs_show_nothing() -> None:
    assert judged(Order(), honest, pairs(10)).state == "open"


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(2, 12))
def test_every_candidate_stands_at_every_place(n: int, answers: int) -> None:
    cases = pairs(n, answers=answers)
    probes = list(Order().probes(cases))
    assert probes == list(Order().probes(cases))
    assert len({probe.case.id for probe in probes}) == len(probes) == n * min(answers, 8)
    assert all(probe.case.gold is None for probe in probes if probe.variant)
    for parent, group in itertools.groupby(probes, lambda probe: probe.parent.id):
        shown = [options_of(probe.case) for probe in group]
        if answers <= 8:
            assert all(len(set(place)) == answers for place in zip(*shown, strict=True)), parent


def test_what_is_drawn_by_lot_changes() -> None:
    lot = itertools.count()

    def unsteady(case):
        return {"score": float(next(lot) % 3 == 0)}

    finding = judged(Repeats(), unsteady, sums(60))
    assert state_of(finding, "changed on repeat") == "broken"
    assert value_of(finding, "score on repeat") == value_of(finding, "changed on repeat") > 0.3
    assert {number.state for number in finding.numbers if "temperature" in number.name} == {"told"}


def test_an_honest_judge_says_the_same() -> None:
    finding = judged(Repeats(), honest, [*sums(60), *pairs(40)])
    assert finding.state == "kept"
    assert {number.value.mean for number in finding.numbers} == {0}


def test_draws_have_ids_of_their_own() -> None:
    probes = list(Repeats().probes(sums(3)))
    assert len({probe.case.id for probe in probes}) == len(probes) == 15
    assert sum(probe.way == "sampled" for probe in probes) == 9
