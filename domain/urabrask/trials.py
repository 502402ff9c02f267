"""The crucible's trials: the slot they are held in, what is measured there, and the limits that fail a stage.

A candidate is grafted into a small host that is too narrow for its task and that is frozen, so that what is gained is
the candidate's own; it writes the whole layer and starts as the identity. The three tasks are unlike each other, a
linear map helps none of them, and what helps differs: any bend of what was learnt solves the parity of four noisy bits,
four rings ask for two bends one after the other, and spirals of two and a half turns for width beside. The workhorse of
the catalogue gains less than half of what can be gained. Host, data and first weights are the same for every candidate
at any time, so two measures differ by the blueprints alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final, final

from domain.blueprint import BlueprintGraph
from domain.commands import Reads
from domain.hardware import HardwareContext
from domain.header import LayerLayout
from domain.shapes import ShapeMismatch, flops
from domain.urabrask.certificate import GAIN, CrucibleStage, Examination
from domain.urabrask.profile import activation_elements
from domain.urza.catalogue import JOULES_PER_FLOP

SLOT: Final = LayerLayout(layer=0, inputs=8, outputs=4, seeds=1)
"""8 features, 4 hidden units, one chunk. All its widths divide by 4, so that what splits or folds them fits."""
TASKS: Final = ("parity", "rings", "spirals")
SAMPLES: Final = 1024
"""Of each task for training, and as many for validation."""
BATCH: Final = 128
EPOCHS: Final = 50
LEARNING_RATE: Final = 0.02
CONVERGED: Final = 0.99
"""Share of the best accuracy that counts as converged. Source: appendix E.3."""
CORRUPTION: Final = 0.1
"""Standard deviation of the noise added to each feature; features are about 1 wide."""
ATTACK: Final = 0.05
"""How far each feature is moved along the sign of its gradient. Source: the fast gradient sign, Goodfellow et al. 2015."""

ACCURACY_LOSS_MAX: Final = 0.10
"""Accuracy that a candidate may cost the host it is grafted into; more fails the dynamic stage."""
GRADIENT_NORM_MAX: Final = 100.0
"""Largest gradient norm of a robust candidate; those of the catalogue stay under 12."""
CORRUPTED_LOSS_MAX: Final = 0.25
"""Accuracy that corrupted data may cost."""
ATTACKED_MAX: Final = 0.9
"""Share of right answers that an attack may turn."""
FLOPS_MAX: Final = 50_000
"""Operations a sample in ``SLOT``; the largest blueprint of the catalogue needs a tenth of it."""
ELEMENTS_MAX: Final = 8_000
"""Numbers that all nodes give for a sample in ``SLOT``."""
NODES_MAX: Final = 48


@final
@dataclass(frozen=True, slots=True)
class TaskTrial:
    """What one task measured of a candidate."""

    accuracy: float
    """Mean over the last 3 epochs, validation data, [0, 1]."""
    gain: float
    """Accuracy beyond that of the host without it, [-1, 1]."""
    convergence_epochs: float
    """First epoch at ``CONVERGED`` of the best accuracy, from 1."""
    max_gradient_norm: float
    gradient_variance: float
    """Variance of the gradient's norm over all steps."""
    corrupted_accuracy: float
    attacked: float
    """Share of right answers that an attack turned, [0, 1]."""


def too_big(graph: BlueprintGraph, reads: Reads = Reads.BOTH) -> str | None:
    """Why a candidate is too big to be tried, or None. One that does not fit ``SLOT`` has no size there: None too."""
    read, chunk = SLOT.read_width(reads, 0), SLOT.outputs
    if len(graph.nodes) > NODES_MAX:
        return f"it has {len(graph.nodes)} nodes and the crucible tries up to {NODES_MAX}; make it smaller"
    try:
        work = flops(graph, read=read, chunk=chunk)
        elements = activation_elements(graph, read=read, chunk=chunk)
    except ShapeMismatch:
        return None
    if work > FLOPS_MAX:
        return f"it needs {work} operations a sample and the crucible tries up to {FLOPS_MAX}; make it narrower"
    if elements > ELEMENTS_MAX:
        return f"it holds {elements} numbers a sample and the crucible tries up to {ELEMENTS_MAX}; make it narrower"
    return None


def misfit(graph: BlueprintGraph, reads: Reads) -> str | None:
    """Why the candidate cannot be tried in ``SLOT``, or None."""
    try:
        flops(graph, read=SLOT.read_width(reads, 0), chunk=SLOT.outputs)
    except ShapeMismatch as error:
        return f"it does not fit the crucible's slot: {error}"
    return too_big(graph, reads)


def untried(reason: str) -> Examination:
    """The examination of what could not be tried at all."""
    return Examination(measures=(), failed_stage=CrucibleStage.DYNAMIC, reason=reason)


def examined(
    graph: BlueprintGraph, reads: Reads, hardware: HardwareContext, trials: Iterable[TaskTrial]
) -> Examination:
    """The examination that the trials of a candidate that fits ``SLOT`` amount to.

    Means over the tasks, of the gradient's norm the largest. Latency and energy are estimated from operations:
    a measured time would not replay. What is not finite is no measure, and fails the stage that it belongs to.
    """
    found = tuple(trials)
    mean = {name: math.fsum(getattr(trial, name) for trial in found) / len(found) for name in _NAMES}
    work = flops(graph, read=SLOT.read_width(reads, 0), chunk=SLOT.outputs)
    measures = {
        "dynamic.benchmark_accuracy": mean["accuracy"],
        GAIN: mean["gain"],
        "dynamic.convergence_epochs": mean["convergence_epochs"],
        "dynamic.latency_ms": hardware.latency_ms(work),
        "dynamic.joules_per_inference": work * JOULES_PER_FLOP,
        "robustness.max_gradient_norm": max(trial.max_gradient_norm for trial in found),
        "robustness.gradient_variance": mean["gradient_variance"],
        "robustness.accuracy_on_corrupted_data": mean["corrupted_accuracy"],
        "robustness.adversarial_attack_success_rate": mean["attacked"],
    }
    stage, reason = _failure(measures)
    return Examination(
        measures=tuple((key, measures[key]) for key in sorted(measures) if math.isfinite(measures[key])),
        failed_stage=stage,
        reason=reason,
    )


_NAMES: Final = tuple(field.name for field in fields(TaskTrial))


def _failure(measures: dict[str, float]) -> tuple[CrucibleStage | None, str]:
    """The first limit that is broken, in the gauntlet's order."""
    accuracy, gain = measures["dynamic.benchmark_accuracy"], measures[GAIN]
    norm = measures["robustness.max_gradient_norm"]
    fallen = accuracy - measures["robustness.accuracy_on_corrupted_data"]
    attacked = measures["robustness.adversarial_attack_success_rate"]
    # Each limit is asked for as held: a measure that is not a number holds none.
    if not math.isfinite(accuracy):
        return CrucibleStage.DYNAMIC, "it gave values that are not finite"
    if not gain >= -ACCURACY_LOSS_MAX:
        return CrucibleStage.DYNAMIC, f"it costs the host {-gain:.3f} of accuracy, limit {ACCURACY_LOSS_MAX}"
    if not norm <= GRADIENT_NORM_MAX:
        return CrucibleStage.ROBUSTNESS, f"its gradient norm reached {norm:.4g}, limit {GRADIENT_NORM_MAX:g}"
    if not fallen <= CORRUPTED_LOSS_MAX:
        return CrucibleStage.ROBUSTNESS, f"corrupted data cost {fallen:.3f} of accuracy, limit {CORRUPTED_LOSS_MAX}"
    if not attacked <= ATTACKED_MAX:
        return CrucibleStage.ROBUSTNESS, f"an attack turned {attacked:.3f} of its answers, limit {ATTACKED_MAX}"
    return None, ""
