"""What happens in the innovation plane: proposals, certificates, the library."""

from __future__ import annotations

from typing import ClassVar, final

from pydantic import Field

from domain.blueprint import BlueprintGraph, BlueprintMetadata, ConfidenceLevel
from domain.commands import Considered, Draw
from domain.events.event import DomainEvent
from domain.identifiers import BlueprintId
from domain.urabrask.certificate import Certificate
from domain.urabrask.risk import RiskModel
from domain.urza.statistics import BlueprintStatistics


@final
class BlueprintRegistered(DomainEvent):
    """A blueprint entered the library and got its number, for good."""

    TOPIC: ClassVar[str] = "blueprint-registered"
    blueprint_id: BlueprintId
    number: int = Field(ge=1)
    """Its small integer in the layers' state; 0 means none; never reused."""
    graph: BlueprintGraph
    metadata: BlueprintMetadata
    parent_id: BlueprintId | None = None
    mutation: str | None = None
    previous_hash: str
    """Provenance chain: the hash of the library's entry before this one, 64 zeros for the first."""
    hash: str


@final
class BlueprintCertified(DomainEvent):
    """The crucible judged a blueprint."""

    TOPIC: ClassVar[str] = "blueprint-certified"
    blueprint_id: BlueprintId
    certificate: Certificate
    previous_hash: str
    hash: str


@final
class BlueprintRegraded(DomainEvent):
    """A blueprint's confidence level changed."""

    TOPIC: ClassVar[str] = "blueprint-regraded"
    blueprint_id: BlueprintId
    level: ConfidenceLevel
    reason: str
    previous_hash: str
    hash: str


@final
class BlueprintRetired(DomainEvent):
    """A blueprint was archived: kept for ever, offered no more."""

    TOPIC: ClassVar[str] = "blueprint-retired"
    blueprint_id: BlueprintId
    reason: str
    previous_hash: str
    hash: str


@final
class BlueprintProposed(DomainEvent):
    """Karn proposed a blueprint; ``number`` counts the proposals of the epoch from 0."""

    TOPIC: ClassVar[str] = "blueprint-proposed"
    VERSION: ClassVar[int] = 2
    number: int = Field(ge=0)
    blueprint_id: BlueprintId
    reason: str
    propensity: float = Field(gt=0, le=1)
    draws: tuple[Draw, ...] = ()
    parent_id: BlueprintId | None = None
    mutation: str | None = None
    novelty: float = Field(default=0.0, ge=0)
    """Normalised graph edit distance to the nearest of the library that it was compared with, when it was proposed."""
    considered: tuple[Considered, ...] = ()
    """The operators, or whatever else, that were weighed, with their scores."""


@final
class ProposalRefused(DomainEvent):
    """Proposal ``number`` of this epoch was not taken into the library."""

    TOPIC: ClassVar[str] = "proposal-refused"
    number: int = Field(ge=0)
    rule: str
    reason: str


@final
class BlueprintBattled(DomainEvent):
    """Two blueprints were compared on the same trial; both scores moved. Source: Urza §2, K 55: Elo, K 32 from 1200."""

    TOPIC: ClassVar[str] = "blueprint-battled"
    blueprint_id: BlueprintId
    opponent_id: BlueprintId
    result: float = Field(ge=0, le=1)
    """1 won, 0.5 drawn, 0 lost, as seen by ``blueprint_id``."""
    elo_score: int
    """Of ``blueprint_id`` afterwards."""
    opponent_elo_score: int
    previous_hash: str
    hash: str


@final
class BlueprintInherited(DomainEvent):
    """A blueprint came into this run with what was known of it from others."""

    TOPIC: ClassVar[str] = "blueprint-inherited"
    blueprint_id: BlueprintId
    statistics: BlueprintStatistics
    previous_hash: str
    hash: str


@final
class RiskModelTrained(DomainEvent):
    """From here on risk scores are this model's."""

    TOPIC: ClassVar[str] = "risk-model-trained"
    model: RiskModel
    previous_hash: str
    hash: str
