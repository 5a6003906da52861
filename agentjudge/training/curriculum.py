"""A curriculum by measured success: cases that the policy always gets right teach it nothing, and are left out.

    source = await chosen(source, config, model, reward, folder=folder)

Each case of a limited number is judged several times before anything is trained (ARM-Thinker drops those that are right
5 times of 5, arXiv 2512.05111). What was measured is kept in `curriculum.json`, so a run that is resumed goes on with
the cases that it began with, whatever its policy could do by now.
"""

import json
from pathlib import Path

from agentjudge.errors import ConfigError, DataError
from agentjudge.models.base import Model
from agentjudge.rewards.base import AnyReward
from agentjudge.training.config import TrainConfig
from agentjudge.training.groups import Drawing
from agentjudge.training.measures import measured
from agentjudge.training.sampling import teachable
from agentjudge.training.sources import Chosen, Source

FILE = "curriculum.json"
AT_ONCE = 16
"""Cases that are measured at once."""


async def chosen(source: Source, config: TrainConfig, model: Model, reward: AnyReward, *, folder: Path) -> Source:
    """The cases that teach something.

    Args:
        source: of a limited number of cases.
        config: of the run.
        model: the policy at the start.
        reward: of the run; its masked judgements are no tries.
        folder: of the run.

    Raises:
        ConfigError: the cases never end.
        DataError: no case teaches anything.
    """
    table, size = config.curriculum, source.size
    if table is None:
        return source
    if size is None:
        raise ConfigError("a curriculum is of a limited number of cases")
    file = folder / FILE
    if file.is_file():
        right = {int(number): found for number, found in json.loads(file.read_text(encoding="utf-8")).items()}
    else:
        right = await _measured(Drawing(source, config, model, reward), size, table.tries)
        file.write_text(json.dumps(right), encoding="utf-8")
    kept = teachable(right, tries=table.tries)
    if not table.never:
        never = [number for number, found in right.items() if not any(found)]
        kept = sorted({*kept, *never})
    if not kept:
        raise DataError(f"none of {size} cases is neither always nor never right: there is nothing to learn from them")
    return Chosen(source, tuple(kept))


async def _measured(drawing: Drawing, size: int, tries: int) -> dict[int, list[bool]]:
    right: dict[int, list[bool]] = {}
    for first in range(0, size, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, size))
        for number, group in zip(numbers, await drawing.groups(numbers, step=0, size=tries), strict=True):
            pairs = zip(group.rollouts, group.results, strict=True)
            right[number] = [measured(r.trace, group.case).label for r, result in pairs if result.score is not None]
    return right
