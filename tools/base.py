"""The contract of a tool, and the box that runs tools without ever raising into the graph.

A tool is a class with a name, a description, a pydantic model of its arguments and a `run` method. Async tools are
awaited; a plain `run` is taken to be CPU-bound and goes to a thread pool. Either way the deadline fires: the caller
gets a `timeout` outcome even where the work itself cannot be interrupted.

    class Retrieve(Tool[RetrieveArgs]): ...
    box = ToolBox([Retrieve(corpus)])
    call = await box.execute(ToolCall("1", "retrieve", {"query": "Mont Blanc"}), context)

Whatever happens, the model gets text back: unknown names, malformed arguments, errors and timeouts are typed outcomes
(`ok`, `bad_args`, `failed`, `timeout`) that say what to do instead. What is wrong with the arguments is also told to
programs: `data["code"]` of a `bad_args` event.

Pictures that a tool returns get their names (`observation_1`, ...) from the loop when their result joins the
conversation (`Executed.name`), not from the tool: several may run at once, and a result may come too late.
"""

import asyncio
import copy
import difflib
import inspect
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from agentjudge.case import Case, first_error
from agentjudge.errors import ConfigError, ToolError
from agentjudge.evidence import EvidenceRef, EvidenceStore
from agentjudge.models.profiles import GENERIC, ModelProfile
from agentjudge.trace import ToolEvent, ToolStatus

MAX_RESULT_CHARS = 20_000


class BadArgs(ToolError):
    """The arguments of a call cannot be meant as they stand; `code` names the rule that they break."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class ToolArgs(BaseModel):
    """Base of a tool's arguments: unknown ones are refused, so that the model learns of its slip."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


A = TypeVar("A", bound=ToolArgs)


@dataclass(slots=True)
class ToolContext:
    """What a tool may use of the judgement at hand."""

    case: Case
    store: EvidenceStore
    pictures: dict[str, str] = field(default_factory=dict)
    """Name to SHA-256 of what the model has seen so far: all that it may name; see `picture_names`."""
    profile: ModelProfile = GENERIC
    """How the model writes boxes and names pictures."""


@dataclass(slots=True)
class ToolResult:
    """What a tool found: text for the model, and the same in typed form."""

    text: str
    refs: tuple[EvidenceRef, ...] = ()
    """Evidence that `text` shows, each with the id under which it is shown."""
    images: tuple[str, ...] = ()
    """SHA-256 of pictures (in the case's store) to show. A `region` of `refs` for one of them is left without id."""
    data: dict[str, Any] = field(default_factory=dict)
    """JSON values for models and rewards that do not read prose."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the model wrote it; `args` is JSON text or an object already read."""

    id: str
    name: str
    args: str | dict[str, Any]


@dataclass(slots=True)
class Executed:
    """The outcome of a call: the record for the trace, and the text for the model."""

    event: ToolEvent
    text: str

    def name(self, pictures: dict[str, str], profile: ModelProfile) -> None:
        """Name its pictures, in the text and in its references, and add them to those that the model has seen."""
        named, refs = [], list(self.event.refs)
        for image in self.event.images:
            name = f"observation_{1 + sum(known.startswith('observation_') for known in pictures)}"
            pictures[name] = image
            named.append(f"[[{name}]]" + (f" (img_idx {len(pictures) - 1})" if profile.pictures_by == "index" else ""))
            unnamed = (n for n, ref in enumerate(refs) if ref.image == image and not ref.id)
            if (at := next(unnamed, None)) is not None:
                refs[at] = refs[at].model_copy(update={"id": name})
        if named:
            self.event.refs = tuple(refs)
            self.text = f"{', '.join(named)}: {self.text}"


class Tool(Generic[A]):
    """Base class of tools. Set the class variables and write `run` (sync for CPU-bound work, or async)."""

    name: ClassVar[str]
    description: str
    Args: type[ToolArgs]
    timeout: float = 30.0
    """Seconds; those spent in a `queue` do not count."""
    queue: ClassVar[str | None] = None
    """Calls of tools with the same queue, of all judges of the process, run one after the other; see `run`."""
    foreign: ClassVar[bool] = False
    """Somebody else's, of any name; see `agentjudge.tools.mcp`."""

    def run(self, args: A, context: ToolContext) -> Any:
        """Do the work; returns a `ToolResult`, or an awaitable of one.

        Functions that are not async run in threads, several at once. Where an engine serves one call at a time, or
        needs much memory, a `queue` keeps them apart, and waiting in it is no time of the call.

        Raises:
            BadArgs: the arguments cannot be meant, by a rule that `Args` does not state.
            ToolError: it cannot be done; the message is told to the model and should say what to do instead.
        """
        raise NotImplementedError

    async def aclose(self) -> None:
        """Release connections; nothing by default."""

    def fits(self, case: Case) -> bool:
        """Whether the case has what the tool works on; it is offered for no other. Any case by default."""
        return True

    def suited(self, profile: ModelProfile) -> "Tool[Any]":
        """The tool as a family of models is to be told of it, under the same name; itself by default."""
        return self

    @classmethod
    def spec(cls) -> dict[str, Any]:
        """The tool as an OpenAI function, with a strict schema of its arguments."""
        function = {"name": cls.name, "description": cls.description, "parameters": copy.deepcopy(_schema(cls.Args))}
        return {"type": "function", "function": function}


@lru_cache(maxsize=256)
def _schema(args: type[ToolArgs]) -> dict[str, Any]:
    """The strict JSON schema of arguments; made once, for a training builds a judge for each of its rollouts."""
    schema = args.model_json_schema()
    for key in ("title", "description"):
        schema.pop(key, None)
    for field_schema in schema.get("properties", {}).values():
        field_schema.pop("title", None)
    return schema


class ToolBox:
    """Runs tool calls; built once per judge and shared by all judgements.

    Args:
        tools: the tools, with distinct names.
        workers: threads for CPU-bound tools.

    Raises:
        ConfigError: two tools have one name.
    """

    def __init__(self, tools: Sequence[Tool[Any]], *, workers: int = 4) -> None:
        self.tools = {tool.name: tool for tool in tools}
        if len(self.tools) != len(tools):
            raise ConfigError(f"tools must have distinct names, not {', '.join(tool.name for tool in tools)}")
        self.specs = [tool.spec() for tool in tools]
        self._async = {name: inspect.iscoroutinefunction(tool.run) for name, tool in self.tools.items()}
        self._boxes: dict[tuple[Tool[Any], ...], ToolBox] = {}
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="agentjudge-tool")

    def fitting(self, case: Case, profile: ModelProfile = GENERIC) -> "ToolBox":
        """The same box with the tools that fit the case alone, as the model is to be told of them."""
        tools = {name: tool.suited(profile) for name, tool in self.tools.items() if tool.fits(case)}
        if list(tools.values()) == list(self.tools.values()):
            return self
        box = self._boxes.get(key := tuple(tools.values()))
        if box is None:
            box = self._boxes[key] = copy.copy(self)
            box.tools = tools
            box.specs = [tool.spec() for tool in key]
        return box

    async def execute(self, call: ToolCall, context: ToolContext, *, deadline: float | None = None) -> Executed:
        """Run one call. Never raises, except for cancellation.

        Args:
            call: name and arguments as the model wrote them.
            context: case and evidence store.
            deadline: seconds from now that are left of the judgement's budget, on top of the tool's own timeout.
        """
        began = time.perf_counter()
        args: dict[str, Any] = {}
        try:
            tool, parsed, args = self._read(call)
        except BadArgs as exc:
            return _bad_args(call, args, exc, began=began)
        limit = tool.timeout if deadline is None else max(0.001, min(tool.timeout, deadline))
        try:
            if self._async[call.name]:
                running = tool.run(parsed, context)
            elif tool.queue is None:
                running = asyncio.get_running_loop().run_in_executor(self._pool, tool.run, parsed, context)
            else:
                running = await _begun(tool, parsed, context, deadline)
                limit = limit if deadline is None else min(limit, max(0.001, deadline - time.perf_counter() + began))
            async with asyncio.timeout(limit):
                result = await running
                result = await result if inspect.isawaitable(result) else result
            if not isinstance(result, ToolResult):
                raise ToolError(f"it returned {type(result).__name__} instead of a result")
        except TimeoutError:
            text = f"{call.name} gave no result within {limit:.3g} s. Try a smaller request, or go on without it."
            return _executed(call, args, "timeout", ToolResult(text), error=text, began=began)
        except BadArgs as exc:
            return _bad_args(call, args, exc, began=began)
        except Exception as exc:  # a tool is foreign code: whatever it throws is an outcome, not a crash
            reason = exc.message if isinstance(exc, ToolError) else f"{type(exc).__name__}: {exc}"
            text = f"{call.name} failed: {reason}"
            return _executed(call, args, "failed", ToolResult(text), error=text, began=began)
        return _executed(call, args, "ok", result, error="", began=began)

    def _read(self, call: ToolCall) -> tuple[Tool[Any], ToolArgs, dict[str, Any]]:
        tool = self.tools.get(call.name)
        if tool is None:
            near = difflib.get_close_matches(call.name, self.tools, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            tools = ", ".join(self.tools) or "none"
            raise BadArgs(f"There is no tool {call.name!r}.{hint} Tools: {tools}.", code="unknown_tool")
        args = call.args
        if isinstance(args, str):
            try:
                args = from_json(args or "{}", allow_inf_nan=False)
            except (ValueError, TypeError) as exc:  # TypeError: a text with lone surrogates
                raise BadArgs(f"The arguments of {call.name} are not JSON ({exc}).", code="not_json") from exc
        if not isinstance(args, dict):
            message = f"The arguments of {call.name} must be a JSON object, not {type(args).__name__}."
            raise BadArgs(message, code="not_json")
        try:
            return tool, tool.Args.model_validate(args), args
        except ValidationError as exc:
            raise BadArgs(
                f"Wrong arguments for {call.name}: {first_error(exc)}.", code=exc.errors()[0]["type"]
            ) from exc

    async def aclose(self) -> None:
        """Release the tools and the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for problem in await asyncio.gather(*(tool.aclose() for tool in self.tools.values()), return_exceptions=True):
            if problem is not None:
                raise problem


async def _begun(tool: Tool[Any], args: ToolArgs, context: ToolContext, limit: float | None) -> Awaitable[Any]:
    """The result to come of a call, once its turn in its queue has come.

    Raises:
        TimeoutError: it has waited for longer than `limit` seconds.
    """
    loop, started = asyncio.get_running_loop(), asyncio.Event()

    def work() -> Any:
        loop.call_soon_threadsafe(started.set)
        return tool.run(args, context)

    running = loop.run_in_executor(_queue(tool.queue or ""), work)
    try:
        async with asyncio.timeout(limit):
            await started.wait()
    except BaseException:
        running.cancel()
        raise
    return running


@cache
def _queue(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"agentjudge-{name}")


def _bad_args(call: ToolCall, args: dict[str, Any], exc: BadArgs, *, began: float) -> Executed:
    result = ToolResult(exc.message, data={"code": exc.code})
    return _executed(call, args, "bad_args", result, error=exc.message, began=began)


def _executed(
    call: ToolCall, args: dict[str, Any], status: ToolStatus, result: ToolResult, *, error: str, began: float
) -> Executed:
    text, refs = result.text, result.refs
    if len(text) > MAX_RESULT_CHARS:
        refs = tuple(ref for ref in refs if ref.kind != "text" or ref.id in text[:MAX_RESULT_CHARS])
        text = f"{text[:MAX_RESULT_CHARS]}\n[cut here: {len(result.text) - MAX_RESULT_CHARS} more characters]"
    event = ToolEvent(
        call_id=call.id,
        name=call.name,
        args=args,
        status=status,
        refs=refs,
        images=result.images,
        data=result.data,
        error=error,
        seconds=round(time.perf_counter() - began, 6),
    )
    return Executed(event, text)
