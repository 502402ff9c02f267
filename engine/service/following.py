"""A run as a service follows it: the fold of what was announced, and what a policy sees at its boundary."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final, final

from domain.analysis.figures import LayerFigures, figures
from domain.analysis.model_graph import WINDOW, LayerCondition, condition
from domain.analysis.signals import KeptSignal, SignalMemory, sift
from domain.events import DomainEvent, EpochCompleted, EpochMetrics, EpochSealed, LayerHealthReported
from domain.health import LayerHealthReport
from domain.run import RunState, evolve
from domain.tamiyo.policy import Observation
from engine.oona.envelope import Envelope
from engine.service.messages import DecisionRequest

SIGNALS_MAX: Final = 500
"""Signals that one decision looks at. Source: domain reference D7, the autonomous loop."""


@final
class Followed:
    """One run. Everything in here is made of its events, so a service that begins anew has it again."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.state = RunState()
        self.position = 0
        """The last event that was told."""
        self.asked: tuple[Envelope, DecisionRequest] | None = None
        """A request that waits for the events before it."""
        self._metrics: EpochMetrics | None = None
        """Of the epoch that the run is in; None until it completes."""
        self._reports: list[LayerHealthReport] = []
        self.signals: list[KeptSignal] = []
        """What is worth looking at in the epoch that the run is in, as its layers reported."""
        self._sifted = SignalMemory()
        self._past: defaultdict[int, deque[LayerFigures]] = defaultdict(lambda: deque(maxlen=WINDOW))

    def tell(self, event: DomainEvent) -> None:
        """The next event of the run."""
        if isinstance(event, EpochSealed):
            self._metrics, self._reports, self.signals = None, [], []
        elif isinstance(event, LayerHealthReported):
            self._reports.append(event.report)
        elif isinstance(event, EpochCompleted):
            self._metrics = event.metrics
        self.state = evolve(self.state, event)
        self.position += 1

    def judge(self, report: LayerHealthReport) -> LayerCondition:
        """How the layer of a report is, by its last epochs."""
        weights, past = self.state.started.tamiyo_config.health_weights, self._past[report.layer]
        kept, self._sifted = sift(self._sifted, report, weights)
        self.signals += kept
        past.append(figures(report, weights))
        return condition(report.layer, tuple(past))

    def pressing(self) -> list[KeptSignal]:
        """The signals of this epoch that a decision should look at, the most pressing first: up to 500."""
        return sorted(self.signals, key=lambda signal: (-signal.priority, signal.seed_id))[:SIGNALS_MAX]

    def due(self) -> tuple[Envelope, DecisionRequest] | None:
        """The request that can be answered now. One that the run has gone on without is forgotten."""
        if self.asked is None or self.position < self.asked[1].position:
            return None
        asked, self.asked = self.asked, None
        return asked if self.position == asked[1].position else None

    def observation(self, epoch: int) -> Observation:
        """What a policy sees at the end of ``epoch``. Raises LookupError where the run does not stand there."""
        if self._metrics is None or self.state.epoch != epoch:
            raise LookupError(f"{self.run} stands in epoch {self.state.epoch}: there is nothing to decide at {epoch}")
        return Observation(epoch=epoch, metrics=self._metrics, reports=tuple(self._reports), state=self.state)
