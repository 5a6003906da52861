"""What probes of the audit `evidence` come to: numbers with their intervals, and the verdicts that did not follow.

`families` are the judgements of one case each, by what was done to it; see `evidence`, which says what they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from agentjudge.audit.base import Audited, Number, share
from agentjudge.audit.operators import question
from agentjudge.audit.utility import Utility, held, utility
from agentjudge.case import REFUTE, SUPPORT, Claim
from agentjudge.runs.classification import auroc
from agentjudge.runs.measures import right
from agentjudge.runs.statistics import bootstrap_interval, bootstrap_of

KEPT, BARE = "", "without tools"
GONE = ("removed", "random", "topic-related")
"""Probes that lack the evidence of the case."""
LEAST_MOVED = 0.5
LEAST_FLIPPED = 0.5
MOST_NOISE = 0.1
RESAMPLES = 400
"""Of the bootstrap of AUROC and Brier score."""
ASSERTED = frozenset({SUPPORT, REFUTE, "success"})
"""Labels that say that there is evidence."""

Better = Literal["low", "high"]
Family = Mapping[str, Audited]
"""What became of one case, by what was done to it."""


class _Bet(NamedTuple):
    """The probability given to the positive label, and whether it is the right one."""

    probability: float
    positive: bool
    cluster: str


def numbers_of(families: Sequence[Family]) -> tuple[list[Number], list[Audited]]:
    """All numbers, and the probes in which the judge was fooled.

    Args:
        families: of which the case itself was judged, and did not fail.
    """
    fooled: list[Audited] = []
    numbers = [
        *_followed(families, fooled),
        *(number for variant in GONE for number in _moved(families, variant, fooled)),
        *_noise(families),
        *_quality(families),
        *_synergy(families),
        *_bare(families),
        *(number for variant in ("removed", "random", "duplicated") for number in _axes(families, variant)),
    ]
    return numbers, fooled


def _pairs(families: Sequence[Family], variant: str) -> list[tuple[Audited, Audited]]:
    """Kept and changed, where neither failed."""
    found = [(family[KEPT], family[variant]) for family in families if variant in family]
    return [(kept, other) for kept, other in found if other.verdict.status != "failed"]


def _stake(kept: Audited) -> str | None:
    """The label that rests on the evidence: gold's, or the judge's own where there is none."""
    gold = kept.probe.parent.gold
    label = gold.label if gold is not None and gold.label is not None else kept.verdict.label
    return label if label in ASSERTED else None


def _cluster(each: Audited) -> str:
    """Cases of one question are not independent."""
    return question(each.probe.parent)


def _clusters(pairs: Sequence[tuple[Audited, Audited]]) -> list[str]:
    return [_cluster(kept) for kept, _ in pairs]


def _followed(families: Sequence[Family], fooled: list[Audited]) -> Iterator[Number]:
    """Cases of one claim with other documents and other gold."""
    asked: dict[str, list[Audited]] = {}
    for family in families:
        kept = family[KEPT]
        if isinstance(kept.probe.case, Claim) and kept.verdict.status == "scored" and _gold(kept) is not None:
            asked.setdefault(kept.probe.case.claim, []).append(kept)
    pairs = [(a, b) for same in asked.values() for a, b in combinations(same, 2) if _gold(a) != _gold(b)]
    if not pairs:
        return
    same = [(a, b) for a, b in pairs if a.verdict.label == b.verdict.label]
    fooled += [b for _, b in same]
    yield Number(
        name="verdicts that differ between contrary evidence for one claim",
        value=share([a.verdict.label != b.verdict.label for a, b in pairs], _clusters(pairs)),
        better="high",
        limit=LEAST_FLIPPED,
        beside="a judge that ignores its evidence: 0",
    )
    both = share([a.verdict.label == _gold(a) and b.verdict.label == _gold(b) for a, b in pairs], _clusters(pairs))
    yield Number(name="both verdicts right on contrary evidence", value=both, better="high", beside="one label: 0")


def _moved(families: Sequence[Family], variant: str, fooled: list[Audited]) -> Iterator[Number]:
    pairs = _pairs(families, variant)
    answers = [(a, b) for a, b in pairs if a.verdict.score is not None and b.verdict.score is not None]
    if answers:
        drops = [(a.verdict.score or 0.0) - (b.verdict.score or 0.0) for a, b in answers]
        value = bootstrap_interval(drops, _clusters(answers))
        yield Number(name=f"score that rests on evidence: right - {variant}", value=value, better="high")
    said = [(a, b) for a, b in pairs if a.verdict.label in ASSERTED]
    if said:
        stayed = [b for a, b in said if b.verdict.label == a.verdict.label]
        limit = None if variant == "topic-related" else LEAST_MOVED
        fooled += stayed if limit is not None else []
        yield Number(
            name=f"verdicts that fall when their evidence is {variant}",
            value=share([a.verdict.label != b.verdict.label for a, b in said], _clusters(said)),
            better="high",
            limit=limit,
            beside="a judge that ignores its evidence: 0",
        )
    staked = [(a, b, label) for a, b in pairs if (label := _stake(a)) is not None]
    if staked:
        drops = [held(a.probe.case, a.verdict, label) - held(b.probe.case, b.verdict, label) for a, b, label in staked]
        value = bootstrap_interval(drops, [_cluster(a) for a, *_ in staked])
        yield Number(name=f"evidence dependence: right - {variant}", value=value, better="high")


def _noise(families: Sequence[Family]) -> Iterator[Number]:
    pairs = [(a, b) for a, b in _pairs(families, "duplicated") if a.verdict.label is not None]
    if not pairs:
        return
    yield Number(
        name="verdicts that change when evidence is shown twice",
        value=share([a.verdict.label != b.verdict.label for a, b in pairs], _clusters(pairs)),
        better="low",
        limit=MOST_NOISE,
        beside="the noise beneath the other numbers",
    )


def _quality(families: Sequence[Family]) -> Iterator[Number]:
    """AUROC and Brier score of the positive label, beside the same without evidence."""
    rows = {variant: _bets(families, variant) for variant in (KEPT, "removed")}
    if _area(rows[KEPT]) is None:
        return
    measures: dict[str, tuple[Callable[[Sequence[_Bet]], float | None], Better]]
    measures = {"AUROC": (_area, "high"), "Brier score": (_squares, "low")}
    for name, (statistic, better) in measures.items():
        bare = statistic(rows["removed"])
        yield Number(
            name=f"{name} with the right evidence",
            value=bootstrap_of(statistic, rows[KEPT], [row.cluster for row in rows[KEPT]], n=RESAMPLES),
            better=better,
            beside="" if bare is None else f"without evidence, of {len(rows['removed'])}: {bare:.3f}",
        )


def _bets(families: Sequence[Family], variant: str) -> list[_Bet]:
    found = []
    for family in families:
        each, gold = family.get(variant), _gold(family[KEPT])
        if each is None or gold is None or each.verdict.label is None:
            continue
        positive = SUPPORT if isinstance(each.probe.case, Claim) else "success"
        probability = held(each.probe.case, each.verdict, positive)
        found.append(_Bet(probability, gold == positive, _cluster(family[KEPT])))
    return found


def _area(rows: Sequence[_Bet]) -> float | None:
    if len({row.positive for row in rows}) < 2:
        return None
    return auroc([row.probability for row in rows], [row.positive for row in rows])


def _squares(rows: Sequence[_Bet]) -> float | None:
    return sum((row.probability - row.positive) ** 2 for row in rows) / len(rows) if rows else None


def _synergy(families: Sequence[Family]) -> Iterator[Number]:
    values, clusters = [], []
    for family in families:
        parts = [family.get(f"without {part}") for part in ("both", "first", "second")]
        label, kept = _stake(family[KEPT]), family[KEPT]
        known = [part for part in parts if part is not None and part.verdict.status != "failed"]
        if label is None or len(known) < len(parts):
            continue
        whole = held(kept.probe.case, kept.verdict, label)
        both, first, second = (whole - held(part.probe.case, part.verdict, label) for part in known)
        values.append(both - first - second)
        clusters.append(_cluster(kept))
    if values:
        beside = "below 0 both supports are needed, above 0 either will do"
        value = bootstrap_interval(values, clusters)
        yield Number(name="synergy of two supports", value=value, better="high", beside=beside)


def _bare(families: Sequence[Family]) -> Iterator[Number]:
    """The verdict without tools, beside the one with them."""
    pairs = [(a, b) for a, b in _pairs(families, BARE) if a.verdict.status == "scored"]
    if not pairs:
        return
    same = share([_outcome(a) == _outcome(b) for a, b in pairs], _clusters(pairs))
    yield Number(name="verdicts that are the same without tools", value=same, better="low")
    known = [(a, b, a.probe.parent.gold) for a, b in _pairs(families, BARE) if _says(a)]
    if known:
        gains = [(right(a.verdict, gold) or 0.0) - (right(b.verdict, gold) or 0.0) for a, b, gold in known if gold]
        value = bootstrap_interval(gains, [_cluster(a) for a, *_ in known])
        yield Number(name="accuracy with tools - without", value=value, better="high")


def _axes(families: Sequence[Family], variant: str) -> Iterator[Number]:
    rows = [(found, a) for a, b in _pairs(families, variant) if (found := utility(a, b)) is not None]
    for axis in Utility._fields:
        values = [(getattr(row, axis), _cluster(a)) for row, a in rows if getattr(row, axis) is not None]
        if values:
            value = bootstrap_interval([v for v, _ in values], [c for _, c in values])
            name = f"CUE-R, {variant}: {axis.replace('_', ' ')}"
            yield Number(name=name, value=value, better="high" if axis in ("correctness", "grounding") else "low")


def _gold(each: Audited) -> str | None:
    gold = each.probe.parent.gold
    return None if gold is None else gold.label


def _says(each: Audited) -> bool:
    """Whether gold says what is right for the verdict that was given."""
    verdict, gold = each.verdict, each.probe.parent.gold
    if gold is None or verdict.status != "scored":
        return False
    if verdict.label is not None:
        return gold.label is not None
    if verdict.preference is not None:
        return gold.preference is not None
    return verdict.ranking is not None and bool(gold.ranking)


def _outcome(each: Audited) -> tuple[object, ...]:
    verdict = each.verdict
    side = None if verdict.preference is None else (verdict.preference > 0) - (verdict.preference < 0)
    return verdict.status, verdict.label, verdict.score, side, verdict.ranking
