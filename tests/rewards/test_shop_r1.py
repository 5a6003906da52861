"""Shop-R1's tiers, by the constants of its manuscript."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgements import judgement

from agentjudge.case import ActionChoice
from agentjudge.errors import ConfigError, DataError
from agentjudge.rewards.reading import Fixed
from agentjudge.rewards.shop_r1 import shop_r1
from agentjudge.rewards.tiers import Rung, climb, rouge_l

CLICK = {"type": "click", "name": "Add to cart button"}
TYPE = {"type": "type_and_submit", "name": "search", "text": "red running shoes"}
END = {"type": "terminate"}


def case(action: Any) -> ActionChoice:
    return ActionChoice(id="s", goal="Shop.", candidates=("x",), metadata={"action": action})


def paid(said: Any, logged: Any, **options: Any) -> dict[str, float]:
    return of_text(json.dumps({"rationale": "I need it.", "action": said}), logged, **options)


def of_text(text: str, logged: Any, **options: Any) -> dict[str, float]:
    return shop_r1(**options).score(judgement(case(logged), said=(text,), score=0.5), case(logged)).components


@pytest.mark.parametrize(
    ("said", "logged", "tiers"),
    [
        (END, END, (0.5, 0.3, 0, 0)),
        (CLICK, CLICK, (0.5, 0.3, 0.2, 1000)),
        ({"type": "click", "name": "Buy now"}, CLICK, (0.5, 0.3, 0.2, 0)),
        ({"type": "click", "name": "add to cart Button"}, CLICK, (0.5, 0.3, 0.2, 1000)),
        ({"type": "click"}, CLICK, (0.5, 0.3, 0, 0)),
        (END, CLICK, (0.5, 0, 0, 0)),
        (TYPE, TYPE, (0.5, 0.3, 0.2, 1000.1)),
        ({**TYPE, "text": "red shoes"}, TYPE, (0.5, 0.3, 0.2, 0.1 + 800)),
        ({**TYPE, "text": "blue boots"}, TYPE, (0.5, 0.3, 0.2, 0.1)),
        ({**TYPE, "name": "filter"}, TYPE, (0.5, 0.3, 0.2, 1000)),
        ({"type": "type_and_submit", "name": "search"}, TYPE, (0.5, 0.3, 0.1, 0.1)),
        (CLICK, TYPE, (0.5, 0, 0, 0)),
        ("fill('search', 'red shoes')", TYPE, (0.5, 0.3, 0.2, 0.1 + 800)),
    ],
)
def test_the_table(said: Any, logged: Any, tiers: tuple[float, ...]) -> None:
    found = paid(said, logged)
    assert list(found) == ["format", "type", "attribute", "value", "rationale"]
    assert list(found.values())[:4] == pytest.approx(list(tiers)) and found["rationale"] == 0.0


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("click('42')", "click [42]"),
        ("fill('7', 'red shoes')", "type [7] [red shoes] [1]"),
        ("click at (600, 475)", "Click at (604, 470)"),
        (TYPE, 'type("search", "red running shoes")'),
        ("goto('http://a.b')", "goto [http://a.b]"),
    ],
)
def test_actions_are_compared_across_dialects(said: Any, logged: Any) -> None:
    assert paid(said, logged)["value"] >= 1000


@pytest.mark.parametrize("said", ["Buy it.", "[1]", '{"action": "click(1)"}', '{"rationale": "", "action": 7}', ""])
def test_out_of_the_format_is_nothing(said: str) -> None:
    assert sum(of_text(said, CLICK).values()) == 0.0


def test_scale_and_certainty() -> None:
    assert paid(CLICK, CLICK, difficulty=1.0)["value"] == 1.0
    assert paid(CLICK, CLICK, certainty=Fixed(4.0))["rationale"] == pytest.approx(0.02)
    assert of_text("", CLICK, certainty=Fixed(4.0))["rationale"] == 0.0
    assert shop_r1(difficulty=1.0, certainty=Fixed(4.0)).high == pytest.approx(2.12)
    assert shop_r1().score(judgement(case(CLICK), failed="model"), case(CLICK)).score is None
    for wrong in (None, 7, {"type": "a b"}, ""):
        with pytest.raises(DataError, match="has no logged action"):
            paid(CLICK, wrong)
    with pytest.raises(ConfigError):
        shop_r1(difficulty=-1)


NAMES = st.sampled_from(["click", "type_and_submit", "terminate", "goto", "scroll", "?"])
ACTIONS = st.fixed_dictionaries({"type": NAMES}, optional={"name": st.text(max_size=12), "text": st.text(max_size=12)})


@given(ACTIONS, ACTIONS, st.floats(0, 20))
def test_nothing_leaves_its_bounds(said: dict[str, str], logged: dict[str, str], difficulty: float) -> None:
    try:
        found = paid(said, logged, difficulty=difficulty)
    except DataError:
        return
    assert 0 <= sum(found.values()) <= shop_r1(difficulty=difficulty).high + 1e-9
    assert found["value"] == 0 or found["type"] == 0.3


def test_tiers_count_in_their_order() -> None:
    tiers = ([Rung("a", 1, 1)], [], [Rung("b", 1, 0.0), Rung("c", 2, 0.5)], [Rung("d", 4, 1)])
    assert climb(tiers) == {"a": 1, "b": 0, "c": 1, "d": 4}
    assert climb(([Rung("a", 1, 0)], [Rung("a", 2, 1)], [Rung("d", 4, 1)])) == {"a": 0, "d": 0}


@pytest.mark.parametrize(
    ("said", "wanted", "value"),
    [
        ("red shoes", "red running shoes", 0.8),
        ("a b c", "c b a", 1 / 3),
        ("", "", 1.0),
        ("", "a", 0.0),
        ("A", "a", 1.0),
    ],
)
def test_rouge_l(said: str, wanted: str, value: float) -> None:
    assert rouge_l(said, wanted) == pytest.approx(value)
