"""Advantages from pairs: how much better each rollout is than each other one (Think-RM, arXiv 2505.16265).

With d_ij the margin of i over j, as a judge of pairs gives it, and n rollouts in the group,

    A_i = (1 / n) sum over j of d_ij  /  sqrt( sum over i, j of d_ij^2 / (2 n (n - 1)) )

which is GRPO's advantage where d_ij = r_i - r_j for some rewards r. Margins are first-class: they need not come from
any scores, and may go round in circles. A pair that could not be judged is NaN, and left out of both means:

    A_i = (n - 1) / n x mean of d_ij over judged j  /  sqrt( mean of d_ij^2 over judged pairs / 2 )

A rollout of which no pair was judged has 0. The paper's code judges each pair in one order; which orders a margin is
the mean of is up to whoever judges (`agentjudge.runs.policies`).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agentjudge.registry import register
from agentjudge.training.advantages import FLAT, Estimator, Group, Need, Worth


@register("training", "think-rm")
@dataclass(frozen=True, slots=True)
class ThinkRM(Estimator):
    """Think-RM's pairwise policy optimisation: the mean margin over the others, by how large margins are."""

    name: ClassVar = "think-rm"
    family: ClassVar = "LLM as critic"
    needs: ClassVar[tuple[Need, ...]] = ("margins",)

    def of_group(self, group: Group) -> Worth:
        """See `Estimator`; the scores themselves do not count, but a rollout without one is masked."""
        assert group.margins is not None  # it was asked for
        margins = group.margins.copy()
        np.fill_diagonal(margins, np.nan)
        judged = ~np.isnan(margins)
        if not judged.any() or (size := np.sqrt(np.mean(margins[judged] ** 2) / 2)) <= FLAT:
            return Worth(None)
        counts = judged.sum(axis=1)
        means = np.divide(np.nansum(margins, axis=1), counts, out=np.zeros(len(counts)), where=counts > 0)
        return Worth((len(counts) - 1) / len(counts) * means / size)
