"""WebArena-Verified's check of what an agent answered: kind of task, status, and what it retrieved. No model is asked.

    task = read_tasks(Path("webarena-verified.json"))["108"]
    check(Path("108/agent_response.json").read_text(), task)         # Checked(right=True, problems=())

A task wants one of `retrieve`, `mutate` and `navigate`, a status, and of a retrieving task values that its schema types
(`verified_values`). This is the first of its two evaluators, and the only one of 324 of the 812 tasks; the other, which
looks for requests in the network log, is not repeated here: of the other 488 tasks a right answer is necessary and not
enough. An answer is a JSON object, in a code block or not. Task 319, whose file lacks the data that it expects, can
officially not be passed; here it expects none.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agentjudge.benchmarks.files import FileRow, records
from agentjudge.benchmarks.verified_values import matches, normalised, plain
from agentjudge.errors import DataError

RESPONSE = "AgentResponseEvaluator"
_BLOCK = re.compile(r"```(?:json)?\s*\n?(.*?)\n?```", re.DOTALL)
_EDGES = "'\"`.,;:!?"


class Evaluator(FileRow):
    """One of a task's evaluators, with what it expects."""

    evaluator: str
    expected: dict[str, Any]
    results_schema: dict[str, Any] | None = None
    ordered: bool = False


class Task(FileRow):
    """A task, as the file of tasks has it."""

    task_id: int | str
    intent: str
    sites: tuple[str, ...] = ()
    eval: tuple[Evaluator, ...]

    @property
    def answer(self) -> Evaluator:
        """The evaluator of the answer.

        Raises:
            DataError: the task has none.
        """
        found = next((each for each in self.eval if each.evaluator == RESPONSE), None)
        if found is None:
            raise DataError(f"task {self.task_id} has no {RESPONSE}")
        return found

    @property
    def answer_is_all(self) -> bool:
        """Whether nothing but the answer is evaluated."""
        return all(each.evaluator == RESPONSE for each in self.eval)


class Checked(NamedTuple):
    """What became of an answer."""

    right: bool
    problems: tuple[str, ...] = ()
    """What is wrong, in words."""


def read_tasks(path: Path) -> dict[str, Task]:
    """The tasks of a file, by their id as text.

    Raises:
        DataError: the file cannot be read, or a task is malformed.
    """
    return {str(task.task_id): task for _, task in records(path, Task)}


def check(response: Any, task: Task) -> Checked:
    """Whether an answer is the expected one.

    Args:
        response: the text of the answer, or what was read from it.
        task: with what is expected.

    Raises:
        DataError: what the task expects cannot be read.
    """
    said, wanted = parsed(response), task.answer
    if not isinstance(said, Mapping):
        return Checked(False, ("the answer is no JSON object",))
    problems = []
    for field in ("task_type", "status"):
        name = "performed_operation" if field == "task_type" and field not in said else field
        if name not in said:
            problems.append(f"no {field}")
        elif not isinstance(said[name], str) or not _same(said[name], str(wanted.expected[field])):
            problems.append(f"{field} {said[name]!r}, not {wanted.expected[field]!r}")
    if plain(str(wanted.expected["task_type"])) == "retrieve":
        problems += _retrieved(said.get("retrieved_data"), wanted)
    return Checked(not problems, tuple(problems))


def parsed(response: Any) -> Any:
    """The JSON value of an answer, in a code block or not; its text where it is none."""
    if not isinstance(response, str):
        return response
    block = _BLOCK.search(response)
    text = (block[1] if block else response).strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _retrieved(said: Any, wanted: Evaluator) -> list[str]:
    schema = wanted.results_schema or {"type": "array", "items": {"type": "string"}}
    try:
        expected = normalised(wanted.expected.get("retrieved_data"), schema, strict=True)
    except ValueError as exc:
        raise DataError(f"the task's expected data cannot be read: {exc}") from exc
    try:
        actual = normalised(said, schema, strict=False)
    except ValueError as exc:
        return [str(exc)]
    if matches(expected, actual, ordered=wanted.ordered):
        return []
    return [f"retrieved_data {said!r}, not {wanted.expected.get('retrieved_data')!r}"[:500]]


def _same(one: str, other: str) -> bool:
    return plain(one).strip(_EDGES) == plain(other).strip(_EDGES)
