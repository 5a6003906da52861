"""Browsing a run of a web agent, step by step, however long it is.

    list_steps(start=0, end=19)                    what the agent did, a line a step
    get_step(step=7, part="observation", line=40)  one step, or one part of it from a line on
    search_steps(query="order total")              lines of any step with these words
    diff_steps(a=6, b=7)                           what changed on the page
    find_element(query="Place order", step=7)      a node of the page, or that there is none
    view_screenshot(step=7)                        the picture of the page

Each result is bounded by `MAX_CHARS`; what was left out is said, with the call that shows it. Everything that is shown
can be cited: a step (`step 7`), a line of it (`step 7:12`, see `agentjudge.tools.steps`), a region of its screenshot
(`step 7@0,0,500,500`), a screenshot that was viewed (`observation_1`).

`data` names the same in numbers, and `next` where there is more: the arguments of the call that goes on. Refused with
`data["code"]`: `unknown_step`, `unknown_line`, `empty_range`, `no_screenshot`, `no_tree`, `nothing_to_compare`, and for
boxes the codes of `agentjudge.tools.looking`.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from agentjudge.case import Step
from agentjudge.registry import register
from agentjudge.tools.base import BadArgs, Tool, ToolArgs, ToolContext, ToolResult
from agentjudge.tools.screens import DiffSteps, ViewScreenshot
from agentjudge.tools.steps import (
    MAX_ACTION,
    MAX_CHARS,
    PARTS,
    Line,
    Part,
    StepsTool,
    all_lines,
    brief,
    fit,
    lines_of,
    step_at,
    step_ref,
    steps_of,
    text_of,
)
from agentjudge.tools.tree_search import FindElement

MAX_STEPS = 50
"""Steps of one list."""
MAX_MATCHES = 25
"""Lines of one search."""
_BRIEF: dict[Part, int] = {"action": MAX_ACTION, "url": 100, "thought": 120, "error": 160}


class ListArgs(ToolArgs):
    """Arguments of `list_steps`."""

    start: int = Field(default=0, description="The first step, starting from 0.")
    end: int | None = Field(default=None, description="The last step; as many as there is room for when left out.")


class GetArgs(ToolArgs):
    """Arguments of `get_step`."""

    step: int = Field(description="The number of the step, starting from 0.")
    part: Literal["all", "action", "url", "thought", "error", "observation"] = Field(
        default="all", description="What of it to show; the beginnings of all parts when left out."
    )
    line: int = Field(default=0, description="The line of the part to begin with.")


class SearchArgs(ToolArgs):
    """Arguments of `search_steps`."""

    query: str = Field(min_length=1, max_length=500, pattern=r"\S", description="Words to look for, in any case.")
    skip: int = Field(default=0, ge=0, description="How many matches to pass over, to see those after them.")


@register("tool", "list_steps")
class ListSteps(StepsTool):
    """List the steps of a web agent: what it did, where, and what went wrong."""

    name = "list_steps"
    description = (
        "List steps of the trajectory in order, a line a step: its action, address, thought, error and what there is "
        "to see of the page. Long texts are shortened; get_step shows them in full."
    )
    Args = ListArgs

    def run(self, args: ListArgs, context: ToolContext) -> ToolResult:
        """Lines of steps, with a reference for each.

        Raises:
            BadArgs: `unknown_step`, `empty_range`.
        """
        steps = steps_of(context.case)
        step_at(steps, args.start)
        last = len(steps) - 1 if args.end is None else min(args.end, len(steps) - 1)
        if last < args.start:
            raise BadArgs(f"The range {args.start} to {args.end} is empty; end is the last step.", code="empty_range")
        rows: list[str] = []
        room = MAX_CHARS
        for number in range(args.start, min(last + 1, args.start + MAX_STEPS)):
            row = step_row(steps[number], number)
            room -= len(row) + 1
            if rows and room < 0:
                break
            rows.append(row)
        shown = range(args.start, args.start + len(rows))
        after = {"start": shown.stop, "end": args.end} if shown.stop <= last else None
        head = f"Steps {args.start} to {shown[-1]} of {len(steps)} (0 to {len(steps) - 1})."
        if after:
            head += f" No room for steps {shown.stop} to {last}: list_steps(start={shown.stop}) goes on."
        refs = tuple(step_ref(steps[number], number) for number in shown)
        data = {"start": args.start, "end": shown[-1], "total": len(steps), "next": after}
        return ToolResult("\n".join([head, *rows]), refs=refs, data=data)


def step_row(step: Step, number: int) -> str:
    """A step on one line, under its id; long texts are shortened."""
    said = [brief(step.action, _BRIEF["action"]) or "(no action)"]
    said += [f"{part}: {brief(text, _BRIEF[part])}" for part in PARTS[1:-1] if (text := text_of(step, part)).strip()]
    count = len(lines_of(step, number, "observation"))
    seen = [f"{count} lines of page"] if count else []
    seen += ["screenshot"] if step.screenshot else []
    return f"[[step {number}]] {' | '.join([*said, ' and '.join(seen) or 'nothing seen'])}"


@register("tool", "get_step")
class GetStep(StepsTool):
    """Show one step, or a part of it from a line on."""

    name = "get_step"
    description = (
        "Show one step of the trajectory: action, address, thought, error, and the text or accessibility tree of the "
        "page before the action, each line with the id to cite it by. Long parts are shown from a line on."
    )
    Args = GetArgs

    def run(self, args: GetArgs, context: ToolContext) -> ToolResult:
        """Lines, with a reference for each.

        Raises:
            BadArgs: `unknown_step`, `unknown_line`.
        """
        step = step_at(steps_of(context.case), args.step)
        parts: tuple[Part, ...] = PARTS if args.part == "all" else (args.part,)
        there = [part for part in parts if lines_of(step, args.step, part)]
        if args.line and args.part == "all":
            raise BadArgs(f"Line {args.line} of which part? Name one of {', '.join(PARTS)}.", code="unknown_line")
        lines = {part: lines_of(step, args.step, part) for part in there}
        most = max((len(found) for found in lines.values()), default=0)
        if not 0 <= args.line < max(1, most):
            raise BadArgs(
                f"There is no line {args.line}; the {args.part} of step {args.step} has lines 0 to {most - 1}."
                if most
                else f"The {args.part} of step {args.step} is empty.",
                code="unknown_line",
            )
        seen = "with a screenshot" if step.screenshot else "without a screenshot"
        blocks, refs = [f"[[step {args.step}]] of {len(steps_of(context.case))}, {seen}."], [step_ref(step, args.step)]
        rows, room, after = [], MAX_CHARS, []
        for place, part in enumerate(there):
            found = lines[part][args.line :]
            fair = room // 2 if place < len(there) - 1 else room  # so that every part has a beginning
            shown = found[: fit(found, fair)]
            room -= sum(len(line.shown) + 1 for line in shown)
            stop = args.line + len(shown)
            rows.append({"part": part, "first": args.line, "last": stop - 1, "lines": len(lines[part])})
            block = [f"{part}, lines {args.line} to {stop - 1} of {len(lines[part])}:", *(line.shown for line in shown)]
            if stop < len(lines[part]):
                after.append({"step": args.step, "part": part, "line": stop})
                left = len(lines[part]) - stop
                block.append(f"({left} more lines: get_step(step={args.step}, part='{part}', line={stop}))")
            blocks.append("\n".join(block))
            refs += [line.ref() for line in shown]
        empty = [part for part in parts if part not in there]
        if empty:
            blocks.append(f"Empty: {', '.join(empty)}.")
        data = {"step": args.step, "parts": rows, "screenshot": bool(step.screenshot), "next": after}
        return ToolResult("\n\n".join(blocks), refs=tuple(refs), data=data)


@register("tool", "search_steps")
class SearchSteps(StepsTool):
    """Search all steps for words."""

    name = "search_steps"
    description = (
        "Search all steps of the trajectory for lines with all the words of a query, in any case: actions, addresses, "
        "thoughts, errors and pages. Lines that say the same are shown once, with the steps that have them."
    )
    Args = SearchArgs

    def run(self, args: SearchArgs, context: ToolContext) -> ToolResult:
        """Lines in the order of the steps, equal ones once, with a reference for each.

        Where no line has all the words, those with the most of them are shown, and the text says so.
        """
        steps = steps_of(context.case)
        words = list(dict.fromkeys(args.query.casefold().split()))
        best, groups = 0, dict[tuple[str, str], list[Line]]()
        for number, step in enumerate(steps):
            for line in all_lines(step, number):
                text = line.text.casefold()
                count = sum(word in text for word in words)
                if count > best:
                    best, groups = count, {}
                if count and count == best:
                    groups.setdefault((line.part, text.strip()), []).append(line)
        found = list(groups.values())
        return _matches(args, found, complete=best == len(words), words=len(words), best=best, total=len(steps))


def _matches(
    args: SearchArgs, found: Sequence[list[Line]], *, complete: bool, words: int, best: int, total: int
) -> ToolResult:
    if args.skip and args.skip >= len(found):
        raise BadArgs(f"There are {len(found)} matches, fewer than skip={args.skip} passes over.", code="empty_range")
    rows: list[str] = []
    refs, matches, room = [], [], MAX_CHARS
    for lines in found[args.skip : args.skip + MAX_MATCHES]:
        numbers = sorted({line.step for line in lines})
        row = lines[0].shown + (f" (also in steps {_ranges(numbers[1:])})" if len(numbers) > 1 else "")
        room -= len(row) + 1
        if rows and room < 0:
            break
        rows.append(row)
        refs.append(lines[0].ref())
        matches.append({"id": lines[0].id, "part": lines[0].part, "steps": numbers[:100], "count": len(lines)})
    stop = args.skip + len(rows)
    if not found:
        head = f"No line of the {total} steps has a word of the query."
    else:
        what = "all the words" if complete else f"{best} of the {words} words, none has more"
        head = f"{len(found)} different lines with {what}; shown: {args.skip + 1} to {stop}."
    after = {"query": args.query, "skip": stop} if stop < len(found) else None
    if after:
        head += f" {len(found) - stop} more: the same query with skip={stop}."
    data = {"query": args.query, "total": len(found), "complete": complete, "matches": matches, "next": after}
    return ToolResult("\n".join([head, *rows]), refs=tuple(refs), data=data)


def _ranges(numbers: Sequence[int], *, most: int = 12) -> str:
    """Ascending numbers as ranges, `3-5, 9`; of many ranges the first, and how many numbers are left."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    said = ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in spans[:most])
    left = sum(high - low + 1 for low, high in spans[most:])
    return said + (f" and {left} more" if left else "")


def trajectory_tools() -> list[Tool[Any]]:
    """All tools that browse the steps of a case."""
    return [ListSteps(), GetStep(), SearchSteps(), DiffSteps(), FindElement(), ViewScreenshot()]
