"""A trainer that follows a script: no torch, no data, and whatever an epoch could bring."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

from domain.blueprint import BlueprintGraph
from domain.commands import Reads
from domain.events import (
    CheckpointSaved,
    DomainEvent,
    EpochMetrics,
    RollbackOrdered,
    SeedFaulted,
    TestScored,
)
from domain.faults import FaultKind
from domain.header import RunHeader
from domain.health import METRICS, LayerHealthReport, SeedProgress
from domain.identifiers import Epoch, SeedId
from domain.lifecycle import ADAPTING, Stage
from domain.run import RunState
from domain.urabrask.certificate import Examination
from domain.values import Column
from engine.trainers.trainer import Trained

ItemT = TypeVar("ItemT")


@final
@dataclass(frozen=True, slots=True)
class Curve:
    """What training brings. Lists are read by epoch from 1 and start over at their end."""

    accuracies: tuple[float, ...] = (0.5,)
    """Validation accuracy of each epoch, [0, 1]."""
    losses: tuple[float, ...] = ()
    """Validation loss of each epoch; 1 - accuracy where there are none."""
    reconstruction: tuple[float, ...] = (0.1,)
    """Reconstruction loss of blueprints in TRAINING."""
    gradient_norms: tuple[float, ...] = (1.0,)
    """Of every blueprint in the host."""
    health: tuple[float, ...] = (0.5,)
    """Every column of every report."""
    faults: Mapping[int, tuple[tuple[SeedId, FaultKind, int], ...]] = field(default_factory=dict)
    """Epoch to the faults in it. Those of a seed without a blueprint do not happen."""
    error_rate: float | None = None
    """Share of an epoch's batches that each of these faults took."""
    panics: Mapping[int, str] = field(default_factory=dict)
    """Epoch to why the watchdog stops it."""


def _at(script: tuple[ItemT, ...], epoch: int) -> ItemT:
    return script[(epoch - 1) % len(script)]


@final
class ScriptedTrainer:
    """Trains by script and remembers what it was told to do."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve
        self._saved: dict[str, str] = {}
        self.restored: list[str] = []
        """Checkpoints that rollbacks asked for, in order."""

    def plant(self, header: RunHeader) -> None:
        """Nothing to build."""
        self._header = header

    def amend(self, header: RunHeader) -> None:
        """Only the layout matters to a script."""
        self._header = header

    def train(self, epoch: Epoch, state: RunState) -> Trained:
        """The epoch as scripted."""
        reports = tuple(self._report(layer.layer, layer.seeds, epoch, state) for layer in self._header.layout)
        faults = tuple(
            SeedFaulted(epoch=epoch, seed=name, kind=kind, count=count, rate=self._curve.error_rate)
            for name, kind, count in self._curve.faults.get(epoch, ())
            if name in state.active
        )
        if epoch in self._curve.panics:
            return Trained.panicking(self._curve.panics[epoch], reports=reports, faults=faults)
        accuracy = _at(self._curve.accuracies, epoch)
        loss = _at(self._curve.losses, epoch) if self._curve.losses else 1.0 - accuracy
        metrics = EpochMetrics(
            train_loss=loss, train_accuracy=accuracy, validation_loss=loss, validation_accuracy=accuracy
        )
        digest = hashlib.sha256(f"{epoch} {state.active}".encode()).hexdigest()
        return Trained(reports=reports, metrics=metrics, parameters=100, weights_digest=digest, faults=faults)

    def _report(self, layer: int, seeds: int, epoch: int, state: RunState) -> LayerHealthReport:
        carrying = [
            (name, seed)
            for name, seed in sorted(state.seeds.items())
            if name.layer == layer and (seed.stage in ADAPTING or seed.stage is Stage.FOSSILIZED)
        ]
        progress = tuple(
            SeedProgress(
                index=name.index,
                reconstruction_loss=_at(self._curve.reconstruction, epoch) if seed.stage is Stage.TRAINING else None,
                gradient_norm=_at(self._curve.gradient_norms, epoch),
            )
            for name, seed in carrying
        )
        columns: dict[str, Any] = {name: Column([_at(self._curve.health, epoch)] * seeds) for name in METRICS}
        return LayerHealthReport(layer=layer, **columns, progress=progress)

    def obey(self, epoch: Epoch, events: tuple[DomainEvent, ...], state: RunState) -> None:
        """Restores only what was saved."""
        for event in events:
            if isinstance(event, RollbackOrdered):
                assert event.checkpoint in self._saved, f"no checkpoint {event.checkpoint} to restore"
                self.restored.append(event.checkpoint)

    def checkpoint(self, epoch: Epoch, controller: str) -> CheckpointSaved:
        """Named by its epoch and the policies' memory."""
        name = hashlib.sha256(f"{epoch} {controller}".encode()).hexdigest()
        self._saved[name] = controller
        return CheckpointSaved(epoch=epoch, checkpoint=name, size=len(controller))

    def restore(self, digest: str, state: RunState) -> str:
        """What was handed over with the checkpoint; a script has nothing else to restore."""
        return self._saved[digest]

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        return Examination(measures=(("dynamic.benchmark_accuracy", 0.9),))

    def score(self, epoch: Epoch, occasion: str) -> TestScored:
        """The script's validation accuracy stands in for the test set's."""
        return TestScored(epoch=epoch, accuracy=_at(self._curve.accuracies, max(epoch, 1)), loss=0.5, occasion=occasion)
