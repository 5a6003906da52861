"""Which worker judges which case: where its prefix was read before, unless that one is busier than the others.

    place = choose(prefix_key(case), loads={0: 12, 1: 3}, most=32)      # 0, 1, or None where all are full

A server keeps the keys and values of prompts that it has read, and the pictures that it has encoded, so cases that
share their pictures, pages, run or prompt are cheaper at one server. Places are ranked for a key by rendezvous hashing,
so that a worker that comes or goes moves the keys of no other one; the first place counts whose load is within `SLACK`
of the mean (bounded loads, arXiv 1608.01350), so that one popular document keeps no worker waiting.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from agentjudge.case import ActionChoice, Case, Claim, Comparison, Response, Trajectory
from agentjudge.runs.packing import dumps

SLACK = 1.25
"""Load that a place may have, in units of the mean load."""


def prefix_key(case: Case) -> bytes | None:
    """What cases have in common that share the expensive part of their prompt; None for one that shares nothing."""
    shared: dict[str, Any] = case.model_dump(mode="json", include={"images", "documents"}, exclude_defaults=True)
    if isinstance(case, Comparison | Response):
        shared["prompt"] = case.prompt
    elif isinstance(case, ActionChoice | Trajectory):
        shared |= case.model_dump(mode="json", include={"goal", "steps", "history"}, exclude_defaults=True)
    elif isinstance(case, Claim) and case.context:
        shared["context"] = case.context
    return hashlib.sha256(dumps(shared)).digest() if shared else None


def choose(key: bytes | None, loads: Mapping[int, int], *, most: int) -> int | None:
    """The place for a case.

    Args:
        key: of its prefix; None goes to the least loaded place.
        loads: judgements in flight by place.
        most: a place has at once.

    Returns:
        A place, or None where all are full.
    """
    free = {place: load for place, load in loads.items() if load < most}
    if not free:
        return None
    if key is None:
        return min(free, key=lambda place: (free[place], place))
    bound = math.ceil(SLACK * (sum(loads.values()) + 1) / len(loads))
    fitting = [place for place, load in free.items() if load < bound]
    return max(fitting or free, key=lambda place: hashlib.sha256(key + place.to_bytes(4, "big")).digest())
