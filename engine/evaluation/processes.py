"""Jobs on processes of this machine: a worker that dies costs the job it had, and nobody else's.

``concurrent.futures`` breaks its whole pool when one worker dies, with everything the others were training, and does
not say whose job it was. Here each worker has its own pipe and one job at a time, so a death is the death of that job.
Workers ignore the interrupt key, which their parent answers for them, and end by themselves when the parent dies.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final, TypeVar, final

from engine.wording import portable

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
STOP_S: Final = 2.0
"""How long a worker that was told to end may take before it is killed."""


@final
@dataclass(frozen=True, slots=True)
class Raised:
    """Why a job gave no result."""

    reason: str
    trace: str = ""
    attempts: int = 1


def failure_of(error: BaseException, attempts: int = 1) -> Raised:
    """What is told of an exception: its kind and message on one line, and its traceback."""
    said = portable(error)
    reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return Raised(reason, "".join(traceback.format_exception(error)), attempts)


def performed(perform: Callable[[Any], Any], job: object) -> bytes:
    """The pickled result of a job, or the pickled Raised in its place."""
    try:
        return pickle.dumps(perform(job))
    except (Exception, SystemExit) as error:
        return pickle.dumps(failure_of(error))


def over_processes(
    jobs: Sequence[JobT], perform: Callable[[JobT], ResultT], *, workers: int, retries: int
) -> Generator[tuple[int, ResultT | Raised], None, None]:
    """Positions of ``jobs`` and their results as they come, each once, from at most ``workers`` processes."""
    waiting = deque((position, 1) for position in range(len(jobs)))
    crew: list[_Worker] = []
    try:
        while waiting or any(worker.job is not None for worker in crew):
            while waiting and len(crew) < min(workers, len(jobs)):
                crew.append(_Worker(perform))
            for worker in crew:
                if worker.job is None and waiting:
                    worker.begin(waiting.popleft(), jobs)
            for worker in _heard(crew):
                assert worker.job is not None
                position, attempt = worker.job
                answer = worker.answer()
                if answer is not None:
                    yield position, answer
                    continue
                crew.remove(worker)
                ending = worker.ended()
                if attempt > retries:
                    yield position, Raised(f"its worker died {attempt} times, at last with {ending}", attempts=attempt)
                else:
                    waiting.appendleft((position, attempt + 1))
    finally:
        _dismiss(crew)


def _heard(crew: Sequence[_Worker]) -> list[_Worker]:
    """Busy workers that have answered or died; waits for one. A dead one's pipe is at its end, which counts."""
    busy = {worker.pipe: worker for worker in crew if worker.job is not None}
    return [busy[pipe] for pipe in wait(list(busy)) if isinstance(pipe, Connection)]


@final
class _Worker:
    """A process, our end of its pipe, and the job it has: position and number of the attempt."""

    def __init__(self, perform: Callable[[Any], Any]) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.job: tuple[int, int] | None = None
        self._process: SpawnProcess = context.Process(target=_serve, args=(theirs, pickle.dumps(perform)), daemon=True)
        _start_deaf(self._process)
        theirs.close()  # so that the pipe ends when the worker does

    def begin(self, job: tuple[int, int], jobs: Sequence[object]) -> None:
        self.job = job
        try:
            self.pipe.send_bytes(pickle.dumps(jobs[job[0]]))
        except OSError:
            return  # died between jobs: the end of its pipe says so

    def answer(self) -> Any:
        """The result or Raised; None if the worker died over the job. Frees the worker."""
        attempt = self.job[1] if self.job else 1
        try:
            result = pickle.loads(self.pipe.recv_bytes())  # noqa: S301  # our own process wrote it
        except (EOFError, OSError):
            return None
        self.job = None
        return Raised(result.reason, result.trace, attempt) if isinstance(result, Raised) else result

    def ended(self) -> str:
        """How a dead worker died."""
        self.stop()
        code = self._process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"

    def dismiss(self) -> None:
        """Tell it to end, without waiting."""
        self._process.terminate()

    def stop(self) -> None:
        """See that it has ended."""
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.pipe.close()


def _start_deaf(process: SpawnProcess) -> None:
    """Start a process that inherits a blocked interrupt key; one that is pressed meanwhile reaches us afterwards."""
    resource_tracker.ensure_running()  # else the first start would start it, which unblocks the key
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _dismiss(crew: Sequence[_Worker]) -> None:
    for worker in crew:
        worker.dismiss()
    for worker in crew:
        worker.stop()


def _serve(pipe: Connection, perform: bytes) -> None:
    """A worker's life: a job at a time until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _one_thread()
    try:
        function: Callable[[Any], Any] | _Unloadable = pickle.loads(perform)  # noqa: S301  # our own process wrote it
    except Exception as error:
        function = _Unloadable(failure_of(error))
    while True:
        try:
            job = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        pipe.send_bytes(_answer(function, job))


def _answer(function: Callable[[Any], Any] | _Unloadable, job: bytes) -> bytes:
    if isinstance(function, _Unloadable):
        return pickle.dumps(function.why)
    try:
        loaded = pickle.loads(job)  # noqa: S301  # our own process wrote it
    except Exception as error:
        return pickle.dumps(failure_of(error))
    return performed(function, loaded)


@final
@dataclass(frozen=True, slots=True)
class _Unloadable:
    """Stands for a function that this process cannot import."""

    why: Raised


def _one_thread() -> None:
    """Before numerical libraries are loaded, so that workers do not fight over cores; what is loaded is limited too."""
    for variable in THREAD_VARIABLES:
        os.putenv(variable, "1")
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _end_with_the_parent() -> None:
    """No orphans: a parent that was killed cannot dismiss anybody."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
