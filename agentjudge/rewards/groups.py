"""Pseudo-labels: what the group itself says is right, where there is no gold. Co-rewarding and the majority vote.

Co-rewarding (arXiv 2508.00410) asks one question in two views, such as a claim and its paraphrase, and takes the
majority of each view as the label of the *other* one: a view that has talked itself into something has no say in its
own reward.

    reward of an answer to q  = 1 if it is the majority of the answers to q', else 0        and the other way round

A group for `CoReward` holds the judgements of all views of one case; `view` tells them apart, by the id of the blind
case in the trace. A reward of one view alone is not to be had. `MajorityVote` is the plain vote over one view (TTRL),
which sharpens what the policy believes already, right or wrong.

Abstentions and answers that cannot be read vote for nothing and earn 0; where fewer than two views have any answer the
whole group is masked. Where several answers are tied, each of them is a pseudo-label: which came first means nothing.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from agentjudge.case import Case
from agentjudge.registry import register
from agentjudge.rewards.base import RewardResult, masked, of_parts, unknown
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict


def answer_of(verdict: Verdict) -> Hashable | None:
    """What a verdict votes for: its label, the side of its preference, its best, or the half that its score is in."""
    if verdict.label is not None:
        return verdict.label
    if verdict.preference is not None:
        return (verdict.preference > 0) - (verdict.preference < 0)
    if verdict.ranking is not None:
        return verdict.ranking[0]
    return None if verdict.score is None else verdict.score >= 0.5


def majority(answers: Sequence[Hashable | None]) -> frozenset[Hashable]:
    """The answers that most give; several where they are tied, none where nobody answers."""
    votes = Counter(answer for answer in answers if answer is not None)
    most = max(votes.values(), default=0)
    return frozenset(answer for answer, count in votes.items() if count == most)


def view_of(trace: Trace) -> str:
    """The id of the case as the judge was given it."""
    return trace.case.id


@dataclass(frozen=True, slots=True)
class CoReward:
    """1 for the answer that the other views elect."""

    view: Callable[[Trace], str] = view_of
    keys: ClassVar = ("agreement",)
    low: ClassVar = 0.0
    high: ClassVar = 1.0

    def at(self, step: int) -> "CoReward":
        """See `Declared`."""
        return self

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`; one judgement alone has no other view, and is masked."""
        return self.score_group([trace], case)[0]

    def score_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `Reward`.

        Args:
            traces: of all views of the case.
            case: needs no gold.
        """
        hidden = [masked(trace) for trace in traces]
        votes = [
            (self.view(trace), answer_of(trace.verdict))
            for trace, gone in zip(traces, hidden, strict=True)
            if gone is None
        ]
        if len({view for view, answer in votes if answer is not None}) < 2:
            lone = unknown("fewer than two views of the case have an answer, so there are no pseudo-labels")
            return [gone or lone for gone in hidden]
        labels = {view: majority([answer for other, answer in votes if other != view]) for view, _ in votes}
        paid = iter(of_parts({"agreement": float(answer in labels[view])}) for view, answer in votes)
        return [gone or next(paid) for gone in hidden]


@dataclass(frozen=True, slots=True)
class MajorityVote:
    """1 for the answer that the group elects."""

    keys: ClassVar = ("agreement",)
    low: ClassVar = 0.0
    high: ClassVar = 1.0

    def at(self, step: int) -> "MajorityVote":
        """See `Declared`."""
        return self

    def score(self, trace: Trace, case: Case) -> RewardResult:
        """See `Reward`; one judgement alone agrees with itself."""
        return self.score_group([trace], case)[0]

    def score_group(self, traces: Sequence[Trace], case: Case) -> list[RewardResult]:
        """See `Reward`; needs no gold."""
        hidden = [masked(trace) for trace in traces]
        answers = [answer_of(trace.verdict) for trace in traces]
        label = majority([answer for answer, gone in zip(answers, hidden, strict=True) if gone is None])
        return [
            gone or of_parts({"agreement": float(answer in label)})
            for answer, gone in zip(answers, hidden, strict=True)
        ]


@register("reward", "co_reward", paper="2508.00410")
def co_reward(view: Callable[[Trace], str] = view_of) -> CoReward:
    """1 for the answer that most judgements of another view of the same case give; needs no gold.

    Args:
        view: tells the views of a case apart, by the id of the blind case by default.
    """
    return CoReward(view)
