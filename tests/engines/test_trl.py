"""TRL's own trainer, with our reward functions and environment, on a tiny random policy."""

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="needs .venv-trl: make test-engines")

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import get_callable_name, is_async_callable

from agentjudge.demo import CORPUS
from agentjudge.judge import Judge
from agentjudge.rewards.adapters.scoring import JudgeScorer
from agentjudge.rewards.adapters.trl import make_reward_func

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")]

QUESTIONS = Dataset.from_list([{"prompt": [{"role": "user", "content": f"Say {n}."}], "id": str(n)} for n in range(9)])


def config(folder: Path, **options: Any) -> GRPOConfig:
    given = {"per_device_train_batch_size": 12, "num_generations": 6, "max_completion_length": 8, "max_steps": 1}
    given |= {"learning_rate": 1e-2, "logging_steps": 1, "temperature": 1.5}
    return GRPOConfig(output_dir=str(folder), report_to=[], use_cpu=True, bf16=False, **given | options)


class Watched(GRPOTrainer):
    """Keeps the batches that it learns from."""

    def training_step(self, model: Any, inputs: Any, *rest: Any) -> Any:
        loss = super().training_step(model, inputs, *rest)
        self.learned = self._prepared
        return loss

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        self._prepared = inputs
        return super().compute_loss(model, inputs, *rest, **options)


def trainer(model: Path, reward: Any, folder: Path, rows: Any = QUESTIONS, **options: Any) -> Watched:
    settings = {key: options.pop(key) for key in list(options) if key in GRPOConfig.__dataclass_fields__}
    return Watched(str(model), reward_funcs=reward, train_dataset=rows, args=config(folder, **settings), **options)


def test_samples_without_a_score_carry_no_gradient(
    tiny: Callable[..., Path], judge: Judge, flaky: Any, tmp_path: Path
) -> None:
    made = trainer(tiny(), make_reward_func(judge), tmp_path)
    made.train()
    rewards = list(made._logs["rewards"]["judge_reward"])
    missing = [value != value for value in rewards]
    assert len(flaky.asked) == 12 and sum(missing) == 4

    batch = made.learned  # shuffled, so that rows are told by their advantages
    masked = batch["advantages"] == 0
    assert int(masked.sum()) == 4

    def gradient(advantages: torch.Tensor) -> torch.Tensor:
        made.model.zero_grad()
        loss = GRPOTrainer.compute_loss(made, made.model, batch | {"advantages": advantages})
        loss.backward()
        return torch.cat([p.grad.flatten() for p in made.model.parameters() if p.grad is not None])

    assert gradient(batch["advantages"]).abs().sum() > 0
    assert gradient(torch.where(masked, batch["advantages"], 0.0)).abs().sum() == 0

    for group in range(2):  # the baseline is that of the rows with a score
        rows = slice(6 * group, 6 * group + 6)
        known = torch.tensor([value for value in rewards[rows] if value == value])
        want = [
            0.0 if value != value else float((value - known.mean()) / (known.std() + 1e-4)) for value in rewards[rows]
        ]
        assert list(made._logs["advantages"])[rows] == pytest.approx(want, abs=1e-4)
    log = made.state.log_history[0]
    assert log["judge/missing"] == pytest.approx(1 / 3) and log["reward"] == log["judge/verdict"]
    assert sum(map(bool, made._logs["extra"]["judge_error"])) == 4


def test_a_group_that_nobody_could_score_leaves_the_policy_as_it_was(tiny: Callable[..., Path], tmp_path: Path) -> None:
    from agentjudge.errors import ModelError
    from agentjudge.models.scripted import ScriptedModel

    def away(_: Any) -> str:
        raise ModelError("away")

    with Judge.load("compare", model=ScriptedModel(away)) as out:
        made = trainer(tiny(), make_reward_func(out), tmp_path, max_grad_norm=0.0)
        before = [p.detach().clone() for p in made.model.parameters()]
        made.train()
    assert all(torch.equal(a, b) for a, b in zip(before, made.model.parameters(), strict=True))
    assert made.state.log_history[0]["judge/missing"] == 1.0


def test_the_reward_function_is_what_trl_takes_for_one() -> None:
    func = make_reward_func(partial(Judge.load, "veri-r1", corpus=CORPUS))
    assert is_async_callable(func) and get_callable_name(func) == "judge_reward"
    again = pickle.loads(pickle.dumps(func))  # as AsyncGRPOTrainer hands it to its other process
    assert is_async_callable(again)


async def test_a_pickled_reward_function_judges_in_its_own_process() -> None:
    func = make_reward_func(JudgeScorer(partial(Judge.load, "veri-r1", corpus=CORPUS)))
    asked = {"prompts": ["Where was Torvalds born?"] * 3, "completion_ids": [[1]] * 3}
    said = ["Linus Torvalds was born in Helsinki.", "Linus Torvalds was born in Paris.", "  "]
    right, wrong, blank = await pickle.loads(pickle.dumps(func))(completions=said, **asked)
    assert right is not None and wrong is not None and right > wrong and blank == 0.0


def test_the_guides_example(
    tiny: Callable[..., Path],
    judge: Judge,
    serve_rewards: Callable[..., str],
    run_block: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run_block("trl", policy=str(tiny()), url=serve_rewards(judge))
    assert 0 <= float(capsys.readouterr().out.splitlines()[-1]) <= 1
