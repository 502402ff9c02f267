"""One row an adaptation: what was grown where, how far it came, how it ended and what it gained."""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    BlueprintRegistered,
    FieldReportFiled,
    GraftingChanged,
    RunEnded,
    RunStarted,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from domain.identifiers import AdaptationId, SeedId
from domain.lifecycle import Stage
from projections.grafts import BlueprintNames, Sizes
from projections.view import ATTEMPT, LAYER, RUN, SEED, Cases, Key, Row, Schema, Table, blank, flag, integer, real, text


@final
class Adaptations:
    """One row an adaptation, that is a germination."""

    NAME: ClassVar[str] = "adaptations"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the germination."),
        "adaptation": text("LAYER.SEED#ATTEMPT, such as 0.1#2."),
        "layer": LAYER,
        "seed": SEED,
        "attempt": ATTEMPT,
        "blueprint": text("What the library calls the blueprint; null if it was never registered."),
        "blueprint_id": text("SHA-256 of its graph."),
        "parameters": integer("Parameters it has in this slot, from 0; null where it does not fit."),
        "reads": text("What it reads: CHUNK, LAYER, INPUT or BOTH."),
        "grafting": text("Grafting strategy, the latest."),
        "germinated_at": integer("Epoch at whose end it began."),
        "concluded_at": integer("Epoch at whose end it ended; null while it is open."),
        "epochs": integer("concluded_at - germinated_at; null while it is open."),
        "stages": text("Stages it was in, in order, parted by spaces."),
        "stage": text("The last of them."),
        "since": integer("Epoch at whose end it entered that stage."),
        "alpha": real("Blend, the latest, [0, 1]."),
        "faults": integer("Reports of its faults."),
        "outcome": text("FOSSILIZED, CULLED, ROLLED_BACK or CANCELLED; null while it is open."),
        "reason": text("Why it ended; null while it is open."),
        "accuracy_before": real("Validation accuracy at germination, [0, 1]."),
        "loss_before": real("Validation loss at germination, nats."),
        "baseline": real("Validation accuracy on entry to GRAFTING, [0, 1]; null before."),
        "accuracy_after": real("Validation accuracy at the conclusion, [0, 1]; null while open or CANCELLED."),
        "gain": real(
            "accuracy_after less baseline (less accuracy_before without one), [-1, 1]; null as accuracy_after."
        ),
        "max_latency_ms": real("Largest while it was evaluated, ms a sample; null as accuracy_after."),
        "avg_memory_mb": real("Mean while it was evaluated, MB; null as accuracy_after."),
        "gradient_norm_variance": real("Mean while it was evaluated, [0, inf); null as accuracy_after."),
        "embargoed_until": integer("First epoch in which the seed may germinate again; null without an embargo."),
        "locked": flag("Whether the seed may not germinate again in this run; null while it is open."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            RunStarted: self._started,
            BlueprintRegistered: self._registered,
            SeedGerminated: self._germinated,
            StageChanged: self._moved,
            AlphaChanged: self._blended,
            GraftingChanged: self._regrafted,
            SeedFaulted: self._faulted,
            AdaptationConcluded: self._concluded,
            FieldReportFiled: self._reported,
            RunEnded: self._ended,
        }
        self._blank: Final = blank(self.SCHEMA)
        self._names: Final = BlueprintNames()
        self._sizes: Final = Sizes()

    def memory(self) -> Any:
        """Names and sizes of blueprints."""
        return {"names": self._names.memory(), "sizes": self._sizes.memory()}

    def remember(self, memory: Any) -> None:
        """Names and sizes of blueprints."""
        self._names.remember(memory["names"])
        self._sizes.remember(memory["sizes"])

    def _open(self, run: str, seed: SeedId) -> Row | None:
        return self.store.open.get((run, seed.layer, seed.index))

    def _started(self, run: str, position: int, event: RunStarted) -> None:
        self._sizes.started(run, event)

    def _registered(self, run: str, position: int, event: BlueprintRegistered) -> None:
        self._names.registered(run, event)
        self._sizes.registered(event)

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        self._names.forget(run)
        self._sizes.forget(run)

    def _germinated(self, run: str, position: int, event: SeedGerminated) -> None:
        seed = event.adaptation.seed
        key = (run, seed.layer, seed.index)
        if key in self.store.open:
            self.store.finish(key)
        self.store.open[key] = {
            **self._blank,
            "run": run,
            "position": position,
            "adaptation": str(event.adaptation),
            "layer": seed.layer,
            "seed": seed.index,
            "attempt": event.adaptation.attempt,
            "blueprint": self._names.name(run, event.blueprint_id),
            "blueprint_id": event.blueprint_id,
            "parameters": self._sizes.parameters(run, seed, event.blueprint_id, event.reads),
            "reads": event.reads.value,
            "grafting": event.grafting.value,
            "germinated_at": event.epoch,
            "stages": "",
            "alpha": 0.0,
            "faults": 0,
            "accuracy_before": event.validation_accuracy,
            "loss_before": event.validation_loss,
        }

    def _moved(self, run: str, position: int, event: StageChanged) -> None:
        row = self._open(run, event.seed)
        if row is None:
            return
        target = event.target.value
        row["stage"] = target
        row["since"] = event.epoch
        row["stages"] = f"{row['stages']} {target}" if row["stages"] else target
        if event.target is Stage.GRAFTING:
            row["baseline"] = event.validation_accuracy

    def _blended(self, run: str, position: int, event: AlphaChanged) -> None:
        row = self._open(run, event.seed)
        if row is not None:
            row["alpha"] = event.alpha

    def _regrafted(self, run: str, position: int, event: GraftingChanged) -> None:
        row = self._open(run, event.seed)
        if row is not None:
            row["grafting"] = event.target.value

    def _faulted(self, run: str, position: int, event: SeedFaulted) -> None:
        row = self._open(run, event.seed)
        if row is not None:
            row["faults"] += 1

    def _concluded(self, run: str, position: int, event: AdaptationConcluded) -> None:
        key, row = self._row_of(run, event.adaptation)
        if row is None:
            return
        row["concluded_at"] = event.epoch
        row["epochs"] = event.epoch - row["germinated_at"]
        row["outcome"] = event.outcome.value
        row["reason"] = event.reason
        row["embargoed_until"] = event.embargoed_until
        row["locked"] = event.locked
        if not event.outcome.is_reported:
            self.store.finish(key)

    def _reported(self, run: str, position: int, event: FieldReportFiled) -> None:
        report = event.report
        key, row = self._row_of(run, report.adaptation)
        if row is None:
            return
        row["accuracy_after"] = report.post_metric
        baseline = row["accuracy_before"] if row["baseline"] is None else row["baseline"]
        row["gain"] = report.post_metric - baseline
        row["max_latency_ms"] = report.eval_metrics.max_latency_ms
        row["avg_memory_mb"] = report.eval_metrics.avg_memory_mb
        row["gradient_norm_variance"] = report.eval_metrics.gradient_norm_variance
        self.store.finish(key)

    def _row_of(self, run: str, adaptation: AdaptationId) -> tuple[Key, Row | None]:
        key = (run, adaptation.seed.layer, adaptation.seed.index)
        row = self.store.open.get(key)
        return key, row if row is not None and row["attempt"] == adaptation.attempt else None
