"""OpenRLHF's own executors: ours made on them, and theirs against a reward server."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("openrlhf", reason="needs .venv-openrlhf: make test-engines")

import torch
import transformers
from openrlhf.utils.agent import AgentExecutorBase, SingleTurnAgentExecutor
from openrlhf.utils.loss_utils import get_loss_batch_info

from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rewards.adapters.openrlhf import make_agent_executor, reward_url

pytestmark = pytest.mark.engines

NEUTRAL = 0.5
PARAMS = SimpleNamespace(max_tokens=8, logprobs=None)


class Engine:
    """What OpenRLHF has in front of vLLM, in front of transformers."""

    def __init__(self, folder: Path) -> None:
        self.policy = transformers.AutoModelForCausalLM.from_pretrained(folder)
        self.words = transformers.AutoTokenizer.from_pretrained(folder)

    async def generate(self, ids: list[int], params: Any, multi_modal_data: Any = None) -> Any:
        asked = torch.tensor([ids])
        whole = self.policy.generate(asked, do_sample=True, max_new_tokens=params.max_tokens, pad_token_id=0)
        said = whole[0, len(ids) :].tolist()
        return SimpleNamespace(
            outputs=[SimpleNamespace(token_ids=said, text=self.words.decode(said), finish_reason="stop", logprobs=None)]
        )


@pytest.fixture(scope="module")
def engine(tiny: Callable[..., Path]) -> Engine:
    torch.manual_seed(0)
    return Engine(tiny())


def executor_in(file: Path) -> Any:
    """As OpenRLHF loads `--train.agent_func_path`."""
    spec = importlib.util.spec_from_file_location("agent_module", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert issubclass(module.AgentExecutor, AgentExecutorBase)
    return module.AgentExecutor()


async def rollouts(executor: Any, engine: Engine, *, count: int, label: str = "") -> list[dict[str, Any]]:
    return [await executor.execute(f"Say {n}.", label, PARAMS, 512, engine.words, engine) for n in range(count)]


async def test_masked_rollouts_carry_no_gradient(engine: Engine, judge: Judge, flaky: Any) -> None:
    executor = make_agent_executor(judge, neutral=NEUTRAL)()
    found = await rollouts(executor, engine, count=9)
    gone = [bool(each["extra_logs"]["judge_missing"]) for each in found]
    assert sum(gone) == len(flaky.asked) // 3 == 3
    assert all((each["action_ranges"] == []) == masked for each, masked in zip(found, gone, strict=True))
    assert all(each["reward"] == NEUTRAL for each, masked in zip(found, gone, strict=True) if masked)
    assert len({each["reward"] for each in found}) > 3

    def gradient(rows: list[dict[str, Any]]) -> float:
        engine.policy.zero_grad()
        total = torch.zeros(())
        masks = []
        for row in rows:
            ids = torch.tensor([row["observation_tokens"]])
            mask = torch.zeros_like(ids)
            for start, end in row["action_ranges"]:
                mask[0, start:end] = 1
            logs = engine.policy(ids).logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
            masks.append(mask[0, 1:])
            total = total - ((row["reward"] - 0.3) * logs * mask[:, 1:]).sum()
        info = get_loss_batch_info(None, torch.nn.utils.rnn.pad_sequence(masks, batch_first=True))
        assert info["global_batch_size"] == sum(bool(row["action_ranges"]) for row in rows)
        (total / info["batch_num_tokens"].clamp(min=1)).backward()
        return sum(float(p.grad.abs().sum()) for p in engine.policy.parameters() if p.grad is not None)

    assert gradient([row for row, masked in zip(found, gone, strict=True) if masked]) == 0
    assert gradient(found) > 0


async def test_a_file_makes_the_executor(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "agent.py"
    file.write_text(
        "from functools import partial\n"
        "from agentjudge import Judge\n"
        "from agentjudge.demo import CORPUS\n"
        "from agentjudge.rewards.adapters.openrlhf import make_agent_executor\n"
        "AgentExecutor = make_agent_executor(partial(Judge.load, 'veri-r1', corpus=CORPUS), neutral=0.5)\n"
    )
    (rollout,) = await rollouts(executor_in(file), engine, count=1, label="It is so.")
    assert 0 <= rollout["reward"] <= 1 and rollout["scores"] == rollout["reward"]
    assert rollout["action_ranges"] or rollout["extra_logs"]["judge_missing"]


async def test_the_label_is_the_reference(engine: Engine) -> None:
    seen = []

    def say(request: Any) -> str:
        seen.append((request.case.prompt, request.case.reference))
        criteria = [{"name": "x", "reason": "So.", "score": 1}]
        return json.dumps({"criteria": criteria, "reason": "So.", "evidence": [], "score": 1})

    with Judge.load("compare", model=ScriptedModel(say)) as judge:
        await rollouts(make_agent_executor(judge, neutral=NEUTRAL)(), engine, count=1, label="The answer.")
    assert seen == [("Say 0.", "The answer.")]


async def test_a_reward_server_by_its_address(
    engine: Engine, judge: Judge, flaky: Any, serve_rewards: Callable[..., str]
) -> None:
    executor = SingleTurnAgentExecutor(reward_url(serve_rewards(judge)))
    found = await rollouts(executor, engine, count=4)  # OpenRLHF asks again until it has an answer
    assert all(each["reward"] is not None and each["extra_logs"]["judge_missing"] == [0.0] for each in found)
    assert len(flaky.asked) > 4


async def test_a_judge_that_is_gone_stops_openrlhf_or_counts_as_declared(
    engine: Engine, serve_rewards: Callable[..., str]
) -> None:
    def away(_: Any) -> str:
        from agentjudge.errors import ModelError

        raise ModelError("away", retriable=True)

    with Judge.load("compare", model=ScriptedModel(away)) as judge:
        (declared,) = await rollouts(
            SingleTurnAgentExecutor(reward_url(serve_rewards(judge, neutral=NEUTRAL))), engine, count=1
        )
        (silent,) = await rollouts(SingleTurnAgentExecutor(reward_url(serve_rewards(judge))), engine, count=1)
    assert declared["reward"] == [NEUTRAL] and declared["extra_logs"]["judge_missing"] == [1.0]
    assert silent["reward"] is None


async def test_the_guides_example(
    engine: Engine, judge: Judge, serve_rewards: Callable[..., str], block: Callable[[str], str], tmp_path: Path
) -> None:
    file = tmp_path / "agent.py"
    file.write_text(f"url = {serve_rewards(judge)!r}\n" + block("run: openrlhf"))
    (rollout,) = await rollouts(executor_in(file), engine, count=1)
    assert 0 <= rollout["reward"] <= 1
