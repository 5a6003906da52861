"""Measuring: by label and hop, macro over the labels, constant answers beside it; and what is worth imitating."""

from typing import Any

import pytest
from tiny_policies import tiny_tokenizer
from token_traces import CLAIM, Ids, call, trace_of

from agentjudge.case import Gold
from agentjudge.errors import ConfigError, DataError
from agentjudge.models.profiles import GENERIC
from agentjudge.training.collect import OracleBook, open_book, problem_of, worthy
from agentjudge.training.config import parse_config
from agentjudge.training.evaluate import floors, numbers_of, summary, told
from agentjudge.training.examples import IGNORED
from agentjudge.training.measures import Measured, measured
from agentjudge.training.sources import open_source
from agentjudge.verdict import Failure

NEI = "NOT ENOUGH INFO"


def one(gold: str, *, label: bool, joint: bool, hops: int = 1) -> Measured:
    return Measured(gold, hops, label, joint, None if gold == NEI else float(joint), 1, 10, False)


FOUND = [
    *[one(NEI, label=True, joint=True)] * 6,
    *[one("SUPPORT", label=True, joint=False), one("SUPPORT", label=False, joint=False, hops=2)],
    *[one("REFUTE", label=True, joint=True, hops=2), one("REFUTE", label=False, joint=False)],
]


def test_every_class_and_hop_has_its_row_and_counts_the_same_in_the_macro_mean() -> None:
    rows = summary(FOUND)
    assert list(rows) == ["all", NEI, "REFUTE", "SUPPORT", "1 hop", "2 hops", "macro"]
    assert rows["all"].label.mean == 0.8 and rows["all"].joint.mean == 0.7
    assert rows["macro"].label.mean == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert rows["macro"].joint.mean == pytest.approx((1 + 0 + 0.5) / 3)
    assert rows["all"].overlap is not None and rows["all"].overlap.mean == 0.25 and rows[NEI].overlap is None
    assert rows["2 hops"].n == 2 and rows["SUPPORT"].joint.mean == 0 < rows["SUPPORT"].joint.high
    with pytest.raises(ConfigError, match="nothing was measured"):
        summary([])


def test_constant_answers_stand_beside_it() -> None:
    found = floors(FOUND)
    assert found[f"always {NEI}"] == {"label_accuracy": 0.6, "joint": 0.6}
    assert found["always SUPPORT"] == {"label_accuracy": 0.2, "joint": 0.0}
    said = told(FOUND, summary(FOUND), split="test")
    assert said["per_hop"]["2"]["n"] == 2 and said["per_class"]["REFUTE"]["joint"]["mean"] == 0.5
    assert numbers_of(summary(FOUND), "eval")["eval/2_hops/joint"] == 0.5


def gold_of(label: str, *groups: list[str]) -> Any:
    return CLAIM.model_copy(update={"gold": Gold(label=label, evidence=groups)})


def looked(**verdict: Any) -> Any:
    """A judgement that searched, was shown the first sentence of `doc`, and gave a verdict."""
    trace = trace_of([Ids([1], [2]), Ids([1, 2, 3], [4])], events=[call(0, "doc")], **verdict)
    trace.turns[1].phase = "conclude"
    trace.turns[1].message_out["content"] = "{}"
    return trace


def citing(*docs: str) -> tuple[Any, ...]:
    return tuple(ref for doc in docs for ref in call(0, doc).refs)


def test_joint_wants_exactly_the_evidence() -> None:
    right = looked(label="SUPPORT", evidence=citing("doc"))
    case = gold_of("SUPPORT", ["doc:0"], ["other:0", "third:0"])
    assert measured(right, case)[2:5] == (True, True, 1.0)
    bare = looked(label="SUPPORT")
    assert measured(bare, case)[2:5] == (True, False, 0.0)
    assert measured(looked(label=NEI), gold_of(NEI))[2:5] == (True, True, None)
    assert measured(looked(label=NEI, evidence=citing("doc")), gold_of(NEI)).joint is False


def test_what_is_worth_imitating() -> None:
    case = gold_of("SUPPORT", ["doc:0"])
    assert problem_of(looked(label="SUPPORT", evidence=citing("doc")), case, looked=True) is None
    assert problem_of(looked(label="REFUTE", evidence=citing("doc")), case, looked=True) == "wrong"
    assert problem_of(looked(label="SUPPORT"), case, looked=True) == "without its evidence"
    cut = looked(label="SUPPORT", evidence=citing("doc"))
    cut.turns[0].finish_reason = "length"
    assert problem_of(cut, case, looked=True) == "cut off"
    broken = looked(label="SUPPORT", evidence=citing("doc"))
    broken.verdict = broken.verdict.model_copy(
        update={"status": "failed", "label": None, "failure": Failure(kind="model", message="out")}
    )
    assert problem_of(broken, case, looked=True) == "no verdict"
    idle = looked(label=NEI)
    idle.events = []
    assert problem_of(idle, gold_of(NEI), looked=True) == "no tool was truly used"
    assert problem_of(idle, gold_of(NEI), looked=False) is None


def config(**tables: Any) -> Any:
    return parse_config({"model": {"path": "m"}, "data": {"gym": {"documents": 4}}, **tables}, where="a test")


def test_traces_of_another_judge_are_refused() -> None:
    with pytest.raises(DataError, match="of the judge 'j', and 'veri-r1' is to be trained"):
        worthy([(looked(label="SUPPORT"), gold_of("SUPPORT"))], config())


def test_some_cases_are_read_and_the_others_looked_up() -> None:
    source = open_source(config(data={"gym": {"documents": 4}, "reading": 0.4}))
    bare = [not source.case(number).tools for number in range(200)]
    assert 0.3 < sum(bare) / 200 < 0.5 and bare == [bool(source.case(number).case.documents) for number in range(200)]
    assert not any(given.tools for given in map(open_source(config(data={"gym": {}, "reading": 1})).case, range(9)))


@pytest.mark.parametrize("reading", [False, True])
def test_an_oracle_shows_another_world_for_every_number(reading: bool) -> None:
    asked = config(data={"gym": {"documents": 4}, "reading": reading}, sft={"superfluous": 0.5})
    words = tiny_tokenizer()
    books = [open_book(asked, words, GENERIC) for _ in range(2)]
    assert isinstance(books[0], OracleBook)
    first, again = ([book.examples(number) for number in range(3)] for book in books)
    assert first == again and len({words.decode(each[0].input_ids) for each in first}) == 3
    text = words.decode(first[0][0].input_ids)
    assert ("retrieve" not in text) if reading else ("<tool_call>" in text)
    assert all(IGNORED in each.labels for several in first for each in several)
