"""Another judge's opinion as a term: what it is asked, and what its troubles are."""

import pickle
from functools import partial
from typing import Any

import pytest
from judgements import CLAIM, PAIR, judgement
from rule_judges import Asked

from agentjudge.case import ActionChoice, Case, Claim, Response, Trajectory
from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rewards.judged import Judged, Late, opinion, question_of, thinking_of, thoughts
from agentjudge.rewards.reading import Missing
from agentjudge.rewards.trust_grpo import trust_grpo
from agentjudge.runs.floors import RuleJudge
from agentjudge.trace import Trace
from agentjudge.verdict import Confidence, Failure, Provenance, Verdict

THOUGHT = judgement(
    label="SUPPORT",
    said=({"content": "I search. <answer>SUPPORT</answer>", "reasoning": "Heights are in the corpus."}, '{"label": 1}'),
    rationale="It says 8849 m. <answer>SUPPORT",
)


def test_thoughts_are_what_was_written_before_the_verdict_without_it() -> None:
    assert thoughts(THOUGHT) == "Heights are in the corpus.\n\nI search.\n\nIt says 8849 m."
    told = thinking_of(THOUGHT, CLAIM)
    assert isinstance(told, Response) and told.gold is None and told.prompt == CLAIM.claim


@pytest.mark.parametrize(
    ("case", "question"),
    [
        (CLAIM, CLAIM.claim),
        (PAIR, "What is it?"),
        (ActionChoice(id="a", goal="Buy.", candidates=("x",)), "Buy."),
        (Trajectory(id="t", goal="Sell."), "Sell."),
        (Case(id="bare"), "bare"),
    ],
)
def test_every_case_has_a_question(case: Case, question: str) -> None:
    assert question_of(case) == question


def said(status: Any = "scored", **outcome: Any) -> Verdict:
    return Verdict(case_id="c", status=status, provenance=Provenance(judge="j"), **outcome)


@pytest.mark.parametrize(
    ("verdict", "number"),
    [
        (said(score=0.25), 0.25),
        (said(label="SUPPORT"), 1.0),
        (said(label="failure"), 0.0),
        (said(label="SUPPORT", probabilities={"SUPPORT": 0.6, "REFUTE": 0.4}), 0.6),
        (said(preference=2), None),
    ],
)
def test_a_verdict_as_a_number(verdict: Verdict, number: float | None) -> None:
    assert opinion(verdict) == number


class Says:
    """A judge with one verdict."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    async def arun(self, case: Case) -> Trace:
        return Trace(case.blind(), "j", [], [], [], (), self.verdict)


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (said("failed", failure=Failure(kind="model", message="gone")), "the judge failed (model): gone"),
        (said("abstained"), "the judge abstained"),
        (said(score=0.5, confidence=Confidence(value=0.4, method="stated")), "not sure enough: 0.40, wanted 0.50"),
        (said(score=0.5), "not sure enough: 0.00, wanted 0.50"),
    ],
)
async def test_troubles_of_the_judge_are_missing_readings(verdict: Verdict, why: str) -> None:
    found = await Judged(Says(verdict), surely=0.5).read(THOUGHT, CLAIM)
    assert isinstance(found, Missing) and why in found.why
    assert isinstance(await Judged(Says(said(preference=1))).read(THOUGHT, CLAIM), Missing)


async def test_in_a_group_each_thought_is_asked_about_without_gold() -> None:
    judge = Asked("by length", lambda case: {"score": min(1.0, len(case.response) / 100)})
    group = [THOUGHT, judgement(label="REFUTE", rationale="No."), judgement(failed="model")]
    results = await trust_grpo(Judged(judge)).ascore_group(group, CLAIM)
    assert [case.response for case in judge.asked] == [thoughts(THOUGHT), "No."]
    assert all(case.gold is None for case in judge.asked) and judge.most_open == 2
    assert results[2].score is None and results[0].score is not None and results[0].score > 1


async def test_a_real_judge_of_ours() -> None:
    mark = '{"name": "soundness", "reason": "It follows.", "score": 0.75}'
    verdict = f'{{"criteria": [{mark}], "evidence": [], "reason": "Sound.", "score": 0.75, "confidence": 0.9}}'
    judge = Judge.load("arm-thinker", model=ScriptedModel([verdict] * 3))
    assert await Judged(judge).read(THOUGHT, CLAIM) == 0.75
    await judge.aclose()


def by_rule(case: Case) -> dict[str, Any]:
    return {"score": 0.5}


async def test_a_judge_that_is_made_late_can_be_pickled() -> None:
    term = Judged(Late(partial(RuleJudge, "half", by_rule)))
    assert await term.read(THOUGHT, CLAIM) == 0.5
    assert await pickle.loads(pickle.dumps(term)).read(THOUGHT, Claim(id="x", claim="Y.")) == 0.5
