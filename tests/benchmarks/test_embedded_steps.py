"""The made-up choices of next steps: which step was taken, and what stands beside it."""

from agentjudge.benchmarks.embedded_steps import MOST_STEPS, choices, right
from agentjudge.case import Gold, Step, Trajectory


def run(task: str, *, label: str = "success", thoughts: bool = True) -> Trajectory:
    steps = [
        Step(action=f"click('{task}{n}')", thought=f"Thought {n} of {task}." if thoughts else "") for n in range(6)
    ]
    return Trajectory(
        id=f"run {task}", goal=f"Do {task}.", steps=tuple(steps), gold=Gold(label=label), metadata={"task_id": task}
    )


def test_the_first_candidate_was_taken_and_the_other_is_of_another_task_or_from_before() -> None:
    runs = [run("a"), run("b"), run("c", label="failure"), run("d", thoughts=False)]
    made = list(choices(runs))
    assert {choice.task for choice in made} == {"a", "b"}, "only runs that succeeded and think"
    assert len([choice for choice in made if choice.against == "other task"]) == 2 * MOST_STEPS
    for choice in made:
        taken, other = choice.case.candidates
        place = len(choice.case.history)
        assert (
            taken == f"click('{choice.task}{place}')"
            and choice.case.thoughts[0] == f"Thought {place} of {choice.task}."
        )
        if choice.against == "repeat":
            assert other in [step.action for step in choice.case.history]
        else:
            assert choice.task not in other.split("'")[1]
    assert [*choices(runs)] == made, "the draw is the same every time"


def test_a_tie_counts_half() -> None:
    assert (right(1, 0), right(0, 1), right(1, 1)) == (1.0, 0.0, 0.5)
