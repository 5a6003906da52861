"""The reward of Shop-R1 (arXiv 2507.17842): does a policy act as the person did whose session was logged?

The policy's last turn is a JSON object `{"rationale": ..., "action": ...}`; the logged action is the case's
`metadata["action"]`. Either is written in any dialect of `agentjudge.actions`, or as the paper's object
`{"type": "type_and_submit" | "click" | "terminate", "name": ..., "text": ...}`.

| tier | the logged action has an element alone (click) | element and text (type) | neither (terminate) |
|---|---|---|---|
| format | 0.5 | 0.5 | 0.5 |
| type | 0.3 | 0.3 | 0.3 |
| attribute | 0.2 for naming one | 0.1 for naming one, 0.1 for giving a text | |
| value | D x ROUGE-L of the element | 0.1 x ROUGE-L of the element + D x ROUGE-L of the text | |

ROUGE-L counts from 0.75 on; an element that `same_target` takes for the same counts whole. A tier counts only where
the one before it was reached. D = 1000 in the paper, which makes every group in which one value was hit a group of that
value alone: `difficulty=1` keeps the tiers comparable. An action with a text alone, such as `goto`, is paid as a click
whose element is that text; the paper has none.

The constants are known to us by a copy of the manuscript, no code is published. The paper's smallest model reached its
score by predicting `terminate` 97% of the time: report accuracy by type of action.

`certainty`, the other part of the paper's objective, is a term such as `SelfCertainty`; its weight there is 0.005.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from agentjudge.actions import Action, parse_action, same_target
from agentjudge.case import Case
from agentjudge.errors import ConfigError, DataError, ParseError
from agentjudge.graphs.dialect import read_object
from agentjudge.registry import register
from agentjudge.rewards.base import RewardResult, of_parts
from agentjudge.rewards.reading import Fixed, OfTerms, Row, Term, total
from agentjudge.rewards.tags import last_text
from agentjudge.rewards.tiers import Rung, climb, rouge_l
from agentjudge.trace import Trace

_NAMES = {"type_and_submit": "type"}
FORMAT, TYPE, ATTRIBUTE, VALUE = "format", "type", "attribute", "value"


@dataclass(frozen=True, slots=True)
class ShopR1(OfTerms):
    """The table above, and how sure the policy was of its rationale."""

    difficulty: float = 1000.0
    """D, what the hardest tier is worth."""
    least: float = 0.75
    """The ROUGE-L from which on a value counts."""
    certainty: Term = Fixed(0.0)
    weight: float = 0.005
    """Of the certainty."""
    keys: ClassVar = (FORMAT, TYPE, ATTRIBUTE, VALUE, "rationale")

    def __post_init__(self) -> None:
        if self.difficulty < 0 or not 0 <= self.least <= 1:
            raise ConfigError("wanted difficulty >= 0 and least from 0 to 1")

    @property
    def low(self) -> float:
        """See `Declared`."""
        return min(self.weight * self.certainty.low, self.weight * self.certainty.high, 0.0)

    @property
    def high(self) -> float:
        """See `Declared`."""
        certain = max(self.weight * self.certainty.low, self.weight * self.certainty.high, 0.0)
        return 0.5 + 0.3 + 0.2 + 0.1 + self.difficulty + certain

    @property
    def terms(self) -> Mapping[str, Term]:
        """See `OfTerms`."""
        return {"rationale": self.certainty}

    def pay(self, rows: Sequence[Row], traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `OfTerms`.

        Raises:
            DataError: the case has no logged action.
        """
        logged = case.metadata.get("action")
        wanted = _action(logged)
        if wanted is None:
            raise DataError(f"case {case.id!r} has no logged action: metadata['action'] must be one, not {logged!r}")
        return [
            self._paid(total(row["rationale"]), said_action(trace), wanted)
            for row, trace in zip(rows, traces, strict=True)
        ]

    def _paid(self, certainty: float, said: Action | None, wanted: Action) -> RewardResult:
        neat = said is not None
        said = said or Action("noop")
        same = float(neat and said.kind == wanted.kind != "other")
        element, text = float(bool(said.target)), float(bool(said.text))
        both = bool(wanted.target and wanted.text)
        attributes, values = [], []
        if wanted.target:
            near = 1.0 if same_target(said, wanted) else self._near(said.target, wanted.target)
            attributes.append(Rung(ATTRIBUTE, 0.1 if both else 0.2, element))
            values.append(Rung(VALUE, 0.1 if both else self.difficulty, near))
        if wanted.text:
            attributes.append(Rung(ATTRIBUTE, 0.1 if both else 0.2, text))
            values.append(Rung(VALUE, self.difficulty, self._near(said.text, wanted.text)))
        first = [[Rung(FORMAT, 0.5, float(neat))], [Rung(TYPE, 0.3, same)]]
        paid = dict.fromkeys(self.keys, 0.0) | climb([*first, attributes, values])
        return of_parts({**paid, "rationale": self.weight * certainty * neat})

    def _near(self, said: str, wanted: str) -> float:
        near = rouge_l(said, wanted)
        return near if said and near >= self.least else 0.0


def said_action(trace: Trace) -> Action | None:
    """The action in the policy's last turn; None where that is not one JSON object with a rationale and an action."""
    try:
        said = read_object(last_text(trace))
    except ParseError:
        return None
    return _action(said.get("action")) if isinstance(said.get("rationale"), str) else None


def _action(said: Any) -> Action | None:
    if isinstance(said, str) and said.strip():
        return parse_action(said)
    kind = said.get("type") if isinstance(said, dict) else None
    if not isinstance(kind, str) or not kind.isidentifier():
        return None
    given = [said[key] for key in ("name", "text") if isinstance(said.get(key), str)]
    return parse_action(f"{_NAMES.get(kind, kind)}({', '.join(map(json.dumps, given))})")


@register("reward", "shop_r1", paper="2507.17842")
def shop_r1(
    *, difficulty: float = 1000.0, least: float = 0.75, certainty: Term | None = None, weight: float = 0.005
) -> ShopR1:
    """Shop-R1's reward: format, type, attribute and value of an action, each counted after the one before alone."""
    return ShopR1(difficulty, least, certainty or Fixed(0.0), weight)
