"""Terms that composites and gates are made of: right, in the format, gold evidence cited, tools used."""

import pytest
from judgements import CLAIM, Call, gold, judgement, verdict_text

from agentjudge.rewards.terms import CITES_GOLD, CORRECT, NEAT, cited, is_object, tool_succeeded, tool_tried


def test_the_terms() -> None:
    trace = judgement(
        label="SUPPORT", said=("", verdict_text(label="SUPPORT")), calls=[Call(0, ("a", "b"))], cites=("a", "b", "z")
    )
    assert cited(trace) == {"a", "b"}
    assert [term.read(trace, CLAIM) for term in (CORRECT, NEAT, CITES_GOLD)] == [1.0, 1.0, 1.0]
    unseen = judgement(label="REFUTE", said=("So.",), cites=("a", "b"))
    assert [term.read(unseen, CLAIM) for term in (CORRECT, NEAT, CITES_GOLD)] == [0.0, 0.0, 0.0]
    assert CITES_GOLD.read(trace, gold(CLAIM, label="SUPPORT")) == 0.0
    assert CITES_GOLD.read(trace, gold(CLAIM, label="SUPPORT", evidence=(("x",), ("b",)))) == 1.0


def test_the_first_turn_that_used_a_tool_earned_it() -> None:
    calls = [Call(1, status="failed"), Call(2), Call(2), Call(3)]
    trace = judgement(label="SUPPORT", said=[""] * 5, calls=calls)
    assert tool_tried().score(trace, CLAIM).turn_rewards == (0, 1, 0, 0, 0)
    assert tool_succeeded().score(trace, CLAIM).turn_rewards == (0, 0, 1, 0, 0)
    assert tool_succeeded(tools=["zoom"]).score(trace, CLAIM).turn_rewards == (0, 0, 0, 0, 0)
    assert (tool_tried().keys, tool_tried().low, tool_tried().high) == (("tool tried",), 0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "whole"), [("{}", True), ("```json\n{}\n```", True), ("{} so", False), ("[1]", False)]
)
def test_what_is_one_object(text: str, whole: bool) -> None:
    assert is_object(text) == whole
