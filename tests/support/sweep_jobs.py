"""Jobs for sweeps, importable by worker processes: some kill the process that performs them."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np

from domain.values import Value
from engine.randomness import stream


class Draw(Value):
    """Ask for the sum of a stream; with a marker, first kill the worker as often as ``deaths`` says."""

    name: str
    run_key: int
    marker: str = ""
    deaths: int = 0
    raises: str = ""


class Drawn(Value):
    """What came of it."""

    name: str
    total: float
    spread: tuple[float, ...]


class Where(Value):
    """The process that performed a job, and how many threads its linear algebra has."""

    pid: int
    threads: int


def drawn(job: Draw) -> Drawn:
    """Deterministic numbers of a job, after its troubles."""
    if job.raises:
        raise LookupError(job.raises)
    if job.marker and _tries(Path(job.marker)) <= job.deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    values = stream(job.run_key, "sweep").normal(size=(40, 40))
    return Drawn(name=job.name, total=float(np.linalg.det(values)), spread=tuple(np.sort(values.ravel())[:5].tolist()))


def where(job: Draw) -> Where:
    """The process at work."""
    from threadpoolctl import threadpool_info

    return Where(pid=os.getpid(), threads=max(pool["num_threads"] for pool in threadpool_info()))


def endless(job: Draw) -> Drawn:
    """Says that it began, and where; then goes on until it is stopped, unless its name is "quick"."""
    if job.name == "quick":
        return drawn(job)
    Path(job.marker).write_text(str(os.getpid()), encoding="utf-8")
    threading.Event().wait()
    raise AssertionError


def ill_mannered(job: Draw) -> Drawn:
    """Leaves through the exit of the interpreter."""
    raise SystemExit(7)


def _tries(marker: Path) -> int:
    """How often this was asked with this marker, this time included."""
    with marker.open("a", encoding="utf-8") as file:
        file.write("x")
    return len(marker.read_text(encoding="utf-8"))
