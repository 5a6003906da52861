"""Order: does it matter at which place a candidate stands?

Two candidates are shown in both orders, more of them in every rotation, so that each stands once at each place, for
at most eight rotations. What is said of places is read back in the case's own order.

| number | of | limit |
|---|---|---|
| flips | two orders, both scored, whose best candidate differs; a tie against a choice is a flip | 0.1 |
| reversals | the same, from one candidate to another, without a tie | told |
| pull of the first place of n | by how much it is chosen more or less often than by chance, 1/n | 0.1 |
| place i of n | how often it is chosen of n candidates | told |

The limits are ours. Flips are what a swap, as in `agentjudge.runs.policies`, would turn into ties.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from agentjudge.audit.base import Audit, Audited, Finding, Number, Probe, share
from agentjudge.audit.outcomes import chosen_of, decided
from agentjudge.case import ActionChoice, Case, Comparison
from agentjudge.registry import register
from agentjudge.runs.habits import Habits
from agentjudge.runs.ordering import as_choice, options_of, reordered, restored
from agentjudge.runs.statistics import Interval
from agentjudge.verdict import Verdict

FLIPS, PULL = 0.1, 0.1
MOST_ORDERS = 8


@register("audit", "order")
class Order(Audit):
    """Choices that follow the place of a candidate."""

    name = "order"
    title = "Choices that follow the place at which a candidate stands"
    kinds = (Comparison, ActionChoice)
    wants = "choices between two candidates or more"

    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """Each case as it is, and in its other orders."""
        for case in cases:
            n = len(options_of(case))
            if n < 2:
                continue
            yield Probe(case, case)
            for turn in range(1, min(n, MOST_ORDERS)):
                moved = reordered(case, _rotated(n, turn), id=f"{case.id}/{self.name}/turned-{turn}")
                yield Probe(moved.model_copy(update={"gold": None}), case, f"turned-{turn}")

    def find(self, judged: Sequence[Audited]) -> Finding:
        """Flips against the case's own order, and how often each place is chosen."""
        swaps: list[tuple[Audited, Habits]] = []
        for _, group in groupby(judged, lambda each: each.probe.parent.id):
            first, *others = group
            if not first.probe.variant:
                swaps += [(each, Habits.of_swap(_own(first), _own(each))) for each in others]
        swaps = [(each, habits) for each, habits in swaps if habits.swaps]
        numbers = []
        if swaps:
            parents = [each.probe.parent.id for each, _ in swaps]
            flips = share([bool(habits.flips) for _, habits in swaps], parents)
            numbers.append(Number(name="flips", value=flips, better="low", limit=FLIPS))
            reversals = share([bool(habits.reversals) for _, habits in swaps], parents)
            numbers.append(Number(name="reversals", value=reversals, better="low"))
        numbers += _places(judged)
        return self.finding(judged, numbers, [each for each, habits in swaps if habits.flips])


def _rotated(n: int, turn: int) -> tuple[int, ...]:
    return tuple((place + turn) % n for place in range(n))


def _own(each: Audited) -> Verdict:
    """Its verdict, in the order of the case that it was made of."""
    n = len(options_of(each.probe.case))
    turn = int(each.probe.variant.rpartition("-")[2] or 0)
    return restored(as_choice(each.verdict, n), _rotated(n, turn))


def _places(judged: Sequence[Audited]) -> list[Number]:
    """How often each place is chosen, by the number of candidates; and the pull of the first over all of them."""
    sizes: dict[int, list[tuple[int, str]]] = {}
    for each in judged:
        n = len(options_of(each.probe.case))
        place = chosen_of(each.verdict, n) if decided(each.verdict, n) else None
        if place is not None:
            sizes.setdefault(n, []).append((place, each.probe.parent.id))
    numbers = []
    for n, chosen in sorted(sizes.items()):
        parents = [parent for _, parent in chosen]
        firsts = share([place == 0 for place, _ in chosen], parents)
        numbers.append(_pull(firsts, n))
        for i in range(n):
            rate = share([place == i for place, _ in chosen], parents)
            told = f"{1 / n:.2f} by chance"
            numbers.append(Number(name=f"place {i + 1} of {n}", value=rate, better="low", beside=told))
    return numbers


def _pull(firsts: Interval, n: int) -> Number:
    """The size of what a rate of choices of the first place is off from chance."""
    low, high = firsts.low - 1 / n, firsts.high - 1 / n
    least = max(low, -high, 0.0)
    size = Interval(abs(firsts.mean - 1 / n), least, max(abs(low), abs(high)), firsts.n)
    beside = f"chosen {firsts.mean:.2f}, {1 / n:.2f} by chance"
    return Number(name=f"pull of the first place of {n}", value=size, better="low", limit=PULL, beside=beside)
