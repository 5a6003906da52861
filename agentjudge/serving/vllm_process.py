"""A vLLM server as a child process: started, watched until it is healthy, its log passed on, stopped as a whole.

    run_server(plan, say=print)                   # until SIGINT or SIGTERM, or until it dies
    with started(plan, say=print) as server:      # in a program
        ...

vLLM is a parent with engines below it; all of them are one process group of their own. The end is asked for with
SIGTERM, and what is left after `GRACE` seconds is killed; a second signal kills at once. When the server dies by
itself, its last lines say why, and so does a hint where the cause is a known one.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from agentjudge.errors import ConfigError, ModelError
from agentjudge.serving.vllm_command import ServerPlan

GRACE = 30.0
"""Seconds for an orderly end."""
START = 1800.0
"""Seconds until it has to be healthy: large weights are read from slow disks, and kernels compiled."""
LINES = 20
"""Of the log, that are shown when the server dies."""
PYTHON = "AGENTJUDGE_VLLM_PYTHON"
Say = Callable[[str], None]
# Opener without proxies: the server is on this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
_HINTS = (
    (r"address already in use", "the port is taken: --port"),
    (r"out of memory|No available memory for the cache blocks|Free memory on device", "the GPU's memory is too small "
     "for this, or others use it: -- --gpu-memory-utilization 0.8, or a smaller --context"),
    (r"larger than the (available|maximum).*KV cache|KV cache.*is needed", "a smaller --context needs less memory"),
    (r"max_model_len.*greater than|derived max_model_len", "the model takes less than that: --context"),
    (r"does not support LoRA", "vLLM cannot put adapters onto this model"),
    (r"is not a local folder and is not a valid model|offline mode|couldn't connect|Repository Not Found",
     "no such model here, nor on the hub"),
    (r"Failed to infer device type|No CUDA GPUs", "no GPU was found: --cpu, with a vLLM built for the CPU"),
    (r"No module named '?vllm", "that python has no vLLM: --python"),
)  # fmt: skip


class VLLMServer:
    """A server that was started.

    Args:
        plan: what is started.
        say: gets each line of the log, with its prefix.
    """

    def __init__(self, plan: ServerPlan, *, say: Say) -> None:
        self.plan = plan
        self.tail: deque[str] = deque(maxlen=LINES)
        self._say = say
        self._began = time.monotonic()
        environment = {**os.environ, **plan.environment}
        try:
            self.process = subprocess.Popen(
                plan.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
        except OSError as exc:
            raise ConfigError(f"cannot start {plan.command[0]}: {exc.strerror or exc}") from exc
        self._reader = threading.Thread(target=self._read, name="vllm-log", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            if line:
                self.tail.append(line)
                self._say(f"[vllm] {line}")
        self.process.stdout.close()

    @property
    def alive(self) -> bool:
        """Whether the parent runs."""
        return self.process.poll() is None

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            with _open(f"{self.plan.url}/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def wait_healthy(self, *, stop: threading.Event | None = None, seconds: float = START) -> bool:
        """Wait until it answers.

        Args:
            stop: ends the waiting when it is set.
            seconds: at most.

        Returns:
            Whether it answers; False only where `stop` was set.

        Raises:
            ModelError: it died, or did not answer in time.
        """
        stop = stop or threading.Event()
        while not stop.is_set():
            if not self.alive:
                raise ModelError(self.obituary("before it could answer"))
            if self.healthy():
                return True
            if time.monotonic() - self._began > seconds:
                raise ModelError(f"vLLM gave no answer within {seconds:.0f} s; the end of its log:\n{self._last()}")
            stop.wait(0.5)
        return False

    def obituary(self, when: str) -> str:
        """What happened to a server that died: its status, the likely cause and its last lines."""
        self._reader.join(timeout=5)
        status = self.process.poll()
        how = f"with status {status}" if (status or 0) >= 0 else f"by {signal.Signals(-(status or 0)).name}"
        if status == -signal.SIGKILL:
            how += ", as when the machine runs out of memory"
        age = time.monotonic() - self._began
        hint = f"; {hint}" if (hint := cause(self.tail)) else ""
        return f"vLLM ended {how} after {age:.0f} s, {when}{hint}\n{self._last()}"

    def _last(self) -> str:
        return "\n".join(f"    {line}" for line in self.tail)

    def stop(self, *, grace: float = GRACE, hurry: threading.Event | None = None) -> None:
        """End the server and all that belongs to it.

        Args:
            grace: seconds for an orderly end.
            hurry: kills at once when it is set.
        """
        hurry = hurry or threading.Event()
        if self.alive:
            self.process.terminate()
            end = time.monotonic() + grace
            while self.alive and time.monotonic() < end and not hurry.wait(0.1):
                pass
        with suppress(ProcessLookupError):  # engines that outlived their parent
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)
        self._reader.join(timeout=5)


@contextmanager
def started(plan: ServerPlan, *, say: Say, seconds: float = START) -> Iterator[VLLMServer]:
    """A server that answers, while the context is open.

    Raises:
        ConfigError: the program cannot be started.
        ModelError: it died, or did not answer in time.
    """
    server = VLLMServer(plan, say=say)
    try:
        server.wait_healthy(seconds=seconds)
        yield server
    finally:
        server.stop()


def run_server(plan: ServerPlan, *, say: Say, ready: Callable[[VLLMServer], None] | None = None) -> None:
    """Run a server until SIGINT or SIGTERM; call it in the main thread.

    Args:
        plan: what is started.
        say: gets the lines of its log, and ours.
        ready: called once it answers.

    Raises:
        ConfigError: the program cannot be started.
        ModelError: the server died.
    """
    stop, hurry = threading.Event(), threading.Event()

    def told(number: int, _: FrameType | None) -> None:
        (hurry if stop.is_set() else stop).set()

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    server: VLLMServer | None = None
    try:
        server = VLLMServer(plan, say=say)
        if server.wait_healthy(stop=stop) and ready is not None:
            ready(server)
        while not stop.wait(0.5):
            if not server.alive:
                raise ModelError(server.obituary("while it served"))
        say("stopping vLLM; once more kills it")
    finally:
        if server is not None:
            server.stop(hurry=hurry)
        for number, handler in before.items():
            signal.signal(number, handler)


def cause(lines: "deque[str] | list[str]") -> str:
    """What to do about a known cause in the last lines of a log; empty where none is known."""
    text = "\n".join(lines)
    return next((hint for pattern, hint in _HINTS if re.search(pattern, text, re.IGNORECASE)), "")


def find_python(given: str | None = None) -> str:
    """The python that has vLLM: the one given, or named by AGENTJUDGE_VLLM_PYTHON, this one, or that of `vllm` on PATH.

    Raises:
        ConfigError: none has it, or the one given is no program.
    """
    given = given or os.environ.get(PYTHON)
    if given:
        found = shutil.which(str(Path(given).expanduser()))
        if found is None:
            raise ConfigError(f"no program at {given}; --python names the python of an environment that has vLLM")
        return found
    if find_spec("vllm") is not None:
        return sys.executable
    script = shutil.which("vllm")
    beside = Path(script).resolve().with_name("python") if script else None
    if beside is not None and beside.is_file():
        return str(beside)
    raise ConfigError(
        "no python here has vLLM: install it into an environment of its own and name that python: --python "
        f"ENV/bin/python, or {PYTHON}"
    )
