"""What can be read out of recorded runs: each network as a graph, and what its decisions and their rewards have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from domain.analysis.correlation import Correlation, correlations, mutual_information
from domain.analysis.model_graph import WINDOW, ModelAnalysis, analyse
from domain.analysis.outcomes import DecisionOutcome, decision_outcomes
from domain.analysis.trends import reward_trend
from domain.events import AdaptationRewarded, DecisionMade, LayerHealthReported, RunForked, RunStarted, SeedGerminated
from domain.health import LayerHealthReport
from domain.values import Value
from scenarios.lab import Lab

_READ: Final = (RunStarted, RunForked, LayerHealthReported, DecisionMade, SeedGerminated, AdaptationRewarded)


@final
class RunAnalysis(Value):
    """A run's network at the end of an epoch."""

    run: str
    epoch: int
    reported: bool
    """Whether any layer had reported by then; else everything is at its default."""
    model: ModelAnalysis


@final
class Analysis(Value):
    """Networks of several runs, and what goes for the decisions of all of them together."""

    runs: tuple[RunAnalysis, ...]
    rewards: tuple[float, ...]
    """Of every decision that was rewarded, in the order of the runs and in each of time."""
    reward_trend: float
    """(-1, 1); 0 where no trend is shown."""
    correlations: tuple[Correlation, ...]
    """The significant ones."""
    mutual_information: float | None
    """Between confidence and success, nats; None below twenty decisions."""


def analysed(lab: Lab, runs: Sequence[str], at: int | None = None) -> Analysis:
    """Analyse ``runs`` at the end of epoch ``at``, by default the last of each. Raises RunMissing, BadInput."""
    found: list[RunAnalysis] = []
    decided: list[DecisionOutcome] = []
    for run in runs:
        network, decisions = _of_run(lab, run, at)
        found.append(network)
        decided += decisions
    rewards = tuple(decision.reward.total for decision in decided)
    return Analysis(
        runs=tuple(found),
        rewards=rewards,
        reward_trend=reward_trend(rewards),
        correlations=correlations(decided),
        mutual_information=mutual_information(decided),
    )


def _of_run(lab: Lab, run: str, at: int | None) -> tuple[RunAnalysis, tuple[DecisionOutcome, ...]]:
    head, journal = lab.head_at(run, at), lab.journal
    topics = {topic for kind in _READ for topic in journal.codec.topics(kind)}
    header, others = None, []
    reports: dict[int, list[LayerHealthReport]] = {}
    for event in journal.select(run, lambda topic, body: topic in topics, head.position):
        match event:
            case RunStarted() | RunForked():
                header = event.header
            case LayerHealthReported():
                reports.setdefault(event.epoch, []).append(event.report)
            case _:
                others.append(event)
    assert header is not None, f"{run} does not open with its header"
    window = list(reports.values())[-WINDOW:]
    model = analyse(header, window)
    return RunAnalysis(run=run, epoch=head.epoch, reported=bool(window), model=model), decision_outcomes(others)
