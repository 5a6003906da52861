"""One judgement as the API needs it: told step by step, in a thread of checkpoints, to be gone on with or reopened.

    judge = ServedJudge(spec, model=model, box=box, blobs=files.blobs, saver=saver, seed=None)
    done = await judge.judged(Asked(case, seconds=60, thread="v_1"), tell)          # `tell` takes each event
    done.trace.verdict, done.sources, done.pictures

| thread | begun how |
|---|---|
| None | in memory alone |
| new | as any judgement, a checkpoint a step |
| broken off | `resumes`: goes on behind the last checkpoint; from the start where there is none |
| ended | `first_turn`: `words` and what came to the case are said behind the verdict, and the loop is open again |

Reopened, a judgement has its whole budget anew: what was spent before is put on top of it. The state machine is the one
of every judgement; it is entered behind its tools, as LangGraph lets a thread be continued from any node.
"""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentjudge.budget import Spent
from agentjudge.case import Case, Claim, PagedDocument
from agentjudge.evidence import EvidenceStore
from agentjudge.graphs.dialect import cite, said_with
from agentjudge.graphs.fanout import FanJudge
from agentjudge.graphs.state import JudgeContext, State, shown
from agentjudge.judge import Judge
from agentjudge.models.base import Model
from agentjudge.opening import has_files, open_case
from agentjudge.prompts import fill, load_prompt, prompt_hash
from agentjudge.serving.api_documents import ThreadDocuments
from agentjudge.serving.api_sources import named_pictures, pictures_of, restore, sources_of
from agentjudge.serving.api_steps import Tell, Teller
from agentjudge.tools.base import ToolBox
from agentjudge.tools.citing import plain
from agentjudge.trace import Trace, picture_names

if TYPE_CHECKING:
    from agentjudge.graphs.loop import LoopJudge

PROMPTS = Path(__file__).parent / "prompts"


@dataclass(frozen=True, slots=True)
class Asked:
    """A judgement to be made."""

    case: Case
    """With paths, and with what was added."""
    seconds: float
    """For it, at most; the judge's own where those are fewer."""
    thread: str | None = None
    """Of checkpoints."""
    resumes: bool = False
    """It was broken off."""
    first_turn: int = 0
    """Turns that were taken in the thread for earlier verdicts; 0 for its first one."""
    words: str | None = None
    """An objection to the verdict before."""


@dataclass(slots=True)
class Done:
    """A judgement that has ended."""

    trace: Trace
    sources: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)


class ServedJudge(Judge):
    """A judge of one owner: model and tools are shared, the files are not.

    Args:
        spec: its machine.
        model: shared; closed by whoever made it.
        box: tools, shared too.
        blobs: folder for the pictures of this owner.
        saver: LangGraph's checkpointer.
        seed: as everywhere.
    """

    def __init__(
        self, spec: "LoopJudge", *, model: Model, box: ToolBox, blobs: Path, saver: Any, seed: int | None = None
    ) -> None:
        super().__init__(spec, model=model, seed=seed, blobs=blobs)
        self._tools = box
        self._threads = spec.compile(checkpointer=saver)

    @property
    def reopens(self) -> bool:
        """Whether an objection can be said to it: it has one conversation, not one for each part of a case."""
        return not isinstance(self.spec, FanJudge)

    async def judged(self, asked: Asked, tell: Tell) -> Done:
        """Make a judgement; whatever goes wrong is a failed verdict.

        Raises:
            DataError: the judge does not take cases of this kind.
        """
        case, state = self._case(asked.case), dict[str, Any]()
        done = Done(self._trace(case, {}))
        try:
            store = EvidenceStore(root=self.blobs)
            opens = partial(open_case, case, store, pages=self.opens_pages)
            case = await asyncio.to_thread(opens) if has_files(case) else opens()
            earlier = await self._earlier(asked)
            context = self._budgeted(self._context(case, store), asked, earlier)
            texts = self._texts(asked.thread)
            if texts is not None:
                await asyncio.to_thread(_restore, store, texts, earlier)
            dialect = self.spec.dialect(self.model.profile)
            given = await self._given(asked, case, context, earlier)
            state, turns, events = dict(earlier), earlier.get("turns", ()), earlier.get("events", ())
            teller = Teller(tell, context, dialect, turns=len(turns), events=events)
            teller.given(case)
            async for mode, part in self._stream(given, context, asked.thread):
                if mode == "values":
                    state = part
                    if texts is not None:
                        texts.save(store)
                else:
                    teller.note(part)
            done.sources, done.pictures = teller.sources, teller.pictures
            self._gather(state, store, done)
        except Exception as exc:
            state = {**state, "verdict": self._failed(case.id, exc)}
        done.trace = self._trace(case, state)
        return done

    def _texts(self, thread: str | None) -> ThreadDocuments | None:
        if thread is None or self.blobs is None:
            return None
        retrieve = self._tools.tools.get("retrieve")
        return ThreadDocuments(texts_file(self.blobs, thread), getattr(retrieve, "corpus", None))

    def _stream(self, given: Any, context: JudgeContext, thread: str | None) -> Any:
        config = {"recursion_limit": context.budget.supersteps, **_at(thread)}
        modes = ["tasks", "values"]
        if thread is None:
            return self._graph.astream(given, config, context=context, stream_mode=modes)
        # sync: a step is in the database before the next one asks the model for anything
        return self._threads.astream(given, config, context=context, stream_mode=modes, durability="sync")

    async def _earlier(self, asked: Asked) -> State:
        """The state of the thread, empty where there is none to go on with."""
        if asked.thread is None or not (asked.resumes or asked.first_turn):
            return {}
        values: State = (await self._threads.aget_state(_at(asked.thread))).values
        return values if values.get("messages") else {}

    async def _given(self, asked: Asked, case: Case, context: JudgeContext, earlier: State) -> Any:
        """The input of the graph; None goes on from the checkpoint."""
        at = _at(asked.thread)
        if not earlier:
            return {"case": case}
        begun = len(earlier.get("turns", ())) > asked.first_turn or (await self._threads.aget_state(at)).next
        if not asked.first_turn or (asked.resumes and begun):
            return None
        await self._threads.aupdate_state(at, self._reopening(asked, case, context, earlier), as_node="tools")
        return None

    def _reopening(self, asked: Asked, case: Case, context: JudgeContext, earlier: State) -> State:
        """What is said behind the last verdict."""
        had, fence = earlier["case"], context.fence
        documents = tuple(document for document in case.documents if document not in had.documents)
        text, cited = cite(Claim(id=case.id, claim="-", documents=documents), context)
        names = [f"{plain(each.id)}: {each.pages} pages" for each in documents if isinstance(each, PagedDocument)]
        text = "\n\n".join(part for part in (text, "\n".join(names)) if part)
        evidence = f"\n\nThis was added to the case:\n\n{fence.wrap(text, what='documents')}" if text else ""
        pictures = {name: sha for name, sha in picture_names(case, ()).items() if sha not in had.images}
        evidence += f"\n\nNew pictures follow: {', '.join(pictures)}." if pictures else ""
        if asked.words is None:
            said = fill(load_prompt(PROMPTS / "again.txt"), evidence=evidence)
        else:
            words = fence.wrap(asked.words, what="objection")
            said = fill(load_prompt(PROMPTS / "challenge.txt"), words=words, evidence=evidence)
        refs = (context.store.region_ref(sha, id=name) for name, sha in pictures.items())
        return {
            "case": case,
            "messages": [{"role": "user", "content": said_with(said, list(pictures.values()))}],
            "opening": (*earlier.get("opening", ()), *cited.refs, *refs),
            "spent": Spent(images=len(pictures)),
            "exhausted": None,
            "problem": "",
            "next": "act",
        }

    def _budgeted(self, context: JudgeContext, asked: Asked, earlier: State) -> JudgeContext:
        """The context with the budget of this judgement: what it may spend, on top of what was spent before."""
        own = context.budget
        seconds = min(asked.seconds, own.seconds or asked.seconds)
        change: dict[str, Any] = {"seconds": seconds}
        hashed = context.prompt_hash
        if asked.first_turn and earlier:
            turns = earlier["turns"][: asked.first_turn]
            events = [event for event in earlier["events"] if event.turn < asked.first_turn]
            change["turns"] = own.turns + sum(turn.phase == "act" for turn in turns)
            change["tool_calls"] = own.tool_calls + len(events)
            if own.tokens is not None:
                change["tokens"] = own.tokens + sum(turn.usage.completion_tokens for turn in turns)
            if own.images is not None:
                change["images"] = own.images + sum(len(event.images) for event in events) + len(earlier["case"].images)
            change["repairs"] = own.repairs + sum(turn.phase == "conclude" for turn in turns)
            hashed = prompt_hash([hashed, *(load_prompt(PROMPTS / f"{name}.txt") for name in ("challenge", "again"))])
        return replace(context, budget=own.model_copy(update=change), prompt_hash=hashed)

    def _gather(self, state: dict[str, Any], store: EvidenceStore, done: Done) -> None:
        """What earlier steps showed, as far as it can still be told."""
        trace = self._trace(state["case"], state)
        done.sources = {**sources_of(trace.shown.values(), store), **done.sources}
        done.pictures = {**pictures_of(named_pictures(trace), store), **done.pictures}


def texts_file(blobs: Path, thread: str) -> Path:
    """Where the texts of a conversation are, beside the pictures of its owner."""
    return blobs.parent / "threads" / f"{thread}.jsonl"


def _at(thread: str | None) -> dict[str, Any]:
    return {} if thread is None else {"configurable": {"thread_id": thread}}


def _restore(store: EvidenceStore, texts: ThreadDocuments, earlier: State) -> None:
    """Give a store what tools have shown: pictures and texts."""
    restore(store, [image for event in earlier.get("events", ()) for image in event.images])
    texts.restore(store, shown(earlier).values())
