"""What both stages on TRL share: the folder of a run, where it goes on, and the arguments of its optimiser."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from agentjudge.errors import ConfigError, require
from agentjudge.training.config import Optimizer, TrainConfig

FINAL = "final"
"""Folder of the model at the end."""


class Trained(NamedTuple):
    """How a training ended."""

    folder: Path
    """Of the model."""
    steps: int
    stopped: str
    """Why it ended before its time, or what it missed; empty if neither."""


class Start(NamedTuple):
    """Where a run begins."""

    checkpoint: Path | None
    """From the start when None."""
    step: int | None
    """Of the checkpoint."""

    @property
    def given(self) -> str | None:
        """As transformers wants it."""
        return None if self.checkpoint is None else str(self.checkpoint)


def start_of(folder: Path, *, resume: bool) -> Start:
    """Where a run in this folder begins: at its last whole checkpoint, where it is resumed and there is one.

    Raises:
        ConfigError: the folder holds a run that is not to be gone on with.
    """
    checkpoint = last_checkpoint(folder)
    if not resume and checkpoint is not None:
        raise ConfigError(f"{folder} holds a run already: go on with it (--resume), or name another folder (--out)")
    return Start(checkpoint, None if checkpoint is None else int(checkpoint.name.rpartition("-")[2]))


def last_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint in a folder that was written to its end: what is written last can be read."""
    found = []
    for state in folder.glob("checkpoint-*/trainer_state.json"):
        try:
            found.append((int(json.loads(state.read_text(encoding="utf-8"))["global_step"]), state.parent))
        except (json.JSONDecodeError, KeyError):
            continue
    return max(found)[1] if found else None


def quiet(trainer: Any) -> None:
    """Leave what is told to our own log and bar."""
    transformers = require("transformers", extra="train")
    trainer.remove_callback(transformers.PrinterCallback)
    transformers.utils.logging.disable_progress_bar()


def keep(trainer: Any) -> None:
    """Save what was learned by now, as far as it is not saved yet: a training that breaks goes on from here."""
    step = int(trainer.state.global_step)
    if step and not (Path(trainer.args.output_dir) / f"checkpoint-{step}" / "trainer_state.json").is_file():
        trainer._save_checkpoint(trainer.model, trial=None)


def adapters(config: TrainConfig) -> Any:
    """The adapters of a file, for PEFT; None where all weights are trained."""
    lora = config.model.lora
    if lora is None:
        return None
    return require("peft", extra="train").LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=lora.targets, task_type="CAUSAL_LM"
    )


def arguments(config: TrainConfig, table: Optimizer) -> dict[str, Any]:
    """Arguments of a trainer of transformers: optimiser, device, folder and log."""
    torch, output = require("torch", extra="train"), config.output
    if table.threads is not None:
        torch.set_num_threads(table.threads)
    if output.tensorboard:
        require("tensorboard", extra="train")
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(output.folder / "tensorboard")
    return {
        "output_dir": str(output.folder),
        "max_steps": table.steps,
        "learning_rate": table.lr,
        "lr_scheduler_type": table.schedule,
        "warmup_steps": table.warmup,
        "weight_decay": table.weight_decay,
        "max_grad_norm": table.max_grad_norm,
        "adam_beta1": table.betas[0],
        "adam_beta2": table.betas[1],
        "bf16": config.model.dtype == "bfloat16",
        "use_cpu": not torch.cuda.is_available(),
        "seed": config.seed,
        "save_steps": output.save_every,
        "save_total_limit": output.keep,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": ["tensorboard"] if output.tensorboard else [],
        "activation_checkpointing": table.gradient_checkpointing,
    }
