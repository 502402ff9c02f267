"""One row a field report: what Karn was told."""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

from domain.events import BlueprintRegistered, FieldReportFiled, RunEnded
from projections.grafts import BlueprintNames
from projections.view import ATTEMPT, EPOCH, LAYER, RUN, SEED, Cases, Schema, Table, integer, real, text


@final
class FieldReports:
    """One row a field report."""

    NAME: ClassVar[str] = "field_reports"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the report."),
        "epoch": EPOCH,
        "adaptation": text("LAYER.SEED#ATTEMPT, such as 0.1#2."),
        "layer": LAYER,
        "seed": SEED,
        "attempt": ATTEMPT,
        "blueprint": text("What the library calls the blueprint; null if it was never registered."),
        "blueprint_id": text("SHA-256 of its graph."),
        "outcome": text("FOSSILIZED, CULLED or ROLLED_BACK."),
        "pre_metric": real("Validation accuracy at germination, [0, 1]."),
        "post_metric": real("Validation accuracy at conclusion, [0, 1]."),
        "gain": real("post_metric - pre_metric, [-1, 1]."),
        "max_latency_ms": real("Largest while it was evaluated, ms a sample."),
        "avg_memory_mb": real("Mean while it was evaluated, MB."),
        "gradient_norm_variance": real("Mean while it was evaluated, [0, inf)."),
        "reads": text("What it read: CHUNK, LAYER, INPUT or BOTH."),
        "grafting": text("Grafting strategy."),
        "task": text("Name of the task."),
        "reason": text("Why the adaptation ended."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            BlueprintRegistered: self._registered,
            FieldReportFiled: self._filed,
            RunEnded: self._ended,
        }
        self._names: Final = BlueprintNames()

    def memory(self) -> Any:
        """Names of blueprints."""
        return self._names.memory()

    def remember(self, memory: Any) -> None:
        """Names of blueprints."""
        self._names.remember(memory)

    def _registered(self, run: str, position: int, event: BlueprintRegistered) -> None:
        self._names.registered(run, event)

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        self._names.forget(run)

    def _filed(self, run: str, position: int, event: FieldReportFiled) -> None:
        report = event.report
        adaptation, measured = report.adaptation, report.eval_metrics
        self.store.finished.append(
            (
                *(run, position, event.epoch),
                *(str(adaptation), adaptation.seed.layer, adaptation.seed.index, adaptation.attempt),
                *(self._names.name(run, report.blueprint_id), report.blueprint_id, report.outcome.value),
                *(report.pre_metric, report.post_metric, report.post_metric - report.pre_metric),
                *(measured.max_latency_ms, measured.avg_memory_mb, measured.gradient_norm_variance),
                *(report.reads.value, report.grafting.value, report.task, report.reason),
            )
        )
