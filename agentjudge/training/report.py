"""The report of training runs: one page that needs neither network nor script, and a summary in plain text.

    write_report({"evidence_first": Path("a/log.jsonl"), "random": Path("b/log.jsonl")}, Path("report.html"))

The page lays the runs over each other in one small picture for each number that was logged, with every alarm where it
was raised, and says what was measured on held-out cases before and after, with intervals and floors. Beside it stands
`report.md` with the same tables. What a log holds is text to both: it is escaped, cut where it is long, and the page's
policy forbids all that is not its own style. `report_log` says what a log may hold.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from agentjudge.errors import ConfigError, StoreError, boundary
from agentjudge.training.report_curves import Line, Mark, picture, short
from agentjudge.training.report_log import SHARES, Alarm, Cell, Evaluation, RunLog, read_log
from agentjudge.training.report_tables import Entry, Row, Table, held_out, trained

STYLE = Path(__file__).parent / "report.css"
MOST_RUNS = 8
PICTURES = 96
"""Curves of the training, and as many of what was held out: 24 pictures of 4 runs; the tables have all."""
MOST_PICTURES = 30
MOST_ROWS = 60
"""Of a table."""
MOST_ALARMS = 60
"""In the list; the first of them."""
POINTS = 4_000
"""Of all curves of the training together, and as many of what was held out; more are averaged, or left out."""
MARKS = 240
"""Alarms drawn, in all pictures together."""
CUT = 300
"""Characters of a message or a name."""
FALLEN = 0.05
"""By how much a class has to be worse to be named."""
CONFIG = 16_000
"""Characters of all configurations together."""
SECTIONS = {
    "What it is paid for": ("reward", "joint", "label_accuracy", "label", "evidence_iou", "overlap"),
    "What it does": (
        "calls", "length_right", "tokens/right", "length_wrong", "tokens/wrong", "failed", "entropy",
        "watch/commonest answer", "watch/least recall", "watch/pass at k",
    ),
    "How the training stands": (
        "frac_zero_std", "judge_errors", "masked", "clip_low", "clip_ratio/low_mean", "clip_high",
        "clip_ratio/high_mean", "token_kl", "sampler_difference", "seq_ratio", "watch/ratios out of bounds",
        "fork_rate", "realign_rate", "loss", "grad_norm",
    ),
}  # fmt: skip
"""Names in a log, by what they tell; the names of engines beside ours."""


def write_report(logs: Mapping[str, Path], out: Path) -> None:
    """Write the page of some runs, and the summary beside it with the suffix `.md`.

    Args:
        logs: the JSON lines of each run, or the folder with them as `log.jsonl`, by its name; at most 8.
        out: the HTML file; it and the summary are replaced where they exist.

    Raises:
        ConfigError: no runs or too many, or `out` is named like the summary.
        DataError: a log cannot be read.
        StoreError: a file cannot be written.
    """
    if not 0 < len(logs) <= MOST_RUNS:
        raise ConfigError(f"a report is of 1 to {MOST_RUNS} runs, not of {len(logs)}")
    if out.suffix == ".md":
        raise ConfigError(f"{out} is where the summary goes; name the page with .html")
    read = [read_log(name, path) for name, path in logs.items()]
    for file, text in ((out, page(read)), (out.with_suffix(".md"), summary(read))):
        with boundary(StoreError, f"cannot write {file}"):
            file.write_bytes(text.encode("utf-8", "replace"))  # lone surrogates may stand in JSON


def page(logs: Sequence[RunLog]) -> str:
    """The HTML page of some runs."""
    style = STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    alarms = _numbered(logs)
    body = [
        f"<h1>Training of {_say(' and '.join(log.name for log in logs))}</h1>",
        f'<ul class="runs">{"".join(_card(place, log) for place, log in enumerate(logs))}</ul>',
        "<h2>Held out</h2>",
        *(_table(table, logs) for table in held_out(logs)),
        *_held_curves(logs, alarms),
        *_train_curves(logs, alarms),
        "<h2>Alarms</h2>",
        _alarms(logs, alarms),
        "<h2>Numbers of the training</h2>",
        _table(trained(logs), logs),
        "<h2>Configuration</h2>",
        *_configs(logs),
    ]
    if not any(log.evaluations for log in logs):
        body.insert(3, "<p>Nothing was measured on held-out cases; what follows is of the training cases alone.</p>")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n<title>Training report</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n{chr(10).join(body)}\n</body>\n</html>\n"
    )


def summary(logs: Sequence[RunLog]) -> str:
    """The tables of some runs as Markdown."""
    parts = [f"# Training of {_plain(' and '.join(log.name for log in logs))}", ""]
    parts += [f"- {_plain(log.name)}: {_status(log)}" for log in logs]
    for table in (*held_out(logs), trained(logs)):
        names = [_plain(log.name) for log in logs]
        floors = any(row.floor for row in table.rows)
        head = ["", *names, *(["floor"] if floors else [])]
        lines = [head, ["---", *["---:"] * (len(head) - 1)]]
        for row in table.rows[:MOST_ROWS]:
            told = [_plain(row.name), *(_entry_text(entry) for entry in row.entries)]
            lines.append([*told, *([_floor_text(row)] if floors else [])])
        parts += ["", f"## {_plain(table.name)}", "", _plain(table.note), ""]
        parts += [f"| {' | '.join(line)} |" for line in lines]
    listed = _numbered(logs)
    if listed:
        parts += ["", "## Alarms", ""]
        parts += [
            f"- step {alarm.step}, {_plain(logs[run].name)}, **{_plain(alarm.name)}**: {_plain(alarm.message)}"
            for run, alarm in listed[:MOST_ALARMS]
        ]
    return "\n".join(parts) + "\n"


Numbered = list[tuple[int, Alarm]]


def _numbered(logs: Sequence[RunLog]) -> Numbered:
    """All alarms with the place of their run, in order of their steps; the number of one is its place, from 1."""
    found = [(run, alarm) for run, log in enumerate(logs) for alarm in log.alarms]
    return sorted(found, key=lambda each: (each[1].step, each[0]))


def _card(place: int, log: RunLog) -> str:
    line = '<svg viewBox="0 0 44 14" aria-hidden="true"><g class="run"><path d="M1 7H43"/></g></svg>'
    return f'<li class="r{place}"><b>{_say(log.name)}</b>{line}<p>{escape(_status(log))}</p></li>'


def _status(log: RunLog) -> str:
    """A run in a sentence or two."""
    told = [f"up to step {log.last_step}"]
    for name, evaluations in log.by_name().items():
        first, last = evaluations[0].cells.get(("joint",)), evaluations[-1].cells.get(("joint",))
        if first is not None and last is not None:
            moved = f"{short(first.mean)} → {short(last.mean)}" if len(evaluations) > 1 else short(last.mean)
            told.append(f"joint on {_brief(name)} {moved}")
            if fallen := _fallen(evaluations[0], evaluations[-1]):
                told.append(f"less of {_brief(', '.join(fallen))} than at the start")
    first_alarm = f", the first at step {log.alarms[0].step}" if log.alarms else ""
    told.append(f"{len(log.alarms) or 'no'} alarm{'' if len(log.alarms) == 1 else 's'}{first_alarm}")
    return "; ".join(told) + "."


def _fallen(first: Evaluation, last: Evaluation) -> list[str]:
    """The classes of which clearly less is right than at first."""
    return [
        place[1]
        for place, cell in last.cells.items()
        if place[0] == "per_class" and (len(place) == 2 or place[2:] == ("joint",))
        if place in first.cells and cell.mean < first.cells[place].mean - FALLEN
    ]


def _train_curves(logs: Sequence[RunLog], alarms: Numbered) -> Iterable[str]:
    logged = dict.fromkeys(name for log in logs for name in log.curves)
    known = [name for names in SECTIONS.values() for name in names if name in logged]
    others = tuple(name for name in logged if name not in known)
    drawn = [*known, *others][: _pictures(logs)]
    sections = {**SECTIONS, "What else was logged": others}
    most = _most(logs, len(drawn))
    last = max(log.last_step for log in logs)
    for title, names in sections.items():
        shown = []
        for name in names:
            if name in drawn:
                lines = [Line(run, log.name, log.curves[name]) for run, log in enumerate(logs) if name in log.curves]
                drawing = picture(_brief(name), lines, _marks(logs, alarms), most=most, last=last)
                shown.append(_figure(name, lines, drawing))
        if shown:
            yield f'<h2>{escape(title)}</h2><div class="curves">{"".join(shown)}</div>'
    if left := len(logged) - len(drawn):
        yield f'<p class="soft">{left} more numbers were logged; the table below has the means of the first.</p>'


def _pictures(logs: Sequence[RunLog]) -> int:
    return min(MOST_PICTURES, PICTURES // len(logs))


def _most(logs: Sequence[RunLog], pictures: int) -> int:
    """Points of a line."""
    return max(15, min(160, POINTS // max(1, pictures * len(logs))))


def _held_curves(logs: Sequence[RunLog], alarms: Numbered) -> Iterable[str]:
    """Pictures of what was measured at two steps or more: numbers of all cases, and shares by class."""
    named = [log.by_name() for log in logs]
    last, left = max(log.last_step for log in logs), _pictures(logs)
    for name in dict.fromkeys(name for each in named for name in each):
        runs = [each.get(name, []) for each in named]
        if all(len(run) < 2 for run in runs):
            continue
        shown = []
        for place in dict.fromkeys(place for run in runs for each in run for place in each.cells):
            if len(place) > 1 and not (place[0] in ("macro", "per_class") and _is_share(place)):
                continue
            lines = []
            for run, evaluations in enumerate(runs):
                cells = {each.step: each.cells[place] for each in evaluations if place in each.cells}
                if cells:
                    lines.append(Line(run, logs[run].name, {step: cell.mean for step, cell in cells.items()}, cells))
            floor = max((e.floors[place][0] for run in runs for e in run if place in e.floors), default=None)
            title = " / ".join(place)
            drawing = picture(
                _brief(f"{title}, {name}"),
                lines,
                _marks(logs, alarms),
                floor=floor,
                last=last,
                most=_most(logs, left),
            )
            shown.append(_figure(title, lines, drawing))
        if shown[:left]:
            yield f'<h3>{_say(name)}, over the steps</h3><div class="curves">{"".join(shown[:left])}</div>'
        left = max(0, left - len(shown))


def _is_share(place: Sequence[str]) -> bool:
    return len(place) == 2 or place[-1] in SHARES


def _marks(logs: Sequence[RunLog], alarms: Numbered) -> list[Mark]:
    """The alarms to draw: the first of each monitor in each run; those that would stand on each other as one."""
    near = max(log.last_step for log in logs) / 25
    new = dict.fromkeys((run, alarm.name) for run, alarm in alarms)
    groups: list[tuple[int, int, list[int]]] = []
    for number, (run, alarm) in enumerate(alarms, 1):
        if (run, alarm.name) not in new:
            continue
        del new[run, alarm.name]
        last = next((group for group in reversed(groups) if group[0] == run), None)
        if last is not None and alarm.step - last[1] <= near:
            last[2].append(number)
        else:
            groups.append((run, alarm.step, [number]))
    marks = []
    for run, step, numbers in groups[: MARKS // (2 * _pictures(logs))]:
        said = ", ".join(f"{alarms[n - 1][1].name} (step {alarms[n - 1][1].step})" for n in numbers)
        label = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"
        marks.append(Mark(run, step, label, _brief(f"{logs[run].name}: {said}", 90)))
    return marks


def _figure(title: str, lines: Sequence[Line], drawing: str) -> str:
    ends = " ".join(f'<b class="r{line.run}">{short(list(line.points.values())[-1])}</b>' for line in lines)
    return f"<figure><figcaption>{_say(title)}<span>{ends}</span></figcaption>{drawing}</figure>"


def _table(table: Table, logs: Sequence[RunLog]) -> str:
    floors = any(row.floor for row in table.rows)
    head = "".join(f'<th class="r{place}">{_say(log.name)}</th>' for place, log in enumerate(logs))
    body = []
    for row in table.rows[:MOST_ROWS]:
        cells = "".join(_entry(entry, row) for entry in row.entries)
        floor = f'<td class="floored">{_floor_html(row)}</td>' if floors else ""
        body.append(f"<tr><th>{_say(row.name)}</th>{cells}{floor}</tr>")
    left = len(table.rows) - MOST_ROWS
    more = f" {left} more rows are left out." if left > 0 else ""
    return (
        f'<h3>{_say(table.name)}</h3><p class="soft">{_say(table.note, 10 * CUT)}{more}</p><div class="wide"><table>'
        f"<thead><tr><th></th>{head}{'<th>floor</th>' if floors else ''}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _entry(entry: Entry | None, row: Row) -> str:
    if entry is None:
        return "<td>–</td>"
    start = "" if entry.start is None else f"{short(entry.start.mean)} → "
    told = f"{start}<b>{short(entry.end.mean)}</b>"
    if entry.change is not None and row.better_high:
        tone = "up" if entry.change >= 0.005 else "down" if entry.change <= -0.005 else "soft"
        told += f' <span class="{tone}">{entry.change:+.3f}</span>'
    return f"<td>{told}{_between(entry.end, '<small>{} to {}</small>')}</td>"


def _entry_text(entry: Entry | None) -> str:
    if entry is None:
        return "–"
    end = f"{short(entry.end.mean)}{_between(entry.end, ' [{}, {}]')}"
    return end if entry.start is None else f"{short(entry.start.mean)} → {end}"


def _between(cell: Cell, form: str) -> str:
    return "" if cell.low is None or cell.high is None else form.format(short(cell.low), short(cell.high))


def _floor_html(row: Row) -> str:
    return "" if row.floor is None else f"{short(row.floor[0])} <small>{_say(row.floor[1])}</small>"


def _floor_text(row: Row) -> str:
    return "" if row.floor is None else f"{short(row.floor[0])} ({_plain(row.floor[1])})"


def _alarms(logs: Sequence[RunLog], alarms: Numbered) -> str:
    if not alarms:
        return "<p>None was raised.</p>"
    rows = "".join(
        f'<tr><td>{number}</td><td>{alarm.step}</td><td class="run r{run}">{_say(logs[run].name)}</td>'
        f'<td class="words">{_say(alarm.name)}</td><td class="words">{_say(alarm.message)}</td></tr>'
        for number, (run, alarm) in enumerate(alarms[:MOST_ALARMS], 1)
    )
    left = len(alarms) - MOST_ALARMS
    more = f'<p class="soft">{left} more are in the logs.</p>' if left > 0 else ""
    return (
        '<div class="wide"><table id="alarms"><thead><tr><th>no.</th><th>step</th><th class="words">run</th>'
        f'<th class="words">monitor</th><th class="words">what it said</th></tr></thead><tbody>{rows}</tbody></table>'
        f"</div>{more}"
    )


def _configs(logs: Sequence[RunLog]) -> Iterable[str]:
    for log in logs:
        text = json.dumps(log.config, indent=1, ensure_ascii=False, default=str) if log.config else "none was logged"
        yield f"<details><summary>{_say(log.name)}</summary><pre>{_say(text, CONFIG // len(logs))}</pre></details>"


def _brief(text: str, most: int = CUT) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _say(text: str, most: int = CUT) -> str:
    return escape(_brief(text, most))


def _plain(text: str) -> str:
    """`text` on one line that Markdown takes for nothing but text."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", " ".join(_brief(text).split()))
