"""How the embedded judge compares next actions of a web agent: by the five principles of `web-arbiter`, nothing fitted.

No rows with labels of single steps may be trained on, so an action's score is the plain mean of what can be told of it
on each principle, as in `comparing`; it says nothing of how sure it is.

| principle | what is looked at, 0..1 |
|---|---|
| element reference | is the element on the page, and of a role that takes such an action? |
| coherence | does the thought speak of the element and of the text, and bear on the action? |
| progress | does what the action names bear on the goal (the verifier's relevance)? less for waits and blind moves |
| strategy | is it new? not what was done before, least of all to no effect; no answer before anything was seen |
| efficiency | how much of the goal it names, beside what the best element of the page names |

An action's score does not depend on the actions beside it, so changing their order changes nothing else. A page's text
never gives a score by what it says of itself: only names of elements are read, as words.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from agentjudge.actions import Action, parse_action, same_action
from agentjudge.case import ActionChoice
from agentjudge.models.embedded.comparing import STRENGTHS
from agentjudge.models.embedded.queries import stem, words
from agentjudge.models.embedded.trajectory_features import GOAL, PASSAGE, read_goal
from agentjudge.models.embedded.trajectory_signs import names_element, said
from agentjudge.models.embedded.verifier import Verifier
from agentjudge.tools.axtree import Node, ancestors, read_tree

PRINCIPLES = ("element reference", "coherence", "progress", "strategy", "efficiency")
"""The names that the judge asks for."""
NEUTRAL = 0.5
"""Where nothing can be told."""
MOST_SEEN = 200_000
"""Characters of a page in which an answer is looked for."""
MOST_NODES = 3_000
"""Elements that are held against the goal."""
MOST_CITED = 6
BLIND = {"noop": 0.1, "wait": 0.2, "scroll": 0.35, "hover": 0.3, "back": 0.3, "forward": 0.3, "other": 0.1}
"""Progress of actions that name nothing, which the verifier cannot read. Our guesses: no data stands behind them."""
_TYPED = frozenset({"textbox", "searchbox", "combobox", "spinbutton", "textarea", "input", "slider", "listbox"})
_CHOSEN = frozenset({"combobox", "listbox", "menu", "select", "option", "radiogroup"})


class Told(NamedTuple):
    """What is told of an action on a principle."""

    share: float
    """0..1."""
    why: str


@dataclass(frozen=True, slots=True)
class Marked:
    """An action with its marks."""

    told: dict[str, Told]
    """By principle."""
    element: str
    """Id of the element that it acts on, where the page has it; else empty."""

    @property
    def score(self) -> float:
        """The plain mean."""
        return sum(each.share for each in self.told.values()) / len(self.told)


class _Page(NamedTuple):
    nodes: list[Node]
    place: dict[str, int]
    """Of an element in `nodes`, by its id."""
    best: int
    """Stems of the goal that the best element names."""


class StepJudge:
    """Scores next actions. Not safe for concurrent calls.

    Args:
        verifier: the learned part.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def verdict(self, case: ActionChoice, citable: Sequence[str]) -> str:
        """The verdict as the JSON that the judge `web-arbiter` asks for.

        Args:
            case: the actions.
            citable: ids of what was shown.
        """
        marks, nodes = self.marks(case), _page(case.observation, case.goal).nodes
        scores = [mark.score for mark in marks]
        n = len(marks)
        order = sorted(range(n), key=lambda i: (-scores[i], case.candidates[i], _thought(case, i)))
        outcome: dict[str, Any] = {"ranking": [i + 1 for i in order]}
        if n == 1:
            outcome = {"score": round(scores[0], 4)}
        elif n == 2:
            outcome = {"preference": _preference(scores[1] - scores[0])}
        top = "; ".join(f"action {i + 1}, {mark.score:.2f}: {_weakest(mark)}" for i, mark in enumerate(marks))
        found = {
            "state": f"{len(case.history)} steps were taken; the page has {len(nodes)} elements.",
            "criteria": [_criterion(name, [mark.told[name] for mark in marks]) for name in PRINCIPLES],
            "evidence": [id for id in dict.fromkeys(m.element for m in marks if m.element) if id in citable][
                :MOST_CITED
            ],
            "reason": f"Mean of {len(PRINCIPLES)} principles, none of them fitted. {top}"[:1_200],
            **outcome,
            "confidence": None,
        }
        return json.dumps(found, ensure_ascii=False)

    def predictions(self, case: ActionChoice) -> str:
        """What each action leads to, as far as it can be told: nothing but what it does."""
        page = _page(case.observation, case.goal)
        said = [
            {"action": i, "after": f"{_described(action, page)} is done; what follows is not told."[:600]}
            for i, action in enumerate(map(parse_action, case.candidates), 1)
        ]
        return json.dumps({"predictions": said}, ensure_ascii=False)

    def marks(self, case: ActionChoice) -> list[Marked]:
        """The marks of each action, whatever stands beside it."""
        page, goal = _page(case.observation, case.goal), " ".join(case.goal.split())[:GOAL]
        actions = [parse_action(candidate) for candidate in case.candidates]
        named = [_described(action, page)[:PASSAGE] for action in actions]
        thoughts = [said(_thought(case, i))[-PASSAGE:] for i in range(len(actions))]
        relevant = self._relevance([(goal, name) for name in named])
        bears = self._relevance(
            [(thought, name) if thought else None for thought, name in zip(thoughts, named, strict=True)]
        )
        done = [parse_action(step.action) for step in case.history]
        return [
            Marked(
                {
                    "element reference": _reference(action, page),
                    "coherence": _coherence(action, page, thoughts[i], bears[i]),
                    "progress": _progress(case, action, page, relevant[i] or 0.0),
                    "strategy": _strategy(case, action, done),
                    "efficiency": _efficiency(case, action, page),
                },
                action.target if action.target in page.place else "",
            )
            for i, action in enumerate(actions)
        ]

    def _relevance(self, pairs: Sequence[tuple[str, str] | None]) -> list[float | None]:
        asked = [pair for pair in pairs if pair is not None]
        found = iter(self._verifier.score(asked).relevance if asked else ())
        return [None if pair is None else float(next(found)) for pair in pairs]


@lru_cache(maxsize=4)
def _page(observation: str, goal: str) -> _Page:
    nodes = read_tree(observation.split("\n"))
    place: dict[str, int] = {}
    for at, node in enumerate(nodes):
        if node.id:
            place.setdefault(node.id, at)
    wanted = read_goal(goal).words
    best = max((len(wanted & _stems(node.name)) for node in nodes[:MOST_NODES] if node.id), default=0)
    return _Page(nodes, place, best)


def _element(action: Action, page: _Page) -> Node | None:
    at = page.place.get(action.target.strip("[]'\" "))
    return None if at is None else page.nodes[at]


def _described(action: Action, page: _Page) -> str:
    """An action in words: what it does, to what, where that stands, and with which text."""
    element = _element(action, page)
    parts = [action.kind.replace("_", " ")]
    if element is not None:
        around = [node.name for node in ancestors(page.nodes, page.place[element.id])[1:] if node.name][-1:]
        parts += [element.role, repr(element.name) if element.name else "", *(f"in {name!r}" for name in around)]
    elif action.target and not names_element(action):
        parts.append(action.target[:PASSAGE])
    if action.text:
        parts.append(f": {action.text[:PASSAGE]}")
    return " ".join(filter(None, parts))


def _reference(action: Action, page: _Page) -> Told:
    if action.kind == "other":
        return Told(0.0, "it is no action that is understood")
    if not action.target:
        return (
            Told(0.0, "it names no element") if action.kind in ("click", "select") else Told(1.0, "it needs no element")
        )
    element = _element(action, page)
    if element is None:
        if not names_element(action) or not page.place:
            return Told(NEUTRAL, "the page has no ids to look it up by")
        return Told(0.0, f"the page has no element {action.target}")
    wants = {"type": _TYPED, "select": _CHOSEN}.get(action.kind)
    if wants is not None and element.role and element.role.casefold() not in wants:
        return Told(0.3, f"element {element.id} is there, but is a {element.role}")
    return Told(1.0, f"element {element.id} is there")


def _coherence(action: Action, page: _Page, thought: str, bears: float | None) -> Told:
    if not thought or bears is None:
        return Told(NEUTRAL, "no thought is given")
    element = _element(action, page)
    named = _stems(f"{element.name if element else ''} {action.text}")
    met = len(named & _stems(thought)) / len(named) if named else NEUTRAL
    return Told((met + bears) / 2, f"the thought names {met:.0%} of it and bears on it by {bears:.2f}")


def _progress(case: ActionChoice, action: Action, page: _Page, relevant: float) -> Told:
    if action.kind == "answer":
        goal = read_goal(case.goal)
        if goal.asks and not action.text.strip():
            return Told(0.1, "it answers nothing, though the task asks for an answer")
        pages = [case.observation[:MOST_SEEN], *(step.observation[:MOST_SEEN] for step in case.history[-5:])]
        text = "\n".join(pages).casefold()
        values = [value for value in read_goal(action.text).values if value not in case.goal.casefold()]
        met = sum(value in text for value in values) / len(values) if values and text.strip() else NEUTRAL
        return Told((relevant + met) / 2, f"the answer bears on the task by {relevant:.2f}, {met:.0%} of it was seen")
    if action.kind in BLIND:
        return Told(BLIND[action.kind], f"a {action.kind} names nothing that the task asks for")
    return Told(relevant, f"what it names bears on the task by {relevant:.2f}")


def _strategy(case: ActionChoice, action: Action, done: Sequence[Action]) -> Told:
    if action.kind == "answer" and not done:
        return Told(0.2, "it ends the run before anything was done")
    if not done:
        return Told(1.0, "nothing was done before")
    same = [i for i, other in enumerate(done) if same_action(action, other)]
    if not same or (action.kind == "scroll" and same[-1] < len(done) - 3):
        return Told(1.0, "it was not done before")
    last = same[-1]
    after = case.history[last + 1] if last + 1 < len(case.history) else None
    page, url = (after.observation, after.url) if after is not None else (case.observation, case.url)
    before = case.history[last]
    idle = bool(before.observation) and before.observation == page and before.url == url
    if before.error or idle:
        return Told(0.0, f"it was done at step {last}, {'and failed' if before.error else 'to no effect'}")
    return Told(0.5 if action.kind == "scroll" else 0.3, f"it was done at step {last} already")


def _efficiency(case: ActionChoice, action: Action, page: _Page) -> Told:
    wanted = read_goal(case.goal).words
    element = _element(action, page)
    own = len(wanted & (_stems(element.name if element else "") | _stems(action.text)))
    if not page.best:
        return Told(NEUTRAL, "no element of the page names anything of the task")
    return Told(
        min(1.0, own / page.best), f"it names {own} words of the task, the best element of the page {page.best}"
    )


def _criterion(name: str, told: Sequence[Told]) -> dict[str, Any]:
    weight = round(1 / len(PRINCIPLES), 4)
    reason = "; ".join(f"action {i}: {each.why}" for i, each in enumerate(told, 1))[:600]
    if len(told) == 1:
        return {"name": name, "weight": weight, "reason": reason, "score": round(told[0].share, 4)}
    top = max(each.share for each in told)
    best = [i for i, each in enumerate(told, 1) if each.share == top]
    return {"name": name, "weight": weight, "reason": reason, "best": best[0] if len(best) == 1 else "tie"}


def _weakest(mark: Marked) -> str:
    name, told = min(mark.told.items(), key=lambda each: each[1].share)
    return f"{name} {told.share:.2f}, {told.why}"


def _preference(gap: float) -> int:
    gap = round(gap, 6)
    strength = bool(gap) + sum(abs(gap) >= step for step in STRENGTHS)
    return strength if gap > 0 else -strength


def _thought(case: ActionChoice, number: int) -> str:
    return case.thoughts[number] if case.thoughts else ""


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, words(text[:2_000])))
