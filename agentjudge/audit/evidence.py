"""Does the verdict follow the evidence? It is taken away, exchanged or shown twice, and the case judged again.

    report = run(plan([EvidenceDependence()], cases), loads, Path("audit"))

| probe | evidence | a sound judge |
|---|---|---|
| the case | its own | has a verdict |
| `removed` | none, and no tools either | no longer says what it said |
| `random` | that of another case, of few words in common | the same |
| `topic-related` | that of the case whose evidence shares most words with it | mostly the same; it is only told |
| `duplicated` | each document twice | says what it said; how often it does not is the noise beneath the rest |
| `without first`, `second`, `both` | without sentences that gold names together | see synergy below |
| `without tools` | its own, and no tools | is less often right, where its tools are of use |

Two cases of one claim with other documents and other gold are an exchange with real labels, as in FEVER-symmetric
(arXiv 1908.05267): there a verdict that is the same for both rests on the claim alone. Nothing has to be made for it.

*Evidence dependence* (arXiv 2604.09537) is the probability of the gold label (or where there is none, of the label the
judge gave) with the right evidence, minus that with other evidence or none. *Synergy* (CUE-R, arXiv 2604.05467) is what
the loss of two supports costs beyond the loss of the first and of the second: below 0 both are needed, above 0 either
will do. The other axes of CUE-R are in `utility`, the numbers in `dependence`.

Limits are ours: of what it asserted at least half must fall with its evidence, at least half of the pairs with real
labels must be told apart, and at most one verdict in ten may change by a copy. Only claims with NOT ENOUGH INFO in
their closed set are judged without their evidence, for otherwise there is nothing right to say; of runs only those
judged a success are asked after, and scores of answers are only told, since an answer may be good without documents.
"""

from collections.abc import Iterator, Sequence

from agentjudge.audit.base import Audit, Audited, Finding, Probe, changed
from agentjudge.audit.dependence import ASSERTED, BARE, KEPT, numbers_of
from agentjudge.audit.operators import duplicated, exchanged, has_evidence, removed, supports, without
from agentjudge.case import NOT_ENOUGH_INFO, ActionChoice, Case, Claim, Comparison, Response, Trajectory
from agentjudge.registry import register


@register("audit", "evidence", paper="2604.05467")
class EvidenceDependence(Audit):
    """Verdicts that stay when their evidence is taken away, exchanged or contradicted."""

    name = "evidence"
    title = "Does the verdict follow the evidence?"
    kinds = (Claim, Response, Comparison, ActionChoice, Trajectory)
    wants = "claims or answers with documents of their own, or runs of agents"

    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """See `Audit`."""
        with_evidence = [case for case in cases if has_evidence(case)]
        for case in cases:
            yield Probe(case, case)
            yield Probe(case, case, BARE, "bare")
            if isinstance(case, Claim | Response | Trajectory) and has_evidence(case):
                yield from self._changes(case, with_evidence)

    def _changes(self, case: Case, others: Sequence[Case]) -> Iterator[Probe]:
        made = {"duplicated": duplicated(case)}
        if _may_fall(case):
            made["removed"] = removed(case)
            made["random"] = exchanged(case, others, "random")
            made["topic-related"] = exchanged(case, others, "topic-related")
        for variant, fields in made.items():
            if fields is not None:
                probe = changed(case, self.name, variant, **fields)
                bare = variant == "removed" and not isinstance(case, Trajectory)
                yield Probe(probe.case, case, variant, "bare" if bare else "judged")
        if _may_fall(case) and (pair := supports(case)) is not None:
            for variant, ids in (("without first", pair[:1]), ("without second", pair[1:]), ("without both", pair)):
                yield changed(case, self.name, variant, **without(case, ids))

    def find(self, judged: Sequence[Audited]) -> Finding:
        """See `Audit`."""
        families: dict[str, dict[str, Audited]] = {}
        for each in judged:
            families.setdefault(each.probe.parent.id, {})[each.probe.variant] = each
        sound = [f for f in families.values() if KEPT in f and f[KEPT].verdict.status != "failed"]
        numbers, fooled = numbers_of(sound)
        return self.finding(judged, numbers, fooled)


def _may_fall(case: Case) -> bool:
    """Whether a verdict on it can fall with its evidence."""
    gold = case.gold.label if case.gold is not None else None
    if isinstance(case, Claim):
        return NOT_ENOUGH_INFO in case.labels and gold != NOT_ENOUGH_INFO
    return gold is None or gold in ASSERTED or isinstance(case, Response)
