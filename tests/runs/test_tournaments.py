import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_judges import Asked, by_strength, comparison

from agentjudge.case import ActionChoice
from agentjudge.errors import ConfigError, ModelError
from agentjudge.runs.merging import agreed_or_tie
from agentjudge.runs.policies import ByScore, Once, Repeat, Swap, run_policy
from agentjudge.runs.tournaments import Knockout, RoundRobin

sizes = st.integers(2, 9)


def decide(judge, policy, case):
    return asyncio.run(run_policy(judge, policy, [case]))[0]


def field(strengths):
    """A case of as many candidates, and a judge that knows their strengths."""
    return comparison(*(f"r{i}" for i in range(len(strengths)))), {f"r{i}": s for i, s in enumerate(strengths)}


def best_of(outcome):
    verdict = outcome.verdict
    return verdict.ranking[0] if verdict.ranking is not None else int(verdict.preference > 0)


@given(sizes.flatmap(lambda n: st.permutations(range(1, n + 1))))
def test_round_robin_of_a_transitive_judge_is_its_ranking(strengths):
    case, strength = field(strengths)
    found = decide(by_strength(strength), RoundRobin(Once()), case)
    ranking = sorted(range(len(strengths)), key=lambda i: -strengths[i])
    assert found.points == tuple(s - 1 for s in strengths) and found.lots == 0
    assert len(found.runs) == len(strengths) * (len(strengths) - 1) // 2
    assert best_of(found) == ranking[0]
    if len(strengths) > 2:
        assert list(found.verdict.ranking) == ranking


@given(sizes.flatmap(lambda n: st.permutations(range(1, n + 1))), st.integers(0, 5), st.sampled_from(["lot", "listed"]))
def test_the_strongest_wins_every_knockout_in_one_match_fewer_than_candidates(strengths, seed, draw):
    case, strength = field(strengths)
    judge = by_strength(strength)
    found = decide(judge, Knockout(Once(), draw=draw, seed=seed), case)
    assert best_of(found) == strengths.index(len(strengths))
    assert len(judge.asked) == len(strengths) - 1 == sum(found.points)
    if found.verdict.ranking is not None:
        assert sorted(found.verdict.ranking) == list(range(len(strengths)))
        assert found.points[found.verdict.ranking[0]] == max(found.points)


def test_the_places_of_a_knockout_follow_from_who_beat_whom():
    case, strength = field([4, 3, 2, 1])  # listed: 0 beats 1, 2 beats 3, then 0 beats 2
    found = decide(by_strength(strength), Knockout(Once(), draw="listed"), case)
    assert found.verdict.ranking == (0, 2, 1, 3) and found.points == (2, 0, 1, 0)


def test_a_tie_is_decided_by_lot_and_counted_and_never_by_place():
    case, strength = field([5, 5])
    found = decide(by_strength(strength), Knockout(), case)
    assert found.verdict.preference == 0 and found.lots == 0  # of two, a tie is a tie
    case, strength = field([5, 5, 5, 5])
    judge = by_strength(strength)
    winners = {best_of(decide(judge, Knockout(seed=seed), case)) for seed in range(40)}
    assert winners == {0, 1, 2, 3}
    assert decide(judge, Knockout(), case).lots == 3
    found = decide(judge, RoundRobin(), case)
    assert found.points == (1.5, 1.5, 1.5, 1.5) and found.lots == 4


def test_a_biased_judge_ties_its_matches_instead_of_choosing_the_first_candidate():
    case, strength = field([1, 2, 3, 4])
    found = decide(by_strength(strength, bias=99), RoundRobin(Swap()), case)
    assert found.points == (1.5,) * 4 and found.habits.flips == 6 and found.habits.firsts == 12
    found = decide(by_strength(strength, bias=99), RoundRobin(Once()), case)
    assert found.points == (3, 2, 1, 0)  # without swaps, place is all it sees


def test_a_cycle_has_equal_points_and_a_lot():
    beats = {("r0", "r1"), ("r1", "r2"), ("r2", "r0")}

    def rule(seen):
        return {"preference": -1 if seen.responses in beats else 1}

    found = decide(Asked("cycle", rule), RoundRobin(), field([1, 1, 1])[0])
    assert found.points == (1, 1, 1) and found.lots == 3


@pytest.mark.parametrize("policy", [Knockout(Once(), draw="listed"), RoundRobin(Once())])
def test_a_match_that_failed_leaves_no_winner(policy):
    case, strength = field([4, 3, 2, 1])

    def rule(seen):
        if seen.id == "c~2v3":
            raise ModelError("down")
        return by_strength(strength)._rule(seen)

    found = decide(Asked("failing", rule), policy, case)
    assert (
        found.verdict.status == "failed" and found.verdict.ranking is None and "down" in found.verdict.failure.message
    )
    assert found.missing == 1


def test_matches_have_ids_of_their_own_and_nest():
    case, strength = field([1, 3, 2])
    judge = by_strength(strength)
    found = decide(judge, RoundRobin(Swap(inner=Repeat(2))), case)
    assert {"c~0v1", "c~0v1~swap", "c~1v2~swap~r2"} <= {seen.id for seen in judge.asked}
    assert len(judge.asked) == len({seen.id for seen in judge.asked}) == 12 == len(found.runs)
    for run in found.runs:
        assert [case.responses[i] for i in run.order] == list(run.trace.case.responses)
        low, high = sorted(run.order)
        assert (run.vote > 0) == (strength[case.responses[high]] > strength[case.responses[low]])


def test_actions_of_an_agent_are_candidates_too():
    case = ActionChoice(id="a", goal="Buy", candidates=("click", "type", "stop"))

    def rule(seen):
        return {"preference": -1 if seen.candidates[0] == "type" else int(seen.candidates[1] == "type")}

    found = decide(Asked("typist", rule), Knockout(), case)
    assert found.verdict.ranking[0] == 1
    with pytest.raises(ConfigError, match="one candidate"):
        decide(Asked("typist", rule), Knockout(), ActionChoice(id="a", goal="Buy", candidates=("click",)))


# a search over five actions

faults = st.dictionaries(
    st.sampled_from([(i, j) for i in range(5) for j in range(5) if i != j]),
    st.sampled_from(["first", "second", "tie", "abstains", "fails"]),
)


def search(worth, wrong):
    """Five actions of a worth each, and a judge that is right but for some pairs in the order it sees them in."""

    def rule(seen):
        first, second = (int(action[-1]) for action in seen.candidates)
        fault = wrong.get((first, second))
        if fault == "fails":
            raise ModelError("down")
        if fault == "abstains":
            return {"status": "abstained"}
        return {
            "preference": {"first": -2, "second": 2, "tie": 0}.get(fault, 2 if worth[second] > worth[first] else -2)
        }

    return ActionChoice(id="s", goal="Buy", candidates=tuple(f"click {i}" for i in range(5))), Asked("faulty", rule)


@given(st.permutations(range(5)), faults, st.integers(0, 3), st.sampled_from(["lot", "listed"]))
def test_a_knockout_is_won_by_judgement_or_by_a_lot_that_is_told(worth, wrong, seed, draw):
    case, judge = search(worth, wrong)
    found = decide(judge, Knockout(Swap(agreed_or_tie), draw=draw, seed=seed), case)
    assert len(judge.asked) == len(found.runs) == len({seen.id for seen in judge.asked})
    pairs = {}
    for run in found.runs:
        pairs.setdefault(tuple(sorted(run.order)), []).append(run.vote)
    assert all(len(votes) == 2 for votes in pairs.values())
    left = {pair for pair, (one, two) in pairs.items() if None in (one, two) or one * two <= 0}
    assert set(found.undecided) == left  # each of them is told, and no other
    if any(None in votes for votes in pairs.values()):
        assert found.verdict.status in ("failed", "abstained") and found.verdict.ranking is None
        assert len(judge.asked) <= 8
        return
    assert len(judge.asked) == 8 and found.lots == len(left)
    beaten = {low if votes[0] > 0 else high for (low, high), votes in pairs.items() if (low, high) not in left}
    assert found.verdict.ranking[0] not in beaten
    best = worth.index(4)
    if not any(best in pair for pair in wrong):
        assert found.verdict.ranking[0] == best  # right in both orders wherever it plays


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_judge_that_sees_places_alone_decides_nothing_by_them(place):
    case, judge = search(range(5), {(i, j): place for i in range(5) for j in range(5)})
    found = [decide(judge, Knockout(Swap(agreed_or_tie), seed=seed), case) for seed in range(60)]
    assert {outcome.verdict.ranking[0] for outcome in found} == {0, 1, 2, 3, 4}
    assert all(outcome.lots == 4 == outcome.habits.flips == len(outcome.undecided) for outcome in found)


def test_a_tie_of_two_and_equal_scores_are_told_as_undecided():
    case, strength = field([5, 5])
    assert decide(by_strength(strength), Knockout(), case).undecided == ((0, 1),)
    assert decide(by_strength(strength), ByScore(), case).undecided == ((0, 1),)
    case, strength = field([5, 9, 5, 9, 1])
    assert decide(by_strength(strength), ByScore(), case).undecided == ((1, 3), (0, 2))
    assert decide(by_strength(strength), RoundRobin(), case).undecided == ((1, 3), (0, 2))

    def rule(seen):
        return {"status": "abstained"} if seen.response == "r1" else {"score": 0.5}

    found = decide(Asked("shy", rule), ByScore(), case)
    assert found.verdict.status == "abstained" and found.undecided == ((1,),)
