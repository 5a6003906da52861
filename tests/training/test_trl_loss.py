"""Rows and advantages through TRL's own loss: masks, one advantage a token, a rollout counts once, nothing for None."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_policies import build_policy

from agentjudge.training.config import parse_config
from agentjudge.training.rows import TrainRow, TurnSpan
from agentjudge.training.trl_batches import Paid, Whole, micro_batches

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

Train = Callable[..., Any]
LOSSES = ["grpo", "dr_grpo", "dapo", "bnpo", "cispo", "luspo", "sapo", "vespo"]


class Given:
    """Steps with given micro-batches."""

    def __init__(self, draws: Callable[[int], list[dict[str, Any]]]) -> None:
        self.draws, self.seen = draws, list[int]()

    def draw(self, number: int) -> list[dict[str, Any]]:
        self.seen.append(number)
        return self.draws(number)

    def numbers(self, step: int, compared: Sequence[Any]) -> dict[str, float]:
        return {"difference": compared[0].difference} if compared else {}

    def logged(self, step: int, logs: Any, compared: Sequence[Any]) -> bool:
        return False


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture
def train(policy: Path, tmp_path: Path) -> Train:
    """Makes a trainer on the tiny policy."""

    def make(given: Given | None = None, *, lora: bool = False, correct: float | None = None, **grpo: Any) -> Any:
        from datasets import Dataset

        from agentjudge.training.policies import load_policy
        from agentjudge.training.trl_grpo import _arguments
        from agentjudge.training.trl_runs import adapters
        from agentjudge.training.trl_trainer import trainer_class

        config = parse_config(
            {
                "model": {"path": str(policy), **({"lora": {"r": 4}} if lora else {})},
                "data": {"gym": {}},
                "grpo": {"steps": 2, "lr": 1e-2, "threads": 1, **grpo},
                "output": {"folder": str(tmp_path / "out"), "tensorboard": False, "save_every": 100},
            },
            where="a test",
        )
        loaded = load_policy(config.model)
        trainer = trainer_class()(
            model=loaded.model,
            steps=given or Given(lambda _: []),
            correct=correct,
            args=_arguments(config),
            train_dataset=Dataset.from_list([{"prompt": ""}]),
            processing_class=loaded.tokenizer,
            peft_config=adapters(config),
        )
        trainer.current_gradient_accumulation_steps = 1
        return trainer

    return make


def row(name: str, *turns: tuple[int, int], weight: float = 1.0, seed: int = 0) -> TrainRow:
    """A row of turns, each (masked tokens before it, sampled tokens), with something untrained behind the last one."""
    rng, at, spans = np.random.default_rng(seed), 0, []
    for number, (before, sampled) in enumerate(turns):
        spans.append(TurnSpan(at + before, at + before + sampled, number))
        at += before + sampled
    size = at + 2
    logprobs = [0.0] * size
    for start, end, _ in spans:
        logprobs[start:end] = [-6.0] * (end - start)
    return TrainRow(name, rng.integers(10, 300, size).tolist(), logprobs, tuple(spans), weight=weight)


def paid(row: TrainRow, *advantages: float) -> Paid:
    values = np.zeros(len(row.input_ids))
    for (start, end, turn), _ in zip(row.spans, range(len(row.spans)), strict=True):
        values[start:end] = advantages[turn]
    return Paid(row, values)


def batches(given: Sequence[Paid], whole: Whole, *, loss: str = "dapo", size: int = 8) -> list[dict[str, Any]]:
    return micro_batches(given, whole, loss=loss, size=size, pad=0, skip=True)


def whole(given: Sequence[Paid]) -> Whole:
    return Whole(len({each.row.rollout for each in given}), sum(each.row.trained for each in given))


def gradient(trainer: Any, micro: Sequence[dict[str, Any]]) -> Any:
    """Of all parameters, as `training_step` makes it."""
    trainer.model.zero_grad()
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = len(micro)
    for each in micro:
        trainer.compute_loss(trainer.model, each).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]).clone()


THREE = [
    paid(row("a", (5, 4), (3, 6), seed=1), 1.0, 1.0),
    paid(row("b", (5, 9), (2, 3), seed=2), -0.7, -0.7),
    paid(row("c", (7, 2), (6, 2), seed=3), 0.3, 0.3),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_how_rows_are_drawn_together_changes_nothing(train: Train, loss: str) -> None:
    level = "sequence" if loss == "luspo" else "token"
    trainer = train(loss=loss, level=level)
    together = gradient(trainer, batches(THREE, whole(THREE), loss=loss, size=3))
    apart = gradient(trainer, batches(THREE, whole(THREE), loss=loss, size=1))
    uneven = gradient(trainer, batches(THREE, whole(THREE), loss=loss, size=2))
    assert together.abs().max() > 1e-6
    torch.testing.assert_close(apart, together, rtol=2e-3, atol=1e-6)
    torch.testing.assert_close(uneven, together, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo", "bnpo"])
def test_a_rollout_of_two_rows_counts_once(train: Train, loss: str) -> None:
    """The same rollout in one row, and in two of which each trains one of its turns."""
    one = row("a", (5, 4), (3, 6), seed=1)
    first = TrainRow("a", one.input_ids[:9], one.logprobs[:9], one.spans[:1], weight=0.4)
    masked = [0.0 if place < 12 else value for place, value in enumerate(one.logprobs)]
    second = TrainRow("a", one.input_ids, masked, one.spans[1:], weight=0.6)
    trainer = train(loss=loss)
    single = [paid(one, 1.0, 1.0), THREE[1]]
    double = [paid(first, 1.0), paid(second, 0.0, 1.0), THREE[1]]
    assert whole(single) == whole(double)
    expected = gradient(trainer, batches(single, whole(single), loss=loss))
    found = gradient(trainer, batches(double, whole(double), loss=loss))
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("lora", [False, True])
def test_no_gradient_reaches_what_the_judge_was_told(train: Train, lora: bool) -> None:
    """Logits are a linear function of the last hidden states, so those say which logits the loss depends on."""
    trainer = train(lora=lora)
    (inputs,) = batches(THREE[:2], whole(THREE[:2]))
    inputs["old_per_token_logps"] = trainer._logps(trainer.model, inputs).detach()  # so that nothing is clipped
    base = trainer.model.get_base_model() if lora else trainer.model
    held: list[Any] = []

    def hold(_: Any, __: Any, output: Any) -> Any:
        held.append(output.last_hidden_state)
        held[-1].retain_grad()

    handle = base.model.register_forward_hook(hold)
    trainer.model.train()
    trainer._compute_loss(trainer.model, inputs).backward()
    handle.remove()
    size = inputs["prompt_ids"].shape[1]
    depends = held[0].grad.abs().amax(-1)[:, size - 1 : -1]  # the position before a token is what predicts it
    trained = (inputs["tool_mask"] * inputs["completion_mask"]).bool()
    assert (depends[~trained] == 0).all() and (depends[trained] > 0).all() and (~trained).any()
    assert held[0].grad[:, : size - 1].abs().max() == 0


def test_each_turn_gets_its_own_advantage(train: Train) -> None:
    trainer = train(loss="dapo")
    only = [paid(row("a", (5, 4), (3, 6), seed=1), 0.0, 1.0)]
    (inputs,) = batches(only, whole(only))
    assert inputs["advantages"].shape == inputs["completion_ids"].shape
    grabbed: list[Any] = []
    original = trainer._get_per_token_logps_and_entropies

    def grab(*args: Any, **options: Any) -> Any:
        logps, *others = original(*args, **options)
        logps.retain_grad()
        grabbed.append(logps)
        return logps, *others

    trainer._get_per_token_logps_and_entropies = grab
    inputs["old_per_token_logps"] = trainer._logps(trainer.model, inputs).detach()
    trainer._compute_loss(trainer.model, inputs).backward()
    (found,) = grabbed[-1].grad
    assert found[:4].abs().max() == 0 and found[4:7].abs().max() == 0
    assert found[7:].tolist() == pytest.approx([-1 / 10] * 6, rel=1e-4)


def test_nothing_to_learn_leaves_every_parameter_as_it_was(train: Train) -> None:
    """After a step with momentum, a step of which all rollouts are masked moves nothing."""
    states: list[Any] = []

    def draws(number: int) -> list[dict[str, Any]]:
        states.append([p.detach().clone() for p in trainer.model.parameters()])
        return batches(THREE, whole(THREE)) if number == 0 else batches([], Whole(0, 0))

    steps = Given(draws)
    trainer = train(steps)
    trainer.train()
    assert steps.seen == [0, 1]
    before, between = states
    after = list(trainer.model.parameters())
    assert any((a != b).any() for a, b in zip(before, between, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(between, after, strict=True))


def test_rows_without_an_advantage_are_left_out_and_still_counted(train: Train) -> None:
    trainer = train(loss="grpo")
    flat = paid(row("d", (4, 5), seed=4), 0.0)
    given = [*THREE, flat]
    (short,) = batches(given, whole(given), loss="grpo")
    assert len(short["completion_ids"]) == 3
    (full,) = micro_batches(given, whole(given), loss="grpo", size=8, pad=0, skip=False)
    assert len(full["completion_ids"]) == 4
    torch.testing.assert_close(gradient(trainer, [short]), gradient(trainer, [full]), rtol=2e-3, atol=1e-6)


def test_rollouts_serve_several_steps_where_that_is_asked_for(train: Train) -> None:
    steps = Given(lambda _: batches(THREE, whole(THREE)))
    train(steps, steps=5, iterations=2).train()
    assert steps.seen == [0, 1, 2]


def test_what_the_sampler_knew_otherwise_is_weighed_up_to_the_cap(train: Train) -> None:
    trainer = train(correct=2.0)
    (inputs,) = batches(THREE[:1], whole(THREE[:1]))
    before = inputs["advantages"].clone()
    trainer._weigh(inputs, 2.0)
    trained = inputs["tool_mask"].bool()
    weights = inputs["advantages"][trained] / before[trained]
    own = trainer._logps(trainer.model, inputs).detach()
    expected = (own + 6.0).exp().clamp(max=2.0)[trained]
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(inputs["old_per_token_logps"][trained], own[trained])


def test_a_loss_that_is_no_number_ends_the_training(train: Train) -> None:
    from agentjudge.errors import ModelError

    broken = [paid(THREE[0].row, float("nan"), 1.0)]
    with pytest.raises(ModelError, match="the loss of step 1 is nan"):
        train(Given(lambda _: batches(broken, whole(broken)))).train()


def test_divergence_from_the_start_is_nothing_at_the_start(train: Train) -> None:
    flat = [paid(THREE[0].row, 0.0, 0.0)]
    for lora in (False, True):
        trainer = train(beta=0.1, lora=lora)
        micro = micro_batches(flat, whole(flat), loss="dapo", size=8, pad=0, skip=False)
        assert gradient(trainer, micro).abs().max() < 1e-6
        assert trainer._metrics["train"]["kl"][-1] == pytest.approx(0, abs=1e-6)
