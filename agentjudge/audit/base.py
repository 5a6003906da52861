"""An audit: cases are changed in a way that a sound judge must follow, or must not mind, and judged again.

    class MasterKeys(Audit):
        name, title, kinds = "master-keys", "Empty answers that are taken for right", (Response,)

        def probes(self, cases): ...        # each case with its answer exchanged, under an id of its own
        def find(self, judged): ...         # how many were taken for right

| part | what it is |
|---|---|
| `Probe` | a case to be judged, the case that it was made of, and what was done to it |
| `Audited` | the same with the trace of its judgement |
| `Number` | a share or a difference with its interval, which way is better, and how far it may go |
| `Finding` | what an audit found: its numbers, and cases in which the judge was fooled |
| `Report` | all findings of a judge, and whether a gate let it through |

Probes follow from the cases alone, so that all audits of a judge are one run folder (`running`): an audit that is
killed goes on, the same question of two audits is asked once, and what was found can be counted again from the traces.

A number is `kept` where its interval lies on the right side of its limit, `broken` where it lies on the wrong one. In
between too little was asked to tell. A gate lets through only what is kept: that nothing was found in ten cases shows
nothing. Judgements that abstained or failed were not fooled; how many did is told, for a judge that always abstains
passes most audits and is of no use.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any, ClassVar, Literal

from agentjudge.case import Case, Record
from agentjudge.runs.reliability import Reliability
from agentjudge.runs.selective import RiskCoverage
from agentjudge.runs.statistics import Interval, bootstrap_interval, wilson
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

REPORT = "report.json"
SHOWN = 5
"""Examples in a finding."""
LONGEST = 400
"""Characters of what is shown of one."""
SEEN = ("claim", "prompt", "response", "responses", "goal", "final_answer", "documents", "candidates")
"""Fields of a case that are shown of one, in this order."""


Way = Literal["judged", "bare", "sampled"]
"""How a probe is judged: as the judge does, without its tools, or drawn anew at temperature 1."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A case to be judged in an audit."""

    case: Case
    parent: Case
    """What it was made of; itself where nothing was changed."""
    variant: str = ""
    """What was done."""
    way: Way = "judged"
    given: Trace | None = None
    """Of a second round: what has happened already, to go on from (`sampled`) or to conclude over (`judged`)."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A probe that was judged."""

    probe: Probe
    trace: Trace

    @property
    def verdict(self) -> Verdict:
        """Of the judgement."""
        return self.trace.verdict


class Number(Record):
    """A number of a finding."""

    name: str
    value: Interval
    better: Literal["low", "high"]
    limit: float | None = None
    """How far it may go; None where it is only told."""
    beside: str = ""
    """What it is to be held against: a floor, another number, in words."""

    @property
    def state(self) -> Literal["kept", "broken", "open", "told"]:
        """On which side of its limit the whole interval lies."""
        if self.limit is None:
            return "told"
        low, high = (self.value.low, self.value.high) if self.better == "low" else (-self.value.high, -self.value.low)
        limit = self.limit if self.better == "low" else -self.limit
        if high <= limit:
            return "kept"
        return "broken" if low > limit else "open"


class Example(Record):
    """A case in which the judge was fooled."""

    case: str
    """Id of the probe, as in the run folder."""
    shown: str
    """What it was shown, shortened."""
    said: str
    """What it said."""


class Finding(Record):
    """What an audit found."""

    audit: str
    title: str
    n: int
    """Judgements that it rests on."""
    scored: int
    """Of them, those with a verdict; the others abstained or failed."""
    numbers: tuple[Number, ...] = ()
    examples: tuple[Example, ...] = ()
    reliability: Reliability | None = None
    """Confidence against accuracy, where that was asked."""
    risk_coverage: RiskCoverage | None = None
    silent: str = ""
    """Why it says nothing, where it does: no case that it could be made of."""

    @property
    def state(self) -> Literal["kept", "broken", "open", "silent"]:
        """The worst of its numbers; `open` where one is, `silent` where there is none with a limit."""
        states = {number.state for number in self.numbers}
        for state in ("broken", "open", "kept"):
            if state in states:
                return state
        return "silent"


class Passed(Record):
    """What a gate says (`agentjudge.audit.gate`)."""

    passed: bool
    against: tuple[str, ...] = ()
    """What stands against the judge, a line each."""


class Report(Record):
    """All that was found in a judge."""

    settings: dict[str, Any]
    """Of the judge, as in its runs."""
    findings: tuple[Finding, ...]
    gate: Passed | None = None


class Audit(ABC):
    """One way in which a judge can be fooled."""

    name: ClassVar[str]
    title: ClassVar[str]
    """What is asked, in a few words."""
    kinds: ClassVar[tuple[type[Case], ...]]
    """Cases that it can be made of."""
    wants: ClassVar[str]
    """The same in words, with what else a case must have, such as `answers with gold`."""
    most_again: ClassVar[int] = 0
    """Judgements of a second round, at most; see `again`."""

    @abstractmethod
    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """What is judged; always the same for the same cases.

        An unchanged case keeps its id, so that audits share its judgement; a changed one is made by `changed`.

        Args:
            cases: of the kinds that it takes.
        """

    def again(self, judged: Sequence[Audited]) -> Iterator[Probe]:
        """What is judged in a second round, for audits that search; always the same for the same judgements.

        Args:
            judged: what came of `probes`.
        """
        return iter(())

    @abstractmethod
    def find(self, judged: Sequence[Audited]) -> Finding:
        """What came of it.

        Args:
            judged: probes in their order, those of the second round last; those without a trace are left out.
        """

    def finding(self, judged: Sequence[Audited], numbers: Sequence[Number], fooled: Sequence[Audited] = ()) -> Finding:
        """A finding of this audit, with the first few of those that were fooled."""
        return Finding(
            audit=self.name,
            title=self.title,
            n=len(judged),
            scored=sum(each.verdict.status == "scored" for each in judged),
            numbers=tuple(numbers),
            examples=tuple(example(each) for each in fooled[:SHOWN]),
        )


def share(hits: Sequence[bool], clusters: Sequence[Hashable]) -> Interval:
    """A share with a 95% interval that is fit for a limit: the wider ends of Wilson's and of a bootstrap of clusters.

    Wilson's takes judgements that share a case for independent; a bootstrap of none in ten cases is a point at 0.

    Args:
        hits: at least one.
        clusters: the cluster of each, such as the id of its parent.

    Raises:
        ValueError: there are none, or not one cluster a hit.
    """
    drawn, alone = bootstrap_interval([float(hit) for hit in hits], clusters), wilson(sum(hits), len(hits))
    return Interval(alone.mean, min(drawn.low, alone.low), max(drawn.high, alone.high), alone.n)


def difference(one: Interval, two: Interval) -> Interval:
    """One share less another with a 95% interval, by their own intervals (Newcombe 1998, method 10).

    It takes the two for independent, so for pairs of judgements of one case it is wider than it need be.
    """
    gap = one.mean - two.mean
    low = gap - math.hypot(one.mean - one.low, two.high - two.mean)
    high = gap + math.hypot(one.high - one.mean, two.mean - two.low)
    return Interval(gap, max(-1.0, low), min(1.0, high), one.n)


def changed(parent: Case, audit: str, variant: str, **fields: Any) -> Probe:
    """A probe of a case with other fields, under an id of its own and without gold unless it is given.

    Args:
        parent: the case.
        audit: name.
        variant: what was done; unique among the probes of this case in this audit.
        fields: what is exchanged.
    """
    told = {"id": f"{parent.id}/{audit}/{variant}", "gold": None, **fields}
    return Probe(type(parent).model_validate({**dict(parent), **told}), parent, variant)


def example(each: Audited) -> Example:
    """A probe for a reader."""
    case, verdict = each.probe.case, each.verdict
    told = case.model_dump(exclude_defaults=True)
    shown = {name: told[name] for name in SEEN if name in told}
    said = verdict.label or (f"{verdict.score:.2f}" if verdict.score is not None else "") or verdict.status
    if verdict.preference is not None:
        said = f"preference {verdict.preference:+d}"
    return Example(case=case.id, shown=shorten(str(shown), LONGEST, placeholder=" ..."), said=said)
