"""The model that is trained, its tokenizer and its template, from the file of a run. torch and transformers.

    policy = load_policy(config.model)
    policy.model, policy.tokenizer, policy.profile
    model = talking(policy, config, in_process(policy, config))      # what judges ask

A folder of adapters alone is merged into its base.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from agentjudge.errors import ConfigError, boundary, require
from agentjudge.models.profiles import GENERIC, ModelProfile, profile_of
from agentjudge.training.config import ModelTable, TrainConfig
from agentjudge.training.templates import keep_prefix, turn_end
from agentjudge.training.tokens import TokenModel, TokenSampler
from agentjudge.training.torch_sampler import TorchSampler

ADAPTER = "adapter_config.json"
"""File by which a folder of adapters alone is known."""
NANO = Path(__file__).parent / "nano_start"
"""A judge of a million weights that can use its tools, badly (`nano`)."""
GATE = "gate.json"
"""Says what a model reached of what its stage had to reach."""


class Policy(NamedTuple):
    """What is trained."""

    model: Any
    tokenizer: Any
    profile: ModelProfile

    @property
    def context(self) -> int | None:
        """Tokens that the model takes at most; None where it does not say."""
        found: int | None = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return found


def model_folder(path: str | Path) -> str:
    """The folder of a model; that of the package for `nano`."""
    return str(NANO) if str(path) == "nano" else str(path)


def load_policy(table: ModelTable, *, path: str | Path | None = None) -> Policy:
    """The model of a file, with a template that keeps what was said.

    Args:
        table: of the file.
        path: another folder than that of the file, such as a checkpoint; a folder of adapters is merged into its base.

    Raises:
        ConfigError: no such model, no usable chat template, or an unknown profile.
    """
    torch, transformers = require("torch", extra="train"), require("transformers", extra="train")
    where = model_folder(path or table.path)
    _look_there(Path(where))
    dtype = "auto" if table.dtype == "auto" else torch.float32
    options = {"dtype": dtype, "attn_implementation": "sdpa"}
    with boundary(ConfigError, f"cannot load the model {where}"):
        if (Path(where) / ADAPTER).is_file():
            peft = require("peft", extra="train")
            model = peft.AutoPeftModelForCausalLM.from_pretrained(where, **options).merge_and_unload()
        else:
            model = transformers.AutoModelForCausalLM.from_pretrained(where, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(where)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if table.keep_prefix:
        keep_prefix(tokenizer)
    turn_end(tokenizer)
    return Policy(model, tokenizer, _profile(table, where, str(model.config.model_type)))


def _look_there(folder: Path) -> None:
    """Refuse a folder without a model, and a path that is no folder and cannot be a name (`owner/name`) on the hub."""
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("config.json", ADAPTER)):
            raise ConfigError(f"no model in {folder}: it has no config.json")
    elif len(folder.parts) > 2 or (len(folder.parts) == 2 and folder.parent.is_dir()):
        raise ConfigError(f"no such folder: {folder}; is the stage before this one trained yet?")


def refuse_ungated(path: str | Path) -> None:
    """Begin nothing with a model that missed the gate of its stage.

    Raises:
        ConfigError: it did.
    """
    file = Path(model_folder(path)) / GATE
    if not file.is_file():
        return
    with boundary(ConfigError, f"cannot read {file}"):
        told = json.loads(file.read_text(encoding="utf-8"))
    if not told["passed"]:
        raise ConfigError(
            f"{path} reached {told['reached']:.3f} in {told['measure']} on unseen cases, and its gate is "
            f"{told['least']:g}: train it further before reinforcement (or remove {file.name}, if you know why)"
        )


def _profile(table: ModelTable, where: str, architecture: str) -> ModelProfile:
    if table.profile == "tags":
        return ModelProfile(family="tags", protocol="tags")
    if table.profile:
        found = profile_of(table.profile)
        if found is GENERIC and table.profile != "generic":
            raise ConfigError(f"there is no profile {table.profile!r}: name a family of models, 'generic' or 'tags'")
        return found
    # What a folder of our own is called says nothing about the model in it.
    found = GENERIC if Path(where).exists() else profile_of(where)
    return profile_of(architecture.replace("_", "-")) if found is GENERIC else found


def in_process(policy: Policy, config: TrainConfig, *, seed: int | None = None) -> TorchSampler:
    """A sampler on the very weights of a policy."""
    return TorchSampler(
        policy.model,
        policy.tokenizer,
        rows=config.rollout.concurrency,
        context=config.model.context,
        dtype="bfloat16" if config.model.dtype == "bfloat16" else None,
        seed=seed,
    )


def talking(policy: Policy, config: TrainConfig, sampler: TokenSampler) -> TokenModel:
    """The policy as the model of judges."""
    return TokenModel(sampler, policy.tokenizer, name="policy", profile=policy.profile, context=config.model.context)


@asynccontextmanager
async def asked(policy: Policy, config: TrainConfig) -> AsyncIterator[tuple[TorchSampler, TokenModel]]:
    """A sampler on the very weights of a policy, and the model that talks through it; closed at the end."""
    sampler = in_process(policy, config)
    try:
        yield sampler, talking(policy, config, sampler)
    finally:
        await sampler.aclose()
