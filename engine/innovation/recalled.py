"""An evolution's runs, examinations and risk models as they were recorded: a replay's ground, which trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from domain.blueprint import BlueprintGraph, blueprint_id
from domain.commands import Reads
from domain.events import (
    BlueprintCertified,
    DomainEvent,
    EpochSealed,
    EvolutionStarted,
    FieldReportFiled,
    RiskModelTrained,
    RunJoined,
)
from domain.evolution.state import EvolutionState, evolve
from domain.identifiers import Epoch
from domain.karn.policy import KarnPolicy
from domain.urabrask.certificate import Examination, examination_of
from domain.urabrask.risk import RiskModel
from domain.urza.library import BlueprintLibrary
from domain.urza.provenance import planted_library
from domain.urza.record import BlueprintRecord
from engine.controllers import PolicyFailed
from engine.divergence import Divergence, compare, stopped
from engine.innovation.breeding import Breeding, Finished, Ground
from engine.replay import ComparingSink, Diverged


class NotRecorded(Exception):
    """The replay asks for an examination that the recording does not hold: it took another course."""


@final
class RecalledEvolution:
    """Gives back what a recording says: a ``Field`` and an ``Examiner``."""

    def __init__(self, events: Sequence[DomainEvent]) -> None:
        self._events = events
        self._certificates = {
            event.blueprint_id: event.certificate for event in events if isinstance(event, BlueprintCertified)
        }

    def runs(self, generation: int, library: BlueprintLibrary) -> Sequence[Finished]:
        """The runs that joined in ``generation``, with their field reports."""
        found: list[Finished] = []
        for event in self._events:
            if event.epoch != generation:
                continue
            if isinstance(event, RunJoined):
                found.append(Finished(event, ()))
            elif isinstance(event, FieldReportFiled):
                found[-1] = Finished(found[-1].joined, (*found[-1].reports, event.report))
        return found

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        """What the candidate's certificate was given for. Raises NotRecorded."""
        found = self._certificates.get(blueprint_id(candidate))
        if found is None:
            raise NotRecorded(f"no certificate of {blueprint_id(candidate)[:12]}")
        return examination_of(found)

    def risk(self, generation: int, events: Sequence[DomainEvent]) -> RiskModel | None:
        """The model that was trained in ``generation``, if one was."""
        found = (e.model for e in self._events if isinstance(e, RiskModelTrained) and e.epoch == generation)
        return next(found, None)


def same_state(events: Sequence[DomainEvent]) -> Divergence | None:
    """Rung 2 of an evolution: its state at each seal is the sealed one. None if every one is."""
    state = EvolutionState()
    for position, event in enumerate(events, start=1):
        if isinstance(event, EpochSealed) and state.digest() != event.state_digest:
            rebuilt = event.model_copy(update={"state_digest": state.digest()})
            return compare([event], [rebuilt], position, events[: position - 1])
        state = evolve(state, event)
    return None


def replay(
    events: Sequence[DomainEvent], karn: KarnPolicy, worth: Callable[[BlueprintRecord], float]
) -> Divergence | None:
    """Rung 3 of an evolution: Karn proposes, the library judges and curates the same again. None if nothing differs."""
    recalled, sink = RecalledEvolution(events), ComparingSink(events)
    started = events[0]
    assert isinstance(started, EvolutionStarted), "an evolution opens with its header"
    ground = Ground(field=recalled, crucible=recalled, risk=recalled.risk, worth=worth)
    breeding: Breeding | None = None
    try:
        breeding = Breeding(karn, sink, ground)
        breeding.plant(started.header, planted_library(events))
        while breeding.state.generation < events[-1].epoch:
            breeding.step()
    except Diverged as diverged:
        return diverged.divergence
    except (NotRecorded, PolicyFailed) as error:
        return stopped(events, sink.told, () if breeding is None else breeding.unsealed, str(error))
    return None
