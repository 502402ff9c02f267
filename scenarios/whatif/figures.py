"""What came of a run, in numbers that runs are compared by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, final

from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    LayerHealthReported,
    RollbackOrdered,
    SeedGerminated,
    TestScored,
)
from domain.settings import TaskSettings, TrainingSettings
from domain.values import Value
from engine.courses import header_of

CPU_SECONDS: Final = "cpu_seconds"
"""The note of a run that says what recording it took; of a fork, with what it took to get where it begins."""

PASSES: Final = 3
"""Work of training on a sample over that of a forward pass: the backward pass takes twice as much."""


@final
class Figures(Value):
    """What came of a run. Accuracies in [0, 1]."""

    run: str
    final_accuracy: float | None
    """On the test set at the end, which no policy sees; None while the run has no ending."""
    best_accuracy: float
    """Largest on the validation set."""
    area: float
    """Under the curve of validation accuracy, per epoch: its mean over the epochs that were trained."""
    epochs_to_target: int | None
    """First epoch whose validation accuracy reaches the scenario's target; None for never or no target."""
    parameters_added: int
    """Parameters at the end less those of the host."""
    gigaflops: float
    """Estimated work of training the hidden layers and what grew in them, 10^9 operations."""
    cpu_seconds: float | None
    """Measured where it was recorded; None for a run that was imported or resumed. No digest covers it."""
    germinations: int
    """Adaptations begun, those that had not concluded at the end included."""
    outcomes: Mapping[str, int]
    """Concluded adaptations by outcome."""
    rollbacks: int
    reward: float | None
    """Sum of the shaped rewards of its concluded adaptations; None where one of them could not be told."""


def score(told: Figures, ending: str, metric: str) -> float:
    """The figure ``metric`` that runs are compared by; NaN for a run that ended badly or has none."""
    found = getattr(told, metric)
    return math.nan if found is None or ending != RunEnding.COMPLETED.value else float(found)


def figures(run_id: str, events: Sequence[DomainEvent], notes: Mapping[str, str], target: float | None) -> Figures:
    """The figures of a recorded run; ``target`` is the accuracy that its scenario sets, if it does."""
    metrics = {event.epoch: event.metrics for event in events if isinstance(event, EpochCompleted)}
    parameters = [event.parameters for event in events if isinstance(event, EpochCompleted)]
    accuracies = [entry.validation_accuracy for entry in metrics.values()]
    ended = [event.accuracy for event in events if isinstance(event, TestScored) and event.occasion == "ending"]
    outcomes: dict[str, int] = {}
    for event in events:
        if isinstance(event, AdaptationConcluded):
            outcomes[event.outcome.value] = outcomes.get(event.outcome.value, 0) + 1
    return Figures(
        run=run_id,
        final_accuracy=ended[-1] if ended else None,
        best_accuracy=max(accuracies, default=0.0),
        area=math.fsum(accuracies) / len(accuracies) if accuracies else 0.0,
        epochs_to_target=_first_at(metrics, target),
        parameters_added=parameters[-1] - parameters[0] if parameters else 0,
        gigaflops=gigaflops(events),
        cpu_seconds=float(notes[CPU_SECONDS]) if CPU_SECONDS in notes else None,
        germinations=sum(isinstance(event, SeedGerminated) for event in events),
        outcomes=dict(sorted(outcomes.items())),
        rollbacks=sum(isinstance(event, RollbackOrdered) for event in events),
        reward=_reward(run_id, events),
    )


def gigaflops(events: Sequence[DomainEvent]) -> float:
    """Estimated operations of training, 10^9: what each layer reports, for every sample of every epoch, three passes."""
    header = header_of(events)
    capacity = header.hardware.compute_capacity_tflops * 1e12 / 1e3  # operations a ms, as latencies are estimated
    per_sample = sum(event.report.execution_latency_ms for event in events if isinstance(event, LayerHealthReported))
    return training_gigaflops(per_sample * capacity, header.task, header.training)


def training_gigaflops(per_sample: float, task: TaskSettings, training: TrainingSettings) -> float:
    """Estimated operations of an epoch's training, 10^9, from those of a forward pass on one sample.

    The split's rounding is left out.
    """
    return per_sample * PASSES * _samples(task, training) / 1e9


def _samples(task: TaskSettings, training: TrainingSettings) -> int:
    whole = round(task.samples * (1 - task.validation_share - task.test_share))
    return whole if training.batches_per_epoch is None else training.batches_per_epoch * training.batch_size


def _first_at(metrics: Mapping[int, EpochMetrics], target: float | None) -> int | None:
    if target is None:
        return None
    return next((epoch for epoch, entry in metrics.items() if entry.validation_accuracy >= target), None)


def _reward(run_id: str, events: Sequence[DomainEvent]) -> float | None:
    from projections.read_models import ReadModels

    models = ReadModels(["rewards"])
    models.extend(run_id, 0, events)
    rewards = models.frames()["rewards"]["reward"].to_list()
    return None if None in rewards else math.fsum(rewards)
