"""The same evidence judged again: another conclusion, by another prompt or model, without a single tool call.

    run = open_run("run")
    with rescorer(run, model="vllm:Qwen/Qwen3-8B") as judge:
        again = rescore(run, judge, Path("again"))

What a run's judgements looked up is kept; only the node `conclude` of the judge's graph, and the check after it, run
again. The verdicts name the new model and prompts, and go into a run folder of their own.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from agentjudge.case import Document
from agentjudge.errors import ConfigError, DataError, StoreError, boundary
from agentjudge.evidence import EvidenceStore
from agentjudge.judge import Judge, spread
from agentjudge.models.base import load_model
from agentjudge.opening import screenshots
from agentjudge.registry import lookup
from agentjudge.runs.batch import made
from agentjudge.runs.folder import BLOBS, TRACES, Run, open_run
from agentjudge.runs.writer import open_writer
from agentjudge.trace import Trace


def rescorer(
    run: Run,
    *,
    judge: str | None = None,
    model: str | None = None,
    prompt: Path | None = None,
) -> Judge:
    """A judge that concludes over the evidence of a run and needs no sources; its seed is that of the run.

    Args:
        run: whose evidence.
        judge: a registered judge; that of the run when None.
        model: as everywhere; that of the run when None.
        prompt: file that asks for the verdict in place of the judge's own, with its placeholders.

    Raises:
        ConfigError: unknown judge or model, none named by the run either, or a prompt that cannot be used.
    """
    settings = run.config.get("judge", {})
    judge, model = judge or settings.get("name"), model or settings.get("model")
    if judge is None or model is None:
        raise ConfigError(f"{run.path} does not say by which judge and model it was made; name both")
    spec = lookup("judge", judge).target()
    if prompt is not None:
        with boundary(ConfigError, f"cannot read the prompt {prompt}"):
            spec = spec.with_conclusion(prompt.read_text(encoding="utf-8").rstrip("\n"))
    return Judge(spec, model=load_model(model), seed=settings.get("seed"))


def rescore(
    run: Run,
    judge: Judge,
    out: Path,
    *,
    resume: bool = False,
    concurrency: int = 32,
    on_trace: Callable[[Trace], None] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> Run:
    """Conclude again over the evidence of every case of a run.

    A judgement that had failed before its evidence was complete fails again: resume that run first.

    Args:
        run: whose evidence.
        judge: concludes; see `rescorer`.
        out: folder of the new run.
        resume: go on with the new run, if there is one: cases that are scored or abstained in it stay.
        concurrency: conclusions in flight at once.
        on_trace: called with each new trace.
        on_start: called with the number of cases that are to be concluded.

    Raises:
        ConfigError: the model speaks another protocol than the one of the run, or the new run, or its settings,
            cannot be.
        StoreError: a run is in `out` and `resume` is False, another process writes to it, or the disk refuses.
        DataError: the run is empty.
    """
    if out.resolve() == run.path.resolve():
        raise ConfigError(f"{out} is the run itself; the new one goes into another folder")
    had, has = run.config.get("judge", {}).get("protocol"), judge.model.profile.protocol
    if had not in (None, has):
        raise ConfigError(f"{run.path} was judged in the protocol {had!r}, and {judge.model.name} speaks {has!r}")
    statuses, cases = run.statuses(), list(run.cases().values())
    if not statuses:
        raise DataError(f"{run.path} holds no judgements")
    lines = hashlib.sha256((run.path / TRACES).read_bytes()).hexdigest()
    config = {"judge": judge.settings(), "sources": {"run": lines}, "notes": {"run": str(run.path)}, "made": made()}
    with open_writer(out, config, cases=cases, resume=resume) as writer:
        left = set(statuses) - set(writer.finished)
        if on_start is not None:
            on_start(len(left))

        async def again(trace: Trace) -> None:
            new = await judge.aconclude(trace, lambda: stored_evidence(run, trace, root=out / BLOBS))
            writer.add(new)
            if on_trace is not None:
                on_trace(new)

        traces = (trace for trace in run.traces() if trace.case.id in left)
        judge.wait(spread(traces, again, concurrency=concurrency))
    return open_run(out)


def stored_evidence(run: Run, trace: Trace, *, root: Path | None = None) -> EvidenceStore:
    """A store with what was shown in a trace: its pictures, and of documents the sentences that were shown.

    Args:
        run: holds the pictures.
        trace: of this run.
        root: folder for the pictures; in memory when None.

    Raises:
        DataError: the judgement failed before its evidence was complete.
        StoreError: the run lacks a picture.
    """
    failure = trace.verdict.failure
    if failure is not None and all(turn.phase != "conclude" for turn in trace.turns):
        raise DataError(f"the judgement failed before its evidence was complete ({failure.kind}: {failure.message})")
    store = EvidenceStore(root=root)
    for image in dict.fromkeys([*trace.case.images, *(image for event in trace.events for image in event.images)]):
        data = run.blob(image)
        if data is None:
            raise StoreError(f"{run.path} has no picture {image!r}")
        store.add_image(data)
    for screenshot in dict.fromkeys(screenshots(trace.case)):
        with boundary(StoreError, f"{run.path} has no picture {screenshot!r}"):
            store.put_file(run.path / BLOBS / screenshot[:2] / screenshot)
    own = {document.id for document in trace.case.documents if isinstance(document, Document)}
    titles = {
        str(hit.get("doc")): str(hit.get("title") or "")
        for event in trace.events
        for hit in event.data.get("hits", ())
        if isinstance(hit, dict)
    }
    for doc, text in _sentences_shown(trace).items():
        if doc not in own:
            store.add_document(doc, text, title=titles.get(doc, ""))
    return store


def _sentences_shown(trace: Trace) -> dict[str, str]:
    """By document, a text in which every sentence shown stands in its place, with blanks between."""
    texts: dict[str, str] = {}
    for ref in (ref for event in trace.events for ref in event.refs):
        if ref.doc is not None and ref.start is not None and ref.quote:
            text = texts.get(ref.doc, "").ljust(ref.start)
            texts[ref.doc] = text[: ref.start] + ref.quote + text[ref.start + len(ref.quote) :]
    return texts
