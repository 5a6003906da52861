"""Command for servers: serve."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from agentjudge.cli_options import index_option, mcp_option, model_option, search_option, seed_option
from agentjudge.errors import ConfigError

KEY = "AGENTJUDGE_SERVE_KEY"
UNNAMED = "corpus"
"""Name of the corpus of paths that have none."""
_NAMED = re.compile(r"([A-Za-z0-9][\w.-]{0,63})=(.+)", re.DOTALL)
_LOCAL = ("127.", "localhost", "::1")
REWARDS = (
    "reward", "policy", "abstained", "neutral", "neutral_after", "blank", "cache", "tries", "allow_files", "audited",
)  # fmt: skip
VERDICTS = ("search", "fetch", "mcp", "store", "checkpoints", "keys_file", "pixels", "pages", "log_content", "otel")


@click.command()
@click.option(
    "--judge", "judges", multiple=True, help="See `agentjudge list judges`; may be repeated. All when left out."
)
@model_option
@seed_option
@click.option(
    "--corpus", multiple=True, metavar="[NAME=]PATH", help="Files or folders to search; several make one of a name."
)
@index_option
@search_option
@click.option("--fetch", is_flag=True, help="Let judges open public web pages.")
@mcp_option
@click.option("--store", type=click.Path(path_type=Path), help="Folder that keeps verdicts and sessions.")
@click.option("--checkpoints", metavar="URL", help="postgresql://... for conversations; SQLite in the store otherwise.")
@click.option("--keys", "keys_file", type=click.Path(path_type=Path), help="File of keys, scopes and limits.")
@click.option("--api-key", "keys", multiple=True, envvar=KEY, help=f"A key for everything; or {KEY}. May be repeated.")
@click.option("--deadline", type=click.FloatRange(0, min_open=True), help="Seconds; 300, and 100 for rewards.")
@click.option("--concurrency", type=click.IntRange(1), help="Judgements at once; 64, and 256 for rewards.")
@click.option("--queue", type=click.IntRange(1), help="Those that wait among them; 1024, and 8192 for rewards.")
@click.option("--max-body", type=click.IntRange(1), default=64, show_default=True, help="Megabytes of a request.")
@click.option("--pixels", type=click.IntRange(1), default=50_400_000, show_default=True, help="Of a picture.")
@click.option("--pages", type=click.IntRange(1), default=500, show_default=True, help="Of a PDF.")
@click.option("--drain", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds to end, at SIGTERM.")
@click.option("--rewards", is_flag=True, help="Also serve the verdicts of the first judge as rewards.")
@click.option("--reward", default="verdict_value", show_default=True, help="See `agentjudge list rewards`.")
@click.option(
    "--policy",
    type=click.Choice(["listwise", "once", "pairs", "scores"]),
    help="How groups are asked; listwise (both orders) where the judge compares, else scores, when left out.",
)
@click.option("--abstained", type=click.FloatRange(0, 1), help="Reward of an abstention; none when left out.")
@click.option("--neutral", type=float, help="What OpenRLHF and slime get for no score; they get 503 when left out.")
@click.option("--neutral-after", type=click.IntRange(0), default=3, show_default=True, help="Answers of 503 before it.")
@click.option("--blank", type=float, default=0.0, show_default=True, help="What they get for a blank answer.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps rewards between runs.")
@click.option("--tries", type=click.IntRange(1), default=2, show_default=True, help="Attempts a reward.")
@click.option("--allow-files", type=click.Path(path_type=Path), help="Folder of files that rewarded cases may name.")
@click.option("--audited", type=click.Path(path_type=Path), help="Audit whose gate has to have let the judge through.")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes; above 1 without verdicts."
)
@click.option("--quiet", is_flag=True, help="No line a request on standard error.")
@click.option("--log-content", is_flag=True, help="Cases and verdicts in the log.")
@click.option("--otel", is_flag=True, help="Spans of judgements to OpenTelemetry's providers.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8010, show_default=True, help="0 takes a free one.")
@click.option("--ray", "address", metavar="ADDRESS", help="On a Ray cluster: local, auto, or HOST:PORT.")
@click.pass_context
def serve(
    ctx: click.Context, /, host: str, port: int, workers: int, drain: float, address: str | None, **_: Any
) -> None:
    """Serve judges by HTTP: verdicts with their steps, sessions, batches, corpora, and rewards for trainers.

    POST /v1/verdicts and what else docs/api.md names; POST /retrieve where there is a corpus. With --rewards also POST
    /v1/rewards and /v1/rank, /get_reward for OpenRLHF, /slime. With --ray by Ray Serve, --workers being its replicas.
    """
    service = service_of(ctx)
    if address is not None:
        from agentjudge.serving import ray_app

        ray_app.run(service, address=address, host=host, port=port, replicas=workers, drain=drain)
        return
    from agentjudge.serving.server import run

    run(service, host=host, port=port, workers=workers, drain=drain)


def service_of(ctx: click.Context) -> Any:
    """What the options of `serve` ask for, to be made into an application in each process; see `serving.server`.

    Raises:
        ConfigError: options that do not go together.
    """
    how = dict(ctx.params)
    rewards, host, corpora = how["rewards"], how["host"], named_corpora(how["corpus"])
    if not (host.startswith(_LOCAL) or how["keys"] or how["keys_file"]):
        raise ConfigError(f"whoever reaches {host} could use all of it: give --keys FILE, or a key in {KEY}")
    if not rewards:
        _refuse(ctx, REWARDS, "goes with --rewards")
    if how["workers"] > 1:
        _refuse(ctx, VERDICTS, "is for verdicts, which one process serves: leave --workers at 1")
        return _many(rewards, corpora, how)
    return _whole(_rewards(how, ()) if rewards else None, corpora, host, how)


def named_corpora(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Paths by the name of their corpus, in the order of the names; those without one are together `corpus`.

    Raises:
        ConfigError: a name has no path.
    """
    found: dict[str, tuple[str, ...]] = {}
    for each in given:
        match = _NAMED.fullmatch(each) if not Path(each).exists() else None
        name, path = (match[1], match[2]) if match else (UNNAMED, each)
        found[name] = (*found.get(name, ()), path)
    return found


def _whole(rewards: Any, corpora: dict[str, tuple[str, ...]], host: str, how: dict[str, Any]) -> Any:
    from agentjudge.serving.api_files import FileLimits
    from agentjudge.serving.api_service import ApiService
    from agentjudge.serving.api_work import ApiLimits

    given = {name: how[name] for name in ("deadline", "concurrency", "queue") if how[name] is not None}
    files = FileLimits(pixels=how["pixels"], pages=how["pages"])
    same = ("judges", "model", "index", "search", "fetch", "mcp", "seed", "store", "checkpoints", "keys")
    return ApiService(
        corpora=corpora,
        key_file=how["keys_file"],
        limits=ApiLimits(max_body=how["max_body"] * 1_000_000, files=files, **given),
        rewards=rewards,
        log_content=how["log_content"],
        local=host.startswith(_LOCAL),
        **{name: how[name] for name in (*same, "quiet", "otel")},
    )


def _many(rewards: bool, corpora: dict[str, tuple[str, ...]], how: dict[str, Any]) -> Any:
    """What several processes can serve: nothing of it is anybody's."""
    from agentjudge.serving.rewards_service import RetrieveService

    if len(corpora) > 1:
        raise ConfigError("several processes serve one corpus; leave --workers at 1 for more")
    paths = next(iter(corpora.values()), ())
    if rewards:
        return _rewards(how, paths)
    if not paths:
        raise ConfigError("several processes serve rewards or a corpus: give --rewards or --corpus")
    return RetrieveService(paths, how["index"], how["keys"])


def _rewards(how: dict[str, Any], corpus: tuple[str, ...]) -> Any:
    from agentjudge.serving.rewards import Limits
    from agentjudge.serving.rewards_service import RewardService

    given = {name: how[name] for name in ("deadline", "concurrency", "queue") if how[name] is not None}
    limits = Limits(tries=how["tries"], max_body=how["max_body"] * 1_000_000, **given)
    same = ("model", "seed", "index", "quiet", *(name for name in REWARDS if name != "tries"))
    judge = (how["judges"] or ("compare",))[0]
    options = {name: how[name] for name in same}
    return RewardService(judge=judge, corpus=corpus, limits=limits, keys=how["keys"], **options)


def _refuse(ctx: click.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that were given where they do nothing."""
    for param in ctx.command.params:
        given = param.name in names and ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE
        if given:
            raise ConfigError(f"{param.opts[0]} {why}")
