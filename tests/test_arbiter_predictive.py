"""The step judge that predicts first: predictions are made before anything is judged, kept, and cited by nobody."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentjudge.case import ActionChoice
from agentjudge.errors import ConfigError, ParseError
from agentjudge.evidence import EvidenceStore
from agentjudge.graphs.arbiter_predictive import MAX_AFTER, read_predictions
from agentjudge.graphs.web_arbiter import PRINCIPLES
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.profiles import profile_of
from agentjudge.models.scripted import ScriptedModel
from agentjudge.trace import Trace

PAIR = ActionChoice(
    id="p",
    goal="Buy the mug",
    observation="[12] link 'Mug'\n[13] button 'Pay'",
    candidates=("click('12')", "click('13')"),
)


def predicted(*pages: str) -> str:
    return json.dumps({"predictions": [{"action": n, "after": page} for n, page in enumerate(pages, 1)]})


def verdict(evidence: Sequence[str] = ("12",)) -> str:
    criteria = [{"name": name, "weight": 0.2, "reason": "So.", "best": 1} for name in PRINCIPLES]
    said = {"state": "s", "criteria": criteria, "evidence": list(evidence), "reason": "r", "preference": -2}
    return json.dumps({**said, "confidence": 0.5})


def find(query: str) -> dict[str, Any]:
    function = {"name": "find_element", "arguments": json.dumps({"query": query, "step": 0})}
    return {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}


def judged(*said: Any, case: ActionChoice = PAIR) -> tuple[Trace, list[Request]]:
    sent: list[Request] = []

    def say(request: Request) -> Any:
        sent.append(request)
        return said[min(len(sent), len(said)) - 1]

    with Judge.load("web-arbiter-predictive", model=ScriptedModel(say)) as judge:
        return judge.run(case), sent


def test_every_action_is_predicted_before_anything_is_judged() -> None:
    trace, sent = judged(predicted("The mug's page.", "A form to pay."), verdict())
    assert [turn.phase for turn in trace.turns] == ["plan", "act"] and trace.verdict.preference == -2
    assert sent[0].schema is not None and list(sent[0].schema["properties"]) == ["predictions"]
    shown, question = (message["content"] for message in sent[0].messages[1:])
    assert "click('13')" in shown and "say what the page will be like" in question
    assert "evidence of nothing" in str(sent[1].messages[-1])
    own = [criterion for criterion in trace.verdict.criteria if criterion.name.startswith("own prediction")]
    assert [(c.name, c.reason, c.label, c.score) for c in own] == [
        ("own prediction, action 1", "(predicted, not seen) The mug's page.", None, None),
        ("own prediction, action 2", "(predicted, not seen) A form to pay.", None, None),
    ]
    assert [ref.id for ref in trace.verdict.evidence] == ["12"]


@pytest.mark.parametrize("cited", ["own prediction, action 1", "prediction 1", "The mug's page."])
def test_a_prediction_is_no_evidence(cited: str) -> None:
    trace, _ = judged(predicted("The mug's page.", "A form to pay."), verdict([cited]))
    assert trace.verdict.status == "scored" and not trace.verdict.evidence
    assert "was never shown" in json.dumps(trace.messages)


def test_a_prediction_that_is_missing_is_asked_for_once_and_then_failed() -> None:
    trace, sent = judged(predicted("The mug's page."), predicted("The mug's page.", "A form."), verdict())
    assert [request.phase for request in sent] == ["plan", "plan", "act"] and trace.verdict.status == "scored"
    assert trace.verdict.criteria[-1].reason.endswith("A form.")
    failed, _ = judged("It will be fine.")
    assert failed.verdict.failure is not None and failed.verdict.failure.kind == "parse"


def test_the_evidence_is_concluded_from_again() -> None:
    trace, sent = judged(predicted("The mug's page.", "A form."), find("13"), verdict(["step 0:1"]))
    assert [ref.quote for ref in trace.verdict.evidence] == ["[13] button 'Pay'"] and len(sent) == 3
    with Judge.load("web-arbiter-predictive", model=ScriptedModel(lambda _: verdict())) as judge:
        again = judge.wait(judge.aconclude(trace, EvidenceStore))
    assert again.verdict.preference == -2 and again.verdict.criteria == trace.verdict.criteria


def test_the_released_layout_has_no_place_for_predictions() -> None:
    model = ScriptedModel([], profile=profile_of("ZYao720/WebArbiter-7B"))
    with pytest.raises(ConfigError, match="load 'web-arbiter'"):
        Judge.load("web-arbiter-predictive", model=model)


def test_it_is_off_by_default() -> None:
    model = ScriptedModel(lambda request: verdict() if request.phase != "plan" else "")
    with Judge.load("web-arbiter", model=model) as judge:
        trace = judge.run(PAIR)
    assert [turn.phase for turn in trace.turns] == ["act"] and len(trace.verdict.criteria) == len(PRINCIPLES)


@pytest.mark.parametrize(
    "said",
    [
        "{}",
        '{"predictions": {}}',
        '{"predictions": ["x", "y"]}',
        predicted("a"),
        predicted("a", "b", "c"),
        predicted("a", " "),
        '{"predictions": [{"action": 1, "after": "a"}, {"action": 1, "after": "b"}, {"action": 2, "after": "c"}]}',
        '{"predictions": [{"action": true, "after": "a"}, {"action": 2, "after": "b"}]}',
    ],
)
def test_what_is_not_one_prediction_an_action_is_refused(said: str) -> None:
    with pytest.raises(ParseError, match="prediction"):
        read_predictions(said, 2)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_predictions_are_read_in_the_order_of_the_actions(pages, random) -> None:
    found = [{"action": n, "after": page} for n, page in enumerate(pages, 1)]
    random.shuffle(found)
    read = read_predictions(json.dumps({"predictions": found}), len(pages))
    assert read == tuple(" ".join(page.split())[:MAX_AFTER] for page in pages)
