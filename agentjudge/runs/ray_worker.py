"""A judge on a node of a Ray cluster: what is sent there, and the actor that makes it of that.

    recipe = Recipe(judge="veri-r1", model="vllm:Qwen/Qwen3-8B", replicas=("http://gpu1:8000", "http://gpu2:8000"))
    judge = recipe.load(1, None, blobs=folder)          # asks gpu2

A recipe is names: judge, model, files. Nothing of a program is pickled, so what a worker runs is what is installed on
its node, and a node with another version, or with another corpus under the same path, is refused by its first word.
"""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from agentjudge import __version__
from agentjudge.case import Case
from agentjudge.errors import ConfigError
from agentjudge.judge import Judge
from agentjudge.runs.packing import dumps
from agentjudge.tools.corpus import Corpus
from agentjudge.trace import Trace

SERVED = ("vllm", "openai")
"""Kinds of models that replicas may serve."""
_SHA = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A judge by names, as `Judge.load` takes them.

    Raises:
        ConfigError: there are replicas of a model that no server has, or that has an address of its own.
    """

    judge: str = "veri-r1"
    model: str = "embedded"
    replicas: tuple[str, ...] = ()
    """Addresses of servers that all serve `model`; a worker asks one of them."""
    corpus: tuple[str, ...] = ()
    """Paths, the same on every node."""
    index: str = "bm25"
    search: str | None = None
    fetch: bool = False
    seed: int | None = None
    folder: str = ""
    """Where relative paths begin; the worker's own when empty."""

    def __post_init__(self) -> None:
        kind, _, rest = self.model.partition(":")
        if self.replicas and (kind not in SERVED or "@http" in rest):
            raise ConfigError("replicas serve one model: name it without an address, as in --model vllm:NAME")
        for url in self.replicas:
            if not url.startswith(("http://", "https://")):
                raise ConfigError(f"the address of a replica begins with http:// or https://: {url!r}")

    def load(self, place: int, corpus: Corpus | None, *, blobs: Path) -> Judge:
        """The judge of the worker at a place, from 0; `corpus` holds the texts of its paths.

        Raises:
            ConfigError: as `Judge.load`.
            DataError: as `Judge.load`.
        """
        address = f"@{self.replicas[place % len(self.replicas)]}" if self.replicas else ""
        return Judge.load(
            self.judge,
            model=self.model + address,
            corpus=corpus,
            index=self.index,
            search=self.search,
            fetch=self.fetch,
            seed=self.seed,
            blobs=blobs,
        )


class About(NamedTuple):
    """What a worker says of itself."""

    version: str
    settings: dict[str, Any]
    opens_pages: bool
    corpus: str | None
    """Hash of its texts."""
    node: str


class Judged(NamedTuple):
    """A judgement, and the pictures in it that the worker's folder holds, by SHA-256."""

    trace: Trace
    blobs: tuple[str, ...]


class Worker:
    """The actor; its coroutines run on one event loop, many judgements at a time."""

    def __init__(self, recipe: Recipe, place: int) -> None:
        if recipe.folder and Path(recipe.folder).is_dir():
            os.chdir(recipe.folder)  # a process of its own, in which paths shall mean what they mean to the driver
        self._blobs = Path(tempfile.mkdtemp(prefix="agentjudge-ray-"))
        self._corpus = Corpus.load(list(recipe.corpus)) if recipe.corpus else None
        self._judge = recipe.load(place, self._corpus, blobs=self._blobs)
        self._recipe = recipe

    async def about(self) -> About:
        """Its first word."""
        import ray

        settings = self._judge.settings()
        if self._recipe.replicas:
            settings["model"] = self._recipe.model
        texts = None if self._corpus is None else self._corpus.content_hash
        return About(__version__, settings, self._judge.opens_pages, texts, ray.get_runtime_context().get_node_id())

    async def judge(self, case: Case) -> Judged:
        """Judge one case; whatever goes wrong is a failed verdict."""
        traces: list[Trace] = []
        await self._judge.abatch([case], concurrency=1, on_trace=traces.append)
        return Judged(traces[0], self._named(traces[0]))

    async def read(self, blobs: tuple[str, ...]) -> list[bytes]:
        """The bytes of pictures."""
        return [self._path(sha).read_bytes() for sha in blobs]

    async def close(self) -> None:
        """Let go of the model and the folder."""
        await self._judge.aclose()
        shutil.rmtree(self._blobs, ignore_errors=True)

    def _path(self, sha: str) -> Path:
        return self._blobs / sha[:2] / sha

    def _named(self, trace: Trace) -> tuple[str, ...]:
        if not any(self._blobs.iterdir()):
            return ()
        found = {sha.decode() for sha in _SHA.findall(dumps(trace.to_json()))}
        return tuple(sorted(sha for sha in found if self._path(sha).is_file()))
