"""TRL's GRPO trainer with rollouts of ours: its loss, optimiser, adapters and checkpoints, our rows and advantages.

What `rollout_func` cannot carry is why there is a subclass: several rows a rollout, an advantage a token, rollouts that
are masked, steps of another size each time. It takes the place of everything in front of `_compute_loss`: where TRL
draws prompts, generates, scores and normalises, `Steps.draw` gives ready micro-batches. The loss itself is TRL's own,
untouched, and so is what is below it.

A step draws by its own number (`state.global_step`), never by how far an iterator has come, so a run that is resumed
draws what it would have drawn.
"""

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agentjudge.errors import ModelError, require

if TYPE_CHECKING:
    from trl import GRPOTrainer as Base
else:
    Base = object

Inputs = dict[str, Any]


class Compared(NamedTuple):
    """What the trainer finds of the tokens that were sampled."""

    difference: float
    """Mean of |log p - log q| over the tokens: p the trainer's probability, q the sampler's."""
    ratios: tuple[float, ...]
    """For each row p / q of all its sampled tokens."""


class Steps(Protocol):
    """What a trainer learns, step by step."""

    def draw(self, number: int) -> list[Inputs]:
        """The micro-batches of a round of rollouts."""
        ...

    def numbers(self, step: int, compared: Sequence[Compared]) -> dict[str, float]:
        """What is to be logged of a step beside the loss."""
        ...

    def logged(self, step: int, logs: Mapping[str, Any], compared: Sequence[Compared]) -> bool:
        """Take in what was logged of a step; whether the training is to end."""
        ...


class JudgeTraining(Base):  # type: ignore[misc]
    """What is in front of the loss; mixed into TRL's trainer by `trainer_class`.

    Args:
        steps: what is learned, and where it is told.
        correct: up to which ratio to correct for the sampler's probabilities; see `GrpoTable.importance_cap`.
    """

    def __init__(
        self,
        *args: Any,
        steps: Steps,
        correct: float | None = None,
        **options: Any,
    ) -> None:
        self._steps, self._correct = steps, correct
        self._round: int | None = None
        self._micro: list[Inputs] = []
        self._latest: Any = None
        self.compared: list[Compared] = []
        """Of the micro-batches of the last step on new rollouts."""
        super().__init__(*args, reward_funcs=_never, **options)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: TRL's says nothing of the judge."""

    def get_train_dataloader(self) -> Any:
        """One empty batch a step; what is in a step is drawn by its number."""
        from torch.utils.data import DataLoader

        return DataLoader([{"prompt": ""}] * self.args.max_steps, batch_size=1, collate_fn=list)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """One step of the optimiser: all micro-batches, forward and backward."""
        import torch

        began = time.perf_counter()
        micro, new = self._batches()
        rolled = time.perf_counter()
        model.train()
        self.current_gradient_accumulation_steps = max(1, len(micro))
        self.compared = [] if new else self.compared
        total = torch.zeros((), device=self.accelerator.device)
        for each in micro:
            with self.compute_loss_context_manager():
                loss = self.compute_loss(model, each)
            if not torch.isfinite(loss):
                raise ModelError(f"the loss of step {self.state.global_step + 1} is {loss.item()}")
            if new:
                self.compared.append(_compare(self._latest, each))
            self.accelerator.backward(loss)
            total += loss.detach()
        self._step += 1
        metrics = self._metrics["train"]
        metrics["seconds/rollouts"].append(rolled - began)
        metrics["seconds/training"].append(time.perf_counter() - rolled)
        metrics["rows"].append(float(sum(len(each["completion_ids"]) for each in micro)))
        return total

    def _batches(self) -> tuple[list[Inputs], bool]:
        """The micro-batches of this step, and whether they are of new rollouts."""
        number = self.state.global_step // self.num_iterations
        if self._round == number:
            return self._micro, False
        self._micro = self._steps.draw(number)
        if self._correct is not None:
            for each in self._micro:
                self._weigh(each, self._correct)
        self._round = number
        return self._micro, True

    def _weigh(self, inputs: Inputs, cap: float) -> None:
        """Take the trainer's own probabilities as the old ones, and weigh by what the sampler's differ from them.

        That is truncated importance sampling, a factor on the advantage.
        """
        import torch

        with torch.no_grad():
            self.model.eval()
            old = self._logps(self.model, inputs)
        trained = inputs["tool_mask"].bool()
        ratio = (old - inputs["sampling_per_token_logps"]).masked_fill(~trained, 0.0).exp().clamp(max=cap)
        inputs["old_per_token_logps"] = old
        inputs["advantages"] = inputs["advantages"] * ratio

    def _logps(self, model: Any, inputs: Inputs) -> Any:
        import torch

        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        return super()._get_per_token_logps_and_entropies(model, ids, mask, inputs["completion_ids"].size(1))[0]

    def _compute_loss(self, model: Any, inputs: Inputs) -> Any:
        if self.beta != 0.0 and "ref_per_token_logps" not in inputs:
            inputs["ref_per_token_logps"] = self._reference(inputs)
        return super()._compute_loss(model, inputs)

    def _reference(self, inputs: Inputs) -> Any:
        """The log-probabilities under the model at the start; under adapters that is the model without them."""
        import torch

        with torch.no_grad():
            if self.ref_model is not None:
                return self._logps(self.ref_model, inputs)
            with self.accelerator.unwrap_model(self.model).disable_adapter():
                return self._logps(self.model, inputs)

    def _get_per_token_logps_and_entropies(self, *args: Any, **options: Any) -> Any:
        found = super()._get_per_token_logps_and_entropies(*args, **options)
        self._latest = found[0].detach()
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log a step, what its rollouts tell among it."""
        step = self.state.global_step
        if "loss" not in logs:  # of an evaluation, or the summary at the end
            super().log(logs, start_time)
            return
        super().log(logs := {**logs, **self._steps.numbers(step, self.compared)}, start_time)
        if self._steps.logged(step, logs, self.compared):
            self.control.should_training_stop = True


@lru_cache(maxsize=1)
def trainer_class() -> Any:
    """The trainer; made when it is first asked for, since TRL takes seconds to import.

    Raises:
        ConfigError: TRL is absent.
    """
    return type("JudgeTrainer", (JudgeTraining, require("trl", extra="train").GRPOTrainer), {})


def _compare(logps: Any, inputs: Inputs) -> Compared:
    """Hold the trainer's log-probabilities against the sampler's."""
    trained = inputs["tool_mask"].bool()
    difference = (logps.float() - inputs["sampling_per_token_logps"]).masked_fill(~trained, 0.0)
    ratios = difference.sum(-1).double().exp().tolist()
    return Compared(float(difference.abs().sum() / trained.sum()), tuple(ratios))


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("rewards are ours; TRL scores nothing")
