"""The hash chain through everything that was ever done to the library. Source: Urza v1.0 §5."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final, TypeVar, final

from domain.blueprint import blueprint_id
from domain.events import (
    BlueprintBattled,
    BlueprintCertified,
    BlueprintInherited,
    BlueprintRegistered,
    BlueprintRegraded,
    BlueprintRetired,
    DomainEvent,
    RiskModelTrained,
)

GENESIS: Final = "0" * 64
"""What the first entry of the chain is chained to."""

LibraryEvent = (
    BlueprintRegistered
    | BlueprintCertified
    | BlueprintRegraded
    | BlueprintRetired
    | BlueprintBattled
    | BlueprintInherited
    | RiskModelTrained
)
"""What the provenance chain is made of."""
EventT = TypeVar(
    "EventT",
    BlueprintRegistered,
    BlueprintCertified,
    BlueprintRegraded,
    BlueprintRetired,
    BlueprintBattled,
    BlueprintInherited,
    RiskModelTrained,
)


@final
class ProvenanceBroken(Exception):
    """The chain of library events does not hold at ``position``, counted among library events from 0."""

    def __init__(self, position: int, reason: str) -> None:
        self.position = position
        super().__init__(f"library entry {position} {reason}; the journal was changed after it was written")


def planted_library(events: Iterable[DomainEvent]) -> tuple[LibraryEvent, ...]:
    """The events that filled the library at a run's planting."""
    return tuple(event for event in events if event.epoch == 0 and isinstance(event, LibraryEvent))


def provenance_head(events: Iterable[DomainEvent]) -> str:
    """The hash of the last library event among ``events``, unchecked; the genesis where there is none."""
    heads = [event.hash for event in events if isinstance(event, LibraryEvent)]
    return heads[-1] if heads else GENESIS


def chain(event: EventT) -> EventT:
    """The event with its ``hash``: SHA-256 of ``previous_hash`` and the canonical JSON of the rest. Source: Urza §5."""
    return event.model_copy(update={"hash": _hash(event)})


def _hash(event: LibraryEvent) -> str:
    rest = json.loads(event.model_dump_json(exclude={"hash", "previous_hash"}))
    body = json.dumps([event.TOPIC, event.VERSION, rest], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((event.previous_hash + body).encode()).hexdigest()


def verify_provenance(events: Iterable[DomainEvent]) -> str:
    """Check the chain through all library events among ``events`` and give its head. Raises ProvenanceBroken."""
    head = GENESIS
    for position, event in enumerate(entry for entry in events if isinstance(entry, LibraryEvent)):
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
