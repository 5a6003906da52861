"""The front door: load a judge, give it cases, get verdicts with evidence.

    judge = Judge.load("veri-r1", model="embedded", corpus="docs/")
    verdict = judge.judge(Claim(id="1", claim="The bridge opened in 1932."))
    print(verdict.label, [ref.quote for ref in verdict.evidence])

Async inside, with one sync facade: `judge` and `batch` run on an event loop of the judge's own thread, so they also
work in notebooks and inside frameworks that have a loop already. A judge is safe to share between threads and
tasks.
"""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar

from agentjudge.budget import Budget
from agentjudge.case import Case, parse_case
from agentjudge.errors import AgentJudgeError, ConfigError, DataError
from agentjudge.evidence import EvidenceStore
from agentjudge.models.base import Model, Sampling, load_model
from agentjudge.opening import has_files, open_case
from agentjudge.prompts import Fence
from agentjudge.registry import lookup
from agentjudge.trace import ToolEvent, Trace, Turn, picture_names
from agentjudge.verdict import Failure, Provenance, Verdict

if TYPE_CHECKING:
    from agentjudge.graphs.loop import LoopJudge
    from agentjudge.graphs.state import JudgeContext
    from agentjudge.tools.base import Tool
    from agentjudge.tools.corpus import Corpus

T = TypeVar("T")
PAGE_TOOLS = {"doc_page_retrieval_by_query", "doc_page_retrieval_by_index"}
"""Tools that open documents page by page."""


class StepEvent(NamedTuple):
    """One thing that happened during a judgement, as `astream` yields it."""

    kind: Literal["turn", "tool", "verdict"]
    value: Turn | ToolEvent | Verdict


class Judge:
    """A judge with its model, tools and limits. Build it with `Judge.load`."""

    def __init__(
        self,
        spec: "LoopJudge",
        *,
        model: Model,
        tools: "Sequence[Tool[Any]]" = (),
        budget: Budget | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
        blobs: Path | None = None,
    ) -> None:
        from agentjudge.tools.base import ToolBox

        refused = [tool.name for tool in tools if not spec.takes(tool, model.profile)]
        if refused:
            raise ConfigError(f"judge {spec.name!r} uses the tools {', '.join(spec.tools)}, not {', '.join(refused)}")
        self.spec = spec
        self.model = model
        self.budget = budget or spec.budget
        self.sampling = sampling or Sampling()
        if self.sampling.seed is None:
            self.sampling = self.sampling.model_copy(update={"seed": seed})
        self.seed = seed
        self._tools = ToolBox(tools)
        self.blobs = blobs
        self._prompt_hash = spec.prompt_hash(model.profile)
        self._graph = spec.compile()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def load(
        cls,
        name: str = "veri-r1",
        *,
        model: str | Model = "embedded",
        corpus: "Corpus | str | Path | Sequence[str | Path] | None" = None,
        index: str = "bm25",
        search: str | None = None,
        fetch: bool = False,
        mcp: str | Path | None = None,
        budget: Budget | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
        blobs: Path | None = None,
    ) -> Self:
        """A judge by name, with the tools that its sources give it.

        Args:
            name: a registered judge, see `agentjudge list judges`.
            model: `embedded`, `vllm:NAME[@URL]`, `openai:NAME[@URL]`, `hf:PATH`, `scripted:FILE`, or a `Model`.
            corpus: files or folders to retrieve from, or a `Corpus`; brings the tool `retrieve`.
            index: `bm25`, `dense` or `hybrid`.
            search: a search engine such as `searxng@URL` or `retrieve@URL`; brings the tool `search`.
            fetch: also offer `fetch`, which opens public web pages.
            mcp: file of others' MCP servers, see `agentjudge.tools.mcp_config`; brings the tools that it allows.
            budget: limits of one judgement; the judge's own when None.
            sampling: how tokens are drawn; greedy when None.
            seed: makes everything that is drawn by chance reproducible.
            blobs: folder for the pictures and pages of the cases; in memory when None.

        Raises:
            ConfigError: unknown judge, model, index or engine, an MCP server that cannot be used, or a missing extra.
            DataError: the corpus is absent, empty or cannot be read.
        """
        spec: LoopJudge = lookup("judge", name).target()
        tools: list[Tool[Any]] = list(spec.brings())
        if corpus is not None:
            from agentjudge.tools.corpus import Corpus
            from agentjudge.tools.retrieve import Retrieve

            tools.append(Retrieve(corpus if isinstance(corpus, Corpus) else Corpus.load(corpus), index=index))
        if search is not None:
            from agentjudge.tools.search import Search, load_engine

            tools.append(Search(load_engine(search)))
        if fetch:
            from agentjudge.tools.fetch import Fetch

            tools.append(Fetch())
        loaded = load_model(model) if isinstance(model, str) else model
        if mcp is not None:
            from agentjudge.tools.mcp import mcp_tools

            if not spec.takes_foreign(loaded.profile):
                raise ConfigError(f"judge {name!r} with the model {loaded.name!r} uses no tools of MCP servers")
            tools += mcp_tools(mcp)
        return cls(spec, model=loaded, tools=tools, budget=budget, sampling=sampling, seed=seed, blobs=blobs)

    @property
    def opens_pages(self) -> bool:
        """Whether PDFs and pictures of pages come to it as pages that its tools open, not as one text."""
        return not PAGE_TOOLS.isdisjoint(self._tools.tools)

    def settings(self) -> dict[str, Any]:
        """What its verdicts depend on, as JSON values; the contents of its sources apart."""
        return {
            "name": self.spec.name,
            "prompts": self._prompt_hash,
            "model": self.model.name,
            "protocol": self.model.profile.protocol,
            "seed": self.seed,
            "tools": list(self._tools.tools),
            "budget": self.budget.model_dump(mode="json"),
            "sampling": self.sampling.model_dump(mode="json"),
        }

    # one case

    async def arun(self, case: Case | str) -> Trace:
        """Judge one case and return everything that happened; whatever goes wrong is a failed verdict in it.

        Raises:
            DataError: the claim is empty, or the case is of a kind that this judge does not take.
            ConfigError: the judge is closed.
        """
        return await self._run(self._case(case))

    async def _run(self, case: Case) -> Trace:
        state: dict[str, Any] = {}
        try:
            opened, context = await self._opened(case)
            state = await self._graph.ainvoke({"case": opened}, self._config(), context=context)
        except Exception as exc:
            state["verdict"] = self._failed(case.id, exc)
        return self._trace(case, state)

    async def aconclude(self, trace: Trace, evidence: Callable[[], EvidenceStore]) -> Trace:
        """Conclude again over the evidence of a trace, in this judge's words and with its model; no tool is called.

        `usage` counts all turns of the new trace, those of the old one included; its `seconds` are the new ones.

        Args:
            trace: of a case that this judge takes.
            evidence: makes the store with the pictures and documents that were shown; called in a thread, and what it
                raises becomes a failed verdict.
        """
        state: dict[str, Any] = {}
        try:
            self._case(trace.case)
            context = self._context(trace.case, await asyncio.to_thread(evidence))
            given = self.spec.gathered(trace, context)
            state = await self._graph.ainvoke(given, self._config(), context=context)
        except Exception as exc:
            state["verdict"] = self._failed(trace.case.id, exc)
        return self._trace(trace.case, state)

    async def aresume(self, case: Case, trace: Trace, *, act: bool = True, draw: int = 0) -> Trace:
        """Go on with a judgement from where `trace` ends: with its tools, or straight to the conclusion.

        The calls of the trace are made again, so that what they read is there for those that follow; what the model is
        shown of them is what the trace says. `usage` counts all turns, those of the trace included.

        Args:
            case: the one that was judged, with its files.
            trace: of it, up to some turn; see `agentjudge.rewards.mattered.before`.
            act: take free turns; conclude at once when False.
            draw: added to the seed of the sampling, so that several draws differ.
        """
        from agentjudge.tools.base import ToolCall, ToolContext

        state: dict[str, Any] = {}
        try:
            opened, context = await self._opened(self._case(case))
            seed, names = context.sampling.seed, picture_names(opened, ())
            if seed is not None:
                context.sampling = context.sampling.model_copy(update={"seed": seed + draw})
            for event in trace.events:
                seen = ToolContext(opened, context.store, names, self.model.profile)
                made = await context.tools.execute(ToolCall(event.call_id, event.name, event.args), seen)
                made.name(names, self.model.profile)
            given = self.spec.gathered(replace(trace, case=opened), context)
            if act:
                given |= {"next": "act", "exhausted": None}
            state = await self._graph.ainvoke(given, self._config(), context=context)
        except Exception as exc:
            state["verdict"] = self._failed(case.id, exc)
        return self._trace(case, state)

    async def astream(self, case: Case | str) -> AsyncIterator[StepEvent]:
        """Judge one case, yielding each turn and tool event as it happens and the verdict last."""
        checked = self._case(case)
        verdict: Verdict | None = None
        try:
            checked, context = await self._opened(checked)
            stream = self._graph.astream({"case": checked}, self._config(), context=context, stream_mode="updates")
            async for update in stream:
                for change in update.values():
                    for turn in change.get("turns", ()):
                        yield StepEvent("turn", turn)
                    for event in change.get("events", ()):
                        if isinstance(event, ToolEvent):  # or that its result was taken back
                            yield StepEvent("tool", event)
                    verdict = change.get("verdict", verdict)
        except Exception as exc:
            verdict = self._failed(checked.id, exc)
        yield StepEvent(
            "verdict", verdict or self._failed(checked.id, AgentJudgeError("the graph ended without a verdict"))
        )

    async def ajudge(self, case: Case | str) -> Verdict:
        """The verdict on one case; a failure is a verdict too."""
        return (await self.arun(case)).verdict

    def judge(self, case: Case | str) -> Verdict:
        """The verdict on one case; a string is taken as a claim.

        Raises:
            DataError: the claim is empty, or the case is of a kind that this judge does not take.
            ConfigError: the judge is closed, or this is called by a callback of its own.
        """
        return self.wait(self.ajudge(case))

    def run(self, case: Case | str) -> Trace:
        """The trace of one case."""
        return self.wait(self.arun(case))

    def stream(self, case: Case | str) -> Iterator[StepEvent]:
        """`astream`, for callers without an event loop."""
        queue: SimpleQueue[StepEvent | BaseException | None] = SimpleQueue()

        async def pump() -> None:
            try:
                async for event in self.astream(case):
                    queue.put(event)
                queue.put(None)
            except BaseException as exc:
                queue.put(exc)
                raise

        future = self._submit(pump())
        try:
            while (item := queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            future.cancel()

    # many cases

    async def abatch(
        self,
        cases: Iterable[Case | str],
        *,
        concurrency: int = 32,
        on_trace: Callable[[Trace], None] | None = None,
    ) -> list[Verdict]:
        """The verdicts on many cases, in their order; every case gets exactly one.

        Args:
            cases: read lazily, so a generator over a large file is fine.
            concurrency: judgements in flight at once.
            on_trace: called with each trace as soon as it is there; traces are not kept otherwise.
        """
        verdicts: dict[int, Verdict] = {}

        async def work(numbered: tuple[int, Case | str]) -> None:
            number, case = numbered
            try:
                trace = await self._run(self._case(case))
            except DataError as exc:
                if not isinstance(case, Case):
                    verdicts[number] = self._failed(str(number), exc)
                    return
                trace = self._trace(case, {"verdict": self._failed(case.id, exc)})
            verdicts[number] = trace.verdict
            if on_trace is not None:
                on_trace(trace)

        await spread(enumerate(cases), work, concurrency=concurrency)
        return [verdicts[number] for number in sorted(verdicts)]

    def batch(
        self,
        cases: Iterable[Case | str],
        *,
        concurrency: int = 32,
        on_trace: Callable[[Trace], None] | None = None,
    ) -> list[Verdict]:
        """`abatch`, for callers without an event loop."""
        return self.wait(self.abatch(cases, concurrency=concurrency, on_trace=on_trace))

    # life

    async def aclose(self) -> None:
        """Release the model's and the tools' connections and threads, for good; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.model.aclose()
        finally:
            await self._tools.aclose()

    def close(self) -> None:
        """`aclose`, and the end of the judge's own event loop."""
        if not self._closed:
            self.wait(self.aclose())
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # inside

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError("this judge is closed; load it again")

    def _case(self, case: Case | str) -> Case:
        self._check_open()
        if isinstance(case, str):
            if not case.strip():
                raise DataError("the claim is empty")
            name = f"claim-{secrets.token_hex(4)}" if self.seed is None else "claim"
            case = parse_case({"id": name, "claim": case}, where="the claim")
        if not isinstance(case, self.spec.cases):
            wanted = " or ".join(kind.__name__ for kind in self.spec.cases)
            raise DataError(f"judge {self.spec.name!r} takes a {wanted}, not a {type(case).__name__}")
        return case

    async def _opened(self, case: Case) -> "tuple[Case, JudgeContext]":
        return await asyncio.to_thread(self._open, case) if has_files(case) else self._open(case)

    def _open(self, case: Case) -> "tuple[Case, JudgeContext]":
        """The case as the judge may see it, its files in a store of its own, and the context of its judgement."""
        store = EvidenceStore(root=self.blobs)
        case = open_case(case, store, pages=self.opens_pages)
        return case, self._context(case, store)

    def _context(self, case: Case, store: EvidenceStore) -> "JudgeContext":
        from agentjudge.graphs.state import JudgeContext

        return JudgeContext(
            judge=self.spec.name,
            model=self.model,
            tools=self._tools.fitting(case, self.model.profile),
            store=store,
            budget=self.budget,
            sampling=self.sampling,
            fence=Fence(seed=self.seed, salt=case.id),
            seed=self.seed,
            prompt_hash=self._prompt_hash,
        )

    def _config(self) -> dict[str, Any]:
        return {"recursion_limit": self.budget.supersteps}

    def _failed(self, case_id: str, exc: Exception) -> Verdict:
        provenance = Provenance(judge=self.spec.name, prompt_hash=self._prompt_hash, model=self.model.name)
        return Verdict(case_id=case_id, status="failed", failure=Failure.of(exc), provenance=provenance)

    def _trace(self, case: Case, state: dict[str, Any]) -> Trace:
        return Trace(
            case=state.get("case", case).blind(),
            judge=self.spec.name,
            messages=state.get("messages", []),
            turns=state.get("turns", []),
            events=state.get("events", []),
            opening=state.get("opening", ()),
            verdict=state.get("verdict") or self._failed(case.id, AgentJudgeError("the graph ended without a verdict")),
        )

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start on the judge's own event loop, which lives in a thread of its own."""
        try:
            self._check_open()
            if threading.current_thread() is self._thread:
                raise ConfigError("a judge cannot wait for itself: use another one in its callbacks")
        except ConfigError:
            coroutine.close()
            raise
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="agentjudge", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine, run on the judge's own event loop."""
        future = self._submit(coroutine)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise


async def spread(items: Iterable[T], work: Callable[[T], Coroutine[Any, Any, None]], *, concurrency: int) -> None:
    """Do `work` on every item, at most so many at once; items are read lazily.

    Raises:
        ConfigError: `concurrency` is not positive.
        Exception: the first one from `items` or `work`; what is in flight is cancelled.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency must be at least 1, not {concurrency}")
    left = iter(items)

    async def drain() -> None:
        for item in left:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(drain())
    except ExceptionGroup as exc:  # the caller's own, and one is enough to tell
        raise exc.exceptions[0] from None
