"""The cold start of a judge, by imitation: `agentjudge train sft`.

    train_sft(read_config("sft.toml"))

    folder/checkpoint-50/      as for `trl_grpo`: a run killed at any moment goes on from here
    folder/final/              the model; with a [gate], final/gate.json says what it reached on unseen cases
    folder/log.jsonl           a line a step

The loss is TRL's, on the tokens that the judge says and no others (`examples`). Sequence n of the training is that of
trace n (`collect`), made when it is needed: with a gym there is no set that could be learned by heart.

A gate is hard. Where the model does not reach it, the command fails, the model is kept and marked, and no reinforcement
begins with it: what cannot read yet learns from rewards that the safest answer is the best one.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentjudge.errors import ConfigError, DataError, ModelError, require
from agentjudge.training.collect import Book, open_book
from agentjudge.training.config import TrainConfig
from agentjudge.training.evaluate import judged, summary, told
from agentjudge.training.examples import Example
from agentjudge.training.measures import Measured, measured
from agentjudge.training.policies import GATE, Policy, asked, load_policy
from agentjudge.training.sources import open_source
from agentjudge.training.trl_log import Bar, StepLog
from agentjudge.training.trl_runs import FINAL, Trained, adapters, arguments, quiet, start_of

if TYPE_CHECKING:
    from trl import SFTTrainer as Base
else:
    Base = object


@dataclass(frozen=True, slots=True)
class Numbered:
    """The sequences of a training, by number; what torch takes for a data set."""

    book: Book
    size: int
    longest: int | None = None
    """Longer ones are left out."""

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, number: int) -> list[Example]:
        examples = self.book.examples(number)
        return [each for each in examples if self.longest is None or len(each.input_ids) <= self.longest]


class Imitation(Base):  # type: ignore[misc]
    """What is in front of the loss; mixed into TRL's trainer by `trainer_class`.

    Args:
        data: the sequences.
        logged: called with what was logged of each step.
    """

    def __init__(
        self, *args: Any, data: Numbered, logged: Callable[[int, Mapping[str, Any]], None], **options: Any
    ) -> None:
        self._data, self._logged = data, logged
        super().__init__(*args, **options)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: TRL's says nothing of the judge."""

    def get_train_dataloader(self) -> Any:
        """The sequences in order; what is skipped when a run is resumed is not made."""
        from torch.utils.data import DataLoader

        return DataLoader(
            self._data,
            batch_size=self.args.per_device_train_batch_size,
            collate_fn=self._collated,
            num_workers=self.args.dataloader_num_workers,
            drop_last=True,
        )

    def _collated(self, examples: Sequence[list[Example]]) -> Any:
        flat = [{"input_ids": each.input_ids, "labels": each.labels} for several in examples for each in several]
        if not flat:
            raise DataError(f"all {len(examples)} sequences of a batch are longer than {self._data.longest} tokens")
        return self.data_collator(flat)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """A step, whose loss has to be a number."""
        import torch

        inputs = {name: value.to(self.accelerator.device) for name, value in inputs.items()}
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise ModelError(f"the loss of step {self.state.global_step + 1} is {loss.item()}")
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log a step."""
        logs = dict(logs)
        super().log(logs, start_time)
        if "loss" in logs:
            self._logged(self.state.global_step, logs)


@lru_cache(maxsize=1)
def trainer_class() -> Any:
    """The trainer; made when it is first asked for, since TRL takes seconds to import.

    Raises:
        ConfigError: TRL is absent.
    """
    return type("ImitationTrainer", (Imitation, require("trl", extra="train").SFTTrainer), {})


def train_sft(
    config: TrainConfig, *, resume: bool = False, on_step: Callable[[int, Mapping[str, Any]], None] | None = None
) -> Trained:
    """Train, write the model to `final`, and hold it against its gate.

    Args:
        config: of the run.
        resume: go on from the last whole checkpoint in the folder; from the start where there is none.
        on_step: called with the numbers of each step.

    Returns:
        `stopped` says what the gate wanted, where it was not reached.

    Raises:
        ConfigError: what was asked for cannot be had.
        DataError: no trace is worth imitating.
        ModelError: the loss is no number.
    """
    folder, sft = config.output.folder, config.sft
    start = start_of(folder, resume=resume)
    policy = load_policy(config.model)
    steplog = StepLog(folder, config=config.model_dump(mode="json", exclude_none=True), resumed=start.step)
    book = open_book(config, policy.tokenizer, policy.profile)
    with ExitStack() as stack:
        bar = stack.enter_context(Bar(sft.steps, doing="sft"))

        def logged(step: int, logs: Mapping[str, Any]) -> None:
            steplog.numbers(step, logs)
            bar.show(step, logs)
            if on_step is not None:
                on_step(step, logs)

        trainer = trainer_class()(
            model=policy.model,
            data=Numbered(book, sft.steps * sft.batch, sft.max_length),
            logged=logged,
            args=_arguments(config),
            train_dataset=require("datasets", extra="train").Dataset.from_list([{"input_ids": [0], "labels": [0]}]),
            processing_class=policy.tokenizer,
            peft_config=adapters(config),
        )
        quiet(trainer)
        trainer.train(resume_from_checkpoint=start.given)
        trainer.save_model(str(folder / FINAL))
        policy.tokenizer.save_pretrained(folder / FINAL)
    missed = _gated(config, policy._replace(model=trainer.accelerator.unwrap_model(trainer.model)), steplog)
    return Trained(folder / FINAL, int(trainer.state.global_step), missed)


def measure(
    config: TrainConfig,
    policy: Policy,
    *,
    numbers: Sequence[int],
    temperature: float = 0.0,
    seed: int = 0,
    tools: bool = True,
) -> list[Measured]:
    """Measure a model on unseen cases, on the weights in this process; see `judged`."""

    async def run() -> list[Measured]:
        source = open_source(config, split="test")
        async with asked(policy, config) as (_, model):
            found = await judged(
                source, config, model, numbers=numbers, temperature=temperature, seed=seed, tools=tools
            )
        return [measured(trace, case) for trace, case in found]

    return asyncio.run(run())


def _gated(config: TrainConfig, policy: Policy, steplog: StepLog) -> str:
    """Hold the model against its gate; what it missed, in words, or nothing."""
    gate = config.gate
    if gate is None:
        return ""
    found = measure(config, policy, numbers=range(gate.n))
    rows = summary(found)
    row = rows["all"]
    reached = (row.label if gate.measure == "label" else row.joint).mean
    result = {"passed": reached >= gate.least, "measure": gate.measure, "reached": reached, "least": gate.least}
    said = told(found, rows, split="test", decoding="greedy")
    file = config.output.folder / FINAL / GATE
    file.write_text(json.dumps({**result, "eval": said}, indent=2), encoding="utf-8")
    steplog.evaluation(config.sft.steps, said)
    if result["passed"]:
        return ""
    return f"the gate is {gate.least:g} in {gate.measure} on {gate.n} unseen cases, and {reached:.3f} was reached"


def _arguments(config: TrainConfig) -> Any:
    sft = config.sft
    micro = sft.micro_batch or sft.batch
    if sft.batch % micro:
        raise ConfigError(f"[sft] batch = {sft.batch} is no multiple of micro_batch = {micro}")
    return require("trl", extra="train").SFTConfig(
        **arguments(config, sft),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=sft.batch // micro,
        dataloader_num_workers=sft.workers,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
