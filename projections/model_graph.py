"""One row a layer and run: how the layer is, how its health goes, and which rules call it a problem."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any, ClassVar, Final, final

from domain.analysis.figures import LayerFigures, columns_of, figures
from domain.analysis.model_graph import WINDOW, condition
from domain.events import LayerHealthReported, RunEnded, RunForked, RunStarted
from domain.health import HealthWeights, LayerHealthReport
from projections.told_late import ToldLate
from projections.view import EPOCH, RUN, Cases, Key, Row, Schema, blank, integer, real, text

_Known = list[LayerFigures | LayerHealthReport]
"""The last hundred epochs of a layer, oldest first: figures as far as anybody looked, reports from there on."""

_FIGURES: Final = (
    "gradient_norm",
    "gradient_variance",
    "sign_stability",
    "param_norm_ratio",
    "latency_ms",
    "cache_hit_rate",
    "errors",
)
"""Columns that are figures of the latest report."""


@final
class ModelGraph:
    """One row a layer and run."""

    NAME: ClassVar[str] = "model_graph"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the layer's first report."),
        "epoch": EPOCH,
        "layer": integer("The layer, from 0."),
        "health": real("Mean health score of its seeds, the latest, [0, 1]; null where none could be measured."),
        "trend": real("Least-squares slope through its last five measurements, an epoch."),
        "gradient_norm": real("Mean over its seeds, [0, inf); null where none was measured."),
        "gradient_variance": real("Mean over its seeds, [0, inf); null where none was measured."),
        "sign_stability": real("Mean over its seeds, [0, 1]; null where none was measured."),
        "param_norm_ratio": real("Mean over its seeds, [0, inf); null where none was measured."),
        "latency_ms": real("Estimated for the layer with all that is grafted in it, ms a sample."),
        "cache_hit_rate": real("Share of blueprint loads served without compiling anew, [0, 1]."),
        "errors": integer("Faults of its seeds in the latest epoch, from 0."),
        "problems": text("The rules that call it a problem, parted by spaces; empty where none does."),
    }

    def __init__(self) -> None:
        self.store = ToldLate(self.SCHEMA, self._tell)
        self.cases: Cases = {
            RunStarted: self._started,
            RunForked: self._started,
            LayerHealthReported: self._reported,
            RunEnded: self._ended,
        }
        self._weights: dict[str, HealthWeights] = {}
        self._past: dict[str, dict[int, _Known]] = {}

    def memory(self) -> Any:
        """Weights and the last hundred epochs of each run that goes on."""
        return {
            run: [
                self._weights_of(run).model_dump_json(),
                [[astuple(each) for each in self._figures(run, layer)] for layer in layers],
            ]
            for run, layers in self._past.items()
        }

    def remember(self, memory: Any) -> None:
        """Weights and the last hundred epochs of each run that goes on."""
        self._weights = {run: HealthWeights.model_validate_json(weights) for run, (weights, _) in memory.items()}
        self._past = {}
        for run, (_, layers) in memory.items():
            kept: list[list[LayerFigures]] = [[LayerFigures(*each) for each in past] for past in layers]
            self._past[run] = {past[-1].layer: list(past) for past in kept}

    def _weights_of(self, run: str) -> HealthWeights:
        return self._weights.get(run, _DEFAULT)

    def _started(self, run: str, position: int, event: RunStarted | RunForked) -> None:
        for layer in self._past.setdefault(run, {}):
            self._figures(run, layer)  # what was reported before a fork counts by the weights of its time
        self._weights[run] = event.header.tamiyo_config.health_weights

    def _reported(self, run: str, position: int, event: LayerHealthReported) -> None:
        layer = event.report.layer
        key = (run, layer)
        past = self._past.setdefault(run, {}).setdefault(layer, [])
        if not past:
            self.store.open[key] = blank(self.SCHEMA) | {"run": run, "position": position, "layer": layer}
        past.append(event.report)
        del past[:-WINDOW]
        self.store.open[key]["epoch"] = event.epoch
        self.store.stale(key)

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        for layer in self._past.get(run, ()):
            self.store.finish((run, layer))
        self._weights.pop(run, None)
        self._past.pop(run, None)

    def _tell(self, key: Key, row: Row) -> None:
        run, layer = str(key[0]), int(key[1])
        past = self._figures(run, layer)
        found = condition(layer, past)
        row["health"], row["trend"] = past[-1].health, found.trend
        row.update((name, getattr(past[-1], name)) for name in _FIGURES)
        row["problems"] = " ".join(problem.rule for problem in found.problems)

    def _figures(self, run: str, layer: int) -> list[LayerFigures]:
        """A layer's past as figures all through."""
        told: list[LayerFigures] = []
        before: bytes | None = None
        for each in self._past[run][layer]:
            if isinstance(each, LayerFigures):
                told.append(each)
                continue
            now = columns_of(each)
            told.append(told[-1].held(each) if now == before else figures(each, self._weights_of(run)))
            before = now
        self._past[run][layer] = list(told)
        return told


_DEFAULT: Final = HealthWeights()
