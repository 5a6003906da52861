"""The judges of a worker of verl: one for each way to judge, shared by all rollouts, for verl makes a loop for each.

    model = model_of(Shared(server_manager, tokenizer, processor), "Qwen/Qwen2.5-3B-Instruct", "keep", 16384)
    judge = judge_of(settings, model, sampling, documents, 16384)

Graphs, corpora and indexes are made once. A case with a corpus of its own has a judge of its own, which the rollouts of
its group share.
"""

import json
from functools import lru_cache
from typing import Any, NamedTuple

from agentjudge.budget import Budget
from agentjudge.case import Document
from agentjudge.errors import ConfigError, boundary
from agentjudge.judge import Judge
from agentjudge.models.base import Model, Sampling
from agentjudge.models.profiles import profile_of
from agentjudge.registry import lookup
from agentjudge.tools.corpus import Corpus
from agentjudge.training.templates import keep_prefix
from agentjudge.training.tokens import TokenModel
from agentjudge.training.verl_sampler import PictureModel, VerlSampler
from agentjudge.training.verl_settings import LoopSettings

JUDGES = 256
"""That a worker keeps, and corpora of rows."""
_judges: dict[Any, Judge] = {}


class Shared(NamedTuple):
    """What all loops of a worker have in common; compared as the very same objects."""

    server: Any
    tokenizer: Any
    processor: Any
    pictures: Any = None
    """Options of the image processor."""

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shared) and self._key == other._key

    @property
    def _key(self) -> tuple[int, int, int, str]:
        return id(self.server), id(self.tokenizer), id(self.processor), json.dumps(self.pictures, sort_keys=True)


@lru_cache(maxsize=8)
def model_of(shared: Shared, profile: str, template: str, context: int) -> Model:
    """The model of a worker: verl's servers behind our tokens."""
    limits = {name: shared.pictures[name] for name in ("min_pixels", "max_pixels") if name in (shared.pictures or {})}
    found = profile_of(profile).model_copy(update=limits)  # boxes are in pixels of what the model sees
    words = keep_prefix(shared.tokenizer) if template == "keep" else shared.tokenizer
    sampler = VerlSampler(shared.server, words, pictures=shared.pictures)
    made: Model = TokenModel(sampler, words, name=f"verl:{profile}", profile=found, context=context)
    if shared.processor is None:
        return made
    return PictureModel(made, shared.processor, profile=found, options=shared.pictures)


def judge_of(settings: LoopSettings, model: Model, sampling: Sampling, documents: str, context: int) -> Judge:
    """The judge with these settings.

    Args:
        settings: of the loop.
        model: of the worker.
        sampling: how its tokens are drawn.
        documents: the corpus of a row, as JSON; the loop's when empty.
        context: tokens of a prompt and its answer, where the settings name no budget of them.

    Raises:
        ConfigError: unknown judge, index or engine, or a budget with other fields.
        DataError: the corpus is absent, empty or cannot be read.
    """
    key = (settings.model_dump_json(), id(model), sampling.model_dump_json(), documents)
    if key not in _judges:
        while len(_judges) >= JUDGES:
            _judges.pop(next(iter(_judges)))
        given = lookup("judge", settings.judge).target().budget.model_dump() | {"context": context} | settings.budget
        with boundary(ConfigError, f"the budget {settings.budget}"):
            budget = Budget.model_validate(given)
        corpus = _corpus(documents or json.dumps(settings.corpus), bool(documents))
        _judges[key] = Judge.load(
            settings.judge,
            model=model,
            corpus=corpus,
            index=settings.index,
            search=settings.search,
            budget=budget,
            sampling=sampling,
        )
    return _judges[key]


@lru_cache(maxsize=JUDGES)
def _corpus(given: str, own: bool) -> Corpus | None:
    """The corpus of a row, or of the loop, of which there is one a worker."""
    if own:
        return Corpus([Document.model_validate(document) for document in json.loads(given)])
    paths = json.loads(given)
    return Corpus.load(paths) if paths else None
