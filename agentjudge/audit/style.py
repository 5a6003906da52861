"""Style: does the dress of a text move a verdict: markdown, length, the name of who wrote it, other words for the same?

`agentjudge.audit.rewriting` says what is done to a text. One candidate of a choice is dressed up: the worse one where
gold tells which it is, else one drawn by lot; of answers that are scored, the answer.

| number | of | limit |
|---|---|---|
| won by DRESS | choices that were not for the dressed candidate and became so; answers that became right | 0.05 |
| lost by DRESS (beside it) | choices that were for it and are no longer so; answers that are right no longer | told |
| score by DRESS | what it adds to the score of an answer (-1..1) | told |
| changed by other words | verdicts that change when all of it is `reworded`: right or not, label, side | 0.05 |

The limits are ours. What is lost tells how much of what is won is unsteadiness: a judge that is moved at random wins
and loses as much.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from agentjudge.audit.attacks import lesser_of
from agentjudge.audit.base import Audit, Audited, Finding, Number, Probe, changed, share
from agentjudge.audit.outcomes import accepted, chosen_of, decided
from agentjudge.audit.repeats import outcome
from agentjudge.audit.rewriting import DRESSES, reworded
from agentjudge.case import Case, Claim, Comparison, Response
from agentjudge.registry import register
from agentjudge.runs.statistics import bootstrap_interval

WON, CHANGED = 0.05, 0.05
WORDS = "words"


@register("audit", "style")
class Style(Audit):
    """Verdicts that follow the dress of a text."""

    name = "style"
    title = "Verdicts that follow markdown, length, names or the choice of words"
    kinds = (Response, Comparison, Claim)
    wants = "answers, choices between answers, or claims with words that have another form"

    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """Each case as it is, with one candidate dressed up in each way, and with all of it reworded."""
        for case in cases:
            found = list(_changes(case))
            if found:
                yield Probe(case, case)
            for variant, fields in found:
                yield changed(case, self.name, variant, **fields)

    def find(self, judged: Sequence[Audited]) -> Finding:
        """What each dress wins and loses, and what other words change."""
        plain = {each.probe.case.id: each for each in judged if not each.probe.variant}
        pairs = [
            (plain[each.probe.parent.id], each)
            for each in judged
            if each.probe.variant and each.probe.parent.id in plain
        ]
        numbers: list[Number] = []
        fooled: list[Audited] = []
        for dress in DRESSES:
            of_dress = [(_for(before, each), each, before) for before, each in pairs if each.probe.variant == dress]
            known = [(was, _for(each, each), each) for was, each, _ in of_dress]
            won = [(after is True, each) for was, after, each in known if was is False]
            lost = [after is False for was, after, _ in known if was is True]
            beside = f"lost by it {sum(lost)} of {len(lost)}"
            if won:
                fooled += [each for hit, each in won if hit]
                value = share([hit for hit, _ in won], [each.probe.parent.id for _, each in won])
                numbers.append(Number(name=f"won by {dress}", value=value, better="low", limit=WON, beside=beside))
            more = [
                after - was
                for _, each, before in of_dress
                if (was := before.verdict.score) is not None and (after := each.verdict.score) is not None
            ]
            if more:
                numbers.append(Number(name=f"score by {dress}", value=bootstrap_interval(more), better="low"))
        same = [
            (outcome(before.verdict) != outcome(each.verdict), each)
            for before, each in pairs
            if each.probe.variant == WORDS and before.verdict.status == each.verdict.status == "scored"
        ]
        if same:
            fooled += [each for differs, each in same if differs]
            value = share([differs for differs, _ in same], [each.probe.parent.id for _, each in same])
            numbers.append(Number(name="changed by other words", value=value, better="low", limit=CHANGED))
        return self.finding(judged, numbers, fooled)


def _changes(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """What can be done to a case, by name."""
    for name, dress in DRESSES.items():
        if isinstance(case, Response) and (text := dress(case.response)) != case.response:
            yield name, {"response": text}
        if isinstance(case, Comparison):
            at = lesser_of(case)
            texts = tuple(dress(text) if i == at else text for i, text in enumerate(case.responses))
            if texts != case.responses:
                yield name, {"responses": texts}
    if isinstance(case, Response):
        told: dict[str, Any] = {"response": reworded(case.response)}
    elif isinstance(case, Comparison):
        told = {"responses": tuple(map(reworded, case.responses))}
    else:
        assert isinstance(case, Claim)
        told = {"claim": reworded(case.claim)}
    if any(getattr(case, field) != value for field, value in told.items()):
        yield WORDS, told


def _for(judged: Audited, like: Audited) -> bool | None:
    """Whether a verdict is for the dressed candidate of a probe; None where it is not scored."""
    case = like.probe.parent
    if isinstance(case, Comparison):
        n = len(case.responses)
        return chosen_of(judged.verdict, n) == lesser_of(case) if decided(judged.verdict, n) else None
    return accepted(judged.verdict)
