"""Advantages: values by hand, and what holds whatever the rewards are."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_traces import Ids, call, trace_of

from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.base import RewardResult, of_parts, unknown
from agentjudge.rewards.schedules import Ramp
from agentjudge.training.advantages import Advantages, axes, estimate, estimators, fold, to_tokens
from agentjudge.training.advantages_anchors import GiGPO, anchors
from agentjudge.training.advantages_group import RLOO, DrGRPO, NegativeOnly
from agentjudge.training.advantages_parts import GDPO, PAPO
from agentjudge.training.advantages_turns import MTGRPO
from agentjudge.training.rollouts import Rollout, group_of
from agentjudge.training.rows import assemble

DEFAULTS = ["dr-grpo", "gdpo", "gigpo", "grpo", "lare", "mt-grpo", "negative-only", "rloo"]
"""Those that need no options."""
SQRT2 = math.sqrt(2)


def rollouts(*turns: int, group: str = "g") -> list[Rollout]:
    """One rollout for each number of turns; all but the last turn of each called a tool."""
    traces = []
    for count in turns:
        made, held = [], []
        for number in range(count):
            made.append(Ids([*held, 1], [number, number]))
            held = [*held, 1, number, number]
        traces.append(trace_of(made, events=[call(number, f"d{number}") for number in range(count - 1)]))
    return group_of(traces, group=group)


def paid(*scores: float | None, turns: int | None = None) -> list[RewardResult]:
    """Scores in two parts; with `turns` all of them is what the turns earned, in equal shares."""
    found = []
    for score in scores:
        if score is None:
            found.append(unknown("gone"))
            continue
        spread = (score / turns,) * turns if turns else ()
        found.append(of_parts({"right": score, "neat": 0.0}, turn_rewards=spread))
    return found


def of(name: str, *scores: float | None, turns: int = 2) -> Advantages:
    return estimate(name, rollouts(*(turns for _ in scores)), paid(*scores, turns=turns))


# by hand


def test_grpo_by_hand() -> None:
    """Rewards 0, 0, 0, 2: mean 0.5, sample variance (3 x 0.25 + 2.25) / 3 = 1."""
    found = estimate("grpo", rollouts(1, 1, 1, 1), paid(0, 0, 0, 2))
    assert found.per_rollout.tolist() == pytest.approx([-0.5, -0.5, -0.5, 1.5]) and found.per_turn is None
    assert found.rollouts == ("g#0", "g#1", "g#2", "g#3") and not found.flags


def test_dr_grpo_by_hand() -> None:
    assert estimate("dr-grpo", rollouts(1, 1, 1), paid(1, 2, 6)).per_rollout.tolist() == [-2, -1, 3]


def test_rloo_by_hand() -> None:
    """1 - (2 + 6) / 2, 2 - (1 + 6) / 2, 6 - (1 + 2) / 2."""
    assert estimate("rloo", rollouts(1, 1, 1), paid(1, 2, 6)).per_rollout.tolist() == [-3, -1.5, 4.5]


def test_negative_only_by_hand() -> None:
    four, scores = rollouts(1, 1, 1, 1), paid(0, 0, 0, 2)
    assert estimate("negative-only", four, scores).per_rollout.tolist() == pytest.approx([-0.5, -0.5, -0.5, 0])
    half = NegativeOnly(DrGRPO(), schedule=Ramp(300, 0)).at(150)
    assert estimate(half, four, scores).per_rollout.tolist() == [-0.5, -0.5, -0.5, 0.75]
    assert estimate(NegativeOnly(RLOO()), four, scores).per_rollout.tolist() == pytest.approx([-2 / 3] * 3 + [0])


def test_gdpo_by_hand() -> None:
    """Each part is (0, 1) or (1, 0), so -+1/sqrt 2 in its group: sums 2a, 0 and -2a over the batch of two groups."""
    batch = [*rollouts(1, 1, group="a"), *rollouts(1, 1, group="b")]
    results = [
        of_parts({"x": 0.0, "y": 0.0}),
        of_parts({"x": 1.0, "y": 0.01}),  # small, and as loud as the other
        of_parts({"x": 0.0, "y": 5.0}),
        of_parts({"x": 1.0, "y": 0.0}),  # one against the other
    ]
    found = estimate("gdpo", batch, results).per_rollout
    a = SQRT2 / math.sqrt(2 * 2 / 3)  # 2 / sqrt 2, by the deviation of (-sqrt 2, sqrt 2, 0, 0)
    assert found.tolist() == pytest.approx([-a, a, 0, 0])
    weighed = estimate(GDPO(weights={"y": 3.0}), batch, results).per_rollout
    deviation = math.sqrt((8 + 8 + 2 + 2) / 3)
    assert (weighed * deviation).tolist() == pytest.approx([-4 / SQRT2, 4 / SQRT2, 2 / SQRT2, -2 / SQRT2])


def test_gdpo_tells_apart_what_a_sum_does_not() -> None:
    group = rollouts(1, 1, 1)
    results = [of_parts({"x": x, "y": y}) for x, y in ((0.0, 1.0), (1.0, 0.0), (1.0, 0.0))]
    assert estimate("grpo", group, results).flags == {"g": "zero variance"}
    assert estimate("gdpo", group, results).per_rollout.any() == False  # noqa: E712 - two parts that cancel exactly
    assert estimate(GDPO(weights={"y": 2.0}), group, results).per_rollout[0] > 0


def test_papo_by_hand() -> None:
    """Right: 1, 1, 0; process of the right ones 0 and 1, and a loud one of a wrong answer that counts for nothing."""
    results = [of_parts({"right": r, "how": h}) for r, h in ((1.0, 0.0), (1.0, 1.0), (0.0, 9.0))]
    outcome = np.array([1, 1, -2]) / math.sqrt(3)
    found = estimate(PAPO(process=["how"]), rollouts(1, 1, 1), results).per_rollout
    assert found.tolist() == pytest.approx([outcome[0] - 1 / SQRT2, outcome[1] + 1 / SQRT2, outcome[2]])
    all_right = estimate(PAPO(process=["how"], weight=2.0), rollouts(1, 1), results[:2]).per_rollout
    assert all_right.tolist() == pytest.approx([-SQRT2, SQRT2])


def test_mt_grpo_by_hand() -> None:
    """Two rollouts of a call and an answer; the call of the first earned 1, the outcome of the second is 1."""
    results = [
        of_parts({"found": 1.0, "right": 0.0}, turn_rewards=(1.0, 0.0)),
        of_parts({"found": 0.0, "right": 1.0}, turn_rewards=(0.0, 0.0)),
    ]
    a, group = 1 / SQRT2, rollouts(2, 2)
    found = estimate("mt-grpo", group, results)
    assert [each.tolist() for each in found.per_turn] == [pytest.approx([0, -a]), pytest.approx([0, a])]
    halved = estimate(MTGRPO(weight=0.5), group, results)
    assert [each.tolist() for each in halved.per_turn] == [pytest.approx([-a / 2, -a]), pytest.approx([a / 2, a])]
    other = estimate(MTGRPO(variant="cae", weight=3.0), group, results)  # 1 + 0 against 0 + 3
    assert [each.tolist() for each in other.per_turn] == [pytest.approx([-a, -a]), pytest.approx([a, a])]
    assert found.per_rollout.tolist() == pytest.approx([-a / 2, a / 2])


def test_mt_grpo_compares_calls_with_calls_alone() -> None:
    """At their second turn one calls and the other answers."""
    results = [
        of_parts({"a": 1.0}, turn_rewards=(0.0, 1.0, 0.0)),
        of_parts({"a": 1.0}, turn_rewards=(0.0, 0.0)),
    ]
    found = estimate("mt-grpo", rollouts(3, 2), results).per_turn
    assert [each.tolist() for each in found] == [pytest.approx([-1 / SQRT2] * 3), pytest.approx([1 / SQRT2] * 2)]


def test_lare_by_hand() -> None:
    """Returns from each turn on: (3, 2) and (1, 1, 1); deviation of the scores 3 and 1 is sqrt 2."""
    results = [
        of_parts({"a": 3.0}, turn_rewards=(1.0, 2.0)),
        of_parts({"a": 1.0}, turn_rewards=(0.0, 0.0, 1.0)),
    ]
    found = estimate("lare", rollouts(2, 3), results).per_turn
    assert found[0].tolist() == pytest.approx([1 / SQRT2, 0.5 / SQRT2])
    assert found[1].tolist() == pytest.approx([-1 / SQRT2, -0.5 / SQRT2, 0])


def test_gigpo_by_hand() -> None:
    """All begin alike; two of them see the same, and one of these is right. Discount 1/2, outcomes 1, 0, 0."""
    shows = ["same", "same", "other"]
    turns = [Ids([1], [2]), Ids([1, 2, 3], [4])]
    group = group_of([trace_of(turns, events=[call(0, doc)]) for doc in shows])
    found = estimate(GiGPO(discount=0.5, scale="none"), group, paid(1, 0, 0)).per_turn
    whole = np.array([2, -1, -1]) / 3
    first = np.array([0.5, 0, 0]) - 0.5 / 3
    assert found[0].tolist() == pytest.approx([whole[0] + first[0], whole[0] + 0.5])
    assert found[1].tolist() == pytest.approx([whole[1] + first[1], whole[1] - 0.5])
    assert found[2].tolist() == pytest.approx([whole[2] + first[2], whole[2]])  # alone in its state


def test_gigpo_pays_turns_for_where_they_led_to() -> None:
    """Scores alike; one earned at its first turn what the other one got for its outcome, two turns later."""
    results = [of_parts({"a": 1.0}, turn_rewards=(1.0, 0.0, 0.0)), of_parts({"a": 1.0}, turn_rewards=(0.0, 0.0, 0.0))]
    turns = [Ids([1], [2]), Ids([1, 2, 3], [4]), Ids([1, 2, 3, 4, 5], [6])]
    group = group_of([trace_of(turns, events=[call(0, doc)]) for doc in ("a", "b")])
    found = estimate(GiGPO(discount=0.5, scale="none"), group, results)
    assert [each.tolist() for each in found.per_turn] == [[0.375, 0, 0], [-0.375, 0, 0]]


def test_think_rm_by_hand() -> None:
    """In a circle with one large margin: i beats j by 3, j beats k by 1, k beats i by 1."""
    matrix = np.array([[0, 3, -1], [-3, 0, 1], [1, -1, 0.0]])
    size = math.sqrt(22 / (2 * 3 * 2))
    found = estimate("think-rm", rollouts(1, 1, 1), paid(0, 0, 0), margins={"g": matrix}).per_rollout
    assert found.tolist() == pytest.approx([2 / 3 / size, -2 / 3 / size, 0])


def test_think_rm_leaves_out_what_was_not_judged() -> None:
    nan = math.nan
    matrix = np.array([[0, 2, nan], [-2, 0, nan], [nan, nan, 0]])
    found = estimate("think-rm", rollouts(1, 1, 1), paid(0, 0, 0), margins={"g": matrix}).per_rollout
    assert found.tolist() == pytest.approx([2 / 3 * 2 / SQRT2, -2 / 3 * 2 / SQRT2, 0])


def test_the_margins_of_a_masked_rollout_do_not_count() -> None:
    matrix = np.array([[0, 9, 2], [-9, 0, 5], [-2, -5, 0.0]])
    masked = estimate("think-rm", rollouts(1, 1, 1), paid(0, None, 0), margins={"g": matrix}).per_rollout
    alone = estimate("think-rm", rollouts(1, 1), paid(0, 0), margins={"g": matrix[::2, ::2]}).per_rollout
    assert masked.tolist() == [alone[0], 0, alone[1]]


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6))
def test_think_rm_is_grpo_where_margins_are_differences(scores: list[float]) -> None:
    rewards = np.round(scores, 3)
    group, results = rollouts(*(1 for _ in scores)), paid(*rewards)
    pairs = estimate("think-rm", group, results, margins={"g": rewards[:, None] - rewards[None, :]})
    alone = estimate("grpo", group, results)
    assert pairs.flags == alone.flags and pairs.per_rollout == pytest.approx(alone.per_rollout)


# what holds for all

GRADES = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
SCORES = st.lists(GRADES | st.none(), min_size=1, max_size=7)


def flat(found: Advantages) -> list[list[float]]:
    """The advantage of every turn of every rollout."""
    sizes = [2] * len(found.rollouts)
    return [[found.of_turn(i, turn) for turn in range(size)] for i, size in enumerate(sizes)]


@pytest.mark.parametrize("name", DEFAULTS)
@given(scores=SCORES, seed=st.integers(0, 1000))
def test_the_order_of_rollouts_does_not_matter(name: str, scores: list[float | None], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(scores))
    group, results = rollouts(*(2 for _ in scores)), paid(*scores, turns=2)
    straight = flat(estimate(name, group, results))
    mixed = flat(estimate(name, [group[i] for i in order], [results[i] for i in order]))
    assert np.array(mixed) == pytest.approx(np.array([straight[i] for i in order]))


@pytest.mark.parametrize("name", DEFAULTS)
@given(scores=st.lists(GRADES, min_size=2, max_size=6), at=st.integers(0, 6))
def test_a_group_with_one_masked_is_the_group_without_it(name: str, scores: list[float], at: int) -> None:
    without = of(name, *scores)
    scores.insert(at := min(at, len(scores)), None)
    found = of(name, *scores)
    assert found.flags == without.flags and found.masked.index(True) == at
    values = flat(found)
    assert values.pop(at) == [0, 0] and np.array(values) == pytest.approx(np.array(flat(without)))


@pytest.mark.parametrize("name", DEFAULTS)
@given(scores=SCORES)
def test_nothing_is_learned_from_groups_that_cannot_tell(name: str, scores: list[float | None]) -> None:
    known = [score for score in scores if score is not None]
    found = of(name, *scores)
    if not known:
        assert found.flags == {"g": "masked"}
    elif 2 * len(known) < len(scores):
        assert found.flags == {"g": "mostly masked"}
    elif len(known) == 1:
        assert found.flags == {"g": "singleton"}
    elif len(set(known)) == 1:
        assert found.flags == {"g": "zero variance"}
    else:
        assert not found.flags and any(any(each) for each in flat(found))
        return
    assert flat(found) == [[0, 0]] * len(scores)


@pytest.mark.parametrize("name", ["grpo", "dr-grpo", "rloo", "gdpo", "lare"])
@given(scores=st.lists(GRADES, min_size=2, max_size=6), shift=st.floats(-5, 5))
def test_a_constant_on_top_changes_nothing_and_the_group_has_a_mean_of_0(
    name: str, scores: list[float], shift: float
) -> None:
    found, moved = of(name, *scores), of(name, *(score + shift for score in scores))
    if name != "lare":  # the constant is spread over the turns, so later turns have less of it
        assert moved.per_rollout == pytest.approx(found.per_rollout, abs=1e-6)
    assert found.per_rollout.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["grpo", "gdpo", "gigpo", "mt-grpo", "lare", "negative-only"])
@given(scores=st.lists(GRADES, min_size=2, max_size=6), scale=st.floats(0.01, 100))
def test_the_scale_of_rewards_does_not_matter_where_it_is_divided_by(
    name: str, scores: list[float], scale: float
) -> None:
    found, scaled = of(name, *scores), of(name, *(scale * score for score in scores))
    assert np.array(flat(scaled)) == pytest.approx(np.array(flat(found)))


@pytest.mark.parametrize("name", DEFAULTS)
def test_withheld_counts_and_is_not_learned_from(name: str) -> None:
    results = paid(0.0, 1.0, 2.0, turns=2)
    group, plain = rollouts(2, 2, 2), flat(estimate(name, rollouts(2, 2, 2), results))
    results[2] = results[2].model_copy(update={"withheld": True})
    found = estimate(name, group, results)
    assert flat(found) == [plain[0], plain[1], [0, 0]] and found.masked == (False, False, False)


@pytest.mark.parametrize("name", sorted({*DEFAULTS} - {"gdpo"}))  # which is scaled over the batch
def test_groups_do_not_see_each_other(name: str) -> None:
    a, b = rollouts(2, 2, group="a"), rollouts(2, 2, group="b")
    both = estimate(name, [a[0], b[0], a[1], b[1]], paid(0, 5, 1, 7, turns=2))
    alone = estimate(name, a, paid(0, 1, turns=2))
    assert flat(both)[::2] == flat(alone)


@given(st.lists(GRADES, min_size=2, max_size=6))
def test_at_the_first_turn_lare_is_grpo(scores: list[float]) -> None:
    assert [each[0] for each in flat(of("lare", *scores))] == pytest.approx(of("grpo", *scores).per_rollout)


# anchors


def test_states_are_alike_by_what_was_seen_and_what_is_left() -> None:
    turns = [Ids([1], [2]), Ids([1, 2, 3], [4]), Ids([1, 2, 3, 4, 5], [6])]
    one = anchors(trace_of(turns, events=[call(0, "a"), call(1, "b")]))
    other = anchors(trace_of(turns, events=[call(0, "b"), call(1, "a")]))
    wasted = anchors(trace_of(turns, events=[call(0, "a"), call(0, "a"), call(1, "b")]))
    assert one[0] == other[0] == wasted[0]
    assert one[1] != other[1] and one[1] != wasted[1]
    assert one[2] == other[2] != wasted[2]
    assert len(set(one)) == 3


def test_a_conclusion_is_another_state_than_a_free_turn() -> None:
    assert anchors(trace_of([Ids([1], [2])])) != anchors(trace_of([Ids([1], [2], phase="conclude")]))


# tokens


def test_tokens_have_the_advantage_of_their_turn() -> None:
    group = rollouts(2, 1)
    found = estimate(
        "lare", group, [of_parts({"a": 1.0}, turn_rewards=(0.0, 1.0)), of_parts({"a": 0.0}, turn_rewards=(0.0,))]
    )
    rows = [row for each in group for row in assemble(each.trace, rollout=each.id)]
    first, second = to_tokens(found, rows)
    a = 1 / SQRT2
    assert first.tolist() == pytest.approx([0, a, a, 0, 0, 0]) and second.tolist() == pytest.approx([0, -a, -a])
    assert fold(found, rows).tolist() == pytest.approx([a / 2, -a])


def test_rows_of_one_rollout_share_its_advantage() -> None:
    forked = trace_of([Ids([1], [2, 3]), Ids([1, 2, 9], [4])])
    group = group_of([forked, trace_of([Ids([1], [2])])])
    found = estimate("grpo", group, paid(1, 0))
    rows = assemble(forked, "fork", rollout="c#0")
    assert [each.tolist() for each in to_tokens(found, rows)] == [
        pytest.approx([0, 1 / SQRT2, 1 / SQRT2]),
        pytest.approx([0, 0, 0, 1 / SQRT2]),
    ]
    assert fold(found, rows) is found.per_rollout


def test_a_row_of_an_unknown_rollout_is_refused() -> None:
    found = estimate("grpo", rollouts(1, 1), paid(0, 1))
    with pytest.raises(ConfigError, match="'x', which has no advantage"):
        to_tokens(found, assemble(trace_of([Ids([1], [2])]), rollout="x"))


# refusals


@pytest.mark.parametrize(
    ("estimator", "told"),
    [
        ("mt-grpo", "needs turn rewards, .* 'evidence_first'"),
        ("lare", "needs turn rewards that sum to the score, .* 'lare'"),
        ("think-rm", "needs margins"),
        (GDPO(weights={"x": 1.0}), "no part 'x'; there is neat, right"),
        (PAPO(process=["x"]), "no part 'x'"),
        (PAPO(process=["neat", "right"]), "none about what came out"),
        ("papo", r"PAPO\(process="),
        ("credit-assignment", "estimates no advantages; there is .*grpo"),
        ("grop", "unknown training 'grop'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_remedy(estimator: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        estimate(estimator, rollouts(1, 1), paid(0, 1))  # type: ignore[arg-type]


def test_gdpo_needs_parts() -> None:
    with pytest.raises(ConfigError, match="needs parts"):
        estimate("gdpo", rollouts(1, 1), [of_parts({"a": 0.0}), of_parts({"a": 1.0})])
    with pytest.raises(ConfigError, match="needs parts"):
        estimate("gdpo", rollouts(1, 1), [of_parts({"a": 0.0, "b": 0.0}), of_parts({"a": 1.0, "c": 0.0})])


def test_options_out_of_range_are_refused() -> None:
    for make in (lambda: NegativeOnly(positive=2), lambda: MTGRPO(variant="x"), lambda: GiGPO(discount=2)):
        with pytest.raises(ConfigError):
            make()


def test_input_that_does_not_match_is_refused() -> None:
    two = rollouts(1, 1)
    with pytest.raises(DataError, match="1 results for 2 rollouts"):
        estimate("grpo", two, paid(0))
    with pytest.raises(DataError, match="one id"):
        estimate("grpo", [two[0], two[0]], paid(0, 1))
    with pytest.raises(DataError, match="has 1 turns, but rewards for 3"):
        estimate("grpo", two, paid(0, 1, turns=3))
    with pytest.raises(DataError, match=re.escape("are (3, 3), for 2")):
        estimate("think-rm", two, paid(0, 1), margins={"g": np.zeros((3, 3))})
    with pytest.raises(DataError, match="contradict"):
        estimate("think-rm", two, paid(0, 1), margins={"g": np.ones((2, 2))})
    with pytest.raises(ConfigError, match="of one case"):
        group_of([trace_of([]), trace_of([], case=trace_of([]).case.model_copy(update={"id": "d"}))])


def test_every_estimator_says_where_it_lies() -> None:
    rows = {row["name"]: row for row in axes()}
    assert set(rows) == set(estimators()) == {*DEFAULTS, "papo", "think-rm"}
    assert {name for name, row in rows.items() if row["granularity"] == "turn"} == {"gigpo", "lare", "mt-grpo"}
    assert rows["think-rm"]["needs"] == ["margins"] and rows["grpo"]["needs"] == []
    assert all(made.name == name for name, made in estimators().items())
