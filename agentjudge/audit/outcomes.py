"""What audits read off verdicts of every kind: was it taken for right, which was chosen, how far does it lean.

| case | taken for right | leaning, 0..1 |
|---|---|---|
| `Claim` | `SUPPORT` | its probability where known, else 1 or 0 |
| `Response`, one action | a score from 0.5 (ours) | the score |
| `Trajectory` | `success` | its probability where known, else 1 or 0 |
| a choice of several | does not apply; see `chosen_of` | does not apply |

None of them makes anything of a verdict that abstained or failed.
"""

from agentjudge.case import SUPPORT
from agentjudge.runs.ordering import as_choice, chosen
from agentjudge.verdict import Verdict

PASSES = 0.5
"""Score from which an answer was taken for right."""
RIGHT = (SUPPORT, "success")
"""Labels of what was taken for right."""


def accepted(verdict: Verdict) -> bool | None:
    """Whether what was judged was taken for right; None where the verdict says nothing of it."""
    if verdict.label is not None:
        return verdict.label in RIGHT
    return None if verdict.score is None else verdict.score >= PASSES


def leaning(verdict: Verdict) -> float | None:
    """How far a judge leans to right (0..1); None where the verdict says nothing of it."""
    if verdict.label is None:
        return verdict.score
    if verdict.probabilities is None:
        return float(verdict.label in RIGHT)
    return sum(share for label, share in verdict.probabilities.items() if label in RIGHT)


def chosen_of(verdict: Verdict, n: int) -> int | None:
    """The place of the candidate that was chosen of `n`; None for a tie, and where nothing was decided."""
    return chosen(as_choice(verdict, n)) if n > 1 else None


def decided(verdict: Verdict, n: int) -> bool:
    """Whether a verdict compares `n` candidates, a tie included."""
    return n > 1 and as_choice(verdict, n).status == "scored"
