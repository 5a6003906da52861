"""Audits of a judge into a folder: what they cost is known before, and one that was killed goes on.

    planned = plan(audits(only=["master-keys"]), cases)
    print(planned.cost(veri_r1()))                           # judgements, calls and tokens, at most
    save(run(planned, loads, Path("audit"), resume=True), Path("audit"))

    folder/judged/          a run: every probe that is judged as it is
    folder/bare/            a run: those that are judged without tools
    folder/sampled/         a run: those that are drawn again, at temperature 1
    folder/again-HASH/      a run: what an audit that searches asks when it has seen the first answers, or goes on from
                            one of them with
    folder/report.json      what was found, and report.html for a person

The same question of two audits is judged once. Runs are those of `agentjudge judge`: `agentjudge view` shows them.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from agentjudge.audit.base import REPORT, Audit, Audited, Finding, Probe, Report, Way
from agentjudge.audit.gate import Policy, check, held
from agentjudge.audit.page import page
from agentjudge.audit.resuming import Resuming
from agentjudge.budget import Budget
from agentjudge.case import Case
from agentjudge.errors import ConfigError, DataError, StoreError, boundary
from agentjudge.graphs.fanout import FanJudge
from agentjudge.graphs.loop import LoopJudge
from agentjudge.judge import Judge
from agentjudge.models.base import Sampling
from agentjudge.registry import load_kind
from agentjudge.runs.batch import judge_cases
from agentjudge.runs.folder import BLOBS, open_run
from agentjudge.trace import Trace

PAGE = "report.html"
CHARACTERS = 4
"""Of a token, about."""
PROMPT = 600
"""Tokens of a judge's own instructions, about."""


class Loads(Protocol):
    """Makes the judge that is audited."""

    def __call__(self, *, blobs: Path, tools: bool = True, temperature: float | None = None) -> Judge:
        """The judge.

        Args:
            blobs: folder for pictures.
            tools: with its tools.
            temperature: of what is sampled; the judge's own when None.
        """
        ...


class Cost(NamedTuple):
    """What audits cost: an upper bound of what the model is asked, and what that comes to in tokens, roughly."""

    judgements: int
    calls: int
    """Of the model, at most: every free turn, and every answer asked for again; the client's own retries are none."""
    prompt_tokens: int
    """If every judgement makes its calls and a tool shows as much as a case; four characters a token."""
    completion_tokens: int
    """At most."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Audits and their probes."""

    audits: tuple[Audit, ...]
    probes: Mapping[str, tuple[Probe, ...]]
    """By audit."""
    silent: Mapping[str, str]
    """Audits that none of the cases fits, and what they would need."""

    def cases(self, way: Way) -> list[Case]:
        """The different cases that are judged this way."""
        found = {probe.case.id: probe.case for each in self.probes.values() for probe in each if probe.way == way}
        return list(found.values())

    @property
    def ways(self) -> list[Way]:
        """Ways in which something is judged."""
        return [way for way in WAYS if self.cases(way)]

    def cost(
        self,
        judge: LoopJudge,
        *,
        budget: Budget | None = None,
        sampling: Sampling | None = None,
        done: Mapping[Way, frozenset[str]] | None = None,
    ) -> Cost:
        """What is left to be asked, and what second rounds ask at most.

        Args:
            judge: as registered.
            budget: of a judgement; the judge's own when None.
            sampling: of its free turns; that of a judge for which nothing is said when None.
            done: ids that were judged before, by way.
        """
        allowed, drawn = budget or judge.budget, sampling or Sampling()
        tries = 1 + allowed.repairs
        asks = tries * (2 if judge.plans else 1)
        fans = isinstance(judge, FanJudge)
        free = {way: allowed.turns * (tries if fans else 1) for way in WAYS}
        if not fans and not judge.brings():
            free["bare"] = 0
        left = [
            (free[way], PROMPT + len(case.model_dump_json()) // CHARACTERS)
            for way in self.ways
            for case in self.cases(way)
            if case.id not in (done or {}).get(way, frozenset())
        ]
        further = sum(audit.most_again for audit in self.audits if audit.name not in self.silent)
        usual = sum(size for _, size in left) // max(1, len(left))
        left += [(free["judged"], usual)] * further
        return Cost(
            judgements=len(left),
            calls=sum(turns + asks for turns, _ in left),
            prompt_tokens=sum(size * (turns + asks) * (turns + asks + 1) // 2 for turns, size in left),
            completion_tokens=sum(turns * drawn.max_tokens + asks * allowed.answer_tokens for turns, _ in left),
        )


WAYS: tuple[Way, ...] = ("judged", "bare", "sampled")


def audits(only: Sequence[str] = ()) -> list[Audit]:
    """The audits by name; all when none is named.

    Raises:
        ConfigError: there is no such audit.
    """
    from agentjudge.registry import lookup

    known = [name for name, each in load_kind("audit").items() if _is_audit(each.target)]
    for name in only:
        if not _is_audit(lookup("audit", name).target):
            raise ConfigError(f"{name!r} is a part of audits and none by itself; there is {', '.join(known)}")
    return [lookup("audit", name).target() for name in only or known]


def _is_audit(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, Audit)


def plan(chosen: Sequence[Audit], cases: Sequence[Case]) -> Planned:
    """What audits ask of a judge about these cases.

    Raises:
        DataError: no audit can be made of them.
    """
    probes: dict[str, tuple[Probe, ...]] = {}
    silent: dict[str, str] = {}
    for audit in chosen:
        fitting = [case for case in cases if isinstance(case, audit.kinds)]
        probes[audit.name] = tuple(audit.probes(fitting))
        if not probes[audit.name]:
            silent[audit.name] = f"none of the {len(cases)} cases fits: it wants {audit.wants}"
    if not any(probes.values()):
        raise DataError("; ".join(f"{name}: {why}" for name, why in silent.items()) or "there are no audits to make")
    return Planned(tuple(chosen), probes, silent)


def judged_before(folder: Path) -> dict[Way, frozenset[str]]:
    """Ids that need not be judged again, by way."""
    found: dict[Way, frozenset[str]] = {}
    for way in WAYS:
        if (folder / way).is_dir():
            statuses = open_run(folder / way).statuses()
            found[way] = frozenset(id for id, status in statuses.items() if status != "failed")
    return found


def run(
    planned: Planned,
    loads: Loads,
    folder: Path,
    *,
    policy: Policy | None = None,
    sources: Mapping[str, Any] | None = None,
    resume: bool = False,
    concurrency: int = 32,
    on_trace: Callable[[Trace], None] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> Report:
    """Audit a judge into a folder.

    Args:
        planned: what is asked.
        loads: makes the judge.
        folder: for the runs; see `save` for the report.
        policy: what the judge has to keep.
        sources: what the judge's tools look into, as for `judge_cases`.
        resume: go on with what is in the folder.
        concurrency: judgements in flight at once.
        on_trace: called with each new trace.
        on_start: called with the number of judgements that are to be made, once for each way.

    Raises:
        ConfigError: the judge cannot be had, the folder holds an audit of another one, or the policy names what was
            not audited.
        DataError: the judge does not take these cases.
        StoreError: the folder holds an audit and `resume` is False, or the disk refuses.
    """
    if policy is not None:
        check(policy, [audit.name for audit in planned.audits])
    settings: dict[str, Any] = {}

    def judged(way: Way, cases: list[Case], place: Path, given: Sequence[Probe] = ()) -> dict[str, Trace]:
        nonlocal settings
        temperature = 1.0 if way == "sampled" else None
        with loads(blobs=place / BLOBS, tools=way != "bare", temperature=temperature) as judge:
            settings = settings or judge.settings()
            asked = judge_cases(
                Resuming(judge, given) if given else judge,
                cases,
                place,
                sources=sources,
                notes={"audit": way},
                resume=resume,
                concurrency=concurrency,
                on_trace=on_trace,
                on_start=on_start,
            )
        return {trace.case.id: trace for trace in asked.traces()}

    traces = {way: judged(way, planned.cases(way), folder / way) for way in planned.ways}
    again = {audit.name: tuple(audit.again(_audited(audit, planned.probes, traces))) for audit in planned.audits}
    for way in WAYS:
        asked = {probe.case.id: probe for probes in again.values() for probe in probes if probe.way == way}
        fresh = [probe for probe in asked.values() if probe.given is None]
        begun = [probe for probe in asked.values() if probe.given is not None]
        for probes_of, given in ((fresh, ()), (begun, begun)):
            if probes_of:
                place = folder / f"again-{_digest(way, probes_of)}"
                found = judged(way, [probe.case for probe in probes_of], place, given)
                traces[way] = {**traces.get(way, {}), **found}
    probes = {name: (*first, *again[name]) for name, first in planned.probes.items()}
    findings = []
    for audit in planned.audits:
        if audit.name in planned.silent:
            why = planned.silent[audit.name]
            findings.append(Finding(audit=audit.name, title=audit.title, n=0, scored=0, silent=why))
        else:
            findings.append(audit.find(_audited(audit, probes, traces)))
    report = Report(settings=settings, findings=tuple(findings))
    return report if policy is None else report.model_copy(update={"gate": held(report, policy)})


def _digest(way: Way, probes: Sequence[Probe]) -> str:
    """Names what is asked in a second round, and after which first one."""
    asked = [(way, probe.case.model_dump_json(), probe.given and probe.given.messages) for probe in probes]
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:8]


def save(report: Report, folder: Path) -> None:
    """Write the report into the folder, as JSON and as a page.

    Raises:
        StoreError: the disk refuses.
    """
    with boundary(StoreError, f"cannot write the report into {folder}"):
        (folder / REPORT).write_text(report.model_dump_json(indent=2), encoding="utf-8")
        (folder / PAGE).write_text(page(report), encoding="utf-8")


def _audited(
    audit: Audit, probes: Mapping[str, Sequence[Probe]], traces: Mapping[Way, Mapping[str, Trace]]
) -> list[Audited]:
    pairs = [(probe, traces.get(probe.way, {}).get(probe.case.id)) for probe in probes[audit.name]]
    return [Audited(probe, trace) for probe, trace in pairs if trace is not None]
