"""Gold traces to imitate: a model that knows how to find out, playing the real judge with its real tools.

    async for case, trace in demonstrations(gym.worlds(), slop=Slop(superfluous=0.3)):
        ...                                     # right, with complete evidence; stop when there are enough

The oracle of a world searches for the root of a claim, follows what the documents tell from name to name, and
concludes. It knows the world, but uses nothing that it has not been shown: every name that it searches for stands in
the claim or in a sentence that was found before, and it cites what was found. A judgement that it cannot bring to the
right end (too small a budget, a search that does not find) is an error, not a demonstration.

`Slop` makes it waste searches, or begin at the wrong end, and still come out right: a policy that has only ever seen
the shortest way does not know what to do after a step aside, and has nothing to unlearn by a price on calls.
"""

import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from agentjudge.budget import Budget
from agentjudge.case import NOT_ENOUGH_INFO, Claim, complete_group
from agentjudge.errors import ConfigError, DataError
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.profiles import GENERIC, ModelProfile
from agentjudge.registry import lookup, register
from agentjudge.tools.retrieve import Retrieve
from agentjudge.trace import Message, Trace, Turn
from agentjudge.training.gym.cells import Truth
from agentjudge.training.gym.claims import World

Protocol = Literal["tools", "tags"]
ASIDE = 0.75
"""Of the superfluous searches, those for something that leads nowhere; the others ask again what was asked before."""
ENOUGH = "I have seen enough."
"""Said by a free turn that calls nothing more; the verdict is asked for then."""


@dataclass(frozen=True, slots=True)
class Slop:
    """How careless to be, as probabilities."""

    superfluous: float = 0.0
    """Of a search that brings nothing new to the claim, after each search."""
    disorder: float = 0.0
    """Of beginning with what the claim ends with."""

    def __post_init__(self) -> None:
        if not 0 <= self.superfluous < 1 or not 0 <= self.disorder <= 1:
            raise ConfigError("superfluous searches have a probability from 0 to below 1, disorder one from 0 to 1")


class Demonstration(NamedTuple):
    """A case with its gold, and how it was judged rightly."""

    case: Claim
    trace: Trace


class Oracle:
    """A model that verifies the claims of one world.

    Args:
        world: of the claims.
        slop: how careless it is, as far as the budget allows.
        seed: of its carelessness.
        protocol: `tools`, or the tags of Veri-R1.
    """

    def __init__(self, world: World, *, slop: Slop | None = None, seed: int = 0, protocol: Protocol = "tools") -> None:
        if protocol not in get_args(Protocol):
            raise ConfigError(f"unknown protocol {protocol!r}; there is 'tools' and 'tags'")
        self.name = "oracle"
        self.profile = GENERIC if protocol == "tools" else ModelProfile(family="oracle", protocol="tags")
        self._world, self._slop, self._seed = world, slop or Slop(), seed

    async def act(self, request: Request) -> Turn:
        """Search on, or conclude."""
        truth = self._world.truth(request.case.id)
        seen = _Seen(request, truth)
        query = self._query(request, truth, seen) if request.phase == "act" else None
        if self.profile.protocol == "tags":
            return say(_tags(request, truth, seen, query))
        if query is not None:
            return calling("retrieve", {"query": query}, len(request.events))
        return say(ENOUGH if request.phase == "act" else _verdict(truth, seen))

    async def aclose(self) -> None:
        """Nothing to release."""

    def _query(self, request: Request, truth: Truth, seen: "_Seen") -> str | None:
        """What to search for next; None where all is found, or cannot be."""
        owed = seen.owed
        left = min(request.remaining.get("tool_calls", 0), request.remaining.get("turns", 0))
        rng = random.Random(f"{self._seed}/{request.case.id}/{len(request.events)}")
        if left > len(owed):
            if owed and not seen.asked and rng.random() < self._slop.disorder:
                return truth.claimed
            if seen.asked and rng.random() < self._slop.superfluous:
                return rng.choice(seen.beside if seen.beside and rng.random() < ASIDE else seen.asked)
        if not owed or left < 1:
            return None
        owner, verb = owed[0]
        return owner if owner not in seen.asked else f"{owner} {verb}"


class _Seen:
    """What has been found of the way, and what not."""

    def __init__(self, request: Request, truth: Truth) -> None:
        refs = [*request.opening, *(ref for event in request.events for ref in event.refs)]
        self.ids = {ref.id for ref in refs}
        self.asked = [str(event.args.get("query", "")) for event in request.events]
        self.links = [link for link in truth.links if self.ids.intersection(link.ids)]
        steps = [(link.owner, link.relation.verb, bool(self.ids.intersection(link.ids))) for link in truth.links]
        if truth.missing:
            verb = truth.chain[len(truth.links)].verb
            steps.append((truth.missing, verb, any(ref.doc == truth.missing for ref in refs)))
        self.owed = [(owner, verb) for owner, verb, found in steps if not found]
        """Of whom the next step is not known yet, with what it does, in order."""
        way = {truth.root, *(owner for owner, _, _ in steps)}
        names = [word.strip(",.") for ref in refs for word in (ref.quote or "").split() if word[0].isupper()]
        self.beside = sorted({name for name in names if name not in way and name not in self.asked})
        """Names that were shown and of which nothing has to be known, what was found last among them."""

    @property
    def found(self) -> str:
        """What has been found, in words."""
        return " ".join(f"{link.owner} {link.relation.verb} {link.object}." for link in self.links)

    def cited(self) -> list[str]:
        """The first sentence that was shown of each step."""
        return [next(id for id in link.ids if id in self.ids) for link in self.links]


async def demonstrations(
    worlds: Iterable[World],
    *,
    slop: Slop | None = None,
    budget: Budget | None = None,
    protocol: Protocol = "tools",
    k: int = 3,
    seed: int = 0,
) -> AsyncIterator[Demonstration]:
    """The claims of worlds, verified by their oracles in the judge `veri-r1`; as many as are asked for.

    Args:
        worlds: may be without end.
        slop: how careless the oracles are.
        budget: of a judgement; the judge's own, of three searches, when None.
        protocol: `tools`, or the tags of Veri-R1.
        k: passages that a search shows.
        seed: of carelessness, and of all else that is drawn.

    Raises:
        DataError: an oracle could not find its way; give it more searches, or larger `k`.
    """
    spec = lookup("judge", "veri-r1").target()
    for world in worlds:
        oracle = Oracle(world, slop=slop, seed=seed, protocol=protocol)
        judge = Judge(spec, model=oracle, tools=[Retrieve(world.corpus, world.index, k=k)], budget=budget, seed=seed)
        try:
            for case in world.cases:
                trace = await judge.arun(case)
                _check(case, trace)
                yield Demonstration(case, trace)
        finally:
            await judge.aclose()


@register("training", "oracle")
def oracle(world: World, *, slop: Slop | None = None, seed: int = 0, protocol: Protocol = "tools") -> Oracle:
    """A model that verifies the claims of a generated world by searching, for traces to imitate."""
    return Oracle(world, slop=slop, seed=seed, protocol=protocol)


def _check(case: Claim, trace: Trace) -> None:
    """Refuse what is not to be imitated."""
    verdict, gold = trace.verdict, case.gold
    assert gold is not None  # it is a generated case
    cited = {ref.id for ref in verdict.evidence}
    if (
        verdict.status != "scored"
        or verdict.label != gold.label
        or not (complete_group(cited, gold) or not gold.evidence)
    ):
        told = verdict.failure.message if verdict.failure else f"{verdict.label} with {sorted(cited)}"
        raise DataError(
            f"the oracle did not find its way in {case.id!r}: {told}, where gold is {gold.label}; give it more "
            "searches (budget), or show more of what they find (k)"
        )


def calling(tool: str, args: dict[str, Any], number: int) -> Turn:
    """A turn that calls a tool; `number` is that of the call in its judgement."""
    function = {"name": tool, "arguments": json.dumps(args, ensure_ascii=False)}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    message: Message = {"role": "assistant", "content": "", "tool_calls": [call]}
    return Turn(message_out=message, finish_reason="tool_calls", model_version="oracle")


def say(text: str) -> Turn:
    """A turn that says something."""
    return Turn(message_out={"role": "assistant", "content": text}, model_version="oracle")


def _label(truth: Truth, seen: _Seen) -> str:
    """The label, by what was found: an oracle whose searches were cut off does not say what it has not seen."""
    return NOT_ENOUGH_INFO if seen.owed else truth.label


def _reason(truth: Truth, seen: _Seen) -> str:
    label = _label(truth, seen)
    if label != NOT_ENOUGH_INFO:
        so = "and so it is" if label == "SUPPORT" else "which it is not"
        return f"{seen.found} Claimed is {truth.claimed}, {so}."
    at = seen.links[-1].object if seen.links else truth.root
    noun = truth.chain[min(len(seen.links), len(truth.chain) - 1)].noun
    return f"{seen.found} Nothing tells the {noun} of {at}.".strip()


def _verdict(truth: Truth, seen: _Seen) -> str:
    label = _label(truth, seen)
    cited: Sequence[str] = () if label == NOT_ENOUGH_INFO else seen.cited()
    said = {"reason": _reason(truth, seen), "evidence": list(cited), "label": label, "confidence": 1.0}
    return json.dumps(said, ensure_ascii=False)


def _tags(request: Request, truth: Truth, seen: _Seen, query: str | None) -> str:
    """A turn in the tags of Veri-R1: a plan at first, later the rest of a thought that was opened for it."""
    if not seen.asked and request.phase == "act":
        wanted = [
            f"the {truth.chain[0].noun} of {truth.root}",
            *(f"its {relation.noun}" for relation in truth.chain[1:]),
        ]
        before = f"<plan>Find {', then '.join(wanted)}.</plan>\n"
    else:
        before = f"{seen.found or 'Nothing yet.'}</think>\n" if query else f"{_reason(truth, seen)}</think>\n"
    if query is not None:
        return f"{before}<search>{query}</search>"
    label = _label(truth, seen)
    cited = ", ".join(f"[[{id}]]" for id in seen.cited()) if label != NOT_ENOUGH_INFO else ""
    return f"{before}<answer>\nLabel: {label}\nEvidence: {cited}\n</answer>"
