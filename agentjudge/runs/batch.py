"""Many cases into a run folder, again from where it was broken off.

blobs = Path("run") / BLOBS
with Judge.load("veri-r1", corpus=corpus, blobs=blobs) as judge:
    run = judge_cases(judge, cases, Path("run"), sources={"corpus": corpus.content_hash}, resume=True)
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from agentjudge import __version__
from agentjudge.case import Case, PagedDocument
from agentjudge.errors import ConfigError, DataError
from agentjudge.opening import screenshots
from agentjudge.runs.folder import BLOBS, Run, open_run
from agentjudge.runs.writer import open_writer
from agentjudge.tools.pages import TEXTS
from agentjudge.trace import Trace


class Judges(Protocol):
    """What judges many cases: a `Judge`, or workers on a cluster (`ray_pool`)."""

    blobs: Path | None

    @property
    def opens_pages(self) -> bool:
        """Whether documents come to it as pages."""
        ...

    def settings(self) -> dict[str, Any]:
        """What its verdicts depend on, as JSON values."""
        ...

    def batch(
        self, cases: list[Case], *, concurrency: int = 32, on_trace: Callable[[Trace], None] | None = None
    ) -> object:
        """Judge cases; each is told once, when it has ended."""
        ...


def judge_cases(
    judge: Judges,
    cases: Iterable[Case],
    path: Path,
    *,
    sources: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    resume: bool = False,
    concurrency: int = 32,
    on_trace: Callable[[Trace], None] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> Run:
    """Judge cases into a run folder.

    Args:
        judge: loaded with `blobs=path / BLOBS` where cases have pictures or pages.
        cases: with ids that differ.
        path: the folder.
        sources: what the judge's tools look into, JSON values; part of what a resumed run must agree on.
        notes: whatever else shall stand in the configuration, JSON values.
        resume: go on with the run in the folder, if there is one: cases that are scored or abstained stay, those that
            failed or are missing are judged.
        concurrency: judgements in flight at once, at each worker where there are several.
        on_trace: called with each new trace.
        on_start: called with the number of cases that are to be judged.

    Raises:
        DataError: no cases, or two of one id.
        ConfigError: the run in the folder was made with other settings, or the judge keeps pictures elsewhere.
        StoreError: a run is there and `resume` is False, another process writes to it, or the disk refuses.
    """
    given = list(cases)
    check(judge, given, path)
    config = {"judge": judge.settings(), "sources": sources or {}, "notes": notes or {}, "made": made()}
    with open_writer(path, config, cases=given, resume=resume) as writer:
        left = [case for case in given if case.id not in writer.finished]
        if on_start is not None:
            on_start(len(left))

        def keep(trace: Trace) -> None:
            writer.add(trace)
            if on_trace is not None:
                on_trace(trace)

        judge.batch(left, concurrency=concurrency, on_trace=keep)
    return open_run(path)


def check(judge: Judges, cases: list[Case], path: Path) -> None:
    """Refuse what could not be resumed or read later.

    Raises:
        DataError: no cases, or two of one id.
        ConfigError: there are pictures or pages, and the judge keeps them elsewhere.
    """
    if not cases:
        raise DataError("there are no cases to judge")
    twice = next((id for id, count in Counter(case.id for case in cases).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"two cases have the id {twice!r}; a run tells cases apart by their ids")
    if judge.blobs != path / BLOBS and any(
        case.images or screenshots(case) or judge.opens_pages and _has_pages(case) for case in cases
    ):
        raise ConfigError(f"the cases have pictures: load the judge with blobs={str(path / BLOBS)!r} to keep them")


def _has_pages(case: Case) -> bool:
    """Whether documents of the case may be shown as pictures of their pages."""
    return any(
        Path(document).suffix.lower() not in TEXTS if isinstance(document, str) else isinstance(document, PagedDocument)
        for document in case.documents
    )


def made() -> dict[str, str]:
    """By which version of this package, and when (UTC)."""
    return {"by": f"agentjudge {__version__}", "at": datetime.now(UTC).isoformat(timespec="seconds")}
