"""The oracle plays the real judge, comes out right, and uses nothing that it was not shown."""

import re
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import pytest

from agentjudge.budget import Budget
from agentjudge.case import complete_group
from agentjudge.errors import ConfigError, DataError
from agentjudge.judge import Judge
from agentjudge.registry import lookup
from agentjudge.rewards.evidence_first import evidence_first
from agentjudge.rewards.shaping import sound_turns
from agentjudge.rewards.veri_r1 import in_format, veri_r1
from agentjudge.tools.retrieve import Retrieve
from agentjudge.trace import Trace
from agentjudge.training.gym import ClaimGym
from agentjudge.training.gym.oracle import Demonstration, Oracle, Slop, demonstrations
from agentjudge.training.rollouts import void_turns

GYM = ClaimGym(hops=(1, 2, 3), documents=16, again=0.3, claims=2, others=1)
ROOMY = Budget(turns=8, tool_calls=8)
CARELESS = Slop(superfluous=0.5, disorder=0.5)


async def shown(count: int, gym: ClaimGym = GYM, **options: Any) -> list[Demonstration]:
    found: list[Demonstration] = []
    made: AsyncIterator[Demonstration] = demonstrations(islice(gym.worlds(), count), **options)
    async for each in made:
        found.append(each)
    return found


def queries(trace: Trace) -> list[str]:
    return [event.args["query"] for event in trace.events]


@pytest.mark.parametrize("protocol", ["tools", "tags"])
async def test_it_is_right_with_complete_evidence_and_no_search_too_many(protocol: str) -> None:
    for case, trace in await shown(9, protocol=protocol):
        assert case.gold is not None and trace.verdict.label == case.gold.label
        cited = {ref.id for ref in trace.verdict.evidence}
        assert complete_group(cited, case.gold) or case.gold.label == "NOT ENOUGH INFO"
        assert in_format(trace) and not void_turns(trace)
        hops = case.metadata["hops"]
        told = hops if case.metadata["leaves"] == -1 or case.gold.evidence else case.metadata["leaves"] + 1
        assert len(trace.events) <= told and all(event.status == "ok" for event in trace.events)
        assert veri_r1().score(trace, case).score == (4 if case.gold.evidence else 3)


async def test_it_wastes_searches_on_what_it_found_last_too() -> None:
    """A policy that samples does so, and what comes then has to have been imitated."""
    claimed = {case.id: world.truth(case.id).claimed for world in islice(GYM.worlds(), 24) for case in world.cases}
    asked = [
        claimed[case.id] in queries(trace)
        for case, trace in await shown(24, slop=Slop(superfluous=0.9), budget=ROOMY)
        if trace.verdict.label == "SUPPORT"
    ]
    assert any(asked), "nothing has to be known of what is claimed and was found"


@pytest.mark.parametrize("slop", [None, CARELESS])
async def test_it_searches_for_nothing_that_it_has_not_read(slop: Slop | None) -> None:
    for case, trace in await shown(9, slop=slop, budget=ROOMY):
        known = set(re.findall(r"\w+", case.claim))
        for event in trace.events:
            names = {word for word in event.args["query"].split() if word[0].isupper()}
            assert names <= known, f"{names - known} came from nowhere"
            known |= {word for ref in event.refs for word in re.findall(r"\w+", ref.quote or "")}
        assert {ref.id for ref in trace.verdict.evidence} <= set(trace.shown)


async def test_a_careless_one_wastes_searches_and_is_still_right() -> None:
    neat, careless = await shown(9, budget=ROOMY), await shown(9, slop=CARELESS, budget=ROOMY)
    assert sum(len(t.events) for _, t in careless) > 1.3 * sum(len(t.events) for _, t in neat)
    assert any(0.0 in sound_turns(trace, case) for case, trace in careless)  # it asks again what it has asked
    assert any(queries(trace)[0] == case.claim.rstrip(".").split()[-1] for case, trace in careless)
    assert [trace.verdict.label for _, trace in neat] == [trace.verdict.label for _, trace in careless]
    reward = evidence_first()
    prices = [sum(reward.score(t, c).score or 0 for c, t in each) for each in (neat, careless)]
    assert prices[0] > prices[1]


async def test_it_is_careful_where_the_budget_is_tight() -> None:
    for _, trace in await shown(9, slop=CARELESS, budget=Budget(turns=4, tool_calls=3)):
        assert len(trace.events) <= 3


async def test_the_same_seed_gives_the_same_traces() -> None:
    one, other = [[t.timeless() for _, t in await shown(3, slop=CARELESS, budget=ROOMY, seed=5)] for _ in range(2)]
    assert one == other
    third = [t.timeless() for _, t in await shown(3, slop=CARELESS, budget=ROOMY, seed=6)]
    assert [queries(t) for t in one] != [queries(t) for t in third]


async def test_what_it_cannot_bring_to_the_right_end_is_no_demonstration() -> None:
    far = ClaimGym(hops=(3,), documents=8)
    with pytest.raises(DataError, match="more searches"):
        await shown(6, far, budget=Budget(turns=1, tool_calls=1))


async def test_cut_off_it_says_what_it_has_seen_and_not_what_it_knows() -> None:
    far = ClaimGym(hops=(3,), documents=8)
    world = far.world(0, labels=["SUPPORT"])
    cut = Judge(lookup("judge", "veri-r1").target(), model=Oracle(world), budget=Budget(turns=0, tool_calls=0))
    verdict = await cut.ajudge(world.cases[0])
    assert verdict.label == "NOT ENOUGH INFO" and not verdict.evidence
    await cut.aclose()


async def test_given_documents_are_not_searched_for() -> None:
    world = GYM.world(1)
    judge = Judge(lookup("judge", "veri-r1").target(), model=Oracle(world), tools=[Retrieve(world.corpus)])
    for case in world.cases:
        trace = await judge.arun(world.reading(case))
        assert case.gold is not None and trace.verdict.label == case.gold.label and not trace.events
    await judge.aclose()


def test_impossible_options_are_refused() -> None:
    for make in (lambda: Slop(superfluous=1), lambda: Slop(disorder=2), lambda: Oracle(GYM.world(0), protocol="xml")):
        with pytest.raises(ConfigError):
            make()
