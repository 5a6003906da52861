"""Agent Lightning's own gateway, in its own environment; the agent is ours, and so is what it reports."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentjudge.case import Claim, Gold
from agentjudge.demo import CORPUS
from agentjudge.errors import ConfigError, ModelError
from agentjudge.judge import Judge
from agentjudge.rewards.adapters.agent_lightning import post, report
from agentjudge.rewards.adapters.samples import Sample
from agentjudge.rewards.adapters.scoring import Unscored
from agentjudge.rewards.base import of_parts, paid
from agentjudge.rewards.veri_r1 import veri_r1

SERVER = Path(__file__).resolve().parents[2] / ".venv-agent_lightning" / "bin" / "agl-server"
pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(not SERVER.exists(), reason="needs .venv-agent_lightning: make test-engines"),
]

KEY = "secret"
CASE = Claim(
    id="c", claim="Linus Torvalds was born in Helsinki.", gold=Gold(label="SUPPORT", evidence=(("torvalds:0",),))
)
CALL = {
    "content": None,
    "tool_calls": [
        {
            "id": "call_0",
            "type": "function",
            "function": {"name": "retrieve", "arguments": json.dumps({"query": "Where was Linus Torvalds born?"})},
        }
    ],
}
VERDICT = json.dumps({"reason": "It says so.", "evidence": ["torvalds:0"], "label": "SUPPORT", "confidence": 0.9})


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [SERVER, "host=127.0.0.1", f"port={port}", f"key={KEY}", "default_proxy.model_name=policy"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=SERVER.parents[2] / "tests"
    )
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{url}/healthz").raise_for_status()
            break
        except httpx.HTTPError:
            assert process.poll() is None and time.monotonic() < until, "the gateway did not start"
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(20)


@pytest.fixture
def api(gateway: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway, headers={"Authorization": f"Bearer {KEY}"}, timeout=20) as client:
        yield client


@pytest.fixture
def rollout(api: httpx.Client, gateway: str, serve: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A rollout that runs, with the environment that its controller gives an agent."""

    def say(body: dict[str, Any]) -> Any:
        return VERDICT if any(message["role"] == "tool" for message in body["messages"]) else CALL

    api.delete("/api/models")
    api.post("/api/models", json=[{"model": "policy", "endpoint": f"{serve(say).url}/v1"}]).raise_for_status()
    name: str = api.post("/api/rollouts", json=[{"input": {"q": "?"}}]).json()[0]["rollout_id"]
    status = {"state": "running", "last_attempt_id": "0"}
    api.patch(f"/api/rollouts/{name}", json={"status": status}).raise_for_status()
    proxy = f"{gateway}/proxy/rollout/{name}/attempt/0/mode/train/openai/v1"
    monkeypatch.setenv("AGL_KEY", KEY)
    monkeypatch.setenv("AGL_OPENAI_BASE_URL", proxy)
    monkeypatch.setenv("AGL_EVENT_URL", f"{gateway}/api/rollouts/{name}/attempt/0/events")
    return name


def triplets(api: httpx.Client, rollout: str) -> list[dict[str, Any]]:
    """What the trainer fetches of a rollout."""
    found: list[dict[str, Any]] = api.get(f"/api/rollouts/{rollout}/events", params={"format": "triplet"}).json()
    return found


async def act() -> httpx.Response:
    """A turn of the policy through the gateway."""
    async with httpx.AsyncClient() as client:
        return await client.post(
            os.environ["AGL_OPENAI_BASE_URL"] + "/chat/completions",
            json={"messages": [{"role": "user", "content": "When did it open?"}]},
            headers={"Authorization": f"Bearer {KEY}"},
        )


async def test_a_reward_is_posted_where_the_trainer_looks(api: httpx.Client, rollout: str, judge: Judge) -> None:
    await act()
    result = await report(judge, Sample("When did it open?", "In 1932."))
    turn, reward = triplets(api, rollout)
    assert turn["event_type"] == "model_request" and turn["data"]["response_token_ids"]
    assert reward["event_type"] == "reward" and reward["data"]["value"] == result.score


async def test_a_rollout_without_a_score_is_nothing_to_train_on(
    api: httpx.Client, rollout: str, judge: Judge, flaky: Any
) -> None:
    flaky.asked += ["one", "two"]  # the third one fails
    await act()
    assert len(triplets(api, rollout)) == 1
    with pytest.raises(Unscored, match="away"):
        await report(judge, Sample("When did it open?", "In 1932."))
    status = api.get(f"/api/rollouts/{rollout}").json()["rollout"]["status"]
    assert status["state"] == "failed" and "away" in status["error_message"]
    assert triplets(api, rollout) == []  # a reward of 0 would be filled in for turns that are found
    again = {"status": {"state": "failed", "last_attempt_id": "0", "error_message": "exited with code 1"}}
    assert api.patch(f"/api/rollouts/{rollout}", json=again).status_code == 409  # what its controller says afterwards
    assert triplets(api, rollout) == []


async def test_the_judge_is_the_policy(api: httpx.Client, rollout: str) -> None:
    os.environ["OPENAI_API_KEY"] = KEY
    model = f"openai:policy@{os.environ['AGL_OPENAI_BASE_URL']}"
    judge = Judge.load("veri-r1", model=model, corpus=CORPUS, seed=0)
    try:
        trace = await judge.arun(CASE)
        await post((await paid(veri_r1(), [trace], CASE))[0])
    finally:
        await judge.aclose()
        del os.environ["OPENAI_API_KEY"]
    *turns, reward = triplets(api, rollout)
    assert trace.verdict.label == "SUPPORT" and len(turns) == len(trace.turns) == 2
    assert reward["data"]["value"] == 4.0


async def test_a_reward_server_by_its_address(
    api: httpx.Client, rollout: str, judge: Judge, serve_rewards: Callable[..., str]
) -> None:
    await report(serve_rewards(judge), Sample("When did it open?", "In 1932."))
    assert triplets(api, rollout)[-1]["event_type"] == "reward"


async def test_what_cannot_be_posted_is_told(rollout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="401"):
        await post(of_parts({"verdict": 1.0}), key="another")
    with pytest.raises(ConfigError, match="404"):
        await post(of_parts({"verdict": 1.0}), url=os.environ["AGL_EVENT_URL"].replace(rollout, "nobody"))
    monkeypatch.setattr("agentjudge.rewards.adapters.agent_lightning.TRIES", 2)
    with pytest.raises(ModelError, match="cannot be reached"):
        await post(of_parts({"verdict": 1.0}), url="http://127.0.0.1:9/api/rollouts/x/attempt/0/events")
    monkeypatch.delenv("AGL_EVENT_URL")
    with pytest.raises(ConfigError, match="AGL_EVENT_URL"):
        await post(of_parts({"verdict": 1.0}))


async def test_the_guides_example(
    api: httpx.Client,
    rollout: str,
    judge: Judge,
    serve_rewards: Callable[..., str],
    run_block: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made = run_block("agent lightning", url=serve_rewards(judge))
    await made["answers"]()
    await made["judges"]()
    posted = [event["data"]["value"] for event in triplets(api, rollout) if event["event_type"] == "reward"]
    assert len(posted) == 2 and 0 <= posted[0] <= 1 and posted[1] > 1
