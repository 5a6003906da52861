"""The embedded model on answers: what its verifier sees, and how that becomes a verdict of the judge `compare`."""

import json

import pytest

from agentjudge.case import Comparison, Document, Response, Trajectory
from agentjudge.judge import Judge
from agentjudge.models.embedded.comparing import MOST_PASSAGES, PASSAGE, Comparer, passages
from agentjudge.models.embedded.verifier import Verifier
from agentjudge.tools.corpus import Corpus

RIVER = Document.of_sentences("nile", ["The Nile flows through Egypt.", "Cairo lies on the Nile."], title="Nile")
PROMPT = "Which river flows through Cairo?"
TRUE, FALSE, OTHER = (
    "Cairo lies on the Nile.",
    "Cairo does not lie on the Nile.",
    "My cat likes fresh tuna in the morning.",
)


@pytest.fixture(scope="module")
def comparer() -> Comparer:
    return Comparer(Verifier.load())


@pytest.fixture(scope="module")
def judge():
    with Judge.load("compare") as loaded:
        yield loaded


def test_passages_join_short_sentences_and_spread_over_long_texts():
    assert passages("One. Two.\n\nThree.") == ["One. Two. Three."]
    assert passages("  ") == []
    sentences = [f"Sentence number {i} says {'x' * PASSAGE}." for i in range(50)]
    found = passages(" ".join(sentences))
    assert len(found) == MOST_PASSAGES and found[0] == sentences[0] and found[-1] == sentences[-1]


def test_what_is_on_topic_is_preferred_in_both_orders(judge):
    first = judge.judge(Comparison(id="1", prompt=PROMPT, responses=(TRUE, OTHER)))
    second = judge.judge(Comparison(id="2", prompt=PROMPT, responses=(OTHER, TRUE)))
    assert first.preference is not None and first.preference < 0 and second.preference == -first.preference
    assert [c.name for c in first.criteria] == ["on topic", "consistent"] and first.criteria[0].label == "1"
    assert first.confidence is None and first.evidence == ()


def test_documents_decide_between_two_statements_and_are_cited(judge):
    case = Comparison(id="1", prompt=PROMPT, responses=(FALSE, TRUE), documents=(RIVER,))
    verdict = judge.judge(case)
    grounded = next(c for c in verdict.criteria if c.name == "grounded")
    assert grounded.label == "2" and verdict.evidence and verdict.evidence[0].doc == "nile"


def test_a_corpus_is_searched_once_with_the_prompt():
    with Judge.load("compare", corpus=Corpus([RIVER])) as judge:
        trace = judge.run(Comparison(id="1", prompt=PROMPT, responses=(FALSE, TRUE)))
    assert [event.args for event in trace.events] == [{"query": PROMPT}]
    assert trace.verdict.evidence and [c.name for c in trace.verdict.criteria][-1] == "grounded"


def test_one_answer_is_scored_as_it_would_be_beside_others(judge, comparer):
    verdict = judge.judge(Response(id="1", prompt=PROMPT, response=TRUE))
    assert verdict.score == pytest.approx(2 * comparer.marks(PROMPT, TRUE, []).mean - 1, abs=1e-5)
    assert {c.name for c in verdict.criteria} == {"on topic", "consistent"}


def test_more_answers_are_ranked_and_the_same_text_always_gets_the_same_place(judge):
    ranked = judge.judge(Comparison(id="1", prompt=PROMPT, responses=(OTHER, TRUE, OTHER))).ranking
    assert ranked is not None and ranked[0] == 1


def test_empty_answers_have_a_verdict_and_two_alike_are_a_tie(judge):
    assert judge.judge(Comparison(id="1", prompt=PROMPT, responses=("", " "))).preference == 0
    assert judge.judge(Comparison(id="2", prompt=PROMPT, responses=("", TRUE))).preference > 0
    assert judge.judge(Response(id="3", prompt=PROMPT, response="")).score == 0


def test_an_answer_without_a_letter_is_as_good_as_none(judge):
    for text in ("...", "**", "```", "\\{}", "🙂"):
        assert judge.judge(Comparison(id="1", prompt=PROMPT, responses=(text, OTHER))).preference > 0, text
        assert judge.judge(Response(id="2", prompt=PROMPT, response=text)).score == 0
    assert judge.judge(Response(id="3", prompt="What is 2 + 2?", response="4")).score > 0, "a number is an answer"


def test_one_answer_passes_by_what_it_says_and_not_by_contradicting_nothing(judge):
    """Before a mean of a half was taken off, anything that did not contradict itself passed."""
    off_topic = judge.judge(Response(id="1", prompt=PROMPT, response=OTHER)).score
    assert off_topic < 0.25 and judge.judge(Response(id="2", prompt=PROMPT, response=TRUE)).score > 0.5


def test_a_contradiction_within_an_answer_costs_consistency(comparer):
    long = " Visitors from many countries come to see it in every season of the year, as they have for ages." * 3
    clash = comparer.marks(PROMPT, f"Cairo lies on the Nile.{long} Cairo does not lie on the Nile.", [])
    assert 0 <= clash.shares["consistent"] < 1 and comparer.marks(PROMPT, TRUE, []).shares["consistent"] == 1


def test_marks_are_kept_and_depend_on_what_was_shown(comparer):
    plain = comparer.marks(PROMPT, FALSE, [])
    assert comparer.marks(PROMPT, FALSE, []) is plain
    assert "grounded" in comparer.marks(PROMPT, FALSE, [("nile:1", "Nile", TRUE)]).shares


def test_the_verdict_is_the_json_object_asked_for_and_other_cases_are_refused(judge):
    from agentjudge.models.base import load_model

    verdict = json.loads(load_model("embedded")._comparer.verdict(Response(id="1", prompt="a", response="b"), []))
    assert list(verdict) == ["criteria", "evidence", "reason", "score", "confidence"]
    with pytest.raises(Exception, match="not a Trajectory"):
        judge.judge(Trajectory(id="1", goal="Buy tea."))
