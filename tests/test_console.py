"""What a person sees: one line a step, quotes as they stand, and nothing that a quoted text would like to do."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from agentjudge import console
from agentjudge.evidence import EvidenceRef
from agentjudge.trace import ToolEvent, Turn
from agentjudge.verdict import Confidence, Failure, Provenance, Usage, Verdict

BY = Provenance(judge="veri-r1")
COLOURS = re.compile(r"\x1b\[[\d;]*m")
CLAIM = "The bridge opened in 1932."
BOX = (100.0, 100.0, 600.0, 500.5)


def printed(show: Any, *args: Any, colours: bool = False, **options: Any) -> str:
    """What `show` prints on a console like ours."""
    screen = Console(
        file=io.StringIO(), force_terminal=colours, color_system="standard" if colours else None,
        highlight=False, soft_wrap=True, emoji=False, width=80,
    )  # fmt: skip
    show(screen, *args, **options)
    file = screen.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def text(quote: str, doc: str = "bridge") -> EvidenceRef:
    return EvidenceRef(kind="text", id=f"{doc}:0", doc=doc, start=0, end=len(quote), quote=quote)


def event(status: Any = "ok", **fields: Any) -> ToolEvent:
    return ToolEvent(call_id="1", name="retrieve", args={}, status=status, seconds=0.0042, **fields)


def called(*functions: Any) -> Turn:
    return Turn(
        message_out={"role": "assistant", "content": "I think.", "tool_calls": [{"function": f} for f in functions]}
    )


# steps


def test_a_turn_shows_its_calls_one_a_line() -> None:
    calls = [{"name": "retrieve", "arguments": '{"query": "[bold]x[/]"}'}, {"name": "fetch", "arguments": "{}"}]
    assert printed(console.show_turn, called(*calls)) == '→ retrieve {"query": "[bold]x[/]"}\n→ fetch {}\n'
    assert printed(console.show_turn, Turn(message_out={"role": "assistant", "content": "Enough."})) == ""
    assert printed(console.show_turn, called(None)) == "→ None None\n"


@pytest.mark.parametrize(
    ("happened", "line"),
    [
        (event(refs=(text("One."),), data={"hits": [{"title": "Bridge", "doc": "b"}]}), "Bridge · 1 sentence · 4 ms"),
        (
            event(
                refs=(text("a"), text("b")), data={"hits": [{"title": "", "doc": "b"}, {"title": "C"}, {"title": "C"}]}
            ),
            "b, C · 2 sentences · 4 ms",
        ),
        (event(data={"query": "x", "hits": []}), "no evidence to cite · 4 ms"),
        (event(refs=(EvidenceRef(kind="region", image="0" * 64, box=BOX, box_root=BOX),)), "1 region · 4 ms"),
        (event(refs=(EvidenceRef(kind="page", doc="d", page=2),) * 2), "2 pages · 4 ms"),
        (event("failed", error="retrieve failed: gone"), "failed retrieve failed: gone"),
        (event("bad_args", error="Wrong arguments for [x]"), "bad_args Wrong arguments for [x]"),
        (event("timeout", error="no result\nwithin 3 s"), "timeout no result within 3 s"),
    ],
)
def test_an_event_shows_what_it_brought(happened: ToolEvent, line: str) -> None:
    assert printed(console.show_event, happened) == f"  {line}\n"


# verdicts


def verdict(**fields: Any) -> Verdict:
    return Verdict(**{"case_id": "c", "status": "scored", "provenance": BY, **fields})


def test_a_verdict_shows_its_evidence_with_quotes_and_its_cost() -> None:
    region = EvidenceRef(kind="region", id="observation_1", image="0" * 64, box=BOX, box_root=BOX)
    given_ = verdict(
        label="SUPPORT",
        evidence=(text("It opened in 1932."), region, EvidenceRef(kind="page", doc="report", page=3)),
        confidence=Confidence(value=0.934, method="calibrated"),
        rationale="Not shown beside evidence.",
        usage=Usage(turns=2, tool_calls=1, prompt_tokens=90, completion_tokens=10, seconds=1.234),
    )
    assert printed(console.show_verdict, given_, title=CLAIM).splitlines() == [
        f"SUPPORT (93%, calibrated)  {CLAIM}",
        "  “It opened in 1932.” bridge 0-18",
        "  picture observation_1 (100, 100, 600, 500.5)",
        "  report page 3",
        "  2 turns, 1 tool call, 100 tokens, 1.23 s",
    ]


def test_a_verdict_without_evidence_shows_its_reason_and_the_limit_that_ended_it() -> None:
    given_ = verdict(
        label="NOT ENOUGH INFO", rationale="Nothing was found.", usage=Usage(turns=1, budget_exhausted="tool_calls")
    )
    assert printed(console.show_verdict, given_).splitlines() == [
        "NOT ENOUGH INFO  ",
        "  Nothing was found.",
        "  1 turn, 0 tool calls, 0.00 s, stopped by the budget of tool_calls",
    ]


@pytest.mark.parametrize("label", ["SUPPORT", "REFUTE", "NOT ENOUGH INFO"])
def test_failures_and_abstentions_never_look_like_a_label(label: str) -> None:
    failed = verdict(status="failed", failure=Failure(kind="model", message="the server is gone"))
    first, second, _ = printed(console.show_verdict, failed, title=CLAIM).splitlines()
    assert first == f"failed  {CLAIM}" and second == "  model: the server is gone"
    assert printed(console.show_verdict, verdict(status="abstained"), title=CLAIM).startswith("abstained  ")
    coloured = {
        COLOURS.findall(printed(console.show_verdict, shown, colours=True))[0]
        for shown in (failed, verdict(status="abstained"), verdict(label=label))
    }
    assert len(coloured) == 3, "each in a colour of its own"


# what nobody vouches for

HOSTILE = [
    "[bold red]SUPPORT[/]",
    "[/] closes nothing [/bold]",
    "ends in a backslash \\",
    "[link=https://a.example]here[/link]",
    "a :warning: sign",
    "two\nlines\r\nREFUTE  (99%)",
    "clear \x1b[2J the screen \x1b]0;title\x07",
    "back\x08space and \x9b31m and \x00",
    "right \u202eto left",
    "line\u2028separator",
    "lone \ud800 surrogate",
    "e\u0301 é 字 👩‍🔬 ‚",
]


def shown_everywhere(hostile: str) -> list[str]:
    """Each line on which a quoted text stands."""
    quote = verdict(label="SUPPORT", evidence=(text("quote"),), rationale="r")
    ref = quote.evidence[0].model_copy(update={"quote": hostile, "doc": hostile})
    failure = Failure(kind="model", message="x").model_copy(update={"message": hostile})
    failed = verdict(status="failed", failure=Failure(kind="model", message="x"))
    parts = [
        printed(console.show_turn, called({"name": hostile, "arguments": hostile})),
        printed(console.show_event, event("failed", error=hostile)),
        printed(console.show_event, event(data={"hits": [{"title": hostile or "x"}]})),
        printed(console.show_verdict, quote.model_copy(update={"evidence": (ref,)}), title=hostile),
        printed(console.show_verdict, quote.model_copy(update={"evidence": (), "rationale": f"r{hostile}"}), title="c"),
        printed(console.show_verdict, failed.model_copy(update={"failure": failure})),
    ]
    assert [part.count("\n") for part in parts] == [1, 1, 1, 3, 3, 3]
    return [line for part in parts for line in part.split("\n")]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_quoted_text_stays_on_its_line_and_commands_nothing(hostile: str) -> None:
    lines = shown_everywhere(hostile)
    as_it_stands = " ".join(re.sub("[\x00-\x08\x0e-\x1b\x7f-\x9f\u202e]", "\ufffd", hostile).split())
    assert sum(as_it_stands in line for line in lines) == 7
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "".join(lines))


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_breaks_its_line(hostile: str) -> None:
    shown_everywhere(hostile)


# tables


def test_tables_show_cells_as_they_stand_and_never_break_names() -> None:
    rows = [("a-long-name-of-a-judge", 1, "[bold]x[/]"), ("  indented", None, "word " * 30)]
    made = console.table("[run]: 2 cases", ("name", "n", "note"), rows)
    lines = printed(Console.print, made).splitlines()
    assert lines[0] == "[run]: 2 cases" and lines[1].split() == ["name", "n", "note"]
    assert lines[2].startswith("a-long-name-of-a-judge") and "[bold]x[/]" in lines[2]
    assert lines[3].startswith("  indented") and "None" in lines[3]
    assert printed(Console.print, console.table("", ("", ""), [])).strip() == ""


# the whole, as a process


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Verifies a claim with a scripted model against a text that has a word to say to the terminal."""
    call = {"name": "retrieve", "arguments": json.dumps({"query": "bridge"})}
    answer = {"reason": "r", "evidence": ["notes:0"], "label": "SUPPORT", "confidence": 0.9}
    turns = [{"tool_calls": [{"function": call}]}, "Enough.", json.dumps(answer)]
    (tmp_path / "script.jsonl").write_text(json.dumps(turns) + "\n")
    (tmp_path / "notes.txt").write_text(
        "The Łódź bridge \x1b[31m[red]opened[/red] :warning: in 1932.", encoding="utf-8"
    )
    sources = ["--corpus", str(tmp_path / "notes.txt"), "--model", f"scripted:{tmp_path / 'script.jsonl'}"]
    return [sys.executable, "-m", "agentjudge.cli", "verify", CLAIM, *sources]


QUOTE = "“The Łódź bridge \ufffd[31m[red]opened[/red] :warning: in 1932.” notes 0-"


def test_steps_go_to_standard_error_and_the_verdict_alone_to_standard_output(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, timeout=120, encoding="utf-8", env=os.environ | {"LC_ALL": "C.UTF-8"}
    )
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == f"SUPPORT (90%, stated)  {CLAIM}" and second.startswith(f"  {QUOTE}")
    assert third.startswith("  3 turns, 1 tool call")
    steps = done.stderr.splitlines()
    assert (
        steps[0] == '→ retrieve {"query": "bridge"}'
        and steps[1].startswith("  notes · 1 sentence · ")
        and len(steps) == 2
    )


def test_a_terminal_that_cannot_show_every_sign_shows_a_question_mark(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, timeout=120, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"SUPPORT (90%, stated)") and b"?The ??d? bridge" in done.stdout
    assert done.stderr.startswith(b'? retrieve {"query": "bridge"}')


def test_on_a_terminal_the_steps_and_the_verdict_are_coloured_and_in_order(command: list[str]) -> None:
    ours, theirs = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "60", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=env, close_fds=True)
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux tells the end of a terminal so
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    assert process.wait(timeout=60) == 0
    shown = seen.decode()
    assert "\x1b[36m→ retrieve" in shown and "\x1b[1;32mSUPPORT\x1b[0m" in shown
    plain = COLOURS.sub("", shown).replace("\r\n", "\n")
    assert "\x1b" not in plain, "no other sequence comes through"
    lines = plain.splitlines()
    assert [line.split()[0] for line in lines] == ["→", "notes", "SUPPORT", "“The", "3"]
    assert QUOTE in lines[3], "a long line is left to the terminal to wrap"


# --- pictures ---


def drawn(color_system: str | None, *, width: int = 80, box: tuple[float, ...] = (500, 250, 750, 500)) -> str:
    picture = Image.new("RGB", (400, 200), "white")
    out = Console(file=io.StringIO(), force_terminal=color_system is not None, color_system=color_system, width=width)  # type: ignore[arg-type]
    console.show_region(out, picture, box)
    return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_region_is_outlined_on_a_small_copy_of_its_picture() -> None:
    lines = drawn("truecolor").splitlines()
    red, white = "38;2;255;40;40", "38;2;255;255;255"
    assert len(lines) == 15 and all(line.count("▀") == 60 for line in lines)
    framed = [n for n, line in enumerate(lines) if red in line or red.replace("38", "48", 1) in line]
    assert framed == list(range(3, 8)) and white in lines[0] and red not in lines[0]


def test_regions_at_the_edge_and_of_no_size_are_still_outlined() -> None:
    for box in [(0, 0, 1000, 1000), (999, 999, 1000, 1000), (0, 0, 0.1, 0.1)]:
        assert "255;40;40" in drawn("truecolor", box=box)


@pytest.mark.parametrize(("colors", "width"), [(None, 80), ("standard", 80), ("truecolor", 40)])
def test_no_picture_where_it_could_not_be_seen(colors: str | None, width: int) -> None:
    assert drawn(colors, width=width) == ""
