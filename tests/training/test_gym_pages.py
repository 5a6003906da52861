"""Generated pages: one action is right, and only the page tells which."""

import re
from collections import Counter
from itertools import islice, product
from typing import Any, get_args

import pytest

from agentjudge.actions import parse_action
from agentjudge.case import ActionChoice
from agentjudge.errors import ConfigError
from agentjudge.rewards.terms import correct
from agentjudge.tools.axtree import read_tree
from agentjudge.training.gym import Names, PageGym
from agentjudge.training.gym.names import Split
from agentjudge.training.gym.oracle import Slop
from agentjudge.training.gym.oracle_looking import Shown, page_demonstrations

FEW = Names.of(f"Name{n}" for n in range(60))
TASKS = ("pick", "compare", "fill")


def some(gym: PageGym, count: int = 60) -> list[ActionChoice]:
    return list(islice(gym.cases(), count))


def best_of(case: ActionChoice) -> int:
    gold = case.gold
    assert gold is not None
    if gold.score is not None:
        return 0 if gold.score else 1
    if gold.preference is not None:
        return int(gold.preference > 0)
    assert gold.ranking is not None
    return gold.ranking[0]


def rows(case: ActionChoice) -> list[tuple[str, str, int, str]]:
    """Thing, seller, price and element of each row, by a parser of its own."""
    found, thing, told = [], "", ("", 0)
    for node in read_tree(case.observation.split("\n")):
        if node.role == "heading":
            thing = node.name
        elif node.role == "StaticText" and (sold := re.fullmatch(r"sold by (\w+) for (\d+) coins", node.name)):
            told = sold[1], int(sold[2])
        elif node.id and node.role in ("button", "link"):
            found.append((thing, *told, node.id))
    return found


def right_element(case: ActionChoice) -> str:
    """What the page says is to be acted on."""
    if case.metadata["task"] == "pick":
        wanted = re.findall(r"Put (\w+) sold by (\w+)", case.goal)[0]
        return next(id for thing, seller, _, id in rows(case) if (thing, seller) == wanted)
    if case.metadata["task"] == "compare":
        return min((price, id) for thing, _, price, id in rows(case) if thing == case.goal.rstrip(".").split()[-1])[1]
    thing, seller = re.findall(r"for (\w+) sold by (\w+)", case.goal)[0]
    held = dict(re.findall(r"\[(\d+)\] textbox '(?:Thing|Seller)', value '(\w+)'", case.observation))
    wrong = [id for (id, value), wanted in zip(held.items(), (thing, seller), strict=True) if value != wanted]
    return (wrong or re.findall(r"\[(\d+)\] button 'Search'", case.observation))[0]


@pytest.mark.parametrize(("task", "candidates"), list(product(TASKS, (1, 2, 3))))
def test_gold_is_what_the_page_says(task: Any, candidates: int) -> None:
    for case in some(PageGym(tasks=(task,), candidates=candidates, rows=2)):
        wanted = right_element(case)
        assert case.gold is not None and case.gold.evidence == ((wanted,),)
        elements = [parse_action(action).target for action in case.candidates]
        assert len(elements) == candidates and len(set(elements)) == candidates
        if candidates == 1:
            assert case.gold.score == float(elements == [wanted])
        else:
            assert elements[best_of(case)] == wanted


def test_a_filled_field_gets_what_the_goal_says() -> None:
    for case in some(PageGym(tasks=("fill",), candidates=3)):
        texts = {parse_action(action).text for action in case.candidates} - {""}
        assert len(texts) == 2 and all(text in case.goal for text in texts)


@pytest.mark.parametrize(("task", "candidates"), list(product(TASKS, (2, 3))))
@pytest.mark.parametrize("number", range(4))
def test_nothing_that_can_be_counted_depends_on_the_answer(task: Any, candidates: int, number: int) -> None:
    gym = PageGym(tasks=(task,), candidates=candidates, rows=1)
    cases = [gym.case(number, best=best) for best in range(candidates)]
    assert [best_of(case) for case in cases] == list(range(candidates))
    assert len({(case.goal, case.candidates) for case in cases}) == 1
    assert len({tuple(sorted(re.findall(r"\w+", case.observation))) for case in cases}) == 1
    elements = [[(node.id, node.role) for node in read_tree(case.observation.split("\n"))] for case in cases]
    assert all(each == elements[0] for each in elements)
    assert len({case.observation for case in cases}) == candidates


def test_the_right_one_is_each_candidate_equally_often() -> None:
    found = Counter((c.metadata["task"], best_of(c)) for c in some(PageGym(candidates=3), 90))
    assert found == Counter({pair: 10 for pair in product(TASKS, range(3))})
    single = Counter(c.gold.score for c in some(PageGym(candidates=1), 60) if c.gold)
    assert single == {0.0: 30, 1.0: 30}


def test_rules_without_the_page_are_right_by_chance_alone() -> None:
    """First, last, lowest number, most words of the goal: each within 3.3 deviations of a half."""
    cases = some(PageGym(), 240)

    def words(case: ActionChoice, place: int) -> int:
        return len(set(re.findall(r"\w+", case.candidates[place])) & set(re.findall(r"\w+", case.goal)))

    rules = {
        "first": lambda c: 0,
        "lowest": lambda c: min((0, 1), key=lambda n: int(parse_action(c.candidates[n]).target)),
        "goal's words": lambda c: max((0, 1), key=lambda n: words(c, n)),
        "longest": lambda c: max((0, 1), key=lambda n: len(c.candidates[n])),
        "click": lambda c: min((0, 1), key=lambda n: c.candidates[n]),
    }
    shares = {name: sum(rule(c) == best_of(c) for c in cases) / len(cases) for name, rule in rules.items()}
    assert all(abs(share - 0.5) < 3.3 * 0.5 / len(cases) ** 0.5 for share in shares.values()), shares


def test_no_row_of_a_test_page_can_be_on_a_training_page() -> None:
    """With so few names that rows come up again and again, and both splits use the same ones."""
    train, test = (
        {
            row[:2]
            for case in some(PageGym(names=FEW, split=split, tasks=("pick", "compare"), rows=2), 150)
            for row in rows(case)
        }
        for split in get_args(Split)
    )
    assert train and test and not train & test
    assert len({name for pair in train for name in pair} & {name for pair in test for name in pair}) > 50


def test_pages_are_the_same_for_one_seed() -> None:
    assert PageGym(seed=3).case(7) == PageGym(seed=3).case(7) != PageGym(seed=4).case(7)


async def shown(gym: PageGym, count: int, **options: Any) -> list[Shown]:
    return [each async for each in page_demonstrations(gym, range(count), **options)]


@pytest.mark.parametrize("candidates", [1, 2, 3])
async def test_the_oracle_looks_and_is_right(candidates: int) -> None:
    for case, trace in await shown(PageGym(candidates=candidates, rows=1), 4):
        assert correct(trace.verdict, case) and [event.name for event in trace.events] == ["find_element"]
        assert trace.events[0].status == "ok" and trace.events[0].refs
        assert {ref.id for ref in trace.verdict.evidence} == {*case.gold.evidence[0]}  # type: ignore[union-attr]


async def test_a_careless_one_looks_elsewhere_first() -> None:
    neat, careless = await shown(PageGym(), 6), await shown(PageGym(), 6, slop=Slop(superfluous=0.5))
    assert sum(len(t.events) for _, t in careless) > sum(len(t.events) for _, t in neat) == 6


@pytest.mark.parametrize(
    "make",
    [
        lambda: PageGym(candidates=4),
        lambda: PageGym(candidates=0),
        lambda: PageGym(tasks=("buy",)),
        lambda: PageGym(split="dev"),
        lambda: PageGym().case(0, best=2),
        lambda: PageGym(names=Names.of(["Rome", "Lima"])).case(0),
    ],
)
def test_impossible_pages_are_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_four_candidates_without_the_form() -> None:
    assert {len(case.candidates) for case in some(PageGym(candidates=4, tasks=("pick", "compare")), 8)} == {4}
