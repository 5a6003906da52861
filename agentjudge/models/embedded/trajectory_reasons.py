"""The words in which the embedded judge says why a run is, or is not, called a success.

Each reason is a group of features that moved the log-odds against a usual run, with by how much, in words that name
what is there and the steps where it is. What the agent claims is called a claim.
"""

from collections.abc import Sequence

from agentjudge.actions import Action
from agentjudge.case import Trajectory
from agentjudge.models.embedded.trajectory_features import read_goal
from agentjudge.models.embedded.trajectory_pages import PageFacts
from agentjudge.models.embedded.trajectory_signs import Signs

MOST_REASONS = 3
LEAST = 0.15
"""Log-odds below which a group is not worth a reason."""
MOST_STEPS = 6
"""Steps that a reason names."""
MOST_CHARS = 1_200


def because(
    run: Trajectory,
    signs: Signs,
    pages: PageFacts,
    moved: Sequence[tuple[str, float]],
    chance: float,
    threshold: float,
    *,
    blocked: bool,
) -> str:
    """Why, in a few sentences.

    Args:
        run: the run.
        signs: its signs.
        pages: what its pages say.
        moved: by how much each group of features moved the log-odds, the most first.
        chance: of success, in the end.
        threshold: from which it is a success.
        blocked: the run is called blocked.
    """
    side = "at least" if chance >= threshold else "below"
    said = [f"Chance of success {chance:.2f}, {side} {threshold:g}."]
    if blocked:
        said.append(_blocked(signs))
    telling = [(group, by) for group, by in moved if abs(by) >= LEAST][:MOST_REASONS]
    said += [f"{_capital(_group(group, run, signs))} ({by:+.1f})." for group, by in telling]
    said += [
        f"{_capital(_fact(name, signs, pages))} ({by:+.1f})." for name, by in pages.moved.items() if abs(by) >= LEAST
    ]
    if not pages.seen:
        said.append("No page was recorded, so what the agent says that it saw could not be checked.")
    elif pages.moved:
        said.append("What pages and errors move was not fitted, so no confidence is given.")
    return " ".join(said)[:MOST_CHARS]


def steps_said(steps: Sequence[int]) -> str:
    """`Steps 4, 5 and 6 do`, `Step 4 does`; of many the first."""
    shown = [str(step) for step in steps[:MOST_STEPS]]
    if len(steps) == 1:
        return f"Step {shown[0]} does"
    if len(steps) > len(shown):
        return f"Steps {', '.join(shown)} and {len(steps) - len(shown)} more do"
    return f"Steps {', '.join(shown[:-1])} and {shown[-1]} do"


def _group(group: str, run: Trajectory, signs: Signs) -> str:
    goal = read_goal(run.goal)
    if group == "length":
        return f"the run took {signs.length} {'actions' if signs.taken else 'steps, of which no action is recorded'}"
    if group == "repeats":
        return f"{steps_said(signs.repeated)} again what was done before" if signs.repeated else "no action is repeated"
    if group == "actions":
        last = signs.taken[-1] if signs.taken else None
        return (
            "no action is recorded"
            if last is None
            else f"the last action is {_named(signs.actions[last])} at step {last}"
        )
    if group == "goal":
        return f"how hard the task looks, by its {len(goal.text.split())} words and {len(goal.values)} values"
    if group == "taken up":
        given = " ".join([signs.actions[i].text for i in signs.taken] + [run.final_answer or ""]).casefold()
        met = [value for value in goal.values if value in given]
        return f"{len(met)} of the {len(goal.values)} values of the task were typed, chosen or answered"
    if group == "answer":
        return _answer(run, signs, asks=goal.asks)
    if group == "last thoughts":
        spoken = any(step.thought for step in run.steps)
        return "how unsure, or how near to an end, the last thoughts sound" if spoken else "no thought is recorded"
    return "how the last thoughts, the answer and the task agree, as the verifier reads them"


def _answer(run: Trajectory, signs: Signs, *, asks: bool) -> str:
    wanted = "the task asks for an answer" if asks else "the task asks for no answer"
    if not (run.final_answer or "").strip():
        return f"{wanted}, and none was given"
    if signs.asked_back:
        return f"{wanted}, and the agent asks the user back"
    if signs.refused:
        return f"{wanted}, and the agent answers that something is not there or cannot be done"
    return f"{wanted}, and the agent gives one, which is its claim"


def _fact(name: str, signs: Signs, pages: PageFacts) -> str:
    if name == "support":
        shown = " and ".join(passage.id for passage in pages.passages[:3])
        return f"the answer is {'borne out' if pages.moved[name] > 0 else 'contradicted'} by {shown}"
    if name == "ungrounded":
        return f"of the answer these stand on no page: {', '.join(pages.ungrounded[:5])}"
    if name == "missing":
        return f"elements that are not on the page were acted on at steps {_listed(signs.missing)}"
    if name == "failed":
        return f"errors at steps {_listed(signs.failed)}"
    return f"the last action, at step {signs.taken[-1]}, ended in an error"


def _blocked(signs: Signs) -> str:
    if not signs.blocked:
        return "The answer says that the agent was kept out."
    step, part = signs.blocked[0]
    where = {"url": "the address", "observation": "the page", "error": "the error", "thought": "the thought"}[part]
    return f"At step {step} {where} says that the agent was kept out."


def _listed(steps: Sequence[int]) -> str:
    more = f" and {len(steps) - MOST_STEPS} more" if len(steps) > MOST_STEPS else ""
    return ", ".join(map(str, steps[:MOST_STEPS])) + more


def _named(action: Action) -> str:
    return "one that is not understood" if action.kind == "other" else action.kind.replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
