"""The cases of a benchmark without its metric, for what judges cases of any origin, such as audits.

    cases_of("llmbar", limit=40)                       # forty of all its sets, by lot
    cases_of("contrast_instructions", sets=["para"])

Gold and documents stay with the cases. Claims come with their gold evidence, and only those that the embedded model
has not seen. Where several sets are read, each id begins with the name of its set.
"""

from collections.abc import Sequence
from pathlib import Path

from agentjudge.benchmarks.claims import Claims
from agentjudge.benchmarks.claims_sets import SETS, load_set
from agentjudge.benchmarks.files import Unavailable
from agentjudge.benchmarks.harness import Benchmark
from agentjudge.benchmarks.running import choose_sets, draw
from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.registry import lookup


def cases_of(
    name: str,
    *,
    sets: Sequence[str] | None = None,
    limit: int | None = None,
    data: Path | None = None,
    seed: int | None = 0,
) -> list[Case]:
    """The cases of a registered benchmark.

    Args:
        name: of the benchmark.
        sets: names of sets; all whose files are there when None.
        limit: most cases, drawn by the seed.
        data: folder of the data sets; the environment variable AGENTJUDGE_DATA when None.
        seed: of the draw.

    Raises:
        ConfigError: there is no such benchmark or set, or judges are asked nothing in it.
        DataError: no data, a set asked for by name that is not there, or a malformed file.
    """
    made = lookup("benchmark", name).target()
    if isinstance(made, Claims):
        chosen, _ = choose_sets(SETS, sets, lambda each: _claims(each, data), what="claim set")
    elif isinstance(made, Benchmark):
        chosen, _ = choose_sets(made.sets, sets, lambda each: _items(made, each, data))
    else:
        raise ConfigError(f"the benchmark {name} has no cases that a judge is asked about")
    named = len(chosen) > 1
    found = [
        case.model_copy(update={"id": f"{part}/{case.id}"}) if named else case
        for part, cases in chosen.items()
        for case in cases
    ]
    return draw(found, limit, seed)


def _items(benchmark: Benchmark, name: str, data: Path | None) -> list[Case]:
    return _some([item.case for item in benchmark.sets[name](data).items])


def _claims(name: str, data: Path | None) -> list[Case]:
    items = load_set(name, data, oracle_evidence=True).items
    return _some([item.claim for item in items if item.part == "held_out"])


def _some(cases: list[Case]) -> list[Case]:
    if not cases:
        raise Unavailable("has files without rows")
    return cases
