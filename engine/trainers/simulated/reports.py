"""The health reports of a simulated epoch: typical columns, and what is measured of each blueprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from domain.header import RunHeader
from domain.health import LayerHealthReport, SeedProgress
from domain.identifiers import AdaptationId
from domain.lifecycle import Stage
from domain.seed import Seed
from domain.values import Column
from engine.trainers.simulated.draws import Draws
from engine.trainers.simulated.dynamics import BLOCK, UNKNOWN, Dynamics, KindProgress

RECONSTRUCTION: Final = 0.3
"""Reconstruction loss where none was ever recorded: under the gate's threshold."""


@final
@dataclass(frozen=True, slots=True)
class Cost:
    """What a blueprint costs in its slot, and what it promises."""

    gain: float
    """Accuracy that the blueprint's metadata promise; the only one of these that is no exact count."""
    parameters: int
    flops: int
    memory_mb: float


@final
@dataclass(frozen=True, slots=True)
class Carried:
    """A blueprint in the host during an epoch."""

    seed: Seed
    name: AdaptationId
    kind: str
    cost: Cost


@final
class Reports:
    """Makes the reports of one run."""

    def __init__(self, dynamics: Dynamics, draws: Draws, header: RunHeader) -> None:
        self._draws: Final = draws
        self._layout: Final = header.layout
        self._hardware: Final = header.hardware
        self._progress: Final[Mapping[tuple[str, str], KindProgress]] = {
            (entry.kind, entry.stage): entry for entry in dynamics.progress
        }
        self._period = -1
        self._columns: list[dict[str, Column]] = []
        self._quiet: tuple[LayerHealthReport, ...] = ()

    def of(self, epoch: int, carried: Sequence[Carried]) -> tuple[LayerHealthReport, ...]:
        """One report a layer. A layer in which nothing grows repeats its last one for 16 epochs."""
        if epoch // BLOCK != self._period:
            self._period = epoch // BLOCK
            self._columns = [self._draws.health(layout.layer, layout.seeds, epoch) for layout in self._layout]
            self._quiet = tuple(self._built(place, (), epoch) for place in range(len(self._layout)))
        if not carried:
            return self._quiet
        by_layer: dict[int, list[Carried]] = {}
        for entry in sorted(carried, key=lambda entry: entry.seed.seed_id.index):
            by_layer.setdefault(entry.seed.seed_id.layer, []).append(entry)
        reports = list(self._quiet)
        for place, found in by_layer.items():
            reports[place] = self._built(place, found, epoch)
        return tuple(reports)

    def _built(self, place: int, carried: Sequence[Carried], epoch: int) -> LayerHealthReport:
        # Unvalidated: the columns were checked when they were drawn, and validating costs more than the epoch.
        layout = self._layout[place]
        measured: dict[str, Any] = dict(self._columns[place])
        work = layout.outputs * (2 * layout.inputs + 2) + sum(entry.cost.flops for entry in carried)
        return LayerHealthReport.model_construct(
            layer=layout.layer,
            **measured,
            execution_latency_ms=self._hardware.latency_ms(work),
            cache_hit_rate=1.0,
            total_executions=0,
            error_counts=(),
            progress=tuple(self._measured(entry, epoch) for entry in carried),
        )

    def _measured(self, entry: Carried, epoch: int) -> SeedProgress:
        seed, cost, draws = entry.seed, entry.cost, self._draws
        stage = seed.stage.value
        known = self._progress.get((entry.kind, stage)) or self._progress.get((UNKNOWN, stage))
        norm = variance = drift = 0.0
        if known is not None and known.gradient_norms and cost.parameters:
            row = int(draws.progress_row(epoch, entry.name) * len(known.gradient_norms))
            norm, variance, drift = known.gradient_norms[row], known.gradient_variances[row], known.weight_drifts[row]
        return SeedProgress.model_construct(
            index=seed.seed_id.index,
            reconstruction_loss=_reconstruction(known, epoch - seed.since) if seed.stage is Stage.TRAINING else None,
            gradient_norm=norm,
            gradient_variance=variance,
            weight_drift=drift,
            latency_ms=self._hardware.latency_ms(cost.flops),
            memory_mb=cost.memory_mb,
        )


def _reconstruction(known: KindProgress | None, age: int) -> float:
    losses = known.reconstruction if known is not None else ()
    return losses[min(max(age, 1), len(losses)) - 1] if losses else RECONSTRUCTION
