"""What Karn is told about one adaptation, once it has ended. Source: Karn v1.0 §5.1."""

from __future__ import annotations

from typing import final

from domain.commands import GraftingStrategy, Reads
from domain.identifiers import AdaptationId, BlueprintId
from domain.lifecycle import Outcome
from domain.values import Value


@final
class EvaluationMetrics(Value):
    """Gathered in EVALUATING and FINE_TUNING."""

    max_latency_ms: float
    """Estimated, ms a sample."""
    avg_memory_mb: float
    gradient_norm_variance: float


@final
class FieldReport(Value):
    """The outcome of one adaptation, for Karn. Source: Karn v1.0 §5.1."""

    adaptation: AdaptationId
    blueprint_id: BlueprintId
    seed_id: str
    """Printed coordinates such as "(0, 1)"."""
    pre_metric: float
    """Validation accuracy at germination, [0, 1]."""
    post_metric: float
    """Validation accuracy at conclusion, [0, 1]."""
    outcome: Outcome
    eval_metrics: EvaluationMetrics
    reads: Reads
    grafting: GraftingStrategy
    task: str
    reason: str
