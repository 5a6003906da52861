"""Contrast Instructions: two like instructions, each with an answer; is each answer put to its own (arXiv 2309.16155)?

Every item makes two pairs: the answers of both instructions under the first one, and again under the second one. Both
are compared in both orders. That is the response side of the paper; with `--policy scores` each answer is scored alone,
which is how the official scripts count it: the right one must be strictly higher. The instruction side, one answer
under both instructions, needs scores and is in the audit of consistency, for which each case names the other
instruction in `metadata["contrast"]`.

The answers are the files' `query_response_k` and `retrieval_response_k`, and the words before the text are those of
the official scripts; translations have none there, and ours say what is asked. Layout: `PART_contrast.json`.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from agentjudge.audit.consistency import CONTRAST
from agentjudge.benchmarks.files import FileRow, Unavailable, find_file, find_folder, records
from agentjudge.benchmarks.harness import Benchmark, CaseSet, Facts, Item, Measure
from agentjudge.case import Comparison, Gold, NonBlank
from agentjudge.registry import register
from agentjudge.runs.merging import agreed_or_tie
from agentjudge.runs.policies import Swap

FACTS = Facts(
    name="contrast_instructions",
    title="Contrast Instructions",
    paper="arXiv 2309.16155",
    metric="share of pairs in which the answer to this instruction is preferred to the answer to one like it",
    source="github.com/shadowkiller33/Contrast-Instruction, folder data/",
    licence="none stated in the repository",
)
PARTS = {
    "para": "Paraphrase the following sentence: {}",
    "sum": "Summarize the paragraph: {}",
    "wmt": "Translate into English: {}",
    "stack": "{}",
}


class Contrast(FileRow):
    """A row of the official files."""

    query: NonBlank
    retrieval: NonBlank
    query_response_k: str
    retrieval_response_k: str


def load(data: Path | None, part: str) -> CaseSet:
    """The pairs of one part.

    Raises:
        Unavailable: its file is not there.
        DataError: no data folder, or a malformed row.
    """
    name = f"{part}_contrast.json"
    places = (
        "judges/Contrast-Instructions/contrast_instructions",
        "Contrast-Instruction/data",
        "contrast_instructions",
    )
    folder = find_folder(data, *places, wants="*_contrast.json", get=FACTS.source)
    path = find_file(folder, name)
    if path is None:
        raise Unavailable(f"its file {name} is not in {folder}")
    rows = list(records(path, Contrast))
    items = [item for number, (_, row) in enumerate(rows) for item in _items(part, number, row)]
    left = len(rows) - len(items) // 2
    return CaseSet(items, f"{left} of {len(rows)} rows have the same answer to both and are left out" if left else "")


def _items(part: str, number: int, row: Contrast) -> Iterator[Item]:
    if row.query_response_k.split() == row.retrieval_response_k.split():
        return
    prompts = [PARTS[part].format(text) for text in (row.query, row.retrieval)]
    for i, name in enumerate(("query", "retrieval")):
        case = Comparison(
            id=f"{part}-{number}-{name}",
            prompt=prompts[i],
            responses=(row.query_response_k, row.retrieval_response_k),
            gold=Gold(preference=1 if i else -1),
            metadata={CONTRAST: prompts[1 - i]},
        )
        yield Item(case, part, cluster=f"{part}-{number}")


@register("benchmark", "contrast_instructions", paper="2309.16155")
def contrast_instructions() -> Benchmark:
    """Two like instructions with an answer each, of which each is to be preferred under its own."""
    return Benchmark(
        facts=FACTS,
        sets={part: partial(load, part=part) for part in PARTS},
        policy=Swap(agreed_or_tie),
        measures={"response side": Measure(guessing=0.5)},
    )
