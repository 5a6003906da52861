"""Prompts and completions of any shape, as cases."""

import pytest

from agentjudge.case import Claim, Comparison, Gold, Response
from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.adapters.samples import Sample, answer_case, given_case, text_of

CHAT = [
    {"role": "user", "content": "When?"},
    {"role": "assistant", "content": None},
    {"role": "user", "content": "Now?"},
]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("plain", "plain"),
        ([], ""),
        (CHAT, "Now?"),
        ([{"role": "assistant", "content": None}], ""),
        ([{"role": "assistant"}], ""),
        (
            [
                {
                    "content": [
                        {"type": "image", "image": "x"},
                        {"type": "text", "text": "a"},
                        {"type": "text", "text": "b"},
                    ]
                }
            ],
            "ab",
        ),
    ],
)
def test_the_text_that_counts(said: object, text: str) -> None:
    assert text_of(said) == text  # type: ignore[arg-type]


def test_a_response_has_its_reference() -> None:
    case = answer_case(Sample(CHAT, [{"role": "assistant", "content": "Yes."}], {"reference": "It is.", "id": 7}))
    assert case == Response(id="7", prompt="Now?", response="Yes.", reference="It is.")


def test_a_claim_has_its_context_and_its_document() -> None:
    sample = Sample("When?", "In 1932.", {"reference": "The bridge opened in 1932."})
    case = answer_case(sample, takes=(Claim,))
    assert isinstance(case, Claim) and (case.claim, case.context) == ("In 1932.", "When?")
    assert [document.text for document in case.documents] == ["The bridge opened in 1932."]
    assert answer_case(Sample("When?", "In 1932."), takes=(Claim,)).documents == ()


def test_ids_are_the_columns_or_the_texts() -> None:
    assert Sample("a", "b").id == Sample("a", "b", {"x": 1}).id != Sample("a", "c").id
    assert Sample("a", "b", {"id": 0}).id == "0"


def test_what_makes_no_case_is_told() -> None:
    with pytest.raises(ConfigError, match="takes a Comparison; say by `case=`"):
        answer_case(Sample("a", "b"), takes=(Comparison,))
    with pytest.raises(DataError, match="has no prompt"):
        answer_case(Sample(" ", "b"))
    for columns, message in (
        ({}, "give the dataset a column `case`"),
        ({"case": "{"}, "not JSON"),
        ({"case": "[1]"}, "expected a JSON object"),
        ({"case": {"id": "c", "claim": ""}}, "the column `case`: claim"),
    ):
        with pytest.raises(DataError, match=message):
            given_case(Sample("a", "b", columns))


def test_a_case_may_be_given_in_any_form() -> None:
    case = Claim(id="c", claim="So.", gold=Gold(label="SUPPORT"))
    arrow = case.model_dump(mode="json") | {"responses": None, "prompt": None}  # Arrow fills in what other rows have
    for given in (case, case.model_dump(mode="json"), case.model_dump_json(), arrow):
        assert given_case(Sample("", "", {"case": given})) == case
