"""A real NATS server with JetStream out of a wheel, for experiments and tests: on loopback, its files in a folder."""

from __future__ import annotations

import signal
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, final

PROGRAM: Final = Path(sysconfig.get_path("scripts")) / "nats-server"


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@final
class NatsServer:
    """Keeps its port and its files over restarts; can be stopped and killed."""

    def __init__(self, folder: Path, *options: str) -> None:
        """``options`` are those of the program: ``-js`` for JetStream."""
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Back once it takes connections."""
        at = ["-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self._folder)]
        command = [str(PROGRAM), *at, *self._options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if "Server is ready" in line:
                break
        else:
            raise AssertionError(f"the server did not start: {''.join(said)}")
        threading.Thread(target=_drain, args=(self._process.stderr,), daemon=True).start()

    @property
    def pid(self) -> int:
        """Of its process, so that another process can kill it."""
        assert self._process is not None, f"the server at {self.url} does not run"
        return self._process.pid

    def start_again(self) -> None:
        """Wait until somebody killed it, and start it on what it left."""
        if self._process is not None:
            self._process.wait()
        self.start()

    def stop(self) -> None:
        """As an operator would, if it runs."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut would, for the process: nothing is tidied up."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def _drain(said: IO[str]) -> None:
    with said:
        for _ in said:
            pass


@contextmanager
def running(folder: Path, *options: str) -> Iterator[NatsServer]:
    """A server that is stopped at the end; with JetStream unless other options are given."""
    server = NatsServer(folder, *(options or ("-js",)))
    server.start()
    try:
        yield server
    finally:
        server.stop()
