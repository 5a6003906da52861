import pytest
from flawed_judges import claims, honest, judged, longest, pairs, state_of, sums, value_of, weighed
from hypothesis import given, settings
from hypothesis import strategies as st

from agentjudge.audit.rewriting import DRESSES, longer, markdown, reworded
from agentjudge.audit.style import Style
from agentjudge.case import Claim, Comparison, Response
from agentjudge.runs.ordering import options_of


def test_an_honest_judge_is_kept() -> None:
    for cases in (sums(160), pairs(80)):
        finding = judged(Style(), honest, cases)
        assert finding.state == "kept", finding.numbers
        assert all(value_of(finding, number.name) == 0 for number in finding.numbers if number.limit is not None)


def test_a_judge_of_length_is_broken_by_length_and_by_whatever_adds_words() -> None:
    finding = judged(Style(), longest, pairs(30))
    assert state_of(finding, "won by longer") == state_of(finding, "won by signed") == "broken"
    finding = judged(Style(), longest, sums(30))
    assert value_of(finding, "score by longer") > 0.1


@pytest.mark.parametrize(
    ("dress", "sign"), [("markdown", "## "), ("signed", "Professor"), ("own", "the same model"), ("longer", "sum up")]
)
def test_each_dress_catches_the_judge_that_likes_it(dress: str, sign: str) -> None:
    def likes(case):
        if isinstance(case, Response):
            return {"score": float(sign in case.response or honest(case)["score"])}
        return weighed(case, [float(sign in text) for text in options_of(case)])

    for cases in (pairs(80), sums(160)):
        finding = judged(Style(), likes, cases)
        broken = [number.name for number in finding.numbers if number.state == "broken"]
        assert broken == [f"won by {dress}"]


def test_a_judge_of_words_is_broken() -> None:
    def likes(case):
        return {"score": float("doesn't" in case.response)}

    assert state_of(judged(Style(), likes, sums(30)), "changed by other words") == "broken"


def test_what_is_dressed_is_not_golds_best() -> None:
    for probe in Style().probes(pairs(20)):
        case = probe.case
        if probe.variant in DRESSES:
            assert isinstance(case, Comparison) and isinstance(probe.parent, Comparison) and probe.parent.gold
            best = int((probe.parent.gold.preference or 0) > 0)
            assert case.responses[best] == probe.parent.responses[best]
            assert case.responses[1 - best] != probe.parent.responses[1 - best]
            assert case.gold is None


def test_claims_are_reworded_alone() -> None:
    claim = Claim(id="c", claim="The bridge isn't old.")
    assert [probe.variant for probe in Style().probes([claim])] == ["", "words"]
    assert list(Style().probes(claims(3))) == []


def test_markdown_says_the_same() -> None:
    assert markdown("It is 5. So the answer is 5.") == "## Answer\n\n- It is 5.\n- So the answer is 5."
    for left in ("One sentence.", "# A title\nIt is 5. So it is.", "Use `x`. Then stop.", ""):
        assert markdown(left) == left


def test_rewording_has_one_reading() -> None:
    assert reworded("Don't! It isn't the colour.") == "Do not! It is not the color."
    assert reworded("It\u2019s late and they can\u2019t come") == "It's late and they cannot come"
    assert reworded("We do not know.") == "We don't know."
    for left in ("He's here.", "No forms.", "It won't `run`.", ""):
        assert reworded(left) == left


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_dresses_keep_the_words(text: str) -> None:
    assert longer(text).count(text) >= 1
    assert set(text.split()) <= set(markdown(text).split())
    for dress in DRESSES.values():
        assert dress(text) == dress(text)


@settings(max_examples=10)
@given(st.integers(1, 12))
def test_probes_are_the_same_each_time_with_ids_of_their_own(n: int) -> None:
    cases = [*sums(n), *pairs(n)]
    probes = list(Style().probes(cases))
    assert probes == list(Style().probes(cases))
    assert len({probe.case.id for probe in probes}) == len(probes)
