"""WebJudge on a real server that understands nothing: each screenshot comes before it alone, and nothing is refused."""

from pathlib import Path
from typing import Any

from PIL import Image

from agentjudge.budget import Budget
from agentjudge.case import Step, Trajectory
from agentjudge.judge import Judge
from agentjudge.models.base import Sampling
from tests.vllm.test_pictures import NAME, PICTURE

COLORS = ("red", "green", "blue")


def test_each_screenshot_is_a_conversation_of_its_own(idefics3: Any, tmp_path: Path) -> None:
    steps = []
    for color in COLORS:
        Image.new("RGB", (64, 48), color).save(tmp_path / f"{color}.png")
        steps.append(Step(screenshot=str(tmp_path / f"{color}.png"), action=f"click('{color}')"))
    case = Trajectory(id="r", goal="Find the blue page.", steps=tuple(steps), checklist=("The page is blue.",))
    refused = idefics3.chats("4xx")
    sampling, budget = Sampling(max_tokens=30, temperature=1.0, seed=0), Budget(turns=9, answer_tokens=30, images=None)
    with Judge.load("webjudge", model=idefics3.spec(NAME), sampling=sampling, budget=budget) as judge:
        trace = judge.run(case)
    assert idefics3.chats("4xx") == refused
    failed = trace.verdict.failure
    assert failed is not None and failed.kind == "parse", "a random model was understood"
    looked = [turn for turn in trace.turns if turn.phase == "act"]
    assert len(looked) == 6 and [turn.messages_in for turn in looked[:3]] == [(0, 1), (0, 2), (0, 3)]
    for turn in looked:
        assert idefics3.text(NAME, turn.prompt_ids).count(PICTURE) == 1
        assert turn.tokens is turn.alternatives is None
    first, again = (turn for turn in trace.turns if turn.phase == "conclude")
    for turn in (first, again):
        prompt = idefics3.text(NAME, turn.prompt_ids)
        assert PICTURE not in prompt and "click('blue')" in prompt
        assert turn.alternatives is not None and all(1 <= len(row) <= 10 for row in turn.alternatives)
    assert again.usage.prompt_tokens > first.usage.prompt_tokens
