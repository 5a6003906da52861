"""What the embedded judge does when it is asked about web agents: whole runs and single steps.

It writes the answers of the judges `trajectory`, `web-arbiter` and `web-arbiter-predictive`. Other judges of agents ask
for other answers; the schema tells, and they are refused by name instead of being sent what they cannot read.
"""

from functools import cached_property
from typing import Any

from agentjudge.case import ActionChoice, Trajectory
from agentjudge.errors import ModelError
from agentjudge.models.base import Request
from agentjudge.models.embedded.looking import Call
from agentjudge.models.embedded.step_judge import StepJudge
from agentjudge.models.embedded.trajectory_judge import TrajectoryJudge
from agentjudge.models.embedded.verifier import Verifier

_WRITTEN = {
    (Trajectory, "plan"): {"points"},
    (Trajectory, "conclude"): {"points", "side_effect", "looping", "optimality", "label"},
    (ActionChoice, "plan"): {"predictions"},
    (ActionChoice, "conclude"): {"state", "criteria"},
}
"""Fields that tell the schemas of our judges."""


class AgentJudge:
    """Judges runs and steps of web agents. Not safe for concurrent calls.

    Args:
        verifier: the learned reader.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._steps = StepJudge(verifier)

    @cached_property
    def _runs(self) -> TrajectoryJudge:
        return TrajectoryJudge(self._verifier)

    def answer(self, request: Request) -> list[Call] | str:
        """The tools to call next, or the text that is asked for.

        Args:
            request: with a `Trajectory` or an `ActionChoice`.

        Raises:
            ModelError: the judge asks for an answer of another form.
        """
        case, properties = request.case, (request.schema or {}).get("properties")
        assert isinstance(case, Trajectory | ActionChoice)
        _refuse_others(case, request.phase, properties)
        if isinstance(case, ActionChoice):
            shown = (ref.id for ref in (*request.opening, *(ref for event in request.events for ref in event.refs)))
            return self._steps.predictions(case) if request.phase == "plan" else self._steps.verdict(case, [*shown])
        if request.phase == "plan":
            return self._runs.plan(case.goal)
        return self._runs.calls(request) or self._runs.verdict(request)


def _refuse_others(case: Trajectory | ActionChoice, phase: str, properties: dict[str, Any] | None) -> None:
    wanted = _WRITTEN.get((type(case), phase))
    if properties is not None and wanted is not None and not wanted <= properties.keys():
        ours = "trajectory" if isinstance(case, Trajectory) else "web-arbiter"
        raise ModelError(
            f"the embedded model answers the judge {ours!r} on a {type(case).__name__}, and no judge that asks for "
            f"{', '.join(list(properties)[:4])}; try --judge {ours} or --model vllm:NAME"
        )
