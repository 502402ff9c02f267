"""One row a run: what it was set to do, and how far it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, final

from domain.events import (
    AdaptationConcluded,
    BlueprintProposed,
    BlueprintRegistered,
    CommandRefused,
    DecisionDiverged,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    EpochCompleted,
    EpochSealed,
    PanicRaised,
    RollbackOrdered,
    RunEnded,
    RunForked,
    RunStarted,
    SeedFaulted,
    SeedGerminated,
    TestScored,
)
from domain.header import RunHeader
from domain.lifecycle import Outcome
from projections.view import RUN, Case, Cases, Row, Schema, Table, blank, integer, real, text

OPEN: Final = "OPEN"
"""The ending of a run that has none yet."""

INT64_MAX: Final = 2**63 - 1

_COUNTED: Final[Mapping[type[DomainEvent], str]] = {
    DecisionMade: "decisions",
    DecisionVetoed: "vetoed",
    CommandRefused: "refused",
    BlueprintRegistered: "blueprints",
    BlueprintProposed: "proposals",
    SeedGerminated: "germinations",
    SeedFaulted: "faults",
    RollbackOrdered: "rollbacks",
}
"""Events that are only counted, and the column."""

_COUNTS: Final = (*_COUNTED.values(), "panics", *(outcome.value.lower() for outcome in Outcome))


@final
class Runs:
    """One row a run."""

    NAME: ClassVar[str] = "runs"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of its first event: 1."),
        "parent": text("The run that it is a fork of; null for one from scratch. Header columns are then the fork's."),
        "forked_at": integer("The last epoch in common with it; null for one from scratch."),
        "diverged_at": integer(
            "First epoch in which, over a recording, another policy decided differently; null for none."
        ),
        "scenario": text("Name of the scenario."),
        "task": text("Name of the task, that is of the data."),
        "tamiyo": text("The policy that grows."),
        "karn": text("The policy that invents."),
        "profile": text("Lifecycle profile."),
        "trainer": text("Which trainer it was recorded with."),
        "run_key": integer("What all its randomness comes from, from 0; null beyond 2^63 - 1."),
        "regrow": text("Version that recorded it."),
        "rules": text("Numbered rules of the engine in force, parted by spaces."),
        "device": text("Device it was trained on."),
        "layers": integer("Layers that can grow."),
        "seeds": integer("Seeds in all of them together."),
        "epochs_planned": integer("Epochs it was to train, from 1."),
        "epochs": integer("The last epoch that was trained, from 0; one that panicked counts."),
        "events": integer("Events up to the last sealed epoch."),
        "ending": text("COMPLETED, DIVERGED, POLICY_FAILED, LEFT_RECORDING, or OPEN for a run without an ending."),
        "ending_reason": text("Why it ended; null while it is OPEN."),
        "train_loss": real("Of the last completed epoch, nats."),
        "train_accuracy": real("Of the last completed epoch, [0, 1]."),
        "validation_loss": real("Of the last completed epoch, nats."),
        "validation_accuracy": real("Of the last completed epoch, [0, 1]."),
        "best_accuracy": real("Largest validation accuracy, [0, 1]; 0 before the first epoch."),
        "test_accuracy": real("On the test set at the end, [0, 1]; null while it is OPEN."),
        "test_loss": real("On the test set at the end, nats; null while it is OPEN."),
        "test_accuracy_before_growth": real("On the test set at the first germination, [0, 1]; null without one."),
        "parameters_first": integer("Parameters in the first completed epoch."),
        "parameters": integer("Parameters in the last completed epoch, grafted blueprints included."),
        "decisions": integer("Decisions made."),
        "vetoed": integer("Decisions that the shield or the checks stopped."),
        "refused": integer("Decisions that the lifecycle does not allow."),
        "blueprints": integer("Blueprints registered, those it began with included."),
        "proposals": integer("Blueprints that Karn proposed."),
        "germinations": integer("Adaptations begun."),
        "faults": integer("Reports of faulted seeds."),
        "rollbacks": integer("Rollbacks."),
        "panics": integer("Epochs that Tolaria's watchdog stopped."),
        "fossilized": integer("Adaptations that concluded FOSSILIZED."),
        "culled": integer("Adaptations that concluded CULLED."),
        "rolled_back": integer("Adaptations that concluded ROLLED_BACK."),
        "cancelled": integer("Adaptations that concluded CANCELLED."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        counting = {kind: self._counting(column) for kind, column in _COUNTED.items()}
        self.cases: Cases = {
            RunStarted: self._started,
            RunForked: self._forked,
            DecisionDiverged: self._diverged,
            EpochCompleted: self._completed,
            PanicRaised: self._panicked,
            TestScored: self._scored,
            AdaptationConcluded: self._concluded,
            RunEnded: self._ended,
            EpochSealed: self._sealed,
            **counting,
        }

    def memory(self) -> None:
        """Nothing: the rows say it all."""

    def remember(self, memory: Any) -> None:
        """Nothing."""

    def _row(self, run: str) -> Row:
        row = self.store.open.get((run,))
        if row is None:
            row = {**blank(self.SCHEMA), **dict.fromkeys(_COUNTS, 0)}
            row.update(run=run, position=1, epochs=0, events=0, ending=OPEN, best_accuracy=0.0)
            self.store.open[run,] = row
        return row

    def _counting(self, column: str) -> Case:
        def count(run: str, position: int, event: Any) -> None:
            self._row(run)[column] += 1

        return count

    def _started(self, run: str, position: int, event: RunStarted) -> None:
        self._row(run).update(_of_header(event.header))

    def _forked(self, run: str, position: int, event: RunForked) -> None:
        self._row(run).update(_of_header(event.header), parent=event.parent, forked_at=event.epoch - 1)

    def _diverged(self, run: str, position: int, event: DecisionDiverged) -> None:
        row = self._row(run)
        if row["diverged_at"] is None:
            row["diverged_at"] = event.epoch

    def _completed(self, run: str, position: int, event: EpochCompleted) -> None:
        row, metrics = self._row(run), event.metrics
        row["epochs"] = event.epoch
        row["train_loss"] = metrics.train_loss
        row["train_accuracy"] = metrics.train_accuracy
        row["validation_loss"] = metrics.validation_loss
        row["validation_accuracy"] = metrics.validation_accuracy
        row["best_accuracy"] = max(row["best_accuracy"], metrics.validation_accuracy)
        row["parameters"] = event.parameters
        if row["parameters_first"] is None:
            row["parameters_first"] = event.parameters

    def _panicked(self, run: str, position: int, event: PanicRaised) -> None:
        row = self._row(run)
        row["epochs"] = event.epoch
        row["panics"] += 1

    def _scored(self, run: str, position: int, event: TestScored) -> None:
        row = self._row(run)
        if event.occasion == "ending":
            row["test_accuracy"], row["test_loss"] = event.accuracy, event.loss
        elif event.occasion == "germination" and row["test_accuracy_before_growth"] is None:
            row["test_accuracy_before_growth"] = event.accuracy

    def _concluded(self, run: str, position: int, event: AdaptationConcluded) -> None:
        self._row(run)[event.outcome.value.lower()] += 1

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        self._row(run).update(ending=event.ending.value, ending_reason=event.reason)

    def _sealed(self, run: str, position: int, event: EpochSealed) -> None:
        row = self._row(run)
        row["events"] = position
        if row["ending"] != OPEN:
            self.store.finish((run,))


def _of_header(header: RunHeader) -> Row:
    """The columns that say what a run is set to do."""
    return {
        "scenario": header.scenario,
        "task": header.task.name,
        "tamiyo": header.tamiyo.name,
        "karn": header.karn.name,
        "profile": header.profile,
        "trainer": header.trainer,
        "run_key": header.run_key if header.run_key <= INT64_MAX else None,
        "regrow": header.regrow,
        "rules": " ".join(rule.value for rule in header.rules),
        "device": header.fingerprint.device,
        "layers": len(header.layout),
        "seeds": sum(layer.seeds for layer in header.layout),
        "epochs_planned": header.epochs,
    }
