"""Rows and advantages as the tensors of TRL's loss, in micro-batches that add up to the loss of the whole step.

    batches = micro_batches(rows, advantages, loss="dapo", size=8, pad=tokenizer.pad_token_id, ...)

A step has as many rows as its rollouts happened to make, so the micro-batches differ in size. TRL's losses are means
over what is in a micro-batch, each in its own way; a mean of such means would count a rollout by the company it is in.
They are all linear in the advantage, so a factor on it makes their mean over the n micro-batches that of the step,
whatever was drawn together. With N rollouts and T trained tokens in the step, and r rows and t tokens in the
micro-batch,

| loss | TRL's mean over a micro-batch | factor |
|---|---|---|
| grpo, sapo | over tokens, then over rows | weight of the row x r n / N |
| dr_grpo, luspo | over rows | r n / N |
| bnpo | over tokens | t n / T |
| dapo, cispo, vespo | sum by a given T | 1, with T / n given |

So a rollout counts once, however many rows it has. Rows without any advantage have no gradient: they are left out,
where there is neither a divergence nor an entropy to learn from, and are still counted in N and T.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentjudge.errors import require
from agentjudge.training.rows import TrainRow

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Whole:
    """What a step is counted by."""

    rollouts: int
    """Those that are not masked."""
    tokens: int
    """Trained ones."""


class Paid(NamedTuple):
    """A row with the advantage of each of its tokens."""

    row: TrainRow
    advantages: Array


def micro_batches(
    paid: Sequence[Paid], whole: Whole, *, loss: str, size: int, pad: int, skip: bool, device: Any = "cpu"
) -> list[dict[str, Any]]:
    """The inputs of TRL's `_compute_loss`, rows of like length together; none where there is nothing to learn.

    Args:
        paid: the rows.
        whole: of the step, rows that are left out among them.
        loss: as TRL names it.
        size: rows of a micro-batch, at most.
        pad: token to fill up with.
        skip: leave out rows whose advantages are all 0.
        device: of the tensors.
    """
    kept = [each for each in paid if not skip or each.advantages.any()]
    if not kept:
        return []
    kept.sort(key=lambda each: len(each.row.input_ids))
    count = -(-len(kept) // size)
    parts = [[kept[place] for place in places] for places in np.array_split(np.arange(len(kept)), count)]
    return [_tensors(part, whole, count, loss=loss, pad=pad, device=device) for part in parts]


def _tensors(part: Sequence[Paid], whole: Whole, count: int, *, loss: str, pad: int, device: Any) -> dict[str, Any]:
    torch = require("torch", extra="train")
    rows = [each.row for each in part]
    starts = [row.spans[0].start for row in rows]
    ends = [row.spans[-1].end for row in rows]
    before, behind = max(starts), max(end - start for start, end in zip(starts, ends, strict=True))
    shape = (len(rows), behind)
    prompt, prompt_mask = np.full((len(rows), before), pad), np.zeros((len(rows), before), np.int64)
    ids, mask, trained = np.full(shape, pad), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    logprobs, advantages = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    tokens = sum(row.trained for row in rows)
    for at, ((row, values), start, end) in enumerate(zip(part, starts, ends, strict=True)):
        prompt[at, before - start :] = row.input_ids[:start]
        prompt_mask[at, before - start :] = 1
        width = end - start
        ids[at, :width], mask[at, :width] = row.input_ids[start:end], 1
        trained[at, :width] = row.loss_mask[start:end]
        logprobs[at, :width] = row.logprobs[start:end]
        advantages[at, :width] = values[start:end] * _factor(loss, row, len(rows), tokens, whole, count)
    made = {
        "prompt_ids": prompt,
        "prompt_mask": prompt_mask,
        "completion_ids": ids,
        "completion_mask": mask,
        "tool_mask": trained,
        "sampling_per_token_logps": logprobs,
        "old_per_token_logps": logprobs,
        "advantages": advantages,
        "num_items_in_batch": np.float32(whole.tokens / count),
    }
    return {name: torch.as_tensor(values, device=device) for name, values in made.items()}


def _factor(loss: str, row: TrainRow, rows: int, tokens: int, whole: Whole, count: int) -> float:
    if loss in ("grpo", "sapo"):
        return row.weight * rows * count / whole.rollouts
    if loss in ("dr_grpo", "luspo"):
        return rows * count / whole.rollouts
    if loss == "bnpo":
        return tokens * count / whole.tokens
    return 1.0
