"""Gold evidence seen and cited: shares of the best group, and a potential that telescopes."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, Call, gold, judgement

from agentjudge.rewards.coverage import coverage, groups_of, potential, precision

IDS = st.sets(st.sampled_from("abcdx"), max_size=5)
GROUPS = st.lists(IDS, max_size=3)


@given(st.lists(IDS, min_size=1, max_size=6), IDS, GROUPS)
def test_gains_are_never_negative_and_sum_to_what_was_gained(
    shown: Sequence[set[str]], opening: set[str], groups: Sequence[set[str]]
) -> None:
    case = gold(CLAIM, label="SUPPORT", evidence=tuple(map(tuple, groups)))
    calls = [Call(turn, tuple(ids)) for turn, ids in enumerate(shown)]
    seen = potential(judgement(case, said=[""] * len(shown), calls=calls, opening=tuple(opening)), case)
    gains = [after - before for before, after in pairwise(seen)]
    known = [group for group in groups if group]
    assert len(seen) == len(shown) + 1 and min(gains) >= 0
    assert seen[0] == coverage(opening, known) and seen[-1] == coverage(opening.union(*shown), known)
    assert sum(gains) == pytest.approx(seen[-1] - seen[0])


@given(IDS, IDS, GROUPS)
def test_what_was_seen_before_gains_nothing(first: set[str], more: set[str], groups: Sequence[set[str]]) -> None:
    case = gold(CLAIM, label="SUPPORT", evidence=tuple(map(tuple, groups)))
    calls = [Call(0, tuple(first | more)), Call(1, tuple(more))]
    _, once, twice = potential(judgement(case, said=("", ""), calls=calls), case)
    assert once == twice


@pytest.mark.parametrize(
    ("ids", "share", "exact"),
    [
        ("", 0.0, 0.0),
        ("a", 0.5, 1.0),
        ("ab", 1.0, 1.0),
        ("c", 1.0, 1.0),
        ("abc", 1.0, 1.0),
        ("ax", 0.5, 0.5),
        ("x", 0, 0),
    ],
)
def test_shares_of_the_best_group_and_of_what_is_cited(ids: str, share: float, exact: float) -> None:
    groups = groups_of(gold(CLAIM, label="SUPPORT", evidence=(("a", "b"), ("c",), ())))
    assert (coverage(set(ids), groups), precision(set(ids), groups)) == (share, exact)


def test_without_gold_evidence_there_is_nothing_to_cover() -> None:
    assert groups_of(CLAIM.blind()) == [] and coverage({"a"}, []) == precision({"a"}, []) == 0.0
