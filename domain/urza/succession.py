"""A library that evolved elsewhere, as the events that plant it into a new run."""

from __future__ import annotations

from collections.abc import Iterator

from domain.blueprint import LifecycleState
from domain.urza.commands import Certify, Inherit, LibraryCommand, Register, Regrade, Retire, TrainRisk, decide
from domain.urza.library import BlueprintLibrary, evolve
from domain.urza.provenance import LibraryEvent
from domain.urza.record import BlueprintRecord
from domain.urza.statistics import BlueprintStatistics


def succession(library: BlueprintLibrary, *, epoch: int = 0) -> tuple[LibraryEvent, ...]:
    """Everything that counts of ``library``, from an empty one: the same records under the same numbers.

    What was archived comes along as archived; levels, scores and statistics as they stand. The chain of provenance
    begins anew. Equal libraries give equal bytes.
    """
    heir, events = BlueprintLibrary(), []
    for command in _commands(library):
        event = decide(heir, command, epoch)
        heir = evolve(heir, event)
        events.append(event)
    return tuple(events)


def _commands(library: BlueprintLibrary) -> Iterator[LibraryCommand]:
    for record in library.records.values():
        yield from _inherited(record)
    if library.risk_model is not None:
        yield TrainRisk(model=library.risk_model)


def _inherited(record: BlueprintRecord) -> Iterator[LibraryCommand]:
    name, metadata = record.blueprint_id, record.metadata
    urza = metadata.urza.model_copy(update={"lifecycle": LifecycleState.ACTIVE})
    yield Register(
        graph=record.graph,
        metadata=metadata.model_copy(update={"urza": urza}),
        blueprint_id=name,
        parent_id=record.parent_id,
        mutation=record.mutation,
    )
    if record.certificate is not None:
        # Certifying sets score and level, and those that count now may be others than it gave.
        score = metadata.urabrask.elo_score
        yield Certify(blueprint_id=name, certificate=record.certificate.model_copy(update={"elo_score": score}))
        if record.level is not record.certificate.conf_level:
            yield Regrade(blueprint_id=name, level=record.level, reason="the level that it had come to")
    planted = BlueprintStatistics(
        tamiyo_interest=metadata.tamiyo.tamiyo_interest, rollback_flag=metadata.tamiyo.rollback_flag
    )
    if record.statistics != planted:
        yield Inherit(blueprint_id=name, statistics=record.statistics)
    if not record.is_active:
        yield Retire(blueprint_id=name, reason="archived before it came here")
