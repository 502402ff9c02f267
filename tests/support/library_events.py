"""Small blueprints and field reports for tests of the library."""

from __future__ import annotations

from domain.blueprint import BlueprintGraph, BlueprintMetadata, ConfidenceLevel, blueprint_id
from domain.commands import GraftingStrategy, Reads
from domain.events import FieldReportFiled
from domain.field_reports import EvaluationMetrics, FieldReport
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.lifecycle import Outcome
from domain.urabrask.certificate import Certificate
from domain.urza.catalogue import low_rank_residual
from domain.urza.commands import Register


def small(number: int) -> BlueprintGraph:
    """The ``number``-th of a family of different graphs, from 1."""
    return low_rank_residual(number)


def small_id(number: int) -> BlueprintId:
    """Its id."""
    return blueprint_id(small(number))


def register(number: int, *, parent: BlueprintId | None = None, name: str | None = None) -> Register:
    """A command that registers ``small(number)``."""
    return Register(
        graph=small(number),
        metadata=BlueprintMetadata(name=name or f"small_{number}"),
        parent_id=parent,
        mutation=None if parent is None else "widen",
    )


def certificate(*, passed: bool = True, risk: float = 0.2) -> Certificate:
    """A verdict of the crucible."""
    return Certificate(
        passed=passed,
        failed_stage=None if passed else "static",
        risk_score=risk,
        conf_level=ConfidenceLevel.of_risk(risk),
        wep=(("static.parameter_count", 12.0),),
    )


def report(
    blueprint: BlueprintId, outcome: Outcome, *, before: float = 0.5, after: float = 0.75, epoch: int = 9
) -> FieldReportFiled:
    """A field report about ``blueprint``."""
    seed = SeedId(layer=0, index=0)
    return FieldReportFiled(
        epoch=epoch,
        report=FieldReport(
            adaptation=AdaptationId(seed=seed, attempt=1),
            blueprint_id=blueprint,
            seed_id="(0, 0)",
            pre_metric=before,
            post_metric=after,
            outcome=outcome,
            eval_metrics=EvaluationMetrics(max_latency_ms=0.1, avg_memory_mb=0.1, gradient_norm_variance=0.5),
            reads=Reads.BOTH,
            grafting=GraftingStrategy.FIXED_RAMP,
            task="spirals",
            reason="held",
        ),
    )
