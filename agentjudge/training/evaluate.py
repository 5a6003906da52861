"""Measuring a judge on cases that are not trained on: by label and by hop, with intervals, beside what is for free.

    found = await judged(open_source(config, split="test"), config, model, numbers=range(300))
    table = summary([measured(trace, case) for trace, case in found])
    table["all"].joint, table["all"].label

The mean over all cases can be bought by one class: a judge that always says NOT ENOUGH INFO is right in a third of the
cases. So each class and each hop has a row, `macro` is the mean over the classes, and `floors` is what constant answers
get, counted in the same cases.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agentjudge.case import Case
from agentjudge.errors import ConfigError, ModelError
from agentjudge.judge import spread
from agentjudge.models.base import Model
from agentjudge.runs.statistics import Interval, bootstrap_interval, wilson
from agentjudge.trace import Trace
from agentjudge.training.config import TrainConfig
from agentjudge.training.measures import Measured
from agentjudge.training.sources import Source, judge_for


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """Some of the cases."""

    n: int
    label: Estimate
    """Share with the right label."""
    joint: Estimate
    """Share with the right label and exactly the evidence of a gold group."""
    overlap: Estimate | None
    """Shared ids of all ids, where gold names evidence."""
    calls: float
    tokens: float
    failed: float


async def judged(
    source: Source,
    config: TrainConfig,
    model: Model,
    *,
    numbers: Sequence[int],
    temperature: float = 0.0,
    seed: int = 0,
    tools: bool = True,
) -> list[tuple[Trace, Case]]:
    """Judge cases.

    Args:
        source: of cases that are not trained on.
        config: of the run.
        model: to ask.
        numbers: of the cases.
        temperature: 0 is greedy.
        seed: of what is sampled.
        tools: offer tools.

    Raises:
        ModelError: no judgement came back.
    """
    found: dict[int, tuple[Trace, Case]] = {}
    broken: list[str] = []

    async def run(number: int) -> None:
        given = source.case(number)
        drawn = random.Random(f"evaluation/{seed}/{number}").getrandbits(62)
        judge = judge_for(given, config, model, temperature=temperature, seed=drawn, tools=tools)
        trace = await judge.arun(given.case)
        if (failure := trace.verdict.failure) is not None and failure.kind != "parse":
            broken.append(failure.message)
        found[number] = trace, given.case

    await spread(numbers, run, concurrency=config.rollout.concurrency)
    if broken and len(broken) == len(found):
        raise ModelError(f"no judgement came back: {broken[0]}")
    return [found[number] for number in numbers]


def summary(found: Sequence[Measured]) -> dict[str, Row]:
    """Rows `all`, one a label, one a hop, and `macro`: the mean over the labels.

    Raises:
        ConfigError: nothing was measured.
    """
    if not found:
        raise ConfigError("nothing was measured")
    rows = {"all": _row(found)}
    labels = sorted({each.gold for each in found})
    rows |= {label: _row([each for each in found if each.gold == label]) for label in labels if label}
    hops = sorted({each.hops for each in found} - {0})
    rows |= {_hops(hop): _row([each for each in found if each.hops == hop]) for hop in hops}
    if len(labels) > 1:
        rows["macro"] = _macro(found, labels)
    return rows


def floors(found: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """What constant answers without evidence would get in the same cases, by answer.

    Such an answer is right in joint only where gold names no evidence.
    """
    labels = sorted({each.gold for each in found if each.gold})
    bare = {each.gold for each in found if each.overlap is None}
    shares = {label: sum(each.gold == label for each in found) / len(found) for label in labels}
    return {
        f"always {label}": {"label_accuracy": share, "joint": share if label in bare else 0.0}
        for label, share in shares.items()
    }


def told(found: Sequence[Measured], rows: Mapping[str, Row], **names: Any) -> dict[str, Any]:
    """All of it as JSON values, as `report_log` reads the evaluations of a log.

    Args:
        found: what was measured.
        rows: its `summary`.
        names: what sets this evaluation apart, such as `split="test"` and `decoding="greedy"`.
    """
    labels = sorted({each.gold for each in found if each.gold})
    hops = {f"{hop}": rows[_hops(hop)] for hop in sorted({each.hops for each in found} - {0})}
    return {
        **names,
        **_cells(rows["all"]),
        **({"macro": _cells(rows["macro"])} if "macro" in rows else {}),
        "per_class": {label: _cells(rows[label]) for label in labels},
        "per_hop": {hop: _cells(row) for hop, row in hops.items()},
        "floors": floors(found),
    }


def _cells(row: Row) -> dict[str, Any]:
    cells: dict[str, Any] = {"n": row.n, "label_accuracy": asdict(row.label), "joint": asdict(row.joint)}
    if row.overlap is not None:
        cells["evidence_iou"] = asdict(row.overlap)
    return {**cells, "calls": row.calls, "tokens": row.tokens, "failed": row.failed}


def _hops(hop: int) -> str:
    return f"{hop} hop{'s' * (hop > 1)}"


def numbers_of(rows: Mapping[str, Row], prefix: str) -> dict[str, float]:
    """The rows as single numbers, for a log."""
    numbers: dict[str, float] = {}
    for name, row in rows.items():
        place = f"{prefix}/{name.replace(' ', '_')}"
        numbers |= {f"{place}/label": row.label.mean, f"{place}/joint": row.joint.mean}
        if row.overlap is not None:
            numbers[f"{place}/overlap"] = row.overlap.mean
        if name == "all":
            numbers |= {f"{place}/calls": row.calls, f"{place}/tokens": row.tokens, f"{place}/failed": row.failed}
    return numbers


def table(rows: Mapping[str, Row]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells, for a terminal."""
    columns = ["", "n", "label", "joint", "evidence IoU", "calls", "tokens", "failed"]
    cells = [
        [
            name, str(row.n), cell(row.label), cell(row.joint), cell(row.overlap), f"{row.calls:.2f}",
            f"{row.tokens:.0f}", f"{row.failed:.1%}",
        ]
        for name, row in rows.items()
    ]  # fmt: skip
    return columns, cells


def cell(estimate: Estimate | Interval | None) -> str:
    """A mean with its 95% interval, for a terminal; nothing of None."""
    return "" if estimate is None else f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _row(found: Sequence[Measured]) -> Row:
    shared = [each.overlap for each in found if each.overlap is not None]
    return Row(
        n=len(found),
        label=_share([each.label for each in found]),
        joint=_share([each.joint for each in found]),
        overlap=_mean(shared) if shared else None,
        calls=_plain(each.calls for each in found),
        tokens=_plain(each.tokens for each in found),
        failed=_plain(each.failed for each in found),
    )


def _macro(found: Sequence[Measured], labels: Sequence[str]) -> Row:
    """Each class counts the same: a weighted mean over the cases."""
    counts = {label: sum(each.gold == label for each in found) for label in labels}
    weights = [len(found) / (len(labels) * counts[each.gold]) for each in found]
    row = _row(found)
    return Row(
        n=row.n,
        label=_mean([weight * each.label for weight, each in zip(weights, found, strict=True)]),
        joint=_mean([weight * each.joint for weight, each in zip(weights, found, strict=True)]),
        overlap=row.overlap,
        calls=row.calls,
        tokens=row.tokens,
        failed=row.failed,
    )


def _share(hits: Sequence[bool]) -> Estimate:
    interval = wilson(sum(hits), len(hits))
    return Estimate(interval.mean, interval.low, interval.high)


def _mean(values: Sequence[float]) -> Estimate:
    interval = bootstrap_interval(values)
    return Estimate(sum(values) / len(values), interval.low, interval.high)


def _plain(values: Iterable[float]) -> float:
    kept = [float(value) for value in values]
    return sum(kept) / len(kept)
