"""Cases as the data that verl reads: a Parquet file, one row a case.

    python -m agentjudge.training.verl_data --cases train.jsonl --out train.parquet
    python -m agentjudge.training.verl_data --gym claims --count 4096 --hops 1 2 --out train.parquet
    python -m agentjudge.training.verl_data --gym claims --count 300 --split test --out test.parquet

| column | holds |
|---|---|
| `prompt` | what is judged, as a user's message: for verl's filters and logs, the judge writes its own prompt |
| `extra_info` | `index`; `case`, as JSON with its gold; `documents`, the case's own corpus as JSON, or an empty text |
| `reward_model` | `ground_truth`: the gold as JSON, for the log |
| `data_source` | the name under which validation is reported |
| `agent_name` | the agent loop, where one is named; else the recipe's `default_agent_loop` |

Paths of pictures and documents are written as they stand: they have to lead to the files on every node.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, get_args

from agentjudge.case import Case, Claim, Comparison, Document, Response, read_cases
from agentjudge.errors import AgentJudgeError, ConfigError, DataError, require
from agentjudge.training.gym import ClaimGym, PageGym, PictureGym
from agentjudge.training.gym.names import Split

GYMS = ("claims", "pages", "pictures")


class Item(NamedTuple):
    """A case and where its evidence is looked for."""

    case: Case
    """With gold."""
    documents: tuple[Document, ...] = ()
    """Its own corpus; the agent loop's when empty."""


def rows(items: Iterable[Item], *, source: str = "agentjudge", agent: str = "") -> list[dict[str, Any]]:
    """The rows of the data.

    Args:
        items: what is judged.
        source: name of the data.
        agent: name of the agent loop; the configuration's when empty.

    Raises:
        DataError: a case without gold, from which nothing can be learned.
    """
    made = []
    for index, (case, documents) in enumerate(items):
        if case.gold is None:
            raise DataError(f"the case {case.id!r} has no gold: nothing can be learned from it")
        told = json.dumps([document.model_dump(mode="json") for document in documents]) if documents else ""
        row = {
            "data_source": source,
            "prompt": [{"role": "user", "content": question(case)}],
            "ability": "judge",
            "reward_model": {"style": "rule", "ground_truth": case.gold.model_dump_json(exclude_none=True)},
            "extra_info": {"index": index, "case": case.model_dump_json(), "documents": told},
        }
        made.append(row | ({"agent_name": agent} if agent else {}))
    return made


def question(case: Case) -> str:
    """What a case is about, in a line or a few."""
    if isinstance(case, Claim):
        return case.claim
    if isinstance(case, Response | Comparison):
        return case.prompt
    return str(getattr(case, "goal", case.id))


def write(path: str | Path, items: Iterable[Item], *, source: str = "agentjudge", agent: str = "") -> int:
    """Write the data; an existing file is replaced. Gives the number of rows.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: no case, or one without gold.
    """
    arrow, parquet = require("pyarrow", extra="table"), require("pyarrow.parquet", extra="table")
    made = rows(items, source=source, agent=agent)
    if not made:
        raise DataError("there is no case to write")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.Table.from_pylist(made), str(path))
    return len(made)


def gym_items(
    gym: str, *, split: Split, seed: int, hops: Sequence[int], documents: int, pictures: str | Path | None
) -> Iterator[Item]:
    """Cases of a gym, without end.

    Args:
        gym: one of `GYMS`.
        split: of the worlds.
        seed: of the worlds.
        hops: of claims.
        documents: of each claim's corpus, at least.
        pictures: folder for the pictures.

    Raises:
        ConfigError: unknown gym, or pictures without a folder.
    """
    if gym == "claims":
        for world in ClaimGym(split=split, seed=seed, hops=tuple(hops), documents=documents).worlds():
            yield from (Item(case, world.documents) for case in world.cases)
    elif gym == "pages":
        yield from map(Item, PageGym(split=split, seed=seed).cases())
    elif gym == "pictures":
        if pictures is None:
            raise ConfigError("say where the pictures go: --pictures FOLDER")
        yield from map(Item, PictureGym(Path(pictures).resolve(), split=split, seed=seed).cases())
    else:
        raise ConfigError(f"there is no gym {gym!r}; there is {', '.join(GYMS)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when the file is there, 2 when it could not be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--cases", help="JSON lines of cases with gold")
    given.add_argument("--gym", choices=GYMS, help="generated worlds")
    parser.add_argument("--out", required=True, help="the Parquet file")
    parser.add_argument("--count", type=int, help="cases; all of a file, 1024 of a gym")
    parser.add_argument("--source", default="", help="name of the data")
    parser.add_argument("--agent", default="", help="name of the agent loop, if not the recipe's")
    parser.add_argument("--split", choices=get_args(Split), default="train", help="of the gym")
    parser.add_argument("--seed", type=int, default=0, help="of the gym")
    parser.add_argument("--hops", type=int, nargs="+", default=[1], help="of claims in the gym")
    parser.add_argument("--documents", type=int, default=10, help="of each claim's corpus in the gym")
    parser.add_argument("--pictures", help="folder for the gym's pictures")
    options = parser.parse_args(arguments)
    try:
        items: Iterable[Item]
        if options.cases:
            items = islice(map(Item, read_cases(options.cases)), options.count)
        else:
            made = gym_items(
                options.gym,
                split=options.split,
                seed=options.seed,
                hops=options.hops,
                documents=options.documents,
                pictures=options.pictures,
            )
            items = islice(made, options.count or 1024)
        source = options.source or (f"gym-{options.gym}" if options.gym else Path(options.cases).stem)
        count = write(options.out, items, source=source, agent=options.agent)
    except AgentJudgeError as exc:
        print(exc.message, file=sys.stderr)
        return 2
    print(f"{count} cases in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
