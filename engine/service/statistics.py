"""What a Tamiyo service counts while it runs. Source: domain reference D7.

``policy_training_episodes`` and ``training_convergence_rate`` of the source are left out: nothing is trained in here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from domain.safety import Violation
from domain.values import Value
from engine.service.breakers import Breaker, Counts

LATENCY_MAX_MS: Final = 200.0
HEALTH_RATE_MIN: Final = 1000.0
"""Signals a second."""
REJECTIONS_MAX: Final = 0.5
HEALTH_MIN: Final = 0.5
"""Beyond these a service warns. Source: domain reference J 44."""


@final
class ServiceStatistics(Value):
    """A service at one moment, since it began. What it read again after a restart is counted again."""

    start_time: float
    """When it began, seconds of the service's clock."""
    total_runtime_hours: float
    runs_followed: int
    total_decisions_made: int
    successful_adaptations: int
    """Adaptations that fossilized."""
    success_rate: float
    """Of all decisions, [0, 1]."""
    safety_rejections: int
    """Decisions that broke a rule of the shield or of the five validations."""
    rejections_by_check: dict[str, int]
    """Violations by rule; a decision can break several."""
    confidence_rejections: int
    cooldown_rejections: int
    total_health_signals_processed: int
    """One a seed and report."""
    health_signals_kept: int
    """Those that the filter found worth a look."""
    average_health_score: float
    """Mean over all layers and epochs that were measured, [0, 1]; 0 before any was."""
    problematic_layers_detected: int
    """One a layer and epoch."""
    average_reward: float
    """Of the adaptations that were rewarded; 0 before any was."""
    decision_latency_ms: float
    """From a request with all it needs to its answer: mean."""
    decision_latency_max_ms: float
    health_processing_rate: float
    """Signals a second, while there were any to read."""
    memory_usage_mb: float
    """The most that the process ever held."""
    incidents: int
    """Errors that were not overcome, and moves of breakers."""
    messages_rejected: int
    breakers: dict[str, Counts]
    """Of bus and library, and of every run that is decided for, by name."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at. Source: domain reference D7, the performance and safety loops."""
        found = []
        if self.decision_latency_max_ms > LATENCY_MAX_MS:
            found.append(f"a decision took {self.decision_latency_max_ms:.0f} ms, over {LATENCY_MAX_MS:g}")
        if 0 < self.health_processing_rate < HEALTH_RATE_MIN:
            found.append(f"{self.health_processing_rate:.0f} health signals a second, under {HEALTH_RATE_MIN:g}")
        if self.safety_rejections > REJECTIONS_MAX * max(self.total_decisions_made, 1):
            found.append(f"{self.safety_rejections} of {self.total_decisions_made} decisions were unsafe")
        if self.total_health_signals_processed and self.average_health_score < HEALTH_MIN:
            found.append(f"mean health is {self.average_health_score:.2f}, under {HEALTH_MIN:g}")
        return tuple(found)


@final
@dataclass(slots=True)
class Mean:
    """The mean of what was added."""

    total: float = 0.0
    count: int = 0
    largest: float = 0.0

    def add(self, value: float) -> None:
        """One more, of at least 0 where ``largest`` is asked for."""
        self.total += value
        self.count += 1
        self.largest = max(self.largest, value)

    @property
    def value(self) -> float:
        """0 before anything was added."""
        return self.total / max(self.count, 1)


@final
@dataclass(slots=True)
class Tally:
    """The counts behind the statistics; whoever meets something adds it."""

    began_s: float
    runs: int = 0
    decisions: int = 0
    fossils: int = 0
    unsafe: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    signals: int = 0
    kept: int = 0
    reading_s: float = 0.0
    """Spent on reading health."""
    health: Mean = field(default_factory=Mean)
    rewards: Mean = field(default_factory=Mean)
    problems: int = 0
    latency_ms: Mean = field(default_factory=Mean)
    incidents: int = 0
    rejected: int = 0

    def judged(self, violations: Sequence[Violation]) -> None:
        """A decision was reached, and this is what the validations say of it."""
        self.decisions += 1
        self.unsafe += bool(violations)
        self.rules.update(violation.rule for violation in violations)

    def statistics(self, now_s: float, breakers: Iterable[Breaker]) -> ServiceStatistics:
        """All of it as it stands."""
        import resource

        return ServiceStatistics(
            start_time=self.began_s,
            total_runtime_hours=(now_s - self.began_s) / 3600.0,
            runs_followed=self.runs,
            total_decisions_made=self.decisions,
            successful_adaptations=self.fossils,
            success_rate=min(self.fossils / max(self.decisions, 1), 1.0),
            safety_rejections=self.unsafe,
            rejections_by_check=dict(sorted(self.rules.items())),
            confidence_rejections=self.rules["confidence_threshold"],
            cooldown_rejections=self.rules["cooldown_period"],
            total_health_signals_processed=self.signals,
            health_signals_kept=self.kept,
            average_health_score=self.health.value,
            problematic_layers_detected=self.problems,
            average_reward=self.rewards.value,
            decision_latency_ms=self.latency_ms.value,
            decision_latency_max_ms=self.latency_ms.largest,
            health_processing_rate=self.signals / self.reading_s if self.reading_s > 0 else 0.0,
            memory_usage_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
            incidents=self.incidents,
            messages_rejected=self.rejected,
            breakers={breaker.name: breaker.counts for breaker in breakers},
        )
