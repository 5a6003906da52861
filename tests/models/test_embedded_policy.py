"""The embedded judge on small corpora of its own: what it looks up, what it judges, what it cites."""

import json
from collections.abc import Iterator

import pytest

from agentjudge.case import Case, Claim, Document
from agentjudge.errors import ConfigError
from agentjudge.judge import Judge
from agentjudge.models.base import load_model
from agentjudge.models.embedded.policy import MOST_SENTENCES, EmbeddedModel
from agentjudge.tools.corpus import Corpus
from agentjudge.trace import Trace

BRIDGE = Document.of_sentences(
    "bridge",
    ["The Alder Bridge was opened to traffic in 1931.", "It was designed by Marta Lindqvist.", "It is 300 m long."],
    title="Alder Bridge",
)
DESIGNER = Document.of_sentences(
    "designer",
    ["Marta Lindqvist was an engineer.", "She was born in Gothenburg in 1890.", "She liked chess."],
    title="Marta Lindqvist",
)
NAMESAKES = [
    Document.of_sentences(f"city{i}", [f"Gothenburg was where the {craft} of the canal was born."], title="Gothenburg")
    for i, craft in enumerate(("designer", "painter", "engineer"))
]
PENGUINS = Document.of_sentences(
    "penguins", ["Penguins feed mostly on krill.", "They nest on the shore."], title="Penguin"
)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge.load("veri-r1", model="embedded", corpus=Corpus([BRIDGE, DESIGNER, PENGUINS, *NAMESAKES])) as loaded:
        yield loaded


def queries(trace: Trace) -> list[str]:
    return [event.args["query"] for event in trace.events]


def cited(trace: Trace) -> list[str]:
    return [ref.id for ref in trace.verdict.evidence]


def test_a_claim_that_one_sentence_settles_takes_one_search(judge: Judge) -> None:
    for claim, label in (
        ("The Alder Bridge opened in 1931.", "SUPPORT"),
        ("The Alder Bridge opened in 1948.", "REFUTE"),
    ):
        trace = judge.run(claim)
        assert (trace.verdict.label, cited(trace)) == (label, ["bridge:0"])
        assert queries(trace) == [claim]


def test_a_second_hop_is_built_from_what_was_read(judge: Judge) -> None:
    claim = "The Alder Bridge was designed by an engineer born in Gothenburg."
    trace = judge.run(claim)
    first, second = queries(trace)
    assert first == claim and second.startswith("Marta Lindqvist")
    assert trace.verdict.label == "SUPPORT"
    assert {"bridge:1", "designer:1"} <= set(cited(trace))


def test_what_the_corpus_does_not_know_is_not_enough_info_and_cites_nothing(judge: Judge) -> None:
    trace = judge.run("Mount Kenya has twelve glaciers.")
    assert trace.verdict.label == "NOT ENOUGH INFO" and not cited(trace)
    assert 1 <= len(queries(trace)) <= 2


def test_probabilities_are_over_the_closed_set_of_the_claim(judge: Judge) -> None:
    verdict = judge.judge(Claim(id="1", claim="Mount Kenya has twelve glaciers.", labels=("SUPPORT", "REFUTE")))
    assert verdict.probabilities is not None and set(verdict.probabilities) == {"SUPPORT", "REFUTE"}
    assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-3)
    assert verdict.confidence is not None and verdict.confidence.method == "calibrated"
    assert verdict.label is not None and verdict.confidence.value == verdict.probabilities[verdict.label] >= 0.5


def test_documents_that_come_with_the_claim_are_judged_without_a_search() -> None:
    with Judge.load("veri-r1", model="embedded") as judge:
        trace = judge.run(Claim(id="1", claim="The Alder Bridge opened in 1931.", documents=(BRIDGE,)))
    assert not trace.events and trace.verdict.label == "SUPPORT" and cited(trace) == ["bridge:0"]


def test_the_one_relevant_sentence_of_a_long_document_is_found() -> None:
    filler = [f"On day {i} the ferry carried sheep and flour to the island." for i in range(60)]
    sentences = [*filler[:40], "The Alder Bridge was opened to traffic in 1931.", *filler[40:]]
    document = Document.of_sentences("log", sentences, title="Ferry log")
    with Judge.load("veri-r1", model="embedded") as judge:
        trace = judge.run(Claim(id="1", claim="The Alder Bridge was opened in 1948.", documents=(document,)))
    assert trace.verdict.label == "REFUTE" and cited(trace) == ["log:40"]


def test_at_most_so_many_sentences_are_cited() -> None:
    same = [f"The Alder Bridge was opened to traffic in 1931, says chronicle {i}." for i in range(12)]
    documents = (Document.of_sentences("chronicles", same, title="Chronicles"),)
    with Judge.load("veri-r1", model="embedded") as judge:
        trace = judge.run(Claim(id="1", claim="The Alder Bridge opened in 1931.", documents=documents))
    assert trace.verdict.label == "SUPPORT" and 1 <= len(cited(trace)) <= MOST_SENTENCES


def test_equal_claims_get_equal_verdicts_alone_and_in_a_batch(judge: Judge) -> None:
    claims = ["The Alder Bridge opened in 1931.", "Penguins feed on krill.", "Mount Kenya has twelve glaciers."] * 4

    def outcome(verdict: object) -> str:
        dump = verdict.model_dump(mode="json")  # type: ignore[attr-defined]
        return json.dumps([dump["label"], dump["probabilities"], [ref["id"] for ref in dump["evidence"]]])

    batch = [outcome(verdict) for verdict in judge.batch(claims)]
    assert batch == [outcome(judge.judge(claim)) for claim in claims]


def test_what_it_cannot_judge_fails_with_a_hint() -> None:
    with Judge.load("veri-r1", model="embedded") as judge:
        verdict = judge.judge(Claim(id="1", claim="It is red.", images=("tests/none.png",)))
    assert verdict.status == "failed" and verdict.label is None
    with pytest.raises(ConfigError, match="takes no name"):
        load_model("embedded:large")


async def test_a_case_of_another_kind_is_a_model_error() -> None:
    from agentjudge.errors import ModelError
    from agentjudge.evidence import EvidenceStore
    from agentjudge.models.base import Request, Sampling

    case = Case(id="1")
    request = Request(case, [], [], [], EvidenceStore(), [], Sampling())
    model = EmbeddedModel()
    with pytest.raises(ModelError, match="not a Case"):
        await model.act(request)
    await model.aclose()
