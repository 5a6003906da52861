"""How vLLM reads each family of models: parsers of tool calls and reasoning, context, and what its template lacks.

    served = served_as("Qwen/Qwen3-8B")           # tools "hermes", reasoning "qwen3", 40960 tokens
    served = served_as("/models/mine", config)     # by `model_type`, where the name says nothing

The names are those of vLLM 0.32. A parser that does not fit is worse than none: a reasoning parser on a model without
thoughts takes its whole answer for one. Tag protocols have neither; their answers are read by the judge itself.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple


class Served(NamedTuple):
    """What a family of models needs of vLLM."""

    family: str
    tools: str | None = None
    """Value of `--tool-call-parser`."""
    reasoning: str | None = None
    """Value of `--reasoning-parser`."""
    context: int | None = None
    """Tokens of the longest prompt and answer of the released models; None where they differ or are not known."""
    shows_tools: bool = True
    """Whether the released chat template writes tools into the prompt."""


TAGS = Served("tags")
UNKNOWN = Served("unknown", "hermes")

# First match wins; patterns are searched for in the lower-case name.
_FAMILIES: tuple[tuple[str, Served], ...] = (
    (r"veri[-_]r1|search[-_]r1", TAGS._replace(context=32_768)),
    (r"web[-_]?arbiter|web[-_]?shepherd|arm[-_]thinker", TAGS),
    (r"qwen3[-_]vl.*thinking", Served("qwen3-vl", "hermes", "qwen3", 262_144)),
    (r"qwen3[-_]vl", Served("qwen3-vl", "hermes", None, 262_144)),
    (r"qwen3[-_]coder", Served("qwen3-coder", "qwen3_xml", None, 262_144)),
    (r"qwen3\.5", Served("qwen3.5", "qwen3_xml", "qwen3", 262_144)),
    (r"qwen3.*instruct[-_]2507", Served("qwen3", "hermes", None, 262_144)),
    (r"qwen3.*thinking[-_]2507", Served("qwen3", "hermes", "qwen3", 262_144)),
    (r"qwen3", Served("qwen3", "hermes", "qwen3", 40_960)),
    (r"qwen2\.5[-_]vl", Served("qwen2.5-vl", "hermes", None, 128_000, shows_tools=False)),
    (r"qwen2\.5", Served("qwen2.5", "hermes", None, 32_768)),
    (r"llama[-_]?3\.[123]", Served("llama-3.1", "llama3_json", None, 131_072)),
    (r"internvl2", Served("internvl", "internlm", None, 32_768, shows_tools=False)),
    (r"internvl", Served("internvl", "hermes", None, 32_768, shows_tools=False)),
    (r"idefics3|smolvlm", Served("idefics3", "hermes", shows_tools=False)),
    (r"gpt-oss", Served("gpt-oss", "openai", "openai_gptoss", 131_072)),
    (r"mistral|ministral", Served("mistral", "mistral")),
)
# Names of the table for `model_type` of a configuration.
_TYPES = {
    "qwen2": "qwen2.5",
    "qwen2_5_vl": "qwen2.5-vl",
    "qwen3": "qwen3",
    "qwen3_moe": "qwen3",
    "qwen3_vl": "qwen3-vl",
    "qwen3_vl_moe": "qwen3-vl",
    "qwen3_5": "qwen3.5",
    "llama": "llama-3.1",
    "internvl_chat": "internvl",
    "internvl": "internvl",
    "idefics3": "idefics3",
    "smolvlm": "smolvlm",
    "gpt_oss": "gpt-oss",
    "mistral": "mistral",
}


def served_as(model: str, config: Mapping[str, Any] | None = None) -> Served:
    """What this model needs.

    Args:
        model: its name or path; the last part of it decides, the whole where that says nothing.
        config: its `config.json`, where it is at hand: tells the family of a name that is in no table, and the context.
    """
    config = config or {}
    names = [model.rstrip("/").rpartition("/")[2], model, _TYPES.get(str(config.get("model_type")), "")]
    found = next((served for name in names if (served := _by_name(name)) is not None), UNKNOWN)
    longest = config.get("max_position_embeddings") or (config.get("text_config") or {}).get("max_position_embeddings")
    return found._replace(context=int(longest)) if longest else found


def _by_name(name: str) -> Served | None:
    name = name.lower()
    return next((served for pattern, served in _FAMILIES if re.search(pattern, name)), None)
