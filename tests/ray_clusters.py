"""Ray clusters of several nodes on this machine, small, and patient where other programs use its cores too."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

PORTS = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
PATIENCE = {
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_health_check_initial_delay_ms": "60000",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_worker_niceness": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}


@contextmanager
def cluster(nodes: int, *, cpus: int = 2) -> Iterator[Any]:
    """A cluster that this process is connected to; its first node cannot be removed."""
    import ray
    from ray._private import services, utils
    from ray.cluster_utils import Cluster

    start = services.start_raylet

    def start_raylet(*args: Any, **more: Any) -> Any:
        """A raylet gives its agents 15 s to tell their ports, less than they need on busy cores: told beforehand."""
        node, session = args[2], next(Path(each) for each in args if "/session_" in str(each) and Path(each).is_dir())
        for name in PORTS:
            (session / f"{name}_{node}").write_text(str(asked[name]))
        return start(*args, **more)

    lean = patch.object(utils, "get_dashboard_dependency_error", lambda: ImportError("agents without a web server"))
    with patch.dict(os.environ, PATIENCE), patch.object(services, "start_raylet", start_raylet), lean:
        made = Cluster()
        try:
            for _ in range(nodes):
                asked = {name: _free_port() for name in PORTS}
                less = {"include_log_monitor": False, "no_monitor": True, "include_dashboard": False}
                made.add_node(num_cpus=cpus, object_store_memory=80 * 2**20, **less, **asked)
            ray.init(made.address, log_to_driver=False, logging_level="ERROR")
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


def _free_port() -> int:
    """A port that nobody listens at, below those that connections are given: it is asked for only seconds later."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
