"""What the shield and the decision checks say about a decision, with everything they need taken from the run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from domain.commands import Decision, Germinate, GraftingStrategy, Reads
from domain.health import LayerHealthReport, need
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.run import RunState
from domain.safety import (
    CurrentMetrics,
    DecisionContext,
    Deployment,
    Violation,
    check_drift_and_stability,
    check_hardware,
    check_safety_score,
    validate_blueprint_deployment,
    validate_decision,
)
from domain.shapes import flops, memory_mb
from domain.urza.record import BlueprintRecord


def review(decision: Decision, state: RunState, reports: Sequence[LayerHealthReport]) -> tuple[Violation, ...]:
    """Every violation of a decision; empty when it is safe. Only germinations are judged: the rest has its gates.

    A germination that the lifecycle refuses anyway (no such seed or blueprint, or it does not fit) is left to it.
    """
    command, config = decision.command, state.started.tamiyo_config
    if not isinstance(command, Germinate) or not config.enable_safety_validation:
        return ()
    try:
        refused = state.problem(command.seed, command.blueprint_id, command.reads) is not None
    except LookupError:
        refused = True
    if refused:
        return ()
    record = state.library.record(command.blueprint_id)
    _, violations = validate_blueprint_deployment(
        deployment(state, record, command.seed, command.reads, command.grafting)
    )
    context = _context(decision, command, record, state, reports)
    return (*violations, *validate_decision(context, state.started.safety.decision_checks))


def objections_to(record: BlueprintRecord, seed: SeedId, reads: Reads, state: RunState) -> tuple[Violation, ...]:
    """What the review has against the blueprint itself in this slot, however calm the network and sure the decision.

    To order it all the same would be vetoed again and again. Raises ShapeMismatch where it does not fit.
    """
    header = state.started
    asked = deployment(state, record, seed, reads, GraftingStrategy.FIXED_RAMP)
    found = check_hardware(asked)
    if not header.tamiyo_config.enable_safety_validation:
        return found
    calm = CurrentMetrics(gradient_variance=asked.metrics.gradient_variance)
    sure = DecisionContext(
        confidence=1.0, urgency=0.0, layer=seed.layer, epoch=state.epoch, safety_score=_safety_score(record)
    )
    unsteady = check_drift_and_stability(replace(asked, metrics=calm))
    return (*found, *unsteady, *check_safety_score(sure, header.safety.decision_checks))


def deployment(
    state: RunState, record: BlueprintRecord, seed: SeedId, reads: Reads, grafting: GraftingStrategy
) -> Deployment:
    """What the shield is asked about ``record`` in slot ``seed``. Raises ShapeMismatch where it does not fit."""
    header = state.started
    layer = header.layout[seed.layer]
    read, chunk = layer.read_width(reads, seed.index), layer.chunk_width(seed.index)
    statistics = record.statistics
    measured = statistics.mean_gradient_variance if statistics.measured else None
    metrics = CurrentMetrics(
        latency_ms=header.hardware.latency_ms(flops(record.graph, read=read, chunk=chunk)),
        memory_gb=memory_mb(record.graph, read=read, chunk=chunk) / 1e3,
        drift=_drift(state),
        stable_epochs=_stable_epochs(state),
        gradient_variance=record.metadata.estimates.gradient_variance_estimate if measured is None else measured,
        consecutive_failures=state.consecutive_failures,
        grafting=grafting,
    )
    config = header.tamiyo_config
    return Deployment(
        blueprint=record.metadata,
        hardware=header.hardware,
        metrics=metrics,
        config=header.safety,
        memory_margin=config.memory_safety_margin,
        latency_margin=config.latency_safety_margin,
        enforce_hardware=config.enforce_hardware_constraints,
    )


def _drift(state: RunState) -> float:
    """Largest weight drift of the blueprints that hold at full blend. A fossil is frozen: its last drift is history."""
    held = [name for name, seed in state.seeds.items() if seed.stage is Stage.ACTIVE and name in state.progress]
    drifts = [state.progress[name].weight_drift for name in held]
    return math.nan if any(math.isnan(drift) for drift in drifts) else max(drifts, default=0.0)


def _stable_epochs(state: RunState) -> int | None:
    """Epochs since a loss that was not finite, as far back as metrics are kept; None when there is none."""
    for age, metrics in enumerate(reversed(state.recent)):
        if not (math.isfinite(metrics.validation_loss) and math.isfinite(metrics.train_loss)):
            return age
    return None


def _context(
    decision: Decision,
    command: Germinate,
    record: BlueprintRecord,
    state: RunState,
    reports: Sequence[LayerHealthReport],
) -> DecisionContext:
    weights = state.started.tamiyo_config.health_weights
    return DecisionContext(
        confidence=decision.confidence,
        urgency=decision.urgency,
        layer=command.seed.layer,
        epoch=state.epoch,
        germinations=state.last_germinations,
        layer_health=tuple(1.0 - float(need(report, weights).values.mean()) for report in reports if report.seeds),
        safety_score=_safety_score(record),
    )


def _safety_score(record: BlueprintRecord) -> float | None:
    return None if record.certificate is None else 1.0 - record.metadata.urabrask.risk_score
