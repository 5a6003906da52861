"""What `agentjudge serve` serves, as an application of Ray Serve.

    agentjudge serve --ray auto --rewards --workers 4 --model vllm:Qwen/Qwen3-8B@http://gpu1:8000
    agentjudge serve --ray auto --store served/ --model ...               # verdicts, sessions, batches, the page
    serve run agentjudge.serving.ray_app:app store=/data/served checkpoints=postgresql://db/judge model=...

Ray replaces a replica that dies, and its proxies carry requests, streams of events too, from any node to it.

What must be shared. Rewards and `/retrieve` keep nothing of anybody, so they may have any number of replicas. Verdicts,
sessions, batches and files are one process's: they stand in the `--store` folder, which one replica locks, so there is
one replica, and it needs a store, or whoever replaces it would know nothing. With SQLite for the checkpoints, a file of
that folder, the replica stays on the node where it was started; it is replaced there, and goes on with the sessions.
With `--checkpoints postgresql://...` it may be replaced on any node, and then the folder must be one that all
nodes see. For more throughput of verdicts give the model more replicas, which is where the time goes; for more than one
process of the API, serve several applications, each with a store and keys of its own.
"""

import contextlib
import signal
import sys
import threading
from typing import Any

from agentjudge.errors import ConfigError, boundary, require
from agentjudge.runs.ray_pool import join
from agentjudge.serving.api_service import ApiService
from agentjudge.serving.server import Service

NAME = "agentjudge"
ONGOING = 10_000
"""Requests at a replica: it has limits of its own, which say when to come again."""


class Replica:
    """Makes the application where it is served."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __serve_build_asgi_app__(self) -> Any:  # noqa: PLW3201  Ray's name
        """The ASGI application; Ray calls it once a replica."""
        return self._service()


def application(service: Service, *, replicas: int = 1, drain: float = 30.0) -> Any:
    """An application of Ray Serve, to be given to `serve.run`; a cluster must be joined.

    Args:
        service: makes the ASGI application, in each replica.
        replicas: how many.
        drain: seconds for what is in flight, when a replica is to end.

    Raises:
        ConfigError: these replicas cannot share what the service keeps.
    """
    ray, serve = require("ray", extra="ray"), require("ray.serve", extra="ray")
    check_shared(service, replicas)
    actor: dict[str, Any] = {"num_cpus": 1}
    if isinstance(service, ApiService) and service.checkpoints is None:
        actor["resources"] = {f"node:{ray.util.get_node_ip_address()}": 0.001}
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name=NAME,
        num_replicas=replicas,
        ray_actor_options=actor,
        max_ongoing_requests=ONGOING,
        graceful_shutdown_timeout_s=drain,
    )
    return deployment.bind(service)


def check_shared(service: Service, replicas: int) -> None:
    """Refuse replicas that could not find what was kept.

    Raises:
        ConfigError: verdicts without a store, or with several replicas.
    """
    if not isinstance(service, ApiService):
        return
    if replicas > 1:
        raise ConfigError(
            f"{replicas} replicas cannot serve verdicts: sessions, batches and files stand in the SQLite of one store, "
            "which one process has; leave it at 1, or serve several applications with a --store and keys each"
        )
    if service.store is None:
        raise ConfigError("a replica that is replaced must find what the one before it kept: give --store FOLDER")
    if not service.store.is_absolute():
        raise ConfigError(f"name the store from the root, as replicas run elsewhere: {service.store}")


def app(args: dict[str, str]) -> Any:
    """The application from options of `agentjudge serve`, for `serve run agentjudge.serving.ray_app:app`.

    Args:
        args: options without their dashes, such as `{"model": "embedded", "store": "/data/served"}`; several values of
            one are joined by commas, and a flag is `true`. `workers` is the number of replicas.

    Raises:
        ConfigError: an unknown option, or replicas that could not share what is kept.
    """
    from agentjudge.cli_serve import serve as command
    from agentjudge.cli_serve import service_of

    known = {option.removeprefix("--"): param for param in command.params for option in param.opts}
    given: list[str] = []
    for name, value in args.items():
        param = known.get(name.replace("_", "-"))
        if param is None:
            raise ConfigError(f"`agentjudge serve` has no option --{name}")
        option = param.opts[0]
        if getattr(param, "is_flag", False):
            given += [option] if value == "true" else []
            continue
        for each in value.split(",") if param.multiple else [value]:
            given += [option, each]
    with boundary(ConfigError, "options of the application"):
        context = command.make_context("serve", given)
    params = context.params
    return application(service_of(context), replicas=params["workers"], drain=params["drain"])


def run(service: Service, *, address: str, host: str, port: int, replicas: int, drain: float) -> None:
    """Serve on a cluster until this process is told to end.

    Args:
        service: makes the ASGI application.
        address: of the cluster, as `judge --ray` takes it.
        host: address that Ray's proxies listen at.
        port: their port.
        replicas: how many.
        drain: seconds for what is in flight at the end.

    Raises:
        ConfigError: no cluster, or the application cannot be made or shared.
    """
    ray, serve = require("ray", extra="ray"), require("ray.serve", extra="ray")
    check_shared(service, replicas)
    ours = join(ray, address, replicas + 2)  # a controller and a proxy beside them
    try:
        with boundary(ConfigError, "Ray Serve cannot start the application"):
            serve.start(http_options={"host": host, "port": port})
            serve.run(application(service, replicas=replicas, drain=drain), name=NAME, route_prefix="/")
        over = threading.Event()
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, lambda *_: over.set())
        print(f"served at http://{host}:{port} by replicas of Ray: {replicas}", file=sys.stderr, flush=True)
        over.wait()
    finally:
        with contextlib.suppress(Exception):
            serve.delete(NAME)
        if ours:
            with contextlib.suppress(Exception):
                serve.shutdown()
            ray.shutdown()
