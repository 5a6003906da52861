"""Running an application: on one port by one process or several, to an orderly end.

    run(service, host="127.0.0.1", port=8010, workers=2, drain=30.0)

`service` makes the application, in each process anew; it is pickled where there are several. They share the port, and
each has limits, coalescing and a circuit breaker of its own; what they keep on a disk, and their metrics, are common.
One that dies is replaced.

On SIGTERM or SIGINT an application with a desk (`agentjudge.serving.rewards_desk`) drains: `/health` and new requests
are answered 503, what is in flight gets `drain` seconds, then everything left is answered "no score", and the server
ends with 0. A second signal ends it at once.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from agentjudge.errors import AgentJudgeError, ConfigError, boundary, require
from agentjudge.serving.rewards_metrics import TOGETHER, forget

BACKLOG = 2_048
KEEPALIVE = 75
"""Seconds that an idle connection is kept: longer than trainers pause between two requests of a step."""
GRACE = 5.0
"""Seconds for sending the last answers, after a drain."""
SHORT_LIFE = 5.0
"""Seconds; a process that lived no longer is replaced after a pause of as many."""

SWITCH = 0.0001
"""Seconds after which the loop lets a thread go on that has an answer of a database; each takes several such waits."""
ROUNDS = (100_000, 5, 5)
"""Objects made and not released between two rounds of the garbage collector, in which nothing else is done, and rounds
before a longer one."""


class Service(Protocol):
    """Makes an application."""

    def __call__(self) -> Any:
        """The ASGI application.

        Raises:
            AgentJudgeError: it cannot be made; the message says why.
        """
        ...

    def told(self, app: Any, address: str) -> str:
        """What is printed when it is served at this address."""
        ...


def run(service: Service, *, host: str, port: int, workers: int = 1, drain: float = 30.0) -> None:
    """Serve until told to end; where it listens is printed on standard error.

    Args:
        service: makes the application.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        workers: processes.
        drain: seconds for what is in flight at the end.

    Raises:
        ConfigError: nothing can listen there, or the application cannot be made.
        AgentJudgeError: as `service` raises.
    """
    require("uvicorn", extra="serve")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with boundary(ConfigError, f"cannot listen on {host} port {port}"):  # before anything is built for nothing
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    with listening:
        if workers > 1:
            _supervise(service, listening, address, workers=workers, drain=drain)
            return
        app = service()
        _settle()
        _print(service.told(app, address))
        _serve(app, listening, drain=drain)


def _settle() -> None:
    """Take all that was made so far, modules and models, out of the garbage collector's rounds, and make these rarer.

    As Python has them, they take about a tenth of a judgement's CPU: it makes many objects, and few cycles. Threads of
    databases wait 5 ms for a busy loop, as Python has it, and a session waits for them many times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*ROUNDS)
    sys.setswitchinterval(SWITCH)


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _serve(app: Any, listening: socket.socket, *, drain: float, worker: bool = False) -> None:
    """Serve an application in this process until it is told to end."""
    uvicorn = require("uvicorn", extra="serve")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEPALIVE,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    server.handle_exit = _Ending(server, getattr(app, "desk", None), drain, deaf=worker)
    server.run(sockets=[listening])


class _Ending:
    """What a signal does: the first one drains, the second one ends."""

    def __init__(self, server: Any, desk: Any, drain: float, *, deaf: bool) -> None:
        self._server, self._desk, self._drain, self._deaf = server, desk, drain, deaf
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    def __call__(self, sig: int, frame: Any) -> None:
        if self._deaf and sig == signal.SIGINT:
            return  # a terminal tells all processes; the parent tells us
        if self._ending or self._desk is None:
            self._server.should_exit = True
            self._server.force_exit = self._ending
            return
        self._ending = True
        asyncio.get_running_loop().call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        try:
            await self._desk.drain(self._drain)
        finally:
            self._server.should_exit = True


# several processes


class _Worker:
    """A process of the application."""

    def __init__(self, context: Any, service: Service, listening: socket.socket, drain: float) -> None:
        self.pipe, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(service, listening, drain, theirs), name="agentjudge")
        self.process.start()
        theirs.close()
        self.began = time.monotonic()

    def stop(self) -> None:
        """Tell it to end."""
        if self.process.is_alive():
            self.process.terminate()


def _work(service: Service, listening: socket.socket, drain: float, pipe: Connection) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()
    try:
        app = service()
        line = service.told(app, "{}")
    except AgentJudgeError as exc:
        pipe.send((False, exc.message))
        return
    _settle()
    pipe.send((True, line))
    pipe.close()
    _serve(app, listening, drain=drain, worker=True)


def _follow() -> None:
    """End when the parent is gone, however that came."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _supervise(service: Service, listening: socket.socket, address: str, *, workers: int, drain: float) -> None:
    context = multiprocessing.get_context("spawn")
    over = threading.Event()
    handlers = {sig: signal.signal(sig, lambda *_: over.set()) for sig in (signal.SIGTERM, signal.SIGINT)}
    running: list[_Worker] = []
    with TemporaryDirectory(prefix="agentjudge-metrics-") as folder:
        os.environ[TOGETHER] = folder
        try:
            running += [_Worker(context, service, listening, drain) for _ in range(workers)]
            lines = [_first_word(worker, over) for worker in running]
            if not over.is_set():
                _print(f"{lines[0].replace('{}', address, 1)} ({workers} processes)")
            while not over.is_set():
                _replace_dead(running, lambda: _Worker(context, service, listening, drain), over, Path(folder))
        finally:
            for worker in running:
                worker.stop()
            for worker in running:
                worker.process.join(drain + 2 * GRACE)
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
            del os.environ[TOGETHER]
            for sig, handler in handlers.items():
                signal.signal(sig, handler)


def _first_word(worker: _Worker, over: threading.Event) -> str:
    """What a worker says once it has its application.

    Raises:
        ConfigError: it has none.
    """
    while not worker.pipe.poll(0.2):
        if over.is_set():
            return ""
    with suppress(EOFError):
        made, line = worker.pipe.recv()
        if made:
            return str(line)
        raise ConfigError(line)
    raise ConfigError("a worker process ended before it could serve")


def _replace_dead(running: list[_Worker], new: Callable[[], _Worker], over: threading.Event, folder: Path) -> None:
    """Wait a moment; workers that died in it are replaced."""
    wait([worker.process.sentinel for worker in running], timeout=0.5)
    for place, worker in enumerate(running):
        if over.is_set() or worker.process.is_alive():
            continue
        pid, code = worker.process.pid, worker.process.exitcode
        _print(f"worker {pid} ended with {code}; another one takes its place")
        if pid is not None:
            forget(pid, folder)
        if time.monotonic() - worker.began < SHORT_LIFE:
            over.wait(SHORT_LIFE)
        if not over.is_set():
            running[place] = new()
