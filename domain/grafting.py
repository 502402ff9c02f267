"""How alpha goes from 0 to 1. Source: Kasmina v0.1a §6 (``GraftingConfig``), Tamiyo v0.1a §3.4.

An internal step counter moves alpha; a held epoch does not move it, so alpha never jumps after a pause (the assessed
code lets it jump). Holding is bounded by a deadline: a ramp ends at most ``fixed_steps + pause_epochs_max`` epochs
after it began, whatever the signals say, because nothing leaves GRAFTING but a full alpha, a fault or a rollback.

To add a strategy: a member of ``GraftingStrategy``, a rule here, and a line in ``_RULES``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from pydantic import Field

from domain.commands import GraftingStrategy
from domain.values import Value


@final
class GraftingConfig(Value):
    """Numbers of the four strategies; the same for the whole run."""

    fixed_steps: int = Field(default=5, ge=1)
    """Steps of the ramp, one an epoch when nothing holds or hastens it. The design's value is 30; ramp length hardly
    matters where blueprints start as the identity, and a lifecycle is to take fewer than 30 epochs."""
    high_drift_threshold: float = Field(default=0.12, gt=0)
    """DRIFT_CONTROLLED holds while the blueprint's weights are further from their running mean, relative to it."""
    grad_norm_lower: float = Field(default=1e-3, ge=0)
    """GRAD_NORM_GATED holds while the gradient norm at full blend would be smaller. The design's 0.1 is above what the
    mean cross entropy of a small host gives once it has converged."""
    grad_norm_upper: float = Field(default=10.0, gt=0)
    """GRAD_NORM_GATED holds while it would be larger. The design's 1.0 is a usual norm early in a ramp."""
    quick_improvement: float = Field(default=0.02, gt=0)
    """Relative fall of validation loss in an epoch for which PERFORMANCE_LINKED takes two steps; one for none."""
    pause_epochs_max: int = Field(default=10, ge=0)
    """Epochs that holding may lengthen a ramp by."""

    @property
    def epochs_max(self) -> int:
        """Epochs that a ramp takes at most."""
        return self.fixed_steps + self.pause_epochs_max


PRESETS: Final = {
    "fast": GraftingConfig(),
    "design": GraftingConfig(fixed_steps=30, grad_norm_lower=0.1, grad_norm_upper=1.0),
}


@final
@dataclass(frozen=True, slots=True)
class GraftSignals:
    """What a ramp is steered by, measured over the epoch that ends."""

    epochs_in_stage: int
    """Boundaries since the one at which the seed entered GRAFTING, that one being 0."""
    alpha: float = 0.0
    """Blend under which the epoch was trained, [0, 1]."""
    gradient_norm: float = 0.0
    """L2 norm of the blueprint's gradient, [0, inf); proportional to alpha."""
    gradient_variance: float = 0.0
    weight_drift: float = 0.0
    """Distance of the blueprint's weights from their running mean, relative to its norm, [0, inf)."""
    improvement: float = 0.0
    """Relative fall of validation loss over the epoch: 0.02 when it fell by 2 %."""


@final
@dataclass(frozen=True, slots=True)
class AlphaStep:
    """Where a ramp goes."""

    alpha: float
    steps: float
    reason: str


_Rule = Callable[[GraftingConfig, GraftSignals], tuple[float, str]]


def _fixed_ramp(config: GraftingConfig, signals: GraftSignals) -> tuple[float, str]:
    del config, signals
    return 1.0, "fixed ramp"


def _performance_linked(config: GraftingConfig, signals: GraftSignals) -> tuple[float, str]:
    if not math.isfinite(signals.improvement):
        return 1.0, f"validation loss changed by {-signals.improvement:+.1%}, which says nothing"
    haste = min(max(signals.improvement / config.quick_improvement, 0.0), 1.0)
    return 1.0 + haste, f"validation loss changed by {-signals.improvement:+.1%}"


def _drift_controlled(config: GraftingConfig, signals: GraftSignals) -> tuple[float, str]:
    if signals.alpha == 0:
        return 1.0, "nothing is blended yet that could drift"
    limit = config.high_drift_threshold
    calm = signals.weight_drift <= limit  # False for NaN
    return float(calm), f"weight drift {signals.weight_drift:.3f} {'at most' if calm else 'not under'} {limit:g}"


def _grad_norm_gated(config: GraftingConfig, signals: GraftSignals) -> tuple[float, str]:
    if signals.alpha == 0:
        return 1.0, "no gradient to judge at alpha 0"
    norm = signals.gradient_norm / signals.alpha
    lower, upper = config.grad_norm_lower, config.grad_norm_upper
    healthy = lower <= norm <= upper  # False for NaN
    return float(healthy), f"gradient norm {norm:.3g} {'inside' if healthy else 'outside'} [{lower:g}, {upper:g}]"


_RULES: Final[dict[GraftingStrategy, _Rule]] = {
    GraftingStrategy.FIXED_RAMP: _fixed_ramp,
    GraftingStrategy.PERFORMANCE_LINKED: _performance_linked,
    GraftingStrategy.DRIFT_CONTROLLED: _drift_controlled,
    GraftingStrategy.GRAD_NORM_GATED: _grad_norm_gated,
}
assert set(_RULES) == set(GraftingStrategy)


def next_alpha(config: GraftingConfig, strategy: GraftingStrategy, steps: float, signals: GraftSignals) -> AlphaStep:
    """The blend of the next epoch: alpha = steps / fixed_steps, at most 1, never less than before.

    ``steps`` are those taken so far. An epoch takes 1, up to 2 under PERFORMANCE_LINKED, and 0 while held; it is never
    held once only the remaining steps fit before the deadline.
    """
    wanted, why = _RULES[strategy](config, signals)
    remaining = math.ceil(max(config.fixed_steps - steps, 0.0))
    late = signals.epochs_in_stage + remaining >= config.epochs_max
    if wanted == 0 and late:
        taken, reason = 1.0, f"moved on although {why}: the ramp must end by epoch {config.epochs_max} of GRAFTING"
    elif wanted == 0:
        taken, reason = 0.0, f"held: {why}"
    else:
        taken, reason = wanted, f"moved on: {why}"
    after = min(steps + taken, float(config.fixed_steps))
    return AlphaStep(
        alpha=min(after / config.fixed_steps, 1.0),
        steps=after,
        reason=f"step {after:g} of {config.fixed_steps}, {reason}",
    )
