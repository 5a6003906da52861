import json
from pathlib import Path

import pytest

from agentjudge.benchmarks.claims_pairs import contrary, main
from agentjudge.case import CLAIM_LABELS
from agentjudge.errors import DataError


def symmetric(folder: Path) -> Path:
    """Two claims with contrary evidence and one with evidence of one kind, as the source publishes them."""
    rows = [
        ("1", "The mill is old.", "The mill was built in 1402.", "SUPPORTS"),
        ("2", "The mill is old.", "The mill opened last year.", "REFUTES"),
        ("3", "The inn is red.", "Its walls are red.", "SUPPORTS"),
        ("4", "The barn is empty.", "Nothing is in the barn.", "SUPPORTS"),
        ("5", "The barn is empty.", "Forty cows stand in the barn.", "REFUTES"),
    ]
    file = folder / "claims" / "fever_symmetric" / "fever_symmetric_test.jsonl"
    file.parent.mkdir(parents=True)
    lines = [{"id": id, "claim": claim, "evidence": text, "label": label} for id, claim, text, label in rows]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_only_claims_with_contrary_evidence_are_taken_and_all_labels_are_open(tmp_path: Path) -> None:
    found = contrary("fever_symmetric", symmetric(tmp_path))
    assert [claim.id for claim in found] == [f"fever_symmetric/{id}" for id in ("1", "2", "4", "5")]
    assert [claim.gold.label for claim in found if claim.gold] == ["SUPPORT", "REFUTE"] * 2
    assert {claim.labels for claim in found} == {CLAIM_LABELS}


def test_other_sentences_of_an_abstract_settle_nothing(small_data: Path) -> None:
    found = contrary("check_covid", small_data)
    assert [claim.id for claim in found] == ["check_covid/m_1", "check_covid/m_2"]
    assert [claim.gold.label for claim in found if claim.gold] == ["REFUTE", "NOT ENOUGH INFO"]
    assert [len(claim.documents) for claim in found] == [1, 1] and found[0].documents != found[1].documents


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is fever_symmetric, check_covid"):
        contrary("wice", tmp_path)
    with pytest.raises(DataError, match="no claim with contrary evidence among the rows train"):
        contrary("fever_symmetric", symmetric(tmp_path), parts=("train",))


@pytest.mark.parametrize(("name", "rows", "claims"), [("fever_symmetric", 272, 136), ("check_covid", 152, 76)])
def test_rows_held_out_from_the_embedded_model(real_data: Path, name: str, rows: int, claims: int) -> None:
    found = contrary(name, real_data)
    assert len(found) == rows == len({claim.id for claim in found})
    assert len({claim.claim for claim in found}) == claims


def test_the_embedded_judge_is_audited_from_the_command_line(tmp_path: Path, capsys) -> None:
    out = tmp_path / "audit"
    main(["fever_symmetric", "--data", str(symmetric(tmp_path)), "--out", str(out)])
    said = capsys.readouterr().out
    assert "evidence dependence: right - removed" in said and "ECE" in said
    report = json.loads((out / "fever_symmetric" / "report.json").read_text())
    assert [finding["audit"] for finding in report["findings"]] == ["evidence", "calibration"]
    assert report["settings"]["model"] == "embedded"
