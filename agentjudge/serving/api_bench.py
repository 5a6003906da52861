"""The judges and the corpora of a server: one model and one set of tools, however many owners there are.

    bench = Bench.load(judges=(), model="embedded", corpora={"docs": ("docs/",)})
    judge = bench.judge("veri-r1", "docs", files, saver)
    bench.choose(case)                       # the judge for a case that names none

Without names all registered judges that the model can drive are served. A case goes to the first one that takes its
kind; one with pictures or pages to the first that can look at them, where there is one.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from agentjudge.case import ActionChoice, Case, Document
from agentjudge.errors import ConfigError, DataError
from agentjudge.graphs.fanout import FanJudge
from agentjudge.graphs.loop import LoopJudge
from agentjudge.models.base import Model, load_model
from agentjudge.registry import Component, load_kind, lookup
from agentjudge.serving.api_files import OwnerFiles
from agentjudge.serving.api_judge import ServedJudge
from agentjudge.tools.base import Tool, ToolBox
from agentjudge.tools.corpus import Corpus
from agentjudge.tools.index import Index, open_index
from agentjudge.tools.retrieve import Retrieve

FIRST = ("veri-r1", "arm-thinker", "compare", "trajectory", "checklist", "web-arbiter")
"""The order in which judges are tried for a case; the others follow."""
LOOKING = "image_zoom_in_tool"
"""A judge with this tool looks at pictures and pages."""
ALONE = frozenset({"checklist"})
"""Judges that score one action, and do not choose among several."""
WORDS_ONLY = frozenset({"checklist", "webjudge"})
"""Judges that the embedded model cannot drive."""


@dataclass(frozen=True, slots=True)
class ServedCorpus:
    """A corpus and its index."""

    corpus: Corpus
    index: Index

    def about(self, name: str) -> dict[str, Any]:
        """What is told of it."""
        sizes = {"documents": len(self.corpus), "passages": len(self.corpus.passages)}
        return {"name": name, **sizes, "index": self.index.name}


class Bench:
    """See the module.

    Args:
        judges: registered ones, in the order in which they are tried.
        model: that all of them ask; closed with the bench.
        corpora: by name; the first one is searched where a request names none.
        sources: further tools, such as `search`, for judges that use them.
        seed: as everywhere.
    """

    def __init__(
        self,
        judges: Sequence[Component],
        *,
        model: Model,
        corpora: Mapping[str, ServedCorpus] | None = None,
        sources: Sequence[Tool[Any]] = (),
        seed: int | None = None,
    ) -> None:
        self.model = model
        self.corpora = dict(corpora or {})
        self._components = {component.name: component for component in judges}
        self._specs: dict[str, LoopJudge] = {component.name: component.target() for component in judges}
        self._sources, self._seed = list(sources), seed
        self._boxes: dict[tuple[str, str | None], ToolBox] = {}
        self._judges: dict[tuple[str, str | None, str], ServedJudge] = {}

    @classmethod
    def load(
        cls,
        judges: Sequence[str] = (),
        *,
        model: str | Model = "embedded",
        corpora: Mapping[str, Sequence[str]] | None = None,
        index: str = "bm25",
        search: str | None = None,
        fetch: bool = False,
        mcp: str | Path | None = None,
        seed: int | None = None,
    ) -> Self:
        """A bench from the options of `agentjudge serve`.

        Raises:
            ConfigError: unknown judge, model, index or engine, an MCP server that cannot be used, or a missing extra.
            DataError: a corpus is absent, empty or cannot be read.
        """
        found = [lookup("judge", name) for name in judges]
        loaded = load_model(model) if isinstance(model, str) else model
        if not found:
            known = load_kind("judge")
            order = [name for name in FIRST if name in known] + [name for name in known if name not in FIRST]
            skip = WORDS_ONLY if loaded.profile.family == "embedded" else frozenset[str]()
            found = [known[name] for name in order if name not in skip]
        served = {}
        for name, paths in (corpora or {}).items():
            corpus = Corpus.load(list(paths))
            served[name] = ServedCorpus(corpus, open_index(corpus, index))
        sources: list[Tool[Any]] = []
        if search is not None:
            from agentjudge.tools.search import Search, load_engine

            sources.append(Search(load_engine(search)))
        if fetch:
            from agentjudge.tools.fetch import Fetch

            sources.append(Fetch())
        if mcp is not None:
            from agentjudge.tools.mcp import mcp_tools

            if not any(component.target().takes_foreign(loaded.profile) for component in found):
                raise ConfigError(f"no judge here uses tools of MCP servers with the model {loaded.name!r}")
            sources += mcp_tools(mcp)
        return cls(found, model=loaded, corpora=served, sources=sources, seed=seed)

    def about(self) -> list[dict[str, Any]]:
        """What is told of the judges, in the order in which they are tried."""
        return [
            {
                "name": name,
                "summary": self._components[name].summary,
                "takes": [kind.model_fields["kind"].default for kind in spec.cases],
                "tools": list(self._box(name, self._corpus(spec, None)).tools),
                "challenge": not isinstance(spec, FanJudge),
                "corpus": "retrieve" in spec.tools,
                "paper": self._components[name].paper,
            }
            for name, spec in self._specs.items()
        ]

    @property
    def names(self) -> list[str]:
        """Of the judges, in the order in which they are tried."""
        return list(self._specs)

    def summary(self, name: str) -> str:
        """What a judge does, in a line."""
        return self._components[name].summary

    @property
    def sources(self) -> list[Tool[Any]]:
        """The further tools."""
        return list(self._sources)

    @property
    def default_corpus(self) -> str | None:
        """The first one."""
        return next(iter(self.corpora), None)

    def choose(self, case: Case) -> str:
        """The judge for a case.

        Raises:
            DataError: none takes this kind.
        """
        fitting = [name for name, spec in self._specs.items() if isinstance(case, spec.cases)]
        if not fitting:
            raise DataError(f"no judge of this server takes a {type(case).__name__}")
        if isinstance(case, ActionChoice) and len(case.candidates) > 1:
            fitting = [name for name in fitting if name not in ALONE] or fitting
        if case.images or any(not isinstance(document, Document) for document in case.documents):
            return next((name for name in fitting if LOOKING in self._specs[name].tools), fitting[0])
        return fitting[0]

    def check(self, name: str, case: Case) -> None:
        """Refuse a case that a judge does not take.

        Raises:
            DataError: it does not.
            ConfigError: there is no such judge here.
        """
        spec = self.spec(name)
        if not isinstance(case, spec.cases):
            wanted = " or ".join(kind.__name__ for kind in spec.cases)
            raise DataError(f"judge {name!r} takes a {wanted}, not a {type(case).__name__}")

    def spec(self, name: str) -> LoopJudge:
        """The machine of a judge.

        Raises:
            ConfigError: there is no such judge here.
        """
        if name not in self._specs:
            raise ConfigError(f"no judge {name!r} here; there is {', '.join(self._specs)}")
        return self._specs[name]

    def judge(self, name: str, corpus: str | None, files: OwnerFiles, saver: Any) -> ServedJudge:
        """A judge for the files of an owner, with a corpus where it uses one.

        Raises:
            ConfigError: no such judge, or no such corpus any more.
        """
        spec = self.spec(name)
        corpus = corpus if "retrieve" in spec.tools else None
        key = name, corpus, str(files.blobs)
        if key not in self._judges:
            if corpus is not None and corpus not in self.corpora:
                raise ConfigError(f"the corpus {corpus!r} is not served any more")
            box = self._box(name, corpus)
            self._judges[key] = ServedJudge(
                spec, model=self.model, box=box, blobs=files.blobs, saver=saver, seed=self._seed
            )
        return self._judges[key]

    def _corpus(self, spec: LoopJudge, name: str | None) -> str | None:
        return (name or self.default_corpus) if "retrieve" in spec.tools else None

    def _box(self, name: str, corpus: str | None) -> ToolBox:
        key = name, corpus
        if key not in self._boxes:
            spec = self._specs[name]
            tools = [*spec.brings(), *(tool for tool in self._sources if spec.takes(tool, self.model.profile))]
            if corpus is not None:
                served = self.corpora[corpus]
                tools.append(Retrieve(served.corpus, index=served.index))
            self._boxes[key] = ToolBox(tools)
        return self._boxes[key]

    async def aclose(self) -> None:
        """Release the model, the tools and their threads."""
        for box in self._boxes.values():
            with suppress(Exception):  # tools of several boxes are one, and closed by the first
                await box.aclose()
        await self.model.aclose()
