"""Sweeps: many independent jobs, on this machine's processes or on Ray, with the same results in the same order.

A job is a frozen value with a name; what is done with it is an importable top-level function, so that another process
can be told of both. Results come in the order of the jobs, each exactly once, whoever finished first and whatever
crashed meanwhile. A script that sweeps keeps its own work under ``if __name__ == "__main__":``, because worker
processes import it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Final, Protocol, TypeVar, final

from domain.values import Value
from engine.evaluation.processes import Raised, failure_of, over_processes


class Job(Protocol):
    """A frozen value with a name that no other job of the sweep has."""

    @property
    def name(self) -> str:
        """What the job is called in failures."""
        ...


JobT = TypeVar("JobT", bound=Job)
ResultT = TypeVar("ResultT", bound=Value)

LOCAL: Final = "local"
RAY: Final = "ray"


@final
class JobFailed(Exception):
    """A job that gave no result: it raised, or every worker that took it died. Stands in the result's place."""

    def __init__(self, job: str, reason: str, *, attempts: int, trace: str = "") -> None:
        super().__init__(f"{job}: {reason}")
        self.job = job
        """Its name."""
        self.reason = reason
        """One line."""
        self.attempts = attempts
        """How often it was begun."""
        self.trace = trace
        """The traceback where the job raised; empty where its worker died."""


def sweep(
    jobs: Iterable[JobT],
    perform: Callable[[JobT], ResultT],
    *,
    on: str = LOCAL,
    workers: int = 2,
    retries: int = 2,
    progress: Callable[[JobT, ResultT | JobFailed], None] | None = None,
) -> Generator[tuple[JobT, ResultT | JobFailed], None, None]:
    """``perform`` every job and give each with its result, in the order of ``jobs``.

    ``on`` is "local", "ray" (a Ray of its own on this machine) or "ray=ADDRESS". Locally one worker is this process
    itself, more are processes with one thread each. A job whose worker dies is begun again at most ``retries`` times;
    a job that raises is not, since it would raise again. Either way it yields a JobFailed and the others go on; in
    this process nothing protects from a death. ``progress`` is called as jobs finish, before their turn to be given:
    what must survive an interruption is stored there. On KeyboardInterrupt the workers are stopped, what is finished
    is still given, and the interrupt goes on; closing the iterator stops the workers too.
    Raises ValueError for two jobs of one name, fewer than 1 worker, fewer than 0 retries, or another ``on``, and
    RayMissing where Ray is asked for and not installed; all before any work. At the first result asked for, RayUnreachable
    where no Ray answers at ADDRESS.
    """
    listed = tuple(jobs)
    _check(listed, workers, retries)
    finished = _finished(listed, perform, on, workers, retries)
    return _in_order(listed, finished, progress)


def _check(jobs: tuple[Job, ...], workers: int, retries: int) -> None:
    names: set[str] = set()
    for job in jobs:
        if job.name in names:
            raise ValueError(f"two jobs are called {job.name!r}: results are told apart by name")
        names.add(job.name)
    if workers < 1 or retries < 0:
        raise ValueError(f"a sweep needs 1 worker and 0 retries at least but got {workers} and {retries}")


def _finished(
    jobs: tuple[JobT, ...], perform: Callable[[JobT], ResultT], on: str, workers: int, retries: int
) -> Generator[tuple[int, ResultT | JobFailed], None, None]:
    """Positions and results as they come."""
    place, _, address = on.partition("=")
    if place == RAY and (address or "=" not in on):
        from engine.evaluation.on_ray import over_ray, ray_or_refusal

        raw = over_ray(ray_or_refusal(), jobs, perform, address=address or None, workers=workers, retries=retries)
    elif on != LOCAL:
        raise ValueError(f"a sweep runs on local, ray or ray=ADDRESS but not on {on!r}")
    elif workers == 1:
        raw = _here(jobs, perform)
    else:
        raw = over_processes(jobs, perform, workers=workers, retries=retries)
    return _named(jobs, raw)


def _here(
    jobs: tuple[JobT, ...], perform: Callable[[JobT], ResultT]
) -> Generator[tuple[int, ResultT | Raised], None, None]:
    for position, job in enumerate(jobs):
        try:
            result: ResultT | Raised = perform(job)
        except (Exception, SystemExit) as error:
            result = failure_of(error)
        yield position, result


def _named(
    jobs: tuple[JobT, ...], raw: Generator[tuple[int, ResultT | Raised], None, None]
) -> Generator[tuple[int, ResultT | JobFailed], None, None]:
    try:
        for position, result in raw:
            if isinstance(result, Raised):
                name = jobs[position].name
                yield position, JobFailed(name, result.reason, attempts=result.attempts, trace=result.trace)
            else:
                yield position, result
    finally:
        raw.close()


def _in_order(
    jobs: tuple[JobT, ...],
    finished: Generator[tuple[int, ResultT | JobFailed], None, None],
    progress: Callable[[JobT, ResultT | JobFailed], None] | None,
) -> Generator[tuple[JobT, ResultT | JobFailed], None, None]:
    early: dict[int, ResultT | JobFailed] = {}
    given = 0
    try:
        while given < len(jobs):
            position, result = next(finished)
            assert position not in early and position >= given, f"{jobs[position].name} finished twice"
            if progress is not None:
                progress(jobs[position], result)
            early[position] = result
            while given in early:
                given += 1
                yield jobs[given - 1], early.pop(given - 1)
    except KeyboardInterrupt:
        finished.close()
        for position in sorted(early):
            yield jobs[position], early[position]
        raise
    finally:
        finished.close()
