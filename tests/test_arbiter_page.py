"""What a judge of next steps is shown of a page: bounded, around what the actions name, and never cut in silence."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.budget import Budget
from agentjudge.case import ActionChoice
from agentjudge.evidence import EvidenceStore
from agentjudge.graphs.arbiter_page import MAX_PAGE, is_absent, left_out, see_page, shown_lines
from agentjudge.graphs.state import JudgeContext
from agentjudge.models.base import Sampling
from agentjudge.models.scripted import ScriptedModel
from agentjudge.prompts import Fence
from agentjudge.tools.base import ToolBox
from agentjudge.tools.steps import lines_of, steps_of

LONG = "RootWebArea 'Shop'\n" + "\n".join(
    f"\tlist 'Row {n}'\n\t\t[{3 * n}] link 'Item {n}'\n\t\t[{3 * n + 1}] button 'Buy item {n}'" for n in range(1, 1001)
)
"""3,001 lines, 76,000 characters."""


def choice(page: str, *actions: str) -> ActionChoice:
    return ActionChoice(id="p", goal="Buy", observation=page, candidates=actions or ("click('1')",))


def seen(case: ActionChoice):
    context = JudgeContext(
        judge="j",
        model=ScriptedModel([]),
        tools=ToolBox([]),
        store=EvidenceStore(),
        budget=Budget(),
        sampling=Sampling(),
        fence=Fence(seed=0),
    )
    return see_page(case, context)


def test_a_page_within_the_bound_is_shown_as_it_is() -> None:
    page = "RootWebArea 'Shop'\n\n\t[12] link 'Mug'\n\t\t*[13]<button>Buy</button>\n\t[12] again\n"
    page += "|SHADOW(open)|*[a-4]<svg />\n\t|scroll element[15]<div />\n|SHADOW(closed)||scroll element|<div> [16]"
    found = seen(choice(page))
    assert found.text == page and found.cut == ""
    assert {ref.id: ref.quote for ref in found.refs} == {
        "12": "[12] link 'Mug'",
        "13": "[13]<button>Buy</button>",
        "a-4": "[a-4]<svg />",
        "15": "[15]<div />",
    }


def test_a_long_page_is_shown_around_the_elements_that_the_actions_name() -> None:
    case = choice(LONG, "click('1500')", "fill('2701', 'x')", "noop()")
    found = seen(case)
    assert len(found.text) <= MAX_PAGE + 200 < len(LONG)
    for near in ("[1500] link 'Item 500'", "[2701] button 'Buy item 900'", "list 'Row 500'", "RootWebArea 'Shop'"):
        assert near in found.text
    assert "[3] link" not in found.text and "[3000] link" not in found.text
    kept = len(shown_lines(case))
    assert found.cut == (
        f"The page has 3,001 lines, {3001 - kept:,} of them are left out; "
        "shown is what is around the elements that the actions name."
    )
    assert {"1500", "2701"} <= {ref.id for ref in found.refs} and "3" not in {ref.id for ref in found.refs}


def test_both_elements_have_as_much_around_them() -> None:
    numbers = shown_lines(choice(LONG, "click('900')", "click('2400')"))
    first, second = ([n for n in numbers if abs(n - at) < 600] for at in (899, 2399))
    assert abs(len(first) - len(second)) <= 2 and len(first) > 300


def test_every_gap_names_the_lines_that_are_missing() -> None:
    case = choice(LONG, "click('1500')", "click('2701')")
    gaps = [
        (int(a), int(b or a))
        for a, b in re.findall(r"^\(lines? (\d+)(?: to (\d+))? left out\)$", seen(case).text, re.M)
    ]
    missing = {n for a, b in gaps for n in range(a, b + 1)}
    assert missing | set(shown_lines(case)) == set(range(3001)) and not missing & set(shown_lines(case))
    lines = lines_of(steps_of(case)[-1], 0, "observation")  # the numbers of get_step
    assert lines[min(missing)].text not in seen(case).text


def test_what_stands_around_an_element_is_shown_although_it_is_far() -> None:
    rows = "\n".join(f"\t\t[{n}] row 'x{'y' * 40}'" for n in range(1, 1001))
    page = (
        f"RootWebArea 'Shop'\n\t[a1] dialog 'Delete all?'\n{rows}\n\t\t[5000] button 'Yes'\n{rows.replace('[', '[9')}"
    )
    assert "[a1] dialog 'Delete all?'" in seen(choice(page, "click('5000')")).text


def test_elements_are_found_by_words_where_they_have_no_number() -> None:
    page = LONG.replace("[1500] link 'Item 500'", "link 'Gift cards'")
    found = seen(choice(page, "click('Gift cards')"))
    assert "link 'Gift cards'" in found.text and "around the elements" in found.cut


@pytest.mark.parametrize("action", ["noop()", "goto('http://x')", "click('77777')", "mouse_click(600, 475)", "?"])
def test_where_nothing_on_the_page_is_named_its_beginning_is_shown(action: str) -> None:
    found = seen(choice(LONG, action))
    assert found.text.startswith(LONG[:20_000]) and "shown is its beginning" in found.cut
    assert ("Nowhere on the page: 77777." in found.cut) == ("77777" in action)


def test_an_element_is_absent_only_where_the_page_has_numbers_and_not_this_one() -> None:
    assert is_absent("99", "[1] link 'a'") and is_absent("a7", "[1] link '99 a7'") and is_absent("[99]", "[1] x")
    assert not is_absent("1", "[1] link 'a'") and not is_absent("99", "99 plain words") and not is_absent("99", "")
    assert not is_absent("e12", "[1] x\n- button 'Go' [ref=e12]") and not is_absent("Sign in", "[1] link 'a'")


def test_one_very_long_line_and_a_page_of_blanks_are_bounded_too() -> None:
    found = seen(choice("word " * 20_000))
    assert len(found.text) <= MAX_PAGE + 200 and found.cut
    found = seen(choice("[1] link 'a'" + "\n " * 50_000 + "[2] link 'b'", "click('2')"))
    assert len(found.text) < 100 and {ref.id for ref in found.refs} == {"1", "2"} and found.cut == ""


def test_a_line_that_goes_on_shows_no_element() -> None:
    page = "[1] text '" + "word " * 159 + "[99] button 'Pay'" + " word" * 200 + "'"
    assert {ref.id for ref in seen(choice(page)).refs} == {"1"}


@given(
    st.lists(st.text(st.sampled_from("[]12 ab'\t\n:;<*"), max_size=30), max_size=40),
    st.lists(st.sampled_from(["click('1')", "click('21')", "fill('a', 'b')", "noop()", "goto('x')"]), min_size=1),
    st.integers(1, 900),
)
def test_any_page_is_shown_bounded_and_everything_citable_is_in_sight(parts, actions, times) -> None:
    case = choice("\n".join(parts * times), *actions)
    found = seen(case)
    assert len(found.text) <= max(MAX_PAGE, len(case.observation) if not found.cut else 0) + 60 * found.text.count(
        "left"
    )
    assert bool(found.cut) == (left_out(case) != "")
    for ref in found.refs:
        assert ref.quote is not None and ref.quote in found.text and ref.quote.startswith(f"[{ref.id}]")
        assert case.observation[ref.start : ref.end] == ref.quote
