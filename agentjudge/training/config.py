"""What a training run is asked for: one TOML file, read into frozen tables. What is not known is refused by name.

    config = read_config("grpo.toml")
    config.grpo.steps, config.rollout.sampler

    seed = 0
    [model]
    path = "runs-out/sft"                     # a folder of transformers
    [data.gym]                                # or [data] cases = "claims.jsonl", corpus = ["docs/"]
    hops = [1, 2]
    [reward]
    name = "evidence_first"
    [grpo]
    steps = 200
    [output]
    folder = "runs-out/grpo"

Tables that are left out have the defaults below. Paths are taken from where the command runs. Ready files are in
`agentjudge/training/plans/`.
"""

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agentjudge.budget import Budget
from agentjudge.errors import ConfigError, boundary
from agentjudge.training.rows import Policy


class Table(BaseModel):
    """A table of the file; keys that are not its fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Lora(Table):
    """Low-rank adapters (arXiv 2106.09685) in place of training all weights."""

    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: list[str] | Literal["all-linear"] = "all-linear"
    """Names of the layers."""


class ModelTable(Table):
    """The policy."""

    path: str
    """Folder of a model of transformers, a name on the hub, or `nano`, the small judge that comes with the package."""
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    profile: str = ""
    """Family by whose conventions it is spoken to (`qwen3`, `tags`, ...); found by the path when empty."""
    context: int | None = Field(default=None, ge=64)
    """Tokens of a conversation; the model's own limit when left out."""
    keep_prefix: bool = True
    """Exchange a known chat template that does not keep what was said for one that does."""
    lora: Lora | None = None


class SamplingTable(Table):
    """How the policy is sampled. There is no `top_p`: what is trained is the distribution that was sampled from."""

    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=512, ge=1)
    """Tokens of a free turn; those of the verdict are `answer_tokens` of the budget."""


class JudgeTable(Table):
    """The judge that is trained."""

    name: str = "veri-r1"
    budget: Budget | None = None
    """Limits of a judgement; the judge's own when left out."""
    sampling: SamplingTable = SamplingTable()
    k: int = Field(default=3, ge=1)
    """Passages that a search shows."""
    index: Literal["bm25", "dense", "hybrid"] = "bm25"


class GymTable(Table):
    """Worlds made by chance; see `ClaimGym`."""

    hops: tuple[int, ...] = (1,)
    documents: int = Field(default=10, ge=1)
    rivals: int = Field(default=1, ge=1)
    others: int = Field(default=0, ge=0)
    again: float = Field(default=0.0, ge=0, le=1)
    wordings: int = Field(default=2, ge=1, le=2)
    names: str = "2"
    """`2` or `3` syllables, `nano` for the names of the nano judge, or a file with a name a line."""
    worlds: int | None = Field(default=None, ge=1)
    """So many worlds, over and over; new ones without end when left out."""
    seed: int = 0


class DataTable(Table):
    """What is judged: generated worlds, or a file of cases."""

    gym: GymTable | None = None
    cases: Path | None = None
    """JSON Lines, with gold."""
    test_cases: Path | None = None
    """Those that are measured on; never trained."""
    corpus: tuple[Path, ...] = ()
    """Files or folders that the cases of a file are held against."""
    reading: float = Field(default=0.0, ge=0, le=1)
    """Share of the gym's cases that are given with their documents and without tools: reading alone at 1."""
    beside: int = Field(default=0, ge=0)
    """Documents that do not matter, at most, among those that are given; how many is drawn for each case."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.gym is None) == (self.cases is None):
            raise ValueError("name either a [data.gym] or a file of cases")
        if self.gym is not None and (self.corpus or self.test_cases):
            raise ValueError("a gym brings its own corpus and its own cases to measure on")
        if self.reading and self.gym is None:
            raise ValueError("reading is of a gym; give cases of a file their documents, and no corpus")
        return self


class RewardTable(Table):
    """What a judgement earns; see `agentjudge list rewards`."""

    name: str = "evidence_first"
    options: dict[str, Any] = Field(default_factory=dict)


class AdvantageTable(Table):
    """What a rollout is worth beside its group; see `agentjudge list training`."""

    name: str = "grpo"
    options: dict[str, Any] = Field(default_factory=dict)


class Optimizer(Table):
    """What both stages share. AdamW."""

    steps: int = Field(default=100, ge=1)
    lr: float = Field(default=1e-5, gt=0)
    schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "constant_with_warmup"
    warmup: int = Field(default=0, ge=0)
    """Steps."""
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    gradient_checkpointing: bool = False
    threads: int | None = Field(default=None, ge=1)
    """Of torch, on a CPU; its own choice when left out."""


class SftTable(Optimizer):
    """Imitation of traces."""

    lr: float = Field(default=1e-3, gt=0)
    batch: int = Field(default=16, ge=1)
    """Sequences a step."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Sequences at once; the whole batch when left out."""
    source: str = "oracle"
    """`oracle` of a gym, `run:FOLDER` of traces, or a model that judges the cases first, such as vllm:NAME@URL."""
    superfluous: float = Field(default=0.0, ge=0, lt=1)
    """Carelessness of the oracle: the probability of a search too many."""
    disorder: float = Field(default=0.0, ge=0, le=1)
    """And of beginning at the wrong end."""
    cases: int = Field(default=200, ge=1)
    """Cases that a model judges."""
    tries: int = Field(default=1, ge=1)
    """Judgements of each."""
    workers: int = Field(default=0, ge=0)
    """Processes that make sequences beside the training."""
    used_tools: bool = True
    """Keep only traces in which a tool was truly used; reading has none."""
    max_length: int | None = Field(default=None, ge=16)
    """Tokens; longer sequences are left out."""


class GrpoTable(Optimizer):
    """Reinforcement by groups of rollouts (arXiv 2402.03300)."""

    prompts: int = Field(default=8, ge=1)
    """Cases a step."""
    group: int = Field(default=8, ge=2)
    """Rollouts a case."""
    micro_batch: int = Field(default=8, ge=1)
    """Rows at once."""
    iterations: int = Field(default=1, ge=1)
    """Steps on the same rollouts."""
    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo", "cispo", "luspo", "sapo", "vespo"] = "dapo"
    level: Literal["token", "sequence"] = "token"
    """Of importance ratios; `sequence` is GSPO's."""
    epsilon: float = Field(default=0.2, ge=0)
    epsilon_high: float | None = Field(default=None, ge=0)
    beta: float = Field(default=0.0, ge=0)
    """Of the divergence from the model at the start."""
    entropy: float = Field(default=0.0, ge=0)
    """Of a bonus for entropy."""
    max_length: int | None = Field(default=None, ge=16)
    """Tokens of a row; the rollouts of longer ones are masked."""
    importance_cap: float | None = Field(default=None, gt=0)
    """Correct for what the sampler's probabilities differ by from the trainer's, up to this ratio; takes a forward pass
    more. Left out: the sampler's are trusted. 2 is usual with vLLM."""
    rounds: int = Field(default=1, ge=1)
    """Dynamic sampling: rounds at most until enough groups tell their rollouts apart (arXiv 2503.14476)."""
    void: Literal["kept", "masked", "withheld"] = "kept"
    """Rollouts with turns that led to nothing (arXiv 2509.02479)."""


class CurriculumTable(Table):
    """Cases that the policy always or never gets right at the start are left out; for a limited number of cases."""

    tries: int = Field(default=5, ge=2)
    never: bool = False
    """Also leave out the cases that it never gets right; else those alone that it always does."""


class RolloutTable(Table):
    """How judgements are sampled."""

    sampler: str = "torch"
    """`torch`: the trainer's own weights, in this process; `vllm:NAME@URL`: a server, which is given each step's."""
    logprobs_mode: Literal["raw_logprobs", "processed_logprobs"] = "raw_logprobs"
    """As that server was started; at temperatures other than 1 it has to be the latter."""
    concurrency: int = Field(default=64, ge=1)
    policy: Policy = "fork"
    """What becomes of a prompt that does not go on from the turn before; see `rows`."""
    waits: int = Field(default=6, ge=0)
    """How often rollouts that an outage broke off are tried again."""
    wait: float = Field(default=5.0, ge=0)
    """Seconds before the first time, twice as long before each further one, up to `longest_wait`."""
    longest_wait: float = Field(default=300.0, ge=0)

    @model_validator(mode="after")
    def _known(self) -> Self:
        kind, _, rest = self.sampler.partition(":")
        name, at, url = rest.partition("@")
        if self.sampler != "torch" and not (kind == "vllm" and name and at and url.startswith(("http://", "https://"))):
            raise ValueError(f"sampler is 'torch' or 'vllm:NAME@http://...', not {self.sampler!r}")
        return self


class EvaluationTable(Table):
    """Measuring on cases that are not trained on."""

    every: int | None = Field(default=None, ge=1)
    """Steps; never in training when left out."""
    n: int = Field(default=60, ge=1)
    """Cases."""
    sampled: bool = True
    """Also measure as it is sampled in training, not only greedily."""


class GateTable(Table):
    """What a stage must reach on unseen cases, or its command fails."""

    least: float = Field(default=0.9, ge=0, le=1)
    measure: Literal["label", "joint"] = "label"
    n: int = Field(default=120, ge=1)


class MonitorsTable(Table):
    """Alarms; see `agentjudge.training.monitors`."""

    stop_on: tuple[str, ...] = ()
    """Names of the monitors whose alarm ends the training."""
    control: Path | None = None
    """Folder of a run with the reward `noise`, measured on the same cases as often: what it gains as well was not
    learned from this reward."""


class OutputTable(Table):
    """What is written, and where."""

    folder: Path = Path("runs-out/training")
    save_every: int = Field(default=50, ge=1)
    """Steps between checkpoints."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints."""
    tensorboard: bool = True


class TrainConfig(Table):
    """The whole file."""

    seed: int = 0
    """Of all that is drawn."""
    model: ModelTable
    judge: JudgeTable = JudgeTable()
    data: DataTable
    reward: RewardTable = RewardTable()
    advantage: AdvantageTable = AdvantageTable()
    sft: SftTable = SftTable()
    grpo: GrpoTable = GrpoTable()
    curriculum: CurriculumTable | None = None
    rollout: RolloutTable = RolloutTable()
    evaluation: EvaluationTable = EvaluationTable()
    gate: GateTable | None = None
    monitors: MonitorsTable = MonitorsTable()
    output: OutputTable = OutputTable()

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.curriculum is not None and self.data.gym is not None and self.data.gym.worlds is None:
            raise ValueError("a curriculum is of a limited number of cases: set [data.gym] worlds")
        if self.sft.source == "oracle" and self.data.gym is None and self.sft != SftTable():
            raise ValueError("the oracle knows a gym alone: set [sft] source to 'run:FOLDER' or to a model")
        return self


def read_config(path: str | Path) -> TrainConfig:
    """The file of a training run.

    Raises:
        ConfigError: no such file, no TOML, an unknown key, or a value that cannot be; all faults are named.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"no such file: {file}")
    with boundary(ConfigError, f"cannot read {file}"):
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    return parse_config(given, where=str(file))


def parse_config(given: dict[str, Any], *, where: str) -> TrainConfig:
    """The tables of a file, checked.

    Raises:
        ConfigError: see `read_config`.
    """
    try:
        return TrainConfig.model_validate(given)
    except ValidationError as exc:
        raise ConfigError(f"{where}: " + "; ".join(_told(error) for error in exc.errors())) from None


def _told(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = ", ".join(_fields(error["loc"][:-1]))
        return f"unknown key {place!r}" + (f"; there is {known}" if known else "")
    said = error["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def _fields(path: tuple[Any, ...]) -> list[str]:
    """The keys of the table at a path."""
    table: Any = TrainConfig
    for part in path:
        field = table.model_fields.get(part)
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        table = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if table is None:
            return []
    return list(table.model_fields)
