"""GiGPO: groups within the group, of turns that were taken in the same state (arXiv 2505.10978).

    A_t = A of the whole rollout + weight x A of turn t among the turns of its group that began in the same state

where a turn counts as its return, G_t = r_t + discount x G_(t+1); the last turn has the outcome on top of its own
reward. Rewards without rewards of turns do: what came out then distinguishes turns by where they led to.

The state of a judge, its anchor, is the case, the evidence that it has seen, what is left of its budget, and the phase:
not the words of the conversation, which never come twice. The order in which evidence was seen does not count. Turns in
a state that nobody else was in have the advantage of their rollout.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from agentjudge.errors import ConfigError
from agentjudge.evidence import EvidenceRef
from agentjudge.registry import register
from agentjudge.trace import Trace
from agentjudge.training.advantages import Array, Estimator, Granularity, Group, Worth, normal

Scale = Literal["deviation", "none"]


@register("training", "gigpo", paper="2505.10978")
@dataclass(frozen=True, slots=True)
class GiGPO(Estimator):
    """GiGPO: the rollout among its group, and each turn among those that were taken in the same state."""

    weight: float = 1.0
    """Of the turn's advantage beside the rollout's."""
    discount: float = 0.95
    """Of what comes a turn later, 0 to 1."""
    scale: Scale = "deviation"
    """What differences from the mean are divided by."""
    name: ClassVar = "gigpo"
    granularity: ClassVar[Granularity] = "turn"

    def __post_init__(self) -> None:
        if not 0 <= self.discount <= 1:
            raise ConfigError(f"a discount lies from 0 to 1, not at {self.discount!r}")
        if self.scale not in get_args(Scale):
            raise ConfigError(f"unknown scale {self.scale!r}; there is 'deviation' and 'none'")

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`."""
        whole = self._compared(group.scores)
        base = np.zeros(len(group.rollouts)) if whole is None else whole
        returns = [
            _returns(rewards, outcome, self.discount)
            for rewards, outcome in zip(group.turn_rewards, group.outcomes, strict=True)
        ]
        states: dict[str, list[tuple[int, int]]] = {}
        for i, rollout in enumerate(group.rollouts):
            for turn, anchor in enumerate(anchors(rollout.trace)):
                states.setdefault(anchor, []).append((i, turn))
        turns = [np.full(len(each), value) for each, value in zip(returns, base, strict=True)]
        told = whole is not None
        for places in states.values():
            compared = self._compared(np.array([returns[i][turn] for i, turn in places]))
            if compared is not None:
                told = True
                for (i, turn), value in zip(places, compared, strict=True):
                    turns[i][turn] += self.weight * value
        return Worth(base, turns) if told else Worth(None)

    def _compared(self, values: Array) -> Array | None:
        scaled = normal(values)
        return scaled if scaled is None or self.scale == "deviation" else values - values.mean()


def anchors(trace: Trace) -> tuple[str, ...]:
    """The state in which each turn began, as a hash; equal for turns that began in the same one."""
    seen = {_key(ref) for ref in trace.opening}
    calls = free = 0
    found = []
    for number, turn in enumerate(trace.turns):
        state = [trace.case.kind, trace.case.id, sorted(seen), calls, free, turn.phase]  # type: ignore[attr-defined]
        found.append(hashlib.sha256(json.dumps(state).encode()).hexdigest())
        events = [event for event in trace.events if event.turn == number]
        calls += len(events)
        free += turn.phase == "act"
        seen |= {_key(ref) for event in events for ref in event.refs}
    return tuple(found)


def _key(ref: EvidenceRef) -> str:
    """What was shown, whatever name it was shown under."""
    return ref.model_dump_json(exclude={"id"}, exclude_none=True)


def _returns(rewards: Array, outcome: float, discount: float) -> Array:
    returns, later = np.zeros(len(rewards)), outcome
    for turn in range(len(rewards) - 1, -1, -1):
        later = rewards[turn] + (later if turn == len(rewards) - 1 else discount * later)
        returns[turn] = later
    return returns
