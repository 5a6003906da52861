"""Contrast Instructions: each answer under its own instruction and under one like it."""

import pytest

from agentjudge.audit.consistency import Consistency
from agentjudge.benchmarks.contrast_instructions import load
from agentjudge.case import Comparison

FILE = "Contrast-Instruction/data/para_contrast.json"


def row(query: str, other: str, **fields: str) -> dict[str, str]:
    answers = {"query_response_k": query, "query_response_j": "x", "retrieval_response_k": other}
    return {"query": "It rains.", "retrieval": "It snows.", **answers, **fields}


ROWS = [
    row("a 9", "b 1"),  # right under the first, wrong under the second
    row("a 4", "b 4"),  # a tie is wrong twice
    row("same", "same "),  # nothing to tell apart
]


def test_the_score_by_hand(bench):
    bench.write(FILE, ROWS)
    assert bench.means("contrast_instructions", sets=["para"]) == {"response side": 25}
    assert {case.prompt for case in bench.model.seen} == {
        "Paraphrase the following sentence: It rains.",
        "Paraphrase the following sentence: It snows.",
    }


def test_what_is_left_out_and_what_is_missing_is_said(bench):
    bench.write(FILE, ROWS)
    report = bench.run("contrast_instructions")
    assert "1 of 3 rows have the same answer" in report.sets[0].note
    assert "wmt_contrast.json is not in" in str(report)


def test_the_audit_finds_the_other_instruction(bench):
    bench.write(FILE, ROWS[:1])
    cases = [item.case for item in load(bench.folder, "para").items]
    probes = [probe for probe in Consistency().probes(cases) if probe.variant == "instruction"]
    asked = [(probe.case.prompt[-9:], probe.case.response) for probe in probes]  # type: ignore[attr-defined]
    assert asked == [("It snows.", "a 9"), ("It rains.", "b 1")]


def test_a_row_without_an_answer_is_refused(bench):
    bench.write(FILE, [{"query": "It rains.", "retrieval": "It snows."}])
    assert "para_contrast.json, row 1: query_response_k" in bench.refused("contrast_instructions", sets=["para"])


@pytest.mark.parametrize(("part", "pairs"), [("para", 578), ("sum", 40), ("wmt", 1224)])
def test_the_real_files_have_their_rows(real_judges, part: str, pairs: int):
    found = load(real_judges, part)
    assert len(found.items) == pairs
    assert all(isinstance(item.case, Comparison) and item.case.metadata["contrast"] for item in found.items)
