"""What a person sees on a terminal: steps as they happen (standard error), verdicts (standard output).

Documents, models and tools are quoted here, and none of them is trusted: what they say stays on its line, and neither
markup, emoji names nor control sequences in it reach the terminal.
"""

import io
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import markup
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from agentjudge.case import Case
from agentjudge.evidence import EvidenceRef
from agentjudge.trace import ToolEvent, Turn
from agentjudge.verdict import Verdict

if TYPE_CHECKING:
    from agentjudge.judge import Judge

STYLES = {
    "SUPPORT": "green", "REFUTE": "red", "NOT ENOUGH INFO": "yellow", "success": "green", "failure": "red",
    "blocked": "yellow", "impossible": "yellow", "failed": "magenta", "abstained": "cyan",
}  # fmt: skip
MAP = (60, 60)
"""Most signs across, and twice the most lines, of a picture on a terminal."""
FRAME = (255, 40, 40)
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def out() -> Console:
    """Standard output: results only."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error: steps, progress, complaints."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # not every terminal can show every sign
    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)


def escape(text: str) -> str:
    """`text` on one line, shown as it stands: no markup, no control characters, no change of direction."""
    return _escape(" ".join(text.split()))


def _escape(text: str) -> str:
    return markup.escape(_CONTROLS.sub("\ufffd", text))


def show_turn(console: Console, turn: Turn) -> None:
    """The tool calls of a turn, one a line; the turn's words are left to the verdict."""
    for call in turn.message_out.get("tool_calls") or ():
        function = call.get("function") or {}
        console.print(f"[cyan]→ {escape(str(function.get('name')))}[/] {escape(str(function.get('arguments')))}")


def show_event(console: Console, event: ToolEvent) -> None:
    """What a tool brought."""
    if event.status != "ok":
        console.print(f"  [yellow]{event.status}[/] {escape(event.error)}")
        return
    titles = dict.fromkeys(str(hit.get("title") or hit.get("doc")) for hit in event.data.get("hits", ()))
    kinds = Counter(_noun(ref) for ref in event.refs)
    parts = [escape(", ".join(titles)), *(_count(number, kind) for kind, number in kinds.items())]
    found = " · ".join(part for part in parts if part) or "no evidence to cite"
    console.print(f"  [dim]{found} · {event.seconds * 1000:.0f} ms[/]")


def _noun(ref: EvidenceRef) -> str:
    """What a piece of evidence is called."""
    if ref.kind == "text":
        return "sentence"
    return "line" if ref.kind == "step" and ref.start is not None else ref.kind


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def stream(judge: "Judge", case: Case, *, title: str) -> Verdict:
    """Show a judgement as it comes about, and its verdict under a title; returns the verdict."""
    steps = err()
    verdict: Verdict | None = None
    for event in judge.stream(case):
        if isinstance(event.value, Turn):
            show_turn(steps, event.value)
        elif isinstance(event.value, ToolEvent):
            show_event(steps, event.value)
        else:
            verdict = event.value
            show_verdict(out(), verdict, title=title)
    assert verdict is not None  # the last event of every judgement
    return verdict


def outcome_of(verdict: Verdict) -> str:
    """What a verdict says, in a word or two: its outcome, or its status where it has none."""
    from agentjudge.runs.viewdata import outcome

    if verdict.score is not None:
        return f"{verdict.score:.2f}"
    said = outcome(verdict) or verdict.status
    means = [sum(verdict.step_scores) / len(verdict.step_scores)] if verdict.step_scores else []
    return "".join([said, *(f", mean {mean:.2f}" for mean in means)])


def show_verdict(console: Console, verdict: Verdict, *, title: str = "") -> None:
    """The outcome, its criteria, its evidence with literal quotes, its reason and its cost."""
    name = outcome_of(verdict)
    sure = f" [dim]({verdict.confidence.value:.0%}, {verdict.confidence.method})[/]" if verdict.confidence else ""
    console.print(f"[bold {STYLES.get(name, 'white')}]{name}[/]{sure}  {escape(title)}")
    if verdict.failure is not None:
        console.print(f"  {verdict.failure.kind}: {escape(verdict.failure.message)}")
    for criterion in verdict.criteria:
        mark = criterion.label or ("" if criterion.score is None else f"{criterion.score:.2f}")
        console.print(f"  {escape(criterion.name)}: [bold]{escape(mark)}[/] [dim]{escape(criterion.reason)}[/]")
    for ref in verdict.evidence:
        quote = f"[bold]“[/]{escape(ref.quote)}[bold]”[/] " if ref.quote else ""
        console.print(f"  {quote}[dim]{escape(where(ref))}[/]")
    if verdict.rationale and (verdict.criteria or not verdict.evidence):
        console.print(f"  [dim]{escape(verdict.rationale)}[/]")
    usage = verdict.usage
    tokens = f", {usage.prompt_tokens + usage.completion_tokens} tokens" if usage.prompt_tokens else ""
    ended = f", stopped by the budget of {usage.budget_exhausted}" if usage.budget_exhausted else ""
    spent = f"{_count(usage.turns, 'turn')}, {_count(usage.tool_calls, 'tool call')}"
    console.print(f"  [dim]{spent}{tokens}, {usage.seconds:.2f} s{ended}[/]")


def show_region(console: Console, picture: Any, box: Sequence[float]) -> None:
    """Draw a small copy of a picture with a region outlined, two pixels a sign; only on terminals with many colours.

    Args:
        console: to draw on.
        picture: a `PIL.Image`.
        box: left, top, right, bottom of the region, 0-1000 of the picture.
    """
    if not console.is_terminal or console.color_system not in ("256", "truecolor") or console.width < MAP[0] + 4:
        return
    scale = min(MAP[0] / picture.width, MAP[1] / picture.height)
    width, height = (max(2, round(side * scale)) for side in picture.size)
    pixels = picture.convert("RGB").resize((width, height + height % 2)).load()
    left, top, right, bottom = (int(side / 1000 * of) for side, of in zip(box, (width, height) * 2, strict=True))
    right, bottom = min(max(right, left + 2), width - 1), min(max(bottom, top + 2), height - 1)

    def colour(x: int, y: int) -> Color:
        framed = left <= x <= right and top <= y <= bottom and (x in (left, right) or y in (top, bottom))
        return Color.from_rgb(*(FRAME if framed else pixels[x, y]))

    for y in range(0, height, 2):
        line = Text("  ")
        for x in range(width):
            line.append("▀", Style(color=colour(x, y), bgcolor=colour(x, y + 1)))
        console.print(line)


def where(ref: EvidenceRef) -> str:
    """Where a piece of evidence stands, in words."""
    if ref.kind == "text":
        return f"{ref.doc} {ref.start}-{ref.end}"
    if ref.kind == "page":
        return f"{ref.doc} page {ref.page}"
    if ref.kind == "step":
        return f"step {ref.step}"
    box = ", ".join(f"{side:g}" for side in ref.box or ())
    return f"picture {ref.id or (ref.image or '')[:12]} ({box})"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A plain table. Words of the first column, which holds the names of things, are never broken."""
    made = Table(title=escape(title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    longest = max((len(word) for row in rows for word in str(row[0]).split()), default=0)
    for number, column in enumerate(columns):
        made.add_column(column, overflow="fold", min_width=0 if number else longest)
    for row in rows:
        made.add_row(*(_escape(str(cell)) for cell in row))
    return made
