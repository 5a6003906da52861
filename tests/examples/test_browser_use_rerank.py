"""The example of a browser-use agent, with stand-ins for what the framework hands over."""

import asyncio
import base64
import importlib.util
import io
import json
import types
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import BaseModel

from agentjudge.actions import parse_action
from agentjudge.budget import Budget
from agentjudge.errors import ModelError
from agentjudge.graphs.web_arbiter import PRINCIPLES
from agentjudge.judge import Judge
from agentjudge.models.base import Request
from agentjudge.models.profiles import ModelProfile
from agentjudge.models.scripted import ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
PAGE = "Shop\n[9]<a />\n\tBlue mug\n*[12]<a />\n\tPan"
LONG = "http://shop.example/" + "x" * 200


def load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load("browser_use_rerank")


class Click(BaseModel):
    index: int


class Wait(BaseModel):
    seconds: int = 3


class ActionModel(BaseModel):
    click: Click | None = None
    wait: Wait | None = None


class AgentOutput(BaseModel):
    memory: str | None = None
    next_goal: str | None = None
    action: list[ActionModel]


def output(goal: str, *actions: ActionModel) -> AgentOutput:
    return AgentOutput(memory="m", next_goal=goal, action=list(actions))


MUG = output("Open the mug.", ActionModel(click=Click(index=9)))
PAN = output("Open the pan.", ActionModel(click=Click(index=12)))
GHOST = output("Open what is not there.", ActionModel(click=Click(index=77)))
IDLE = output("Wait.", ActionModel(wait=Wait()))


class Agent:
    """What browser-use's agent does where it decides: it asks once, and shortens addresses in the messages."""

    def __init__(self, answers: list[Any]) -> None:
        self.task, self.history = "Open the page of the blue mug.", types.SimpleNamespace(history=[])
        self.answers, self.asked, self.last, self.llm_timeout = iter(answers), [], None, 5.0

    async def _get_next_action(self, page: Any) -> None:
        messages = [{"content": f"{page.url} {LONG}"}]
        self.last = await asyncio.wait_for(self.get_model_output(messages), self.llm_timeout)
        assert LONG in messages[0]["content"]

    async def get_model_output(self, messages: list[dict[str, str]]) -> AgentOutput:
        assert LONG in messages[0]["content"], "somebody else shortened it"
        messages[0]["content"] = "short"
        self.asked.append(messages)
        await asyncio.sleep(0)
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def took(self, answer: AgentOutput, *, url: str, error: str | None = None) -> None:
        result = types.SimpleNamespace(error=error)
        state = types.SimpleNamespace(url=url)
        self.history.history.append(types.SimpleNamespace(model_output=answer, result=[result], state=state))


class SearchingAgent(example.Reranking, Agent):
    pass


def summary(*, url: str = "http://shop", screenshot: str | None = None) -> Any:
    dom = types.SimpleNamespace(llm_representation=lambda: PAGE)
    return types.SimpleNamespace(dom_state=dom, url=url, screenshot=screenshot)


def decide(agent: Agent, say: Any, *, n: int = 5, page: Any = None, profile: ModelProfile | None = None) -> Any:
    model = ScriptedModel(say, profile=profile or ModelProfile())
    with Judge.load("web-arbiter", model=model, budget=Budget(turns=0)) as judge:
        agent.search = example.Search(judge=judge, n=n)
        asyncio.run(agent._get_next_action(page or summary()))
    return agent.search.choices[-1] if agent.search.choices else None


def likes_the_mug(request: Request) -> str:
    worth = [parse_action(action).target == "9" for action in request.case.candidates]
    criteria = [{"name": name, "weight": 0.2, "reason": "So.", "best": "tie"} for name in PRINCIPLES]
    said = {"state": "s", "criteria": criteria, "evidence": ["9"], "reason": "r", "confidence": None}
    return json.dumps({**said, "preference": 2 * (worth[1] - worth[0])})


def test_the_best_of_several_answers_is_taken() -> None:
    agent = SearchingAgent([IDLE, PAN, MUG, GHOST, IDLE])
    found = decide(agent, likes_the_mug)
    assert agent.last is MUG and (found.by, found.calls) == ("judgement", 4) and len(agent.asked) == 5
    assert found.invalid == {3: "there is no element '77' on the page"} and found.order[0] == 2


def test_the_judge_sees_page_history_and_thoughts() -> None:
    seen = []

    def say(request: Request) -> str:
        seen.append(request.case)
        return likes_the_mug(request)

    agent = SearchingAgent([IDLE, MUG])
    agent.took(PAN, url="http://shop/pan", error="not clickable")
    agent.took(None, url="http://shop")  # type: ignore[arg-type]
    decide(agent, say, n=2)
    case = seen[0]
    assert (case.observation, case.url, case.goal) == (PAGE, "http://shop", "Open the page of the blue mug.")
    assert sorted(case.thoughts) == ["Open the mug.", "Wait."]
    first, second = case.history
    assert (first.action, first.thought, first.url) == (
        '[{"click": {"index": 12}}]',
        "Open the pan.",
        "http://shop/pan",
    )
    assert first.error == "not clickable" and second.action == ""


def test_the_screenshot_is_shown_to_models_that_see() -> None:
    out, seen = io.BytesIO(), []
    Image.new("RGB", (40, 30), "white").save(out, "PNG")

    def say(request: Request) -> str:
        seen.append(request)
        return likes_the_mug(request)

    page = summary(screenshot=base64.b64encode(out.getvalue()).decode())
    decide(SearchingAgent([IDLE, MUG]), say, n=2, page=page, profile=ModelProfile(images=True))
    assert [part["type"] for part in seen[0].messages[1]["content"]] == ["text", "image_ref"]


def test_answers_that_fail_are_left_out_and_if_none_is_left_the_error_is_raised() -> None:
    agent = SearchingAgent([ValueError("bad JSON"), MUG, ValueError("bad JSON"), PAN, MUG])
    assert decide(agent, likes_the_mug).calls == 2 and agent.last is MUG
    agent = SearchingAgent([ValueError("bad JSON")] * 5)
    with pytest.raises(ValueError, match="bad JSON"):
        decide(agent, likes_the_mug)


def test_where_the_judge_fails_the_answer_given_most_often_is_taken() -> None:
    def down(request: Request) -> str:
        raise ModelError("gone")

    agent = SearchingAgent([IDLE, PAN, MUG, PAN, IDLE.model_copy(update={"next_goal": "Wait more."})])
    found = decide(agent, down)
    assert found.by == "fallback" and "gone" in found.reason and agent.last in (IDLE, PAN)


def test_several_actions_of_an_answer_stay_together() -> None:
    both = output("Both.", *MUG.action, *PAN.action)
    assert example.written(both) == '[{"click": {"index": 9}}, {"click": {"index": 12}}]'
    agent = SearchingAgent([MUG, both])
    assert decide(agent, likes_the_mug, n=2).calls == 2  # not the same, although both begin alike
