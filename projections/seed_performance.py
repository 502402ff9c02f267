"""One row a seed that ever germinated: how often, how it ended, and how the network did while it was blended in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from domain.events import (
    AdaptationConcluded,
    EpochCompleted,
    LayerHealthReported,
    RunEnded,
    SeedGerminated,
    StageChanged,
)
from domain.lifecycle import Outcome
from domain.tamiyo.emergency import BLENDED
from domain.tamiyo.performance import WINDOW, Performance, Sample
from projections.told_late import ToldLate
from projections.view import LAYER, RUN, SEED, Cases, Key, Row, Schema, blank, integer, real

_Place = tuple[int, int]
"""Layer and seed."""


@final
@dataclass
class _Run:
    """What goes on in a run."""

    accuracy: float = math.nan
    """Validation accuracy of the last epoch; NaN before the first."""
    loss: float = math.nan
    costs: dict[_Place, tuple[float, float]] = field(default_factory=dict)
    """Latency and memory of each blueprint in the epoch that is being reported."""
    blended: list[_Place] = field(default_factory=list)
    """Seeds whose blueprint is blended in and not yet decided about."""
    seeds: dict[_Place, Performance] = field(default_factory=dict)
    waiting: dict[_Place, list[Sample]] = field(default_factory=dict)
    """What is not in ``seeds`` yet: to have each epoch in there at once would be dear."""

    def performance(self, place: _Place) -> Performance:
        """How a seed did so far."""
        waiting = self.waiting.pop(place, None)
        if waiting:
            self.seeds[place] = self.seeds[place].after(*waiting)
        return self.seeds[place]


@final
class SeedPerformances:
    """One row a seed that ever germinated."""

    NAME: ClassVar[str] = "seed_performance"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of its first germination."),
        "layer": LAYER,
        "seed": SEED,
        "activations": integer("Germinations, from 1."),
        "fossilized": integer("Of them FOSSILIZED."),
        "failed": integer("Of them CULLED or ROLLED_BACK."),
        "last_activation_epoch": integer("Epoch of the latest germination."),
        "improvements": integer(
            "Epochs with its blueprint blended in, in which validation accuracy rose or loss fell."
        ),
        "setbacks": integer("The others of those epochs."),
        "success_rate": real("improvements / (improvements + setbacks), [0, 1]; 0.5 before either."),
        "mean_performance": real("0.7 mean accuracy change - 0.3 mean loss change over the last 20 of those epochs."),
        "performance_score": real("The same over the last 50, an epoch's weight 0.95 to the power of its age."),
        "variance": real("Of the accuracy change over the last 20, [0, inf); 1 below two."),
        "mean_latency_ms": real("Of its blueprint over the last 50, ms a sample; null before the first."),
        "mean_memory_mb": real("Of its blueprint over the last 50, MB; null before the first."),
    }

    def __init__(self) -> None:
        self.store = ToldLate(self.SCHEMA, self._tell)
        self.cases: Cases = {
            LayerHealthReported: self._reported,
            EpochCompleted: self._completed,
            SeedGerminated: self._germinated,
            StageChanged: self._moved,
            AdaptationConcluded: self._concluded,
            RunEnded: self._ended,
        }
        self._runs: dict[str, _Run] = {}

    def memory(self) -> Any:
        """What goes on in each run."""
        return {
            name: [
                *(run.accuracy, run.loss, [[*place, *cost] for place, cost in run.costs.items()], run.blended),
                [[*place, run.performance(place).model_dump_json()] for place in run.seeds],
            ]
            for name, run in self._runs.items()
        }

    def remember(self, memory: Any) -> None:
        """What goes on in each run."""
        self._runs = {name: _remembered(*saved) for name, saved in memory.items()}

    def _run(self, run: str) -> _Run:
        known = self._runs.get(run)
        if known is None:
            known = self._runs[run] = _Run()
        return known

    def _reported(self, run: str, position: int, event: LayerHealthReported) -> None:
        report, costs = event.report, self._run(run).costs
        for entry in report.progress:
            costs[report.layer, entry.index] = (entry.latency_ms, entry.memory_mb)

    def _completed(self, run: str, position: int, event: EpochCompleted) -> None:
        known, metrics = self._run(run), event.metrics
        accuracy = metrics.validation_accuracy - known.accuracy
        loss = metrics.validation_loss - known.loss
        for place in known.blended if math.isfinite(accuracy + loss) else ():
            cost = known.costs.get(place)
            if cost is not None and place in known.seeds:
                sample = Sample(accuracy_delta=accuracy, loss_delta=loss, latency_ms=cost[0], memory_mb=cost[1])
                waiting = known.waiting.setdefault(place, [])
                waiting.append(sample)
                if len(waiting) == WINDOW:  # no more than are kept
                    known.performance(place)
                self.store.stale((run, *place))
        known.accuracy, known.loss = metrics.validation_accuracy, metrics.validation_loss
        known.costs.clear()

    def _germinated(self, run: str, position: int, event: SeedGerminated) -> None:
        known, seed = self._run(run), event.adaptation.seed
        place = (seed.layer, seed.index)
        if place not in known.seeds:
            known.seeds[place] = Performance()
            row = blank(self.SCHEMA) | {"run": run, "position": position, "layer": seed.layer, "seed": seed.index}
            self.store.open[run, *place] = row | {"activations": 0, "fossilized": 0, "failed": 0}
            self.store.stale((run, *place))
        row = self.store.open[run, *place]
        row["activations"] += 1
        row["last_activation_epoch"] = event.epoch

    def _moved(self, run: str, position: int, event: StageChanged) -> None:
        known, place = self._run(run), (event.seed.layer, event.seed.index)
        if place in known.blended:
            known.blended.remove(place)
        if event.target in BLENDED:
            known.blended.append(place)

    def _concluded(self, run: str, position: int, event: AdaptationConcluded) -> None:
        seed = event.adaptation.seed
        row = self.store.open.get((run, seed.layer, seed.index))
        if row is not None and event.outcome is not Outcome.CANCELLED:
            row["fossilized" if event.outcome is Outcome.FOSSILIZED else "failed"] += 1

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        for place in self._run(run).seeds:
            self.store.finish((run, *place))
        del self._runs[run]

    def _tell(self, key: Key, row: Row) -> None:
        run, layer, seed = key
        performance = self._runs[str(run)].performance((int(layer), int(seed)))
        samples = performance.samples
        row["improvements"], row["setbacks"] = performance.improvements, performance.setbacks
        row["success_rate"] = performance.success_rate
        row["mean_performance"] = performance.mean
        row["performance_score"] = performance.score
        row["variance"] = performance.variance
        if samples:
            row["mean_latency_ms"] = math.fsum(sample.latency_ms for sample in samples) / len(samples)
            row["mean_memory_mb"] = math.fsum(sample.memory_mb for sample in samples) / len(samples)


def _remembered(accuracy: float, loss: float, costs: Any, blended: Any, seeds: Any) -> _Run:
    return _Run(
        accuracy=accuracy,
        loss=loss,
        costs={(layer, index): (latency, memory) for layer, index, latency, memory in costs},
        blended=[(layer, index) for layer, index in blended],
        seeds={(layer, index): Performance.model_validate_json(kept, strict=False) for layer, index, kept in seeds},
    )
