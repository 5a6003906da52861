"""Composites: weights, gates, schedules, turns, bounds; and routing by case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, PAIR, gold, judgement

from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.rewards.composite import Composite, Gate, Part, Routed, checkable
from agentjudge.rewards.reading import Fixed, Missing, Reads
from agentjudge.rewards.schedules import Decay, Ramp
from agentjudge.rewards.terms import CORRECT
from agentjudge.trace import Trace

TRACE = judgement(label="SUPPORT", said=("", "", "{}"))


def by_turn(trace: Trace, case: Case) -> tuple[float, ...]:
    return tuple(0.1 * number for number in range(len(trace.turns)))


def test_what_a_part_pays() -> None:
    reward = Composite(
        (
            Part("plain", Fixed(0.5), 2.0),
            Part("open", Fixed(), 0.3, when=(Gate(CORRECT), Gate(Fixed(0.7), 0.7))),
            Part("closed", Fixed(), 0.3, when=(Gate(CORRECT), Gate(Fixed(0.7), 0.8))),
            Part("later", Fixed(), -1.0, schedule=Ramp(10, 20)),
            Part("turns", Reads(by_turn, 0.0, 1.0), 2.0),
        )
    )
    result = reward.at(15).score(TRACE, CLAIM)
    assert result.components == pytest.approx({"plain": 1.0, "open": 0.3, "closed": 0, "later": -0.5, "turns": 0.6})
    assert result.turn_rewards == pytest.approx((0.0, 0.2, 0.4))
    assert reward.score(TRACE, CLAIM).components["later"] == 0.0
    assert (reward.low, reward.high) == (1.0 - 1.0, 1.0 + 0.3 + 0.3 + 2.0)
    assert reward.keys == ("plain", "open", "closed", "later", "turns")


def test_turns_of_several_parts_add_up() -> None:
    term = Reads(by_turn, 0.0, 1.0)
    result = Composite((Part("a", term), Part("b", term, -2.0))).score(TRACE, CLAIM)
    assert result.turn_rewards == pytest.approx((0.0, -0.1, -0.2)) and result.score == pytest.approx(-0.3)


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_parts_have_names_of_their_own(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="parts of different names"):
        Composite(tuple(Part(name, Fixed()) for name in names))


TERMS = st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 1)).map(
    lambda t: Reads(lambda trace, case: min(t[:2]) + t[2] * (max(t[:2]) - min(t[:2])), min(t[:2]), max(t[:2]))
)
GATES = st.lists(st.builds(Gate, TERMS, st.floats(-3, 3)), max_size=2).map(tuple)
SCHEDULES = st.one_of(st.none(), st.builds(Decay, st.floats(1, 100)), st.builds(Ramp, st.just(0), st.integers(1, 50)))
PARTS = st.lists(st.tuples(TERMS, st.floats(-2, 2), GATES, SCHEDULES), min_size=1, max_size=4)


@given(PARTS, st.integers(0, 60))
def test_any_composition_stays_between_its_bounds(drawn: list[tuple], step: int) -> None:  # type: ignore[type-arg]
    reward = Composite(tuple(Part(str(n), *each) for n, each in enumerate(drawn))).at(step)
    result = reward.score(TRACE, CLAIM)
    assert result.score is not None and reward.low - 1e-6 <= result.score <= reward.high + 1e-6
    assert tuple(result.components) == reward.keys


@given(st.integers(0, 10_000), st.floats(0.5, 5000))
def test_schedules_are_shares(step: int, steps: float) -> None:
    for schedule in (Decay(steps), Ramp(3, 400), Ramp(400, 3)):
        assert 0 <= schedule(step) <= 1
        assert (schedule(step) <= schedule(step + 1)) == (
            schedule == Ramp(3, 400) or schedule(step) == schedule(step + 1)
        )


def test_schedules_at_known_steps() -> None:
    assert Decay(500)(0) == 1.0 and Decay(500)(500) == pytest.approx(0.36787944)
    assert [Ramp(10, 20)(step) for step in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]
    assert [Ramp(20, 10)(step) for step in (0, 10, 15, 20, 99)] == [1, 1, 0.5, 0, 0]
    for wrong in (lambda: Decay(0), lambda: Ramp(3, 3)):
        with pytest.raises(ConfigError):
            wrong()


def test_only_the_one_that_is_due_is_asked() -> None:
    def never(trace: Trace, case: Case) -> float:
        raise AssertionError("asked")

    rule, opinion = Reads(never, 0.0, 1.0), Reads(lambda trace, case: Missing("no model"), -1.0, 2.0)
    routed = Routed(rule, opinion)
    assert (routed.low, routed.high) == (-1.0, 2.0)
    assert routed.read(TRACE, CLAIM.blind()) == Missing("no model")
    with pytest.raises(AssertionError):
        routed.read(TRACE, CLAIM)
    assert checkable(CLAIM) and checkable(PAIR) and not checkable(gold(CLAIM, evidence=(("a",),)))
