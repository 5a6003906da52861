"""What is worth sampling, and what of it is learned from."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_traces import Ids, call, trace_of

from agentjudge.errors import ConfigError
from agentjudge.rewards.base import RewardResult, of_parts, unknown
from agentjudge.trace import Trace
from agentjudge.training.rollouts import group_of, void_turns
from agentjudge.training.sampling import (
    Sample,
    Scored,
    Setting,
    balance_score,
    filled,
    pick_setting,
    teachable,
    without_void,
)
from agentjudge.verdict import Failure, Verdict


def conversation(*phases: str, calls: tuple[int, ...] = (), failed: bool = False) -> Trace:
    turns, held = [], []
    for phase in phases:
        turns.append(Ids([*held, 1], [2], phase=phase))
        held = [*held, 1, 2]
    trace = trace_of(turns, events=[call(turn, "d") for turn in calls])
    if failed:
        failure = Failure(kind="parse", message="no JSON")
        trace.verdict = Verdict(case_id="c", status="failed", failure=failure, provenance=trace.verdict.provenance)
    return trace


def group(*scores: float | None) -> Scored:
    results = [unknown("gone") if s is None else of_parts({"a": s}) for s in scores]
    return Scored(group_of([conversation("act") for _ in scores]), results)


def test_cases_that_are_always_or_never_right_are_dropped() -> None:
    measured = {"all": [True] * 5, "none": [False] * 5, "some": [True] + [False] * 4, "new": [True] * 4, "untried": []}
    assert teachable(measured) == ["some", "new", "untried"]
    assert teachable(measured, tries=1) == ["some", "untried"]


def test_batches_are_filled_with_groups_that_tell_and_no_more_is_sampled_than_needed() -> None:
    drawn = []

    def rounds() -> Iterator[list[Scored]]:
        for number in range(10):
            drawn.append(number)
            yield [group(0, 1), group(1, 1), group(None, 1), group(0, None, 2)]

    found = filled(rounds(), 3)
    assert drawn == [0, 1] and len(found.groups) == 3 and (found.drawn, found.rounds) == (8, 2)
    assert all(each.tells for each in found.groups) and found.kept == 3 / 8
    assert len(filled(rounds(), 100, most=3).groups) == 6
    assert filled([], 1).kept == 0


@pytest.mark.parametrize(
    ("trace", "void"),
    [
        (conversation("act", "conclude", calls=(0,)), ()),
        (conversation("act", "conclude"), ()),  # it has seen enough
        (conversation("act", "act", "conclude", calls=(1,)), (0,)),
        (conversation("plan", "plan", "act"), (0,)),
        (conversation("act", "conclude", "conclude", calls=(0,)), (1,)),
        (conversation("act", "conclude", "conclude", calls=(0,), failed=True), (1, 2)),
        (trace_of([Ids([1], [2], -1), Ids([3], [4], -1), Ids([5], [6], -1)]), ()),  # parts, each asked by itself
        (trace_of([Ids([1], [2], -1), Ids([3], [4], -1), Ids([1, 2, 1], [4], 0)]), (0,)),
    ],
)
def test_void_turns_led_to_nothing(trace: Trace, void: tuple[int, ...]) -> None:
    assert void_turns(trace) == void


def test_rollouts_with_void_turns_are_taken_out_of_the_learning() -> None:
    rollouts = group_of([conversation("act", "act"), conversation("act"), conversation("act", "act")])
    results: list[RewardResult] = [of_parts({"a": 1.0}), of_parts({"a": 0.0}), unknown("gone")]
    masked = without_void(rollouts, results)
    assert masked[0].score is None and "turn 0" in masked[0].error and masked[1:] == results[1:]
    withheld = without_void(rollouts, results, how="withheld")
    assert withheld[0].withheld and withheld[0].score == 1 and withheld[1:] == results[1:]


def test_balance_score_by_hand() -> None:
    """Kept are four; two different right texts among them, of four that are wanted: 2/4 x 2/4."""
    samples = [Sample("a", True, 1), Sample("a", True, 1), Sample("b", True, 1), Sample("c", False, 1)]
    assert balance_score([*samples, Sample("d", True, 0)], 0.5, wanted=4) == 0.25
    assert balance_score(samples, 2) == 0


@given(st.lists(st.builds(Sample, st.sampled_from("abcdef"), st.booleans(), st.sampled_from([0.0, 1.0])), max_size=9))
def test_balance_lies_from_0_to_1(samples: list[Sample]) -> None:
    assert 0 <= balance_score(samples, 0.5, wanted=3) <= 1


def test_the_best_balance_is_picked() -> None:
    varied = [[Sample("a", True, 1), Sample("b", True, 1), Sample("c", False, 0)]]
    alike = [[Sample("a", True, 1)] * 3]
    assert pick_setting({0.5: alike, 1.0: varied}, [0, 0.5, 2], wanted=2) == Setting(1.0, 0.5, 1.0)


def test_impossible_options_are_refused() -> None:
    for wrong in (
        lambda: filled([], 0),
        lambda: filled([], 1, most=0),
        lambda: without_void([], [], how="dropped"),
        lambda: pick_setting({}, [0.5]),
        lambda: pick_setting({1.0: []}, [0.5]),
    ):
        with pytest.raises(ConfigError):
            wrong()
