"""What the outcome of a run is told by: numbers of its signs, of how its goal was taken up, and of what it answered.

    Featurer(Verifier.load()).features(run, read_signs(run))      # {"steps": 2.08, "answered": 1.0, ...}

| group | of what |
|---|---|
| shape | length, kinds of actions, repeats, cycles, idle steps |
| goal | whether it asks for an answer, how long it is, how many values it names, which of them were typed or answered |
| end | whether there is an answer, what it says of itself, what the last thoughts hedge |
| reading | what the learned verifier makes of goal, last thoughts and answer |

No feature is the name of an agent, of a model or of a benchmark, and none is a reward. What only pages can tell
(missing elements, errors, an answer that the pages contradict) is in `trajectory_pages`: no run with labels has pages,
so no weight of it can be learned.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentjudge.case import Trajectory
from agentjudge.models.embedded.queries import names, stem, words
from agentjudge.models.embedded.trajectory_signs import LAST, Signs, said
from agentjudge.models.embedded.verifier import Verifier

GOAL = 600
"""Characters of the goal that the verifier reads."""
MOST_ANSWER = 4_000
"""Characters of the answer that are looked at."""
MOST_GOAL = 4_000
"""Characters of the goal that are looked at."""
MOST_GIVEN = 200_000
"""Characters of all that was typed, chosen or answered that are looked at."""
PASSAGE = 400
"""Characters of a thought, from its end, and of the answer, from its beginning, that the verifier reads."""
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{1,120})[\"”]|(?<!\w)'([^'\n]{2,120})'(?!\w)")
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
_ASKS = re.compile(
    r"\?|^\W*(?:what|which|who|whose|whom|when|where|why|how|tell|answer|compare|identify|list|count|give|get|"
    r"calculate|among|is|are|does|do|did)\b|\b(?:tell me|what is|how many|how much|who is)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*])\s", re.MULTILINE)
_CONDITIONS = re.compile(
    r"\b(?:and|then|also|all|every|each|at least|at most|more than|less than|under|over|between|within|before|after|"
    r"most|least|cheapest|highest|lowest|latest|except|without|with|same|if|else|otherwise)\b",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"\b(?:image|picture|photo|screenshot)s?\b", re.IGNORECASE)
_HEDGED = re.compile(
    r"\b(?:however|but|although|unfortunately|seems?|appears?|might|may|try|trying|again|instead|unclear|not sure|"
    r"likely|assum\w+|cannot|can't|unable|not (?:visible|found|available|directly|clear)|no (?:results?|longer)|error|"
    r"fail\w*|incorrect|wrong)\b",
    re.IGNORECASE,
)
_COMMITTED = re.compile(
    r"\b(?:submit\w*|sav(?:e|ing)|apply|confirm\w*|place (?:the |my )?order|order now|add to|post(?:ing)?|"
    r"creat(?:e|ing)|delet(?:e|ing)|updat(?:e|ing)|send|fulfill|finali[sz]e|complete the)\b",
    re.IGNORECASE,
)
_NEXT = re.compile(r"\b(?:next|first|start|begin|need to find|proceed|continue)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a goal asks for."""

    text: str
    asks: bool
    """It wants something told."""
    values: tuple[str, ...]
    """What it quotes, numbers, and names, in lower case."""
    words: frozenset[str]
    """Stems of its content words."""


def read_goal(text: str) -> Goal:
    """What a goal asks for, from its first `MOST_GOAL` characters."""
    text = text[:MOST_GOAL]
    quoted = [a or b for a, b in _QUOTED.findall(text)]
    found = [*quoted, *_NUMBER.findall(text), *(name for name in names(text) if not text.startswith(name))]
    values = dict.fromkeys(" ".join(value.split()).casefold() for value in found)
    kept = tuple(value for value in values if any(map(str.isalnum, value)))[:40]
    return Goal(text, bool(_ASKS.search(text)), kept, frozenset(map(stem, words(text))))


class Featurer:
    """Makes the features of runs.

    Args:
        verifier: the learned part.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def features(self, run: Trajectory, signs: Signs) -> dict[str, float]:
        """The features of a run by name."""
        goal = read_goal(run.goal)
        answer = " ".join((run.final_answer or "").split())[:MOST_ANSWER]
        thoughts = [said(run.steps[i].thought) for i in range(len(run.steps))]
        return {
            **_shape(run, signs),
            **_goal(goal, signs, answer),
            **_end(goal, signs, run, answer, thoughts),
            **self._reading(goal, answer, thoughts),
        }

    def _reading(self, goal: Goal, answer: str, thoughts: Sequence[str]) -> dict[str, float]:
        """What the verifier makes of it; the neutral middle where there is nothing to read."""
        asked = " ".join(goal.text.split())[:GOAL]
        spoken = [thought for thought in thoughts if thought]
        last = [thought[-PASSAGE:] for thought in spoken[-LAST:]]
        pairs = [(asked, thought) for thought in last]
        if answer:
            pairs += [(asked, answer[:PASSAGE])]
            pairs += [(answer[:PASSAGE], " ".join(last))] if last else []
        found = {"on_goal": 0.5, "entailed": 0.0, "answer_on_goal": 0.5, "answer_support": 0.0, "answer_entails": 0.0}
        if not pairs:
            return found
        scores = self._verifier.score(pairs)
        balance = scores.probabilities[:, 0] - scores.probabilities[:, 1]
        n = len(last)
        if n:
            found["on_goal"] = float(scores.relevance[:n].mean())
            found["entailed"] = float(balance[n - 1])
        if answer:
            found["answer_on_goal"], found["answer_entails"] = float(scores.relevance[n]), float(balance[n])
            if n:
                found["answer_support"] = float(balance[n + 1])
        return found


def _shape(run: Trajectory, signs: Signs) -> dict[str, float]:
    count = max(1, len(signs.taken))
    kinds = [signs.actions[i].kind for i in signs.taken]
    acting = [i for i in signs.taken if signs.actions[i].kind not in ("noop", "wait", "scroll")]
    late = [i for i in signs.repeated if i in signs.taken[-4:]]

    def share(*names: str) -> float:
        return sum(kind in names for kind in kinds) / count

    return {
        "steps": math.log1p(signs.length),
        "again": len(signs.again) / max(1, len(acting)),
        "repeated": len(signs.repeated) / max(1, len(acting)),
        "repeats": math.log1p(len(signs.repeated)),
        "cycled": len(signs.cycled) / max(1, len(acting)),
        "retyped": math.log1p(len(signs.retyped)),
        "repeats_late": len(late) / 4,
        "same_thought": len(signs.same_thought) / count,
        "idle": share("noop", "wait"),
        "scrolls": share("scroll"),
        "back": share("back", "goto", "forward"),
        "typed": share("type", "select"),
        "tabs": share("focus_tab", "new_tab", "close_tab"),
    }


def _goal(goal: Goal, signs: Signs, answer: str) -> dict[str, float]:
    texts = [signs.actions[i].text for i in signs.taken]
    given = " ".join([answer, *texts])[:MOST_GIVEN].casefold()
    met = frozenset(map(stem, words(given)))
    return {
        "asks": float(goal.asks),
        "goal_length": math.log1p(len(goal.text.split())),
        "goal_points": math.log1p(len(_NUMBERED.findall(goal.text))),
        "goal_conditions": math.log1p(len(_CONDITIONS.findall(goal.text))),
        "goal_values": math.log1p(len(goal.values)),
        "goal_picture": float(bool(_PICTURE.search(goal.text))),
        "values_given": sum(value in given for value in goal.values) / len(goal.values) if goal.values else 0.5,
        "words_given": len(goal.words & met) / max(1, len(goal.words)),
    }


def _end(goal: Goal, signs: Signs, run: Trajectory, answer: str, thoughts: Sequence[str]) -> dict[str, float]:
    spoken = [thought for thought in thoughts if thought]
    last = " ".join(spoken[-LAST:])
    final = spoken[-1] if spoken else ""
    ending = signs.actions[signs.taken[-1]].kind if signs.taken else "noop"
    count = max(1, len(last.split()))
    answered = bool(answer)
    return {
        "answered": float(answered),
        "answered_asked": float(answered and goal.asks),
        "unanswered_asked": float(not answered and goal.asks),
        "answer_length": math.log1p(len(answer.split())),
        "answer_numbers": float(bool(re.search(r"\d", answer))),
        "refused": float(signs.refused),
        "asked_back": float(signs.asked_back),
        "claimed": float(answered and signs.claimed),
        "blocked": float(bool(signs.blocked) or signs.answer_blocked),
        "hedged": 20 * len(_HEDGED.findall(last)) / count if last else 0.0,
        "hedged_answer": math.log1p(len(_HEDGED.findall(answer))),
        "committed": float(bool(_COMMITTED.search(final))),
        "next": float(bool(_NEXT.search(final))),
        "ends_click": float(ending in ("click", "press")),
        "ends_idle": float(ending in ("noop", "wait", "scroll", "back", "goto")),
        "steps_unanswered": 0.0 if answered else math.log1p(signs.length),
    }
