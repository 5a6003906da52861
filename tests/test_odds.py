"""Shares of labels out of the alternatives to tokens, by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.graphs.odds import odds
from agentjudge.trace import Turn

LABELS = ("Yes", "In Progress", "No")
Said = tuple[str, dict[str, float]]
"""A token, and the probabilities of what could have come in its place."""


def turn(*said: Said | str, text: str | None = None) -> Turn:
    tokens = [(each, {each: 1.0}) if isinstance(each, str) else each for each in said]
    content = "".join(token for token, _ in tokens) if text is None else text
    rows = [{token: math.log(share) for token, share in row.items()} for _, row in tokens]
    logprobs = [row.get(token, math.log(0.001)) for (token, _), row in zip(tokens, rows, strict=True)]
    return Turn({"content": content}, tokens=[token for token, _ in tokens], logprobs=logprobs, alternatives=rows)


def shares(said: Turn, *, labels: Any = LABELS, label: str = "Yes") -> Any:
    (found,) = odds(said, [str(said.message_out["content"]).rindex(label)], labels)
    return found


def test_spellings_of_a_label_are_added_up_and_the_rest_is_left_out() -> None:
    row = {"Yes": 0.4, " yes": 0.1, "YES": 0.05, "In": 0.2, "No": 0.05, " Now": 0.05, "None": 0.05, "\n": 0.1}
    found = shares(turn("It is: ", ("Yes", row), "\n"))
    total = 0.55 + 0.2 + 0.05
    assert found == pytest.approx({"Yes": 0.55 / total, "In Progress": 0.2 / total, "No": 0.05 / total})
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize("said", ["In", "I", "in", "In Progress", "In-progress", "IN_PROGRESS", "in progress.", " In"])
def test_the_first_token_stands_for_a_label_of_several(said: str) -> None:
    assert shares(turn("Yes? ", ("Yes", {"Yes": 0.5, said: 0.5})))["In Progress"] == pytest.approx(0.5)


@pytest.mark.parametrize("said", ["Inside", "Incomplete", "In Progressive", "x In", "", "-", "Noé", "Yesterday"])
def test_a_token_that_goes_on_otherwise_stands_for_none(said: str) -> None:
    assert shares(turn("Yes? ", ("Yes", {"Yes": 0.5, said: 0.5}))) == {"Yes": 1.0, "In Progress": 0.0, "No": 0.0}


def test_a_token_that_begins_before_the_label() -> None:
    row = {'"Yes': 0.6, '"No': 0.2, ' "No"': 0.1, "No": 0.05, '"': 0.05}
    found = shares(turn('{"label":', ('"Yes', row), '"}'))
    assert found == pytest.approx({"Yes": 0.6 / 0.9, "In Progress": 0.0, "No": 0.3 / 0.9})


def test_the_sampled_token_counts_although_it_is_not_among_the_likeliest() -> None:
    said = turn(("Yes", {"No": 0.9}))  # Yes has 0.001
    assert shares(said)["Yes"] == pytest.approx(0.001 / 0.901)


def test_a_beginning_that_labels_share_is_decided_by_the_next_token() -> None:
    labels = ("success", "suspended", "failure")
    said = turn(("su", {"su": 0.5, "failure": 0.2, "s": 0.3}), ("spend", {"spend": 0.25, "cc": 0.75}), "ed")
    found = shares(said, labels=labels, label="suspend")
    mass = {"success": 0.5 * 0.75, "suspended": 0.5 * 0.25, "failure": 0.2}
    assert found == pytest.approx({label: share / 0.7 for label, share in mass.items()})


def test_the_place_is_counted_in_bytes_behind_a_thought_and_before_the_end_of_the_turn() -> None:
    thought = ["<think>", "Yes", " or No", "</think>", "\n"]
    answer = ["\udcc3", "\udca9 ", "Yes: ", ("Yes", {"Yes": 0.25, "No": 0.75}), "<|im_end|>"]
    said = turn(*thought, *answer, text="é Yes: Yes")
    assert shares(said)["No"] == 0.75
    first, last = odds(said, [2, 7], LABELS)
    assert first == {"Yes": 1.0, "In Progress": 0.0, "No": 0.0} and last is not None and last["No"] == 0.75


def test_tokens_told_without_their_blanks_are_found_too() -> None:
    said = turn("Checklist", "1", ":", ("Yes", {"Yes": 0.5, "No": 0.5}), text="Checklist 1: Yes")
    assert shares(said)["No"] == pytest.approx(0.5)


def test_bytes_that_are_no_text_may_be_told_or_not() -> None:
    said = turn("A ", "", " b: ", ("Yes", {"Yes": 0.5, "No": 0.5}), text="A \ufffd b: Yes")
    told = turn("A ", "\ufffd", " b: ", ("Yes", {"Yes": 0.5, "No": 0.5}))
    assert shares(said) == shares(told) == pytest.approx({"Yes": 0.5, "In Progress": 0.0, "No": 0.5})


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": None},
        {"alternatives": None},
        {"logprobs": None},
        {"logprobs": [-0.1, -0.1]},
        {"tokens": ["token_id:7"]},
        {"alternatives": [{}], "logprobs": [-math.inf]},
        {"message_out": {"content": None}},
        {"message_out": {"content": "\ud800"}},
    ],
)
def test_nothing_is_known_where_a_server_tells_too_little(change: dict[str, Any]) -> None:
    said = turn(("Yes", {"Yes": 0.5}))
    for name, value in change.items():
        setattr(said, name, value)
    assert odds(said, [0], LABELS) == [None]


def test_a_text_that_says_no_label_has_no_odds() -> None:
    assert odds(turn("Perhaps"), [0], LABELS) == odds(turn("Yes"), [3], LABELS) == [None]


@given(st.data())
def test_however_a_text_is_cut_into_tokens_each_label_is_found(data: st.DataObject) -> None:
    """Each letter may be a token or part of one; what could have come instead of a label's first token is known."""
    said = data.draw(st.lists(st.tuples(st.text("é \"':.Yx", max_size=8), st.sampled_from(LABELS)), min_size=1))
    text, places = "", []
    for filler, label in said:
        text += filler + "|"
        places.append(len(text))
        text += label + "|"
    cuts = data.draw(st.sets(st.integers(1, len(text) - 1))) | {0, len(text)}
    cuts |= {0, len(text), *places, *(place - 1 for place in places)}
    ends = sorted(cuts)
    pieces = [text[a:b] for a, b in zip(ends, ends[1:], strict=False)]
    starts = dict(zip(ends, range(len(pieces)), strict=False))
    rows: list[Said] = [(piece, {piece: 1.0}) for piece in pieces]
    for place, (_, label) in zip(places, said, strict=True):
        others = {other: 0.2 for other in LABELS if other != label}
        rows[starts[place]] = (pieces[starts[place]], {pieces[starts[place]]: 0.6, **others})
    for found, (_, label) in zip(odds(turn(*rows), places, LABELS), said, strict=True):
        assert found == pytest.approx({name: 0.6 if name == label else 0.2 for name in LABELS})
