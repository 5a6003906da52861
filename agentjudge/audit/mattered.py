"""Which calls and which sentences did the verdict rest on? What happened is taken back, piece by piece.

    report = run(plan([Mattered()], cases), loads, Path("audit"))

A second round goes on from the judgements of the first, of the first few that called a tool or cited something:

| probe | from | what is done |
|---|---|---|
| `call 1 again 2` | before the first call | drawn again at temperature 1, with the tools (arXiv 2506.19143) |
| `step 1` | the whole judgement | the result of the first call is taken away, and the judge concludes |
| `sentence ID` | the same | the same with one sentence that the verdict cites |
| `beside ID` | the same | the same with one that it was shown and does not cite |

Thought Anchors compares the answers of rollouts that keep a sentence with those of rollouts whose sentence is another
one. Here the sentence is a tool call: it is another one if its tool or an argument differs. The distance of the two
distributions of verdicts is their total variation (0..1), for the divergence of the paper has no value where a verdict
was never drawn. With so few draws it is above 0 by chance too, and nothing is held against a limit.

Attribution (arXiv 2601.15075) goes from steps to sentences: what a piece was worth is by how much the probability of
the verdict falls without it. A verdict rests on something that it cites if some cited sentence, or the result of some
call that showed one, is worth at least 0.05. Half of the verdicts must; both numbers are ours.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

from agentjudge.audit.base import Audit, Audited, Finding, Number, Probe, changed, share
from agentjudge.audit.cutting import without_result, without_sentence
from agentjudge.audit.operators import question, without
from agentjudge.audit.utility import held
from agentjudge.case import Case, Claim, Response, Trajectory
from agentjudge.registry import register
from agentjudge.rewards.mattered import before
from agentjudge.runs.merging import sign
from agentjudge.runs.statistics import bootstrap_interval
from agentjudge.trace import ToolEvent, Trace
from agentjudge.verdict import Verdict

ON_CASES = 20
"""Judgements that are gone on from."""
CALLS, DRAWS, CITED, BESIDE = 2, 4, 3, 2
"""Of each: calls that are taken back, draws of each, and sentences of both kinds that are taken away."""
WORTH = 0.05
LEAST_RESTING = 0.5


@register("audit", "mattered", paper="2506.19143")
class Mattered(Audit):
    """Tool calls and sentences that verdicts rest on, or do not."""

    name = "mattered"
    title = "Which calls and sentences does the verdict rest on?"
    kinds = (Claim, Response, Trajectory)
    wants = "claims, answers or runs of agents"
    most_again = ON_CASES * (CALLS * (DRAWS + 1) + CITED + BESIDE)

    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """See `Audit`."""
        return (Probe(case, case) for case in cases)

    def again(self, judged: Sequence[Audited]) -> Iterator[Probe]:
        """See `Audit`."""
        told = [each for each in judged if _outcome(each.verdict) is not None]
        for each in [each for each in told if _calls(each.trace) or each.verdict.evidence][:ON_CASES]:
            yield from self._rolled(each)
            yield from attributed(each)

    def _rolled(self, each: Audited) -> Iterator[Probe]:
        parent, trace = each.probe.parent, each.trace
        for number, place in enumerate(_calls(trace), 1):
            cut = before(trace, trace.events[place].turn)
            for draw in range(1, DRAWS + 1):
                made = changed(parent, self.name, f"call {number} again {draw}")
                yield Probe(made.case, parent, made.variant, "sampled", cut)

    def find(self, judged: Sequence[Audited]) -> Finding:
        """See `Audit`."""
        first = {each.probe.parent.id: each for each in judged if not each.probe.variant}
        rolls: dict[tuple[str, int], list[Audited]] = {}
        worth: dict[str, list[tuple[str, float, Audited]]] = {}
        for each in judged:
            kind, _, rest = each.probe.variant.partition(" ")
            base = first.get(each.probe.parent.id)
            if not kind or base is None or each.verdict.status == "failed":
                continue
            if kind == "call":
                rolls.setdefault((base.probe.parent.id, int(rest.split()[0])), []).append(each)
            else:
                fall = _standing(base, base.verdict) - _standing(base, each.verdict)
                worth.setdefault(base.probe.parent.id, []).append((f"{kind} {rest}", fall, base))
        numbers = [*_importance(first, rolls), *_worth(worth)]
        resting = [(_rests(some), some[0][2]) for some in worth.values() if _cites(some)]
        if resting:
            value = share([rests for rests, _ in resting], [question(base.probe.parent) for _, base in resting])
            name = "verdicts that rest on something they cite"
            numbers.insert(0, Number(name=name, value=value, better="high", limit=LEAST_RESTING))
        return self.finding(judged, numbers, [base for rests, base in resting if not rests])


@register("audit", "attribution", paper="2601.15075")
def attributed(each: Audited) -> Iterator[Probe]:
    """A judgement without the result of one call, and without one sentence: those it cites, and some it does not.

    Args:
        each: a judgement with a verdict.
    """
    parent, trace, name = each.probe.parent, each.trace, Mattered.name

    def probe(variant: str, given: Trace) -> Probe:
        return Probe(changed(parent, name, variant).case, parent, variant, "judged", given)

    for number, place in enumerate(_calls(trace), 1):
        yield probe(f"step {number}", without_result(trace, place))
    cited = [ref.id for ref in each.verdict.evidence if ref.id and ref.kind == "text"]
    others = [id for id, ref in trace.shown.items() if ref.kind == "text" and ref.quote and id not in cited]
    own = {ref.id for ref in trace.opening}
    for kind, ids in (("sentence", cited[:CITED]), ("beside", others[:BESIDE])):
        for id in ids:
            if id in own and parent.documents:
                yield changed(parent, name, f"{kind} {id}", **without(parent, (id,)))
            elif (cut := without_sentence(trace, id)) is not None:
                yield probe(f"{kind} {id}", cut)


def _calls(trace: Trace) -> list[int]:
    """Places of the first calls that brought something."""
    return [place for place, event in enumerate(trace.events) if event.status == "ok"][:CALLS]


def _outcome(verdict: Verdict) -> Hashable | None:
    """What verdicts are told apart by; None where there is none."""
    if verdict.preference is not None:
        return sign(verdict.preference)
    if verdict.score is not None:
        return verdict.score >= 0.5
    return verdict.label


def _standing(base: Audited, verdict: Verdict) -> float:
    """How far a verdict stands by the first one, 0..1: the probability of its label, or how near its score is."""
    if base.verdict.label is not None:
        return held(base.probe.case, verdict, base.verdict.label)
    if base.verdict.score is None or verdict.score is None:
        return 0.0
    return 1 - abs(base.verdict.score - verdict.score)


def _importance(first: dict[str, Audited], rolls: dict[tuple[str, int], list[Audited]]) -> Iterator[Number]:
    others: list[bool] = []
    clusters: list[str] = []
    distances: list[tuple[float, str]] = []
    for (id, number), drawn in rolls.items():
        base = first[id]
        place = _calls(base.trace)[number - 1]
        kept: list[Hashable] = [_outcome(base.verdict)]
        turned: list[Hashable] = []
        for each in drawn:
            same = len(each.trace.events) > place and _same(each.trace.events[place], base.trace.events[place])
            (kept if same else turned).append(_outcome(each.verdict))
            others.append(not same)
            clusters.append(question(base.probe.parent))
        if turned:
            distances.append((variation(kept, turned), question(base.probe.parent)))
    if others:
        beside = "of a model that draws nothing by chance: 0"
        value = share(others, clusters)
        yield Number(name="calls that are others when drawn again", value=value, better="low", beside=beside)
    if distances:
        value = bootstrap_interval([each for each, _ in distances], [cluster for _, cluster in distances])
        yield Number(name="importance of a call: verdicts after another one", value=value, better="high")


def variation(one: Sequence[Hashable], two: Sequence[Hashable]) -> float:
    """Total variation distance (0..1) of two samples.

    Raises:
        ValueError: one of them is empty.
    """
    if not one or not two:
        raise ValueError("both samples need something in them")
    first, second = Counter(one), Counter(two)
    return sum(abs(first[key] / len(one) - second[key] / len(two)) for key in first | second) / 2


def _same(one: ToolEvent, two: ToolEvent) -> bool:
    return one.name == two.name and one.args == two.args


def _worth(worth: dict[str, list[tuple[str, float, Audited]]]) -> Iterator[Number]:
    names = {"step": "the result of a call", "sentence": "a cited sentence", "beside": "a sentence that is not cited"}
    for kind, said in names.items():
        rows = [row for some in worth.values() for row in some if row[0].startswith(f"{kind} ")]
        if rows:
            clusters = [question(base.probe.parent) for *_, base in rows]
            value = bootstrap_interval([fall for _, fall, _ in rows], clusters)
            yield Number(name=f"fall of the verdict's probability without {said}", value=value, better="high")


def _cites(rows: Sequence[tuple[str, float, Audited]]) -> bool:
    return any(kind.startswith("sentence ") for kind, *_ in rows)


def _rests(rows: Sequence[tuple[str, float, Audited]]) -> bool:
    """Whether something that is cited is worth anything: a sentence, or the result of a call that showed one."""
    base = rows[0][2]
    cited = {ref.id for ref in base.verdict.evidence}
    showed = {
        f"step {number}"
        for number, place in enumerate(_calls(base.trace), 1)
        if cited & {ref.id for ref in base.trace.events[place].refs}
    }
    return any(fall >= WORTH for kind, fall, _ in rows if kind.startswith("sentence ") or kind in showed)
