"""One row a concluded adaptation: its shaped reward, and the changes that it is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, final

from domain.events import (
    AdaptationConcluded,
    EpochCompleted,
    LayerHealthReported,
    RunEnded,
    RunForked,
    RunStarted,
    SeedGerminated,
)
from domain.health import HealthWeights, LayerHealthReport, need
from domain.identifiers import SeedId
from domain.reward.shaped import outcome_reward, parameter_growth_ratio, shaped_reward
from projections.view import ATTEMPT, EPOCH, LAYER, RUN, SEED, Cases, Schema, Table, integer, real, text


@final
@dataclass
class _Run:
    """What was measured last in a run."""

    weights: HealthWeights = field(default_factory=HealthWeights)
    reports: dict[int, LayerHealthReport] = field(default_factory=dict)
    """By layer."""
    parameters: int | None = None
    begun: dict[tuple[int, int], tuple[float | None, float | None, int | None]] = field(default_factory=dict)
    """Health, latency and parameters at the germination of each seed's open adaptation."""

    def now(self, seed: SeedId) -> tuple[float | None, float | None, int | None]:
        """Health of a seed, latency of its layer and parameters of the network, each None before it was measured."""
        report = self.reports.get(seed.layer)
        if report is None or seed.index >= report.seeds:
            return None, None, self.parameters
        return 1.0 - need(report, self.weights)[seed.index], report.execution_latency_ms, self.parameters


@final
class Rewards:
    """One row a concluded adaptation."""

    NAME: ClassVar[str] = "rewards"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the conclusion."),
        "epoch": EPOCH,
        "adaptation": text("LAYER.SEED#ATTEMPT, such as 0.1#2."),
        "layer": LAYER,
        "seed": SEED,
        "attempt": ATTEMPT,
        "outcome": text("FOSSILIZED, CULLED, ROLLED_BACK or CANCELLED."),
        "health_before": real("Health score of the seed at germination, [0, 1]; null where none was reported."),
        "health_after": real("The same at the conclusion."),
        "health_improvement": real("health_after - health_before, [-1, 1]."),
        "latency_before": real("Latency of its layer at germination, ms a sample; null where none was reported."),
        "latency_after": real("The same at the conclusion, its blueprint still in it."),
        "latency_increase": real("latency_after - latency_before, ms a sample."),
        "parameters_before": integer("Parameters of the network at germination; null before the first epoch."),
        "parameters_after": integer("The same at the conclusion; other adaptations count too."),
        "parameter_growth_ratio": real("(parameters_after - parameters_before) / parameters_before."),
        "outcome_reward": real("g(outcome): +1, -0.5, -1 or -0.1."),
        "reward": real("The shaped reward of domain/reward.py; null where a part of it is."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            RunStarted: self._started,
            RunForked: self._started,
            LayerHealthReported: self._reported,
            EpochCompleted: self._completed,
            SeedGerminated: self._germinated,
            AdaptationConcluded: self._concluded,
            RunEnded: self._ended,
        }
        self._runs: dict[str, _Run] = {}

    def memory(self) -> Any:
        """What was measured last in each run that goes on."""
        return {
            name: {
                "weights": run.weights.model_dump_json(),
                "reports": [report.model_dump_json() for report in run.reports.values()],
                "parameters": run.parameters,
                "begun": [[*key, *values] for key, values in run.begun.items()],
            }
            for name, run in self._runs.items()
        }

    def remember(self, memory: Any) -> None:
        """What was measured last in each run that goes on."""
        self._runs = {name: _remembered(saved) for name, saved in memory.items()}

    def _run(self, run: str) -> _Run:
        known = self._runs.get(run)
        if known is None:
            known = self._runs[run] = _Run()
        return known

    def _started(self, run: str, position: int, event: RunStarted | RunForked) -> None:
        self._run(run).weights = event.header.tamiyo_config.health_weights

    def _reported(self, run: str, position: int, event: LayerHealthReported) -> None:
        self._run(run).reports[event.report.layer] = event.report

    def _completed(self, run: str, position: int, event: EpochCompleted) -> None:
        self._run(run).parameters = event.parameters

    def _germinated(self, run: str, position: int, event: SeedGerminated) -> None:
        seed, measured = event.adaptation.seed, self._run(run)
        measured.begun[seed.layer, seed.index] = measured.now(seed)

    def _concluded(self, run: str, position: int, event: AdaptationConcluded) -> None:
        seed, measured = event.adaptation.seed, self._run(run)
        before = measured.begun.pop((seed.layer, seed.index), _NOTHING)
        after = measured.now(seed)
        health = _less(after[0], before[0])
        latency = _less(after[1], before[1])
        growth = parameter_growth_ratio(before[2], after[2]) if before[2] is not None and after[2] is not None else None
        reward = (
            shaped_reward(event.outcome, health_improvement=health, latency_increase=latency, growth_ratio=growth)
            if health is not None and latency is not None and growth is not None
            else None
        )
        self.store.finished.append(
            (
                *(run, position, event.epoch, str(event.adaptation), seed.layer, seed.index, event.adaptation.attempt),
                *(event.outcome.value, before[0], after[0], health, before[1], after[1], latency),
                *(before[2], after[2], growth, outcome_reward(event.outcome), reward),
            )
        )

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        self._runs.pop(run, None)


_NOTHING: Final = (None, None, None)


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _remembered(saved: Any) -> _Run:
    reports = [LayerHealthReport.model_validate_json(report, strict=False) for report in saved["reports"]]
    return _Run(
        weights=HealthWeights.model_validate_json(saved["weights"]),
        reports={report.layer: report for report in reports},
        parameters=saved["parameters"],
        begun={(layer, index): (health, latency, count) for layer, index, health, latency, count in saved["begun"]},
    )
