"""verl's reward loop, advantages and policy loss, with our score function, manager and estimator."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("verl", reason="needs .venv-verl: make test-engines")

import torch
import transformers
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.trainer.ppo import core_algos
from verl.trainer.ppo.ray_trainer import compute_advantage
from verl.workers.config import ActorConfig

from agentjudge.judge import Judge
from agentjudge.rewards.adapters.verl_estimator import ESTIMATOR, grpo

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]

FILE = """
import json
from agentjudge import Judge
from agentjudge.errors import ModelError
from agentjudge.models.scripted import ScriptedModel
from agentjudge.rewards.adapters.verl import make_compute_score

asked = []

def said(request):
    asked.append((request.case.prompt, request.case.response, request.case.reference))
    if len(asked) % 3 == 0:
        raise ModelError("away")
    score = round(sum(request.case.response.encode()) % 101 / 100, 2)
    criteria = [{"name": "length", "reason": "So long.", "score": score}]
    return json.dumps({"criteria": criteria, "reason": "So.", "evidence": [], "score": score})

compute_score = make_compute_score(lambda: Judge.load("compare", model=ScriptedModel(said), seed=0))
"""


def config(model: Path, **custom: Any) -> Any:
    manager = {
        "source": "importlib",
        "name": "JudgeRewardManager",
        "module": {"path": "pkg://agentjudge.rewards.adapters.verl_manager"},
    }
    reward = {"reward_manager": manager, "custom_reward_function": custom, "reward_model": {"enable": False}}
    actor = {"model": {"path": str(model), "tokenizer_path": None}}
    return OmegaConf.create({"actor_rollout_ref": actor, "reward": reward})


@pytest.fixture(scope="module")
def model(tiny: Callable[..., Path]) -> Path:
    return tiny()


@pytest.fixture(scope="module")
def rollouts(model: Path) -> DataProto:
    """Two prompts with six answers each, sampled from the policy."""
    policy = transformers.AutoModelForCausalLM.from_pretrained(model)
    words = transformers.AutoTokenizer.from_pretrained(model)
    chats = [[{"role": "user", "content": f"Say {n}."}] for n in range(2) for _ in range(6)]
    texts = [words.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
    asked = words(texts, return_tensors="pt", padding=True, padding_side="left")
    torch.manual_seed(0)
    whole = policy.generate(**asked, do_sample=True, max_new_tokens=8, min_new_tokens=8)
    width = asked["input_ids"].shape[1]
    attention = torch.cat([asked["attention_mask"], torch.ones(12, 8, dtype=torch.long)], dim=1)
    batch = {
        "prompts": asked["input_ids"],
        "responses": whole[:, width:],
        "input_ids": whole,
        "attention_mask": attention,
        "response_mask": torch.ones(12, 8, dtype=torch.long),
    }
    objects = {
        "raw_prompt": chats,
        "data_source": ["ours"] * 12,
        "reward_model": [{"ground_truth": "It is so."}] * 12,
        "uid": [str(n // 6) for n in range(12)],
    }
    arrays = {}
    for name, values in objects.items():
        arrays[name] = np.empty(12, dtype=object)
        arrays[name][:] = values
    return DataProto(batch=TensorDict(batch, batch_size=12), non_tensor_batch=arrays)


def scored(rollouts: DataProto, settings: Any) -> tuple[DataProto, list[dict[str, Any]]]:
    """The rollouts after verl's own reward loop."""
    worker = RewardLoopWorker(settings)
    outputs = worker.loop.run_until_complete(worker.compute_score_batch(rollouts))
    data = rollouts[:]
    scores = [output["reward_score"] for output in outputs]
    rewards = type(worker.reward_manager).assemble_rm_scores(data, scores)
    data.batch["token_level_scores"] = data.batch["token_level_rewards"] = rewards
    data.batch["response_mask"] = rollouts.batch["response_mask"].clone()
    return data, [output["reward_extra_info"] for output in outputs]


def test_masked_rows_carry_no_gradient(rollouts: DataProto, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(FILE)
    data, infos = scored(rollouts, config(model, path=str(file), name="compute_score"))
    gone = torch.isnan(data.batch["token_level_rewards"].sum(-1))
    assert int(gone.sum()) == 4
    assert [info["judge_missing"] for info in infos] == gone.float().tolist()
    assert {tuple(info) for info in infos} == {("score", "judge_missing")}

    settings = OmegaConf.create({"norm_adv_by_std_in_grpo": True})
    data = compute_advantage(data, adv_estimator=ESTIMATOR, config=settings, num_repeat=6)
    advantages, mask = data.batch["advantages"], data.batch["response_mask"]
    assert not advantages.isnan().any() and (advantages[gone] == 0).all() and (mask[gone] == 0).all()
    assert (advantages[~gone][:, 0] != 0).any() and (mask[~gone] == 1).all()

    policy = transformers.AutoModelForCausalLM.from_pretrained(model)
    ids, width = data.batch["input_ids"], data.batch["prompts"].shape[1]

    def gradient(rows: torch.Tensor) -> float:
        """With a term for KL and one for entropy, which a zero advantage alone would leave."""
        policy.zero_grad()
        logits = policy(input_ids=ids, attention_mask=data.batch["attention_mask"]).logits[:, width - 1 : -1]
        logs = logits.log_softmax(-1)
        taken = logs.gather(-1, data.batch["responses"].unsqueeze(-1)).squeeze(-1)
        only = mask * rows.unsqueeze(-1)
        actor = ActorConfig(strategy="fsdp", rollout_n=6, ppo_micro_batch_size_per_gpu=12)
        loss, _ = core_algos.compute_policy_loss_vanilla(
            taken.detach(), taken, advantages, only, loss_agg_mode="seq-mean-token-sum", config=actor
        )
        entropy = -(logs.exp() * logs).sum(-1)
        kl = core_algos.kl_penalty(taken, taken.detach() - 0.1, "low_var_kl")
        rest = core_algos.agg_loss(kl - entropy, only, loss_agg_mode="seq-mean-token-sum")
        (loss + 0.1 * rest).backward()
        return sum(float(p.grad.abs().sum()) for p in policy.parameters() if p.grad is not None)

    assert gradient((~gone).long()) > 0
    assert gradient(gone.long()) == 0


def test_the_baseline_is_that_of_the_rows_with_a_score(rollouts: DataProto, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(FILE)
    data, infos = scored(rollouts, config(model, path=str(file), name="compute_score"))
    data = compute_advantage(data, adv_estimator=ESTIMATOR, config=OmegaConf.create({}), num_repeat=6)
    for group in range(2):
        rows = range(6 * group, 6 * group + 6)
        known = torch.tensor([infos[n]["score"] for n in rows if not infos[n]["judge_missing"]])
        for n in rows:
            if not infos[n]["judge_missing"]:
                want = (infos[n]["score"] - known.mean()) / (known.std() + 1e-6)
                assert data.batch["advantages"][n, 0] == pytest.approx(float(want), abs=1e-5)


def test_where_nothing_is_missing_it_is_verls_own_grpo() -> None:
    torch.manual_seed(1)
    rewards = torch.zeros(8, 5)
    rewards[:, -1] = torch.rand(8)
    mask, index = torch.ones(8, 5), np.array(list("aabbbbcc"), dtype=object)
    for scaled in (True, False):
        ours = grpo(rewards.clone(), mask.clone(), index, norm_adv_by_std_in_grpo=scaled)[0]
        theirs = core_algos.compute_grpo_outcome_advantage(rewards.clone(), mask, index, norm_adv_by_std_in_grpo=scaled)
        assert torch.allclose(ours, theirs[0], atol=1e-5)


def test_verls_own_estimator_does_not_take_a_masked_row_for_a_zero() -> None:
    rewards = torch.tensor([[1.0], [float("nan")], [0.0]])
    theirs = core_algos.compute_grpo_outcome_advantage(rewards, torch.ones(3, 1), np.array(["a"] * 3, dtype=object))
    assert theirs[0].isnan().all()


def test_a_reward_server_by_its_address(
    rollouts: DataProto, model: Path, judge: Judge, flaky: Any, serve_rewards: Callable[..., str]
) -> None:
    path, given = "pkg://agentjudge.rewards.adapters.verl", {"url": serve_rewards(judge)}
    _, infos = scored(rollouts, config(model, path=path, name="compute_score", reward_kwargs=given))
    assert sum(math.isnan(info["score"]) for info in infos) == len(set(flaky.asked)) // 3
    assert all(math.isnan(info["score"]) == bool(info["judge_missing"]) for info in infos)


def test_the_manager_shows_the_prompt_and_the_reference(rollouts: DataProto, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(FILE + "\nimport builtins\nbuiltins.asked_of_the_judge = asked\n")
    scored(rollouts, config(model, path=str(file), name="compute_score"))
    import builtins

    asked = builtins.asked_of_the_judge  # type: ignore[attr-defined]
    assert {prompt for prompt, *_ in asked} == {"Say 0.", "Say 1."}
    assert {reference for *_, reference in asked} == {"It is so."}


def test_the_guides_examples(
    rollouts: DataProto,
    model: Path,
    judge: Judge,
    serve_rewards: Callable[..., str],
    run_block: Callable[..., dict[str, Any]],
    block: Callable[[str], str],
) -> None:
    url = serve_rewards(judge)
    settings = OmegaConf.merge(
        config(model), OmegaConf.create(block("config: verl").replace("http://127.0.0.1:8010", url))
    )
    data, infos = scored(rollouts, settings)
    assert settings.algorithm.adv_estimator == ESTIMATOR and any(info["judge_missing"] == 0 for info in infos)
    compute_advantage(data, adv_estimator=ESTIMATOR, config=settings.algorithm, num_repeat=6)
    score = run_block("verl", url=url)["compute_score"]
    assert inspect.iscoroutinefunction(score)
