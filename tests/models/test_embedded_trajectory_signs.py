"""What is told of a run without a model: repeats, missing elements, unchanged pages, being kept out, answers."""

import time

import pytest

from agentjudge.case import Step, Trajectory
from agentjudge.models.embedded.trajectory_signs import HEAD, element_ids, read_signs, said

PAGE = "RootWebArea 'Shop'\n\t[12] link 'Blue mug'\n\t[13] button 'Add to cart'"


def run(*actions: str, answer: str | None = None, **step: str) -> Trajectory:
    steps = tuple(Step(action=action, **step) for action in actions)
    return Trajectory(id="r", goal="Buy the blue mug.", steps=steps, final_answer=answer)


def test_the_same_action_again_is_a_repeat_and_scrolls_and_waits_are_none() -> None:
    signs = read_signs(run("click('1')", "click('1')", "scroll(0, 500)", "scroll(0, 500)", "noop()", "click('1')"))
    assert signs.again == (1, 5) and signs.repeated == (1, 5) and signs.idle == (4,)
    other = read_signs(run("fill('1', 'red')", "fill('1', 'blue')", "fill('2', 'red')"))
    assert not other.repeated and other.retyped == (2,), "the same text in another field is typed again, not done again"


def test_a_cycle_of_three_actions_is_found_from_its_second_round_on() -> None:
    round = ("click('1')", "click('2')", "go_back()")
    assert read_signs(run(*round, *round)).cycled == (5,)
    assert read_signs(run(*round, "click('4')", "click('5')", "click('6')")).cycled == ()


def test_an_element_that_the_page_does_not_have_is_missing_only_where_pages_have_ids() -> None:
    assert read_signs(run("click('12')", "click('99')", observation=PAGE)).missing == (1,)
    assert read_signs(run("click('99')", observation="Just a text.")).missing == ()
    assert read_signs(run("click('99')")).missing == ()
    assert element_ids('[3]: <button> "Cart";\t[4]: "Help";') == {"3", "4"}


def test_a_page_that_stays_as_it_was_is_told_for_actions_that_should_change_it() -> None:
    steps = [
        Step(action="click('12')", observation=PAGE, url="u"),
        Step(action="scroll(0, 9)", observation=PAGE, url="u"),
    ]
    steps += [Step(action="click('13')", observation=PAGE, url="u"), Step(observation=f"{PAGE} more", url="u")]
    assert read_signs(Trajectory(id="r", goal="g", steps=tuple(steps))).unchanged == (0,)


@pytest.mark.parametrize(
    ("step", "part"),
    [
        (Step(observation="RootWebArea 'Verify you are human'\n[1] CAPTCHA"), "observation"),
        (Step(url="chrome-error://chromewebdata/"), "url"),
        (Step(error="net::ERR_NAME_NOT_RESOLVED at http://s/"), "error"),
        (Step(thought="The page is a CAPTCHA."), "thought"),
    ],
)
def test_being_kept_out_is_told_at_the_end_of_a_run_with_the_place_that_says_so(step: Step, part: str) -> None:
    signs = read_signs(Trajectory(id="r", goal="g", steps=(Step(action="click('1')"), step)))
    assert signs.blocked == ((1, part),)
    early = Trajectory(id="r", goal="g", steps=(step, *(Step(action=f"click('{n}')") for n in range(5))))
    assert not read_signs(early).blocked


def test_what_an_agent_thinks_blocks_nothing_where_pages_are_recorded() -> None:
    steps = (Step(observation=PAGE, thought="This must be a CAPTCHA."),)
    assert not read_signs(Trajectory(id="r", goal="g", steps=steps)).blocked
    far = (Step(observation="x" * HEAD + " captcha"),)
    assert not read_signs(Trajectory(id="r", goal="g", steps=far)).blocked, "only the head of a page is looked at"


@pytest.mark.parametrize(
    ("answer", "refused", "asked_back"),
    [
        ("There are no reviews that mention it.", True, False),
        ("I couldn't find the item.", True, False),
        ("Could you provide the order's number?", False, True),
        ("The total is $48.10.", False, False),
        ("Notably, nobody complained: 12 reviews.", False, False),
    ],
)
def test_what_an_answer_says_of_itself(answer: str, refused: bool, asked_back: bool) -> None:
    signs = read_signs(run("click('1')", answer=answer))
    assert (signs.refused, signs.asked_back) == (refused, asked_back)


def test_thoughts_that_say_nearly_the_same_are_found_and_tags_are_no_words() -> None:
    one = "I should click the search button so that the results of the search are shown"
    steps = (
        Step(thought=one),
        Step(thought="Something else is now of interest to me here"),
        Step(thought=f"{one} now"),
    )
    assert read_signs(Trajectory(id="r", goal="g", steps=steps)).same_thought == (2,)
    assert said("<action>\nclick('1')\n</action>") == "" and said("<think>Go on.</think> <action>noop()") == "Go on."


@pytest.mark.parametrize("bit", ["no ", "no a ", "? ", "[1] ", "<action>", "captcha ", "\t", "[", "can not ", "è "])
def test_hostile_texts_are_read_in_linear_time(bit: str) -> None:
    text = bit * (400_000 // len(bit))
    steps = tuple(
        Step(observation=text, thought=text, action=f"click('{text[:9]}')", error=text, url=text) for _ in "123"
    )
    began = time.perf_counter()
    read_signs(Trajectory(id="r", goal="g", steps=steps, final_answer=text))
    assert time.perf_counter() - began < 5


def test_no_step_has_no_sign() -> None:
    signs = read_signs(Trajectory(id="r", goal="g"))
    assert not any((signs.taken, signs.repeated, signs.missing, signs.blocked, signs.pages, signs.claimed))
