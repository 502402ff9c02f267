"""Sweeps as a question asks for them: a place that cannot be swept on is bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from domain.values import Value
from engine.evaluation.on_ray import RayMissing, RayUnreachable
from engine.evaluation.sweep import Job, JobFailed, sweep
from scenarios.specification import BadInput

JobT = TypeVar("JobT", bound=Job)
ResultT = TypeVar("ResultT", bound=Value)


def swept(
    jobs: Iterable[JobT],
    perform: Callable[[JobT], ResultT],
    *,
    on: str,
    workers: int,
    progress: Callable[[JobT, ResultT | JobFailed], None] | None = None,
) -> Iterator[tuple[JobT, ResultT | JobFailed]]:
    """As ``sweep``. Raises BadInput where it cannot be done on ``on``."""
    try:
        yield from sweep(jobs, perform, on=on, workers=workers, progress=progress)
    except (ValueError, RayMissing, RayUnreachable) as error:
        raise BadInput(f"--on {on}: {error}") from error
