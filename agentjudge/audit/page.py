"""The report of an audit as a page that needs neither network nor script: each number with its interval and its limit.

    Path("report.html").write_text(page(report))

What a judge was shown and what it said is text to the page: escaped, and its policy forbids all that is not its style.
"""

import base64
import hashlib
from html import escape

from agentjudge.audit.base import Finding, Number, Report

WIDE, HIGH, EDGE = 300, 34, 8
"""Pixels of the picture of a number, and beside its scale."""
WORDS = {
    "kept": "kept", "broken": "broken", "open": "too few to tell", "told": "", "silent": "says nothing",
}  # fmt: skip
STYLE = """:root { color-scheme: light dark; --ink: #23262b; --soft: #5f646c; --line: #d9d6ce; --paper: #f6f5f1;
  --kept: #1c6b34; --broken: #a3271a; --open: #7a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e4df; --soft: #a0a4ab; --line: #3a3f47; --paper: #15171a;
  --kept: #8edba4; --broken: #ffa79c; --open: #e5c45a; } }
body { margin: 0 auto; max-width: 62rem; padding: 1.4rem 1.2rem 3rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
h1, h2 { font-family: Georgia, serif; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.soft { color: var(--soft); font-size: .87rem; } .kept { color: var(--kept); } .open { color: var(--open); }
.broken { color: var(--broken); font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
svg { display: block; width: 300px; max-width: 100%; } svg text { font: 10px system-ui; fill: var(--soft); }
pre { white-space: pre-wrap; margin: .3rem 0; font-size: .85rem; }"""


def page(report: Report) -> str:
    """The whole page."""
    named = {name: str(report.settings.get(name, "")) for name in ("name", "model")}
    title = f"Audit of {named['name']} on {named['model']}"
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        _gate(report),
        *(_section(finding) for finding in report.findings),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part)


def _gate(report: Report) -> str:
    if report.gate is None:
        return '<p class="soft">Held against no gate.</p>'
    if report.gate.passed:
        return '<p class="kept">The gate lets it through.</p>'
    lines = "".join(f"<li>{escape(each)}</li>" for each in report.gate.against)
    return f'<p class="broken">The gate does not let it through:</p><ul>{lines}</ul>'


def _section(finding: Finding) -> str:
    state = finding.state
    head = f'<h2>{escape(finding.title)} <span class="{state}">{WORDS[state]}</span></h2>'
    about = f'<p class="soft">{escape(finding.audit)}: {finding.n} judgements, {finding.scored} with a verdict.'
    if finding.silent:
        return f"{head}{about} {escape(finding.silent)}.</p>"
    rows = "".join(_row(number) for number in finding.numbers)
    table = (
        '<div class="scroll"><table><thead><tr><th>number</th><th>95% interval</th><th>limit</th>'
        f"<th>beside</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
    examples = "".join(
        f"<details><summary>{escape(each.case)}: {escape(each.said)}</summary><pre>{escape(each.shown)}</pre></details>"
        for each in finding.examples
    )
    drawn = [figure.svg() for figure in (finding.reliability, finding.risk_coverage) if figure is not None]
    return f"{head}{about}</p>{table}{''.join(drawn)}{examples}"


def _row(number: Number) -> str:
    value = number.value
    told = f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}], n = {value.n}"
    limit = "" if number.limit is None else f"{'≤' if number.better == 'low' else '≥'} {number.limit:g}"
    return (
        f'<tr><td>{escape(number.name)}<br><span class="{number.state}">{WORDS[number.state]}</span></td>'
        f"<td>{_picture(number, told)}{told}</td><td>{limit}</td><td>{escape(number.beside)}</td></tr>"
    )


def _picture(number: Number, told: str) -> str:
    """The interval on a scale from 0 to 1, or from -1 where it goes below, with the limit."""
    value = number.value
    least = -1.0 if min(value.low, number.limit or 0.0) < 0 else 0.0
    most = max(1.0, value.high)

    def x(of: float) -> float:
        return EDGE + (WIDE - 2 * EDGE) * (of - least) / (most - least)

    middle = HIGH / 2 - 4
    ends = "".join(
        f'<text x="{x(at):.1f}" y="{HIGH - 2}" text-anchor="middle">{at:g}</text>' for at in (least, round(most, 2))
    )
    limit = (
        ""
        if number.limit is None
        else f'<line x1="{x(number.limit):.1f}" x2="{x(number.limit):.1f}" y1="2" y2="{HIGH - 12}" '
        'stroke="currentColor" stroke-dasharray="3 2"/>'
    )
    return (
        f'<svg class="{number.state}" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{escape(told)}">'
        f'<line x1="{EDGE}" x2="{WIDE - EDGE}" y1="{middle}" y2="{middle}" stroke="currentColor" opacity="0.25"/>'
        f'<line x1="{x(value.low):.1f}" x2="{x(value.high):.1f}" y1="{middle}" y2="{middle}" stroke="currentColor" '
        f'stroke-width="4"/><circle cx="{x(value.mean):.1f}" cy="{middle}" r="4" fill="currentColor"/>{limit}{ends}'
        "</svg>"
    )
