"""A real reward server in a thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from agentjudge.judge import Judge
from agentjudge.serving.rewards import Limits, create_app
from agentjudge.serving.rewards_engines import Neutral
from agentjudge.serving.rewards_jobs import Jobs


@contextmanager
def reward_server(judge: Judge, *, neutral: float | None = None) -> Iterator[str]:
    """The address of a server that asks this judge, once a case; the breaker never opens."""
    limits = Limits(tries=1, outages=10_000)
    app = create_app(Jobs(judge), limits=limits, neutral=Neutral(neutral))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
