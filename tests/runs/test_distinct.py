import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_judges import Asked, by_strength, comparison

from agentjudge.case import ActionChoice
from agentjudge.errors import ModelError
from agentjudge.runs.distinct import Distinct, groups_of
from agentjudge.runs.merging import agreed_or_tie
from agentjudge.runs.policies import ByScore, Once, Swap, run_policy
from agentjudge.runs.tournaments import Knockout, RoundRobin

FORMS = ("click('{}')", 'click("{}")', "click( '{}' )", "click [{}]", 'click(bid="{}")')
MATCH = Swap(agreed_or_tie)
POLICIES = [Knockout(MATCH), RoundRobin(MATCH), MATCH, Once(shuffle=1), ByScore()]


def choice(*actions, thoughts=()):
    return ActionChoice(id="a", goal="Buy", candidates=actions, thoughts=thoughts)


def decide(judge, policy, case):
    return asyncio.run(run_policy(judge, policy, [case]))[0]


def by_number(*, broken=False):
    """Prefers the action on the element of higher number; scores it by that number."""

    def rule(case):
        if broken:
            raise ModelError("down")
        values = [int("".join(filter(str.isdigit, action))) for action in case.candidates]
        if len(values) == 1:
            return {"score": values[0] / 100}
        if len(values) == 2:
            return {"preference": 2 * ((values[1] > values[0]) - (values[1] < values[0]))}
        return {"ranking": tuple(sorted(range(len(values)), key=lambda i: -values[i]))}

    return Asked("by number", rule)


@pytest.mark.parametrize("policy", POLICIES)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from(FORMS)), min_size=2, max_size=8).filter(
        lambda found: len({number for number, _ in found}) > 1
    )
)
def test_equal_actions_are_judged_once_and_share_their_place(policy, found):
    numbers = [number for number, _ in found]
    case = choice(*(form.format(number) for number, form in found), thoughts=tuple(map(str, range(len(found)))))
    judge = by_number()
    outcome = decide(judge, Distinct(policy), case)
    firsts = {numbers.index(number) for number in numbers}
    for asked in judge.asked:
        assert {int(thought) for thought in asked.thoughts} <= firsts
    best = [i for i, number in enumerate(numbers) if number == max(numbers)]
    if len(found) == 2:
        assert outcome.verdict.preference == (1 if isinstance(policy, ByScore) else 2) * (1 if best == [1] else -1)
    else:
        order = outcome.verdict.ranking
        assert sorted(order) == list(range(len(found))) and list(order[: len(best)]) == best
        places = {number: [order.index(i) for i, each in enumerate(numbers) if each == number] for number in numbers}
        assert all(at == list(range(at[0], at[0] + len(at))) for at in places.values())
    for run in outcome.runs:
        assert [case.candidates[i] for i in run.order] == list(run.trace.case.candidates)
    if outcome.points:
        assert len(outcome.points) == len(found)
        assert all(outcome.points[i] == outcome.points[numbers.index(n)] for i, n in enumerate(numbers))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("actions", [("click('1')", 'click("1")'), ("click('1')",) * 5, ("noop()",) * 3])
def test_where_all_are_the_same_nothing_is_asked(policy, actions):
    judge = by_number(broken=True)
    verdict = decide(judge, Distinct(policy), choice(*actions)).verdict
    assert not judge.asked and verdict.status == "scored" and "the same" in verdict.rationale
    assert verdict.ranking == tuple(range(len(actions))) if len(actions) > 2 else verdict.preference == 0


def test_calls_follow_the_different_actions():
    case = choice("click('3')", "click('1')", "click('3')", "click('2')", "click('1')", "click('3')")
    for policy, calls in [(Knockout(MATCH), 4), (RoundRobin(MATCH), 6), (MATCH, 2), (ByScore(), 3)]:
        judge = by_number()
        outcome = decide(judge, Distinct(policy), case)
        assert len(judge.asked) == calls == len(outcome.runs) and outcome.verdict.ranking == (0, 2, 5, 3, 1, 4)
    assert outcome.points == (0.03, 0.01, 0.03, 0.02, 0.01, 0.03)


def test_different_actions_pass_through_as_they_are():
    case = choice("click('1')", "click('2')", "click('3')")
    assert decide(by_number(), Distinct(Knockout()), case) == decide(by_number(), Knockout(), case)


def test_a_tie_of_two_different_actions_among_more_is_a_lot_that_is_told():
    case = choice("click('1')", "click('2')", "click('1')")
    judge = Asked("tie", lambda _: {"preference": 0})
    outcomes = [
        decide(judge, Distinct(policy, seed=seed), case) for policy in (MATCH, Knockout(MATCH)) for seed in range(30)
    ]
    assert Counter(outcome.verdict.ranking for outcome in outcomes).keys() == {(0, 2, 1), (1, 0, 2)}
    assert all(outcome.lots == 2 and outcome.undecided == ((0, 1),) for outcome in outcomes)


def test_a_failure_stays_one_and_names_the_candidates_of_the_case():
    outcome = decide(by_number(broken=True), Distinct(Knockout()), choice("click('1')", "click('1')", "click('2')"))
    assert outcome.verdict.status == "failed" and outcome.undecided == ((0, 2),) and not outcome.points


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("check('7')", "uncheck('7')"),
        ("click('7')", "dblclick('7')"),
        ("click('7')", "click('7', button='right')"),
        ("fill('7', 'Ab1')", "fill('7', 'aB1')"),
        ("press('7', 'Enter')", "press('7', 'Control+Enter')"),
        ("send_msg_to_user('x')", "report_infeasible('x')"),
        ("click('7')", "click('8')"),
        ("do this", "do that"),
        ('[{"click": {"index": 1}}, {"click": {"index": 2}}]', '[{"click": {"index": 1}}, {"click": {"index": 3}}]'),
        ('[{"click": {"index": 1}}]', '[{"click": {"index": 1}}, {"click": {"index": 3}}]'),
        ("click('1')\nclick('2')", "click('1')\nclick('3')"),
        ("click('1'); click('2')", "click('1')"),
        ('{"input": {"index": 1, "text": "a", "clear": true}}', '{"input": {"index": 1, "text": "a", "clear": false}}'),
        ("type [7] [red shoes] [0]", "type [7] [red shoes] [1]"),
    ],
)
def test_what_does_something_else_is_not_the_same(one, other):
    assert groups_of(choice(one, other)) == ((0,), (1,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('[{"click": {"index": 1}}]', '{"click": {"index": "1"}}'),
        ("click('1')\nclick('2')", "click('1')\n  click('2')\n"),
        ('{"input": {"text": "a", "index": 1}}', '[{"input": {"index": 1, "text": "a"}}]'),
        ('{"click": {"index": 1}}', "click('1')"),
        ("TYPE [7] [red  shoes]", "type [7] [red shoes] [1]"),
        ("fill('7', 'f(x) = g(y)')", 'fill("7", "f(x) = g(y)")'),
    ],
)
def test_what_does_the_same_is_the_same(one, other):
    assert groups_of(choice(one, other)) == ((0, 1),)


def test_answers_are_the_same_where_their_texts_are():
    judge = by_strength({"good": 9, " good": 9, "bad": 1})
    outcome = decide(judge, Distinct(Knockout(MATCH)), comparison("bad", "good", " good", "bad"))
    assert outcome.verdict.ranking == (1, 2, 0, 3) and len(judge.asked) == 2
