"""The audit trail of a run: who decided, ordered, vetoed or changed what, at which epoch, under which rule and why.

A fold over the events, which are the audit log: nothing here is kept anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, final

from domain.commands import Germinate
from domain.events import (
    AdaptationConcluded,
    BlueprintCertified,
    BlueprintProposed,
    BlueprintRegistered,
    BlueprintRegraded,
    BlueprintRetired,
    CommandRefused,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    FieldReportFiled,
    GraftingChanged,
    OutsideFact,
    PanicRaised,
    ProposalRefused,
    RollbackOrdered,
    RunEnded,
    RunForked,
    RunStarted,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from domain.identifiers import BlueprintId, SeedId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the trail."""

    epoch: int
    kind: str
    """What happened, such as ``veto``."""
    seed: str | None = None
    """LAYER.SEED."""
    blueprint: str | None = None
    """Name of the blueprint that it is about."""
    rule: str | None = None
    """What it happened under: a check of the shield, a rule of the lifecycle, a gate, a kind of fault."""
    reason: str = ""

    def concerns(self, blueprint: str | None, rule: str | None) -> bool:
        """Whether it is about a blueprint and under a rule, as far as these are asked for."""
        return blueprint in {None, self.blueprint} and rule in {None, self.rule}


def audit_trail(events: Iterable[DomainEvent]) -> Iterator[AuditEntry]:
    """Every entry of a run, in order."""
    trail = _Trail()
    for event in events:
        yield from trail.entries(event)


@final
class _Trail:
    """Knows what a later event only hints at: names of blueprints, what each seed carries, the decision before."""

    def __init__(self) -> None:
        self._names: Final[dict[BlueprintId, str]] = {}
        self._carried: Final[dict[SeedId, BlueprintId]] = {}
        self._decided: tuple[SeedId | None, BlueprintId | None] = None, None

    def entries(self, event: DomainEvent) -> Iterator[AuditEntry]:
        """What ``event`` adds to the trail."""
        match event:
            case DecisionMade() | DecisionVetoed() | CommandRefused():
                yield from self._deciding(event)
            case SeedGerminated():
                self._carried[event.adaptation.seed] = event.blueprint_id
                yield self._of_seed(event, "germination", event.adaptation.seed, "", f"grafting {event.grafting.value}")
            case (
                StageChanged()
                | GraftingChanged()
                | SeedFaulted()
                | AdaptationConcluded()
                | FieldReportFiled()
                | RollbackOrdered()
            ):
                yield self._growing(event)
            case RunStarted() | RunForked() | PanicRaised() | RunEnded():
                yield _running(event)
            case _ if isinstance(event, OutsideFact):
                said = event.model_dump(mode="json", exclude={"epoch"})
                yield AuditEntry(epoch=event.epoch, kind=event.TOPIC, reason=_listed(said))
            case _:
                yield from self._inventing(event)

    def _deciding(self, event: DecisionMade | DecisionVetoed | CommandRefused) -> Iterator[AuditEntry]:
        if isinstance(event, DecisionMade):
            command = event.decision.command
            seed: SeedId | None = getattr(command, "seed", None)
            planted = command.blueprint_id if isinstance(command, Germinate) else None
            self._decided = seed, planted or (self._carried.get(seed) if seed else None)
            yield self._decision(event.epoch, "decision", command.kind, event.decision.reason)
        elif isinstance(event, CommandRefused):
            yield self._decision(event.epoch, "refusal", event.rule, event.reason)
        else:
            for violation in event.violations:
                yield self._decision(event.epoch, "veto", violation.rule, violation.detail)

    def _decision(self, epoch: int, kind: str, rule: str, reason: str) -> AuditEntry:
        seed, blueprint = self._decided
        name = None if blueprint is None else self._name(blueprint)
        told = None if seed is None else str(seed)
        return AuditEntry(epoch=epoch, kind=kind, seed=told, blueprint=name, rule=rule, reason=reason)

    def _growing(self, event: Any) -> AuditEntry:
        match event:
            case StageChanged():
                moved = f"{event.source.value} to {event.target.value}: {event.reason}"
                return self._of_seed(event, "stage", event.seed, event.gate.value, moved)
            case GraftingChanged():
                changed = f"{event.source.value} to {event.target.value}"
                return self._of_seed(event, "grafting", event.seed, "", changed)
            case SeedFaulted():
                return self._of_seed(event, "fault", event.seed, event.kind.value, event.detail)
            case AdaptationConcluded():
                return self._of_seed(event, "conclusion", event.adaptation.seed, event.outcome.value, event.reason)
            case FieldReportFiled():
                report = event.report
                change = f"validation accuracy {report.pre_metric:.3f} to {report.post_metric:.3f}"
                return self._of_seed(event, "field report", report.adaptation.seed, report.outcome.value, change)
            case _:
                back = f"to the checkpoint of epoch {event.checkpoint_epoch}: {event.reason}"
                return self._of_seed(event, "rollback", event.culprit, event.source.value, back)

    def _of_seed(self, event: DomainEvent, kind: str, seed: SeedId | None, rule: str, reason: str) -> AuditEntry:
        carried = None if seed is None else self._carried.get(seed)
        return AuditEntry(
            epoch=event.epoch,
            kind=kind,
            seed=None if seed is None else str(seed),
            blueprint=None if carried is None else self._name(carried),
            rule=rule or None,
            reason=reason,
        )

    def _inventing(self, event: DomainEvent) -> Iterator[AuditEntry]:
        match event:
            case BlueprintRegistered():
                self._names[event.blueprint_id] = event.metadata.name
                level = event.metadata.urabrask.conf_level.value
                yield self._of_blueprint(event, "registration", None, f"number {event.number}, level {level}")
            case BlueprintProposed():
                yield self._of_blueprint(event, "proposal", event.mutation, event.reason)
            case ProposalRefused():
                yield AuditEntry(epoch=event.epoch, kind="proposal refused", rule=event.rule, reason=event.reason)
            case BlueprintCertified():
                given = event.certificate
                said = f"{'passed' if given.passed else 'failed'}, risk {given.risk_score:.3f}"
                yield self._of_blueprint(
                    event, "certificate", given.conf_level.value, f"{said}; {given.reason}" if given.reason else said
                )
            case BlueprintRegraded():
                yield self._of_blueprint(event, "regrading", event.level.value, event.reason)
            case BlueprintRetired():
                yield self._of_blueprint(event, "retirement", None, event.reason)

    def _of_blueprint(self, event: Any, kind: str, rule: str | None, reason: str) -> AuditEntry:
        name = self._name(event.blueprint_id)
        return AuditEntry(epoch=event.epoch, kind=kind, blueprint=name, rule=rule, reason=reason)

    def _name(self, blueprint: BlueprintId) -> str:
        return self._names.get(blueprint, blueprint[:12])


def _running(event: RunStarted | RunForked | PanicRaised | RunEnded) -> AuditEntry:
    match event:
        case RunStarted():
            said = f"{event.header.scenario}, run key {event.header.run_key}, Tamiyo {event.header.tamiyo.name}"
            return AuditEntry(epoch=event.epoch, kind="start", reason=said)
        case RunForked():
            said = f"from {event.parent}, Tamiyo {event.header.tamiyo.name}"
            return AuditEntry(epoch=event.epoch, kind="fork", reason=said)
        case PanicRaised():
            return AuditEntry(epoch=event.epoch, kind="panic", reason=event.reason)
        case RunEnded():
            return AuditEntry(epoch=event.epoch, kind="end", rule=event.ending.value, reason=event.reason)


def _listed(said: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in said.items() if value != "")
