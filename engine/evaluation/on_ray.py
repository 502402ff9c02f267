"""Jobs on Ray: the same results as on local processes, on as many machines as the cluster has. The only importer of ray."""

from __future__ import annotations

import logging
import pickle
import re
import socket
import warnings
from collections.abc import Callable, Generator, Sequence
from types import ModuleType
from typing import Any, Final, TypeVar, final

from engine.evaluation.processes import Raised, performed
from engine.wording import portable

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
"""Of terminals, which Ray writes into its messages."""
REACH_S: Final = 5.0
"""How long a cluster may take to accept a connection."""


@final
class RayMissing(ImportError):
    """Ray was asked for and is not installed."""


@final
class RayUnreachable(ConnectionError):
    """No Ray cluster answers at the address that was given."""


def ray_or_refusal() -> ModuleType:
    """The module ray. Raises RayMissing."""
    try:
        import ray
    except ImportError as error:
        raise RayMissing("ray is not installed: pip install 'regrow[ray]', or sweep on local processes") from error
    return ray  # type: ignore[no-any-return, unused-ignore]


def over_ray(
    ray: ModuleType,
    jobs: Sequence[JobT],
    perform: Callable[[JobT], ResultT],
    *,
    address: str | None,
    workers: int,
    retries: int,
) -> Generator[tuple[int, ResultT | Raised], None, None]:
    """Positions of ``jobs`` and their results as they come, each once.

    Without ``address`` a Ray of ``workers`` CPUs is started on this machine and shut down at the end; with it the
    cluster there, which needs this package installed, decides how much runs at once. A Ray that this process already
    uses is used, and left running.
    Raises RayUnreachable.
    """
    ours = not ray.is_initialized()
    if ours:
        _start(ray, address, workers)
    pending: dict[Any, int] = {}
    try:
        # one CPU a job, and so one thread; Ray itself begins a job again whose worker died, up to max_retries
        task = ray.remote(num_cpus=1, max_retries=retries, retry_exceptions=False)(performed)
        pending = {task.remote(perform, job): position for position, job in enumerate(jobs)}
        while pending:
            (done, *_), _ = ray.wait(list(pending), num_returns=1)
            yield pending.pop(done), _result(ray, done, retries)
    finally:
        for unfinished in pending:
            ray.cancel(unfinished, force=True)
        if ours:
            ray.shutdown()


def _start(ray: ModuleType, address: str | None, workers: int) -> None:
    from ray._common.usage.usage_lib import set_usage_stats_enabled_via_env_var

    set_usage_stats_enabled_via_env_var(False)
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about variables of future versions
        if address is None:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
            return
        _reach(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise RayUnreachable(_refusal(address, error)) from error


def _reach(address: str) -> None:
    """Ray itself tries for minutes before it says that nothing listens at HOST:PORT."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return  # "auto", or another way of Ray's to find a cluster
    try:
        socket.create_connection((host, int(port)), timeout=REACH_S).close()
    except (OSError, OverflowError) as error:
        raise RayUnreachable(_refusal(address, error)) from error


def _refusal(address: str, error: BaseException) -> str:
    if "AuthenticationError" in f"{error!r} {error.__cause__!r}":
        return (
            f"the Ray at {address} asks for its token and this process gave none that fits; give it as the manual says "
            "under token authentication (RAY_AUTH_MODE=token)"
        )
    return (
        f"no Ray answers at {address} ({portable(error)}); start one there with `ray start --head`, or sweep on ray "
        "without an address"
    )


def _result(ray: ModuleType, done: object, retries: int) -> Any:
    try:
        return pickle.loads(ray.get(done))  # noqa: S301  # our own task wrote it
    except ray.exceptions.WorkerCrashedError:
        return Raised(f"its worker died {retries + 1} times", attempts=retries + 1)
    except ray.exceptions.RayError as error:  # of Ray's own, such as a job that its machine cannot import
        said = COLOURS.sub("", str(error)).strip() or type(error).__name__
        return Raised(f"Ray could not run it: {portable(said.splitlines()[-1])}", said)
