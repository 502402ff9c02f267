"""What can be asked of the library, and what happens then: ``decide(library, command, epoch) -> event`` may refuse."""

from __future__ import annotations

from typing import Any, final

from pydantic import Field

from domain.blueprint import BlueprintGraph, BlueprintMetadata, ConfidenceLevel, blueprint_id
from domain.events import (
    BlueprintBattled,
    BlueprintCertified,
    BlueprintInherited,
    BlueprintRegistered,
    BlueprintRegraded,
    BlueprintRetired,
    RiskModelTrained,
)
from domain.identifiers import BlueprintId
from domain.urabrask.certificate import Certificate
from domain.urabrask.risk import RiskModel
from domain.urza.elo import after_battle
from domain.urza.library import BlueprintLibrary
from domain.urza.provenance import LibraryEvent, chain
from domain.urza.record import BlueprintRecord
from domain.urza.statistics import BlueprintStatistics
from domain.values import Value


@final
class Register(Value):
    """Add a blueprint, for good."""

    graph: BlueprintGraph
    metadata: BlueprintMetadata
    blueprint_id: BlueprintId | None = None
    """What the sender believes the id to be; refused when the graph's hash differs. None to trust the hash."""
    parent_id: BlueprintId | None = None
    mutation: str | None = None
    """Which operator made it from its parent."""


@final
class Certify(Value):
    """Store the crucible's verdict."""

    blueprint_id: BlueprintId
    certificate: Certificate


@final
class Regrade(Value):
    """Change the confidence level."""

    blueprint_id: BlueprintId
    level: ConfidenceLevel
    reason: str


@final
class Retire(Value):
    """Archive a blueprint. Nothing is ever deleted."""

    blueprint_id: BlueprintId
    reason: str


@final
class Battle(Value):
    """Compare two blueprints on the same trial."""

    blueprint_id: BlueprintId
    opponent_id: BlueprintId
    result: float = Field(ge=0, le=1)
    """1 won, 0.5 drawn, 0 lost, as seen by ``blueprint_id``."""


@final
class Inherit(Value):
    """Take over what other runs found out about a blueprint."""

    blueprint_id: BlueprintId
    statistics: BlueprintStatistics


@final
class TrainRisk(Value):
    """Score risks by another model from here on."""

    model: RiskModel


LibraryCommand = Register | Certify | Regrade | Retire | Battle | Inherit | TrainRisk


@final
class LibraryRefused(Exception):
    """The library does not do that. ``rule`` is a stable word, ``reason`` a sentence for a person."""

    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        self.reason = reason
        super().__init__(reason)


def decide(library: BlueprintLibrary, command: LibraryCommand, epoch: int) -> LibraryEvent:
    """What happens on a command at the end of ``epoch``. Raises LibraryRefused."""
    if isinstance(command, Register):
        return _register(library, command, epoch)
    if isinstance(command, TrainRisk):
        return chain(RiskModelTrained(epoch=epoch, model=command.model, previous_hash=library.head, hash=""))
    record = _known(library, command.blueprint_id)
    stamp: dict[str, Any] = {
        "epoch": epoch,
        "blueprint_id": command.blueprint_id,
        "previous_hash": library.head,
        "hash": "",
    }
    match command:
        case Certify():
            return chain(BlueprintCertified(certificate=command.certificate, **stamp))
        case Regrade():
            return chain(BlueprintRegraded(level=command.level, reason=command.reason, **stamp))
        case Retire():
            if not record.is_active:
                raise LibraryRefused("already-retired", f"{record.name} is archived already; leave it be")
            return chain(BlueprintRetired(reason=command.reason, **stamp))
        case Inherit():
            return chain(BlueprintInherited(statistics=command.statistics, **stamp))
        case Battle():
            return _battle(record, _known(library, command.opponent_id), command.result, stamp)


def _known(library: BlueprintLibrary, name: BlueprintId) -> BlueprintRecord:
    record = library.records.get(name)
    if record is None:
        raise LibraryRefused("unknown-id", f"no blueprint has the id {name!r}; register it first")
    return record


def _battle(record: BlueprintRecord, opponent: BlueprintRecord, result: float, stamp: dict[str, Any]) -> LibraryEvent:
    if record.blueprint_id == opponent.blueprint_id:
        raise LibraryRefused("own-opponent", f"{record.name} cannot be its own opponent")
    won, lost = after_battle(record.metadata.urabrask.elo_score, opponent.metadata.urabrask.elo_score, result)
    return chain(
        BlueprintBattled(
            opponent_id=opponent.blueprint_id, result=result, elo_score=won, opponent_elo_score=lost, **stamp
        )
    )


def _register(library: BlueprintLibrary, command: Register, epoch: int) -> LibraryEvent:
    true_id = blueprint_id(command.graph)
    if command.blueprint_id not in {None, true_id}:
        raise LibraryRefused(
            "id-mismatch", f"the graph's hash is {true_id} but the id given is {command.blueprint_id}; give the hash"
        )
    if true_id in library.records:
        known = library.records[true_id]
        raise LibraryRefused("duplicate-id", f"this graph is registered as {known.name}, number {known.number}")
    if command.parent_id is not None and command.parent_id not in library.records:
        raise LibraryRefused("unknown-parent", f"no blueprint has the parent's id {command.parent_id!r}")
    return chain(
        BlueprintRegistered(
            epoch=epoch,
            blueprint_id=true_id,
            number=len(library) + 1,
            graph=command.graph,
            metadata=command.metadata,
            parent_id=command.parent_id,
            mutation=command.mutation,
            previous_hash=library.head,
            hash="",
        )
    )
