"""One row for each thing that happened to a seed, in order: germinations, moves, blends, faults, endings."""

from __future__ import annotations

from typing import Any, ClassVar, final

from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    GraftingChanged,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from projections.view import EPOCH, LAYER, RUN, SEED, Cases, Schema, Table, integer, real, text


@final
class SeedTimeline:
    """One row for each thing that happened to a seed."""

    NAME: ClassVar[str] = "seed_timeline"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the event."),
        "epoch": EPOCH,
        "layer": LAYER,
        "seed": SEED,
        "attempt": integer("Which germination of this seed it belongs to, from 1; null before the first."),
        "kind": text("germinated, stage, alpha, grafting, fault or concluded."),
        "source": text("Stage or grafting strategy before; null for other kinds."),
        "target": text("Stage or grafting strategy after; blueprint id, kind of fault or outcome; null for alpha."),
        "gate": text("The gate that a stage change passed; null for other kinds."),
        "alpha": real("Blend after it, [0, 1]; null for other kinds than alpha."),
        "steps": real("Steps of the ramp taken in all, [0, inf); null for other kinds than alpha."),
        "faults": integer("Consecutive failures in the epoch, from 1; null for other kinds than fault."),
        "validation_accuracy": real("At this boundary, [0, 1]; null for other kinds than germinated and stage."),
        "reason": text("Why; null for germinated and grafting."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            SeedGerminated: self._germinated,
            StageChanged: self._moved,
            AlphaChanged: self._blended,
            GraftingChanged: self._regrafted,
            SeedFaulted: self._faulted,
            AdaptationConcluded: self._concluded,
        }
        self._append = self.store.finished.append
        self._attempts: dict[tuple[str, int, int], int] = {}

    def memory(self) -> list[list[Any]]:
        """The attempt that each seed is at."""
        return [[*key, attempt] for key, attempt in self._attempts.items()]

    def remember(self, memory: Any) -> None:
        """The attempt that each seed is at."""
        self._attempts = {(run, layer, index): attempt for run, layer, index, attempt in memory}

    def _germinated(self, run: str, position: int, event: SeedGerminated) -> None:
        seed, attempt = event.adaptation.seed, event.adaptation.attempt
        self._attempts[run, seed.layer, seed.index] = attempt
        self._append(
            (
                *(run, position, event.epoch, seed.layer, seed.index, attempt, "germinated"),
                *(None, event.blueprint_id, None, None, None, None, event.validation_accuracy, None),
            )
        )

    def _moved(self, run: str, position: int, event: StageChanged) -> None:
        layer, index = event.seed.layer, event.seed.index
        attempt = self._attempts.get((run, layer, index))
        source, target, gate = event.source.value, event.target.value, event.gate.value
        self._append(
            (
                *(run, position, event.epoch, layer, index, attempt, "stage", source, target, gate),
                *(None, None, None, event.validation_accuracy, event.reason),
            )
        )

    def _blended(self, run: str, position: int, event: AlphaChanged) -> None:
        layer, index = event.seed.layer, event.seed.index
        attempt = self._attempts.get((run, layer, index))
        self._append(
            (
                *(run, position, event.epoch, layer, index, attempt, "alpha", None, None, None),
                *(event.alpha, event.steps, None, None, event.reason),
            )
        )

    def _regrafted(self, run: str, position: int, event: GraftingChanged) -> None:
        layer, index = event.seed.layer, event.seed.index
        attempt = self._attempts.get((run, layer, index))
        source, target = event.source.value, event.target.value
        self._append(
            (
                *(run, position, event.epoch, layer, index, attempt, "grafting", source, target),
                *(None, None, None, None, None, None),
            )
        )

    def _faulted(self, run: str, position: int, event: SeedFaulted) -> None:
        layer, index = event.seed.layer, event.seed.index
        attempt = self._attempts.get((run, layer, index))
        self._append(
            (
                *(run, position, event.epoch, layer, index, attempt, "fault", None, event.kind.value),
                *(None, None, None, event.count, None, event.detail),
            )
        )

    def _concluded(self, run: str, position: int, event: AdaptationConcluded) -> None:
        seed = event.adaptation.seed
        self._append(
            (
                *(run, position, event.epoch, seed.layer, seed.index, event.adaptation.attempt, "concluded"),
                *(None, event.outcome.value, None, None, None, None, None, event.reason),
            )
        )
