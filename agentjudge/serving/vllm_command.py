"""The command that starts the right vLLM server for a judge and a model, with the reason of each option.

    plan = plan_server(judge, "Qwen/Qwen3-8B", adapters={"qwen3-claims": "adapters/claims"})
    plan.command        # python -m vllm.entrypoints.openai.api_server --model Qwen/Qwen3-8B ...
    plan.environment    # what it needs in the environment besides
    plan.notes          # what to know, or to do about the model

- Judges call tools, and conclude under a JSON schema: parsers by family (`vllm_families`), and xgrammar without free
  white space, of which a model that has lost its way never stops writing more.
- One judgement is one growing conversation: prefix caching, with the cached tokens told in `usage`.
- Pictures: as many a prompt as the judge's budget allows and its last turn may bring, where vLLM would allow 999; a
  cache of them as the model sees them. The client sends pictures inside its requests, so the server may fetch from
  nowhere and read no file unless that is named.
- The context is what the budget asks for, so that memory goes to judgements in flight. What a judgement takes is
  reckoned: prompt, what its turns say, what its tools bring, its pictures and the answer.
- Log-probabilities: raw ones for judging, whose confidences must not depend on the temperature; processed ones for
  training, where they have to be of the distribution that was sampled from.
- vLLM's own defaults in place of the model's `generation_config.json`, which other clients would get without a word.
- It listens on loopback: vLLM's API key protects only some of its paths.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentjudge.budget import Budget
from agentjudge.errors import ConfigError, boundary
from agentjudge.models.base import Sampling
from agentjudge.models.profiles import ModelProfile, profile_of
from agentjudge.serving.vllm_families import Served, served_as
from agentjudge.training.templates import FOLDER as TEMPLATES

if TYPE_CHECKING:
    from agentjudge.graphs.loop import LoopJudge

PORT = 8000
OPENING = 2_048
"""Tokens kept for a judge's opening: its instructions, tools and the case."""
RESULT = 2_048
"""Tokens that a tool call brings, about."""
SCREEN = 1280 * 720
"""Pixels of a picture, about."""
UNLIMITED = 64
"""Pictures of a prompt where the budget sets no limit."""
LAST_TURN = 8
"""Pictures that a turn may bring before the loop notices that there are enough."""
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks of adapters for which vLLM keeps room."""
NOWHERE = "none.invalid"
"""A domain that nobody can have (RFC 2606): the only one that media may come from, where none is named."""
ON_CPU = (
    # A seeded request whose prompt is read in two steps ends the CPU engine of vLLM 0.32 ("CPU Generator does not use
    # offset"), so prompts are read whole; eager, because compiling takes minutes on a few cores and saves little.
    *("--dtype", "bfloat16", "--enforce-eager", "--max-num-seqs", "16", "--no-enable-chunked-prefill"),
)
CPU_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "4",  # GiB; vLLM would take half of the memory
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # pinning to cores is harmful where others use them too
    "TOKENIZERS_PARALLELISM": "false",  # its threads would be forked
}


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server is to be started; what is None follows from judge and model."""

    python: str = "python"
    """Of the environment that has vLLM."""
    host: str = "127.0.0.1"
    port: int = PORT
    names: Sequence[str] = ()
    """Names under which it serves the model; the last part of a path, or the model's own."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """LoRA adapters by the name under which each answers: folders, or names on a hub."""
    context: int | None = None
    """Tokens of a prompt and its answer."""
    tools: str | None = None
    """Parser of tool calls; `none`: without."""
    reasoning: str | None = None
    """Parser of reasoning; `none`: without."""
    template: Path | None = None
    """Chat template."""
    for_training: bool = False
    data_parallel: int = 1
    """Engines behind the one address, each with a prefix cache of its own."""
    image_cache: float = 4.0
    """GiB of pictures that are kept as the model sees them."""
    media_path: Path | None = None
    """Folder of pictures that requests may name as file:// URLs."""
    media_domains: Sequence[str] = ()
    """Hosts from which the server may fetch pictures."""
    cpu: bool = False
    extra: Sequence[str] = ()
    """Options of vLLM, after all others, so that they win."""


class ServerPlan(NamedTuple):
    """A server that is not started yet."""

    command: list[str]
    environment: dict[str, str]
    """Besides that of the process."""
    names: tuple[str, ...]
    """Under which it will answer, adapters included."""
    url: str
    notes: tuple[str, ...]
    """What to know, or to do about the model."""


def command_for(judge: "LoopJudge", model: str, options: ServerOptions | None = None) -> list[str]:
    """The command line of `plan_server`."""
    return plan_server(judge, model, options).command


def plan_server(judge: "LoopJudge", model: str, options: ServerOptions | None = None) -> ServerPlan:
    """The server that a judge needs of a model.

    Args:
        judge: its budget decides context and pictures.
        model: a name on a hub, or a folder.
        options: what is not to follow from the two.

    Raises:
        ConfigError: an adapter that is not one, or two things of one name.
    """
    options = options or ServerOptions()
    folder = Path(model).expanduser()
    local = folder.is_dir()
    served = served_as(model, _json(folder / "config.json") if local else None)
    names = tuple(options.names) or (folder.resolve().name if local else model,)
    profile = profile_of(names[0])
    if len({*names, *options.adapters}) < len(names) + len(options.adapters):
        raise ConfigError(f"two of the names {', '.join((*names, *options.adapters))} are the same")
    context, notes = _context(judge.budget, profile, served, options)
    command = [options.python, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--host", options.host, "--port", str(options.port), "--model", str(folder) if local else model]
    command += ["--served-model-name", *names, "--max-model-len", str(context)]
    command += ["--generation-config", "vllm"]
    command += ["--logprobs-mode", "processed_logprobs" if options.for_training else "raw_logprobs"]
    command += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
    command += ["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']
    command += _parsers(served, options)
    command += _template(served, options, folder if local else None, notes)
    if profile.images:
        command += ["--limit-mm-per-prompt", json.dumps({"image": most_pictures(judge.budget), "video": 0})]
        command += ["--mm-processor-cache-gb", f"{options.image_cache:g}"]
    command += ["--allowed-media-domains", *(options.media_domains or (NOWHERE,))]
    if options.media_path is not None:
        command += ["--allowed-local-media-path", str(options.media_path.resolve())]
    if options.adapters:
        command += _lora(options.adapters, spare=options.cpu)
        notes += _strangers(options.adapters, names[0])
    if options.data_parallel > 1:
        command += ["--data-parallel-size", str(options.data_parallel)]
        notes.append("each engine caches prefixes of its own: several servers with sticky sessions reuse more")
    command += ["--disable-uvicorn-access-log"]
    environment = {"VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if options.cpu:
        command += [*ON_CPU, "--max-num-batched-tokens", str(context)]
        environment |= CPU_ENVIRONMENT
    shown_host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
    url = f"http://{shown_host}:{options.port}"
    return ServerPlan([*command, *options.extra], environment, (*names, *options.adapters), url, tuple(notes))


def most_pictures(budget: Budget) -> int:
    """Pictures that one prompt of a judge may hold."""
    return UNLIMITED if budget.images is None else budget.images + LAST_TURN


def wanted_context(budget: Budget, profile: ModelProfile, sampling: Sampling | None = None) -> int:
    """Tokens that a whole judgement may take, reckoned; the budget's own limit where it has one."""
    if budget.context is not None:
        return budget.context
    turn = (sampling or Sampling()).max_tokens
    free = min(budget.turns, budget.tool_calls + 1)  # judges that ask about each part of a case do it in prompts apart
    tokens = OPENING + free * turn + budget.tool_calls * RESULT + budget.answer_tokens
    if profile.images:
        tokens += (UNLIMITED if budget.images is None else budget.images) * math.ceil(SCREEN / profile.patch**2)
    return math.ceil(tokens / 1024) * 1024


def least_context(budget: Budget, sampling: Sampling | None = None) -> int:
    """Tokens below which there is no judging: an opening, a turn, one result and the answer."""
    if budget.context is not None:
        return budget.context
    return OPENING + (sampling or Sampling()).max_tokens + RESULT + budget.answer_tokens


def _context(budget: Budget, profile: ModelProfile, served: Served, options: ServerOptions) -> tuple[int, list[str]]:
    """The context to serve, and what there is to say about it."""
    if options.context is not None:
        return options.context, []
    wanted = wanted_context(budget, profile)
    if served.context is None or wanted <= served.context:
        return wanted, []
    told = f"a whole judgement may take {wanted} tokens, the model takes {served.context}: results that do not fit are "
    return served.context, [told + "taken back, with a word about it; fewer pictures or turns in the budget need less"]


def _parsers(served: Served, options: ServerOptions) -> list[str]:
    tools, reasoning = options.tools or served.tools, options.reasoning or served.reasoning
    found = ["--enable-auto-tool-choice", "--tool-call-parser", tools] if tools and tools != "none" else []
    return found + (["--reasoning-parser", reasoning] if reasoning and reasoning != "none" else [])


def _template(served: Served, options: ServerOptions, folder: Path | None, notes: list[str]) -> list[str]:
    """A chat template, where the model's own shows no tools."""
    if options.template is not None:
        if not options.template.is_file():
            raise ConfigError(f"no chat template at {options.template}")
        return ["--chat-template", str(options.template)]
    if served.shows_tools or served.tools is None or (folder is not None and _mentions_tools(folder)):
        return []
    if served.family == "idefics3":
        return ["--chat-template", str(TEMPLATES / "idefics3.jinja")]
    notes.append(
        f"the released template of {served.family} writes no tools into the prompt, so none would be called: give one "
        "that does with --template"
    )
    return []


def _mentions_tools(folder: Path) -> bool:
    """Whether a model's own chat template speaks of tools."""
    for name in ("chat_template.jinja", "chat_template.json", "tokenizer_config.json"):
        path = folder / name
        if path.is_file():
            return "tools" in path.read_text(encoding="utf-8", errors="replace")
    return False


def _lora(adapters: Mapping[str, str], *, spare: bool) -> list[str]:
    """Options of adapters: all may be in one batch, with room for the highest rank.

    Args:
        adapters: paths by name.
        spare: keep one slot empty. On the CPU vLLM 0.32 gives requests for the base whatever is in the last slot, when
            they share a batch with an adapter's (vLLM's pull request 48421); an empty slot changes nothing.
    """
    rank = max(_rank(name, path) for name, path in adapters.items())
    room = next((each for each in RANKS if each >= rank), None)
    if room is None:
        raise ConfigError(f"vLLM takes adapters up to rank {RANKS[-1]}, not {rank}")
    modules = [f"{name}={Path(path).resolve() if Path(path).is_dir() else path}" for name, path in adapters.items()]
    slots = str(len(adapters) + spare)
    return ["--enable-lora", "--max-loras", slots, "--max-lora-rank", str(room), "--lora-modules", *modules]


def _rank(name: str, path: str) -> int:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        if path.startswith((".", "/", "~")):
            raise ConfigError(f"no folder {path} for the adapter {name!r}")
        return 64  # on a hub
    config = folder / "adapter_config.json"
    if not config.is_file():
        raise ConfigError(f"{path} is no LoRA adapter: it has no adapter_config.json")
    return int(_json(config).get("r", 64))


def _strangers(adapters: Mapping[str, str], base: str) -> list[str]:
    """A note on adapters whose names tell the client of another family than the base."""
    family = profile_of(base).family
    strange = [name for name in adapters if profile_of(name).family != family]
    if not strange:
        return []
    told = f"the client finds a model's family in its name, and takes {', '.join(strange)} for "
    return [f"{told}{profile_of(strange[0]).family!r}: a name such as {family}-{strange[0]} says what it is"]


def _json(path: Path) -> dict[str, Any]:
    """A JSON object in a file; empty where there is none."""
    if not path.is_file():
        return {}
    with boundary(ConfigError, f"reading {path}"):
        return dict(json.loads(path.read_text(encoding="utf-8")))
