"""The routes of the reward server: what each takes, what it answers, and that no score is never a number."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from reward_judges import ByNumber, answer, claim_script, served

from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel
from agentjudge.registry import Component
from agentjudge.rewards.base import RewardResult
from agentjudge.rewards.composite import Composite, Part
from agentjudge.rewards.reading import Fixed
from agentjudge.rewards.schedules import Ramp
from agentjudge.serving import rewards_jobs
from agentjudge.serving.rewards import Limits
from agentjudge.verdict import Verdict

ENTRY = {*RewardResult.model_fields, "id", "verdict", "judge", "cached", "coalesced", "seconds"}


@pytest.fixture
def say() -> ByNumber:
    return ByNumber()


@pytest.fixture
def client(say: ByNumber) -> Iterator[TestClient]:
    with TestClient(served(say)) as client:
        yield client


def rewards(client: TestClient, *cases: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    reply = client.post("/v1/rewards", json={"cases": list(cases), **more})
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["results"]
    return found


def trajectory(*, script: Any) -> Judge:
    return Judge.load("trajectory", model=ScriptedModel(script))


def outcome(label: str | None) -> str:
    aspect = {"reason": "Seen.", "label": "no"}
    points = [{"point": "It is bought.", "reason": "Seen.", "met": "yes" if label == "success" else "no"}]
    found = {"points": points, "side_effect": aspect, "looping": aspect, "evidence": ["step 0:0"], "reason": "Seen."}
    found["optimality"] = {"reason": "Seen.", "label": "suboptimal"}
    return json.dumps({**found, "label": label, "confidence": 0.9})


def a_run(goal: str = "Buy it", *, done: str = "Done.", **more: Any) -> dict[str, Any]:
    steps = [{"observation": "A shop.", "action": "click('1')"}]
    return {
        "kind": "trajectory",
        "goal": goal,
        "steps": steps,
        "final_answer": done,
        "checklist": ["It is bought."],
        **more,
    }


# /v1/rewards


def test_a_case_gets_its_verdict_as_a_reward(client: TestClient) -> None:
    first, second = rewards(client, answer("good #0.8", id="a"), answer("bad #0.25"))
    assert set(first) == ENTRY
    assert (first["id"], first["score"], first["components"], first["error"]) == ("a", 0.8, {"verdict": 0.8}, "")
    assert (second["id"], second["score"]) == ("1", 0.25)
    verdict = Verdict.model_validate(first["verdict"])
    assert (verdict.case_id, verdict.status, verdict.score) == ("a", "scored", 0.8)
    assert verdict.criteria[0].name == "right" and verdict.rationale == "So it is."
    assert first["judge"].startswith("compare@") and first["cached"] is False and first["seconds"] >= 0
    RewardResult.model_validate({name: first[name] for name in RewardResult.model_fields})


@pytest.mark.parametrize(
    ("label", "worth"), [("success", 1.0), ("failure", 0.0), ("blocked", 0.0), ("impossible", 0.0), (None, None)]
)
def test_a_run_of_an_agent_is_worth_its_label(label: str | None, worth: float | None) -> None:
    with TestClient(served(judge=trajectory(script=[outcome(label)]))) as client:
        (found,) = rewards(client, a_run())
    assert found["score"] == worth and found["verdict"]["status"] == ("abstained" if label is None else "scored")
    assert bool(found["error"]) == (label is None)


def test_a_claim_is_worth_its_label() -> None:
    for label, worth in (("SUPPORT", 1.0), ("REFUTE", 0.0), ("NOT ENOUGH INFO", 0.0)):
        judge = Judge.load("veri-r1", model=ScriptedModel(claim_script(label)))
        with TestClient(served(judge=judge)) as client:
            (found,) = rewards(client, {"claim": "It opened in 1932."})
        assert (found["score"], found["verdict"]["label"]) == (worth, label)


def test_failures_have_no_score_and_say_why(client: TestClient) -> None:
    found = rewards(client, answer("x #gone"), answer("x #broken"), answer("x #garbled"), answer("x #0.0"))
    assert [one["score"] for one in found] == [None, None, None, 0.0]
    assert [one["verdict"]["status"] for one in found] == ["failed", "failed", "failed", "scored"]
    assert [one["error"].partition(":")[0] for one in found] == ["model", "model", "parse", ""]
    assert "the server is gone" in found[0]["error"] and found[0]["components"] == {}


def test_an_abstention_is_worth_what_was_declared() -> None:
    for declared, worth in ((None, None), (0.5, 0.5), (0.0, 0.0)):
        with TestClient(served(judge=trajectory(script=[outcome(None)]), abstained=declared)) as client:
            (found,) = rewards(client, a_run())
        assert found["score"] == worth and found["verdict"]["status"] == "abstained"


def test_gold_is_not_shown_to_the_judge(client: TestClient, say: ByNumber) -> None:
    case = answer("good #0.8", gold={"score": 0.123456}, metadata={"note": "a secret"})
    assert rewards(client, case)[0]["score"] == 0.8
    (seen,) = say.seen
    assert seen.case.gold is None and seen.case.metadata == {}
    assert "0.123456" not in str(seen.messages) and "secret" not in str(seen.messages)


def test_a_registered_reward_pays_the_trace_by_the_gold() -> None:
    judge = Judge.load("veri-r1", model=ScriptedModel(claim_script("SUPPORT")))
    cases = [{"claim": "It opened.", "gold": {"label": label}} for label in ("SUPPORT", "REFUTE")]
    with TestClient(served(judge=judge)) as client:
        right, wrong = rewards(client, *cases, reward="veri_r1")
        (without,) = rewards(client, {"claim": "It opened."}, reward="veri_r1")
    assert right["score"] > wrong["score"] and set(right["components"]) == {"label", "evidence", "format"}
    assert sum(right["components"].values()) == pytest.approx(right["score"])
    assert (
        without["score"] is None and without["error"].startswith("data:") and without["verdict"]["label"] == "SUPPORT"
    )


def test_a_registered_reward_pays_a_group_of_one_case() -> None:
    judge = Judge.load("veri-r1", model=ScriptedModel(claim_script("SUPPORT")))
    case = {"claim": "It opened.", "gold": {"label": "SUPPORT"}}
    with TestClient(served(judge=judge, reward="veri_r1")) as client:
        reply = client.post("/v1/rewards", json={"groups": [[case, {**case, "id": "again"}, case]]})
        other = client.post("/v1/rewards", json={"groups": [[case, {**case, "claim": "It fell."}]]})
    (group,) = reply.json()["results"]
    assert [one["id"] for one in group] == ["0", "again", "2"] and len({one["score"] for one in group}) == 1
    assert other.status_code == 422 and "the same but for their ids" in other.json()["detail"]


def test_the_step_reaches_the_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    fading = Composite((Part("answer", Fixed(1.0), schedule=Ramp(empty=10, full=0)),))
    monkeypatch.setattr(rewards_jobs, "lookup", lambda kind, name: Component("reward", name, lambda: fading, None, ""))
    with TestClient(served()) as client:
        scores = [
            rewards(client, answer("a"), reward="fading", **step)[0]["score"]
            for step in ({}, {"step": 0}, {"step": 5}, {"step": 10})
        ]
        assert scores == [1.0, 1.0, 0.5, 0.0]
        assert client.post("/v1/rewards", json={"cases": [answer("a")], "step": -1}).status_code == 422


def test_answers_to_one_prompt_are_judged_beside_each_other_in_both_orders(client: TestClient, say: ByNumber) -> None:
    groups = [[answer("a #0.9"), answer("b #0.1")], [answer("a #0.2"), answer("b #0.9"), answer("c #0.5")]]
    pair, three = client.post("/v1/rewards", json={"groups": groups}).json()["results"]
    assert [one["score"] for one in pair] == [1.0, 0.0]
    assert [one["score"] for one in three] == [0.0, 1.0, 0.5]
    assert sorted(say.asked.values()) == [1, 1, 1, 1] and "b #0.1 | a #0.9" in say.asked
    assert pair[0]["verdict"]["preference"] == -3 and three[0]["verdict"]["ranking"] == [1, 2, 0]
    assert pair[0]["verdict"]["rationale"] == "So it is."


def test_a_judge_that_prefers_a_place_decides_nothing() -> None:
    with TestClient(served(ByNumber(bias=5.0))) as client:
        (pair,) = client.post("/v1/rewards", json={"groups": [[answer("a #0.9"), answer("b #0.1")]]}).json()["results"]
    assert [one["score"] for one in pair] == [0.5, 0.5]


@pytest.mark.parametrize(("policy", "judgements"), [("once", 1), ("listwise", 2), ("pairs", 6), ("scores", 3)])
def test_policies(client: TestClient, say: ByNumber, policy: str, judgements: int) -> None:
    group = [answer("a #0.2"), answer("b #0.9"), answer("c #0.5")]
    reply = client.post("/v1/rewards", json={"groups": [group], "policy": policy})
    scores = [one["score"] for one in reply.json()["results"][0]]
    assert scores == ([0.2, 0.9, 0.5] if policy == "scores" else [0.0, 1.0, 0.5])
    assert sum(say.asked.values()) == judgements


def test_equal_answers_are_judged_once_and_worth_the_same(client: TestClient, say: ByNumber) -> None:
    group = [answer("a #0.2"), answer("b #0.9"), answer("a #0.2"), answer("c #0.5")]
    (found,) = client.post("/v1/rewards", json={"groups": [group]}).json()["results"]
    assert [one["score"] for one in found] == pytest.approx([1 / 6, 1.0, 1 / 6, 2 / 3])
    assert all(asked.count("a #0.2") == 1 for asked in say.asked)
    (same,) = client.post("/v1/rewards", json={"groups": [[answer("a"), answer("a"), answer("a")]]}).json()["results"]
    assert [one["score"] for one in same] == [0.5, 0.5, 0.5]
    (alone,) = client.post("/v1/rewards", json={"groups": [[answer("d #0.3")]]}).json()["results"]
    assert [one["score"] for one in alone] == [0.3]


def test_what_cannot_be_judged_together_is_judged_one_by_one(client: TestClient) -> None:
    group = [answer("a #0.2", reference="a"), answer("b #0.9", reference="a")]
    (found,) = client.post("/v1/rewards", json={"groups": [group]}).json()["results"]
    assert [one["score"] for one in found] == [0.2, 0.9]
    refused = client.post("/v1/rewards", json={"groups": [group], "policy": "listwise"})
    assert refused.status_code == 422 and "with a reference are judged one by one" in refused.json()["detail"]


def test_a_group_that_fails_has_no_scores() -> None:
    async def say(request: Any) -> str:
        return "I like both."

    with TestClient(served(say)) as client:
        (pair,) = client.post("/v1/rewards", json={"groups": [[answer("a"), answer("b")]]}).json()["results"]
    assert [one["score"] for one in pair] == [None, None] and all(one["error"].startswith("parse") for one in pair)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "either 'cases' or 'groups'"),
        ({"cases": [], "groups": []}, "either 'cases' or 'groups'"),
        ({"cases": []}, "cases: expected a list with something in it"),
        ({"cases": [answer("x")], "rewards": "x"}, "unknown field 'rewards'"),
        ({"cases": [{"prompt": "Which?"}]}, "cases[0]: no kind"),
        ({"cases": [answer("x"), {"kind": "response", "prompt": "", "response": "x"}]}, "cases[1]: prompt"),
        ({"cases": [{"claim": "It is."}]}, "takes a Comparison or Response, not a Claim"),
        ({"cases": [answer("x")], "reward": "no_such"}, "unknown reward 'no_such'"),
        ({"cases": [answer("x")], "reward": "likelihood"}, "made of parts that have no name here"),
        ({"cases": [answer("x")], "reward": 3}, "reward: expected a name"),
        ({"cases": [answer("x")], "policy": "once"}, "a policy is for groups"),
        ({"groups": [[answer("x"), answer("y")]], "policy": "most"}, "unknown policy 'most'"),
        ({"groups": [[answer("x"), answer("y", prompt="Who?")]], "policy": "once"}, "differ in 'prompt'"),
        ({"groups": [[answer("x")] * 65]}, "a group has 1 to 64 cases"),
        ({"cases": [answer("x")] * 1_025}, "more than the 1024"),
        ({"cases": [answer("x")], "deadline": -1}, "deadline: expected seconds"),
        ([answer("x")], "the body must be a JSON object"),
    ],
)
def test_a_wrong_body_is_refused_by_the_fields_name(client: TestClient, body: Any, told: str) -> None:
    reply = client.post("/v1/rewards", json=body)
    assert reply.status_code == 422 and told in reply.json()["detail"]
    assert len(reply.content) < 600


@pytest.mark.parametrize("body", [b"{", b'"\xff"', b"[" * 100_000, b"", b'{"cases": [{"response": "half: \\ud800"}]}'])
def test_a_body_that_is_no_json_is_refused(client: TestClient, body: bytes) -> None:
    assert client.post("/v1/rewards", content=body).status_code == 400


def test_a_body_over_the_limit_is_refused() -> None:
    with TestClient(served(limits=Limits(max_body=1_000))) as client:
        assert client.post("/v1/rewards", json={"cases": [answer("x" * 2_000)]}).status_code == 413
        assert rewards(client, answer("x #0.7"))[0]["score"] == 0.7


# /v1/rank


def test_answers_are_ranked(client: TestClient) -> None:
    body = {"prompt": "Which?", "responses": ["a #0.2", "b #0.9", "c #0.5"], "criteria": ["right"]}
    found = client.post("/v1/rank", json=body).json()
    assert found["scores"] == [0.0, 1.0, 0.5] and found["ranking"] == [1, 2, 0] and found["together"] is True
    assert found["explanations"] == ["So it is."] * 3 and found["errors"] == ["", "", ""]
    assert found["verdicts"][0]["ranking"] == [1, 2, 0] and found["ids"] == ["0", "1", "2"]


def test_runs_are_ranked_each_by_its_own_verdict() -> None:
    async def say(request: Any) -> str:
        return outcome("success" if "bought" in request.case.final_answer else "failure")

    with TestClient(served(judge=trajectory(script=say))) as client:
        found = client.post("/v1/rank", json={"cases": [a_run(done="Gave up."), a_run(done="I bought it.")]}).json()
    assert found["scores"] == [0.0, 1.0] and found["ranking"] == [1, 0] and found["together"] is False
    assert found["explanations"] == ["Seen.", "Seen."] and len(found["verdicts"]) == 2


def test_conversations_are_answers_to_what_they_share(client: TestClient, say: ByNumber) -> None:
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "When?"}
    ends: list[list[dict[str, Any]]] = [
        [{"role": "assistant", "content": "In 1932. #0.9"}],
        [
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "look"}}]},
            {"role": "tool", "content": "1932"},
            {"role": "assistant", "content": "Never. #0.1"},
        ],
    ]
    found = client.post("/v1/rank", json={"messages": [[system, user, *end] for end in ends]}).json()
    assert found["scores"] == [1.0, 0.0]
    case = say.seen[0].case
    assert "Be brief." in case.prompt and "When?" in case.prompt  # type: ignore[attr-defined]
    assert any("In 1932. #0.9" == text for text in case.responses)  # type: ignore[attr-defined]
    assert any('"name":"look"' in text and "Never" in text for text in case.responses)  # type: ignore[attr-defined]


def test_a_missing_score_leaves_no_ranking(client: TestClient) -> None:
    body = {"cases": [answer("a #0.2"), answer("b #broken")], "policy": "scores"}
    found = client.post("/v1/rank", json=body).json()
    assert found["scores"] == [0.2, None] and found["ranking"] is None
    assert found["errors"][0] == "" and found["errors"][1].startswith("model")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"prompt": "Which?"}, "one of 'responses', 'cases' and 'messages'"),
        ({"prompt": "Which?", "responses": ["a"]}, "responses"),
        ({"prompt": "Which?", "cases": [answer("x")]}, "'prompt' goes with 'responses'"),
        ({"messages": [[{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]]}, "do not begin with"),
        ({"messages": ["a"]}, "messages[0]: expected a list of messages"),
    ],
)
def test_a_wrong_body_of_rank_is_refused(client: TestClient, body: Any, told: str) -> None:
    reply = client.post("/v1/rank", json=body)
    assert reply.status_code == 422 and told in reply.json()["detail"]


# health, metrics, the log


def test_health_tells_who_judges(client: TestClient) -> None:
    found = client.get("/health").json()
    assert found["status"] == "ok" and found["judge"].startswith("compare@") and found["reward"] == "verdict_value"
    assert found["takes"] == ["Comparison", "Response"]
    assert found["breaker"] == "closed" and found["in_flight"] == 0


def test_other_paths_and_methods_are_none_of_it(client: TestClient) -> None:
    assert [client.get(path).status_code for path in ("/v1/rewards", "/", "/docs", "/openapi.json")] == [404] * 4
    assert client.post("/v1/reward", json={}).status_code == 404 and client.post("/health").status_code == 405


def test_metrics_count_what_happened(client: TestClient) -> None:
    rewards(client, answer("a #0.2"), answer("b #broken"))
    rewards(client, answer("a #0.2", id="other"))
    client.post("/v1/rewards", json={})
    text = client.get("/metrics").text
    for line in (
        'agentjudge_requests_total{code="200",route="/v1/rewards"} 2.0',
        'agentjudge_requests_total{code="422",route="/v1/rewards"} 1.0',
        'agentjudge_verdicts_total{status="scored"} 2.0',
        'agentjudge_verdicts_total{status="failed"} 1.0',
        "agentjudge_unscored_total 1.0",
        'agentjudge_judge_errors_total{kind="model"} 1.0',
        "agentjudge_cache_hits_total 1.0",
        "agentjudge_cache_misses_total 2.0",
        "agentjudge_requests_in_flight 0.0",
        "agentjudge_judgements_running 0.0",
        "agentjudge_judgements_queued 0.0",
        "agentjudge_breaker_state 0.0",
        'agentjudge_request_seconds_count{route="/v1/rewards"} 3.0',
        "agentjudge_judgement_seconds_count 2.0",
    ):
        assert line in text.splitlines(), line


def test_the_log_has_numbers_and_nothing_of_the_cases() -> None:
    lines: list[dict[str, Any]] = []
    secret = "the-secret-of-the-bridge"
    with TestClient(served(log=lines.append)) as client:
        rewards(client, answer(f"{secret} #0.7", id=secret, prompt=secret), answer(f"{secret} #broken"))
        client.post("/v1/rewards", json={"cases": [{"kind": secret}]})
        client.post("/get_reward", json={"query": [f"{secret} #gone"], "prompts": [secret], "labels": [secret]})
    assert [line["code"] for line in lines] == [200, 422, 503] and secret not in json.dumps(lines)
    assert {name: lines[0][name] for name in ("route", "scored", "failed", "no_score", "cached")} == {
        "route": "/v1/rewards",
        "scored": 1,
        "failed": 1,
        "no_score": 1,
        "cached": 0,
    }
