"""Urza's endpoints: blueprints by filters, the id map, lineage. Source: domain reference H2."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from domain.blueprint import ConfidenceLevel
from domain.identifiers import BlueprintId
from domain.run import RunState
from domain.shapes import ShapeMismatch, flops, memory_mb
from domain.urza.record import BlueprintRecord
from scenarios.http.access import system_of
from scenarios.http.system import System

router = APIRouter(prefix="/api/v1", tags=["Urza"])


class Filters(BaseModel):
    """What blueprints are asked for. Several filters have to hold together."""

    model_config = ConfigDict(extra="forbid")
    run: str | None = Field(default=None, description="Whose library; the newest run's where none is given.")
    tags: str | None = Field(default=None, description="Comma-separated; a blueprint has to carry all of them.")
    conf_level: ConfidenceLevel | None = Field(default=None, description="HIGH, MODERATE or SPECULATIVE.")
    hardware_profile: str | None = Field(default=None, description="CPU, GPU, ...: what it has to support.")
    max_latency_ms: float | None = Field(default=None, ge=0, description="Estimated, a sample, in a slot of the run.")
    max_memory_gb: float | None = Field(default=None, ge=0)
    filter: Literal["best_performers"] | None = Field(default=None, description="Sort by measured gain, best first.")
    include_archived: bool = False
    limit: int = Field(default=100, ge=1, le=1000)


class BlueprintEntry(BaseModel):
    """A blueprint and everything that Urza says of it."""

    blueprint_id: str
    metadata: dict[str, Any]


class Blueprints(BaseModel):
    """What was asked for, by number unless the filter sorts it."""

    blueprints: list[BlueprintEntry]


class IdMap(BaseModel):
    """Id to small integer, for ever the same; 0 is nobody's."""

    id_map: dict[str, int]


class Ancestor(BaseModel):
    """A parent, and the mutation that made its child of it."""

    parent_id: str
    mutation: str | None


class Lineage(BaseModel):
    """Where a blueprint comes from, nearest first, and what was made of it."""

    blueprint_id: str
    lineage: list[Ancestor]
    children: list[str]
    provenance_head: str
    """Hash of the newest entry of the chain that all of this is in."""


@router.get("/blueprints")
def blueprints(asked: Annotated[Filters, Query()], system: Annotated[System, Depends(system_of)]) -> Blueprints:
    """The blueprints of a run's library."""
    state = system.standing(asked.run).state
    found = [record for record in state.library.records.values() if _is_asked_for(record, asked, state)]
    if asked.filter == "best_performers":
        found.sort(key=lambda record: (-record.statistics.mean_gain, record.number))
    return Blueprints(blueprints=[_entry(record) for record in found[: asked.limit]])


@router.get("/id_map")
def id_map(system: Annotated[System, Depends(system_of)], run: str | None = None) -> IdMap:
    """The integers that stand for blueprints in the layers' state."""
    return IdMap(id_map={str(name): number for name, number in system.standing(run).state.library.id_map().items()})


@router.get("/blueprints/{blueprint_id}")
def blueprint(
    blueprint_id: str, system: Annotated[System, Depends(system_of)], run: str | None = None
) -> BlueprintEntry:
    """One blueprint, by its id."""
    return _entry(system.standing(run).state.library.record(BlueprintId(blueprint_id)))


@router.get("/blueprints/{blueprint_id}/lineage")
def lineage(blueprint_id: str, system: Annotated[System, Depends(system_of)], run: str | None = None) -> Lineage:
    """Ancestors and children of a blueprint."""
    library = system.standing(run).state.library
    name = BlueprintId(blueprint_id)
    return Lineage(
        blueprint_id=blueprint_id,
        lineage=[Ancestor(parent_id=parent, mutation=mutation) for parent, mutation in library.lineage(name)],
        children=list(library.children(name)),
        provenance_head=library.head,
    )


def _entry(record: BlueprintRecord) -> BlueprintEntry:
    statistics = record.statistics.model_dump(mode="json")
    said = record.metadata.model_dump(mode="json")
    lineage = {"number": record.number, "parent_id": record.parent_id, "mutation": record.mutation}
    return BlueprintEntry(blueprint_id=record.blueprint_id, metadata={**said, **lineage, "statistics": statistics})


def _is_asked_for(record: BlueprintRecord, asked: Filters, state: RunState) -> bool:
    metadata = record.metadata
    wanted = {tag.strip() for tag in asked.tags.split(",") if tag.strip()} if asked.tags else set()
    if not (record.is_active or asked.include_archived) or not wanted <= set(metadata.urza.tags):
        return False
    if asked.conf_level not in {None, record.level}:
        return False
    if asked.hardware_profile not in {None, *metadata.urza.supported_architectures, *metadata.urza.hardware_profiles}:
        return False
    if asked.max_latency_ms is None and asked.max_memory_gb is None:
        return True
    needs = _needs(record, state)
    if needs is None:
        return False
    latency, memory = needs
    return (asked.max_latency_ms is None or latency <= asked.max_latency_ms) and (
        asked.max_memory_gb is None or memory <= asked.max_memory_gb
    )


def _needs(record: BlueprintRecord, state: RunState) -> tuple[float, float] | None:
    """Estimated ms a sample and GB in the widest slot that it fits; None where it fits none."""
    header = state.started
    found = []
    for layer in header.layout:
        read, chunk = layer.read_width(record.metadata.default_reads, 0), layer.chunk_width(0)
        try:
            work, memory = flops(record.graph, read=read, chunk=chunk), memory_mb(record.graph, read=read, chunk=chunk)
        except ShapeMismatch:
            continue
        found.append((header.hardware.latency_ms(work), max(memory / 1e3, record.metadata.urza.min_memory_gb)))
    return max(found, default=None)
