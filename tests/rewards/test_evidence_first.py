"""Our own reward of claims: what each part pays, and that no constant answer is a place to fall into."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, PAIR, Call, gold, judgement

from agentjudge.case import CLAIM_LABELS, NOT_ENOUGH_INFO, REFUTE, SUPPORT
from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.base import Reward
from agentjudge.rewards.evidence_first import EvidenceFirst, balance_of, evidence_first
from agentjudge.rewards.veri_r1 import veri_r1

CASES = {
    SUPPORT: CLAIM,
    REFUTE: gold(CLAIM, label=REFUTE, evidence=(("a", "b"),)),
    NOT_ENOUGH_INFO: gold(CLAIM, label=NOT_ENOUGH_INFO),
}
SEARCHED = (Call(0, ("a", "b", "x")),)


def parts(label: str | None, *, y: str = SUPPORT, reward: Reward | None = None, **how: Any) -> dict[str, float]:
    trace = judgement(CASES[y], label=label, said=("", "{}"), **how)
    return (reward or evidence_first()).score(trace, CASES[y]).components


def score(*args: Any, **how: Any) -> float:
    return sum(parts(*args, **how).values())


# what each part pays


def test_all_of_it() -> None:
    paid = parts(SUPPORT, calls=SEARCHED, cites=("a", "b"))
    assert paid == pytest.approx({"label": 1 / 3, "grounded": 0.5, "citing": 0.25, "found": 0.25, "calls": -0.02})


def test_a_label_without_evidence_is_worth_what_it_is_beyond_chance() -> None:
    assert score(SUPPORT) == pytest.approx(1 / 3) and score(REFUTE) == pytest.approx(-1 / 6)
    two = CLAIM.model_copy(update={"labels": (SUPPORT, REFUTE)})
    assert evidence_first().score(judgement(two, label=SUPPORT), two).score == pytest.approx(1 / 4)


def test_not_enough_info_is_right_only_for_a_judge_that_has_looked() -> None:
    nei = NOT_ENOUGH_INFO
    assert score(nei, y=nei) == pytest.approx(-1 / 6)
    assert score(nei, y=nei, calls=[Call(0, status="failed")]) == pytest.approx(-1 / 6 - 0.02)
    assert score(nei, y=nei, calls=[Call(0, ())]) == pytest.approx(1 / 3 - 0.02)
    assert score(nei, y=nei, opening=("x",)) == pytest.approx(1 / 3)


def test_only_what_was_shown_in_this_trace_counts() -> None:
    assert parts(SUPPORT, cites=("a", "b"))["citing"] == parts(SUPPORT, cites=("a", "b"))["grounded"] == 0.0
    half = parts(SUPPORT, calls=[Call(0, ("a", "x"))], cites=("a", "b"))
    assert half == pytest.approx({"label": 1 / 3, "grounded": 0.25, "citing": 0.125, "found": 0.125, "calls": -0.02})


def test_citing_everything_costs_precision() -> None:
    shown = [Call(0, tuple("abcdefgh"))]
    assert parts(SUPPORT, calls=shown, cites=("a", "b"))["citing"] == 0.25
    assert parts(SUPPORT, calls=shown, cites=tuple("abcdefgh"))["citing"] == pytest.approx(0.25 * 2 / 8)


def test_the_best_of_alternative_groups_counts_and_two_whole_ones_are_no_fault() -> None:
    case = gold(CLAIM, label=SUPPORT, evidence=(("a", "b"), ("c",), ()))
    for cites in (("c",), ("a", "b", "c")):
        trace = judgement(case, label=SUPPORT, calls=[Call(0, ("a", "b", "c"))], cites=cites)
        assert evidence_first().score(trace, case).components["citing"] == 0.25
    partly = judgement(case, label=SUPPORT, calls=[Call(0, ("a",))], cites=("a",))
    assert evidence_first().score(partly, case).components["found"] == 0.125


def test_gains_and_prices_stand_by_their_turns() -> None:
    calls = [Call(0, ("a",)), Call(0, ("x",)), Call(1, ("a",)), Call(2, ("b",))]
    trace = judgement(label=SUPPORT, said=("", "", "", "{}"), calls=calls, cites=("a", "b"))
    result = evidence_first().score(trace, CLAIM)
    assert result.turn_rewards == pytest.approx((0.125 - 0.04, -0.02, 0.125 - 0.02, 0.0))
    assert sum(result.turn_rewards) == pytest.approx(result.components["found"] + result.components["calls"])


def test_what_stood_in_the_opening_was_not_found() -> None:
    assert parts(SUPPORT, opening=("a", "b"), calls=SEARCHED, cites=("a", "b"))["found"] == 0.0


def test_calls_cost_up_to_a_bound() -> None:
    assert parts(SUPPORT, calls=[Call(0, status="bad_args")] * 3)["calls"] == pytest.approx(-0.06)
    assert parts(SUPPORT, calls=[Call(0), *[Call(1)] * 30])["calls"] == pytest.approx(-0.2)


def test_an_unreadable_answer_is_the_worst_and_an_abstention_no_way_out() -> None:
    malformed = score(None, failed="parse")
    assert malformed == -1.5
    assert all(malformed < score(label, y=y) for label, y in product(CLAIM_LABELS, CLAIM_LABELS))
    assert score(None, y=NOT_ENOUGH_INFO) == pytest.approx(-1 / 6)
    assert evidence_first().score(judgement(failed="model"), CLAIM).score is None


def test_wrong_with_exact_evidence_is_worth_less_than_right_with_none() -> None:
    assert score(REFUTE, calls=SEARCHED, cites=("a", "b")) < score(SUPPORT)


def test_what_it_cannot_pay() -> None:
    with pytest.raises(DataError, match="reward is of claims"):
        evidence_first().score(judgement(PAIR, preference=1), PAIR)
    with pytest.raises(DataError, match="has no gold"):
        evidence_first().score(judgement(label=SUPPORT), CLAIM.blind())
    with pytest.raises(DataError, match="none of its labels"):
        evidence_first().score(judgement(label="MAYBE"), CLAIM)
    with pytest.raises(DataError, match="knows none"):
        evidence_first({"success": 1.0}).score(judgement(label=SUPPORT), CLAIM)
    with pytest.raises(ConfigError, match="negative"):
        evidence_first(price=-1)
    with pytest.raises(DataError, match="cannot be counted"):
        balance_of([CLAIM.blind()])


# calibration


def balanced(weights: Sequence[float]) -> dict[str, float]:
    return {label: weight / sum(weights) for label, weight in zip(CLAIM_LABELS, weights, strict=True)}


BALANCES = st.tuples(*[st.floats(0.01, 1)] * 3).map(balanced)
POLICIES = st.lists(st.tuples(*[st.floats(0.01, 1)] * 3).map(balanced), min_size=3, max_size=3)


def worth(reward: Reward, balance: Mapping[str, float], policy: Mapping[str, Mapping[str, float]], **how: Any) -> float:
    """What a policy earns on average: `policy[y][l]` is how often it says l where gold is y; `how` it behaves else."""
    total = 0.0
    for y, label in product(CLAIM_LABELS, CLAIM_LABELS):
        found = reward.score(judgement(CASES[y], said=("", "{}"), label=label, **how), CASES[y]).score
        assert found is not None
        total += balance[y] * policy[y][label] * found
    return total


def always(label: str) -> dict[str, dict[str, float]]:
    return dict.fromkeys(CLAIM_LABELS, {each: float(each == label) for each in CLAIM_LABELS})


@given(BALANCES, BALANCES, st.sampled_from([(), ("a",), ("a", "b"), ("a", "x")]))
def test_a_label_at_random_earns_nothing_at_any_balance(
    balance: dict[str, float], said: dict[str, float], cites: tuple[str, ...]
) -> None:
    reward, blind = evidence_first(balance, price=0.0), dict.fromkeys(CLAIM_LABELS, said)
    how: dict[str, Any] = {"calls": SEARCHED, "cites": cites}
    evidence = sum(balance[y] * sum(parts(y, y=y, **how)[k] for k in ("citing", "found")) for y in CLAIM_LABELS)
    assert worth(reward, balance, blind, **how) == pytest.approx(evidence, abs=1e-9)
    for label in CLAIM_LABELS:
        assert worth(reward, balance, always(label), **how) == pytest.approx(evidence, abs=1e-9)


@given(BALANCES, POLICIES)
def test_an_honest_judge_earns_its_agreement_beyond_chance_more_than_always_nei(
    balance: dict[str, float], rows: list[dict[str, float]]
) -> None:
    policy = dict(zip(CLAIM_LABELS, rows, strict=True))
    reward, how = evidence_first(balance), {"calls": [Call(0, ("x",))]}
    right = sum(balance[y] * policy[y][y] for y in CLAIM_LABELS)
    chance = sum(balance[label] * sum(balance[y] * policy[y][label] for y in CLAIM_LABELS) for label in CLAIM_LABELS)
    gained = worth(reward, balance, policy, **how) - worth(reward, balance, always(NOT_ENOUGH_INFO), **how)
    assert gained == pytest.approx(0.5 * (right - chance), abs=1e-9)


@given(BALANCES)
def test_always_nei_without_a_look_loses_at_any_balance(balance: dict[str, float]) -> None:
    lazy = worth(evidence_first(balance), balance, always(NOT_ENOUGH_INFO))
    assert lazy == pytest.approx(-0.5 * balance[NOT_ENOUGH_INFO]) and lazy < 0


def test_a_weak_reader_earns_less_than_always_nei_by_veri_r1_and_more_here() -> None:
    """It finds the evidence of every fourth claim, reads it right in 6 of 10 cases, and guesses where it has none."""
    even = balanced([1, 1, 1])

    def honest(reward: Reward) -> float:
        total = 0.0
        for y, label in product(CLAIM_LABELS, CLAIM_LABELS):
            found = 0.0 if y == NOT_ENOUGH_INFO else 0.25
            read = 0.0 if NOT_ENOUGH_INFO in (y, label) else 0.6 if label == y else 0.4
            for share, shows in ((found * read, ("a", "b")), ((1 - found) / 3, ("x",))):
                trace = judgement(CASES[y], said=("", "{}"), label=label, calls=[Call(0, shows)], cites=shows)
                total += even[y] * share * (reward.score(trace, CASES[y]).score or 0.0)
        return total

    def lazy(reward: Reward) -> float:
        return worth(reward, even, always(NOT_ENOUGH_INFO))

    assert honest(veri_r1()) == pytest.approx(1.589, abs=1e-3) and lazy(veri_r1()) == pytest.approx(5 / 3)
    agreement, grounded, evidence = 0.5 * (0.4 + 0.4 + 1 / 3 - 1) / 3, 2 / 3 * 0.25 * (0.6 - 0.5), 2 / 3 * 0.25 * 0.5
    assert honest(evidence_first()) == pytest.approx(agreement + grounded + evidence - 0.02)
    assert lazy(evidence_first()) == pytest.approx(-1 / 6)


def test_balance_is_counted_over_gold() -> None:
    cases = [*CASES.values(), CLAIM, CLAIM.blind()]
    assert balance_of(cases) == {NOT_ENOUGH_INFO: 0.25, REFUTE: 0.25, SUPPORT: 0.5}
    assert isinstance(evidence_first(balance_of(cases)), EvidenceFirst)


# a policy that is trained by it


def trained(reward: Reward, balance: Mapping[str, float], *, reading: float, noticing: float = 1.0) -> Any:
    """Odds of labels given what is observed, after exact policy gradients of advantages that are not divided.

    A search shows the gold evidence of half of the claims that have some, and the policy cites what is shown. What it
    observes looks like support, like refutation, or like neither: gold evidence looks like what it says in a share
    `reading` of cases, other passages look like neither in a share `noticing`, else like either.

    Returns:
        An array of observations (support, refutation, neither) by labels.
    """
    table, seen = np.zeros((3, 2, 3)), np.zeros((3, 2, 3))  # gold, gold shown or not, label or observation
    for i, y in enumerate(CLAIM_LABELS):
        hit = 0.0 if y == NOT_ENOUGH_INFO else 0.5
        seen[i, 1] = hit * np.array(
            [reading if y == SUPPORT else 1 - reading, reading if y == REFUTE else 1 - reading, 0]
        )
        seen[i, 0] = (1 - hit) * np.array([(1 - noticing) / 2, (1 - noticing) / 2, noticing])
        for shown, (k, label) in product((0, 1), enumerate(CLAIM_LABELS)):
            ids = ("a", "b") if shown else ("x",)
            trace = judgement(CASES[y], said=("", "{}"), label=label, calls=[Call(0, ids)], cites=ids)
            table[i, shown, k] = reward.score(trace, CASES[y]).score or 0.0
    weight, logits = np.array([balance[y] for y in CLAIM_LABELS]), np.zeros((3, 3))
    for _ in range(1000):
        odds = np.exp(logits - logits.max(1, keepdims=True))
        odds /= odds.sum(1, keepdims=True)
        mean = np.einsum("iso,ok,isk->i", seen, odds, table)
        gain = np.einsum("i,iso,isk->ok", weight, seen, table - mean[:, None, None])
        logits += 2.0 * odds * (gain - (odds * gain).sum(1, keepdims=True))
    return odds


@pytest.mark.parametrize("nei", [0.2, 1 / 3, 0.6])
def test_training_teaches_the_labels_at_any_balance(nei: float) -> None:
    balance = {SUPPORT: (1 - nei) / 2, REFUTE: (1 - nei) / 2, NOT_ENOUGH_INFO: nei}
    odds = trained(evidence_first(balance), balance, reading=0.7, noticing=0.7)
    assert odds[0, 0] > 0.9 and odds[1, 1] > 0.9 and odds[2, 2] > 0.9


def test_what_drives_veri_r1_to_always_nei_leaves_this_one_where_it_was() -> None:
    """A policy that cannot read at all yet: what it observes tells it nothing."""
    even = balanced([1, 1, 1])
    fallen, stayed = (trained(r, even, reading=0.5, noticing=0.0) for r in (veri_r1(), evidence_first()))
    assert fallen[:2, 2] == pytest.approx([1, 1], abs=0.01)
    assert stayed[:2] == pytest.approx(np.full((2, 3), 1 / 3))
