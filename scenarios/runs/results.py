"""A run in a line: what came of it, from its events alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from domain.endings import RunEnding
from domain.events import AdaptationConcluded, DomainEvent, RunForked, TestScored
from domain.run import rebuild
from domain.values import Value


@final
class RunMetrics(Value):
    """How good a run's network was, on data that no policy saw."""

    test_accuracy: float | None = None
    """At the end, [0, 1]; None while the run has no ending."""
    test_accuracy_before_growth: float | None = None
    """At the first germination; None if nothing germinated."""
    validation_accuracy: float | None = None
    """Last epoch, [0, 1]."""
    parameters: int = 0
    outcomes: Mapping[str, int] = {}
    """Concluded adaptations by outcome."""


@final
class RunResult(Value):
    """A run in a line."""

    run: str
    scenario: str
    tamiyo: str
    key: int
    digest: str
    ending: str
    """COMPLETED, DIVERGED, POLICY_FAILED, LEFT_RECORDING, or OPEN for a run that stopped without an ending."""
    epochs: int
    metrics: RunMetrics
    parent: str | None = None
    """The run that it is a fork of."""
    at_epoch: int | None = None
    """The last epoch in common with it."""

    @property
    def ended_well(self) -> bool:
        """Whether the run came to the end that it was to have: every epoch trained, or a recording followed to its end.

        A recording answers only up to the first differing decision, so leaving it there is no failure.
        """
        return self.ending in {RunEnding.COMPLETED.value, RunEnding.LEFT_RECORDING.value}


def result_of(run_id: str, digest: str, events: Sequence[DomainEvent]) -> RunResult:
    """The run that ``events`` tell of, named ``run_id``."""
    state = rebuild(events)
    forks = [event for event in events if isinstance(event, RunForked)]
    scores = [event for event in events if isinstance(event, TestScored)]
    at_the_end = [score.accuracy for score in scores if score.occasion == "ending"]
    at_germination = [score.accuracy for score in scores if score.occasion == "germination"]
    outcomes: dict[str, int] = {}
    for event in events:
        if isinstance(event, AdaptationConcluded):
            outcomes[event.outcome.value] = outcomes.get(event.outcome.value, 0) + 1
    return RunResult(
        run=run_id,
        scenario=state.started.scenario,
        tamiyo=state.started.tamiyo.name,
        key=state.started.run_key,
        digest=digest,
        ending=state.ending.value if state.ending else "OPEN",
        epochs=state.epoch,
        metrics=RunMetrics(
            test_accuracy=at_the_end[-1] if at_the_end else None,
            test_accuracy_before_growth=at_germination[0] if at_germination else None,
            validation_accuracy=state.recent[-1].validation_accuracy if state.recent else None,
            parameters=state.parameters,
            outcomes=outcomes,
        ),
        parent=forks[-1].parent if forks else None,
        at_epoch=forks[-1].epoch - 1 if forks else None,
    )
