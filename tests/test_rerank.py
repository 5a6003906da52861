"""Choosing among proposed actions: by judgement, within a budget, through a cache, and never by silence."""

import asyncio
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.budget import Budget
from agentjudge.case import ActionChoice, Step
from agentjudge.errors import ConfigError, DataError, ModelError
from agentjudge.graphs.web_arbiter import PRINCIPLES
from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rerank import AnswerCache, RerankBudget, arerank, invalid_actions, rerank
from agentjudge.runs.floors import RuleJudge, first_position
from agentjudge.runs.merging import agreed_or_tie
from agentjudge.runs.policies import Once, Repeat, Swap
from agentjudge.runs.tiebreak import OfJudge, TieBreak
from agentjudge.runs.tournaments import Knockout, RoundRobin

PAGE = "RootWebArea 'Shop'\n" + "\n".join(f"\t[{n}] link 'Item {n}'" for n in range(20))
FIVE = tuple(f"click('{n}')" for n in (3, 9, 1, 7, 5))
CALLS = {"knockout": 8, "scores": 5, "listwise": 2}


class Numbers(RuleJudge):
    """Prefers the element of higher number, after a pause; what `wrong` says of a pair (or None) comes first."""

    def __init__(self, wrong=lambda first, second: None, *, pause=0.0, model="m"):
        super().__init__("numbers", self.rule)
        self.wrong, self.pause, self.model, self.asked = wrong, pause, model, []

    def settings(self):
        return {"name": self.name, "model": self.model}

    def rule(self, case):
        values = [int("".join(filter(str.isdigit, action)) or 0) for action in case.candidates]
        if len(values) == 1:
            return {"score": values[0] / 100}
        if len(values) > 2:
            return {"ranking": tuple(sorted(range(len(values)), key=lambda i: -values[i]))}
        said = self.wrong(*values)
        if isinstance(said, Exception):
            raise said
        return said or {"preference": 2 * ((values[1] > values[0]) - (values[1] < values[0]))}

    async def arun(self, case):
        self.asked.append(case)
        await asyncio.sleep(self.pause)
        return await super().arun(case)


def choose(judge=None, candidates=FIVE, **options):
    return rerank(judge=judge or Numbers(), goal="Buy", candidates=candidates, observation=PAGE, **options)


@pytest.mark.parametrize("policy", ["knockout", "scores", "listwise"])
@given(st.permutations(FIVE), st.integers(0, 3))
def test_the_best_action_is_chosen_wherever_it_stands(policy, candidates, seed):
    judge = Numbers()
    found = choose(judge, candidates, policy=policy, seed=seed)
    assert (found.action, found.by, found.reason, found.undecided) == ("click('9')", "judgement", "", ())
    assert found.best == candidates.index("click('9')") == found.order[0] and sorted(found.order) == list(range(5))
    assert found.calls == len(judge.asked) == len(found.runs) == CALLS[policy] and found.cached == 0
    assert found.points[found.best] == max(found.points) and found.verdict.status == "scored"
    if policy != "knockout":
        assert [candidates[i] for i in found.order] == [f"click('{n}')" for n in (9, 7, 5, 3, 1)]


def test_the_judge_sees_goal_page_history_and_thoughts():
    judge = Numbers()
    history = ("click('2')", Step(action="go_back()", error="no page"))
    found = choose(judge, FIVE[:2], thoughts=("one", "two"), url="http://shop", history=history)
    case = judge.asked[0]
    assert (case.goal, case.observation, case.url, case.thoughts) == ("Buy", PAGE, "http://shop", ("one", "two"))
    assert [step.action for step in case.history] == ["click('2')", "go_back()"] and case.history[1].error == "no page"
    assert found.order == (1, 0) and found.points == (0, 1)


def test_equal_actions_are_judged_once_and_share_their_place():
    judge = Numbers()
    candidates = ("click('3')", "click('9')", 'click("3")', "click [9]", "click('3')")
    found = choose(judge, candidates)
    assert found.calls == 2 and found.order == (1, 3, 0, 2, 4) and found.by == "judgement"
    assert found.points == (0, 1, 0, 1, 0)


@pytest.mark.parametrize("policy", ["knockout", "scores", "listwise"])
@pytest.mark.parametrize("candidates", [("click('3')",), ("click('3')", 'click("3")'), ("noop()",) * 4])
def test_where_there_is_one_action_nothing_is_asked(policy, candidates):
    judge = Numbers()
    found = choose(judge, candidates, policy=policy)
    assert (found.best, found.by, found.calls, judge.asked) == (0, "only", 0, []) and not found.undecided
    assert found.order == tuple(range(len(candidates)))


# ties and failures


@pytest.mark.parametrize("name", ["knockout", "listwise", "round robin"])
def test_a_judge_of_places_chooses_by_lot_and_says_so(name):
    def policy(seed):
        return RoundRobin(Swap(agreed_or_tie), seed=seed) if name == "round robin" else name

    found = [choose(first_position(), policy=policy(seed), seed=seed) for seed in range(50)]
    assert {each.best for each in found} == {0, 1, 2, 3, 4}
    assert all(each.by == "lot" and each.undecided for each in found)
    pairs = [choose(first_position(), FIVE[:2], policy=policy(seed), seed=seed) for seed in range(30)]
    assert {each.best for each in pairs} == {0, 1} and {each.undecided for each in pairs} == {((0, 1),)}
    assert {each.by for each in pairs} == {"lot"} and pairs[0].verdict.preference == 0


def test_equal_scores_are_a_lot_too():
    judge = RuleJudge("flat", lambda case: {"score": 0.5})
    found = [choose(judge, policy="scores", seed=seed) for seed in range(50)]
    assert {each.best for each in found} == {0, 1, 2, 3, 4} and {each.by for each in found} == {"lot"}
    assert found[0].undecided == ((0, 1, 2, 3, 4),)


def test_a_lot_that_the_best_did_not_need_is_told_without_being_its_reason():
    def flips(first, second):
        return None if 9 in (first, second) else {"preference": -1}

    for seed in range(10):
        found = choose(Numbers(flips), policy=RoundRobin(Swap(agreed_or_tie)), seed=seed)
        assert found.action == "click('9')" and found.by == "judgement" and found.undecided == ((0, 2, 3, 4),)


def test_a_tie_that_points_make_up_for_is_no_lot():
    def ties(first, second):
        return (
            {"preference": 0}
            if {first, second} == {9, 7}
            else {"preference": -2 if first == 9 else 2 if second == 9 else 0}
        )

    found = choose(Numbers(ties), policy=RoundRobin(Swap(agreed_or_tie)))
    assert found.action == "click('9')" and found.by == "judgement" and found.points[1] == 3.5


def test_the_same_choice_comes_out_the_same_way():
    one, two = (choose(first_position(), seed=3) for _ in range(2))
    assert (one.order, one.undecided) == (two.order, two.undecided)


@pytest.mark.parametrize("policy", ["knockout", "scores", "listwise"])
def test_a_failure_is_no_choice(policy):
    judge = RuleJudge("down", lambda case: (_ for _ in ()).throw(ModelError("the server is gone")))
    found = choose(judge, policy=policy)
    assert (found.best, found.action, found.order, found.by) == (None, None, (), "nothing")
    assert found.verdict.status == "failed" and "the server is gone" in found.reason and found.undecided
    assert {i for group in found.undecided for i in group} <= set(range(5))


def test_one_pair_that_fails_leaves_no_winner_unless_it_is_asked_again():
    def fails(first, second):
        return ModelError("down") if (first, second) == (9, 1) else None

    broken = [choose(Numbers(fails), seed=seed) for seed in range(12)]
    assert {each.by for each in broken} == {"judgement", "nothing"}  # nine and one do not always meet
    assert all(each.undecided == ((1, 2),) for each in broken if each.by == "nothing")
    match = TieBreak(Swap(agreed_or_tie), OfJudge(Numbers(), Swap(agreed_or_tie)), on=("tie", "abstained", "failed"))
    mended = [choose(Numbers(fails), policy=Knockout(match, seed=seed), seed=seed) for seed in range(12)]
    assert {(each.action, each.by) for each in mended} == {("click('9')", "judgement")}


def test_a_fallback_chooses_where_nothing_is_decided_and_only_there():
    judge = RuleJudge("down", lambda case: (_ for _ in ()).throw(ModelError("down")))
    candidates = ("click('1')", "click('2')", "click('3')", 'click("2")')
    listed = choose(judge, candidates, fallback="listed")
    assert (listed.order, listed.best, listed.by) == ((0, 1, 2, 3), 0, "fallback") and "down" in listed.reason
    frequent = choose(judge, candidates, fallback="frequent")
    assert frequent.order[:2] == (1, 3) and sorted(frequent.order) == [0, 1, 2, 3] and frequent.by == "fallback"
    lots = {choose(judge, candidates, fallback="lot", seed=seed).best for seed in range(40)}
    assert lots == {0, 1, 2}  # of the two that are equal, the first
    assert choose(fallback="listed").by == "judgement"


# budgets


def test_what_the_calls_do_not_suffice_for_is_undecided():
    for calls in range(9):
        judge = Numbers()
        found = choose(judge, budget=RerankBudget(calls=calls))
        assert found.calls == len(judge.asked) <= calls
        if calls == 8:
            assert found.by == "judgement"
        else:
            assert found.by == "nothing" and found.undecided and f"no judgement left of {calls}" in found.reason
            assert found.verdict.failure is not None and found.verdict.failure.kind == "budget"
    assert choose(budget=RerankBudget(calls=3), fallback="listed").by == "fallback"


def test_what_is_not_judged_in_time_is_undecided():
    began = time.perf_counter()
    found = choose(Numbers(pause=20), budget=RerankBudget(seconds=0.1))
    assert time.perf_counter() - began < 5 and found.by == "nothing" and found.calls > 0
    assert "no answer within the 0.1 s" in found.reason and found.verdict.status == "failed"
    quick = choose(budget=RerankBudget(seconds=60))
    assert quick.by == "judgement" and 0 < quick.seconds < 30


def test_time_binds_a_second_judge_too():
    match = TieBreak(Swap(agreed_or_tie), OfJudge(Numbers(pause=30), Swap(agreed_or_tie)))
    began = time.perf_counter()
    judge = Numbers(lambda first, second: {"preference": -1})
    found = choose(judge, policy=Knockout(match), budget=RerankBudget(seconds=0.1), fallback="listed")
    assert time.perf_counter() - began < 5 and found.by == "fallback" and "no answer within the 0.1 s" in found.reason
    assert found.undecided == ((0, 1, 2, 3, 4),) and found.calls > 0


def test_answers_in_time_are_kept_for_the_next_try():
    judge, cache = Numbers(pause=0.05), AnswerCache()
    tries = 0
    while (found := choose(judge, cache=cache, concurrency=1, budget=RerankBudget(seconds=0.3))).by == "nothing":
        tries += 1
        assert tries < 20
    assert found.action == "click('9')" and found.cached > 0


# caches


def test_a_second_time_nothing_is_asked():
    judge, cache = Numbers(), AnswerCache()
    first, again = choose(judge, cache=cache), choose(judge, cache=cache)
    assert (first.calls, first.cached) == (8, 0) and (again.calls, again.cached) == (0, 8) and len(judge.asked) == 8
    assert (again.order, again.points, again.by) == (first.order, first.points, "judgement")
    assert [run.vote for run in again.runs] == [run.vote for run in first.runs] and again.verdict.usage.turns == 0
    assert choose(judge, FIVE[::-1], cache=cache).action == "click('9')"
    assert choose(Numbers(model="other"), cache=cache).cached == 0
    assert rerank(judge=judge, goal="Sell", candidates=FIVE, observation=PAGE, cache=cache).cached == 0
    assert choose(judge, cache=cache, budget=RerankBudget(calls=0)).by == "judgement"  # what is known is free


def test_repeats_are_asked_for_themselves_although_they_ask_the_same():
    judge, cache = Numbers(), AnswerCache()
    policy = Knockout(Swap(agreed_or_tie, inner=Repeat(3)))
    assert choose(judge, FIVE[:2], policy=policy, cache=cache).calls == 6
    again = choose(judge, FIVE[:2], policy=policy, cache=cache)
    assert (again.calls, again.cached) == (0, 6)
    assert choose(judge, FIVE[:2], cache=cache).cached == 2  # the first of the repeats


async def test_choices_at_once_share_their_questions():
    judge, cache = Numbers(pause=0.02), AnswerCache()
    ask = {"judge": judge, "goal": "Buy", "observation": PAGE, "cache": cache}
    found = await asyncio.gather(*(arerank(**ask, candidates=FIVE) for _ in range(10)))
    assert len(judge.asked) == 8 == sum(each.calls for each in found) and sum(each.cached for each in found) == 72
    assert {each.action for each in found} == {"click('9')"}


def test_threads_share_a_judge_and_a_cache():
    def say(request):
        values = [int("".join(filter(str.isdigit, action))) for action in request.case.candidates]
        time.sleep(0.001)
        return answer(2 if values[1] > values[0] else -2)

    cache = AnswerCache()
    with Judge.load("web-arbiter", model=ScriptedModel(say), budget=Budget(turns=0)) as judge:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda n: choose(judge, FIVE, cache=cache, seed=n % 3), range(24)))
    assert {each.action for each in found} == {"click('9')"}
    assert sum(each.calls + each.cached for each in found) == 8 * 24 and sum(each.calls for each in found) <= 20


def test_a_cache_needs_to_know_what_verdicts_depend_on():
    with pytest.raises(ConfigError, match="settings"):
        choose(first_position(), cache=AnswerCache())


def test_failures_are_asked_again_the_next_time():
    down = {"now": True}

    def wrong(first, second):
        return ModelError("down") if down["now"] else None

    judge, cache = Numbers(wrong), AnswerCache()
    assert choose(judge, cache=cache).by == "nothing"
    down["now"] = False
    assert choose(judge, cache=cache).action == "click('9')"


# invalid actions


def test_what_cannot_be_carried_out_is_left_out_and_told_where_asked_for():
    candidates = ("click('99')", "think hard", "click('3')", "fill('a44', 'x')", "click('7')", "noop()")
    judge = Numbers()
    found = choose(judge, candidates, invalid="drop")
    assert found.best == 4 and sorted(found.order) == [2, 4, 5]
    assert [points is None for points in found.points] == [True, True, False, True, False, False]
    assert found.invalid == {
        0: "there is no element '99' on the page",
        1: "not an action",
        3: "there is no element 'a44' on the page",
    }
    assert all(not {"click('99')", "think hard"} & set(case.candidates) for case in judge.asked)
    assert {i for run in found.runs for i in run.order} == {2, 4, 5}
    assert choose(Numbers(), candidates).invalid == {} and len(choose(Numbers(), candidates).order) == 6


def test_one_valid_action_is_taken_and_none_is_no_choice_whatever_the_fallback():
    found = choose(Numbers(), ("click('99')", "click('3')"), invalid="drop")
    assert (found.best, found.by, found.calls, found.order) == (1, "only", 0, (1,))
    found = choose(Numbers(), ("click('99')", "think"), invalid="drop", fallback="listed")
    assert (found.best, found.by, found.order, found.calls) == (None, "nothing", (), 0)
    assert found.verdict.status == "abstained" and found.reason == "no candidate is valid"


def test_actions_without_an_element_and_pages_without_numbers_are_not_held_invalid():
    case = ActionChoice(
        id="a",
        goal="g",
        observation=PAGE,
        candidates=("scroll(0, 9)", "goto('http://x')", "mouse_click(6, 7)", "stop [x]"),
    )
    assert invalid_actions(case) == {}
    assert invalid_actions(case.model_copy(update={"observation": "words", "candidates": ("click('99')",)})) == {}
    prose = case.model_copy(update={"candidates": ("I am sorry (really).", "", "[]", "5", '{"click": {"index": 99}}')})
    assert list(invalid_actions(prose)) == [0, 2, 3, 4]


# the door


def test_what_is_no_question_is_refused():
    with pytest.raises(DataError, match="candidates"):
        choose(candidates=())
    with pytest.raises(DataError, match="2 thoughts for 5"):
        choose(thoughts=("a", "b"))
    with pytest.raises(DataError, match="goal"):
        rerank(judge=Numbers(), goal=" ", candidates=FIVE)
    with pytest.raises(ConfigError, match="unknown policy 'best'; there is knockout, scores, listwise"):
        choose(policy="best")
    with Judge.load("veri-r1", model=ScriptedModel([])) as judge, pytest.raises(DataError, match="takes a Claim"):
        choose(judge)


async def test_inside_an_event_loop_both_doors_work():
    judge = Numbers()
    assert (await arerank(judge=judge, goal="Buy", candidates=FIVE)).action == "click('9')"
    assert choose(judge).action == "click('9')"


def test_a_summary_is_json_that_says_it_all():
    found = choose(invalid="drop", candidates=(*FIVE, "click('99')"))
    said = json.loads(json.dumps(found.summary()))
    assert said["action"] == "click('9')" and said["by"] == "judgement" and said["calls"] == 8 and said["best"] == 1
    assert said["invalid"] == {"5": "there is no element '99' on the page"} and said["points"][5] is None
    assert json.loads(json.dumps(choose(budget=RerankBudget(calls=0)).summary()))["action"] is None


def answer(preference, *, evidence=()):
    criteria = [{"name": name, "weight": 0.2, "reason": "So.", "best": "tie"} for name in PRINCIPLES]
    said = {"state": "s", "criteria": criteria, "evidence": list(evidence), "reason": "r", "preference": preference}
    return json.dumps({**said, "confidence": None})


def test_a_search_by_web_arbiter_with_its_tools():
    """The model looks its elements up, and knows of the page what the tool says."""

    def say(request):
        case = request.case
        ids = [action.split("'")[1] for action in case.candidates]
        if not request.events:
            calls = [{"name": "find_element", "arguments": json.dumps({"query": id, "step": 1})} for id in ids]
            made = [{"id": str(n), "type": "function", "function": call} for n, call in enumerate(calls)]
            return {"content": None, "tool_calls": made}
        there = [event.data["total"] for event in request.events]
        return answer(
            2 * (there[1] - there[0]), evidence=[ref.id for event in request.events for ref in event.refs][:1]
        )

    kinds = Counter()
    with Judge.load("web-arbiter", model=ScriptedModel(say)) as judge:
        for n, candidates in enumerate([("click('99')", "click('7')", "click('98')"), ("click('98')", "click('97')")]):
            found = choose(judge, candidates, history=("noop()",), seed=n)
            kinds[found.by] += 1
            assert found.verdict.usage.tool_calls == 2 * found.calls
            if n == 0:
                assert found.action == "click('7')"
                assert {ref.quote for ref in found.verdict.evidence} == {"\t[7] link 'Item 7'"}
    assert kinds == {"judgement": 1, "lot": 1}


def test_once_as_a_policy_asks_one_order():
    judge = Numbers()
    assert choose(judge, policy=Once()).calls == 1 and choose(judge, policy=Knockout(Once())).calls == 4


async def test_a_choice_that_is_given_up_ends_its_judgements():
    judge = Numbers(pause=30)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(arerank(judge=judge, goal="Buy", candidates=FIVE), 0.05)
    assert len(asyncio.all_tasks()) == 1
