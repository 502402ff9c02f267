"""A recorded run as a fit needs it: what was measured, and what was in the host, epoch by epoch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from domain.events import (
    AdaptationConcluded,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    LayerHealthReported,
    PanicRaised,
    RollbackOrdered,
    RunForked,
    SeedGerminated,
    TestScored,
)
from domain.header import RunHeader
from domain.health import METRICS, LayerHealthReport
from domain.identifiers import AdaptationId
from domain.lifecycle import ON_TRIAL, Stage
from domain.run import RunState, evolve
from engine.trainers.simulated.trainer import LEARNING, LOADED, SETTLED, kind_of

HEALTH_EVERY: Final = 16


@final
@dataclass(slots=True)
class Exposure:
    """One adaptation in the host: epochs, blends and whether it learnt, by epoch."""

    adaptation: AdaptationId
    kind: str
    gain: float
    """Accuracy that the blueprint's metadata promise."""
    layer: int
    alphas: dict[int, float] = field(default_factory=dict)
    """Blend by epoch, for the epochs in which it was in the forward pass."""
    trial: set[int] = field(default_factory=set)
    """Epochs in which it learnt on trial."""
    free: set[int] = field(default_factory=set)
    """Epochs in which it and the host learnt, or the host around it."""


@final
@dataclass(slots=True)
class Measured:
    """Progress of one blueprint in one epoch."""

    kind: str
    stage: Stage
    age: int
    reconstruction: float | None
    gradient_norm: float
    gradient_variance: float
    weight_drift: float


@final
@dataclass(slots=True)
class History:
    """One recorded run."""

    header: RunHeader
    metrics: dict[int, EpochMetrics] = field(default_factory=dict)
    """By epoch; epochs that panicked or were not finite are left out."""
    before: dict[int, int] = field(default_factory=dict)
    """The epoch whose network each epoch trained on: the one before it, or a checkpoint's after a rollback."""
    host_free: set[int] = field(default_factory=set)
    exposures: dict[AdaptationId, Exposure] = field(default_factory=dict)
    scores: list[tuple[int, float]] = field(default_factory=list)
    """Epoch and test accuracy."""
    measured: list[Measured] = field(default_factory=list)
    health: list[LayerHealthReport] = field(default_factory=list)
    germinations: list[tuple[int, str]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    rollbacks: int = 0
    host_parameters: int = 0
    epochs: int = 0

    @property
    def policy(self) -> str:
        """Which policy decided, with the settings that it decides by."""
        return self.header.tamiyo.name

    @property
    def final_accuracy(self) -> float:
        """Test accuracy of the last score; NaN without one."""
        return self.scores[-1][1] if self.scores else math.nan


def history(events: Iterable[DomainEvent]) -> History | None:
    """Read one run; None if it has no header. A forked run is read as what its own log says."""
    state = RunState()
    told: History | None = None
    before = 0
    for event in events:
        if isinstance(event, LayerHealthReported) and told is not None:
            _note_report(told, event, state)
        if isinstance(event, EpochCompleted | PanicRaised) and told is not None:
            told.epochs = event.epoch
            told.before[event.epoch] = before
            before = event.epoch
            _note_training(told, event, state)
        state = evolve(state, event)
        if told is None and state.header is not None:
            told = History(state.header)
        elif told is not None:
            before = _note_rest(told, event, state, before)
    return told


def _note_report(told: History, event: LayerHealthReported, state: RunState) -> None:
    report = event.report
    if event.epoch % HEALTH_EVERY == 1 and all(math.isfinite(value) for value in report.chunk_variance):
        told.health.append(report)
    for entry in report.progress:
        seed = next((s for n, s in state.seeds.items() if n.layer == report.layer and n.index == entry.index), None)
        if seed is None or seed.adaptation is None or seed.adaptation.blueprint_id not in state.library:
            continue
        kind = kind_of(state.library.record(seed.adaptation.blueprint_id).name, seed.adaptation.reads)
        found = (entry.gradient_norm, entry.gradient_variance, entry.weight_drift)
        if all(math.isfinite(value) for value in found):
            age = event.epoch - seed.since
            told.measured.append(Measured(kind, seed.stage, age, entry.reconstruction_loss, *found))


def _note_training(told: History, event: EpochCompleted | PanicRaised, state: RunState) -> None:
    """Who was in the host while this epoch trained: ``state`` is that of the boundary before it."""
    epoch = event.epoch
    carried = [seed for seed in state.seeds.values() if seed.stage in LOADED and seed.adaptation is not None]
    frozen = state.started.training.freeze_host_on_trial and any(seed.stage in ON_TRIAL for seed in carried)
    if not frozen:
        told.host_free.add(epoch)
    for seed in carried:
        adaptation = seed.adaptation
        if adaptation is None or not (seed.stage in ON_TRIAL or seed.stage in SETTLED):
            continue
        name = AdaptationId(seed=seed.seed_id, attempt=adaptation.attempt)
        known = told.exposures.get(name)
        if known is None:
            record = state.library.record(adaptation.blueprint_id)
            gain = record.metadata.estimates.past_accuracy_gain_estimate
            kind = kind_of(record.name, adaptation.reads)
            known = told.exposures[name] = Exposure(name, kind, gain, seed.seed_id.layer)
        known.alphas[epoch] = adaptation.alpha
        if seed.stage in LEARNING:
            known.trial.add(epoch)
        elif seed.stage in SETTLED and not frozen:
            known.free.add(epoch)
    if isinstance(event, EpochCompleted):
        if not carried:
            told.host_parameters = event.parameters
        metrics = event.metrics
        if all(math.isfinite(value) for value in metrics.model_dump().values()):
            told.metrics[epoch] = metrics


def _note_rest(told: History, event: DomainEvent, state: RunState, before: int) -> int:
    """Everything else; gives the epoch whose network the next one trains on."""
    match event:
        case TestScored():
            told.scores.append((event.epoch, event.accuracy))
        case SeedGerminated():
            kind = kind_of(state.library.record(event.blueprint_id).name, event.reads)
            told.germinations.append((event.epoch, kind))
        case AdaptationConcluded():
            told.outcomes[event.outcome.value] += 1
        case RollbackOrdered():
            told.rollbacks += 1
            return event.checkpoint_epoch
        case RunForked():  # another policy, and perhaps another run key; the host and the data are still the first one's
            told.header = event.header.model_copy(update={"run_key": told.header.run_key})
        case _:
            pass
    return before


def rows_of(reports: Sequence[LayerHealthReport]) -> list[tuple[float, ...]]:
    """The columns of reports as rows, one a seed and report; NaN and infinities are made 0."""
    rows = []
    for report in reports:
        columns = [getattr(report, name) for name in METRICS]
        for index in range(report.seeds):
            row = [column[index] for column in columns]
            rows.append(tuple(value if math.isfinite(value) else 0.0 for value in row))
    return rows
