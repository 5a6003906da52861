"""Curves of training runs as SVG: several runs in one small picture, with their alarms, drawn without any script.

Colours, dashes and fonts are those of the page's style (`report.css`): classes `r0`, `r1`, ... are the runs, so that a
picture follows the reader's dark or light scheme.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from agentjudge.training.report_log import Cell

WIDTH, HEIGHT = 340, 170
LEFT, RIGHT, TOP, BOTTOM = 42, 10, 14, 22
MOST_POINTS = 160
"""Of one line."""
FEW = 4
"""Lines up to which the values stand behind their means."""


@dataclass(frozen=True, slots=True)
class Line:
    """One run in a picture."""

    run: int
    """Its place, for the colour."""
    name: str
    points: Mapping[int, float]
    """Step to value, in order."""
    cells: Mapping[int, Cell] | None = None
    """Values with their intervals, drawn as points with whiskers; the line is smoothed where None."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An alarm in a picture."""

    run: int
    step: int
    label: str
    """Its number in the list of alarms."""
    text: str


def picture(
    title: str,
    lines: Sequence[Line],
    marks: Sequence[Mark] = (),
    *,
    floor: float | None = None,
    most: int = MOST_POINTS,
    last: int | None = None,
) -> str:
    """The SVG of one number over the steps.

    Args:
        title: read out where the picture cannot be seen.
        lines: at least one, with at least one point each.
        marks: alarms, as lines from top to bottom.
        floor: drawn as a dashed line.
        most: points of a line; more of them are averaged.
        last: step at the right end; the last one of the lines when None.
    """
    values = [value for line in lines for value in line.points.values()]
    values += [e for line in lines for c in (line.cells or {}).values() for e in (c.low, c.high) if e is not None]
    bottom, top, ticks = _range([*values, *([] if floor is None else [floor])])
    end = max(1, last or max(step for line in lines for step in line.points))

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(step / end, 1)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - bottom) / (top - bottom)

    body = []
    for tick in ticks:
        body.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>')
        body.append(f'<text x="{LEFT - 5}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{_tick(tick, ticks)}</text>')
    for step, anchor in ((0, "start"), (end // 2, "middle"), (end, "end")):
        body.append(f'<text x="{x(step):.1f}" y="{HEIGHT - 7}" text-anchor="{anchor}">{step}</text>')
    if floor is not None:
        told = f"<title>floor {short(floor)}</title>"
        body.append(f'<path class="floor" d="M{LEFT} {y(floor):.1f}H{WIDTH - RIGHT}">{told}</path>')
    for mark in marks:
        body.append(
            f'<g class="alarm r{mark.run}"><path d="M{x(mark.step):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            f'<text x="{x(mark.step):.1f}" y="{TOP - 4}" text-anchor="middle">{escape(mark.label)}</text>'
            f"<title>{escape(mark.text)}</title></g>"
        )
    for line in lines:
        body.append(_drawn(line, x, y, most, raw=len(lines) <= FEW))
    said = "; ".join(f"{line.name} ends at {short(list(line.points.values())[-1])}" for line in lines)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{title}: {said}")}">'
        f"{''.join(body)}</svg>"
    )


def _drawn(line: Line, x: Callable[[float], float], y: Callable[[float], float], most: int, *, raw: bool) -> str:
    parts = [f"<title>{escape(line.name)}</title>"]
    if line.cells is None:
        points = thinned(list(line.points.items()), most)
        if raw:
            parts.append(f'<path class="raw" d="{_path([(x(s), y(v)) for s, v in points])}"/>')
        parts.append(f'<path d="{_path([(x(s), y(v)) for s, v in smoothed(points)])}"/>')
    else:
        kept = {step: line.cells[step] for step in spaced(list(line.cells), most)}
        ends = [(step, c.low, c.high) for step, c in kept.items() if c.low is not None and c.high is not None]
        if ends:
            whiskers = "".join(f"M{x(step):.1f} {y(low):.1f}V{y(high):.1f}" for step, low, high in ends)
            parts.append(f'<path class="whisker" d="{whiskers}"/>')
        parts.append(f'<path d="{_path([(x(step), y(cell.mean)) for step, cell in kept.items()])}"/>')
        dots = "".join(f"M{x(step):.1f} {y(cell.mean):.1f}h0" for step, cell in kept.items())
        parts.append(f'<path class="dot" d="{dots}"/>')
    return f'<g class="run r{line.run}">{"".join(parts)}</g>'


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most so many points: means of neighbours where there are more."""
    size = math.ceil(len(points) / most)
    parts = [points[at : at + size] for at in range(0, len(points), size)] if size > 1 else [[p] for p in points]
    return [(sum(s for s, _ in part) / len(part), sum(v for _, v in part) / len(part)) for part in parts]


def spaced(steps: Sequence[int], most: int) -> list[int]:
    """At most so many steps, evenly chosen; the first and the last are among them."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(n * (len(steps) - 1) / (most - 1))] for n in range(most)]


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Each value as the mean of those around it, a tenth of all; at the ends of as many as there are on both sides."""
    half = len(points) // 20
    found = []
    for place, (step, _) in enumerate(points):
        near = min(half, place, len(points) - 1 - place)
        window = points[place - near : place + near + 1]
        found.append((step, sum(value for _, value in window) / len(window)))
    return found


def short(value: float) -> str:
    """A number in few letters."""
    if value == 0:
        return "0"
    size = abs(value)
    if 1000 <= size < 1e5:
        return f"{value:.0f}"
    return f"{value:.3g}" if 1e-3 <= size < 1000 else f"{value:.1e}".replace("e+0", "e").replace("e-0", "e-")


def _tick(value: float, ticks: Sequence[float]) -> str:
    """A tick with as many decimals as tell it from the next one."""
    size, step = max(map(abs, ticks)), ticks[1] - ticks[0]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{decimals}f}" if 1e-3 <= size < 1e5 and decimals <= 5 else short(value)


def _path(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        (x, y) = points[0]
        return f"M{x - 2:.1f} {y:.1f}H{x + 2:.1f}"
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _range(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Bottom, top and ticks at round numbers; shares get the whole from 0 to 1 where they fill a good part of it."""
    low, high = min(values), max(values)
    if 0 <= low and 0.4 < high <= 1:
        return 0.0, 1.0, [0.0, 0.5, 1.0]
    if low >= 0 and low < 0.5 * high:
        low = 0.0
    spread = high - low
    if spread <= 1e-9 * max(abs(low), abs(high)):
        spread = abs(high) or 1.0
    step = 10 ** math.floor(math.log10(spread / 2))
    step *= next(by for by in (1, 2, 5, 10) if spread / (by * step) <= 4)
    bottom, top = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    if top == bottom:
        top = bottom + step
    count = round((top - bottom) / step)
    return bottom, top, [bottom + n * step for n in range(count + 1)]
