"""Terms: read once, checked against their bounds, missing where a model cannot be had."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from judgements import CLAIM, judgement

from agentjudge.case import Case
from agentjudge.errors import ConfigError, DataError, ModelError
from agentjudge.rewards.base import RewardResult, of_parts
from agentjudge.rewards.reading import Fixed, Missing, OfTerms, Reading, Reads, Row, Term, areading, total
from agentjudge.trace import Trace

GOOD = judgement(label="SUPPORT")


class Sum(OfTerms):
    """Pays the sum of its terms, and how many judgements it saw."""

    keys, low, high = ("sum", "seen"), 0.0, 100.0

    def __init__(self, **terms: Term) -> None:
        self._terms = terms

    @property
    def terms(self) -> Mapping[str, Term]:
        return self._terms

    def pay(self, rows: Sequence[Row], traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        return [of_parts({"sum": sum(map(total, row.values())), "seen": float(len(rows))}) for row in rows]


class Asks:
    """A term that asks a model."""

    low, high = 0.0, 1.0

    def __init__(self, answer: Any = 1.0) -> None:
        self.answer, self.asked = answer, 0

    async def read(self, trace: Trace, case: Case) -> Reading:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def gap(trace: Trace, case: Case) -> Reading:
    return Missing("nobody knows") if trace.verdict.label == "REFUTE" else 1.0


def test_a_gap_masks_its_judgement_and_the_rest_is_paid_as_if_it_were_not_there() -> None:
    reward, hidden = Sum(a=Reads(gap), b=Fixed(2.0)), judgement(label="REFUTE")
    first, missing, outage, last = reward.score_group([GOOD, hidden, judgement(failed="model"), GOOD], CLAIM)
    assert missing.score is None and missing.error == "a: nobody knows" and outage.error == "model: gone"
    assert first == last == reward.score_group([GOOD, GOOD], CLAIM)[0] and first.components == {"sum": 3.0, "seen": 2.0}
    assert reward.score_group([hidden], CLAIM)[0].score is None


async def test_a_term_under_two_names_is_read_once() -> None:
    term = Asks()
    assert (await Sum(a=term, b=term).ascore(GOOD, CLAIM)).components["sum"] == 2.0
    assert term.asked == 1


async def test_an_outage_masks_and_what_the_user_has_to_mend_does_not() -> None:
    result = await Sum(a=Asks(ModelError("no server"))).ascore(GOOD, CLAIM)
    assert result.score is None and result.error == "a: model: no server"
    for error in (DataError("no gold"), ConfigError("no such thing")):
        with pytest.raises(type(error)):
            await Sum(a=Asks(error)).ascore(GOOD, CLAIM)


def test_a_model_is_not_asked_behind_the_back_of_who_cannot_wait() -> None:
    with pytest.raises(ConfigError, match="the term 'a' asks a model"):
        Sum(a=Asks()).score(GOOD, CLAIM)


@pytest.mark.parametrize("reading", [1.5, -0.1, float("nan"), (1.0,) * 2])
async def test_a_reading_outside_of_its_bounds_is_no_reading(reading: Any) -> None:
    with pytest.raises(ConfigError, match="read"):
        await areading(Asks(reading), GOOD, CLAIM)
    with pytest.raises(ConfigError, match="read"):
        Sum(a=Reads(lambda trace, case: reading)).score(GOOD, CLAIM)


async def test_both_doors_pay_alike() -> None:
    reward = Sum(a=Reads(gap), b=Fixed(2.0))
    group = [GOOD, judgement(label="REFUTE"), judgement(failed="parse")]
    assert await reward.ascore_group(group, CLAIM) == reward.score_group(group, CLAIM)
