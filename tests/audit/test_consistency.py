from flawed_judges import (
    always_yes,
    first_position,
    honest,
    judged,
    longest,
    pairs,
    state_of,
    sums,
    value_of,
    worth,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agentjudge.audit.consistency import Consistency
from agentjudge.case import Comparison, Gold, Response
from agentjudge.runs.ordering import options_of


def names(finding) -> list[str]:
    return [number.name for number in finding.numbers]


def test_an_honest_judge_is_kept() -> None:
    for cases in (pairs(60), sums(120)):
        finding = judged(Consistency(), honest, cases)
        assert finding.state == "kept", finding.numbers
        assert value_of(finding, "instruction side") == 1
    assert value_of(judged(Consistency(), honest, pairs(60)), "response side") == 1


def test_a_judge_that_does_not_read_the_prompt_has_no_instruction_side() -> None:
    def blind(case):
        if isinstance(case, Response):
            return {"score": float("= " in case.response)}
        return {"preference": 0}

    finding = judged(Consistency(), blind, pairs(40))
    assert value_of(finding, "instruction side") == 0 and state_of(finding, "instruction side") == "broken"
    assert value_of(finding, "response side") == 0


def test_scores_without_a_difference_are_no_consistency() -> None:
    finding = judged(Consistency(), always_yes, sums(60))
    assert names(finding) == ["instruction side"] and finding.state == "broken"


def test_pairs_that_contradict_scores() -> None:
    def torn(case):
        if isinstance(case, Response):
            return honest(case)
        values = [-worth(case, text) for text in options_of(case)]
        return {"preference": 3 * ((values[1] > values[0]) - (values[1] < values[0]))}

    finding = judged(Consistency(), torn, pairs(30))
    assert value_of(finding, "pairs against scores") == 1 and state_of(finding, "pairs against scores") == "broken"
    assert "compared as a pair 0.00" in next(n.beside for n in finding.numbers if n.name == "response side")
    agrees = judged(Consistency(), longest, pairs(30))
    assert value_of(agrees, "ties of scores") == 0 == value_of(agrees, "pairs against scores")


def three(n: int) -> list[Comparison]:
    return [Comparison(id=f"t{i}", prompt=f"Which {i}?", responses=("rock", "paper", "scissors")) for i in range(n)]


def test_cycles_are_found() -> None:
    def game(case):
        first, second = (("rock", "paper", "scissors").index(text) for text in case.responses)
        return {"preference": 1 if (second - first) % 3 == 1 else -1}

    finding = judged(Consistency(), game, three(20))
    assert value_of(finding, "cycles") == 1 and state_of(finding, "cycles") == "broken"
    assert names(finding) == ["cycles"]

    def letters(case):
        return {"preference": 1 if case.responses[1] > case.responses[0] else -1}

    assert state_of(judged(Consistency(), letters, three(80)), "cycles") == "kept"


def test_ties_make_no_cycle() -> None:
    assert names(judged(Consistency(), lambda case: {"preference": 0}, three(5))) == []


def test_a_pair_of_first_places_shows_as_cycles_now_and_then() -> None:
    finding = judged(Consistency(), first_position, pairs(60, answers=5))
    assert 0.1 < value_of(finding, "cycles") < 0.4


def test_the_other_prompt_is_the_one_that_is_given() -> None:
    case = Comparison(
        id="c",
        prompt="Name a bird.",
        responses=("A wren.", "An oak."),
        gold=Gold(preference=-1),
        metadata={"contrast": "Name a tree."},
    )
    (probe,) = [probe for probe in Consistency().probes([case]) if probe.variant == "instruction"]
    assert isinstance(probe.case, Response)
    assert (probe.case.prompt, probe.case.response) == ("Name a tree.", "A wren.")


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(2, 6))
def test_probes_are_the_same_each_time_with_ids_of_their_own_and_without_gold(n: int, answers: int) -> None:
    cases = [*pairs(n, answers=answers), *sums(n)]
    probes = list(Consistency().probes(cases))
    assert probes == list(Consistency().probes(cases))
    assert len({probe.case.id for probe in probes}) == len(probes)
    assert all(probe.case.gold is None for probe in probes if probe.variant)
