"""Reward-guided search in browser-use: the agent's model answers several times, a judge chooses one of the answers.

    pip install agentjudge browser-use
    python examples/browser_use_rerank.py "Find the opening hours of the town library." \
        --policy-model NAME --policy-url http://127.0.0.1:8000/v1 --judge-model vllm:NAME@http://127.0.0.1:8001

`Reranking` goes before `Agent` in the bases of a class; nothing else of the agent changes (browser-use 0.13):

    class SearchingAgent(Reranking, Agent): ...

    agent = SearchingAgent(task=task, llm=ChatOpenAI(model=..., temperature=1.0))
    agent.search = Search(judge=Judge.load("web-arbiter", model="vllm:..."), n=5)
    await agent.run()

It overrides the two methods in which the agent decides: `_get_next_action`, to know the page, and `get_model_output`,
to ask n times. The time for both is the agent's `llm_timeout`, so the budget of the search has to be shorter. What the
judge decides nothing about falls to the answer given most often; `agent.search.choices` tells of each step.
"""

import argparse
import asyncio
import base64
import copy
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentjudge import Budget, Judge, Step
from agentjudge.rerank import AnswerCache, RerankBudget, Reranked, arerank


@dataclass
class Search:
    """How an agent searches."""

    judge: Judge
    n: int = 5
    """Answers a step; the model should sample them, at a temperature above 0."""
    budget: RerankBudget = field(default_factory=lambda: RerankBudget(seconds=30))
    cache: AnswerCache = field(default_factory=AnswerCache)
    choices: list[Reranked] = field(default_factory=list)
    """One a step."""


class Reranking:
    """Mixed into a browser-use agent: several answers of its model, the best of which is taken."""

    search: Search
    _page: Any = None

    async def _get_next_action(self, browser_state_summary: Any) -> None:
        self._page = browser_state_summary
        await super()._get_next_action(browser_state_summary)

    async def get_model_output(self, input_messages: list[Any]) -> Any:
        """The best of `search.n` answers.

        Raises:
            Exception: what the model raised, where no answer came at all.
        """
        ask = super().get_model_output
        # each answer has its own messages: the agent shortens addresses in them, and must find them to put them back
        asked = (ask(copy.deepcopy(input_messages)) for _ in range(self.search.n))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        proposed = [answer for answer in answers if not isinstance(answer, BaseException)]
        if not proposed:
            raise answers[0]
        with tempfile.TemporaryDirectory() as folder:
            found = await arerank(
                judge=self.search.judge,
                goal=self.task,
                observation=self._page.dom_state.llm_representation(),
                url=self._page.url,
                history=list(steps_of(self.history)),
                images=_screenshot(self._page, Path(folder)),
                candidates=[written(answer) for answer in proposed],
                thoughts=[answer.next_goal or answer.memory or "" for answer in proposed],
                budget=self.search.budget,
                cache=self.search.cache,
                fallback="frequent",
                invalid="drop",
            )
        self.search.choices.append(found)
        return proposed[found.best if found.best is not None else 0]  # all are invalid: the browser tells the model why


def written(answer: Any) -> str:
    """The actions of an answer as JSON, as browser-use writes them."""
    return json.dumps([action.model_dump(exclude_none=True, mode="json") for action in answer.action])


def steps_of(history: Any) -> Sequence[Step]:
    """The steps that an agent has taken."""
    steps = []
    for item in history.history:
        said = item.model_output
        errors = [result.error for result in item.result if result.error]
        steps.append(
            Step(
                action=written(said) if said else "",
                thought=(said.next_goal or said.memory or "") if said else "",
                url=item.state.url,
                error="; ".join(errors) or None,
            )
        )
    return steps


def _screenshot(page: Any, folder: Path) -> list[str]:
    if not page.screenshot:
        return []
    path = folder / "page.png"
    path.write_bytes(base64.b64decode(page.screenshot))
    return [str(path)]


async def main(arguments: Sequence[str] | None = None) -> None:
    """Run the agent on a task."""
    parser = argparse.ArgumentParser(description="A browser-use agent whose answers a judge chooses.")
    parser.add_argument("task")
    parser.add_argument("--policy-model", required=True)
    parser.add_argument("--policy-url", required=True)
    parser.add_argument("--judge-model", required=True, help="as of agentjudge, such as vllm:NAME@URL")
    parser.add_argument("-n", type=int, default=5, help="answers a step")
    options = parser.parse_args(arguments)

    from browser_use import Agent, ChatOpenAI

    class SearchingAgent(Reranking, Agent):
        pass

    with Judge.load("web-arbiter", model=options.judge_model, budget=Budget(turns=0, answer_tokens=2048)) as judge:
        llm = ChatOpenAI(model=options.policy_model, base_url=options.policy_url, api_key="none", temperature=1.0)
        agent = SearchingAgent(task=options.task, llm=llm, use_judge=False)
        agent.search = Search(judge=judge, n=options.n)
        history = await agent.run(max_steps=25)
        for number, choice in enumerate(agent.search.choices):
            print(f"{number}: {choice.action}  ({choice.by}, {choice.calls} judgements)")
        print(history.final_result())


if __name__ == "__main__":
    asyncio.run(main())
