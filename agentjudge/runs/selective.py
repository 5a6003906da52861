"""What it is worth to leave cases open: risk by coverage, and the gain of abstaining where errors are dear.

    found = risk_coverage(confidences, correct)
    found.aurc, found.error               # area under the curve, beside what an order by lot gives
    withholding(confidences, correct, price=3)

Coverage is the share of answers that are taken, the surest first; risk is the share of them that is wrong. Where
confidence says nothing, the curve is flat at the error rate (arXiv 1705.08500; the area, AURC, is of arXiv 1805.08206).
"""

from collections.abc import Sequence

from agentjudge.case import Record

_WIDE, _HIGH, _LEFT, _TOP = 300, 200, 52, 34
"""Pixels: of the plot, and beside it."""


class RiskCoverage(Record):
    """Risk by coverage."""

    risks: tuple[float, ...]
    """Risk (0..1) of the first 1, 2, ... n answers, the surest first; within a tie as expected of an order by lot."""
    aurc: float
    """Mean of the risks."""
    best: float
    """The least AURC that these errors allow: all of them last."""

    @property
    def error(self) -> float:
        """Share of all answers that is wrong; what the AURC is, about, when confidence says nothing."""
        return self.risks[-1]

    def at(self, coverage: float) -> float:
        """Risk at a coverage (above 0, up to 1)."""
        return self.risks[max(0, round(coverage * len(self.risks)) - 1)]

    def svg(self, *, title: str = "Risk by coverage") -> str:
        """The curve, with the error rate as a dashed line."""
        most = max(0.05, *self.risks)
        n = len(self.risks)
        points = " ".join(
            f"{_LEFT + _WIDE * i / n:.1f},{_TOP + _HIGH * (1 - risk / most):.1f}"
            for i, risk in enumerate(self.risks, 1)
        )
        flat = _TOP + _HIGH * (1 - self.error / most)
        floor, width, height = _TOP + _HIGH, _LEFT + _WIDE + 20, _TOP + _HIGH + 50
        labels = [
            f'<text x="{_LEFT}" y="20" font-size="14">{title}</text>',
            f'<text x="{_LEFT - 8}" y="{_TOP + 4}" font-size="11" text-anchor="end">{most:.2f}</text>',
            f'<text x="{_LEFT - 8}" y="{floor + 4}" font-size="11" text-anchor="end">0</text>',
            f'<text x="{_LEFT + _WIDE / 2}" y="{floor + 34}" font-size="11" text-anchor="middle">'
            f"coverage (n = {n}, AURC {self.aurc:.3f}, error {self.error:.3f})</text>",
        ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="sans-serif"><rect width="{width}" height="{height}" fill="#fff"/>'
            f'<line x1="{_LEFT}" x2="{_LEFT + _WIDE}" y1="{floor}" y2="{floor}" stroke="#888"/>'
            f'<line x1="{_LEFT}" x2="{_LEFT + _WIDE}" y1="{flat:.1f}" y2="{flat:.1f}" stroke="#888" '
            'stroke-dasharray="4 4"/>'
            f'<polyline points="{points}" fill="none" stroke="#1f4e79" stroke-width="2"/>{"".join(labels)}</svg>\n'
        )


def risk_coverage(confidences: Sequence[float], correct: Sequence[bool]) -> RiskCoverage:
    """Risk by coverage, the surest answers first.

    Args:
        confidences: any numbers, higher means surer; at least one.
        correct: whether each answer was right.

    Raises:
        ValueError: no values, or the two differ in length.
    """
    rows = sorted(zip(confidences, correct, strict=True), key=lambda row: -row[0])
    if not rows:
        raise ValueError("no confidences")
    risks: list[float] = []
    wrong, start = 0.0, 0
    while start < len(rows):
        end = start
        while end < len(rows) and rows[end][0] == rows[start][0]:
            end += 1
        errors = sum(not right for _, right in rows[start:end])
        risks += [(wrong + errors * (taken - start) / (end - start)) / taken for taken in range(start + 1, end + 1)]
        wrong, start = wrong + errors, end
    n, right = len(rows), len(rows) - int(wrong)
    best = sum(max(0, taken - right) / taken for taken in range(1, n + 1)) / n
    return RiskCoverage(risks=tuple(risks), aurc=sum(risks) / n, best=best)


def withholding(confidences: Sequence[float], correct: Sequence[bool], *, price: float = 3.0) -> float:
    """Mean gain of abstaining where confidence says that it pays, over answering always.

    A right answer earns 1, a wrong one costs `price`, an abstention nothing. It pays to abstain below a confidence of
    price / (1 + price). A judge that is sure of everything gains nothing; below 0 it holds back what was right.

    Raises:
        ValueError: no values, the two differ in length, or a price that is not positive.
    """
    if not confidences or price <= 0:
        raise ValueError("it takes confidences, and a price above 0")
    pairs = list(zip(confidences, correct, strict=True))
    threshold = price / (1 + price)
    return sum((-1.0 if right else price) for sure, right in pairs if sure < threshold) / len(pairs)
