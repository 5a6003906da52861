"""What can be told of a run of a web agent by looking at it, without a model: repeats, no-ops, errors, dead ends.

    signs = read_signs(run)
    signs.repeated                  # (4, 5, 6): steps that do again what an earlier one did
    signs.missing                   # (7,): steps that act on an element that their page does not have
    signs.blocked                   # ((9, "observation"),): a captcha, a login, an error page

Every sign is a tuple of step numbers, so that a verdict can name and cite them. Reading takes linear time: of a page
its ids and its first `HEAD` characters are looked at, of a thought the first `MOST_THOUGHT`. What an agent says of
itself (`claimed`, `refused`, `asked_back`) is a sign of what it said, not of what is so.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentjudge.actions import Action, parse_action
from agentjudge.case import Step, Trajectory
from agentjudge.tools.axtree import node

HEAD = 3_000
"""Characters of a page in which a sign of being blocked is looked for: an error page is short."""
MOST_THOUGHT = 2_000
"""Characters of a thought that are looked at."""
LAST = 3
"""Steps that count as the end of a run."""
_IDLE = ("noop", "wait")
_ACTING = ("click", "type", "select", "press", "upload", "drag")
_POINTED = ("click", "type", "select", "hover", "upload")
"""Kinds of actions that name an element."""
_ID = re.compile(r"[A-Za-z]{0,3}\d{1,8}")
_BLOCKED = re.compile(
    r"captcha|are you (?:a )?(?:human|robot)|(?:robot|bot) (?:detection|check|verification)|not a robot|"
    r"you are (?:a )?human|unusual traffic|access (?:has been |is |was )?denied|403 forbidden|checking your browser|"
    r"too many requests|rate limit(?:ed)? exceeded|(?:502|503|504) (?:bad|service|gateway)|service unavailable|"
    r"site can.?t be reached|err_[a-z]+_[a-z_]+|chrome-error://|(?:log ?in|sign ?in|authentication) (?:is )?required|"
    r"(?:must|need to|please) (?:log|sign) in to (?:continue|proceed|view|access)",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\b(?:unable|unfortunately|infeasible|impossible|sorry|apolog\w+)\b|"
    r"\b(?:can|could|can ?not|does|did|do|was|were|is|are|has|have)(?:n['’]t| not)\b|\bcannot\b|"
    r"\bno (?:\w+ ){0,6}(?:found|available|match\w*|exists?|listed|associated|displayed)\b|"
    r"\b(?:no|zero) (?:results?|records?|such|match\w*|information|entries|items?|products?|reviews?|posts?)\b|"
    r"\bnone of\b|\bnot (?:found|available|mentioned|provided|specified|visible|possible|listed)\b",
    re.IGNORECASE,
)
_ASKED_BACK = re.compile(
    r"\?\s*$|\b(?:would you like|could you (?:please )?(?:provide|tell|help|clarify)|"
    r"please (?:provide|try|clarify|let)|"
    r"let me know (?:which|what|how|if you (?:want|would))|need your help|your guidance|manually)\b",
    re.IGNORECASE,
)
_CLAIMED = re.compile(
    r"\b(?:successful(?:ly)?|complete[ds]?|has been (?:\w+ly )?\w+ed|have been (?:\w+ly )?\w+ed|done|finished)\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?\w+>")


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of a run. Steps are numbers from 0; waits count as no repeat, and neither do scrolls."""

    actions: tuple[Action, ...]
    """One a step; a step that took none has kind "noop" and `raw` empty."""
    taken: tuple[int, ...]
    """Steps that took an action."""
    again: tuple[int, ...]
    """Steps that do what the action before them did."""
    repeated: tuple[int, ...]
    """Steps that do what any earlier one did."""
    cycled: tuple[int, ...]
    """Steps that go on with a cycle of one to three actions."""
    retyped: tuple[int, ...]
    """Steps that type what an earlier one typed."""
    same_thought: tuple[int, ...]
    """Steps whose thought says nearly what one of the five before says."""
    idle: tuple[int, ...]
    """Steps that do nothing or wait."""
    unchanged: tuple[int, ...]
    """Steps after whose action page and address were as before, where they are recorded."""
    missing: tuple[int, ...]
    """Steps that act on an element whose id their page does not have, where pages have ids."""
    failed: tuple[int, ...]
    """Steps with an error."""
    blocked: tuple[tuple[int, str], ...]
    """Of the last steps, those with a sign that the agent was kept out, and the part where it stands: `url`,
    `observation`, `error`, or `thought`, which is looked at where no page is recorded."""
    answer_blocked: bool
    """The answer says so, where no page is recorded."""
    refused: bool
    """The answer says that something is not there or cannot be done."""
    asked_back: bool
    """The answer asks the user for something."""
    claimed: bool
    """The answer, or without one the last thought, says that it is done. A claim, and no evidence."""
    pages: bool
    """Some page is recorded."""
    length: int
    """Actions taken; where none is recorded, the steps before the last page."""


def read_signs(run: Trajectory) -> Signs:
    """The signs of a run."""
    steps = run.steps
    actions = tuple(parse_action(step.action) for step in steps)
    taken = tuple(i for i, step in enumerate(steps) if step.action.strip())
    acting = [i for i in taken if actions[i].kind not in (*_IDLE, "scroll")]
    keys = {i: _key(actions[i]) for i in acting}
    pages = any(step.observation.strip() for step in steps)
    answer = run.final_answer or ""
    last_thought = next((step.thought for step in reversed(steps) if step.thought.strip()), "")
    return Signs(
        actions=actions,
        taken=taken,
        again=tuple(i for before, i in zip(acting, acting[1:], strict=False) if keys[before] == keys[i]),
        repeated=tuple(_met_before(acting, keys)),
        cycled=tuple(_cycled(acting, keys)),
        retyped=tuple(_met_before([i for i in acting if actions[i].kind == "type"], _texts(actions, acting))),
        same_thought=tuple(_alike(steps)),
        idle=tuple(i for i in taken if actions[i].kind in _IDLE),
        unchanged=tuple(_unchanged(steps, actions)),
        missing=tuple(_missing(steps, actions)),
        failed=tuple(i for i, step in enumerate(steps) if step.error),
        blocked=tuple(_blocked(steps, pages=pages)),
        answer_blocked=not pages and bool(_BLOCKED.search(answer)),
        refused=bool(_REFUSED.search(answer)),
        asked_back=bool(_ASKED_BACK.search(answer)),
        claimed=bool(_CLAIMED.search(answer or last_thought[:MOST_THOUGHT])),
        pages=pages,
        length=len(taken) or max(0, len(steps) - 1),
    )


def said(thought: str) -> str:
    """A thought as words: its first `MOST_THOUGHT` characters without tags; empty where it only says the action."""
    inner = re.sub(r"<action>.*?(?:</action>|\Z)", " ", thought[:MOST_THOUGHT], flags=re.DOTALL)
    return " ".join(_TAG.sub(" ", inner).split())


def element_ids(page: str) -> frozenset[str]:
    """The ids of a page's elements; empty where it has none."""
    found = (node(line) for line in re.split(r"\n|(?<=;)\t", page) if "[" in line)
    return frozenset(each.id for each in found if each is not None and each.id)


def names_element(action: Action) -> bool:
    """Whether an action points at an element by an id, so that it can be looked up."""
    return action.kind in _POINTED and _ID.fullmatch(action.target) is not None


def _key(action: Action) -> tuple[str, str, str]:
    if action.kind == "other":
        return action.kind, "", " ".join(action.raw.split()).casefold()
    return action.kind, action.target.casefold(), " ".join(action.text.split()).casefold()


def _texts(actions: Sequence[Action], of: Sequence[int]) -> dict[int, tuple[str, ...]]:
    return {i: (" ".join(actions[i].text.split()).casefold(),) for i in of}


def _met_before(
    order: Sequence[int], keys: dict[int, tuple[str, ...]] | dict[int, tuple[str, str, str]]
) -> Iterator[int]:
    met: set[tuple[str, ...]] = set()
    for i in order:
        if keys[i] in met:
            yield i
        elif any(keys[i]):
            met.add(keys[i])


def _cycled(order: Sequence[int], keys: dict[int, tuple[str, str, str]]) -> Iterator[int]:
    """A step whose last 2 x period actions are one cycle said twice."""
    row = [keys[i] for i in order]
    for at, i in enumerate(order):
        if any(
            at + 1 >= 2 * period and row[at + 1 - period : at + 1] == row[at + 1 - 2 * period : at + 1 - period]
            for period in (1, 2, 3)
        ):
            yield i


def _alike(steps: Sequence[Step]) -> Iterator[int]:
    """Thoughts of which at least 80% of the words, counted over both, are those of one of the five before."""
    recent: list[frozenset[str]] = []
    for i, step in enumerate(steps):
        words = frozenset(said(step.thought).casefold().split())
        if len(words) > 5:
            if any(len(words & other) >= 0.8 * len(words | other) for other in recent[-5:]):
                yield i
            recent.append(words)


def _unchanged(steps: Sequence[Step], actions: Sequence[Action]) -> Iterator[int]:
    for i, (step, after) in enumerate(zip(steps, steps[1:], strict=False)):
        if actions[i].kind in _ACTING and step.observation and after.observation:
            if step.observation == after.observation and step.url == after.url:
                yield i


def _missing(steps: Sequence[Step], actions: Sequence[Action]) -> Iterator[int]:
    for i, (step, action) in enumerate(zip(steps, actions, strict=True)):
        if names_element(action) and (ids := element_ids(step.observation)) and action.target not in ids:
            yield i


def _blocked(steps: Sequence[Step], *, pages: bool) -> Iterator[tuple[int, str]]:
    first = max(0, len(steps) - LAST)
    for i in range(first, len(steps)):
        step = steps[i]
        texts = {"url": step.url or "", "observation": step.observation[:HEAD], "error": (step.error or "")[:HEAD]}
        if not pages:
            texts["thought"] = step.thought[:MOST_THOUGHT]
        for part, text in texts.items():
            if _BLOCKED.search(text):
                yield i, part
                break
