"""Reinforcement of a judge on one machine: `agentjudge train grpo`.

    train_grpo(read_config("grpo.toml"))
    train_grpo(config, resume=True)                      # on from the last whole checkpoint

    folder/checkpoint-50/      weights, optimiser, schedule: a run killed at any moment goes on from here
    folder/final/              the model at the end, for `hf:` and for vLLM (adapters alone, where LoRA was trained)
    folder/log.jsonl ...       see `trl_log`; folder/tensorboard/
    folder/report.html, .md    curves, alarms and what was measured; see `report`

Judges run on the weights that are trained (`TorchSampler`), in this process and at once, so there is one policy and one
version of it; or on a vLLM server, which is given the weights of each step and has to prove that it serves them. One
process: for several machines or dozens of GPUs there is the engine verl.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from agentjudge.errors import ModelError, require
from agentjudge.models.base import Model
from agentjudge.training.config import TrainConfig
from agentjudge.training.curriculum import chosen
from agentjudge.training.evaluate import judged, numbers_of, summary, told
from agentjudge.training.groups import Drawing, reward_of
from agentjudge.training.lessons import Lesson, estimator_of, taught
from agentjudge.training.measures import measured
from agentjudge.training.monitors import StepRecord
from agentjudge.training.policies import Policy, in_process, load_policy, refuse_ungated, talking
from agentjudge.training.report import write_report
from agentjudge.training.sources import Source, open_source
from agentjudge.training.tokens import TokenSampler
from agentjudge.training.torch_sampler import TorchSampler
from agentjudge.training.trl_batches import micro_batches
from agentjudge.training.trl_log import Bar, StepLog
from agentjudge.training.trl_runs import FINAL, Trained, adapters, arguments, keep, quiet, start_of
from agentjudge.training.trl_serving import PROOFS, Served
from agentjudge.training.trl_trainer import Compared, Inputs, trainer_class


def train_grpo(
    config: TrainConfig, *, resume: bool = False, on_step: Callable[[int, Mapping[str, Any]], None] | None = None
) -> Trained:
    """Train, and write the model to `final`.

    Args:
        config: of the run.
        resume: go on from the last whole checkpoint in the folder; from the start where there is none.
        on_step: called with the numbers of each step.

    Raises:
        ConfigError: what was asked for cannot be had; told before anything is trained, as far as it can be known.
        DataError: cases that the reward cannot score, or drift under the policy `strict`.
        ModelError: the sampler stayed out, or the loss is no number.
    """
    folder = config.output.folder
    start = start_of(folder, resume=resume)
    reward, estimator = reward_of(config), estimator_of(config)
    source = open_source(config)
    refuse_ungated(config.model.path)
    policy = load_policy(config.model)
    steplog = StepLog(
        folder,
        config=config.model_dump(mode="json", exclude_none=True),
        resumed=start.step,
        stop_on=config.monitors.stop_on,
        control=config.monitors.control,
    )
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        bar = stack.enter_context(Bar(config.grpo.steps, doing="grpo"))
        lessons = _Lessons(config, runner, steplog, bar, estimator, on_step)
        trainer = trainer_class()(
            model=policy.model,
            steps=lessons,
            correct=config.grpo.importance_cap,
            args=_arguments(config),
            train_dataset=require("datasets", extra="train").Dataset.from_list([{"prompt": ""}]),
            processing_class=policy.tokenizer,
            peft_config=adapters(config),
        )
        quiet(trainer)
        sampler = _sampler(config, trainer, policy, source)
        stack.callback(lambda: runner.run(sampler.aclose()))
        model = talking(policy, config, sampler)
        if config.curriculum is not None:
            source = runner.run(chosen(source, config, model, reward, folder=folder))
        lessons.begin(
            Drawing(source, config, model, reward), trainer, sampler, model, resumed=start.checkpoint is not None
        )
        try:
            trainer.train(resume_from_checkpoint=start.given)
        except ModelError:
            keep(trainer)
            raise
        trainer.save_model(str(folder / FINAL))
        policy.tokenizer.save_pretrained(folder / FINAL)
    write_report({folder.name or "run": folder}, folder / "report.html")
    alarm = steplog.stopped
    stopped = f"{alarm.name}: {alarm.why}" if alarm else ""
    return Trained(folder / FINAL, int(trainer.state.global_step), stopped)


class _Lessons:
    """The steps of a training: `Steps` of its trainer."""

    def __init__(
        self,
        config: TrainConfig,
        runner: asyncio.Runner,
        steplog: StepLog,
        bar: Bar,
        estimator: Any,
        on_step: Callable[[int, Mapping[str, Any]], None] | None,
    ) -> None:
        self._config, self._runner, self._log, self._bar = config, runner, steplog, bar
        self._estimator, self._on_step = estimator, on_step
        self._lesson: Lesson | None = None
        self._held_out: float | None = None

    def begin(self, drawing: Drawing, trainer: Any, sampler: TokenSampler, model: Model, *, resumed: bool) -> None:
        """Everything is there now; measure where the policy begins, unless the run is resumed."""
        self._drawing, self._trainer, self._sampler, self._model = drawing, trainer, sampler, model
        if self._config.evaluation.every is not None:
            self._unseen = open_source(self._config, split="test")
            if not resumed:
                self._measured(0)
                self._log.record(StepRecord(0, held_out=self._held_out))

    def draw(self, number: int) -> list[Inputs]:
        """See `Steps`."""
        grpo, trainer = self._config.grpo, self._trainer
        self._renew()
        lesson = taught(self._runner.run(self._drawing.step(number)), self._estimator)
        self._lesson = lesson
        return micro_batches(
            lesson.paid,
            lesson.whole,
            loss=grpo.loss,
            size=grpo.micro_batch,
            pad=trainer.processing_class.pad_token_id,
            skip=grpo.beta == 0 and grpo.entropy == 0,
            device=trainer.accelerator.device,
        )

    def _renew(self) -> None:
        """Tell the sampler which weights these are; a small step may not show in the values that it looks at."""
        step = int(self._trainer.state.global_step)
        if isinstance(self._sampler, Served):
            self._runner.run(self._sampler.renew(self._trainer.accelerator.unwrap_model(self._trainer.model), step))
        elif isinstance(self._sampler, TorchSampler):
            with self._sampler.paused():
                self._sampler.version = f"step-{step}"

    def numbers(self, step: int, compared: Sequence[Compared]) -> dict[str, float]:
        """See `Steps`."""
        numbers = dict(self._lesson.numbers) if self._lesson else {}
        if compared:
            numbers["sampler_difference"] = sum(each.difference for each in compared) / len(compared)
        self._held_out = None
        every = self._config.evaluation.every
        if every is not None and step % every == 0:
            numbers |= self._measured(step)
        return numbers

    def _measured(self, step: int) -> dict[str, float]:
        """The numbers of an evaluation on unseen cases, greedily and as in training."""
        self._renew()
        table = self._config.evaluation
        kinds = {"eval": 0.0}
        if table.sampled:
            kinds["eval_sampled"] = self._config.judge.sampling.temperature
        numbers: dict[str, float] = {}
        for name, temperature in kinds.items():
            pairs = self._runner.run(
                judged(self._unseen, self._config, self._model, numbers=range(table.n), temperature=temperature)
            )
            found = [measured(trace, case) for trace, case in pairs]
            decoding = "sampled" if temperature else "greedy"
            rows = summary(found)
            self._log.evaluation(step, told(found, rows, split="test", decoding=decoding))
            numbers |= numbers_of(rows, name)
        self._held_out = numbers["eval/all/label"]
        return numbers

    def logged(self, step: int, logs: Mapping[str, Any], compared: Sequence[Compared]) -> bool:
        """See `Steps`."""
        seen = self._lesson.seen if self._lesson else ()
        ratios = tuple(ratio for each in compared for ratio in each.ratios)
        entropy = logs.get("entropy")
        record = StepRecord(
            step, seen, held_out=self._held_out, entropy=None if entropy is None else float(entropy), ratios=ratios
        )
        self._log.record(record)
        shown = {name: value for name, value in logs.items() if not name.startswith("eval")}
        numbers = {**shown, **{f"watch/{name}": value for name, value in self._log.watch.values.items()}}
        self._log.numbers(step, numbers)
        self._bar.show(step, numbers)
        if self._on_step is not None:
            self._on_step(step, numbers)
        return self._log.stopped is not None


def _arguments(config: TrainConfig) -> Any:
    grpo = config.grpo
    return require("trl", extra="train").GRPOConfig(
        **arguments(config, grpo),
        per_device_train_batch_size=2,  # TRL never draws: these three only have to agree with each other
        num_generations=2,
        steps_per_generation=1,
        num_iterations=grpo.iterations,
        temperature=config.judge.sampling.temperature,
        max_completion_length=grpo.max_length or config.judge.sampling.max_tokens,
        loss_type=grpo.loss,
        importance_sampling_level=grpo.level,
        epsilon=grpo.epsilon,
        epsilon_high=grpo.epsilon_high,
        beta=grpo.beta,
        entropy_coef=grpo.entropy,
    )


def _sampler(config: TrainConfig, trainer: Any, policy: Policy, source: Source) -> TokenSampler:
    if config.rollout.sampler == "torch":
        return in_process(
            policy._replace(model=trainer.accelerator.unwrap_model(trainer.model)), config, seed=config.seed
        )
    return Served(config, policy.tokenizer, [source.case(number).case for number in range(PROOFS)])
