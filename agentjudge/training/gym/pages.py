"""Pages of the web with candidate actions, of which one is right: small accessibility trees, made without end.

    gym = PageGym(candidates=3)
    judge = Judge.load("web-arbiter", model=...)
    trace = await judge.arun(gym.case(17))               # gold: a preference, a ranking, or a score

- `pick`: put Bako sold by Dora into the cart. Right is the button of that row, not that of the same thing by another
  seller, of another thing by that seller, or of neither.
- `compare`: open the cheapest Bako. Right is the link of its row; a row of another thing is cheaper still.
- `fill`: search for Bako sold by Dora. Right is what is still to be done: the field that holds something else, or the
  button where neither does.

Actions name elements by their numbers alone (`click('17')`), or type what the goal says into a numbered field, so that
nothing but the page tells which is right. As with `ClaimGym` the answer decides roles alone: goal, candidates, numbers,
and the words and elements of the page are the same for every right candidate (`case(..., best=...)`). The right one is
each candidate equally often.

| candidates | gold |
|---|---|
| 1 | `score` 1 or 0: is it right? |
| 2 | `preference` -2 or 2 |
| 3, 4 | `ranking`, the right one first; the others are all wrong, and follow in their order |

`evidence` is the element that the right action names. In test pages the two names of a row are of one class, in
training pages of different ones (`names`), so that no row of a test page can be on a training page.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, NamedTuple, TypeVar, get_args

from agentjudge.case import ActionChoice, Gold
from agentjudge.errors import ConfigError
from agentjudge.registry import register
from agentjudge.training.gym.names import Drawing, Names, Split

Task = Literal["pick", "compare", "fill"]
T = TypeVar("T")
PREFERRED = 2
"""Strength of a preference: clearly better."""


class Scene(NamedTuple):
    """A page, what is wanted on it, and what can be done."""

    goal: str
    lines: list[str]
    actions: list[str]
    look_up: str
    """Words by which the tools find what decides."""


@register("training", "page-gym", paper="2507.10532")
@dataclass(frozen=True, kw_only=True)
class PageGym:
    """Choices of a web agent's next action with known answers, without end."""

    names: Names = field(default_factory=Names.syllables)
    tasks: tuple[Task, ...] = ("pick", "compare", "fill")
    """Each equally often."""
    candidates: int = 2
    """1 to 4; `fill` has at most 3."""
    rows: int = 0
    """Further rows that have nothing to do with the goal."""
    split: Split = "train"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.tasks or not set(self.tasks) <= set(get_args(Task)):
            raise ConfigError(f"tasks are of {', '.join(get_args(Task))}, not {self.tasks!r}")
        if not 1 <= self.candidates <= (3 if "fill" in self.tasks else 4):
            raise ConfigError(f"no {self.candidates} candidates: there are 1 to 4, of the task 'fill' at most 3")
        if self.split not in get_args(Split) or self.rows < 0:
            raise ConfigError("pages are for 'train' or 'test', and have no fewer than 0 further rows")

    def cases(self, start: int = 0) -> Iterator[ActionChoice]:
        """All cases from this number on; they never end."""
        return map(self.case, count(start))

    def case(self, number: int, *, best: int | None = None) -> ActionChoice:
        """The case with this number.

        Args:
            number: from 0.
            best: another right candidate than it has, from 0; of a single one 0 if it is right and 1 if it is not.

        Raises:
            ConfigError: there is no such candidate, or there are too few names.
        """
        task, wanted = self._wanted(number)
        best = wanted if best is None else best
        shape, roles = self._rng(number, "shape"), self._rng(number, "roles")
        actions = max(2, self.candidates)
        if not 0 <= best < actions:
            raise ConfigError(f"there is no candidate {best} of {actions}")
        names = Drawing(self.names, shape, self.split)
        scene = _SCENES[task](_Draws(names, shape, roles, actions, best, self.rows))
        target = scene.actions[best].split("'")[1]
        return ActionChoice(
            id=f"page-{self.split}-{self.seed}-{number}",
            goal=scene.goal,
            observation="\n".join(scene.lines),
            candidates=tuple(scene.actions[: self.candidates]),
            gold=_gold(self.candidates, best, target),
            metadata={"task": task, "look up": scene.look_up},
        )

    def _wanted(self, number: int) -> tuple[Task, int]:
        block = [(task, best) for task in self.tasks for best in range(max(2, self.candidates))]
        run, place = divmod(number, len(block))
        self._rng(run, "block").shuffle(block)
        return block[place]

    def _rng(self, number: int, what: str) -> random.Random:
        return random.Random(f"pages/{self.seed}/{self.split}/{what}/{number}")


def _gold(candidates: int, best: int, target: str) -> Gold:
    evidence = ((target,),)
    if candidates == 1:
        return Gold(score=float(best == 0), evidence=evidence)
    if candidates == 2:
        return Gold(preference=PREFERRED if best else -PREFERRED, evidence=evidence)
    return Gold(ranking=(best, *(n for n in range(candidates) if n != best)), evidence=evidence)


class _Draws(NamedTuple):
    """What a page is made with."""

    names: Drawing
    shape: random.Random
    roles: random.Random
    actions: int
    best: int
    others: int


def _pick(draws: _Draws) -> Scene:
    things, sellers = _two_by_two(draws.names)
    right, *wrong = [(thing, seller) for thing in things for seller in sellers]
    prices, numbers = draws.shape.sample(range(5, 100), 4), _numbers(draws, 4)
    rows = [(*pair, price) for pair, price in zip(_slots(draws, right, wrong), prices, strict=True)]
    lines = _listing(draws, rows, numbers, "button 'Add to cart'")
    actions = [f"click('{number}')" for number in numbers[: draws.actions]]
    return Scene(f"Put {right[0]} sold by {right[1]} into the cart.", lines, actions, sellers[0])


def _compare(draws: _Draws) -> Scene:
    (thing, other), sellers = _two_by_two(draws.names, sellers=4)
    lowest, low, *high = sorted(draws.shape.sample(range(10, 100), 4))
    numbers = _numbers(draws, 4)
    slots = _slots(draws, (thing, low), [*((thing, price) for price in high), (other, lowest)])
    rows = [(named, seller, price) for (named, price), seller in zip(slots, sellers, strict=True)]
    lines = _listing(draws, rows, numbers, "link 'Details'")
    actions = [f"click('{number}')" for number in numbers[: draws.actions]]
    return Scene(f"Open the details of the cheapest {thing}.", lines, actions, thing)


def _fill(draws: _Draws) -> Scene:
    things, sellers = _two_by_two(draws.names)
    one, other, button, *more = _numbers(draws, 3)
    options = [f"fill('{one}', '{things[0]}')", f"fill('{other}', '{sellers[0]}')", f"click('{button}')"]
    order = draws.shape.sample(range(3), 3)
    wanted = order[draws.best]
    held = (things[wanted == 0], sellers[wanted == 1])
    lines = [
        "RootWebArea 'Shop'",
        f"    [{one}] textbox 'Thing', value '{held[0]}'",
        f"    [{other}] textbox 'Seller', value '{held[1]}'",
        f"    [{button}] button 'Search'",
        f"    StaticText 'Searched before: {', '.join(sorted({*things, *sellers} - {*held}))}'",
    ]
    lines += [f"    [{number}] link '{draws.names.name(draws.names.apart())}'" for number in more]
    actions = [options[place] for place in order][: draws.actions]
    return Scene(f"Search for {things[0]} sold by {sellers[0]}.", lines, actions, "textbox")


_SCENES: dict[Task, Callable[[_Draws], Scene]] = {"pick": _pick, "compare": _compare, "fill": _fill}


def _two_by_two(names: Drawing, *, sellers: int = 2) -> tuple[list[str], list[str]]:
    """Two things and some sellers, any of whom may meet."""
    kind = names.apart()
    other = names.apart(kind)
    return [names.name(kind) for _ in range(2)], [names.name(other) for _ in range(sellers)]


def _slots(draws: _Draws, right: T, wrong: Sequence[T]) -> list[T]:
    """The right one in the place of the best action, the others around it."""
    others = draws.roles.sample(wrong, len(wrong))
    return [*others[: draws.best], right, *others[draws.best :]]


def _numbers(draws: _Draws, count: int) -> list[int]:
    """Numbers for elements, those of further rows among them."""
    count += draws.others
    return draws.shape.sample(range(10, max(100, 3 * count)), count)


def _listing(draws: _Draws, rows: Sequence[tuple[str, str, int]], numbers: Sequence[int], element: str) -> list[str]:
    """A page of rows in any order, each with an element to act on."""
    kept = list(rows)
    for _ in range(draws.others):
        (thing, _), (seller,) = _two_by_two(draws.names, sellers=1)
        kept.append((thing, seller, draws.shape.randrange(5, 100)))
    lines = ["RootWebArea 'Shop'", "    heading 'Results'"]
    for place in draws.shape.sample(range(len(kept)), len(kept)):
        thing, seller, price = kept[place]
        lines += [
            "    listitem",
            f"        heading '{thing}'",
            f"        StaticText 'sold by {seller} for {price} coins'",
            f"        [{numbers[place]}] {element}",
        ]
    return lines
