"""How well growing a seed, or a blueprint, has gone: what the bandits choose by. Pure, and a value, so that it is saved.

Source: the assessed implementation's seed performance tracker (D8 of our domain reference). A sample is an epoch that a
blueprint was blended into the host for; which key it counts for, its seed or its blueprint, is for the caller to say.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, TypeVar, final

from pydantic import Field

from domain.run import RunState
from domain.seed import Seed
from domain.tamiyo.emergency import BLENDED
from domain.values import Value

WINDOW: Final = 50
"""Samples that are kept."""
RECENT: Final = 20
"""Samples that means and variances are taken over."""
RECENT_MEMORY: Final = 5
AGEING: Final = 0.95
"""What an epoch takes off a sample's weight in the performance score."""
ACCURACY_SHARE: Final = 0.7
LOSS_SHARE: Final = 0.3

KeyT = TypeVar("KeyT", bound=Hashable)


@final
class Sample(Value):
    """What an epoch changed."""

    accuracy_delta: float
    """Validation accuracy less that of the epoch before, [-1, 1]."""
    loss_delta: float
    """Validation loss less that of the epoch before."""
    latency_ms: float = 0.0
    """Estimated for the blueprint, ms a sample."""
    memory_mb: float = 0.0

    @property
    def improved(self) -> bool:
        """Whether accuracy rose or loss fell."""
        return self.accuracy_delta > 0 or self.loss_delta < 0


@final
class Performance(Value):
    """The last 50 samples, oldest first, and how many of all were improvements."""

    samples: tuple[Sample, ...] = ()
    improvements: int = Field(default=0, ge=0)
    setbacks: int = Field(default=0, ge=0)

    def after(self, *samples: Sample) -> Performance:
        """With more samples, oldest first."""
        improved = sum(sample.improved for sample in samples)
        return Performance(
            samples=(*self.samples, *samples)[-WINDOW:],
            improvements=self.improvements + improved,
            setbacks=self.setbacks + len(samples) - improved,
        )

    @property
    def mean(self) -> float:
        """0.7 x mean accuracy delta - 0.3 x mean loss delta of the last 20 samples; 0 without any."""
        recent = self.samples[-RECENT:]
        return _blend(recent, [1.0] * len(recent))

    @property
    def score(self) -> float:
        """The same over all samples kept, each weighing 0.95 to the power of its age."""
        ages = range(len(self.samples) - 1, -1, -1)
        return _blend(self.samples, [AGEING**age for age in ages])

    @property
    def variance(self) -> float:
        """Variance of the last 20 accuracy deltas; 1 with fewer than two."""
        recent = [sample.accuracy_delta for sample in self.samples[-RECENT:]]
        if len(recent) < 2:
            return 1.0
        mean = math.fsum(recent) / len(recent)
        return math.fsum((delta - mean) ** 2 for delta in recent) / len(recent)

    @property
    def success_rate(self) -> float:
        """Share of all samples that were improvements, [0, 1]; 0.5 without any."""
        total = self.improvements + self.setbacks
        return self.improvements / total if total else 0.5

    @property
    def memory_mb(self) -> float:
        """Mean memory of the last 5 samples, MB; 0 without any."""
        recent = [sample.memory_mb for sample in self.samples[-RECENT_MEMORY:]]
        return math.fsum(recent) / len(recent) if recent else 0.0


def _blend(samples: Sequence[Sample], weights: Sequence[float]) -> float:
    total = math.fsum(weights)
    if total == 0:
        return 0.0
    pairs = list(zip(samples, weights, strict=True))
    accuracy = math.fsum(weight * sample.accuracy_delta for sample, weight in pairs) / total
    loss = math.fsum(weight * sample.loss_delta for sample, weight in pairs) / total
    return ACCURACY_SHARE * accuracy - LOSS_SHARE * loss


def samples_of(state: RunState) -> tuple[tuple[Seed, Sample], ...]:
    """What the last epoch says of every seed whose blueprint is blended in, by seed; nothing where it says no number."""
    if len(state.recent) < 2:
        return ()
    before, now = state.recent[-2:]
    accuracy = now.validation_accuracy - before.validation_accuracy
    loss = now.validation_loss - before.validation_loss
    if not math.isfinite(accuracy + loss):
        return ()
    found = []
    for seed in map(state.seed, state.active):
        measured = state.progress.get(seed.seed_id)
        if seed.stage in BLENDED and measured is not None:
            costs = {"latency_ms": measured.latency_ms, "memory_mb": measured.memory_mb}
            found.append((seed, Sample(accuracy_delta=accuracy, loss_delta=loss, **costs)))
    return tuple(found)


def performances_after(
    known: Mapping[KeyT, Performance], samples: Iterable[tuple[KeyT, Sample]]
) -> dict[KeyT, Performance]:
    """Every key's performance with these samples in it."""
    found = dict(known)
    for key, sample in samples:
        found[key] = found.get(key, Performance()).after(sample)
    return found
