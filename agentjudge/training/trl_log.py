"""The log of a training: one JSON line a step, a bar on the terminal, curves for TensorBoard, alarms.

    folder/log.jsonl         the settings, a line a step, and lines of alarms and evaluations; `report_log` reads it
    folder/records.jsonl     what the monitors saw, so that a resumed run watches on where it stopped

A run that is resumed goes on in the same files; lines of steps after its checkpoint are taken out first, for these
steps are made again.
"""

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agentjudge.errors import ConfigError
from agentjudge.registry import load_kind
from agentjudge.training.monitors import Alarm, Monitor, Seen, StepRecord, Watch, monitors
from agentjudge.training.monitors_reward import RandomControl

log = logging.getLogger(__name__)
LOG, RECORDS = "log.jsonl", "records.jsonl"
SHOWN = ("reward", "joint", "label", "calls", "entropy", "frac_zero_std", "loss")
"""Numbers beside the bar."""


class StepLog:
    """The files of a run.

    Args:
        folder: made if need be.
        config: of the run; the first line.
        resumed: the last step that is kept; everything begins anew when None.
        stop_on: names of monitors whose alarm ends the training.
        control: folder of a run with the reward `noise`, which this one is held against.

    Raises:
        ConfigError: there is no such monitor, or nothing was measured in the control.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: Mapping[str, Any] | None = None,
        resumed: int | None = None,
        stop_on: Sequence[str] = (),
        control: Path | None = None,
    ) -> None:
        watching = [*monitors(), *([] if control is None else [RandomControl(held_out(control))])]
        self._stop_on = monitor_names(stop_on, watching)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.watch = Watch(watching)
        self.stopped: Alarm | None = None
        """The alarm that ends the training."""
        for name in (LOG, RECORDS):
            known = [] if resumed is None else lines(folder / name)
            kept = [line for line in known if "step" in line and line["step"] <= (resumed or 0)]
            _write(folder / name, [{"config": dict(config or {})}, *kept] if name == LOG else kept)
            if name == RECORDS:
                for line in kept:
                    self.watch.see(_record(line))

    def record(self, record: StepRecord) -> list[Alarm]:
        """Take in what the monitors are to see; the alarms that it raises, which are logged."""
        light = replace(record, judgements=tuple(_light(each) for each in record.judgements))
        _append(self.folder / RECORDS, asdict(light))
        alarms = self.watch.see(light)
        for alarm in alarms:
            log.warning("alarm at step %d, %s: %s", alarm.step, alarm.name, alarm.why)
            _append(self.folder / LOG, {"step": alarm.step, "alarm": alarm.name, "message": alarm.why})
            if alarm.name in self._stop_on and self.stopped is None:
                self.stopped = alarm
        return alarms

    def numbers(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Write the line of a step; what is no finite number is left out."""
        kept = {name: value for name, value in numbers.items() if _finite(value)}
        _append(self.folder / LOG, {"step": step, **kept})

    def evaluation(self, step: int, told: Mapping[str, Any]) -> None:
        """Write what was measured on unseen cases."""
        _append(self.folder / LOG, {"step": step, "eval": told})


class Bar:
    """A bar on the terminal with the numbers of the last step; nothing where there is no terminal."""

    def __init__(self, total: int, *, doing: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from agentjudge import console

        err = console.err()
        columns = (
            TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[told]}"),
        )  # fmt: skip
        self._progress = Progress(*columns, console=err, disable=not err.is_terminal)
        self._task = self._progress.add_task(doing, total=total, told="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Move to a step, with its numbers."""
        told = " ".join(f"{name} {numbers[name]:.3g}" for name in SHOWN if _finite(numbers.get(name)))
        self._progress.update(self._task, completed=step, told=told)


def held_out(folder: Path) -> dict[int, float]:
    """What a run reached on unseen cases, by step.

    Raises:
        ConfigError: it was not measured.
    """
    found = {line["step"]: line["held_out"] for line in lines(folder / RECORDS) if line["held_out"] is not None}
    if not found:
        raise ConfigError(f"[monitors] control: no run that was measured on unseen cases in {folder}")
    return found


def monitor_names(said: Iterable[str], watching: Iterable[Monitor]) -> frozenset[str]:
    """The names that monitors give their alarms, by those or by what they are registered as.

    Raises:
        ConfigError: there is no such monitor among those that watch.
    """
    known = {monitor.name: monitor.name for monitor in watching}
    for name, component in load_kind("training").items():
        kind = component.target
        if isinstance(kind, type) and issubclass(kind, Monitor) and kind.name in known:
            known[name] = kind.name
    wanted = list(said)
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError(f"there is no monitor {unknown[0]!r} to stop on; there is {', '.join(sorted(known))}")
    return frozenset(known[name] for name in wanted)


def lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that was cut off at the end is left out."""
    if not file.is_file():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found


def _record(line: Mapping[str, Any]) -> StepRecord:
    seen = tuple(Seen(**each) for each in line["judgements"])
    return StepRecord(**{**line, "judgements": seen, "ratios": tuple(line["ratios"])})


def _light(seen: Seen) -> Seen:
    """The same, a short hash in place of all that was said: it tells different answers apart as well."""
    return replace(
        seen, text=hashlib.sha256(seen.text.encode("utf-8", "replace")).hexdigest()[:12] if seen.text else ""
    )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _append(file: Path, line: Mapping[str, Any]) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def _write(file: Path, kept: Sequence[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
