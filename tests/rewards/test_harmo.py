"""HARMO: a rule or an opinion, a fine for length only where somebody is right, the format."""

import pytest
from judgements import CLAIM, judgement, verdict_text

from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.harmo import harmo, length_fines, said_tokens
from agentjudge.rewards.reading import Fixed, Missing, Reads
from agentjudge.trace import Turn, TurnUsage


def answer(label: str, tokens: int, *, neat: bool = True):  # type: ignore[no-untyped-def]
    return judgement(label=label, said=(verdict_text(label=label) if neat else "So.",), tokens=tokens)


def test_a_group_with_a_right_answer() -> None:
    group = [answer("SUPPORT", 100), answer("SUPPORT", 200), answer("REFUTE", 180), answer("REFUTE", 900, neat=False)]
    parts = [result.components for result in harmo().score_group(group, CLAIM)]
    assert [p["length"] for p in parts] == pytest.approx([0.0, -0.5 / 3, -0.1, -0.5])
    assert [p["hybrid"] for p in parts] == [1, 1, 0, 0] and [p["format"] for p in parts] == [1, 1, 1, 0]
    assert list(parts[0]) == ["hybrid", "length", "format"]


def test_nobody_is_taught_brevity_who_knows_no_answer() -> None:
    group = [answer("REFUTE", 10), answer("REFUTE", 1000)]
    assert [r.components["length"] for r in harmo().score_group(group, CLAIM)] == [0.0, 0.0]


def test_an_opinion_where_there_is_no_rule() -> None:
    blind, reward = CLAIM.blind(), harmo(Fixed(0.75), aspects={"tone": Fixed(0.5)})
    assert reward.score(answer("SUPPORT", 5), blind).components == {
        "hybrid": 0.75, "tone": 0.5, "length": 0.0, "format": 1.0
    }  # fmt: skip
    assert reward.score(answer("SUPPORT", 5), CLAIM).components["hybrid"] == 1.0
    with pytest.raises(DataError, match="has no gold"):
        harmo().score(answer("SUPPORT", 5), blind)
    masked = harmo(Reads(lambda trace, case: Missing("no judge"))).score(answer("SUPPORT", 5), blind)
    assert masked.score is None and masked.error == "hybrid: no judge"


def test_fines() -> None:
    assert length_fines([100, 150, 300], [True, False, False], most=1.0, slack=0.5) == [0.0, -1.0, -1.0]
    assert length_fines([0, 7], [True, False], most=1.0, slack=0.5) == [0.0, 0.0]
    assert length_fines([], [], most=1.0, slack=0.5) == []


def test_tokens_are_the_servers_own_where_it_gives_them() -> None:
    trace = judgement(label="SUPPORT", tokens=7)
    trace.turns.append(Turn({"content": ""}, output_ids=[1, 2, 3], usage=TurnUsage(completion_tokens=9)))
    assert said_tokens(trace) == 10


def test_its_bounds_and_options() -> None:
    reward = harmo(aspects={"tone": Fixed(0.5)})
    assert (reward.low, reward.high) == (0.0, 2.5)
    with pytest.raises(ConfigError, match="different names"):
        harmo(aspects={"length": Fixed(1.0)})
    with pytest.raises(ConfigError, match="slack > 0"):
        harmo(slack=0)
