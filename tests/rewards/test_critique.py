"""Critique similarity: the right label for the right reasons, and nothing for saying one thing many times."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import PAIR, judgement

from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.critique import CritiqueSimilarity, arguments, critique_of, matched, rm_nlhf, words_alike
from agentjudge.verdict import Criterion

PERSON = ("The first answer names the shape.", "The second answer is about food.")
CASE = PAIR.model_copy(update={"metadata": {"critique": list(PERSON)}})


def paid(*reasons: str, **options: Any) -> dict[str, float]:
    criteria = tuple(Criterion(name="c", reason=reason, label="1") for reason in reasons)
    return rm_nlhf(**options).score(judgement(CASE, preference=-1, criteria=criteria), CASE).components


@pytest.mark.parametrize(
    ("reasons", "f1"),
    [
        (PERSON, 1.0),
        ((PERSON[1], "(weight 0.5) the first answer names the shape"), 1.0),
        (PERSON[:1], 2 / 3),
        (("It is too long.",), 0.0),
        ((*PERSON, "It is too long."), 0.8),
        ((PERSON[0], "The first answer names a shape.", "The first answer did name the shape."), 2 / 5),
        ((), 0.0),
    ],
)
def test_the_f1_of_arguments(reasons: tuple[str, ...], f1: float) -> None:
    assert paid(*reasons) == pytest.approx({"answer": 1.0, "critique": f1})


def test_without_criteria_the_sentences_of_the_rationale_count() -> None:
    trace = judgement(CASE, preference=1, rationale=f"{PERSON[0]} {PERSON[1]} {PERSON[1]}")
    assert arguments(trace) == list(PERSON)
    assert rm_nlhf(weight=0.5).score(trace, CASE).components == {"answer": 0.0, "critique": 0.5}


def test_another_measure_of_nearness() -> None:
    assert (
        paid("Shape.", alike=lambda a, b: float("shape" in a.lower() and "shape" in b), least=1.0)["critique"] == 2 / 3
    )


@pytest.mark.parametrize(
    ("a", "b", "near"), [("The shape", "the shape!", 1.0), ("a b", "a c", 0.5), ("a", "b", 0.0), ("", "", 0.0)]
)
def test_words(a: str, b: str, near: float) -> None:
    assert words_alike(a, b) == near


@given(st.lists(st.sampled_from("abcd"), max_size=5), st.lists(st.sampled_from("abcd"), max_size=5))
def test_a_matching_uses_each_argument_once_and_is_the_largest(ours: list[str], theirs: list[str]) -> None:
    near = {("a", "a"), ("a", "b"), ("b", "b"), ("c", "b"), ("d", "d")}
    found = matched(ours, theirs, lambda a, b: float((a, b) in near), 1.0)

    def best(i: int, free: tuple[str, ...]) -> int:
        if i == len(ours):
            return 0
        rest = [best(i + 1, (*free[:j], *free[j + 1 :])) + 1 for j, b in enumerate(free) if (ours[i], b) in near]
        return max([best(i + 1, free), *rest])

    assert found == best(0, tuple(theirs))


def test_what_it_needs() -> None:
    for critique in (None, [], "x", [1]):
        with pytest.raises(DataError, match="a person's arguments"):
            critique_of(PAIR.model_copy(update={"metadata": {"critique": critique}}))
    with pytest.raises(ConfigError, match="above 0"):
        CritiqueSimilarity(least=0.0)
