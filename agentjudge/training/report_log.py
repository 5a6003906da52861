"""The log of a training run, read for its report: curves, alarms, evaluations, configuration.

    log = read_log("evidence_first", Path("runs/evidence_first/log.jsonl"))
    log.curves["reward"]                                # step -> value
    log.evaluations[-1].cells["per_class", "REFUTE", "joint"].mean

A log has a JSON object a line, with `step` and

| line | holds |
|---|---|
| numbers | `reward`, `joint`, `entropy`, ...: one point of a curve each |
| `alarm`, `message` | what a monitor said |
| `eval` | `split`; numbers, also by group (`macro`, `per_class`, `per_hop`) to any depth; `n`; `floors` by name |
| `config` | the settings of the run; no step needed |

A number of an evaluation is a number, or `{"mean": 0.5, "low": 0.4, "high": 0.6, "n": 300}`. Words in an evaluation
(`split`, `decoding`), and its `seed`, name it: what is named alike is compared over the steps. A line that a kill has
torn is passed over at the end of the file; where a resumed run has done a step again, the later line counts.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from agentjudge.errors import DataError, boundary
from agentjudge.runs.statistics import wilson

SHARES = ("joint", "label_accuracy", "label", "accuracy", "recall", "right")
"""Numbers that are shares of `n` judgements, so that their interval is known."""
LARGEST = 1e100
"""What is larger has diverged, and is left out."""
Place = tuple[str, ...]


class Alarm(NamedTuple):
    """What a monitor said."""

    step: int
    name: str
    message: str


class Cell(NamedTuple):
    """A number with what is known of its uncertainty."""

    mean: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Numbers on cases that are not trained on."""

    step: int
    name: str
    """Its split, and what else sets it apart."""
    cells: dict[Place, Cell]
    """By the keys that lead to them."""
    floors: dict[Place, tuple[float, str]]
    """The highest floor of a number, and its name."""


@dataclass(slots=True)
class RunLog:
    """All that a log tells."""

    name: str
    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    """By name; steps are in order. A value that is no finite number is left out."""
    alarms: list[Alarm] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def last_step(self) -> int:
        """Of everything in it; 0 of an empty log."""
        steps = [step for curve in self.curves.values() for step in curve]
        return max([*steps, *(a.step for a in self.alarms), *(e.step for e in self.evaluations)], default=0)

    def by_name(self) -> dict[str, list[Evaluation]]:
        """The evaluations of each name, in order of their steps."""
        found: dict[str, list[Evaluation]] = {}
        for each in sorted(self.evaluations, key=lambda each: each.step):
            found.setdefault(each.name, []).append(each)
        return found


def read_log(name: str, path: Path) -> RunLog:
    """The log of a run.

    Args:
        name: of the run, as the report calls it.
        path: of the JSON lines, or of the folder in which they are `log.jsonl`.

    Raises:
        DataError: the file cannot be read, or a line that is not the last one is no JSON object with a `step`.
    """
    path = path / "log.jsonl" if path.is_dir() else path
    log = RunLog(name)
    said: dict[tuple[int, str], Alarm] = {}
    judged: dict[tuple[int, str], Evaluation] = {}
    for number, row in _rows(path):
        if isinstance(row.get("config"), dict):
            log.config |= row["config"]
        if "config" in row and "step" not in row:
            continue
        step = _step(row, f"{path}, line {number}")
        if "alarm" in row:
            alarm = Alarm(step, str(row["alarm"]), str(row.get("message") or ""))
            said[step, alarm.name] = alarm
        elif isinstance(row.get("eval"), dict):
            evaluation = _evaluation(step, row["eval"])
            judged[step, evaluation.name] = evaluation
        else:
            for key, value in row.items():
                if key != "step" and (point := _number(value)) is not None:
                    log.curves.setdefault(key, {})[step] = point
    log.curves = {key: dict(sorted(curve.items())) for key, curve in log.curves.items()}
    log.alarms = sorted(said.values(), key=lambda alarm: alarm.step)
    log.evaluations = list(judged.values())
    return log


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with the numbers of their lines."""
    with boundary(DataError, f"cannot read the log {path}"):
        lines = path.read_text(encoding="utf-8").split("\n")
    last = max((number for number, line in enumerate(lines, 1) if line.strip()), default=0)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as exc:
            if number == last:
                return  # torn by a kill
            raise DataError(f"{path}, line {number}: not JSON ({exc})") from exc
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, found {line[:40]!r}")
        yield number, row


def _step(row: Mapping[str, Any], where: str) -> int:
    step = _number(row.get("step"))
    if step is None or step < 0 or step != int(step):
        raise DataError(f"{where}: `step` is a whole number from 0 on, not {row.get('step')!r}")
    return int(step)


def _evaluation(step: int, data: Mapping[str, Any]) -> Evaluation:
    words = [str(data["split"])] if "split" in data else []
    words += [f"{value}" for key, value in data.items() if isinstance(value, str) and key != "split"]
    if _number(data.get("seed")) is not None:
        words.append(f"seed {data['seed']}")
    numbers = {key: value for key, value in data.items() if key not in ("split", "seed", "step", "floors")}
    cells = dict(_cells(numbers))
    floors: dict[Place, tuple[float, str]] = {}
    for name, floor in (data.get("floors") or {}).items():
        for place, cell in _cells(floor if isinstance(floor, dict) else {}):
            if place not in floors or cell.mean > floors[place][0]:
                floors[place] = cell.mean, str(name)
    return Evaluation(step, ", ".join(words) or "evaluation", cells, floors)


def _cells(data: Mapping[str, Any], at: Place = (), n: int | None = None) -> Iterator[tuple[Place, Cell]]:
    count = _number(data.get("n"))
    n = n if count is None else int(count)
    for key, value in data.items():
        place = (*at, str(key))
        if isinstance(value, dict) and _number(value.get("mean")) is None:
            yield from _cells(value, place, n)
        elif key != "n" and (cell := _cell(value, str(key), n)) is not None:
            yield place, cell


def _cell(value: Any, key: str, n: int | None) -> Cell | None:
    if isinstance(value, dict):
        mean, low, high = (_number(value.get(name)) for name in ("mean", "low", "high"))
        count = _number(value.get("n"))
        n = n if count is None else int(count)
    else:
        mean, low, high = _number(value), None, None
    if mean is None:
        return None
    if (low is None or high is None) and key in SHARES and n and 0 <= mean <= 1:
        _, low, high, _ = wilson(round(mean * n), n)
    return Cell(mean, low, high, n)


def _number(value: Any) -> float | None:
    """A value that can be drawn; None for what is no number, or no finite one."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < LARGEST:
        return None
    return float(value) if abs(value) > 1 / LARGEST else 0.0
