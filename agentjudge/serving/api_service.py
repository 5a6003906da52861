"""From the options of `agentjudge serve` to the whole application."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp

from agentjudge.errors import require
from agentjudge.serving.api_app import ApiApp, Watch, create_app
from agentjudge.serving.api_bench import Bench
from agentjudge.serving.api_checkpoints import check_url
from agentjudge.serving.api_keys import KeyRing, read_keys
from agentjudge.serving.api_store import Store
from agentjudge.serving.api_work import ApiLimits
from agentjudge.serving.rewards_service import RewardService, log_line
from agentjudge.trace import Trace


@dataclass(frozen=True, slots=True)
class ApiService:
    """Serves verdicts, and beside them what `rewards` serves; see `create_app`."""

    judges: tuple[str, ...] = ()
    model: str = "embedded"
    corpora: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index: str = "bm25"
    search: str | None = None
    fetch: bool = False
    mcp: Path | None = None
    seed: int | None = None
    store: Path | None = None
    """Folder; one that is gone with the server when None."""
    checkpoints: str | None = None
    keys: tuple[str, ...] = ()
    key_file: Path | None = None
    limits: ApiLimits = ApiLimits()
    rewards: RewardService | None = None
    quiet: bool = False
    log_content: bool = False
    otel: bool = False
    local: bool = True
    """It listens at an address of this machine alone."""

    def __call__(self) -> ApiApp:
        """See `Service`."""
        check_url(self.checkpoints)
        ring = read_keys(self.key_file, self.keys)
        report = _report() if self.otel else None
        store = Store.open(self.store or Path(mkdtemp(prefix="agentjudge-served-")), passing=self.store is None)
        try:
            return self._over(store, report, ring)
        except BaseException:
            store.close()
            raise

    def _over(self, store: Store, report: Callable[[Trace], None] | None, ring: KeyRing) -> ApiApp:
        bench = Bench.load(
            self.judges,
            model=self.model,
            corpora=self.corpora,
            index=self.index,
            search=self.search,
            fetch=self.fetch,
            mcp=self.mcp,
            seed=self.seed,
        )
        rewards = None
        if self.rewards is not None:
            first = next(iter(bench.corpora.values()), None)
            corpus = () if first is None else first.corpus
            rewards = replace(self.rewards, model=bench.model, corpus=corpus, retrieve=False, keys=())()
        watch = Watch(None if self.quiet else log_line, self.log_content, report)
        return create_app(
            bench,
            store,
            limits=self.limits,
            ring=ring,
            checkpoints=self.checkpoints,
            rewards=rewards,
            watch=watch,
            local=self.local,
        )

    def told(self, app: ApiApp, address: str) -> str:
        """See `Service`."""
        bench = app.front.work.bench
        parts = [f"{', '.join(about['name'] for about in bench.about())} at {address}/v1/verdicts"]
        if self.rewards is not None and app.rewards is not None:
            parts.insert(0, f"rewards of {app.rewards.judge_id} at {address}/v1/rewards")
        for name, each in bench.corpora.items():
            path = "/retrieve" if name == bench.default_corpus else f"/v1/corpora/{name}/retrieve"
            parts.append(f"{len(each.corpus)} documents of {name!r} at {address}{path}")
        if self.store is None:
            parts.append("nothing is kept after the end (--store FOLDER keeps it)")
        return "; ".join(parts)


def _report() -> Callable[[Trace], None]:
    """Sends spans of judgements to OpenTelemetry's global providers.

    Raises:
        ConfigError: opentelemetry is not installed.
    """
    require("opentelemetry.trace", extra="otel")
    from agentjudge.interop.otel import report

    def tell(trace: Trace) -> None:
        report(trace)

    return tell
