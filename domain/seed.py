"""The Seed aggregate: ``decide`` may refuse, ``evolve`` may not.

Every germination opens an adaptation, and every adaptation concludes at most once; FOSSILIZED, CULLED and
ROLLED_BACK file exactly one field report, in the same breath as the conclusion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, final

from domain.commands import (
    Advance,
    Cancel,
    ChangeGrafting,
    Command,
    Cull,
    Germinate,
    GraftingStrategy,
    Reads,
    Recover,
    Reset,
)
from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    DomainEvent,
    EpochMetrics,
    FieldReportFiled,
    GraftingChanged,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from domain.faults import ERROR_RATE_MAX
from domain.field_reports import EvaluationMetrics, FieldReport
from domain.gates import Evidence, GateResult, GateSettings, evaluate
from domain.health import SeedProgress
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.lifecycle import Edge, Gate, LifecycleProfile, Outcome, Stage
from domain.values import changed

ADVANCING: Final = (
    Gate.PROMOTION,
    Gate.BLUEPRINT_LOADED,
    Gate.FIXED_FUNCTION_LOADED,
    Gate.LOADED_BLEND,
    Gate.RECONSTRUCTION,
    Gate.ALPHA_REACHED,
    Gate.SETTLED,
    Gate.POSITIVE_EFFECT,
    Gate.FIXED_FUNCTION_EFFECT,
    Gate.TOTAL_IMPROVEMENT,
    Gate.HELD,
    Gate.COMMANDED,
)
"""The gates that ``Advance`` may name; the others have commands of their own."""

MEASURED: Final = (Stage.EVALUATING, Stage.FINE_TUNING)
"""Stages in which a field report's evaluation metrics are gathered."""


class Refusal(Exception):
    """A command that the lifecycle does not allow. ``rule`` is for machines, ``reason`` for people."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(f"{rule}: {reason}")
        self.rule = rule
        self.reason = reason


@final
@dataclass(frozen=True)  # no slots: see ``changed``
class Adaptation:
    """One germination of a seed, from planting to conclusion."""

    attempt: int
    blueprint_id: BlueprintId
    reads: Reads
    grafting: GraftingStrategy
    germinated_at: int
    pre_accuracy: float
    """Validation accuracy at germination, [0, 1]."""
    pre_loss: float
    baseline_accuracy: float | None = None
    """Validation accuracy on entry to GRAFTING, with the blueprint still silent; None before."""
    alpha: float = 0.0
    ramp_steps: float = 0.0
    outcome: Outcome | None = None
    measurements: int = 0
    max_latency_ms: float = 0.0
    memory_mb_sum: float = 0.0
    gradient_variance_sum: float = 0.0

    def measured(self, progress: SeedProgress) -> Adaptation:
        """The same with one epoch's measurements added."""
        return changed(
            self,
            measurements=self.measurements + 1,
            max_latency_ms=max(self.max_latency_ms, progress.latency_ms),
            memory_mb_sum=self.memory_mb_sum + progress.memory_mb,
            gradient_variance_sum=self.gradient_variance_sum + progress.gradient_variance,
        )


@final
@dataclass(frozen=True)  # no slots: see ``changed``
class Seed:
    """Where one seed is."""

    seed_id: SeedId
    stage: Stage = Stage.DORMANT
    since: int = 0
    """Epoch at whose end it entered its stage."""
    attempts: int = 0
    embargoed_until: int = 0
    """First epoch at which it may germinate again."""
    locked: bool = False
    faults: int = 0
    """Consecutive faults."""
    faulted_at: int = -1
    """Epoch of the last fault."""
    adaptation: Adaptation | None = None

    def may_germinate(self, epoch: int) -> bool:
        """Whether a germination at the end of ``epoch`` would find it dormant, free of embargo and unlocked."""
        return self.stage is Stage.DORMANT and not self.locked and epoch >= self.embargoed_until


@final
@dataclass(frozen=True, slots=True)
class Boundary:
    """What a seed's decision depends on beside the seed: the moment, the rules and the evidence."""

    epoch: int
    profile: LifecycleProfile
    gates: GateSettings
    metrics: EpochMetrics
    evidence: Evidence
    task: str

    def planting(self, problem: str | None) -> Boundary:
        """The same boundary, with what speaks against the blueprint that is to be planted."""
        return replace(self, evidence=replace(self.evidence, blueprint_problem=problem))


def decide(seed: Seed, command: Command, at: Boundary) -> tuple[DomainEvent, ...]:
    """What ``command`` does to ``seed`` at this boundary. Raises Refusal where the lifecycle forbids it."""
    match command:
        case Germinate():
            return _germinate(seed, command, at)
        case Advance():
            return _advance(seed, command.gate, at)
        case Cull():
            return _cull(seed, at)
        case Cancel():
            return _leave(seed, Gate.CANCEL, "cancelled before it touched the host", at)
        case Recover():
            return _leave(seed, Gate.RECOVERY, f"recovered after {seed.faults} faults in consecutive epochs", at)
        case Reset():
            return (_moved(seed, _edge(seed, Gate.RESET, at), "reset", at),)
        case ChangeGrafting():
            return _change_grafting(seed, command.grafting, at)
        case _:
            raise Refusal("not-a-seed-command", f"{command.kind} is not an order to one seed")


def succumb(seed: Seed, at: Boundary, error_rate: float = 0.0) -> tuple[DomainEvent, ...]:
    """The only edge that nobody commands: to ERROR_RECOVERY once faults reach the limit. Empty while they do not.

    ``error_rate`` is the share of the last epoch's batches that failed, which has a limit of its own.
    """
    edge = at.profile.edge(seed.stage, Gate.FAULTS)
    if edge is None or (seed.faults < at.gates.faults_max and error_rate <= ERROR_RATE_MAX):
        return ()
    often = f", {error_rate:.0%} of the last epoch's batches" if error_rate > ERROR_RATE_MAX else ""
    return (_moved(seed, edge, f"{seed.faults} faults in consecutive epochs{often}", at),)


def roll_back(seed: Seed, reason: str, at: Boundary) -> tuple[DomainEvent, ...]:
    """Conclude the seed's open adaptation as ROLLED_BACK.

    Where the profile has no direct edge the seed goes through ERROR_RECOVERY. Raises Refusal from a stage that
    nothing can be rolled back from.
    """
    if at.profile.edge(seed.stage, Gate.ROLLBACK) is None:
        detour = at.profile.edge(seed.stage, Gate.FAULTS)
        if detour is not None:
            moved = _moved(seed, detour, reason, at)
            return (moved, *_leave(evolve(seed, moved), Gate.ROLLBACK, reason, at))
    return _leave(seed, Gate.ROLLBACK, reason, at)


def forward_gate(seed: Seed, at: Boundary) -> GateResult | None:
    """The gate of the seed's way forward: an open one, else the one that came closest; None where there is none."""
    asked = [edge.gate for edge in at.profile.edges_from(seed.stage) if edge.gate in ADVANCING]
    results = [evaluate(gate, seed.stage, at.evidence, at.gates) for gate in asked]
    return min(results, key=lambda result: len(result.checks_failed), default=None)


def _edge(seed: Seed, gate: Gate, at: Boundary) -> Edge:
    edge = at.profile.edge(seed.stage, gate)
    if edge is None:
        raise Refusal(
            "no-such-edge",
            f"seed {seed.seed_id} is {seed.stage.value} at epoch {at.epoch}; no edge of profile "
            f"{at.profile.name} leaves it by {gate.value}",
        )
    return edge


def _moved(seed: Seed, edge: Edge, reason: str, at: Boundary) -> StageChanged:
    return StageChanged(
        epoch=at.epoch,
        seed=seed.seed_id,
        source=edge.source,
        target=edge.target,
        gate=edge.gate,
        reason=reason,
        validation_accuracy=at.metrics.validation_accuracy,
    )


def _germinate(seed: Seed, command: Germinate, at: Boundary) -> tuple[DomainEvent, ...]:
    if seed.stage is not Stage.DORMANT:
        raise Refusal(
            "not-dormant",
            f"seed {seed.seed_id} is {seed.stage.value} at epoch {at.epoch}; only a dormant seed germinates",
        )
    if seed.locked:
        raise Refusal("locked", f"seed {seed.seed_id} was rolled back and is locked for the run")
    if at.epoch < seed.embargoed_until:
        raise Refusal("embargoed", f"seed {seed.seed_id} is under embargo until epoch {seed.embargoed_until}")
    if at.evidence.blueprint_problem is not None:
        raise Refusal("blueprint", at.evidence.blueprint_problem)
    edge = _edge(seed, Gate.GERMINATION, at)
    germinated = SeedGerminated(
        epoch=at.epoch,
        adaptation=AdaptationId(seed=seed.seed_id, attempt=seed.attempts + 1),
        blueprint_id=command.blueprint_id,
        reads=command.reads,
        grafting=command.grafting,
        validation_accuracy=at.metrics.validation_accuracy,
        validation_loss=at.metrics.validation_loss,
    )
    return germinated, _moved(seed, edge, "commanded", at)


def _advance(seed: Seed, gate: Gate, at: Boundary) -> tuple[DomainEvent, ...]:
    if gate not in ADVANCING:
        raise Refusal("not-a-way-forward", f"{gate.value} has a command of its own; advance does not pass it")
    edge = _edge(seed, gate, at)
    result = evaluate(gate, seed.stage, at.evidence, at.gates)
    if not result.passed:
        raise Refusal("gate-closed", f"seed {seed.seed_id}, gate {gate.value}: {result.message}")
    moved = _moved(seed, edge, result.message or "commanded", at)
    if edge.outcome is not None:
        return (moved, *_conclude(seed, edge.outcome, moved.reason, at))
    if gate is Gate.LOADED_BLEND:
        alpha = at.gates.loaded_alpha
        blended = AlphaChanged(epoch=at.epoch, seed=seed.seed_id, alpha=alpha, steps=0.0, reason="loaded")
        return moved, blended
    return (moved,)


def _cull(seed: Seed, at: Boundary) -> tuple[DomainEvent, ...]:
    _edge(seed, Gate.CULL, at)
    result = forward_gate(seed, at)
    if result is not None and result.passed:
        raise Refusal(
            "gate-open", f"seed {seed.seed_id} passes {result.gate.value} ({result.message}); advance it instead"
        )
    return _leave(seed, Gate.CULL, result.message if result else "culled", at)


def _leave(seed: Seed, gate: Gate, reason: str, at: Boundary) -> tuple[DomainEvent, ...]:
    edge = _edge(seed, gate, at)
    assert edge.outcome is not None, f"{gate} must conclude"
    return (_moved(seed, edge, reason, at), *_conclude(seed, edge.outcome, reason, at))


def _conclude(seed: Seed, outcome: Outcome, reason: str, at: Boundary) -> tuple[DomainEvent, ...]:
    adaptation = seed.adaptation
    assert adaptation is not None and adaptation.outcome is None, f"seed {seed.seed_id} has nothing to conclude"
    name = AdaptationId(seed=seed.seed_id, attempt=adaptation.attempt)
    locked = outcome is Outcome.ROLLED_BACK and not at.gates.unlock_after_rollback
    embargoed = outcome is Outcome.CULLED or (outcome is Outcome.ROLLED_BACK and not locked)
    concluded = AdaptationConcluded(
        epoch=at.epoch,
        adaptation=name,
        outcome=outcome,
        reason=reason,
        embargoed_until=at.epoch + at.gates.embargo_epochs if embargoed else None,
        locked=locked,
    )
    if not outcome.is_reported:
        return (concluded,)
    times = max(adaptation.measurements, 1)
    report = FieldReport(
        adaptation=name,
        blueprint_id=adaptation.blueprint_id,
        seed_id=f"({seed.seed_id.layer}, {seed.seed_id.index})",
        pre_metric=adaptation.pre_accuracy,
        post_metric=at.metrics.validation_accuracy,
        outcome=outcome,
        eval_metrics=EvaluationMetrics(
            max_latency_ms=adaptation.max_latency_ms,
            avg_memory_mb=adaptation.memory_mb_sum / times,
            gradient_norm_variance=adaptation.gradient_variance_sum / times,
        ),
        reads=adaptation.reads,
        grafting=adaptation.grafting,
        task=at.task,
        reason=reason,
    )
    return concluded, FieldReportFiled(epoch=at.epoch, report=report)


def _change_grafting(seed: Seed, target: GraftingStrategy, at: Boundary) -> tuple[DomainEvent, ...]:
    ramping = (Stage.GERMINATING, Stage.LOADING, Stage.TRAINING, Stage.GRAFTING)
    adaptation = seed.adaptation
    if adaptation is None or seed.stage not in ramping or Stage.GRAFTING not in at.profile.stages:
        raise Refusal("not-ramping", f"seed {seed.seed_id} is {seed.stage.value}; its ramp is not ahead of it")
    if adaptation.grafting is target:
        raise Refusal("no-change", f"seed {seed.seed_id} already ramps by {target.value}")
    return (GraftingChanged(epoch=at.epoch, seed=seed.seed_id, source=adaptation.grafting, target=target),)


def evolve(seed: Seed, event: DomainEvent) -> Seed:
    """The seed after ``event``; the seed itself if the event is none of its own kind."""
    case = _CASES.get(type(event))
    return seed if case is None else case(seed, event)


def _germinated(seed: Seed, event: SeedGerminated) -> Seed:
    adaptation = Adaptation(
        attempt=event.adaptation.attempt,
        blueprint_id=event.blueprint_id,
        reads=event.reads,
        grafting=event.grafting,
        germinated_at=event.epoch,
        pre_accuracy=event.validation_accuracy,
        pre_loss=event.validation_loss,
    )
    return replace(seed, attempts=adaptation.attempt, faults=0, faulted_at=-1, adaptation=adaptation)


def _after_move(seed: Seed, event: StageChanged) -> Seed:
    adaptation = seed.adaptation
    if event.target is Stage.GRAFTING:
        adaptation = changed(_open(seed), baseline_accuracy=event.validation_accuracy)
    elif event.source is Stage.FOSSILIZED:
        adaptation = None
    return changed(seed, stage=event.target, since=event.epoch, adaptation=adaptation)


def _concluded(seed: Seed, event: AdaptationConcluded) -> Seed:
    kept = replace(_open(seed), outcome=event.outcome) if event.outcome is Outcome.FOSSILIZED else None
    return replace(
        seed,
        embargoed_until=seed.embargoed_until if event.embargoed_until is None else event.embargoed_until,
        locked=seed.locked or event.locked,
        adaptation=kept,
    )


def _blended(seed: Seed, event: AlphaChanged) -> Seed:
    return changed(seed, adaptation=changed(_open(seed), alpha=event.alpha, ramp_steps=event.steps))


def _regrafted(seed: Seed, event: GraftingChanged) -> Seed:
    return replace(seed, adaptation=replace(_open(seed), grafting=event.target))


def _faulted(seed: Seed, event: SeedFaulted) -> Seed:
    continued = seed.faults if seed.faulted_at >= event.epoch - 1 else 0
    return replace(seed, faults=continued + event.count, faulted_at=event.epoch)


def _open(seed: Seed) -> Adaptation:
    assert seed.adaptation is not None, f"seed {seed.seed_id} has no adaptation"
    return seed.adaptation


_CASES: Final[Mapping[type[DomainEvent], Callable[[Seed, Any], Seed]]] = {
    SeedGerminated: _germinated,
    StageChanged: _after_move,
    AdaptationConcluded: _concluded,
    AlphaChanged: _blended,
    GraftingChanged: _regrafted,
    SeedFaulted: _faulted,
}
