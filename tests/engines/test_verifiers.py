"""verifiers' own rollouts, with rewards of ours on their tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verifiers", reason="needs .venv-verifiers: make test-engines")

import httpx
import verifiers.v1 as vf
from verifiers.v1.configs.client import EvalClientConfig
from verifiers.v1.configs.harness import HarnessConfig
from verifiers.v1.harnesses.null import NullHarnessConfig
from verifiers.v1.runtimes import ProgramResult, SubprocessConfig

from agentjudge.judge import Judge
from agentjudge.rewards.adapters.scoring import JudgeScorer, Unscored, as_scorer
from agentjudge.rewards.adapters.verifiers import make_reward, score_of

pytestmark = pytest.mark.engines


class Row(vf.TaskData):
    reference: str = ""


class Post(vf.Harness[HarnessConfig]):
    """A program of one turn, in this process: no package has to be fetched for it."""

    NEEDS_CONTAINER = False
    EXECUTES_CODE = False

    async def launch(
        self, ctx: Any, trace: Any, runtime: Any, endpoint: str, secret: str, *rest: Any, **more: Any
    ) -> Any:
        data = next(each for each in (*rest, *more.values()) if isinstance(each, vf.TaskData))
        body = {"model": ctx.model, "messages": [{"role": "user", "content": data.prompt}]}
        async with httpx.AsyncClient(timeout=30) as client:
            headers = {"Authorization": f"Bearer {secret}"}
            reply = await client.post(f"{endpoint}/chat/completions", json=body, headers=headers)
        return ProgramResult(exit_code=0 if reply.is_success else 1, stdout="", stderr=reply.text)


@pytest.fixture
def agent(serve: Any, monkeypatch: pytest.MonkeyPatch) -> vf.Agent:
    """A policy that answers with the question, behind verifiers' own interception."""
    policy = serve(lambda body: f"You said: {body['messages'][-1]['content']}")
    monkeypatch.setenv("POLICY_KEY", "none")
    made = vf.Agent(
        vf.AgentConfig(
            model="policy",
            harness=NullHarnessConfig(id="null"),
            runtime=SubprocessConfig(),
            client=EvalClientConfig(base_url=f"{policy.url}/v1", api_key_var="POLICY_KEY"),
        )
    )
    made.harness = Post(made.harness.config)
    return made


async def test_a_rollout_that_the_judge_failed_on_has_an_error_and_no_reward(
    agent: vf.Agent, judge: Judge, flaky: Any
) -> None:
    class Question(vf.Task[Row]):
        judged = make_reward(judge, weight=0.5)

    traces = [await agent.run(Question(Row(idx=n, prompt=f"Question {n}."))) for n in range(6)]
    assert len(flaky.asked) == 6 and flaky.asked[0] == "You said: Question 0."
    for number, trace in enumerate(traces):
        if number % 3 == 2:
            assert trace.last_error is not None and trace.last_error.type == "TaskError"
            assert "Unscored" in trace.last_error.message and "away" in trace.last_error.message
            assert trace.rewards["judged"] is None and trace.has_error
        else:
            assert trace.last_error is None and 0 < trace.rewards["judged"].score <= 1
            assert trace.reward == pytest.approx(trace.rewards["judged"].score / 2)


async def test_a_function_that_a_config_names(agent: vf.Agent, tmp_path: Path) -> None:
    file = tmp_path / "judged.py"
    file.write_text(
        "from functools import partial\n"
        "from agentjudge import Judge\n"
        "from agentjudge.demo import CORPUS\n"
        "from agentjudge.rewards.adapters.scoring import JudgeScorer\n"
        "from agentjudge.rewards.adapters.verifiers import score_of\n"
        "scorer = JudgeScorer(partial(Judge.load, 'veri-r1', corpus=CORPUS))\n"
        "async def judged(task, trace):\n"
        "    return await score_of(scorer, task, trace)\n"
    )
    given = vf.TaskConfig(rewards={"grounded": {"fn": f"{file}:judged", "weight": 2.0}})

    class Question(vf.Task[Row]):
        pass

    trace = await agent.run(Question(Row(prompt="Linus Torvalds was born in Helsinki."), given))
    assert trace.last_error is None and trace.rewards["grounded"].weight == 2.0
    assert 0 <= trace.rewards["grounded"].score <= 1


async def test_the_fields_of_a_task_are_columns(judge: Judge, flaky: Any, serve_rewards: Callable[..., str]) -> None:
    class Trace:
        last_reply = "In 1932."

    for source in (judge, serve_rewards(judge)):
        assert 0 < await score_of(as_scorer(source), Row(prompt="When?", reference="1932."), Trace()) <= 1
    with pytest.raises(Unscored, match="away"):
        await score_of(JudgeScorer(judge), Row(prompt="When?"), Trace())


async def test_the_guides_example(
    agent: vf.Agent, judge: Judge, serve_rewards: Callable[..., str], run_block: Callable[..., dict[str, Any]]
) -> None:
    made = run_block("verifiers", url=serve_rewards(judge))
    trace = await agent.run(made["Question"](made["Row"](prompt="When?", reference="In 1932.")))
    assert trace.last_error is None and trace.rewards["judged"].weight == 0.5
