"""AgentRewardBench (2504.08942): a JSON file a run, and the records that WebJudge wrote about its runs.

A file of a run has the tree or the HTML of every page. A record has the actions alone, as one numbered text with the
reasons, and pictures without their places, which become `Trajectory.images`.
"""

import re
from typing import Any

from agentjudge.benchmarks.trajectories.source import Fields, Source, errors_moved, finished
from agentjudge.case import Gold, Step, Trajectory
from agentjudge.errors import DataError

_LABELS = ("human_success", "human_side_effect", "human_optimality", "human_looping")
_SUCCESS = {"Successful": "success", "Unsuccessful": "failure"}


def is_run(row: Fields) -> bool:
    """Whether this is the file of a run."""
    return {"goal", "steps", "benchmark"} <= row.value.keys() and {"summary_info", "agent"} & row.value.keys() != set()


def is_record(row: Fields) -> bool:
    """Whether this is WebJudge's record of a run."""
    said = {"action_history", "input_text"} & row.value.keys()
    return {"goal", "agent", "benchmark"} <= row.value.keys() and bool(said)


def read_run(row: Fields, source: Source) -> Trajectory:
    """The run of a file; `valid` is kept in the metadata."""
    steps, missing = [], []
    for step in row.objects("steps"):
        picture = source.picture(step.value.get("screenshot_path"))
        missing += [] if picture or not step.value.get("screenshot_path") else [step.loose("screenshot_path")]
        tree = step.maybe("axtree") or step.maybe("axtree_pruned") or ""
        steps.append(
            Step(
                observation=tree, screenshot=picture, action=step.loose("action"), thought=step.loose("reasoning"),
                url=step.maybe("url"), error=step.maybe("last_action_error") or None,
            )
        )  # fmt: skip
    summary = row.object("summary_info")
    task = source.path.name.partition(".json")[0]
    metadata: dict[str, Any] = {
        "format": "agent-reward-bench", "task_id": task,
        **row.some("benchmark", "agent", "model", "valid", "experiment", "seed"),
        **summary.some("terminated", "truncated", "err_msg", "n_steps"),
    }  # fmt: skip
    if summary.value.get("cum_reward") is not None:
        metadata["reward"] = summary.value["cum_reward"]
    if missing:
        metadata["screenshots_missing"] = missing
    name = f"{row.loose('benchmark')}|{task}|{row.loose('agent')}"
    return finished(row.where, id=name, goal=row.text("goal"), steps=errors_moved(steps), metadata=metadata)


def read_record(row: Fields, source: Source) -> Trajectory:
    """The run of a record; gold is set where all people agree on its success."""
    history = row.text("action_history") if "action_history" in row.value else _history(row)
    steps = []
    for entry in _entries(history):
        action, _, thought = entry.partition(". Reasoning: ")
        steps.append(Step(action="" if action == "None" else action, thought="" if thought == "None" else thought))
    if history.strip() and not steps:
        raise DataError(f"{row.at('action_history')}: no line that begins with '1. '")
    named = row.texts("image_files") if row.value.get("image_files") is not None else []
    images = [source.picture(name) for name in named]
    metadata: dict[str, Any] = {
        "format": "webjudge",
        **row.some("benchmark", "agent", "task_id", "n_steps", "terminated", "truncated", "err_msg", "key_points"),
        **row.some("split", "webjudge", *_LABELS),
    }  # fmt: skip
    reward = row.value.get("cum_reward", row.object("trajectory_info").object("summary_info").value.get("cum_reward"))
    if reward is not None:
        metadata["reward"] = reward
    if missing := [name for name, image in zip(named, images, strict=True) if image is None]:
        metadata["screenshots_missing"] = missing
    labels = set(row.texts("human_success")) if row.value.get("human_success") is not None else set()
    label = labels.pop() if len(labels) == 1 else None
    gold = Gold(label=_SUCCESS[label]) if label in _SUCCESS else None
    name = row.maybe("id") or f"{row.loose('benchmark')}|{source.path.name.partition('.json')[0]}|{row.loose('agent')}"
    kept = [image for image in images if image]
    return finished(row.where, id=name, goal=row.text("goal"), steps=steps, images=kept, gold=gold, metadata=metadata)


def _history(row: Fields) -> str:
    """The action history in the text that was put to the judge."""
    found = re.search(r"Action History:\n(.*?)(?:\n\nThe potentially important|\Z)", row.text("input_text"), re.DOTALL)
    if found is None:
        raise DataError(f"{row.at('input_text')}: no 'Action History:'")
    return found[1]


def _entries(history: str) -> list[str]:
    """The numbered entries; numbers inside of a reason do not count, as they are out of turn."""
    starts, number, at = [], 1, 0
    while found := re.compile(rf"(?:^|\n){number}\. ").search(history, at):
        starts.append(found.span())
        at, number = found.end(), number + 1
    ends = [*(start for start, _ in starts[1:]), len(history)][: len(starts)]
    return [history[begin:end] for (_, begin), end in zip(starts, ends, strict=True)]
