"""What an agent loop of verl judges with, and what it judges: an entry of the loops' file, and a row of the data."""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from agentjudge.case import Case, parse_case
from agentjudge.errors import ConfigError, DataError, boundary
from agentjudge.registry import lookup
from agentjudge.rewards.base import AnyReward
from agentjudge.training.verl_rows import RowPolicy


class LoopSettings(BaseModel):
    """What a loop judges with; an entry of the file that `agent_loop_config_path` names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str
    """A registered judge; see `agentjudge list judges`."""
    corpus: tuple[str, ...] = ()
    """Files or folders to retrieve from, on every node. A row may bring its own instead."""
    index: Literal["bm25", "dense", "hybrid"] = "bm25"
    search: str | None = None
    """A search engine, such as `retrieve@URL` for a corpus that is too large for every worker."""
    budget: dict[str, Any] = Field(default_factory=dict)
    """Fields of `Budget`; those of the judge where they are not named."""
    turn_tokens: int = Field(default=1024, ge=16)
    """Sampled tokens of one turn."""
    thinking: bool | None = None
    profile: str | None = None
    """Model name by which the profile is found; that of the checkpoint when None."""
    template: Literal["keep", "own"] = "keep"
    """keep: our chat template of the model's family, which keeps what was said; own: the tokenizer's."""
    reward: str | None = None
    """A registered reward; verl's reward manager scores when None."""
    reward_options: dict[str, Any] = Field(default_factory=dict)
    rows: RowPolicy = "strict"
    tries: int = Field(default=2, ge=1)
    """Of a judgement that fails for a reason that may pass."""

    def pays(self) -> AnyReward | None:
        """The reward, where the loop pays one.

        Raises:
            ConfigError: unknown reward, or options that it does not take.
        """
        if self.reward is None:
            return None
        with boundary(ConfigError, f"the reward {self.reward!r} does not take the options {self.reward_options}"):
            made: AnyReward = lookup("reward", self.reward).target(**self.reward_options)
        return made


class Task(NamedTuple):
    """A row of the data."""

    case: Case
    """With gold."""
    documents: str
    """Its own corpus, as JSON; empty where the loop's is searched."""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Task":
        """The task in the columns of a row.

        Raises:
            DataError: the row has no case, or one that cannot be read.
        """
        info = fields.get("extra_info") or {}
        if not info.get("case"):
            raise DataError("a row has no extra_info.case: write the data with agentjudge.training.verl_data")
        with boundary(DataError, "the column extra_info.case is no case"):
            return cls(parse_case(json.loads(info["case"])), str(info.get("documents") or ""))


def plain(value: Any) -> Any:
    """A value of the configuration without OmegaConf's containers."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if hasattr(value, "__iter__") and not isinstance(value, str) else value
