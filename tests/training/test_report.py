"""The report of training runs: what it says is what was logged, and what was logged is text to it."""

import io
import json
import math
import random
import re
from collections.abc import AsyncIterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agentjudge.errors import ConfigError, DataError, StoreError
from agentjudge.runs.statistics import wilson
from agentjudge.training.evaluate import summary as measured
from agentjudge.training.evaluate import told
from agentjudge.training.measures import Measured
from agentjudge.training.monitors import Seen as Judged
from agentjudge.training.monitors import StepRecord
from agentjudge.training.report import MOST_ALARMS, page, summary, write_report
from agentjudge.training.report_curves import Line, Mark, picture, short, smoothed, thinned
from agentjudge.training.report_log import RunLog, read_log
from agentjudge.training.report_tables import ONE_LABEL, OVER_CLASSES, held_out, trained
from agentjudge.training.trl_log import StepLog
from tests.chromium import Tab, chromium, needs_chromium

HOSTILE = (
    '</style></svg><img src=x onerror="window.broken=1"><script>window.broken=1</script>|**`[a](javascript:x)\ud800'
)
VOID = {"meta", "link", "img", "br", "hr", "input"}


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def evaluation(step: int, support: float, refute: float, nei: float, **more: Any) -> dict[str, Any]:
    classes = {"SUPPORT": support, "REFUTE": refute, "NOT ENOUGH INFO": nei}
    joint = sum(classes.values()) / 3
    per_class = {name: {"joint": share, "n": 100} for name, share in classes.items()}
    floors = {"always NOT ENOUGH INFO": {"joint": 1 / 3}, "no tools": {"joint": 0.3}}
    found = {"split": "test", "decoding": "greedy", "n": 300, "joint": joint, "per_class": per_class, "floors": floors}
    return {"step": step, "eval": {**found, **more}}


def training(path: Path, *, steps: int = 60, collapse: bool = False, seed: int = 0, **config: Any) -> Path:
    """A run that learns; or one that ends at one label for all, and whose monitors say so."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = [{"config": {"reward": "veri_r1" if collapse else "evidence_first", **config}}]
    for step in range(steps):
        u = step / steps
        known = {"reward": 1 + u + rng.gauss(0, 0.05), "joint": 0.34 + (0 if collapse else 0.3 * u)}
        rows.append({"step": step, **known, "entropy": 0.32 - 0.2 * u, "frac_zero_std": 0.9 * u, "calls": 2})
        if step % 20 == 0 or step == steps - 1:
            rows.append(
                evaluation(step, *((0.3 - 0.3 * u, 0.3 - 0.3 * u, 0.4 + 0.6 * u) if collapse else [0.3 + u / 3] * 3))
            )
    if collapse:
        rows += [{"step": 13, "alarm": "least recall", "message": "'REFUTE' is found in 2% of its cases: stop"}]
        rows += [{"step": 31, "alarm": "commonest answer", "message": "97% of the answers are 'NOT ENOUGH INFO'"}]
    return write(path, rows)


class Seen(HTMLParser):
    """What stands in a page: elements with their attributes, and the text of each."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th") and self.cells:
            self.cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if {"td", "th"} & set(self._open):
            self.cells[-1][-1] += data

    def row(self, name: str) -> list[str]:
        return next(row for row in self.cells if row and row[0] == name)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    logs = {
        "evidence_first": training(tmp_path / "a.jsonl"),
        "veri_r1": training(tmp_path / "b.jsonl", collapse=True),
        "random": training(tmp_path / "c.jsonl", seed=1),
    }
    write_report(logs, tmp_path / "report.html")
    return tmp_path / "report.html"


# the page


def test_the_page_needs_nothing_from_elsewhere(report: Path) -> None:
    html = report.read_text()
    seen = Seen(html)
    assert {tag for tag, _ in seen.elements}.isdisjoint({"script", "iframe", "object", "embed", "base", "form", "img"})
    links = [value for _, attrs in seen.elements for name, value in attrs.items() if name in ("href", "src")]
    assert links == ["data:,"]
    assert not re.search(r"https?:|url\(|@import|//[a-z]", html.replace("<!doctype html>", ""))
    (policy,) = [attrs["content"] or "" for tag, attrs in seen.elements if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not [attrs for _, attrs in seen.elements if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert len(html.encode()) < 300_000


def test_held_out_numbers_stand_with_intervals_and_floors(report: Path) -> None:
    seen = Seen(report.read_text())
    u = 59 / 60
    _, mine, collapsed, _, floor = seen.row("joint")
    low, high = wilson(round(300 * (0.3 + u / 3)), 300)[1:3]
    assert mine == f"0.3 → {0.3 + u / 3:.3g} {u / 3:+.3f}{low:.3g} to {high:.3g}"
    assert collapsed.startswith("0.333 → 0.333 +0.000") and floor == "0.333 always NOT ENOUGH INFO"
    assert seen.row("per_class / REFUTE / joint")[2].startswith(f"0.3 → {0.3 - 0.3 * u:.3g} {-0.3 * u:+.3f}")
    assert seen.row(f"{OVER_CLASSES} / joint")[4] == f"0.333 {ONE_LABEL}"
    assert "less of SUPPORT, REFUTE than at the start" in seen.text
    assert "evidence_first" in seen.text and '"reward": "evidence_first"' in seen.text


def test_alarms_are_listed_and_marked_on_the_curves(report: Path) -> None:
    html = report.read_text()
    seen = Seen(html)
    assert seen.row("1") == ["1", "13", "veri_r1", "least recall", "'REFUTE' is found in 2% of its cases: stop"]
    assert seen.row("2")[1:4] == ["31", "veri_r1", "commonest answer"]
    pictures = re.findall('<svg.*?role="img".*?</svg>', html, re.DOTALL)
    assert len(pictures) == 9
    for drawn in pictures:
        marks = re.findall('class="alarm r1"><path d="M([0-9.]+) .*?>([0-9]+)</text><title>(.*?)</title>', drawn)
        assert [(number, title) for _, number, title in marks] == [
            ("1", "veri_r1: least recall (step 13)"), ("2", "veri_r1: commonest answer (step 31)")
        ]  # fmt: skip
        (one, _, _), (two, _, _) = marks
        assert (float(two) - 42) / (float(one) - 42) == pytest.approx(31 / 13, abs=0.02), "where their steps are"


def test_curves_end_where_the_log_ends(report: Path) -> None:
    drawn = next(d for d in re.findall("<figure>.*?</figure>", report.read_text()) if ">entropy<" in d)
    assert f'aria-label="entropy: evidence_first ends at {0.32 - 0.2 * 59 / 60:.3g};' in drawn
    paths = re.findall('<g class="run r0">.*?<path d="M(.*?)"/></g>', drawn)
    assert len(paths) == 1
    points = [tuple(map(float, point.split())) for point in paths[0].split("L")]
    assert points[0][0] == 42 and points[-1][0] == 330 and points[0][1] < points[-1][1], "from left to right, and down"


def test_the_summary_says_the_same(report: Path) -> None:
    text = report.with_suffix(".md").read_text()
    assert "| joint | 0.3 → 0.628" in text and "- step 13, veri\\_r1, **least recall**: 'REFUTE' is found" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {5, 6}


def test_what_was_logged_is_text(tmp_path: Path) -> None:
    rows = [
        {"config": {HOSTILE: HOSTILE}},
        {"step": 1, HOSTILE: 1, "reward": 0.5},
        {"step": 2, HOSTILE: 2, "reward": 0.6},
        {"step": 2, "alarm": HOSTILE, "message": HOSTILE},
        {
            "step": 1,
            "eval": {"split": HOSTILE, HOSTILE: 0.5, "per_class": {HOSTILE: 0.5}, "floors": {HOSTILE: {HOSTILE: 1}}},
        },
        {"step": 2, "eval": {"split": HOSTILE, HOSTILE: 0.6, "per_class": {HOSTILE: 0.5}}},
    ]
    write_report({HOSTILE: write(tmp_path / "log.jsonl", rows)}, tmp_path / "report.html")
    seen = Seen((tmp_path / "report.html").read_text())
    assert not {tag for tag, _ in seen.elements} & {"img", "script"}
    assert seen.text.count("window.broken=1") > 10, "told, not done"
    text = (tmp_path / "report.md").read_text()
    assert not re.search(r"(?<!\\)<(?:img|script)", text) and not re.search(r"(?<!\\)\[a", text)


@pytest.mark.parametrize("runs", [1, 4, 8])
def test_the_largest_page_is_small_enough(tmp_path: Path, runs: int) -> None:
    """Of many steps, numbers, classes and alarms."""
    logs = {}
    for run in range(runs):
        rng = random.Random(run)
        rows: list[dict[str, Any]] = [{"config": {"prompt": "long " * 9000}}]
        for step in range(1500):
            rows.append({"step": step, **{f"number_of_something_{n}": rng.gauss(0, 1e4) for n in range(40)}})
            rows.append({"step": step, "alarm": f"alarm {step % 30}", "message": "something is wrong & <odd> " * 40})
        rows += [
            evaluation(step, 0.3, 0.4, 0.5, **{f"m{n}": rng.random() for n in range(30)})
            for step in range(0, 1500, 100)
        ]
        logs[f"run {run}"] = write(tmp_path / f"{run}.jsonl", rows)
    write_report(logs, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    print(len(html.encode()), "bytes")
    assert len(html.encode()) < 300_000
    assert f"{runs * 1500 - MOST_ALARMS} more are in the logs" in html and "more numbers were logged" in html


def test_a_run_without_evaluations_or_alarms_says_so(tmp_path: Path) -> None:
    write_report({"short": write(tmp_path / "log.jsonl", [{"step": 0, "reward": 0}])}, tmp_path / "report.html")
    seen = Seen((tmp_path / "report.html").read_text())
    assert "Nothing was measured on held-out cases" in seen.text and "None was raised." in seen.text
    assert seen.row("reward") == ["reward", "0"]
    assert Seen(page([RunLog("empty")])).text and summary([RunLog("empty")])


def test_what_cannot_be_reported_is_refused(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", [{"step": 0, "reward": 0}])
    with pytest.raises(ConfigError, match="1 to 8 runs"):
        write_report({}, tmp_path / "report.html")
    with pytest.raises(ConfigError, match=r"with \.html"):
        write_report({"a": log}, tmp_path / "report.md")
    with pytest.raises(StoreError, match="cannot write"):
        write_report({"a": log}, tmp_path / "none" / "report.html")


# the log


def test_a_log_that_was_killed_and_resumed(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [{"config": {"a": 1}}, *({"step": s, "reward": s} for s in range(5))])
    path.write_text(path.read_text() + '{"step": 5, "rew\n')
    assert list(read_log("run", path).curves["reward"]) == [0, 1, 2, 3, 4]
    rows = [{"config": {"b": 2}}, {"step": 3, "reward": 30}, {"step": 4, "reward": math.nan}, {"step": 5, "reward": 50}]
    path = write(
        path, [*({"step": s, "reward": s} for s in range(5)), *rows, {"step": 3, "alarm": "a", "message": "b"}]
    )
    path.write_text(path.read_text() + json.dumps({"step": 3, "alarm": "a", "message": "c"}))
    log = read_log("run", path)
    assert log.curves["reward"] == {0: 0, 1: 1, 2: 2, 3: 30, 4: 4, 5: 50}
    assert [alarm.message for alarm in log.alarms] == ["c"] and log.config == {"b": 2} and log.last_step == 5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nonsense\n{}", "line 1: not JSON"),
        ("[1]\n", "line 1: expected a JSON object"),
        ('{"reward": 1}', "`step` is a whole number from 0 on, not None"),
        ('{"step": 1.5}', "not 1.5"),
        ('{"step": -1}', "not -1"),
        ('{"step": true}', "not True"),
    ],
)
def test_a_log_that_is_none(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_log("run", tmp_path / "log.jsonl")
    with pytest.raises(DataError, match="cannot read the log"):
        read_log("run", tmp_path / "none.jsonl")


def test_evaluations_are_named_and_their_shares_have_intervals(tmp_path: Path) -> None:
    iou = {"mean": 0.5, "low": 0.45, "high": 0.55, "n": 300}
    rows = [evaluation(4, 0.1, 0.2, 0.3, evidence_iou=iou, seed=2), evaluation(4, 0.1, 0.2, 0.3, decoding="sampled")]
    log = read_log("run", write(tmp_path / "log.jsonl", rows))
    assert [each.name for each in log.evaluations] == ["test, greedy, seed 2", "test, sampled"]
    cells = log.evaluations[0].cells
    assert cells["evidence_iou",] == (0.5, 0.45, 0.55, 300)
    assert cells["per_class", "REFUTE", "joint"] == (0.2, *wilson(20, 100)[1:3], 100)
    assert ("n",) not in cells and log.evaluations[0].floors["joint",] == (1 / 3, "always NOT ENOUGH INFO")
    (first, second) = held_out([log])
    assert first.name == "test, greedy, seed 2" and second.name == "test, sampled"
    assert [row.name for row in first.rows][:3] == ["joint", "evidence_iou", f"{OVER_CLASSES} / joint"]
    assert first.rows[2].entries[0] is not None and first.rows[2].entries[0].end.mean == pytest.approx(0.2)


def test_means_are_of_the_first_and_the_last_steps() -> None:
    log = RunLog("run", {"reward": {s: float(s) for s in range(200)}, "few": {0: 1.0, 1: 3.0}})
    reward, few = trained([log]).rows
    assert reward.entries[0] is not None and reward.entries[0].start is not None
    assert reward.entries[0].start.mean == 9.5 and reward.entries[0].end.mean == 189.5
    assert few.entries[0] is not None and few.entries[0].start is None and few.entries[0].end.mean == 2


def test_the_log_of_the_engine_is_read(tmp_path: Path) -> None:
    """What `StepLog` and `told` write is what the report reads."""
    log = StepLog(tmp_path, config={"lr": 3e-4})
    found = [
        Measured(gold, 1 + n % 2, right, right, None if gold == "NOT ENOUGH INFO" else float(right), 2, 50, False)
        for gold, rights in {"SUPPORT": [1, 0, 0, 0], "REFUTE": [1, 1, 0, 0], "NOT ENOUGH INFO": [1, 1, 1, 1]}.items()
        for n, right in enumerate(map(bool, rights))
    ]
    log.evaluation(0, told(found, measured(found), split="test", decoding="greedy"))
    log.numbers(1, {"reward": 0.5, "loss": math.nan, "watch/least recall": 0.25})
    alarms = log.record(StepRecord(1, tuple(Judged("g", 1.0, True, "A", "B") for _ in range(8))))
    read = read_log("run", tmp_path)
    assert read.config == {"lr": 3e-4} and read.curves == {"reward": {1: 0.5}, "watch/least recall": {1: 0.25}}
    assert [(a.step, a.name, a.message) for a in read.alarms] == [(a.step, a.name, a.why) for a in alarms] != []
    cells = read.evaluations[0].cells
    assert cells["macro", "joint"].mean == pytest.approx(7 / 12) and cells["macro", "joint"].low is not None
    assert cells["per_class", "REFUTE", "joint"].mean == 0.5 and cells["per_hop", "2", "joint"].n == 6
    (table,) = held_out([read])
    rows = {row.name: row for row in table.rows}
    assert rows["joint"].floor == (pytest.approx(1 / 3), "always NOT ENOUGH INFO")
    assert rows["macro / joint"].floor == (pytest.approx(1 / 3), ONE_LABEL)


# curves


@given(
    st.lists(
        st.floats(-1e99, 1e99, allow_nan=False) | st.sampled_from([0.0, 1.0, 1e-99, -1e-99]), min_size=1, max_size=40
    )
)
def test_any_numbers_make_a_picture_within_its_frame(values: list[float]) -> None:
    drawn = picture("p", [Line(0, "a", dict(enumerate(values)))], [Mark(0, 3, "1", "m")], floor=values[0])
    assert "nan" not in drawn and "inf" not in drawn
    for path in re.findall('<path(?: class="raw")? d="M(.*?)"/>', drawn):
        for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path):
            assert 39 <= float(x) <= 341 and 13.9 <= float(y) <= 148.1


def test_many_points_are_averaged_and_few_stay() -> None:
    points = [(float(n), float(n % 2)) for n in range(1000)]
    few = thinned(points, 100)
    assert len(few) == 100 and {value for _, value in few} == {0.5} and thinned(points[:7], 100) == points[:7]
    even = smoothed([(float(n), 3.0 * n) for n in range(100)])
    assert even == [(float(n), 3.0 * n) for n in range(100)], "a straight line stays one, up to its ends"


def test_numbers_are_short() -> None:
    told = [short(value) for value in (0, 0.5, 1 / 3, -12.345, 1410.2, 123456, 1.9e-4, 7.3e-12)]
    assert told == ["0", "0.5", "0.333", "-12.3", "1410", "1.2e5", "1.9e-4", "7.3e-12"]


def test_ticks_are_told_apart() -> None:
    """However narrow the range."""
    for values in ([0.996, 1.004], [1e-4, 9e-4], [1400.0, 1460.0], [0.2, 0.31], [-3.0, 2e6]):
        drawn = picture("p", [Line(0, "a", dict(enumerate(values)))])
        ticks = re.findall('text-anchor="end">(.*?)</text>', drawn.partition('text-anchor="start"')[0])
        assert len(ticks) > 1 and len(set(ticks)) == len(ticks), ticks


# in a browser


@pytest.fixture
async def tab() -> AsyncIterator[Tab]:
    async with chromium() as tab:
        yield tab


@needs_chromium()
@pytest.mark.parametrize("dark", [False, True])
async def test_the_page_is_drawn(tab: Tab, report: Path, dark: bool) -> None:
    await tab.open(report.as_uri(), dark=dark)
    assert tab.problems == [] and {url.partition(":")[0] for url in tab.requests} <= {"file", "data"}
    ground = await tab.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(ground[:3]) < 200) == dark
    colours = await tab.run(
        "[...document.querySelectorAll('figure:first-child g.run path:last-of-type')].slice(0, 3)"
        ".map(path => getComputedStyle(path).stroke)"
    )
    assert len(set(colours)) == 3 and "none" not in colours
    box = await tab.run(
        "(r => [r.left, r.top, r.right, r.bottom])(document.querySelector('svg[role]').getBoundingClientRect())"
    )
    assert box[2] - box[0] > 200
    await tab.run("document.querySelector('svg[role]').scrollIntoView()")
    picture = Image.open(io.BytesIO(await tab.screenshot(report.with_suffix(".png")))).convert("RGB")
    blue = [pixel for _, pixel in picture.getcolors(1 << 20) or () if pixel[2] > pixel[0] + 60]  # type: ignore[operator, index]
    assert blue, "the first run's curve"


@needs_chromium()
async def test_a_narrow_screen_needs_no_scrolling_sideways(tab: Tab, report: Path) -> None:
    await tab.open(report.as_uri(), size=(380, 800))
    assert await tab.run("document.documentElement.scrollWidth <= innerWidth")
    assert await tab.run("document.querySelector('figure').getBoundingClientRect().width > 300")


@needs_chromium()
async def test_hostile_text_does_nothing(tab: Tab, tmp_path: Path) -> None:
    rows = [{"step": 1, HOSTILE: 1}, {"step": 1, "alarm": HOSTILE, "message": HOSTILE}]
    write_report({HOSTILE: write(tmp_path / "log.jsonl", rows)}, tmp_path / "report.html")
    await tab.open((tmp_path / "report.html").as_uri())
    assert await tab.run("window.broken ?? null") is None
    assert await tab.run("document.querySelectorAll('script, img').length") == 0 and tab.problems == []
    assert "window.broken=1" in await tab.run("document.querySelector('#alarms').innerText")
