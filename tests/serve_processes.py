"""`agentjudge serve` as a user starts it: a process, its address, its lines, its end."""

import os
import re
import signal
import subprocess
import sys
import threading


class Process:
    """A server in a process of its own.

    Args:
        arguments: of the command.
        port: 0 takes a free one.
        env: beside that of the tests.
        life: seconds after which it is killed in any case.
        ends: seconds within which it has to end.
    """

    def __init__(
        self, *arguments: str, port: int = 0, env: dict[str, str] | None = None, life: float = 180, ends: float = 60
    ) -> None:
        command = [sys.executable, "-m", "agentjudge.cli", "serve", *arguments, "--port", str(port)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
        self.watchdog = threading.Timer(life, self.process.kill)
        self.watchdog.start()
        self._ends = ends
        assert self.process.stderr is not None
        self.line = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.line)
        if not found:
            self.watchdog.cancel()
            with self.process:
                raise AssertionError(self.line + self.process.stderr.read())
        self.url, self.port = found[0], int(found[1])
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines += self.process.stderr

    def end(self, sig: signal.Signals = signal.SIGTERM, *, within: float | None = None) -> int:
        """Send a signal; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(within or self._ends)
        self.watchdog.cancel()
        self.reader.join(20)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def gone(self) -> None:
        """Whatever has become of it, it is not there any more."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        self.watchdog.cancel()
