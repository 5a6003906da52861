"""The written README is what is generated from the kept results."""

import json

import pytest

from agentjudge.benchmarks.readme import FOLDER, results, text
from agentjudge.benchmarks.reports import Recorded
from agentjudge.errors import DataError
from agentjudge.registry import load_kind


def test_the_readme_is_what_the_results_say():
    written = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert written == text(results()), "run: python -m agentjudge.benchmarks.readme"
    for component in load_kind("benchmark").values():
        facts = component.target().facts
        assert f"| {facts.title} | {facts.paper} |" in written and facts.source in written and facts.licence in written


def test_results_are_small_and_were_run_whole():
    for path in (FOLDER / "results").glob("*.json"):
        assert path.stat().st_size < 100_000, path
    for result in results():
        for headline in result.report.headlines:
            counts = headline.counts
            assert counts.scored + counts.abstained + counts.failed == counts.n, result.report.command


def test_a_number_stands_with_its_interval_floors_and_counts(bench, tmp_path):
    folder = tmp_path / "results"
    pairs = [{"pair_id": str(n), "source": "mmlu-pro", "question": "Which?", "label": "A>B"} for n in range(20)]
    for n, row in enumerate(pairs):
        row |= {"response_A": "a ?" if n == 0 else "a 9", "response_B": "b 1"}
    bench.write("dataset=judgebench,response_model=gpt-4o-2024-05-13.jsonl", pairs)
    report = bench.run("judgebench", limit=20)
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(report.to_json()))
    written = text(results(folder))
    (row,) = [
        line for line in written.splitlines() if line.startswith("| JudgeBench | gpt-4o: at most 20 drawn by seed 0 |")
    ]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[2:5] == ["compare, by-numbers", "20", "overall"] and cells[5].startswith("95.0 [")
    assert cells[6] == "first position 0.0, longest answer 0.0, shortest answer 0.0, guessing 50.0"
    assert cells[7:9] == ["yes", "0, 1"]
    assert "`agentjudge bench judgebench --model by-numbers --limit 20`" in written
    assert "Not run: claude-3.5-sonnet its file" in written and "No results are kept of " in written


def test_judges_of_others_stand_below_ours(bench, tmp_path):
    row = {
        "pair_id": "1",
        "source": "mmlu-pro",
        "question": "Which?",
        "label": "A>B",
        "response_A": "9",
        "response_B": "1",
    }
    bench.write("dataset=judgebench,response_model=gpt-4o-2024-05-13.jsonl", [row])
    others = [
        Recorded(judge="old", rows="published", n=7, numbers={"precision": 0.5}),
        Recorded(judge="new", rows="recorded", n=3, numbers={"precision": None, "kappa": -0.1}),
    ]
    report = bench.run("judgebench").model_copy(update={"recorded": tuple(others)})
    (tmp_path / "one.json").write_text(json.dumps(report.to_json()))
    written = text(results(tmp_path))
    assert "| judge | rows | n | precision | kappa |" in written
    assert "| old | published | 7 | 50.0 | - |" in written and "| new | recorded | 3 | - | -10.0 |" in written


@pytest.mark.parametrize("said", ["no json", "[]", '{"benchmark": "none"}', '{"benchmark": "judgebench"}'])
def test_what_is_no_result_is_named(tmp_path, said):
    (tmp_path / "x.json").write_text(said)
    with pytest.raises(DataError, match="x.json: not a benchmark's report"):
        results(tmp_path)
