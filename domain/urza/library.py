"""The BlueprintLibrary aggregate: Urza's memory of every blueprint, append-only and hash-chained. Source: Urza v1.0.

What can be asked of it is in ``commands.py``; ``evolve(library, event) -> library`` may not refuse.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from types import MappingProxyType
from typing import Any, final

from domain.blueprint import BlueprintMetadata, LifecycleState
from domain.events import (
    BlueprintBattled,
    BlueprintCertified,
    BlueprintInherited,
    BlueprintRegistered,
    BlueprintRegraded,
    BlueprintRetired,
    DomainEvent,
    FieldReportFiled,
    RiskModelTrained,
)
from domain.identifiers import BlueprintId
from domain.urabrask.risk import RiskModel
from domain.urza.provenance import GENESIS
from domain.urza.record import BlueprintRecord
from domain.urza.statistics import BlueprintStatistics

_Graded = BlueprintCertified | BlueprintRegraded | BlueprintRetired
_Amendment = BlueprintCertified | BlueprintRegraded | BlueprintRetired | BlueprintInherited


@final
class UnknownBlueprint(LookupError):
    """No blueprint goes by this name, number or id."""


@final
@dataclass(frozen=True)  # no slots: its text is kept once it is made
class BlueprintLibrary:
    """Every blueprint ever registered, in order of registration. A fold of library events and field reports."""

    records: MappingProxyType[BlueprintId, BlueprintRecord] = field(default_factory=lambda: MappingProxyType({}))
    """By id, in order of number. Policies are handed the library itself, so there is no changing it in place."""
    head: str = GENESIS
    """Hash of the newest entry of the provenance chain."""
    risk_model: RiskModel | None = None
    """What scores risks; None for the prior."""

    def __getstate__(self) -> dict[str, Any]:
        """What another process is sent: such a mapping cannot be pickled."""
        return self.__dict__ | {"records": dict(self.records)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"records": MappingProxyType(state["records"])})

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


def evolve(library: BlueprintLibrary, event: DomainEvent) -> BlueprintLibrary:
    """The library after ``event``; the same object for an event that does not concern it."""
    if isinstance(event, FieldReportFiled):
        record = library.records.get(event.report.blueprint_id)
        if record is None:
            return library
        return _with(library, replace(record, statistics=record.statistics.after(event.report)), library.head)
    if isinstance(event, BlueprintRegistered):
        return _with(library, _registered(event), event.hash)
    if isinstance(event, RiskModelTrained):
        return replace(library, risk_model=event.model, head=event.hash)
    if isinstance(event, BlueprintBattled):
        return _battled(library, event)
    if not isinstance(event, _Amendment):
        return library
    record = library.records[event.blueprint_id]
    if isinstance(event, BlueprintInherited):
        return _with(library, replace(record, statistics=event.statistics), event.hash)
    certificate = event.certificate if isinstance(event, BlueprintCertified) else record.certificate
    return _with(library, replace(record, metadata=_metadata(record, event), certificate=certificate), event.hash)


def _with(library: BlueprintLibrary, record: BlueprintRecord, head: str) -> BlueprintLibrary:
    return replace(library, records=MappingProxyType(library.records | {record.blueprint_id: record}), head=head)


def _battled(library: BlueprintLibrary, event: BlueprintBattled) -> BlueprintLibrary:
    sides = (
        (event.blueprint_id, event.elo_score, event.opponent_id),
        (event.opponent_id, event.opponent_elo_score, event.blueprint_id),
    )
    for name, score, opponent in sides:
        record = library.records[name]
        urabrask = record.metadata.urabrask.model_copy(update={"elo_score": score, "last_opponent": opponent})
        metadata = record.metadata.model_copy(update={"urabrask": urabrask})
        library = _with(library, replace(record, metadata=metadata), event.hash)
    return library


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


def _metadata(record: BlueprintRecord, event: _Graded) -> BlueprintMetadata:
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
