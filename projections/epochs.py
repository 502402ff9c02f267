"""One row a sealed epoch: what was measured, and how much happened in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, final

from domain.events import (
    AdaptationConcluded,
    CheckpointSaved,
    CommandRefused,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    EpochCompleted,
    EpochSealed,
    PanicRaised,
    RollbackOrdered,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
    TestScored,
)
from projections.view import RUN, Case, Cases, Row, Schema, Table, blank, integer, real, text

_COUNTED: Final[Mapping[type[DomainEvent], str]] = {
    DecisionMade: "decisions",
    DecisionVetoed: "vetoed",
    CommandRefused: "refused",
    SeedGerminated: "germinations",
    StageChanged: "stage_changes",
    AdaptationConcluded: "conclusions",
    SeedFaulted: "faults",
    RollbackOrdered: "rollbacks",
}
"""Events that are only counted, and the column."""


@final
class Epochs:
    """One row a sealed epoch. A journal holds no others."""

    NAME: ClassVar[str] = "epochs"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the epoch's seal, its last event."),
        "epoch": integer("The epoch, from 0 (the planting, before any training)."),
        "train_loss": real("nats; null in epoch 0 and where training panicked."),
        "train_accuracy": real("[0, 1]; null as train_loss."),
        "validation_loss": real("nats; null as train_loss."),
        "validation_accuracy": real("[0, 1]; null as train_loss."),
        "parameters": integer("Parameters of the host and every blueprint in it; null as train_loss."),
        "panic": text("What Tolaria's watchdog saw; null where nothing."),
        "test_accuracy": real("On the test set, [0, 1]; null where it was not scored in this epoch."),
        "test_loss": real("On the test set, nats; null as test_accuracy."),
        "decisions": integer("Decisions made."),
        "vetoed": integer("Decisions stopped by the shield or the checks."),
        "refused": integer("Decisions that the lifecycle does not allow."),
        "germinations": integer("Adaptations begun."),
        "stage_changes": integer("Stage changes."),
        "conclusions": integer("Adaptations concluded."),
        "faults": integer("Reports of faulted seeds."),
        "rollbacks": integer("Rollbacks, 0 or 1."),
        "checkpoint": text("Content hash of the checkpoint saved; null where none was."),
        "checkpoint_bytes": integer("Its size in bytes; null where none was."),
        "events": integer("Events of the epoch, the seal included."),
        "weights_digest": text("SHA-256 of all weights; empty where it was not taken, null in epoch 0."),
        "state_digest": text("SHA-256 of the state that the log folds into."),
        "log_digest": text("SHA-256 of the log up to the seal."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA, shows_open=False)
        counting = {kind: self._counting(column) for kind, column in _COUNTED.items()}
        self.cases: Cases = {
            EpochCompleted: self._completed,
            PanicRaised: self._panicked,
            TestScored: self._scored,
            CheckpointSaved: self._saved,
            EpochSealed: self._sealed,
            **counting,
        }
        self._blank: Final = {**blank(self.SCHEMA), **dict.fromkeys(_COUNTED.values(), 0)}

    def memory(self) -> None:
        """Nothing: the rows say it all."""

    def remember(self, memory: Any) -> None:
        """Nothing."""

    def _row(self, run: str) -> Row:
        """The row of the epoch that is under way."""
        row = self.store.open.get((run,))
        if row is None:
            row = self.store.open[run,] = self._blank.copy()
            row["run"] = run
        return row

    def _counting(self, column: str) -> Case:
        def count(run: str, position: int, event: Any) -> None:
            self._row(run)[column] += 1

        return count

    def _completed(self, run: str, position: int, event: EpochCompleted) -> None:
        row, metrics = self._row(run), event.metrics
        row["train_loss"] = metrics.train_loss
        row["train_accuracy"] = metrics.train_accuracy
        row["validation_loss"] = metrics.validation_loss
        row["validation_accuracy"] = metrics.validation_accuracy
        row["parameters"] = event.parameters
        row["weights_digest"] = event.weights_digest

    def _panicked(self, run: str, position: int, event: PanicRaised) -> None:
        self._row(run)["panic"] = event.reason

    def _scored(self, run: str, position: int, event: TestScored) -> None:
        row = self._row(run)
        row["test_accuracy"], row["test_loss"] = event.accuracy, event.loss

    def _saved(self, run: str, position: int, event: CheckpointSaved) -> None:
        row = self._row(run)
        row["checkpoint"], row["checkpoint_bytes"] = event.checkpoint, event.size

    def _sealed(self, run: str, position: int, event: EpochSealed) -> None:
        row = self._row(run)
        row["position"] = position
        row["epoch"] = event.epoch
        row["events"] = event.events + 1
        row["state_digest"] = event.state_digest
        row["log_digest"] = event.log_digest
        self.store.finish((run,))
