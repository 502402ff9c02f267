"""Oona's topics: who publishes, who consumes, what they carry, how long it is kept. Source: domain reference C1.

Every domain event travels on exactly one topic, ``topic_of``. What else travels (requests, answers, wishes) are values
of their own types, named in their envelopes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from domain import events as happened
from domain.events import DomainEvent

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR


@final
class Topic(Enum):
    """A topic, named ``plane.subsystem.event``."""

    SEED_HEALTH = "telemetry.seed.health"
    KASMINA_COMMANDS = "control.kasmina.commands"
    KASMINA_RESPONSES = "control.kasmina.responses"
    FIELD_REPORTS = "innovation.field_reports"
    CANDIDATES = "innovation.candidates.submitted"
    CERTIFICATIONS = "innovation.certification.results"
    EPOCHS = "system.events.epoch"
    ROLLBACKS = "system.events.rollback"


@final
class Retention(Enum):
    """How long a message is kept, in seconds; None for ever."""

    TELEMETRY = 72 * _HOUR
    OPERATIONS = 30 * _DAY
    FOR_EVER = None


@final
class Qos(Enum):
    """What gives way first on a bus that is slow. Source: the tiers of the design, domain reference C1.

    All topics are delivered at least once and whole: who follows a run needs every event of it. What is not to travel is
    not measured (``training.telemetry``), which is where the design's debug tier has its place.
    """

    CRITICAL = "critical"
    """Travels itself up to the full direct limit, however slow the bus is."""
    NORMAL = "normal"
    """A slow bus takes smaller and smaller bodies of it; the others go by claim check."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What holds of one topic."""

    publisher: str
    consumers: tuple[str, ...]
    events: tuple[type[DomainEvent], ...]
    """The domain events that travel on it."""
    retention: Retention
    qos: Qos = Qos.CRITICAL


CONTRACTS: Final[Mapping[Topic, Contract]] = {
    Topic.SEED_HEALTH: Contract(
        publisher="kasmina",
        consumers=("tamiyo", "nissa"),
        events=(happened.LayerHealthReported,),
        retention=Retention.TELEMETRY,
        qos=Qos.NORMAL,
    ),
    Topic.KASMINA_COMMANDS: Contract(
        publisher="tamiyo",
        consumers=("kasmina",),
        events=(happened.DecisionMade, happened.DecisionDiverged, happened.DecisionVetoed),
        retention=Retention.OPERATIONS,
    ),
    Topic.KASMINA_RESPONSES: Contract(
        publisher="kasmina",
        consumers=("tamiyo",),
        events=(
            happened.CommandRefused,
            happened.SeedFaulted,
            happened.SeedGerminated,
            happened.StageChanged,
            happened.AlphaChanged,
            happened.GraftingChanged,
            happened.AdaptationConcluded,
        ),
        retention=Retention.OPERATIONS,
    ),
    Topic.FIELD_REPORTS: Contract(
        publisher="tamiyo",
        consumers=("karn", "simic"),
        events=(happened.FieldReportFiled, happened.AdaptationRewarded),
        retention=Retention.FOR_EVER,
    ),
    Topic.CANDIDATES: Contract(
        publisher="karn",
        consumers=("urabrask",),
        events=(
            happened.BlueprintProposed,
            happened.EvolutionStarted,
            happened.RunJoined,
            happened.GenerationClosed,
        ),
        retention=Retention.FOR_EVER,
    ),
    Topic.CERTIFICATIONS: Contract(
        publisher="urabrask",
        consumers=("urza", "karn"),
        events=(
            happened.ProposalRefused,  # a result is published when a candidate fails, too
            happened.RiskModelTrained,
            happened.BlueprintCertified,
            happened.BlueprintRegistered,
            happened.BlueprintRegraded,
            happened.BlueprintRetired,
            happened.BlueprintBattled,
            happened.BlueprintInherited,
        ),
        retention=Retention.FOR_EVER,
    ),
    Topic.EPOCHS: Contract(
        publisher="tolaria",
        consumers=("tamiyo", "nissa"),
        events=(
            happened.RunStarted,
            happened.RunForked,
            happened.EpochCompleted,
            happened.PanicRaised,
            happened.GrowthPaused,
            happened.GrowthResumed,
            happened.ControllerSilent,
            happened.BreakerMoved,
            happened.RecoveryTried,
            happened.CheckpointSaved,
            happened.TestScored,
            happened.RunEnded,
            happened.EpochSealed,
        ),
        retention=Retention.OPERATIONS,
    ),
    Topic.ROLLBACKS: Contract(
        publisher="tolaria",
        consumers=("tamiyo", "nissa"),
        events=(happened.RollbackOrdered,),
        retention=Retention.OPERATIONS,
    ),
}
"""Every topic, with what holds of it."""

NOT_CARRIED: Final[Mapping[str, str]] = {
    "telemetry.seed.health.large": "a large report travels on telemetry.seed.health as a claim check",
    "compilation.blueprint.submitted": "Kasmina compiles a blueprint where it grows: there is no compiler to ask",
    "compilation.kernel.ready": "as compilation.blueprint.submitted",
    "validation.kernel.characterized": "what was measured of a blueprint is in its certification",
    "morphogenetic.*": "the assessed implementation's second bus said the same as the topics here",
}
"""Topics of the sources that say nothing here, and why."""

_TOPICS: Final[Mapping[type[DomainEvent], Topic]] = {
    event: topic for topic, contract in CONTRACTS.items() for event in contract.events
}
_ON_TOPICS: Final[Mapping[str, Topic]] = {event.TOPIC: topic for event, topic in _TOPICS.items()}


def topic_of(event: DomainEvent) -> Topic:
    """The topic that an event travels on."""
    return _TOPICS[type(event)]


def misplaced(topic: Topic, kind: str) -> str | None:
    """Why a message of type ``kind`` has no business on ``topic``: it is an event that travels on another one."""
    name = kind.rpartition(".v")[0]
    home = _ON_TOPICS.get(name, topic)
    return None if home is topic else f"a {name} travels on {home.value} but this one came on {topic.value}"
