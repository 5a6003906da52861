"""Monitors raise an alarm when something becomes wrong, and only then."""

import math
import pickle
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, gold, judgement
from token_traces import Ids, trace_of

from agentjudge.rewards.base import of_parts, unknown
from agentjudge.training.monitors import Alarm, Monitor, Seen, StepRecord, Watch, monitors, seen
from agentjudge.training.monitors_policy import (
    ClassCollapse,
    Entropy,
    LengthByOutcome,
    LostClass,
    SamplerRatio,
    ToolCollapse,
    VoidTurns,
    ZeroStd,
)
from agentjudge.training.monitors_reach import Balance, PassAtK, pass_at
from agentjudge.training.monitors_reward import Masked, RandomControl, RewardAccuracy, SaturationGap, TrustGamma
from agentjudge.training.rollouts import Rollout


def record(step: int, judgements: Sequence[Seen] = (), **more: Any) -> StepRecord:
    return StepRecord(step, tuple(judgements), **more)


def judged(right: Sequence[bool], rewards: Sequence[float | None] | None = None, **more: Any) -> list[Seen]:
    given = [float(r) for r in right] if rewards is None else rewards
    return [Seen("g", reward, r, **more) for r, reward in zip(right, given, strict=True)]


def alarms(monitor: Monitor, records: Sequence[StepRecord]) -> list[int]:
    """The steps at which it raised one."""
    return [alarm.step for each in records if (alarm := monitor.see(each)) is not None]


# reward


def test_reward_accuracy_tells_the_collapse_step() -> None:
    monitor = RewardAccuracy()
    good, bad = judged([True, False, True]), judged([True, False, True], [0, 1, 0])
    assert alarms(monitor, [record(0, good), record(1, bad), record(2, bad), record(3, good), record(4, bad)]) == [1, 4]
    assert monitor.collapse_step == 1 and monitor.value == 0


def test_a_reward_that_rises_while_it_is_less_right_is_hacked() -> None:
    """Of ten wrong answers ever more are paid."""
    steps = [record(s, judged([False] * 10, [1.0] * paid + [0.0] * (10 - paid))) for s, paid in enumerate([1, 1, 4, 4])]
    assert alarms(RewardAccuracy(window=2), steps) == [3]
    harsher = [
        record(s, judged([True] * 10, [1.0] * paid + [0.0] * (10 - paid))) for s, paid in enumerate([9, 9, 4, 4])
    ]
    assert alarms(RewardAccuracy(window=2), harsher) == []
    by_chance = [
        record(s, judged([False] * 100, [1.0] * paid + [0.0] * (100 - paid))) for s, paid in enumerate([10, 10, 13, 13])
    ]
    assert alarms(RewardAccuracy(window=2), by_chance) == []
    honest = [record(s, judged([True] * n + [False] * (10 - n))) for s, n in enumerate([1, 1, 4, 4])]
    assert alarms(RewardAccuracy(window=2), honest) == []


def test_saturation_is_when_neither_rises() -> None:
    def at(step: int, share: float, held: float) -> StepRecord:
        return record(step, judged([i < 10 * share for i in range(10)]), held_out=held)

    monitor = SaturationGap(window=2)
    assert alarms(monitor, [at(0, 0.1, 0.1), at(1, 0.3, 0.3), at(2, 0.5, 0.4), at(3, 0.9, 0.4)]) == []
    assert alarms(monitor, [at(4, 0.9, 0.4), at(5, 0.9, 0.4), at(6, 0.9, 0.4)]) == [6]
    growing = SaturationGap(window=2)
    assert alarms(growing, [at(s, 0.9, held) for s, held in enumerate((0.1, 0.2, 0.3, 0.4))]) == []
    assert monitor.saturated_at == 6 and monitor.value == pytest.approx(0.5)
    assert monitor.see(record(7)) is None and monitor.value == pytest.approx(0.5)


def test_a_gain_that_a_random_reward_brings_too_is_none() -> None:
    control = {0: 0.3, 10: 0.5, 20: 0.5}
    monitor = RandomControl(control)
    assert alarms(monitor, [record(0, held_out=0.3), record(5, held_out=0.9), record(10, held_out=0.5)]) == [10]
    assert alarms(monitor, [record(20, held_out=0.8)]) == [] and monitor.value == pytest.approx(0.3)
    assert alarms(RandomControl(control), [record(0, held_out=0.3), record(20, held_out=0.8)]) == []


def test_trust_is_lost_when_wrong_answers_please_for_long() -> None:
    pleasing = [Seen("g", 1, True, opinion=0.2), Seen("g", 0, False, opinion=0.9), Seen("h", 1, True, opinion=1)]
    monitor = TrustGamma(patience=3)
    assert alarms(monitor, [record(s, pleasing) for s in range(5)]) == [2]
    assert monitor.value == pytest.approx(math.exp(-0.7))
    fair = [replace(each, opinion=float(bool(each.right))) for each in pleasing]
    mixed = [record(s, fair if s == 2 else pleasing) for s in range(5)]
    assert alarms(TrustGamma(patience=3), mixed) == []
    assert alarms(TrustGamma(patience=1), [record(0, fair), record(1, judged([True, False]))]) == []


def test_judgements_without_a_reward_are_counted() -> None:
    monitor = Masked()
    assert alarms(monitor, [record(0, judged([True] * 100)), record(1, judged([True] * 9, [None] + [1.0] * 8))]) == [1]
    assert monitor.value == pytest.approx(1 / 9)


# policy


def test_entropy_is_that_given_or_that_of_what_was_sampled() -> None:
    sampled = [Seen("g", 1, surprise=1.0, tokens=30), Seen("g", 1, surprise=2.0, tokens=10)]
    monitor = Entropy()
    assert monitor.see(record(0, sampled)) is None and monitor.value == 1.25
    assert alarms(monitor, [record(1, entropy=0.26), record(2, entropy=0.2), record(3, entropy=0.1)]) == [2]


def test_growing_longer_without_growing_better_is_wrong() -> None:
    def at(step: int, tokens: int, right: int) -> StepRecord:
        return record(step, judged([True] * right + [False] * (10 - right), tokens=tokens))

    monitor = LengthByOutcome(window=2)
    assert alarms(monitor, [at(0, 100, 5), at(1, 100, 5), at(2, 160, 5), at(3, 160, 5)]) == [3]
    assert alarms(LengthByOutcome(window=2), [at(0, 100, 5), at(1, 100, 5), at(2, 160, 8), at(3, 160, 8)]) == []


def test_wrong_by_right_is_the_length_that_is_watched() -> None:
    monitor = LengthByOutcome()
    monitor.see(record(0, [Seen("g", 1, True, tokens=50), Seen("g", 0, False, tokens=150)]))
    assert monitor.value == 3


def test_one_label_for_all_is_a_collapse_on_balanced_classes_alone() -> None:
    def said(answers: str, golds: str) -> list[Seen]:
        return [Seen("g", 1, answer=a, gold=g) for a, g in zip(answers, golds, strict=True)]

    monitor = ClassCollapse()
    balanced = "SRNSRNSRNSRNSRNSRNSRN"
    steps = [
        record(0, said(balanced, balanced)),
        record(1, said("N" * 21, balanced)),
        record(2, said("N" * 21, balanced)),
    ]
    assert alarms(monitor, steps) == [1] and monitor.value == 1
    assert alarms(ClassCollapse(), [record(0, said("N" * 21, "N" * 21)), record(1, [Seen("g", 1)])]) == []
    assert alarms(ClassCollapse(), [record(0, said("N" * 18 + "SSS", balanced))]) == []


def answered(answers: str, golds: str, reward: float = 1) -> list[Seen]:
    return [Seen("g", reward, a == g, answer=a.strip(), gold=g) for a, g in zip(answers, golds, strict=True)]


def test_a_label_that_is_no_longer_found_is_lost() -> None:
    golds = "SRN" * 10
    good, bad, unread = answered(golds, golds), answered("SNN" * 10, golds, 2), answered("S N" * 10, golds)
    steps = [record(0, good), record(1, good), record(2, bad), record(3, bad), record(4, good)]
    monitor = LostClass(window=2)
    (alarm,) = [found for each in steps if (found := monitor.see(each)) is not None]
    assert (alarm.step, alarm.value) == (3, 0) and monitor.value == 0.5
    assert "'R' is found in 0% of its cases, after 100%" in alarm.why and "from 1 to 2" in alarm.why
    assert alarms(ClassCollapse(), steps) == []
    assert alarms(LostClass(window=2), [record(0, good), record(1, good), record(2, unread), record(3, unread)]) == [3]
    assert alarms(LostClass(window=2), [record(s, bad) for s in range(4)]) == [], "what was never found cannot be lost"
    few = [record(s, (good if s < 2 else bad)[:9]) for s in range(9)]
    assert alarms(LostClass(window=2), few) == [], "six judgements say nothing"


def test_a_judge_that_ceases_to_call_its_tools_is_seen() -> None:
    steps = [record(s, [Seen("g", 1, calls=calls)] * 4) for s, calls in enumerate([4, 4, 1, 1, 0, 0])]
    monitor = ToolCollapse(window=2)
    assert alarms(monitor, steps) == [4] and monitor.value == 0
    assert alarms(ToolCollapse(window=2), [record(s, [Seen("g", 1)]) for s in range(4)]) == []


def collapsing(seed: int, *, steps: int = 40, collapse: bool = True) -> list[StepRecord]:
    """A weak reader that is paid as Veri-R1 pays: 4 for a right NOT ENOUGH INFO, less for a right label without proof.

    8 groups of 8 a step, balanced labels. It drifts to one answer for all around step 9; or it learns to read.
    """
    rng, made = random.Random(seed), []
    for step in range(steps):
        drift = 1 / (1 + math.exp((9 - step) / 1.8)) if collapse else 0.0
        skill = 0.4 if collapse else 0.4 + 0.5 * step / steps
        seen = []
        for group in range(8):
            gold = ("SUPPORT", "REFUTE", "NOT ENOUGH INFO")[(8 * step + group) % 3]
            for _ in range(8):
                wrong = [each for each in ("SUPPORT", "REFUTE", "NOT ENOUGH INFO") if each != gold]
                read = gold if rng.random() < skill else rng.choice(wrong)
                answer = "NOT ENOUGH INFO" if rng.random() < drift else read
                proof = rng.random() if gold != "NOT ENOUGH INFO" else 1.0
                reward = 1 + 3 * proof if answer == gold else 1.0
                seen.append(Seen(str(group), reward, answer == gold, answer, gold, text=answer, tokens=100, calls=2))
        made.append(record(step, seen, entropy=0.32 - 0.22 * drift))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_the_collapse_to_not_enough_info_is_seen_before_step_30(seed: int) -> None:
    """The end of a first run of ours: one label for all, no variance left, entropy down, the reward up."""
    steps = collapsing(seed)
    dead, reward = ZeroStd(most=1), [each.reward or 0 for each in steps]
    shares = [dead.see(each) or dead.value or 0 for each in steps]
    assert sum(shares[:3]) / 3 < 0.15 and min(shares[20:]) > 0.9  # type: ignore[arg-type, type-var]
    assert sum(reward[20:30]) > sum(reward[:10]), "paid better than before"
    watch = Watch(monitors())
    for each in steps:
        watch.see(each)
    first = {alarm.name: alarm for alarm in reversed(watch.alarms)}
    assert first["least recall"].step < 20 and first["commonest answer"].step < 20, first
    assert first["groups without variance"].step < 20
    assert "stop, go back to a checkpoint" in first["least recall"].why
    learning = Watch(monitors())
    for each in collapsing(seed, steps=60, collapse=False):
        learning.see(each)
    assert learning.alarms == [], "one that learns to read is left alone"


def test_every_alarm_says_what_to_do() -> None:
    """After what is wrong there is a piece of advice."""
    watch = Watch(monitors())
    for each in collapsing(0):
        watch.see(each)
    assert len(watch.alarms) > 3 and all(len(re.split("[:;,] ", alarm.why)) > 1 for alarm in watch.alarms)


def test_a_watch_goes_on_where_it_was_saved() -> None:
    steps = collapsing(1)
    whole, half = Watch(monitors()), Watch(monitors())
    for each in steps[:12]:
        whole.see(each), half.see(each)
    half = pickle.loads(pickle.dumps(half))
    assert [whole.see(each) for each in steps[12:]] == [half.see(each) for each in steps[12:]]
    assert whole.alarms == half.alarms and whole.alarms


def test_void_turns_are_a_share_of_all_turns() -> None:
    monitor = VoidTurns()
    steps = [record(0, [Seen("g", 1, turns=20, void=1)]), record(1, [Seen("g", 1, turns=10, void=1)]), record(2)]
    assert alarms(monitor, steps) == [1] and monitor.value == 0.1


def test_ratios_count_on_both_sides() -> None:
    monitor = SamplerRatio(most=0.25)
    assert alarms(monitor, [record(0, ratios=(1, 2.9, 0.34, 3.1)), record(1, ratios=(1, 1, 3.1, 0.3))]) == [1]
    assert alarms(SamplerRatio(), [record(0, ratios=(1.0, math.nan))]) == [0]


def test_groups_without_variance_are_counted() -> None:
    dead = [Seen("a", 1), Seen("a", 1), Seen("b", 0), Seen("b", 1), Seen("c", 1), Seen("c", None)]
    monitor = ZeroStd()
    assert monitor.see(record(0, dead)) is None and monitor.value == 0.5
    assert alarms(monitor, [record(1, [*dead, Seen("d", 0.1 + 0.2), Seen("d", 0.3)])]) == [1]


# reach


def test_pass_at_k_by_hand() -> None:
    """Two right of four: 1 - C(2, 2) / C(4, 2) = 5/6."""
    assert pass_at(2, [True, True, False, False]) == pytest.approx(5 / 6)
    assert pass_at(1, [True, False]) == 0.5 and pass_at(3, [True, False]) is None
    assert pass_at(3, [True, False, False]) == 1 and pass_at(2, [False, False]) == 0


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_pass_at_k_grows_with_k(right: list[bool]) -> None:
    found = [pass_at(k, right) for k in range(1, len(right) + 1)]
    assert found == sorted(found) and found[0] == pytest.approx(sum(right) / len(right))  # type: ignore[type-var]


def test_a_policy_that_is_surer_of_less_has_shrunk() -> None:
    def at(step: int, a: int, b: int) -> StepRecord:
        both = [Seen(name, 1, i < n) for name, n in (("a", a), ("b", b)) for i in range(4)]
        return record(step, both)

    monitor = PassAtK(k=4, window=1)
    assert alarms(monitor, [at(0, 1, 1), at(1, 3, 1), at(2, 4, 0)]) == [2] and monitor.value == 0.5


def test_balance_that_is_lost_asks_for_another_setting() -> None:
    varied = [Seen("g", 1, True, text=text) for text in "abcd"]
    alike = [Seen("g", 1, True, text="a")] * 4
    monitor = Balance(wanted=4, window=1)
    assert alarms(monitor, [record(0, varied), record(1, alike)]) == [1] and monitor.value == 1 / 4 * 1 / 4


# together


def test_a_watch_gathers_alarms_and_numbers() -> None:
    watch = Watch([Masked(), ZeroStd(), Entropy()])
    found = watch.see(record(7, judged([True, True, True], [1.0, 1.0, None])))
    assert [(alarm.step, alarm.name) for alarm in found] == [(7, "masked"), (7, "groups without variance")]
    assert watch.see(record(8, judged([True, False]))) == [] and watch.alarms == found
    assert watch.values == {"masked": 0, "groups without variance": 0}
    assert isinstance(found[0], Alarm) and found[0].value == pytest.approx(1 / 3)


def test_all_monitors_pass_over_a_step_of_which_nothing_is_known() -> None:
    watch = Watch(monitors())
    assert watch.see(record(0)) == [] and watch.values == {}
    names = [monitor.name for monitor in watch.monitors]
    assert len(set(names)) == len(names) == 14


def test_the_same_records_give_the_same_alarms() -> None:
    steps = [
        record(s, judged([s % 3 == 0, False], [float(s % 2), 1.0], tokens=s), entropy=1 / (s + 1)) for s in range(60)
    ]
    one, other = Watch(monitors()), Watch(monitors())
    assert [one.see(each) for each in steps] == [other.see(each) for each in steps] and one.alarms


def test_a_judgement_in_numbers() -> None:
    trace = trace_of([Ids([1], [2, 3]), Ids([1, 2, 3, 4], [5])], case=CLAIM)
    found = seen(Rollout("r", "g", trace), of_parts({"a": 0.5}), CLAIM, opinion=0.3)
    assert found == Seen(
        "g", 0.5, True, "SUPPORT", "SUPPORT", "turn 0\nturn 1", tokens=3, turns=2, void=1,
        surprise=pytest.approx(0.04 / 3), opinion=0.3,
    )  # fmt: skip
    assert seen(Rollout("r", "g", trace), unknown("gone"), CLAIM).right is None
    wrong = seen(Rollout("r", "g", trace), of_parts({"a": 0.5}), gold(CLAIM, label="REFUTE"))
    assert wrong.right is False and wrong.gold == "REFUTE"
    without = seen(Rollout("r", "g", trace), of_parts({"a": 0.5}), CLAIM.model_copy(update={"gold": None}))
    assert without.right is None and without.gold == ""


def test_an_abstention_has_no_answer_and_is_not_right() -> None:
    found = seen(Rollout("r", "g", judgement(tokens=12)), of_parts({"a": 0.0}), CLAIM)
    assert (found.answer, found.right, found.surprise, found.tokens) == ("", False, None, 12)
