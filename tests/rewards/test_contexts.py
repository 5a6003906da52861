"""The answer is found in the tokens, wherever they are cut."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import CLAIM, PAIR, gold, judgement
from scorers import Letters, spelled

from agentjudge.case import Claim, Response
from agentjudge.errors import DataError
from agentjudge.rewards.contexts import answer_span, before_answer, gold_text, ids_of
from agentjudge.rewards.logprobs import Token
from agentjudge.rewards.reading import Missing


@pytest.mark.parametrize(
    ("text", "answer", "field"),
    [
        ('{"reason": "So.", "label": "SUPPORT", "confidence": 0.9}', '"SUPPORT"', True),
        ('{"points": [{"label": "yes"}], "label": "failure"}', '"failure"', True),
        ('{"reason": "It has \\"label\\": \\"REFUTE\\" in it.", "label": "SUPPORT"}', '"SUPPORT"', True),
        ('{"preference": -2}', "-2", True),
        ('{"ranking": [2, 1, 3], "confidence": null}', "[2, 1, 3]", True),
        ('{"label": null}', "null", True),
        ("<think>x</think><answer>\nLabel: NOT ENOUGH INFO\nEvidence: [[a]]\n</answer>", "NOT ENOUGH INFO", False),
        ("<answer>Overall Judgment: Answer 1 is better</answer>", "Overall Judgment: Answer 1 is better", False),
        ("<answer>no</answer> hm <answer> [[A]] </answer>", "[[A]]", False),
        ("So \\boxed{2}", "2", False),
    ],
)
def test_where_the_answer_stands(text: str, answer: str, field: bool) -> None:
    span = answer_span(text)
    assert span is not None and text[span.start : span.end] == answer and span.field == field


def test_where_none_stands() -> None:
    assert answer_span("I do not know.") is None


class Cut(Letters):
    """Tokens of some letters each, cut at these places; ids stay letters, so the first of each token is its id."""

    def __init__(self, cuts: Sequence[int]) -> None:
        super().__init__()
        self.cuts = cuts

    async def score(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[Token]:
        text, places = "".join(map(chr, continuation)), sorted({0, *self.cuts, len(continuation)})
        return [Token(text[a:b], -0.5) for a, b in zip(places, places[1:], strict=False)]


TEXT = '{"reason": "So.", "label": "SUPPORT", "confidence": 0.9}'


@given(st.lists(st.integers(1, len(TEXT) - 1), max_size=len(TEXT)))
async def test_prefix_lead_and_answer_are_the_text_however_it_is_cut(cuts: list[int]) -> None:
    trace = spelled(judgement(label="SUPPORT", said=(TEXT,)), ["Ask: "])
    found = await before_answer(trace, Cut(cuts))
    assert not isinstance(found, Missing)
    places = sorted({0, *cuts, len(TEXT)})
    before = places[len(found.prefix) - len("Ask: ")] if len(found.prefix) > 5 else 0
    assert TEXT[before:].startswith(found.lead + '"SUPPORT"')
    assert found.instead("REFUTE") == found.lead + '"REFUTE"' and found.instead("-2") == found.lead + "-2"
    assert "SUPPORT" in "".join(token.text for token in found.answer)


async def test_with_letters_for_tokens_it_is_exact() -> None:
    trace = spelled(judgement(label="SUPPORT", said=(TEXT,)), ["Ask: "])
    found = await before_answer(trace, Letters())
    assert not isinstance(found, Missing) and found.lead == ""
    assert "".join(map(chr, found.prefix)) == 'Ask: {"reason": "So.", "label": '
    assert "".join(token.text for token in found.answer) == "SUPPORT"


async def test_what_is_missing() -> None:
    none = judgement(label="SUPPORT", said=())
    for trace, why in (
        (none, "no turns"),
        (judgement(label="SUPPORT"), "no token ids"),
        (spelled(judgement(label="SUPPORT", said=("Well.",)), ["Ask"]), "no answer that could be found"),
    ):
        found = await before_answer(trace, Letters())
        assert isinstance(found, Missing) and why in found.why
    assert isinstance(ids_of(judgement(label="SUPPORT").turns[0]), Missing)


def test_gold_in_the_words_of_a_verdict() -> None:
    four = gold(PAIR, ranking=(2, 0, 1))
    scored = gold(Response(id="r", prompt="p", response="r"), score=0.25)
    assert [gold_text(case) for case in (CLAIM, PAIR, four, scored)] == ["SUPPORT", "-1", "[3, 1, 2]", "0.25"]
    with pytest.raises(DataError, match="no gold outcome"):
        gold_text(Claim(id="x", claim="Y."))
