"""One row a layer and report: how the layer is, how its health goes, and which rules call it a problem."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any, ClassVar, final

from domain.analysis.figures import LayerFigures, figures
from domain.analysis.model_graph import WINDOW, condition
from domain.events import LayerHealthReported, RunEnded, RunForked, RunStarted
from domain.health import HealthWeights
from projections.view import EPOCH, RUN, Cases, Schema, Table, integer, real, text


@final
class ModelGraph:
    """One row a layer and report."""

    NAME: ClassVar[str] = "model_graph"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the layer's report."),
        "epoch": EPOCH,
        "layer": integer("The layer, from 0."),
        "health": real("Mean health score of its seeds, [0, 1]; null where none could be measured."),
        "trend": real("Least-squares slope through its last five measurements, an epoch."),
        "gradient_norm": real("Mean over its seeds, [0, inf); null where none was measured."),
        "gradient_variance": real("Mean over its seeds, [0, inf); null where none was measured."),
        "sign_stability": real("Mean over its seeds, [0, 1]; null where none was measured."),
        "param_norm_ratio": real("Mean over its seeds, [0, inf); null where none was measured."),
        "latency_ms": real("Estimated for the layer with all that is grafted in it, ms a sample."),
        "errors": integer("Faults of its seeds in this epoch, from 0."),
        "problems": text("The rules that call it a problem, parted by spaces; empty where none does."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            RunStarted: self._started,
            RunForked: self._started,
            LayerHealthReported: self._reported,
            RunEnded: self._ended,
        }
        self._weights: dict[str, HealthWeights] = {}
        self._past: dict[str, dict[int, list[LayerFigures]]] = {}

    def memory(self) -> Any:
        """Weights and the last hundred reports of each run that goes on."""
        return {
            run: [weights.model_dump_json(), [[astuple(each) for each in past] for past in self._past[run].values()]]
            for run, weights in self._weights.items()
        }

    def remember(self, memory: Any) -> None:
        """Weights and the last hundred reports of each run that goes on."""
        self._weights = {run: HealthWeights.model_validate_json(weights) for run, (weights, _) in memory.items()}
        self._past = {}
        for run, (_, layers) in memory.items():
            kept = [[LayerFigures(*each) for each in past] for past in layers]
            self._past[run] = {past[-1].layer: past for past in kept}

    def _started(self, run: str, position: int, event: RunStarted | RunForked) -> None:
        self._weights[run] = event.header.tamiyo_config.health_weights
        self._past.setdefault(run, {})

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        self._weights.pop(run, None)
        self._past.pop(run, None)

    def _reported(self, run: str, position: int, event: LayerHealthReported) -> None:
        now = figures(event.report, self._weights.get(run, HealthWeights()))
        past = self._past.setdefault(run, {}).setdefault(now.layer, [])
        past.append(now)
        del past[:-WINDOW]
        found = condition(now.layer, past)
        self.store.finished.append(
            (
                *(run, position, event.epoch, now.layer, now.health, found.trend),
                *(now.gradient_norm, now.gradient_variance, now.sign_stability, now.param_norm_ratio),
                *(now.latency_ms, now.errors, " ".join(problem.rule for problem in found.problems)),
            )
        )
