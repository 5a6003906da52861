"""Does the embedded judge tell a step that a successful run took from one that makes no sense there? A made-up test.

    python -m agentjudge.benchmarks.embedded_steps --data DIR

No rows with labels of single steps may be used for it, so choices are made of the records of runs that succeeded: at a
step, the action taken with its thought, beside a step of a run of another task (`other task`), or beside an earlier
step of the same run (`repeat`). Both are easier than what an agent chooses between, and no page is recorded, so three
of the five principles see little. It says whether the score is better than chance, and no more than that.
"""

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from agentjudge.actions import parse_action, same_action
from agentjudge.benchmarks.embedded_trajectory import read
from agentjudge.case import ActionChoice, Step, Trajectory
from agentjudge.models.embedded.step_judge import StepJudge
from agentjudge.models.embedded.train_trajectory import task_of
from agentjudge.models.embedded.trajectory_signs import said
from agentjudge.models.embedded.verifier import Verifier
from agentjudge.runs.statistics import bootstrap_interval

Against = Literal["other task", "repeat"]
MOST_STEPS = 3
"""Choices of a run, spread evenly over it."""


class Choice(NamedTuple):
    """Two candidates, of which the first was taken."""

    case: ActionChoice
    against: Against
    task: str


def choices(runs: Sequence[Trajectory]) -> Iterator[Choice]:
    """The choices of runs that succeeded and that have thoughts."""
    spoken = [run for run in runs if run.gold is not None and run.gold.label == "success" and _places(run)]
    for run in spoken:
        places = _places(run)
        for place in places[:: max(1, len(places) // MOST_STEPS)][:MOST_STEPS]:
            others = [other for other in spoken if task_of(other) != task_of(run)]
            stranger = others[_drawn(f"{run.id} {place}", len(others))]
            there = _places(stranger)
            yield _choice(run, place, stranger.steps[there[min(place, len(there) - 1)]], "other task")
            action = parse_action(run.steps[place].action)
            earlier = [step for step in run.steps[:place] if not same_action(parse_action(step.action), action)]
            if earlier:
                yield _choice(run, place, earlier[_drawn(f"{run.id} {place} repeat", len(earlier))], "repeat")


def _choice(run: Trajectory, place: int, other: Step, against: Against) -> Choice:
    taken = run.steps[place]
    case = ActionChoice(
        id=f"{run.id} {place}", goal=run.goal, history=run.steps[:place], candidates=(taken.action, other.action),
        thoughts=(taken.thought, other.thought),
    )  # fmt: skip
    return Choice(case, against, task_of(run))


def _places(run: Trajectory) -> list[int]:
    """Steps with an action and a thought."""
    return [n for n, step in enumerate(run.steps) if step.action.strip() and said(step.thought)]


def _drawn(name: str, among: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") % among


def right(first: float, second: float) -> float:
    """1 where the first is ahead, half for a tie."""
    return 0.5 if first == second else float(first > second)


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    options = parser.parse_args()
    judge, found = StepJudge(Verifier.load()), list(choices(read(options.data)))
    marks = [judge.marks(choice.case) for choice in found]
    print("| against | n | embedded | longer thought | " + " | ".join(marks[0][0].told) + " |")
    print("|---|---|---|---|" + "---|" * len(marks[0][0].told))
    for against in ("other task", "repeat"):
        rows = [(choice, pair) for choice, pair in zip(found, marks, strict=True) if choice.against == against]
        tasks = [choice.task for choice, _ in rows]
        columns = [[right(pair[0].score, pair[1].score) for _, pair in rows]]
        columns.append([right(*(float(len(thought)) for thought in choice.case.thoughts)) for choice, _ in rows])
        columns += [[right(*(mark.told[name].share for mark in pair)) for _, pair in rows] for name in marks[0][0].told]
        cells = [bootstrap_interval(column, tasks) for column in columns]
        said_so = " | ".join(f"{cell.mean:.3f} ({cell.low:.3f} to {cell.high:.3f})" for cell in cells)
        print(f"| {against} | {len(rows)} | {said_so} |")


if __name__ == "__main__":
    main()
