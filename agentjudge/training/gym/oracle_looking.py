"""Gold traces of judges that look: the oracles of pictures and of pages, in `arm-thinker` and `web-arbiter`.

    async for case, trace in picture_demonstrations(gym, range(1000)):
    async for case, trace in page_demonstrations(gym, range(1000), slop=Slop(superfluous=0.3)):

Both look at what decides with the judge's own tools, and conclude. Careless ones look at something else before.
"""

import json
import random
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

from agentjudge.case import ActionChoice, Case, Claim, Gold
from agentjudge.errors import DataError
from agentjudge.graphs.arbiter_opening import PRINCIPLES
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.profiles import ModelProfile
from agentjudge.rewards.terms import correct
from agentjudge.trace import Trace, Turn
from agentjudge.training.gym.oracle import ENOUGH, Slop, calling, say
from agentjudge.training.gym.pages import PageGym
from agentjudge.training.gym.pictures import PictureGym

ZOOM, FIND = "image_zoom_in_tool", "find_element"
_LOOKING = ModelProfile(family="oracle", images=True)


class Shown(NamedTuple):
    """A case with its gold, and how it was judged rightly."""

    case: Case
    trace: Trace


class PictureOracle:
    """A model that zooms into the frame that a claim is about.

    Args:
        gym: of the claims.
        slop: how careless it is: it looks into other frames first.
        seed: of its carelessness.
    """

    def __init__(self, gym: PictureGym, *, slop: Slop | None = None, seed: int = 0) -> None:
        self.name, self.profile = "oracle", _LOOKING
        self._gym, self._slop, self._seed = gym, slop or Slop(), seed

    async def act(self, request: Request) -> Turn:
        """Look, or conclude."""
        scene = self._gym.scene_of(request.case.id)
        frame = next(frame for frame in scene.frames if frame.colour == scene.claimed)
        wanted = self._gym.box(frame)
        looked = [event for event in request.events if event.args.get("bbox_2d") == wanted]
        if request.phase == "act" and not looked:
            rng = random.Random(f"{self._seed}/{request.case.id}/{len(request.events)}")
            spare = min(request.remaining.get("tool_calls", 0), request.remaining.get("turns", 0)) > 1
            if spare and rng.random() < self._slop.superfluous:
                wanted = self._gym.box(rng.choice([other for other in scene.frames if other is not frame]))
            return calling(ZOOM, {"image": "original_image", "bbox_2d": wanted}, len(request.events))
        if request.phase == "act":
            return say(ENOUGH)
        said = {
            "reason": f"The {frame.colour} frame has {'the code ' + frame.code if frame.code else 'no code'}.",
            "evidence": [ref.id for event in looked[:1] for ref in event.refs],
            "label": scene.label,
            "confidence": 1.0,
        }
        return say(json.dumps(said))

    async def aclose(self) -> None:
        """Nothing to release."""


class PageOracle:
    """A model that finds what decides on a page, and names the right action.

    Args:
        gym: of the pages.
        slop: how careless it is: it looks for other elements first.
        seed: of its carelessness.
    """

    def __init__(self, gym: PageGym, *, slop: Slop | None = None, seed: int = 0) -> None:
        self.name, self.profile = "oracle", _LOOKING
        self._gym, self._slop, self._seed = gym, slop or Slop(), seed

    async def act(self, request: Request) -> Turn:
        """Look, or conclude."""
        case = self._gym.case(int(request.case.id.rpartition("-")[2]))
        looked = any(event.args.get("query") == case.metadata["look up"] for event in request.events)
        if request.phase == "act" and not looked:
            rng = random.Random(f"{self._seed}/{case.id}/{len(request.events)}")
            spare = min(request.remaining.get("tool_calls", 0), request.remaining.get("turns", 0)) > 1
            aside = spare and rng.random() < self._slop.superfluous
            query = rng.choice(["link", "heading", "button"]) if aside else case.metadata["look up"]
            return calling(FIND, {"query": query, "step": len(case.history)}, len(request.events))
        return say(ENOUGH if request.phase == "act" else json.dumps(_choice(case)))

    async def aclose(self) -> None:
        """Nothing to release."""


def _choice(case: ActionChoice) -> dict[str, Any]:
    """The verdict of `web-arbiter` on a generated page."""
    gold = case.gold
    assert gold is not None  # it is a generated case
    (target,) = gold.evidence[0]
    outcome, mark = _outcome(gold)
    reason = f"What is wanted here is element {target}."
    criteria = [
        {"name": name, "weight": round(1 / len(PRINCIPLES), 2), "reason": reason, **mark} for name in PRINCIPLES
    ]
    state = f"The goal is not reached yet. {reason}"
    return {"state": state, "criteria": criteria, "evidence": [target], "reason": reason, **outcome, "confidence": 1.0}


def _outcome(gold: Gold) -> tuple[dict[str, Any], dict[str, Any]]:
    """The outcome, and what each criterion says."""
    if gold.score is not None:
        return {"score": gold.score}, {"score": gold.score}
    if gold.preference is not None:
        return {"preference": gold.preference}, {"best": 1 if gold.preference < 0 else 2}
    assert gold.ranking is not None  # one of the three
    return {"ranking": [place + 1 for place in gold.ranking]}, {"best": gold.ranking[0] + 1}


async def picture_demonstrations(
    gym: PictureGym, numbers: Iterable[int], *, slop: Slop | None = None, seed: int = 0
) -> AsyncIterator[Shown]:
    """Claims about pictures, verified by an oracle in the judge `arm-thinker`.

    Args:
        gym: draws the pictures.
        numbers: of the cases.
        slop: how careless the oracle is.
        seed: of carelessness, and of all else that is drawn.

    Raises:
        DataError: the oracle did not come out right.
    """
    judge = Judge.load("arm-thinker", model=PictureOracle(gym, slop=slop, seed=seed), seed=seed)
    async for shown in _played(judge, (gym.case(number) for number in numbers)):
        yield shown


async def page_demonstrations(
    gym: PageGym, numbers: Iterable[int], *, slop: Slop | None = None, seed: int = 0
) -> AsyncIterator[Shown]:
    """Choices of actions, judged by an oracle in the judge `web-arbiter`; arguments as `picture_demonstrations`.

    Raises:
        DataError: the oracle did not come out right.
    """
    judge = Judge.load("web-arbiter", model=PageOracle(gym, slop=slop, seed=seed), seed=seed)
    async for shown in _played(judge, (gym.case(number) for number in numbers)):
        yield shown


async def _played(judge: Judge, cases: Iterable[Claim] | Iterable[ActionChoice]) -> AsyncIterator[Shown]:
    try:
        for case in cases:
            trace = await judge.arun(case)
            if not correct(trace.verdict, case):
                told = trace.verdict.failure.message if trace.verdict.failure else "it says something else"
                raise DataError(f"the oracle did not come out right in {case.id!r}: {told}")
            yield Shown(case, trace)
    finally:
        await judge.aclose()
