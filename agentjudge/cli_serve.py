"""Command for servers: serve."""

from pathlib import Path
from typing import Any

import click

from agentjudge.cli_options import index_option, model_options
from agentjudge.errors import ConfigError

KEY = "AGENTJUDGE_SERVE_KEY"


@click.command()
@click.option("--corpus", multiple=True, type=click.Path(), help="File or folder to serve; may be repeated.")
@index_option
@click.option("--rewards", is_flag=True, help="Serve a judge's verdicts as rewards.")
@model_options(judge="compare")
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
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps answers between runs.")
@click.option("--deadline", type=click.FloatRange(0, min_open=True), default=100.0, show_default=True, help="Seconds.")
@click.option("--concurrency", type=click.IntRange(1), default=256, show_default=True, help="Judgements in flight.")
@click.option("--queue", type=click.IntRange(1), default=8192, show_default=True, help="Jobs before requests get 429.")
@click.option("--tries", type=click.IntRange(1), default=2, show_default=True, help="Attempts a judgement.")
@click.option("--drain", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds to end, at SIGTERM.")
@click.option("--api-key", "keys", multiple=True, envvar=KEY, help=f"Asked of requests; or {KEY}. May be repeated.")
@click.option("--allow-files", type=click.Path(path_type=Path), help="Folder of files that cases may name.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--quiet", is_flag=True, help="No line a request on standard error.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8010, show_default=True, help="0 takes a free one.")
@click.pass_context
def serve(
    ctx: click.Context, /, rewards: bool, corpus: tuple[str, ...], index: str, host: str, port: int, workers: int,
    drain: float, judge_name: str, deadline: float, concurrency: int, queue: int, tries: int, **how: Any,
) -> None:  # fmt: skip
    """Serve a corpus by HTTP (POST /retrieve, Search-R1's convention), a judge's verdicts as rewards, or both.

    With --rewards: POST /v1/rewards and /v1/rank, /get_reward for OpenRLHF, /slime; GET /health and /metrics.
    """
    from agentjudge.serving.rewards import Limits
    from agentjudge.serving.rewards_service import RetrieveService, RewardService
    from agentjudge.serving.server import Service, run

    service: Service
    if rewards:
        limits = Limits(deadline=deadline, concurrency=concurrency, queue=queue, tries=tries)
        service = RewardService(judge=judge_name, corpus=corpus, index=index, limits=limits, **how)
    elif corpus:
        given = [name for name in (*how, "judge_name") if name in ctx.params and _was_given(ctx, name)]
        if given:
            raise ConfigError(f"--{given[0].removesuffix('_name').replace('_', '-')} goes with --rewards")
        service = RetrieveService(corpus, index)
    else:
        raise ConfigError("nothing to serve: give --corpus, --rewards or both")
    run(service, host=host, port=port, workers=workers, drain=drain)


def _was_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
