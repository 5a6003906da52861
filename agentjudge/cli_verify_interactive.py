"""`agentjudge verify -i`: a verdict that can be argued with, on a terminal.

    verdict = talk(case, judge="veri-r1", model="embedded", sources=Sources(corpus=("docs/",)), ask=input)

A line is an objection: the judge gets it in the conversation that it had, and concludes anew. `/add FILE` adds a
picture or a document, `/again` judges with what was added, and an empty line ends it. This is a session of the HTTP API
without HTTP, in a folder that is gone afterwards.
"""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from agentjudge import console
from agentjudge.case import Case
from agentjudge.errors import AgentJudgeError, DataError, boundary
from agentjudge.verdict import Verdict

if TYPE_CHECKING:
    from agentjudge.serving.api_desk import Live, LiveEvent

HELP = "Say what is wrong; /add FILE for evidence, /again to judge with it, an empty line to end."
PROMPT = "> "
NAME = "corpus"


@dataclass(frozen=True, slots=True)
class Sources:
    """What a claim is held against, beside its own files."""

    corpus: tuple[str, ...] = ()
    index: str = "bm25"
    search: str | None = None
    fetch: bool = False
    mcp: Path | None = None


def talk(
    case: Case, *, judge: str, model: str, sources: Sources, seed: int | None = None, ask: Callable[[str], str] = input
) -> Verdict:
    """Judge a claim, then take objections and evidence until there are no more; the last verdict.

    Args:
        case: with paths of its files.
        judge: its name.
        model: as for `agentjudge verify`.
        sources: what it is held against.
        seed: makes what is drawn by chance reproducible.
        ask: gives the next line; EOFError ends the conversation.

    Raises:
        ConfigError: unknown judge or model, or a missing extra.
        DataError: a file cannot be used.
    """
    with TemporaryDirectory(prefix="agentjudge-") as folder:
        return asyncio.run(_talk(case, judge, model, sources, seed, ask, Path(folder)))


async def _talk(
    case: Case, judge: str, model: str, sources: Sources, seed: int | None, ask: Callable[[str], str], folder: Path
) -> Verdict:
    from agentjudge.serving.api_bench import Bench
    from agentjudge.serving.api_checkpoints import open_checkpoints
    from agentjudge.serving.api_desk import ApiDesk
    from agentjudge.serving.api_keys import Key
    from agentjudge.serving.api_sessions import Sessions
    from agentjudge.serving.api_store import Store
    from agentjudge.serving.api_work import ApiLimits, Wanted, Work

    title = str(getattr(case, "claim", ""))
    corpora = {NAME: sources.corpus} if sources.corpus else {}
    how: dict[str, Any] = {"index": sources.index, "search": sources.search, "fetch": sources.fetch, "seed": seed}
    bench = Bench.load((judge,), model=model, corpora=corpora, mcp=sources.mcp, **how)
    store = Store.open(folder)
    try:
        async with open_checkpoints(None, folder) as saver:
            work = Work(store, bench, ApiDesk(concurrency=1, queue=2), saver, ApiLimits())
            sessions, key = Sessions(work), Key(name="terminal")
            files = work.files(key.name)
            given = _kept(files, (*case.images, *(each for each in case.documents if isinstance(each, str))))
            case = case.model_copy(update={"images": given.images, "documents": given.documents})
            id, live = await sessions.start(key, Wanted(case, judge, NAME if corpora else None))
            verdict = await _show(live, title)
            console.err().print(f"[dim]{HELP}[/]")
            while (line := await asyncio.to_thread(_line, ask)) is not None:
                try:
                    if line.startswith("/add "):
                        await sessions.add(key, id, _kept(files, shlex.split(line[5:])))
                        console.err().print("[dim]added; object, or judge /again[/]")
                    elif line.startswith("/") and line != "/again":
                        console.err().print(f"[dim]{HELP}[/]")
                    else:
                        words = None if line == "/again" else line
                        verdict = await _show(await sessions.judge(key, id, words=words), title)
                except (AgentJudgeError, ValueError) as exc:
                    console.err().print(f"[yellow]{console.escape(str(exc))}[/]")
            return verdict
    finally:
        store.close()
        await bench.aclose()


def _line(ask: Callable[[str], str]) -> str | None:
    """The next line, or None at the end."""
    try:
        return ask(PROMPT if sys.stdin.isatty() else "").strip() or None
    except (EOFError, KeyboardInterrupt):
        return None


def _kept(files: Any, paths: Any) -> Any:
    """Files as evidence of a session.

    Raises:
        DataError: one cannot be read, or is of a kind that no judge reads.
    """
    from agentjudge.serving.api_files import DOCUMENTS
    from agentjudge.serving.api_sessions import Evidence
    from agentjudge.serving.rewards_files import PICTURES

    images: list[str] = []
    documents: list[str] = []
    for path in map(Path, paths):
        with boundary(DataError, f"cannot read {path}"):
            data = path.expanduser().read_bytes()
        pictured = path.suffix.lower() in (".jpeg", *PICTURES.values())
        (images if pictured else documents).append(files.put(data, path.name, PICTURES if pictured else DOCUMENTS))
    return Evidence((), tuple(images), tuple(documents))


async def _show(live: "Live", title: str) -> Verdict:
    """Follow a judgement: its steps to standard error, its verdict to standard output.

    Raises:
        AgentJudgeError: it was broken off.
    """
    steps = console.err()
    async for _, name, data in _each(live):
        if name == "tool_call":
            steps.print(f"[cyan]→ {console.escape(data['name'])}[/] {console.escape(str(data['args']))}")
        elif name == "tool_result":
            found = f"{len(data['evidence'])} to cite" if data["status"] == "ok" else data["error"]
            steps.print(f"  [dim]{data['status']} · {console.escape(found)} · {data['seconds'] * 1000:.0f} ms[/]")
        elif name == "error":
            raise AgentJudgeError(data["detail"])
        elif name == "verdict":
            verdict = Verdict.model_validate(data["verdict"])
            console.show_verdict(console.out(), verdict, title=title)
            if data["changed"] is not None:
                console.out().print(f"  [dim]{console.escape(changed(data['changed']))}[/]")
    return verdict


async def _each(live: "Live") -> "AsyncIterator[LiveEvent]":
    async for events in live.follow():
        for event in events:
            yield event


def changed(change: dict[str, Any]) -> str:
    """What a verdict says otherwise than the one before it, on a line."""

    def word(value: Any) -> str:
        return f"{value['value']:.0%}" if isinstance(value, dict) else "none" if value is None else str(value)

    parts = [f"{name} {word(each['before'])} → {word(each['after'])}" for name, each in change["fields"].items()]
    parts += [f"evidence {name} {len(refs)}" for name, refs in change["evidence"].items() if refs]
    return f"changed: {', '.join(parts)}" if parts else "nothing changed"
