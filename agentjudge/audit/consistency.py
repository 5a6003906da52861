"""Consistency: do the verdicts of a judge agree with each other, whether or not they are right?

| number | of | limit |
|---|---|---|
| instruction side | right answers that score higher under their own prompt than under one like it | 0.6 |
| response side | pairs whose better answer scores higher, each scored alone; beside it: compared as a pair | 0.6 |
| pairs against scores | choices of one of two where the other one scored higher | 0.1 |
| ties of scores | choices of one of two where both scored the same | told |
| cycles | three answers of which each is preferred to the next, and the last to the first | 0.05 |

Both sides are those of Contrast Instructions (arXiv 2309.16155): shares of strictly higher scores, 0.5 by chance. Of
three pairs at random 0.25 go round. The limits are ours. The prompt like it is the case's `metadata["contrast"]`, as
`benchmarks.contrast_instructions` fills it in, and otherwise that of the case which shares most of its words, which is
easier to tell apart. Judges that only compare have no scores, and those that only score no choices: what cannot be
counted is left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Literal

from agentjudge.audit.attacks import best_of, lot_of
from agentjudge.audit.base import Audit, Audited, Finding, Number, Probe, changed, share
from agentjudge.audit.outcomes import PASSES, chosen_of, decided
from agentjudge.case import Case, Comparison, Response
from agentjudge.registry import register
from agentjudge.runs.ordering import alone, reordered

SIDES, AGAINST, CYCLES = 0.6, 0.1, 0.05
TRIPLES = 2
"""Of a case with more than two answers, at most."""
MOST_TRIED = 500
"""Prompts among which the one like it is sought, drawn by lot where there are more."""
CONTRAST = "contrast"

Row = tuple[bool, Audited]
"""Whether it was so, and the judgement that shows it."""


@register("audit", "consistency", paper="2309.16155")
class Consistency(Audit):
    """Verdicts that contradict each other."""

    name = "consistency"
    title = "Verdicts that contradict each other"
    kinds = (Comparison, Response)
    wants = "choices between answers, or right answers to several prompts"

    def probes(self, cases: Sequence[Case]) -> Iterator[Probe]:
        """Pairs as they are, each answer alone, right ones under another prompt, and the pairs of triples."""
        near = _nearest(cases)
        for case in cases:
            if isinstance(case, Response):
                if case.id in near and case.gold is not None and (case.gold.score or 0) >= PASSES:
                    yield Probe(case, case)
                    yield changed(case, self.name, "instruction", prompt=near[case.id], reference=None)
            elif isinstance(case, Comparison):
                yield from self._of_pair(case, near) if len(case.responses) == 2 else self._of_triples(case)

    def _of_pair(self, case: Comparison, near: Mapping[str, str]) -> Iterator[Probe]:
        yield Probe(case, case)
        for i in range(2):
            yield Probe(alone(case, i, id=f"{case.id}/{self.name}/alone-{i}"), case, f"alone-{i}")
        if case.id in near and case.gold is not None and case.gold.preference:
            right = alone(case, best_of(case), id=f"{case.id}/{self.name}/instruction")
            yield Probe(right.model_copy(update={"prompt": near[case.id]}), case, "instruction")

    def _of_triples(self, case: Comparison) -> Iterator[Probe]:
        asked: set[tuple[int, int]] = set()
        for triple in _triples(case):
            for pair in combinations(triple, 2):
                if pair not in asked:
                    asked.add(pair)
                    shown = pair if lot_of(case, salt=str(pair)).random() < 0.5 else pair[::-1]
                    variant = f"pair-{shown[0]}-{shown[1]}"
                    two = reordered(case, shown, id=f"{case.id}/{self.name}/{variant}")
                    yield Probe(two.model_copy(update={"gold": None}), case, variant)

    def find(self, judged: Sequence[Audited]) -> Finding:
        """Both sides of contrast, forms against each other, and cycles."""
        groups: dict[str, dict[str, Audited]] = {}
        for each in judged:
            groups.setdefault(each.probe.parent.id, {})[each.probe.variant] = each
        rows = list(groups.values())
        pairs = _rows(_compared(group) for group in rows)
        beside = "0.50 by chance"
        compared = f"{beside}; compared as a pair {sum(hit for hit, _ in pairs) / len(pairs):.2f}" if pairs else beside
        against = _rows(_against(group) for group in rows)
        numbers = [
            _number("instruction side", _rows(_instruction(group) for group in rows), SIDES, beside, better="high"),
            _number("response side", _rows(_response(group) for group in rows), SIDES, compared, better="high"),
            _number("pairs against scores", against, AGAINST),
            _number("ties of scores", _rows(_tied(group) for group in rows), None),
        ]
        cycles = [row for group in rows for row in _cycles(group)]
        numbers.append(_number("cycles", cycles, CYCLES, "0.25 by chance"))
        found = [number for number in numbers if number is not None]
        return self.finding(judged, found, [each for hit, each in [*against, *cycles] if hit])


def _number(
    name: str, rows: Sequence[Row], limit: float | None, beside: str = "", *, better: Literal["low", "high"] = "low"
) -> Number | None:
    if not rows:
        return None
    value = share([hit for hit, _ in rows], [each.probe.parent.id for _, each in rows])
    return Number(name=name, value=value, better=better, limit=limit, beside=beside)


def _rows(found: Iterable[Row | None]) -> list[Row]:
    return [row for row in found if row is not None]


def _score(group: Mapping[str, Audited], variant: str) -> float | None:
    return group[variant].verdict.score if variant in group else None


def _parent(group: Mapping[str, Audited]) -> Case:
    return next(iter(group.values())).probe.parent


def _instruction(group: Mapping[str, Audited]) -> Row | None:
    """Whether the right answer scores higher under its own prompt."""
    case = _parent(group)
    mine = "" if isinstance(case, Response) else f"alone-{best_of(case)}"
    own, other = _score(group, mine), _score(group, "instruction")
    return None if own is None or other is None else (own > other, group["instruction"])


def _response(group: Mapping[str, Audited]) -> Row | None:
    """Whether the better answer scores higher."""
    case = _parent(group)
    if not isinstance(case, Comparison) or case.gold is None or not case.gold.preference:
        return None
    best = best_of(case)
    right, wrong = _score(group, f"alone-{best}"), _score(group, f"alone-{1 - best}")
    return None if right is None or wrong is None else (right > wrong, group[f"alone-{1 - best}"])


def _compared(group: Mapping[str, Audited]) -> Row | None:
    """Whether the better answer is preferred."""
    case = _parent(group)
    if not isinstance(case, Comparison) or case.gold is None or not case.gold.preference or "" not in group:
        return None
    return chosen_of(group[""].verdict, 2) == best_of(case), group[""]


def _choice(group: Mapping[str, Audited]) -> tuple[Audited, float] | None:
    """A pair of which one was chosen, and by how much that one scored higher."""
    scores = [_score(group, f"alone-{i}") for i in range(2)]
    place = chosen_of(group[""].verdict, 2) if "" in group else None
    if place is None or scores[0] is None or scores[1] is None:
        return None
    return group[""], (scores[place] or 0.0) - (scores[1 - place] or 0.0)


def _against(group: Mapping[str, Audited]) -> Row | None:
    found = _choice(group)
    return None if found is None else (found[1] < 0, found[0])


def _tied(group: Mapping[str, Audited]) -> Row | None:
    found = _choice(group)
    return None if found is None else (found[1] == 0, found[0])


def _cycles(group: Mapping[str, Audited]) -> Iterator[Row]:
    """Of each triple whose three pairs are decided without a tie, whether it goes round."""
    case = _parent(group)
    if not isinstance(case, Comparison) or len(case.responses) < 3:
        return
    won: dict[tuple[int, int], int] = {}
    for variant, each in group.items():
        if variant.startswith("pair-") and decided(each.verdict, 2):
            shown = [int(i) for i in variant.split("-")[1:]]
            place = chosen_of(each.verdict, 2)
            if place is not None:
                won[min(shown), max(shown)] = shown[place]
    for triple in _triples(case):
        winners = [won.get(pair) for pair in combinations(triple, 2)]
        if None not in winners:
            ends = {f"pair-{triple[0]}-{triple[2]}", f"pair-{triple[2]}-{triple[0]}"}
            yield len(set(winners)) == 3, next(each for variant, each in group.items() if variant in ends)


def _triples(case: Comparison) -> list[tuple[int, ...]]:
    found = list(combinations(range(len(case.responses)), 3))
    return sorted(lot_of(case, salt="triples").sample(found, min(TRIPLES, len(found))))


def _nearest(cases: Sequence[Case]) -> dict[str, str]:
    """By the id of each case, the prompt that is like its own: as given, or the one that shares most of its words."""
    prompts = list(dict.fromkeys(case.prompt for case in cases if isinstance(case, Comparison | Response)))
    words = [frozenset(prompt.lower().split()) for prompt in prompts]
    number = {prompt: i for i, prompt in enumerate(prompts)}
    found: dict[str, str] = {}
    for case in cases:
        if not isinstance(case, Comparison | Response):
            continue
        if CONTRAST in case.metadata:
            found[case.id] = str(case.metadata[CONTRAST])
        elif len(prompts) > 1:
            own = number[case.prompt]
            others = [*range(own), *range(own + 1, len(prompts))]
            drawn = lot_of(case, salt=CONTRAST).sample(others, min(len(others), MOST_TRIED))
            found[case.id] = prompts[max(drawn, key=lambda i: len(words[i] & words[own]) / len(words[i] | words[own]))]
    return found
