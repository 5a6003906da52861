"""What a judge of next steps is told in every layout: the general criteria, the goal, what was done, and the actions.

All that is not ours is fenced. The last steps are listed, with long thoughts and actions cut off by `[...]`; the
actions to choose from are never cut. They come last, and all judgements of one page have one fence, so that the pairs
of a knockout differ behind the page alone: a server's prefix cache holds it for all of them.
"""

import hashlib
import secrets

from agentjudge.case import ActionChoice, Step
from agentjudge.graphs.dialect import plural
from agentjudge.graphs.state import JudgeContext
from agentjudge.prompts import Fence
from agentjudge.tools.steps import brief

PRINCIPLES = {
    "element reference": "the element that is acted on is there, and is the one that is meant",
    "coherence": "the action does what its thought says",
    "progress": "it brings the goal closer from where the agent is now",
    "strategy": "it fits a plan that can reach the goal, and does not undo or repeat what was done",
    "efficiency": "no shorter way is passed over",
}
"""The general criteria of the paper, in our words."""
SHOWN_STEPS = 10
"""The last steps that are shown, as in the paper."""
MAX_THOUGHT, MAX_DONE = 600, 400
"""Characters of the thought and of the action of a step that was taken."""
_SECRET = secrets.randbits(128)
"""Without a seed no page can know the fence that it comes to stand in."""


def fence_of(case: ActionChoice, context: JudgeContext) -> Fence:
    """The fence of all judgements of one page."""
    salt = hashlib.sha256(f"{case.goal}\n{case.observation}".encode("utf-8", "surrogatepass")).hexdigest()
    return Fence(seed=_SECRET if context.seed is None else context.seed, salt=salt)


def fenced_parts(case: ActionChoice, context: JudgeContext, *, page: str) -> dict[str, str]:
    """What every layout shows before the actions, fenced."""
    fence = fence_of(case, context)
    return {
        "goal": fence.wrap(case.goal, what="intent"),
        "page": fence.wrap(page, what="page"),
        "history": fence.wrap(history(case), what="history"),
        "url": fence.wrap(case.url or "(not given)", what="url"),
    }


def fenced_actions(case: ActionChoice, context: JudgeContext, name: str) -> str:
    """The actions with their thoughts, each in a fence of its own that is called `name` and a number from 1."""
    fence, blocks = fence_of(case, context), []
    for n, action in enumerate(case.candidates, 1):
        thought = f"THOUGHT: {case.thoughts[n - 1]}\n" if case.thoughts else ""
        blocks.append(fence.wrap(f"{thought}ACTION: {action}", what=f"{name} {n}"))
    return "\n\n".join(blocks)


def listed_principles() -> str:
    """The general criteria, one a line."""
    return "\n".join(f"  - {name}: {meaning}" for name, meaning in PRINCIPLES.items())


def history(case: ActionChoice) -> str:
    """The last steps, one a line, numbered from 1."""
    past, before = case.history[-SHOWN_STEPS:], max(0, len(case.history) - SHOWN_STEPS)
    lines = [f"({plural(before, 'earlier step')} left out)"] if before else []
    lines += [f"{n}. {_step(step)}" for n, step in enumerate(past, before + 1)]
    return "\n".join(lines) or "(nothing has been done yet)"


def _step(step: Step) -> str:
    thought = f"THOUGHT: {brief(step.thought, MAX_THOUGHT)} " if step.thought else ""
    failed = f" (failed: {brief(step.error, MAX_DONE)})" if step.error else ""
    return f"{thought}ACTION: {brief(step.action, MAX_DONE)}{failed}"
