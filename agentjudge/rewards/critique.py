"""Is the verdict right for the right reasons? Similarity of a critique to a person's (RM-NLHF, arXiv 2601.07349).

    r = right + weight x F1        of the arguments of the judge's critique and those of the person's

A right label says little of a judge of pairs: half of its rewards come by chance, and RM-R1-7B's critique was wrong in
44% of its right labels. In the paper an outside model extracts the core arguments of both critiques and matches them;
here the judge's are the reasons of its criteria, or else the sentences of its rationale, the person's stand in
`metadata["critique"]`, one argument each, and `alike` says how near two of them are. By default that is the F1 of their
words, which needs no model and sees no paraphrase: hand in an encoder or an entailment judge for more.

Each argument matches one other at most, so saying one thing in many ways costs precision and gains nothing. The paper's
weight is not known to us.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from agentjudge.case import Case
from agentjudge.errors import ConfigError, DataError
from agentjudge.registry import register
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.reading import Reading, Term
from agentjudge.rewards.terms import CORRECT
from agentjudge.sentences import sentence_spans
from agentjudge.trace import Trace

Alike = Callable[[str, str], float]
"""How near two arguments are, 0 to 1."""
_WEIGHT = re.compile(r"^\(weight [\d.]+\)\s*")


def words_alike(a: str, b: str) -> float:
    """F1 of the words of two texts, regardless of case and order."""
    ours, theirs = (Counter(re.findall(r"\w+", text.casefold())) for text in (a, b))
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def arguments(trace: Trace) -> list[str]:
    """What a judge brings forward: the reasons of its criteria, else the sentences of its rationale; each once."""
    found = [_WEIGHT.sub("", criterion.reason).strip() for criterion in trace.verdict.criteria]
    if not any(found):
        text = trace.verdict.rationale
        found = [text[start:end].strip() for start, end in sentence_spans(text)]
    return list(dict.fromkeys(filter(None, found)))


def critique_of(case: Case) -> list[str]:
    """The person's arguments in `metadata["critique"]`.

    Raises:
        DataError: there are none.
    """
    found = case.metadata.get("critique")
    if not isinstance(found, list | tuple) or not found or not all(isinstance(each, str) for each in found):
        raise DataError(f"case {case.id!r}: metadata['critique'] must be a list of a person's arguments")
    return list(found)


def matched(ours: Sequence[str], theirs: Sequence[str], alike: Alike, least: float) -> int:
    """How many pairs of arguments can be matched, each used once and each pair at least so near: a maximum matching."""
    near = [[j for j, b in enumerate(theirs) if alike(a, b) >= least] for a in ours]
    taken: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j in near[i]:
            if j not in tried:
                tried.add(j)
                if j not in taken or place(taken[j], tried):
                    taken[j] = i
                    return True
        return False

    return sum(place(i, set()) for i in range(len(ours)))


@dataclass(frozen=True, slots=True)
class CritiqueSimilarity:
    """F1 of the arguments of two critiques, 0 to 1."""

    reference: Callable[[Case], Sequence[str]] = critique_of
    alike: Alike = words_alike
    least: float = 0.5
    """How near two arguments have to be to be one."""
    low: ClassVar = 0.0
    high: ClassVar = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.least <= 1:
            raise ConfigError(f"least lies above 0 and up to 1, not {self.least!r}")

    def read(self, trace: Trace, case: Case) -> Reading:
        """See `Term`.

        Raises:
            DataError: the case has no critique.
        """
        ours, theirs = arguments(trace), list(self.reference(case))
        same = matched(ours, theirs, self.alike, self.least)
        return 2.0 * same / (len(ours) + len(theirs)) if ours or theirs else 0.0


@register("reward", "rm_nlhf", paper="2601.07349")
def rm_nlhf(
    *,
    weight: float = 1.0,
    reference: Callable[[Case], Sequence[str]] = critique_of,
    alike: Alike = words_alike,
    least: float = 0.5,
    answer: Term = CORRECT,
) -> Composite:
    """The answer, and how far the judge's arguments are those of a person's critique.

    Args:
        weight: of the similarity beside the answer.
        reference: a person's arguments of a case; `metadata["critique"]` by default.
        alike: how near two arguments are; by their words by default.
        least: how near they have to be to be one.
        answer: the outcome's term.
    """
    return Composite((Part("answer", answer), Part("critique", CritiqueSimilarity(reference, alike, least), weight)))
