"""Pseudo-labels: one view's answers judged by the other view's, or by their own."""

from typing import Any

import pytest
from judgements import CLAIM, judgement

from agentjudge.case import Claim
from agentjudge.rewards.groups import MajorityVote, answer_of, co_reward, majority
from agentjudge.trace import Trace

PARAPHRASE = Claim(id="c'", claim="The height of Mount Everest is 8849 m.")


def said(label: str | None, view: Claim = CLAIM, **how: Any) -> Trace:
    return judgement(view, label=label, **how)


def test_each_view_is_judged_by_the_other() -> None:
    here = [said("SUPPORT"), said("SUPPORT"), said("REFUTE")]
    there = [said(label, PARAPHRASE) for label in ("REFUTE", "REFUTE", "SUPPORT")]
    scores = [result.score for result in co_reward().score_group(here + there, CLAIM.blind())]
    assert scores == [0, 0, 1, 0, 0, 1]


def test_who_gives_no_answer_votes_for_nothing_and_earns_nothing() -> None:
    here = [said("SUPPORT"), said(None), said(None, failed="parse"), said(None, failed="model")]
    there = [said("SUPPORT", PARAPHRASE), said(None, PARAPHRASE), said(None, PARAPHRASE, failed="model")]
    scores = [result.score for result in co_reward().score_group(here + there, CLAIM)]
    assert scores == [1, 0, 0, None, 1, 0, None]


def test_without_another_view_there_is_no_label() -> None:
    for group in ([said("SUPPORT")] * 2, [said("SUPPORT"), said(None, PARAPHRASE)]):
        for result in co_reward().score_group(group, CLAIM):
            assert result.score is None and "no pseudo-labels" in result.error
    assert co_reward().score(said("SUPPORT"), CLAIM).score is None


def test_ties_make_each_of_the_tied_a_label() -> None:
    there = [said(label, PARAPHRASE) for label in ("REFUTE", "SUPPORT")]
    group = [said("SUPPORT"), said("REFUTE"), said("NOT ENOUGH INFO"), *there]
    assert [r.score for r in co_reward().score_group(group, CLAIM)] == [1, 1, 0, 1, 1]


def test_the_plain_vote() -> None:
    group = [said("SUPPORT"), said("SUPPORT"), said("REFUTE"), said(None), said(None, failed="budget")]
    assert [r.score for r in MajorityVote().score_group(group, CLAIM)] == [1, 1, 0, 0, None]
    assert MajorityVote().score(said("REFUTE"), CLAIM).score == 1 and MajorityVote().score(said(None), CLAIM).score == 0


@pytest.mark.parametrize(
    ("outcome", "vote"),
    [
        ({"label": "REFUTE"}, "REFUTE"),
        ({"preference": -3}, -1),
        ({"preference": 0}, 0),
        ({"ranking": (2, 0, 1)}, 2),
        ({"score": 0.5}, True),
        ({"score": 0.4}, False),
        ({}, None),
    ],
)
def test_what_a_verdict_votes_for(outcome: dict[str, Any], vote: Any) -> None:
    assert answer_of(judgement(**outcome).verdict) == vote


def test_majorities() -> None:
    assert majority([]) == majority([None]) == frozenset()
    assert majority(["a", "b", "a", None]) == {"a"} and majority(["a", "b"]) == {"a", "b"}
