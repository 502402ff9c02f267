"""Beginning a run: everything that can be refused is refused before anything is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from domain.header import RunHeader
from domain.karn.policy import KarnPolicy
from domain.tamiyo.policy import TamiyoPolicy
from engine.controllers import PolicyFailed
from engine.journal.journal import Journal
from engine.outside import Outside
from engine.recording import JournalSink
from engine.session import EpochView, Session
from engine.trainers.simulated.dynamics import Dynamics
from engine.trainers.simulated.stores import Deferred
from engine.trainers.simulated.trainer import SimulatedTrainer
from engine.trainers.trainer import Trainer
from scenarios import composition
from scenarios.runs import simulation, trainers
from scenarios.runs.orders import StandingOrders
from scenarios.specification import BadInput, Scenario


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A run that was looked at and can be tried."""

    header: RunHeader
    tamiyo: TamiyoPolicy
    karn: KarnPolicy
    dynamics: Dynamics | None
    """What it is simulated on; None for a live run."""


def planned(scenario: Scenario, key: int, tamiyo: str | None, karn: str | None, dynamics: Dynamics | None) -> Plan:
    """Look at a run of a scenario, trained live or simulated on ``dynamics``. Raises BadInput."""
    if dynamics is not None:
        return Plan(*simulation.simulated_header(scenario, key, tamiyo, karn, dynamics), dynamics)
    here = trainers.fingerprint(scenario.training.threads)
    header, tamiyo_policy, karn_policy = composition.header(scenario, key, tamiyo, karn, here)
    composition.data(header)
    return Plan(header, tamiyo_policy, karn_policy, None)


def run(journal: Journal, plan: Plan, run_id: str, watch: Callable[[EpochView], None]) -> None:
    """Record it as ``run_id``, to its end. Raises BadInput for a policy that cannot even begin."""
    blobs = journal.blobs(run_id)
    if plan.dynamics is None:
        sink = JournalSink(journal, run_id)
        _run(plan, trainers.live(plan.header, blobs), sink, watch, StandingOrders(journal, run_id))
        return
    simulation.keep(journal, run_id, plan.dynamics)
    # A simulated run is soon simulated again: its checkpoints and epochs may wait in memory.
    store = Deferred(blobs)
    sink = JournalSink(journal, run_id, together=simulation.EPOCHS_TOGETHER)
    _run(plan, SimulatedTrainer(plan.dynamics, store), sink, watch)
    store.settle()


def _run(
    plan: Plan,
    trainer: Trainer,
    sink: JournalSink,
    watch: Callable[[EpochView], None],
    outside: Outside | None = None,
) -> None:
    try:
        session = Session(trainer, plan.tamiyo, plan.karn, sink, outside=outside, watch=watch)
    except PolicyFailed as failure:
        raise BadInput(str(failure)) from failure
    session.run(plan.header, composition.first_library())
