"""A model that judges runs by what their last thought says, for benchmarks of outcome judges."""

import json

from agentjudge.case import Trajectory
from agentjudge.errors import ModelError
from agentjudge.models.base import Request
from agentjudge.models.profiles import GENERIC
from agentjudge.trace import Turn


class ByLastThought:
    """Says the words of the last thought: label, confidence, side effect, looping, optimality.

    `success 0.9 no yes suboptimal`; what is left out is 0.5, no, no, suboptimal. `null` abstains, `?` is an outage.
    """

    name = "by-last-thought"
    profile = GENERIC

    def __init__(self) -> None:
        self.seen: list[Trajectory] = []

    async def act(self, request: Request) -> Turn:
        case = request.case
        assert isinstance(case, Trajectory)
        if request.phase == "plan":
            return Turn({"role": "assistant", "content": json.dumps({"points": ["It is done."]})})
        self.seen.append(case)
        words = case.steps[-1].thought.split(maxsplit=4) if case.steps else []
        label, sure, side, looping, best = (*words, *("success", "0.5", "no", "no", "suboptimal")[len(words) :])
        if label == "?":
            raise ModelError("the server is gone")
        aspects = {"side_effect": side, "looping": looping, "optimality": best}
        said = {name: {"reason": "Seen.", "label": word} for name, word in aspects.items()}
        met = "yes" if label == "success" else "no"
        said["points"] = [{"point": "It is done.", "reason": "Seen.", "met": met}]
        said |= {"evidence": [f"step {len(case.steps) - 1}"], "reason": "Seen."}
        said |= {"label": None if label == "null" else label, "confidence": float(sure)}
        return Turn({"role": "assistant", "content": json.dumps(said)})

    async def aclose(self) -> None:
        """Nothing to release."""
