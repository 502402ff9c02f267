"""Beginning a run: everything that can be refused is refused before anything is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from domain.events import DomainEvent
from domain.header import RunHeader
from domain.karn.policy import KarnPolicy
from domain.tamiyo.policy import TamiyoPolicy
from domain.urza.provenance import provenance_head
from engine.controllers import PolicyFailed
from engine.journal.journal import Journal
from engine.outside import Undisturbed
from engine.recording import JournalSink
from engine.session import EpochView, Session
from engine.trainers.simulated.dynamics import Dynamics
from engine.trainers.simulated.stores import Deferred
from engine.trainers.simulated.trainer import SimulatedTrainer
from engine.trainers.trainer import Trainer
from scenarios import composition
from scenarios.runs import simulation, trainers
from scenarios.runs.orders import StandingOrders
from scenarios.runs.remote import Ends, Remote, joined
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
    library: Sequence[DomainEvent]
    """What its library is planted with."""

    @property
    def provenance(self) -> str:
        """The head of what it is planted with."""
        return provenance_head(self.library)

    @property
    def heirloom(self) -> str:
        """As ``provenance``; empty for the first library, which names of runs do not speak of."""
        return "" if self.provenance == provenance_head(composition.first_library()) else self.provenance


def planned(
    scenario: Scenario,
    key: int,
    tamiyo: str | None,
    karn: str | None,
    dynamics: Dynamics | None,
    library: Sequence[DomainEvent] | None = None,
) -> Plan:
    """Look at a run of a scenario, trained live or simulated on ``dynamics``. Raises BadInput.

    It is planted with the scenario's own library unless another one is given.
    """
    planted = composition.library(scenario.library) if library is None else library
    if dynamics is not None:
        return Plan(*simulation.simulated_header(scenario, key, tamiyo, karn, dynamics), dynamics, planted)
    here = trainers.fingerprint(scenario.training.threads)
    header, tamiyo_policy, karn_policy = composition.header(scenario, key, tamiyo, karn, here)
    composition.data(header)
    return Plan(header, tamiyo_policy, karn_policy, None, planted)


def run(
    journal: Journal, plan: Plan, run_id: str, watch: Callable[[EpochView], None], elsewhere: Remote | None = None
) -> None:
    """Record it as ``run_id``, to its end; with its controller ``elsewhere`` if that is given.

    Raises BadInput for a policy that cannot even begin, or a bus that cannot be used.
    """
    if elsewhere is None:
        # What is simulated is over before anybody could give it an order.
        orders = StandingOrders(journal, run_id) if plan.dynamics is None else Undisturbed()
        _run(journal, plan, run_id, watch, Ends(plan.tamiyo, orders, lambda event: None))
        return
    with joined(elsewhere, journal, run_id, plan.header, plan.tamiyo) as ends:
        _run(journal, plan, run_id, watch, ends)


def _run(journal: Journal, plan: Plan, run_id: str, watch: Callable[[EpochView], None], ends: Ends) -> None:
    blobs = journal.blobs(run_id)
    if plan.dynamics is None:
        _train(plan, trainers.live(plan.header, blobs), JournalSink(journal, run_id), watch, ends)
        return
    simulation.keep(journal, run_id, plan.dynamics)
    # A simulated run is soon simulated again: its checkpoints and epochs may wait in memory.
    store = Deferred(blobs)
    sink = JournalSink(journal, run_id, together=simulation.EPOCHS_TOGETHER)
    _train(plan, SimulatedTrainer(plan.dynamics, store), sink, watch, ends)
    store.settle()


def _train(plan: Plan, trainer: Trainer, sink: JournalSink, watch: Callable[[EpochView], None], ends: Ends) -> None:
    try:
        session = Session(
            trainer, ends.tamiyo, plan.karn, sink, outside=ends.outside, watch=watch, announce=ends.announce
        )
    except PolicyFailed as failure:
        raise BadInput(str(failure)) from failure
    session.run(plan.header, plan.library)
