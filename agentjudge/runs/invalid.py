"""Proposed actions that cannot be carried out, and so need no judgement.

invalid_actions(case)       # {1: "there is no element '99' on the page", 4: "not an action"}
"""

import json
import re

from agentjudge.actions import parse_action
from agentjudge.case import ActionChoice
from agentjudge.graphs.arbiter_page import is_absent

_CALL = re.compile(r"[A-Za-z_][\w.]*\s*\(.*\)", re.DOTALL)


def invalid_actions(case: ActionChoice) -> dict[int, str]:
    """The candidates that cannot be carried out, by index, and why.

    Told is what is neither an action that `agentjudge.actions` reads nor any other call or JSON object, and what acts
    on an element by a number that no element of the page has, if the page numbers its elements.
    """
    found = {}
    for index, text in enumerate(case.candidates):
        action = parse_action(text)
        if action.kind == "other" and not _is_call(text):
            found[index] = "not an action"
        elif is_absent(action.target, case.observation):
            found[index] = f"there is no element {action.target!r} on the page"
    return found


def _is_call(text: str) -> bool:
    """Whether a text has the form of an action, of whatever name: `focus('b4')`, `{"extract": {"query": "x"}}`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _CALL.fullmatch(text.strip()) is not None
    return isinstance(value, dict | list) and bool(value)
