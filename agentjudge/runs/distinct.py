"""Equal candidates are judged once: agents that are sampled several times often propose the same.

    policy = Distinct(Knockout(Swap(agreed_or_tie)))     # of click('12'), click("12"), noop(): one match

Actions are equal where `agentjudge.actions.same_action` says so, what they type is written alike, and their wording
tells no difference of manner, such as `check` and `uncheck`. Several actions in one text are equal where their texts
are, and so are actions in JSON, and answers. The first one of a group is judged with its thought, and the others share
its place: they stand directly behind it, in their own order, with its points. Ids of matches (`ID~0v1`) count the
different candidates. Where all are the same nothing is asked: the verdict ranks them as listed, or is a tie of two.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentjudge.actions import Action, parse_action, same_action
from agentjudge.case import ActionChoice, Case
from agentjudge.runs.ordering import candidates, options_of, reordered
from agentjudge.runs.policies import Ask, Outcome, Policy, lot_of
from agentjudge.verdict import Provenance, Verdict

Groups = tuple[tuple[int, ...], ...]
_MANNER = re.compile(
    r"dbl|double|right|middle|uncheck|check|clear|ctrl|control|shift|alt|meta|report|infeasible|\[0\]\s*$"
)
"""Parts of an action that its common form leaves out, although they change what it does."""
_CALLS = re.compile(r"\)\s*[;,&|]?\s*\w+\(")


@dataclass(frozen=True, slots=True)
class Distinct:
    """A policy on the different candidates alone; its outcome is on all of them."""

    inner: Policy
    seed: int = 0
    """Of the lot between two different candidates that tie, where there are more than two in all."""

    async def decide(self, case: Case, ask: Ask) -> Outcome:
        """See `Policy`."""
        n, groups = len(candidates(case)), groups_of(case)
        if len(groups) == n:
            return await self.inner.decide(case, ask)
        if len(groups) == 1:
            return _all_the_same(case)
        firsts = [group[0] for group in groups]
        found = await self.inner.decide(reordered(case, firsts, id=case.id), ask)
        verdict, drawn = self._on_all(case, found.verdict, groups)
        undecided = [tuple(firsts[i] for i in each) for each in found.undecided]
        if drawn and not undecided:
            undecided = [tuple(firsts)]
        return replace(
            found,
            verdict=verdict,
            runs=tuple(replace(run, order=tuple(firsts[i] for i in run.order)) for run in found.runs),
            points=_shared(found.points, groups, n),
            lots=found.lots + drawn,
            undecided=tuple(undecided),
        )

    def _on_all(self, case: Case, verdict: Verdict, groups: Groups) -> tuple[Verdict, int]:
        """The verdict on all candidates, and how many of them were placed by lot for it."""
        order, drawn = verdict.ranking, 0
        if verdict.preference is not None:
            order = (0, 1) if verdict.preference < 0 else (1, 0)
            if verdict.preference == 0:
                order, drawn = tuple(lot_of(self.seed, case).sample(range(2), 2)), 2
        if order is None:  # nothing was decided, or nothing was chosen
            return verdict, 0
        ranking = tuple(i for group in order for i in groups[group])
        return verdict.model_copy(update={"preference": None, "ranking": ranking}), drawn


def groups_of(case: Case) -> Groups:
    """Indexes of equal candidates: groups in the order of their first ones, each ascending."""
    texts = options_of(case)
    if not isinstance(case, ActionChoice):
        alike: dict[str, list[int]] = {}
        for i, text in enumerate(texts):
            alike.setdefault(text.strip(), []).append(i)
        return tuple(map(tuple, alike.values()))
    actions = [parse_action(text) for text in texts]
    groups: list[list[int]] = []
    for i, action in enumerate(actions):
        group = next((group for group in groups if _same(actions[group[0]], action)), None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
    return tuple(map(tuple, groups))


def _same(a: Action, b: Action) -> bool:
    one, other = _json(a.raw), _json(b.raw)
    if one is not None and other is not None:
        return one == other
    if any(_several(raw) for raw in (a.raw, b.raw)):  # of which the common form has the first alone
        return a.raw.split() == b.raw.split()
    return same_action(a, b) and a.text.split() == b.text.split() and _manner(a) == _manner(b)


def _json(raw: str) -> str | None:
    """An action in JSON, a list of one as that one; None where it is none. Numbers may be written as texts."""
    if raw.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        value = json.loads(raw, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return json.dumps(value, sort_keys=True)


def _several(raw: str) -> bool:
    """Whether there may be more than one action in a text."""
    return len(raw.strip().splitlines()) > 1 or raw.lstrip()[:1] == "[" or _CALLS.search(raw) is not None


def _manner(action: Action) -> list[str]:
    return sorted(_MANNER.findall(action.raw.casefold()))


def _all_the_same(case: Case) -> Outcome:
    n = len(options_of(case))
    said = f"all {n} candidates are the same; nothing was asked"
    outcome = {"preference": 0} if n == 2 else {"ranking": tuple(range(n))}
    provenance = Provenance(judge="distinct")
    verdict = Verdict.model_validate(
        {"case_id": case.id, "status": "scored", **outcome, "rationale": said, "provenance": provenance}
    )
    return Outcome(verdict, ())


def _shared(points: Sequence[float | None], groups: Groups, n: int) -> tuple[float | None, ...]:
    """The points of each candidate: those of its group."""
    if not points:
        return ()
    group_of = {i: place for place, group in enumerate(groups) for i in group}
    return tuple(points[group_of[i]] for i in range(n))
