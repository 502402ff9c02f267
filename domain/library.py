"""The BlueprintLibrary aggregate: Urza's memory of every blueprint, append-only and hash-chained. Source: Urza v1.0.

``decide(library, command, epoch) -> event`` may refuse; ``evolve(library, event) -> library`` may not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Final, final

from domain.blueprint import (
    BlueprintGraph,
    BlueprintMetadata,
    Certificate,
    ConfidenceLevel,
    LifecycleState,
    blueprint_id,
)
from domain.blueprint_record import BlueprintRecord, BlueprintStatistics
from domain.events import (
    BlueprintCertified,
    BlueprintRegistered,
    BlueprintRegraded,
    BlueprintRetired,
    DomainEvent,
    FieldReportFiled,
)
from domain.identifiers import BlueprintId
from domain.shapes import fits
from domain.values import Value

GENESIS: Final = "0" * 64
"""What the first entry of the provenance chain is chained to."""

LibraryEvent = BlueprintRegistered | BlueprintCertified | BlueprintRegraded | BlueprintRetired
_Amendment = BlueprintCertified | BlueprintRegraded | BlueprintRetired
_LIBRARY_EVENTS: Final = (BlueprintRegistered, BlueprintCertified, BlueprintRegraded, BlueprintRetired)


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


LibraryCommand = Register | Certify | Regrade | Retire


@final
class LibraryRefused(Exception):
    """The library does not do that. ``rule`` is a stable word, ``reason`` a sentence for a person."""

    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        self.reason = reason
        super().__init__(reason)


@final
class UnknownBlueprint(LookupError):
    """No blueprint goes by this name, number or id."""


@final
class ProvenanceBroken(Exception):
    """The chain of library events does not hold at ``position``, counted among library events from 0."""

    def __init__(self, position: int, reason: str) -> None:
        self.position = position
        super().__init__(f"library entry {position} {reason}; the journal was changed after it was written")


@final
@dataclass(frozen=True)  # no slots: its text is kept once it is made
class BlueprintLibrary:
    """Every blueprint ever registered, in order of registration. A fold of library events and field reports."""

    records: Mapping[BlueprintId, BlueprintRecord] = field(default_factory=dict)
    """By id, in order of number. Never changed in place."""
    head: str = GENESIS
    """Hash of the newest entry of the provenance chain."""

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, wanted: object) -> bool:
        return wanted in self.records

    def record(self, wanted: BlueprintId) -> BlueprintRecord:
        """The record under this id. Raises UnknownBlueprint."""
        try:
            return self.records[wanted]
        except KeyError:
            raise UnknownBlueprint(
                f"no blueprint has the id {wanted!r}; the library holds {len(self)}, see `regrow blueprints`"
            ) from None

    def by_number(self, number: int) -> BlueprintRecord:
        """The record under this number, from 1. Raises UnknownBlueprint; 0 means none."""
        found = next((record for record in self.records.values() if record.number == number), None)
        if found is None:
            raise UnknownBlueprint(f"no blueprint has the number {number}; numbers go from 1 to {len(self)}")
        return found

    def by_name(self, name: str) -> BlueprintRecord:
        """The newest record of this name, an active one before an archived one. Raises UnknownBlueprint."""
        found = [record for record in self.records.values() if record.name == name]
        if not found:
            names = sorted({record.name for record in self.records.values()})
            near = get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
            hint = f"did you mean {' or '.join(near)}?" if near else "the library is empty"
            raise UnknownBlueprint(f"no blueprint is called {name!r}; {hint}")
        return max(found, key=lambda record: (record.is_active, record.number))

    def offered(self) -> tuple[BlueprintRecord, ...]:
        """What may be germinated: active, never rolled back, not failed by the crucible; by number."""
        return tuple(record for record in self.records.values() if record.is_offered)

    def offered_for(self, *, read: int, chunk: int) -> tuple[BlueprintRecord, ...]:
        """What may be germinated and fits a slot that reads ``read`` units and writes ``chunk``."""
        return tuple(record for record in self.offered() if fits(record.graph, read=read, chunk=chunk))

    def id_map(self) -> dict[BlueprintId, int]:
        """Id to number, for ever the same and never reused. 0 is nobody's: it means none."""
        return {wanted: record.number for wanted, record in self.records.items()}

    def lineage(self, wanted: BlueprintId) -> list[tuple[BlueprintId, str | None]]:
        """Its ancestors, nearest first: (parent, mutation that made the child of it). Raises UnknownBlueprint."""
        steps: list[tuple[BlueprintId, str | None]] = []
        record = self.record(wanted)
        while record.parent_id is not None:
            steps.append((record.parent_id, record.mutation))
            record = self.records[record.parent_id]
        return steps

    def children(self, wanted: BlueprintId) -> tuple[BlueprintId, ...]:
        """Ids of what was made from it, by number. Raises UnknownBlueprint."""
        parent = self.record(wanted).blueprint_id
        return tuple(record.blueprint_id for record in self.records.values() if record.parent_id == parent)

    def canonical(self) -> list[Any]:
        """The library as JSON-able lists, for digests: provenance head, then what can change of each record."""
        return [self.head, [record.canonical() for record in self.records.values()]]

    @cached_property
    def text(self) -> str:
        """``canonical`` as JSON. Made once: most epochs change nothing in the library."""
        return json.dumps(self.canonical(), separators=(",", ":"), sort_keys=True)


def chain(event: LibraryEvent) -> LibraryEvent:
    """The event with its ``hash``: SHA-256 of ``previous_hash`` and the canonical JSON of the rest. Source: Urza §5."""
    return event.model_copy(update={"hash": _hash(event)})


def _hash(event: LibraryEvent) -> str:
    rest = json.loads(event.model_dump_json(exclude={"hash", "previous_hash"}))
    body = json.dumps([event.TOPIC, event.VERSION, rest], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((event.previous_hash + body).encode()).hexdigest()


def decide(library: BlueprintLibrary, command: LibraryCommand, epoch: int) -> LibraryEvent:
    """What happens on a command at the end of ``epoch``. Raises LibraryRefused."""
    if isinstance(command, Register):
        return _register(library, command, epoch)
    record = library.records.get(command.blueprint_id)
    if record is None:
        raise LibraryRefused("unknown-id", f"no blueprint has the id {command.blueprint_id!r}; register it first")
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


def evolve(library: BlueprintLibrary, event: DomainEvent) -> BlueprintLibrary:
    """The library after ``event``; the same object for an event that does not concern it."""
    if isinstance(event, FieldReportFiled):
        record = library.records.get(event.report.blueprint_id)
        if record is None:
            return library
        return _with(library, replace(record, statistics=record.statistics.after(event.report)), library.head)
    if isinstance(event, BlueprintRegistered):
        return _with(library, _registered(event), event.hash)
    if not isinstance(event, _Amendment):
        return library
    record = library.records[event.blueprint_id]
    certificate = event.certificate if isinstance(event, BlueprintCertified) else record.certificate
    return _with(library, replace(record, metadata=_metadata(record, event), certificate=certificate), event.hash)


def _with(library: BlueprintLibrary, record: BlueprintRecord, head: str) -> BlueprintLibrary:
    return BlueprintLibrary({**library.records, record.blueprint_id: record}, head)


def _registered(event: BlueprintRegistered) -> BlueprintRecord:
    tamiyo = event.metadata.tamiyo
    return BlueprintRecord(
        blueprint_id=event.blueprint_id,
        number=event.number,
        graph=event.graph,
        metadata=event.metadata,
        parent_id=event.parent_id,
        mutation=event.mutation,
        statistics=BlueprintStatistics(tamiyo_interest=tamiyo.tamiyo_interest, rollback_flag=tamiyo.rollback_flag),
    )


def _metadata(record: BlueprintRecord, event: _Amendment) -> BlueprintMetadata:
    """The record's metadata after the event."""
    urabrask, urza = record.metadata.urabrask, record.metadata.urza
    match event:
        case BlueprintCertified(certificate=found):
            changes = {
                "wep": found.wep,
                "risk_score": found.risk_score,
                "conf_level": found.conf_level,
                "elo_score": found.elo_score,
                "urabrask_interest": found.urabrask_interest,
                "recommended_grafting_strategy": found.recommended_grafting_strategy,
            }
            urabrask = urabrask.model_copy(update=changes)
        case BlueprintRegraded(level=level):
            urabrask = urabrask.model_copy(update={"conf_level": level})
        case BlueprintRetired():
            urza = urza.model_copy(update={"lifecycle": LifecycleState.ARCHIVED})
    return record.metadata.model_copy(update={"urabrask": urabrask, "urza": urza})


def verify_provenance(events: Iterable[DomainEvent]) -> str:
    """Check the chain through all library events among ``events`` and give its head. Raises ProvenanceBroken."""
    head = GENESIS
    for position, event in enumerate(entry for entry in events if isinstance(entry, _LIBRARY_EVENTS)):
        if event.previous_hash != head:
            raise ProvenanceBroken(
                position, f"follows {event.previous_hash[:12]} but the entry before it is {head[:12]}"
            )
        if _hash(event) != event.hash:
            raise ProvenanceBroken(position, f"says its hash is {event.hash[:12]} but its content gives another")
        if isinstance(event, BlueprintRegistered) and blueprint_id(event.graph) != event.blueprint_id:
            raise ProvenanceBroken(
                position, f"calls itself {event.blueprint_id[:12]} but its graph hashes to another id"
            )
        head = event.hash
    return head
