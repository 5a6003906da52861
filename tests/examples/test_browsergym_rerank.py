"""The example of a BrowserGym agent, on a small shop in the place of the browser; its main part on servers."""

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from servers import ChatServer

from agentjudge.actions import parse_action
from agentjudge.budget import Budget
from agentjudge.errors import ModelError
from agentjudge.graphs.web_arbiter import PRINCIPLES
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.scripted import ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
LIST = "RootWebArea 'Shop'\n\t[5] link 'Blue mug'\n\t[6] link 'Pan'"
MUG = "RootWebArea 'Blue mug'\n\t[7] button 'Add to cart'"


def load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load("browsergym_rerank")


class Shop:
    """What an environment of BrowserGym tells of a shop: the mug's page is behind link 5; pans cannot be opened."""

    def __init__(self) -> None:
        self.page, self.error, self.said = LIST, "", ""

    def obs(self) -> dict[str, Any]:
        shown = {"goal": "Put the blue mug into the cart.", "url": "http://shop", "axtree_txt": self.page}
        return {**shown, "last_action_error": self.error}

    def step(self, action: str) -> None:
        done = parse_action(action)
        self.error = "no such page" if done.target == "6" else ""
        if done.target == "5":
            self.page = MUG
        if done.kind == "answer":
            self.said = done.text


def propose(obs: dict[str, Any], n: int) -> list[Any]:
    said = ["noop()", "click('6')", "click('5')", 'click("6")', "click('99')"]
    if "Add to cart" in obs["axtree_txt"]:
        said = ["click('7')", "send_msg_to_user('It is there.')", "go_back()", "noop()", "Let me think."]
    return [example.Proposal(action, f"because {action}") for action in said[:n]]


def by_sense(request: Request) -> str:
    """Likes the mug, then the answer; needs the page for it."""

    def worth(action: str) -> int:
        done = parse_action(action)
        return 9 if done.kind == "answer" else 5 * (f"[{done.target}] link 'Blue mug'" in request.case.observation)

    first, second = map(worth, request.case.candidates)
    criteria = [{"name": name, "weight": 0.2, "reason": "So.", "best": "tie"} for name in PRINCIPLES]
    said = {"state": "s", "criteria": criteria, "evidence": [], "reason": "r", "confidence": None}
    return json.dumps({**said, "preference": 2 * ((second > first) - (second < first))})


def test_an_agent_takes_the_best_of_its_proposals_and_tells_how() -> None:
    shop, seen = Shop(), []

    def say(request: Request) -> str:
        seen.append(request.case)
        return by_sense(request)

    with Judge.load("web-arbiter", model=ScriptedModel(say), budget=Budget(turns=0)) as judge:
        agent = example.RerankingAgent(propose=propose, judge=judge)
        action, info = agent.get_action(shop.obs())
        assert action == "click('5')" and info["think"] == "because click('5')"
        assert info["stats"]["judge_calls"] == 4 and info["extra_info"]["by"] == "judgement"
        assert info["extra_info"]["invalid"] == {"4": "there is no element '99' on the page"}
        assert json.dumps(info)
        shop.step(action)
        action, info = agent.get_action(shop.obs())
        assert action == "send_msg_to_user('It is there.')" and info["extra_info"]["invalid"] == {"4": "not an action"}
        shop.step(action)
    assert shop.said == "It is there."
    assert [(step.action, step.observation, step.error) for step in agent.history][0] == ("click('5')", LIST, None)
    assert seen[-1].history[0].action == "click('5')" and seen[-1].observation == MUG and seen[-1].url == "http://shop"


def test_the_error_of_an_action_comes_to_the_judge_one_step_later() -> None:
    shop, seen = Shop(), []

    def say(request: Request) -> str:
        seen.append(request.case)
        return by_sense(request)

    with Judge.load("web-arbiter", model=ScriptedModel(say), budget=Budget(turns=0)) as judge:
        agent = example.RerankingAgent(propose=lambda obs, n: [example.Proposal("click('6')")], judge=judge)
        shop.step(agent.get_action(shop.obs())[0])
        agent.propose = propose
        agent.get_action(shop.obs())
    assert not seen[0].candidates == ("click('6')",) and seen[0].history[0].error == "no such page"


def test_where_the_judge_fails_the_action_proposed_most_often_is_taken() -> None:
    def down(request: Request) -> str:
        raise ModelError("the server is gone")

    with Judge.load("web-arbiter", model=ScriptedModel(down)) as judge:
        agent = example.RerankingAgent(propose=propose, judge=judge)
        action, info = agent.get_action(Shop().obs())
        assert action == "click('6')" and info["extra_info"]["by"] == "fallback"
        assert "the server is gone" in info["extra_info"]["reason"]
        with pytest.raises(ValueError, match="proposes nothing"):
            example.RerankingAgent(propose=lambda obs, n: [], judge=judge).get_action(Shop().obs())


@pytest.mark.parametrize(
    ("said", "proposal"),
    [
        ("The mug is there.\nOpen it.\n\nclick('5')\n", ("click('5')", "The mug is there. Open it.")),
        ("Go.\n```\nclick('5')\n```", ("click('5')", "Go.")),
        ("click('5')", ("click('5')", "")),
        ("", ("noop()", "")),
    ],
)
def test_what_a_policy_says_is_read(said: str, proposal: tuple[str, str]) -> None:
    assert example.read_proposal(said) == proposal


def test_the_whole_program_runs_on_servers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Policy and judge are servers; the browser's own packages are stood in for."""
    shop = Shop()

    class Env:
        def reset(self) -> tuple[dict[str, Any], dict[str, Any]]:
            return {**shop.obs(), "axtree_object": shop.page}, {}

        def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
            shop.step(action)
            return {**shop.obs(), "axtree_object": shop.page}, 0.0, False, False, {}

        def close(self) -> None:
            shop.page = ""

    made: list[Any] = []
    gymnasium = types.SimpleNamespace(make=lambda name, **options: made.append((name, options)) or Env())
    utils = types.SimpleNamespace(flatten_axtree_to_str=lambda tree: tree)
    for name, module in {
        "gymnasium": gymnasium,
        "browsergym": types.ModuleType("browsergym"),
        "browsergym.core": types.ModuleType("browsergym.core"),
        "browsergym.utils": types.ModuleType("browsergym.utils"),
        "browsergym.utils.obs": utils,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)

    def policy(body: dict[str, Any]) -> str:
        asked = body["messages"][0]["content"]
        return "Done.\nsend_msg_to_user('It is there.')" if "Add to cart" in asked else "Open it.\nclick('5')"

    with ChatServer(policy) as said, ChatServer() as judging:
        example.main(
            [
                *("http://shop", "Put the blue mug into the cart.", "--policy-model", "p", "--policy-url"),
                *(f"{said.url}/v1", "--judge-model", f"vllm:j@{judging.url}"),
            ]
        )
    assert made[0][0] == "browsergym/openended" and made[0][1]["task_kwargs"]["start_url"] == "http://shop"
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "0: click('5')  (only, 0 judgements)"
    assert printed[1].startswith("1: send_msg_to_user('It is there.')") and shop.said == "It is there."
