"""Simulated runs: fit dynamics to a journal's runs, make headers for them, keep and find the dynamics of a run."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from domain.events import DomainEvent
from domain.header import Fingerprint, RunHeader
from domain.karn.policy import KarnPolicy
from domain.tamiyo.policy import TamiyoPolicy
from engine.courses import headers_of
from engine.journal.journal import Journal
from engine.session import Session
from engine.sink import Tape
from engine.trainers.simulated.dynamics import Dynamics, DynamicsUnreadable, load, save
from engine.trainers.simulated.trainer import SimulatedTrainer
from scenarios import composition
from scenarios.specification import BadInput, Scenario, unknown

PREFIX: Final = "simulated:"

EPOCHS_TOGETHER: Final = 25
"""Epochs of a simulated run that are recorded in one transaction: what a crash takes is simulated again in no time."""


def fitted_to(runs: Sequence[Sequence[DomainEvent]]) -> Dynamics:
    """Dynamics fitted to the events of live runs of one scenario. Raises BadInput."""
    from engine.trainers.simulated.fitting import fit  # scipy is not for commands that fit nothing

    try:
        return fit(runs, policies=[settings(headers_of(events)[-1]) for events in runs])
    except ValueError as error:
        raise BadInput(str(error)) from error


def settings(header: RunHeader) -> str:
    """Policy and the settings it decides by, as one name: equal names, equal policies."""
    config = header.tamiyo_config.model_dump_json(exclude_defaults=True)
    return f"{header.tamiyo.name} {config} {header.gates.model_dump_json(exclude_defaults=True)}"


def dynamics_in(path: Path) -> Dynamics:
    """Dynamics from a file of ``regrow fit``. Raises BadInput."""
    try:
        return load(path)
    except DynamicsUnreadable as error:
        raise BadInput(str(error)) from error
    except OSError as error:
        raise BadInput(f"dynamics file {path}: {error.strerror}; make one with `regrow fit`") from error


def write(dynamics: Dynamics, path: Path) -> None:
    """Put dynamics into a file that ``dynamics_in`` reads. Raises BadInput."""
    try:
        save(dynamics, path)
    except OSError as error:
        raise BadInput(f"dynamics file {path} cannot be written: {error.strerror}; choose another place") from error


def simulated_header(
    scenario: Scenario, run_key: int, tamiyo_name: str | None, karn_name: str | None, dynamics: Dynamics
) -> tuple[RunHeader, TamiyoPolicy, KarnPolicy]:
    """The header of a simulated run to be, and its policies. Raises BadInput, also for dynamics of another task."""
    if dynamics.task != scenario.task.name:
        raise BadInput(
            f"the dynamics are of task {dynamics.task} but scenario {scenario.name} has task {scenario.task.name}; "
            "fit some to runs of that scenario"
        )
    live, tamiyo, karn = composition.header(scenario, run_key, tamiyo_name, karn_name, fingerprint())
    return live.model_copy(update={"trainer": f"{PREFIX}{dynamics.digest}"}), tamiyo, karn


def fingerprint() -> Fingerprint:
    """What the bits of a simulated run depend on: numpy's generators and the C library's exponential, no torch."""
    return Fingerprint(
        torch="none",
        python=platform.python_version(),
        cpu_capability=f"numpy {np.__version__}",
        machine=platform.machine(),
        threads=1,
    )


def keep(journal: Journal, run_id: str, dynamics: Dynamics) -> str:
    """Put the dynamics into the run's blobs, so that the run can be verified and resumed; gives their digest."""
    return journal.blobs(run_id).put(dynamics.canonical)


def trainer_named(name: str | None, dynamics: Dynamics | None) -> str | None:
    """A trainer's name as headers have it. Raises BadInput for an unknown one, or dynamics without a use for them."""
    names = ("live", "simulated", "recorded")
    if name is not None and name not in names:
        raise BadInput(unknown("trainer", name, names))
    if (name == "simulated") != (dynamics is not None):
        raise BadInput("--trainer simulated and --dynamics FILE need each other; `regrow fit` makes the file")
    return f"{PREFIX}{dynamics.digest}" if dynamics is not None else name


def simulate(
    scenario: Scenario, run_key: int, tamiyo_name: str | None, dynamics: Dynamics, member: int | None = None
) -> list[DomainEvent]:
    """The events of one simulated run that is recorded nowhere."""
    header, _, _ = simulated_header(scenario, run_key, tamiyo_name, None, dynamics)
    return simulate_as(header, dynamics, member, composition.library(scenario.library))


def simulate_as(
    header: RunHeader, dynamics: Dynamics, member: int | None = None, library: Sequence[DomainEvent] | None = None
) -> list[DomainEvent]:
    """The events of a run under ``header``, simulated, that is recorded nowhere. Raises BadInput.

    ``library`` is what it is planted with, by default the first one.
    """
    simulated = header.model_copy(update={"trainer": f"{PREFIX}{dynamics.digest}", "fingerprint": fingerprint()})
    tape = Tape()
    session = Session(SimulatedTrainer(dynamics, member=member), *composition.policies(simulated), tape)
    session.run(simulated, composition.first_library() if library is None else library)
    return tape.events
