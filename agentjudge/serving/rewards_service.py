"""From the options of `agentjudge serve` to an application; pickled on its way to worker processes."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from agentjudge.audit.gate import demand
from agentjudge.judge import Judge
from agentjudge.models.base import Model
from agentjudge.registry import lookup
from agentjudge.serving import retrieve
from agentjudge.serving.guards import Keys, Locked
from agentjudge.serving.rewards import Limits, create_app
from agentjudge.serving.rewards_engines import Neutral
from agentjudge.serving.rewards_files import Files
from agentjudge.serving.rewards_jobs import VALUE, Jobs, PolicyName
from agentjudge.tools.corpus import Corpus


@dataclass(frozen=True, slots=True)
class RetrieveService:
    """Serves a corpus."""

    corpus: tuple[str, ...]
    index: str = "bm25"
    keys: tuple[str, ...] = ()

    def __call__(self) -> Any:
        """See `Service`."""
        keys, corpus = Keys(self.keys), Corpus.load(self.corpus)
        app = retrieve.create_app(corpus, index=self.index)
        app.add_middleware(Locked, keys=keys)
        app.state.documents = len(corpus)
        return app

    def told(self, app: Any, address: str) -> str:
        """See `Service`."""
        return f"{app.state.documents} documents at {address}/retrieve"


@dataclass(frozen=True, slots=True)
class RewardService:
    """Serves rewards, and a corpus beside them where there is one; see `Jobs` and `create_app`."""

    judge: str
    model: str | Model
    seed: int | None = None
    corpus: tuple[str, ...] | Corpus = ()
    index: str = "bm25"
    retrieve: bool = True
    """The corpus itself is served too."""
    reward: str = VALUE
    policy: PolicyName | None = None
    abstained: float | None = None
    neutral: float | None = None
    neutral_after: int = 3
    blank: float = 0.0
    cache: Path | None = None
    allow_files: Path | None = None
    audited: Path | None = None
    """Folder of an audit that let this very judge through; it is not served otherwise."""
    keys: tuple[str, ...] = ()
    limits: Limits = Limits()
    quiet: bool = False

    def __call__(self) -> Any:
        """See `Service`."""
        spec = lookup("judge", self.judge).target()
        files = Files(self.allow_files)
        corpus = self.corpus if isinstance(self.corpus, Corpus) else Corpus.load(self.corpus) if self.corpus else None
        searched = corpus if "retrieve" in spec.tools else None
        seconds = min(self.limits.deadline, spec.budget.seconds or self.limits.deadline)
        judge = Judge.load(
            self.judge,
            model=self.model,
            seed=self.seed,
            corpus=searched,
            index=self.index,
            budget=spec.budget.model_copy(update={"seconds": seconds}),
        )
        if self.audited is not None:
            demand(self.audited, judge.settings())
        jobs = Jobs(
            judge,
            reward=self.reward,
            abstained=self.abstained,
            policy=self.policy,
            files=files,
            sources={} if searched is None else {"corpus": searched.content_hash, "index": self.index},
        )
        return create_app(
            jobs,
            limits=self.limits,
            cache=self.cache,
            keys=self.keys,
            neutral=Neutral(self.neutral, after=self.neutral_after),
            blank=self.blank,
            corpus=corpus if self.retrieve else None,
            index=self.index,
            log=None if self.quiet else log_line,
        )

    def told(self, app: Any, address: str) -> str:
        """See `Service`."""
        return f"rewards of {app.judge_id} at {address}/v1/rewards"


def log_line(line: dict[str, Any]) -> None:
    """One line of JSON on standard error."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stderr.buffer.write(orjson.dumps({"time": now, **line}) + b"\n")
    sys.stderr.buffer.flush()
