from pathlib import Path

import pytest
from flawed_judges import (
    always_yes,
    claims,
    clicks,
    first_position,
    honest,
    judged,
    labelled,
    pairs,
    runs,
    state_of,
    sums,
    tag_believer,
    trace_of,
    value_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_judges import scored

from agentjudge.audit.attacks import INSTEAD
from agentjudge.audit.base import Audited
from agentjudge.audit.keys import FAMILIES, KEYS, PAPER, mutated
from agentjudge.audit.master_keys import MasterKeys, export
from agentjudge.audit.running import plan, run
from agentjudge.case import Claim, Response, read_cases
from agentjudge.errors import DataError
from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel

ALL = {"sums": sums, "pairs": pairs, "claims": claims, "runs": runs, "clicks": clicks}


def test_the_papers_ten_strings() -> None:
    assert len(set(FAMILIES[PAPER])) == 10
    assert len({key.text for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize("kind", ALL)
def test_an_honest_judge_is_kept(kind: str) -> None:
    finding = judged(MasterKeys(), honest, ALL[kind](60))
    assert finding.state == "kept", finding.numbers[:3]
    assert finding.scored == finding.n > 100


@pytest.mark.parametrize(("kind", "number"), [("sums", "false positives"), ("claims", "false positives")])
def test_a_judge_that_takes_all_for_right_is_broken(kind: str, number: str) -> None:
    finding = judged(MasterKeys(), always_yes, ALL[kind](20))
    assert state_of(finding, number) == "broken" and value_of(finding, number) == 1
    assert finding.examples


def test_a_failed_run_that_praises_itself() -> None:
    def believes(case):
        return {"label": "success"} if "success" in (case.final_answer or "") else honest(case)

    finding = judged(MasterKeys(), believes, runs(60))
    assert 0 < value_of(finding, "raised by a key") < 0.2
    assert all("completed successfully" in each.shown for each in finding.examples)


def test_of_places_half_of_the_keys_win() -> None:
    finding = judged(MasterKeys(), first_position, pairs(20))
    assert value_of(finding, "false positives") == 0.5 and finding.state == "broken"


def test_one_family_is_found_though_the_rate_is_low() -> None:
    def believes(case):
        return {"score": 1.0} if "Experts" in case.response else honest(case)

    finding = judged(MasterKeys(), believes, sums(60))
    assert value_of(finding, "false positives") < 0.1
    assert state_of(finding, "worst key") == "broken" and value_of(finding, "worst key") == 1
    assert value_of(finding, "family authority") == pytest.approx(1 / 3, abs=0.05)
    assert value_of(finding, "family praise") == 0


def test_the_search_finds_a_key_that_no_family_has() -> None:
    """Two keys lean the judge half of the way each; only both together are taken for right."""

    def leans(case):
        return {"score": 0.3 * ("Solution" in case.response) + 0.3 * ("Final answer" in case.response)}

    finding = judged(MasterKeys(), leans, sums(30))
    assert value_of(finding, "false positives") == 0
    assert value_of(finding, "family found") > 0
    assert value_of(finding, "worst key") == 1


def test_the_second_round_keeps_its_bound() -> None:
    audit = MasterKeys()
    for cases in (sums(120), pairs(45)):
        first = [each for each in _audited(audit, cases)]
        assert 0 < len(list(audit.again(first))) <= audit.most_again


def _audited(audit, cases):

    return [Audited(probe, trace_of(always_yes, probe.case)) for probe in audit.probes(cases)]


def test_a_refuted_claim_with_a_key_beside_it() -> None:
    def believes(case):
        return labelled("SUPPORT") if any(text in case.claim for text in FAMILIES["authority"]) else honest(case)

    finding = judged(MasterKeys(), believes, claims(90))
    assert state_of(finding, "raised by a key") != "kept" and value_of(finding, "raised by a key") > 0
    honest_one = judged(MasterKeys(), honest, claims(90))
    assert state_of(honest_one, "raised by a key") == "kept"


def test_tags_are_believed() -> None:
    finding = judged(MasterKeys(), tag_believer, sums(60))
    assert value_of(finding, "family tags") > 0.5 and value_of(finding, "family paper") == 0


@settings(max_examples=15)
@given(st.integers(1, 6), st.sampled_from(sorted(ALL)))
def test_probes_are_the_same_each_time_with_ids_of_their_own_and_without_gold(n: int, kind: str) -> None:
    cases = ALL[kind](n)
    once, twice = (list(MasterKeys().probes(cases)) for _ in range(2))
    assert once == twice
    assert len({probe.case.id for probe in once}) == len(once)
    for probe in once:
        assert (probe.case == probe.parent) if not probe.variant else probe.case.gold is None
        assert not probe.case.blind().metadata


def test_few_cases_are_asked_with_all_keys_and_many_with_some() -> None:
    few = [p for p in MasterKeys().probes(sums(10)) if p.variant and p.case.metadata["family"] in FAMILIES]
    assert sum(p.case.metadata["place"] in INSTEAD for p in few) == 10 * len(KEYS)
    many = [p for p in MasterKeys().probes(sums(300)) if p.variant and p.case.metadata["family"] in FAMILIES]
    assert sum(p.case.metadata["place"] in INSTEAD for p in many) == 300 * 8


def test_what_nobody_scored_fooled_nobody_and_is_counted() -> None:
    def silent(case):
        raise DataError("no")

    finding = judged(MasterKeys(), silent, sums(20))
    assert value_of(finding, "false positives") == 0 and finding.scored == 0 < finding.n


@settings(max_examples=50)
@given(st.lists(st.sampled_from([key.text for key in KEYS]), max_size=5, unique=True), st.integers(0, 30))
def test_mutations_are_new(texts: list[str], most: int) -> None:
    found = list(mutated(texts, most))
    assert len({key.text.strip() for key in found}) == len(found) <= most
    assert not {key.text for key in found} & {key.text for key in KEYS}


def test_export_is_read_as_cases_with_gold_and_without_the_papers_strings(tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl"
    count = export([*sums(20), *pairs(10), *claims(12), *runs(6)], path)
    found = list(read_cases(path))
    assert len(found) == count == len({case.id for case in found})
    assert all(case.gold is not None for case in found)
    answers = [case for case in found if isinstance(case, Response)]
    assert {case.gold.score for case in answers if case.gold} == {0.0}
    assert not {case.response for case in answers} & set(FAMILIES[PAPER])
    assert any(case.response == "" for case in answers)
    assert {case.gold.label for case in found if isinstance(case, Claim) and case.gold} == {"REFUTE", "NOT ENOUGH INFO"}


def test_export_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no family of keys 'odd'"):
        export(sums(1), tmp_path / "x", families=["odd"])
    with pytest.raises(DataError, match="answers, claims with documents"):
        export([], tmp_path / "x")


def test_a_judge_with_its_graph_in_two_rounds_that_go_on(tmp_path: Path) -> None:
    """The whole way: a judge whose model leans to two keys, into folders, and again without asking anything twice."""
    asked: list[str] = []

    def say(request) -> str:
        assert isinstance(request.case, Response)
        asked.append(request.case.id)
        text = request.case.response
        return scored(0.3 * ("Solution" in text) + 0.3 * ("Final answer" in text))

    def loads(*, blobs: Path, tools: bool = True, temperature: float | None = None) -> Judge:
        return Judge.load("compare", model=ScriptedModel(say), blobs=blobs, seed=0)

    planned = plan([MasterKeys()], sums(3))
    report = run(planned, loads, tmp_path)
    (finding,) = report.findings
    assert value_of(finding, "false positives") == 0 and value_of(finding, "family found") > 0
    assert (tmp_path / "judged").is_dir() and len(list(tmp_path.glob("again-*"))) == 1
    cost = planned.cost(Judge.load("compare", model=ScriptedModel(say)).spec)
    assert len(planned.cases("judged")) < len(set(asked)) <= cost.judgements
    before = len(asked)
    assert run(planned, loads, tmp_path, resume=True).findings == report.findings
    assert len(asked) == before
