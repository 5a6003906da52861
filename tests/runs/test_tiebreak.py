import asyncio

import pytest
from rule_judges import Asked, by_strength, comparison

from agentjudge.errors import ModelError
from agentjudge.runs.merging import agreed, agreed_or_tie, summed
from agentjudge.runs.policies import Repeat, Swap, run_policy
from agentjudge.runs.tiebreak import OfJudge, TieBreak
from agentjudge.runs.tournaments import Knockout

STRENGTH = {"bad": 1, "good": 9}
PAIR = comparison("bad", "good")


def decide(judge, policy, case=PAIR):
    return asyncio.run(run_policy(judge, policy, [case]))[0]


def in_turn(*said):
    """Gives one answer after the other; an error is raised, None abstains."""
    answers = iter(said)

    def rule(case):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return {"status": "abstained"} if answer is None else {"preference": answer}

    return Asked("in turn", rule)


def test_what_is_decided_is_not_asked_again():
    judge = by_strength(STRENGTH)
    found = decide(judge, TieBreak(Swap(agreed_or_tie), Repeat(9)))
    assert found.verdict.preference == 1 and len(judge.asked) == 2


@pytest.mark.parametrize("merge", [agreed_or_tie, agreed])
def test_orders_that_disagree_go_to_another_judge(merge):
    judge, other = by_strength(STRENGTH, bias=99), by_strength(STRENGTH)
    found = decide(judge, TieBreak(Swap(merge), OfJudge(other, Swap(merge))))
    assert found.verdict.preference == 1 and found.verdict.case_id == "c" and len(found.runs) == 4
    assert [case.id for case in judge.asked] == ["c", "c~swap"]
    assert [case.id for case in other.asked] == ["c~tiebreak", "c~tiebreak~swap"]
    assert (found.habits.swaps, found.habits.flips) == (2, 1)


def test_more_samples_decide_where_two_orders_do_not():
    judge = in_turn(0, -2, 1, 1, -1, -2)
    found = decide(judge, TieBreak(Swap(agreed_or_tie), Swap(summed, inner=Repeat(2))))
    assert found.verdict.preference is not None and found.verdict.preference > 0 and len(judge.asked) == 6


@pytest.mark.parametrize("then", [(0, 0), (ModelError("down"), ModelError("down")), (None, None), (1, 1)])
def test_a_tie_break_that_decides_nothing_leaves_the_tie(then):
    found = decide(in_turn(1, 1, *then), TieBreak(Swap(agreed_or_tie), Swap(agreed_or_tie)))
    assert (found.verdict.status, found.verdict.preference) == ("scored", 0) and len(found.runs) == 4


def test_a_failure_is_asked_again_only_where_that_is_wished():
    down = ModelError("down")
    found = decide(in_turn(down, 1, 1, -1), TieBreak(Swap(agreed), Swap(agreed)))
    assert found.verdict.status == "failed" and len(found.runs) == 2
    found = decide(in_turn(down, 1, 1, -1), TieBreak(Swap(agreed), Swap(agreed), on=("failed",)))
    assert found.verdict.preference == 1 and found.missing == 1 and len(found.runs) == 4
    found = decide(in_turn(down, 1, down, -1), TieBreak(Swap(agreed), Swap(agreed), on=("failed",)))
    assert found.verdict.status == "failed" and "down" in found.verdict.failure.message


def test_a_knockout_breaks_its_ties_instead_of_drawing_lots():
    strength = {f"r{i}": i for i in range(5)}
    case = comparison(*strength)
    biased = by_strength(strength, bias=99)
    assert decide(biased, Knockout(Swap(agreed_or_tie)), case).lots == 4
    match = TieBreak(Swap(agreed_or_tie), OfJudge(by_strength(strength), Swap(agreed_or_tie)))
    for seed in range(5):
        found = decide(biased, Knockout(match, seed=seed), case)
        assert found.lots == 0 and found.undecided == () and found.verdict.ranking[0] == 4
        assert len(found.runs) == 16
