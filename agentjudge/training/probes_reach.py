"""What a trained policy reaches beside the one that it began as: pass@k of both on the same cases.

    start, now = read_tries(Path("start.jsonl")), read_tries(Path("now.jsonl"))
    for reach in reached(start, now, ks=(1, 8, 64)):
        print(reach.k, reach.start, reach.now, reach.change)

A policy that is only made surer gains at k = 1 and loses at large k, where the start still finds what it does not any
more (arXiv 2510.04028). A file of tries has a JSON object a line, one a judgement: `case`, its id, and `right`, true,
false or null (masked; it does not count). Tries have to be sampled: greedy ones are all the same.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentjudge.case import Record
from agentjudge.errors import ConfigError, DataError
from agentjudge.registry import register
from agentjudge.runs.comparing import Difference, paired_bootstrap
from agentjudge.runs.statistics import Interval, bootstrap_interval
from agentjudge.training.monitors_reach import pass_at


class Reach(Record):
    """pass@k of two policies."""

    k: int
    start: Interval
    now: Interval
    change: Difference
    """`now` less `start`, case by case."""
    n: int
    """Cases with at least k tries of both."""


def read_tries(path: Path) -> dict[str, list[bool]]:
    """For each case whether each try was right, from a file of tries.

    Raises:
        DataError: the file cannot be read, a line is no try, or none counts.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(f"cannot read the tries in {path}: {exc}") from exc
    tries: dict[str, list[bool]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            case, right = row["case"], row["right"]
        except (ValueError, KeyError, TypeError) as exc:
            raise DataError(f'{path}, line {number}: expected {{"case": "ID", "right": true}}') from exc
        if not isinstance(case, str) or not isinstance(right, bool | None):
            raise DataError(f"{path}, line {number}: `case` is a string, and `right` is true, false or null")
        if right is not None:
            tries.setdefault(case, []).append(right)
    if not tries:
        raise DataError(f"{path} holds no try that counts")
    return tries


@register("training", "reach", paper="2510.04028")
def reached(
    start: Mapping[str, Sequence[bool]],
    now: Mapping[str, Sequence[bool]],
    *,
    ks: Sequence[int] = (1, 8, 64),
    seed: int = 0,
) -> list[Reach]:
    """pass@k of both, for each k of which there are enough tries.

    Args:
        start: for each case whether each try of the policy before the training was right.
        now: the same of the policy after it.
        ks: how many tries are let count.
        seed: of the intervals.

    Raises:
        ConfigError: a k that is not positive.
        DataError: no case has enough tries of both for any k.
    """
    if any(k < 1 for k in ks):
        raise ConfigError(f"k is at least 1, not {min(ks)}")
    shared = [case for case in start if case in now]
    found = []
    for k in sorted(set(ks)):
        pairs = [(pass_at(k, start[case]), pass_at(k, now[case])) for case in shared]
        both = [(one, two) for one, two in pairs if one is not None and two is not None]
        if both:
            before, after = [one for one, _ in both], [two for _, two in both]
            found.append(
                Reach(
                    k=k,
                    start=bootstrap_interval(before, seed=seed),
                    now=bootstrap_interval(after, seed=seed),
                    change=paired_bootstrap(before, after, seed=seed),
                    n=len(both),
                )
            )
    if not found:
        raise DataError(
            f"{len(shared)} cases are in both, and none has {min(ks, default=1)} tries in each; sample more"
        )
    return found


def shrunk(found: Sequence[Reach]) -> bool:
    """Whether the policy is surer of less: pass@k rose for the smallest k and fell for the largest, beyond chance."""
    return len(found) > 1 and found[0].change.low > 0 > found[-1].change.high
