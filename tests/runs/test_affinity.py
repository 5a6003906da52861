"""Cases with one prefix go to one place, and no place gets much more than its share."""

from collections import Counter

from agentjudge.case import Claim, Comparison, Document, Response, Step, Trajectory
from agentjudge.runs.affinity import SLACK, choose, prefix_key

PAGE = Document(id="page", text="The bridge opened in 1932.")


def key(number: int) -> bytes:
    found = prefix_key(Claim(id="c", claim="x", documents=(Document(id=f"d{number}", text="It is long."),)))
    assert found is not None
    return found


def test_cases_with_the_same_documents_share_a_key_and_others_do_not() -> None:
    one, other = Claim(id="1", claim="a", documents=(PAGE,)), Claim(id="2", claim="b", documents=(PAGE,))
    assert prefix_key(one) == prefix_key(other) is not None
    assert prefix_key(Claim(id="3", claim="a", images=("a.png",))) != prefix_key(Claim(id="4", claim="a"))
    assert prefix_key(Claim(id="4", claim="a")) is None
    asked = Response(id="5", prompt="Why?", response="So."), Response(id="6", prompt="Why?", response="No.")
    assert prefix_key(asked[0]) == prefix_key(asked[1])
    assert prefix_key(asked[0]) == prefix_key(Comparison(id="7", prompt="Why?", responses=("a", "b")))
    run = Trajectory(id="8", goal="Buy.", steps=(Step(action="click('1')"),))
    assert prefix_key(run) != prefix_key(run.model_copy(update={"steps": ()}))
    assert prefix_key(Claim(id="9", claim="a", context="\ud800")) is not None


def test_a_key_keeps_its_place_while_there_is_room() -> None:
    idle = dict.fromkeys(range(5), 0)
    places = {n: choose(key(n), idle, most=8) for n in range(200)}
    assert all(choose(key(n), idle, most=8) == place for n, place in places.items())
    assert min(Counter(places.values()).values()) >= 20, "the keys are not spread"
    gone = {place: 0 for place in idle if place != 3}
    moved = {n for n, place in places.items() if choose(key(n), gone, most=8) != place}
    assert moved == {n for n, place in places.items() if place == 3}


def test_one_popular_key_is_spread_within_the_slack() -> None:
    loads = dict.fromkeys(range(4), 0)
    for _ in range(40):
        place = choose(key(0), loads, most=32)
        assert place is not None
        loads[place] += 1
        assert max(loads.values()) <= SLACK * sum(loads.values()) / 4 + 1
    assert loads[choose(key(0), dict.fromkeys(range(4), 0), most=32) or 0] == max(loads.values())


def test_no_place_has_more_than_it_may() -> None:
    assert choose(None, {0: 4, 1: 3}, most=4) == 1
    assert choose(key(1), {0: 4, 1: 3}, most=4) == 1
    assert choose(key(1), {0: 4, 1: 4}, most=4) is None
    assert choose(None, {}, most=4) is None
    assert choose(None, {0: 2, 1: 1, 2: 1}, most=4) == 1
