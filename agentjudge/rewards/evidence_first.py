"""Our own reward of claim verification: evidence that was found and cited, and labels beyond what chance would earn.

Veri-R1's reward (arXiv 2510.01932) pays a right NOT ENOUGH INFO in full without any evidence, and a right SUPPORT or
REFUTE by the evidence that was cited. A policy that cannot read well yet earns most by always saying NOT ENOUGH INFO:
2.0 on average over balanced labels, where a weak honest reader got 1.7, and training did end there. The fault is not
the size of a constant: any fixed price of a label is the wrong one for another balance of labels. So a label is paid by
what it is worth beyond chance. With p the share of each label among the claims (`balance`), y gold's label and l the
label that was given,

| part | pays | where |
|---|---|---|
| label | 0.5 (1[l = y] - p(l)) | always; NOT ENOUGH INFO by a judge that has looked at nothing is never right |
| grounded | V (1[l = y] - p(l) / (1 - p(NEI))) | gold is SUPPORT or REFUTE, and so is l |
| citing | 0.25 V x precision | gold names evidence |
| found | 0.25 (share of the best gold group shown at the end - in the opening) | gold names evidence |
| calls | -0.02 for each tool call, at most -0.2 | always |

V is the share of the best of the alternative gold groups that is cited; only evidence that was shown in this very trace
counts, so ids known by heart earn nothing. Precision is the share of the cited ids that stand in any gold group.

**Calibration.** A label that is given independently of the truth, always the same one or any mixture, earns
sum over l of P(l) (P(y = l) - p(l)) = 0 by `label`, and 0 by `grounded`, whatever the balance is, so no constant answer
is a place to fall into: always NOT ENOUGH INFO earns 0 for its labels after a search, which has to pay for itself, and
-0.5 p(NEI) without one. What an honest judge earns above that is how far its labels go with the truth (half the
numerator of Cohen's kappa), at any balance and however bad it still is, and what it makes of its evidence. `balance`
has to be that of the claims that are trained on: `balance_of` counts it; without one all labels of a claim count as
equally frequent. Where rewards are divided by the standard deviation of their group this is neutral only nearly;
advantages that are not divided (Dr. GRPO) keep it exact.

At balanced labels the wrong label with exact evidence earns less than the right one with none. A call costs less than a
new piece of gold evidence earns (0.25 / 6 for one of a group of six), and the second showing of a piece earns nothing:
`found` is a difference of potentials and telescopes. An answer that cannot be read pays -1.5, less than any that can;
an abstention pays as a wrong answer of the rarest label.

`turn_rewards` holds gains and prices by turn; label, grounded and citing are the outcome's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from typing import ClassVar

from agentjudge.case import NOT_ENOUGH_INFO, Case, Claim
from agentjudge.errors import ConfigError, DataError
from agentjudge.registry import register
from agentjudge.rewards.base import Alone, RewardResult, masked, of_parts
from agentjudge.rewards.coverage import coverage, groups_of, potential, precision
from agentjudge.rewards.terms import cited, correct, succeeded
from agentjudge.trace import Trace

LABEL, GROUNDED, CITING, FOUND = 0.5, 1.0, 0.25, 0.25


def balance_of(cases: Iterable[Case]) -> dict[str, float]:
    """The share of each gold label among cases, for `evidence_first(balance=...)`.

    Raises:
        DataError: no case has a gold label.
    """
    counts = Counter(case.gold.label for case in cases if case.gold is not None and case.gold.label is not None)
    if not counts:
        raise DataError("no case has a gold label, so the balance of labels cannot be counted")
    return {label: count / counts.total() for label, count in sorted(counts.items())}


@dataclass(frozen=True, slots=True)
class EvidenceFirst(Alone):
    """The table above."""

    balance: tuple[tuple[str, float], ...] = ()
    """Share of each label among the claims; all equal when empty."""
    price: float = 0.02
    """Of a tool call, whatever came of it."""
    priced: int = 10
    """Calls that cost something, at most; the price of a judgement is bounded by that of these."""
    keys: ClassVar = ("label", "grounded", "citing", "found", "calls")

    def __post_init__(self) -> None:
        if self.price < 0 or self.priced < 0 or any(share < 0 for _, share in self.balance):
            raise ConfigError("price, priced calls and shares of labels cannot be negative")

    @property
    def low(self) -> float:
        """See `Declared`."""
        return -LABEL - GROUNDED - self.price * self.priced

    @property
    def high(self) -> float:
        """See `Declared`."""
        return LABEL + GROUNDED + CITING + FOUND

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`.

        Raises:
            DataError: no claim, no gold label, or a label that the balance knows nothing of.
        """
        if (found := masked(trace)) is not None:
            return found
        right, groups, ids = correct(trace.verdict, case), groups_of(case), cited(trace)
        share = coverage(ids, groups)
        seen = potential(trace, case)
        prices = self._prices(trace)
        gains = [FOUND * (after - before) for before, after in zip(seen, seen[1:], strict=False)]
        label, grounded = self._labels(trace, case, right=right, share=share)
        parts = {
            "label": label,
            "grounded": grounded,
            "citing": CITING * share * precision(ids, groups),
            "found": fsum(gains),
            "calls": fsum(prices),
        }
        turns = tuple(gain + price for gain, price in zip(gains, prices, strict=True))
        return of_parts(parts, turn_rewards=turns)

    def _labels(self, trace: Trace, case: Case, *, right: bool, share: float) -> tuple[float, float]:
        """What the label earns beyond chance, and what it earns with its evidence."""
        gold = case.gold
        assert gold is not None  # or `correct` had raised
        said, odds = trace.verdict.label, self._odds(case)
        if trace.verdict.status == "failed":
            return -LABEL, -GROUNDED
        if said is None:
            return -LABEL * min(odds.values()), 0.0
        if said not in odds:
            raise DataError(f"case {case.id!r}: {said!r} is none of its labels {', '.join(odds)}")
        looked = said != NOT_ENOUGH_INFO or bool(trace.opening) or succeeded(trace)
        label = LABEL * ((right and looked) - odds[said])
        if NOT_ENOUGH_INFO in (said, gold.label):
            return label, 0.0
        others = fsum(each for name, each in odds.items() if name != NOT_ENOUGH_INFO)
        return label, GROUNDED * share * (right - (odds[said] / others if others else 0.0))

    def _odds(self, case: Case) -> Mapping[str, float]:
        """The share of each label of a claim among claims of its kind."""
        if not isinstance(case, Claim):
            raise DataError(f"case {case.id!r} is a {type(case).__name__}; this reward is of claims")
        shares = dict(self.balance) or dict.fromkeys(case.labels, 1.0)
        known = {label: shares.get(label, 0.0) for label in case.labels}
        whole = fsum(known.values())
        if whole == 0:
            raise DataError(f"case {case.id!r}: the balance knows none of its labels {', '.join(known)}")
        return {label: share / whole for label, share in known.items()}

    def _prices(self, trace: Trace) -> list[float]:
        """What each turn pays for its calls; the first ones cost something, later ones nothing more."""
        calls = Counter(event.turn for event in trace.events)
        prices, left = [], self.priced
        for turn in range(len(trace.turns)):
            due = min(calls[turn], left)
            left -= due
            prices.append(-self.price * due)
        return prices


@register("reward", "evidence_first")
def evidence_first(
    balance: Mapping[str, float] | None = None, *, price: float = 0.02, priced: int = 10
) -> EvidenceFirst:
    """Evidence found and cited, labels beyond chance at any balance, a price a call: always NEI earns nothing.

    Args:
        balance: share of each label among the claims trained on, see `balance_of`; all equal when None.
        price: of a tool call.
        priced: calls that cost something, at most.
    """
    return EvidenceFirst(tuple((balance or {}).items()), price, priced)
