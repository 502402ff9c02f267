"""Which layers are a problem, and by which rule. Source: the assessed ``ModelGraphAnalyzer`` and ``ModelGraphBuilder``, D7.

The analyzer looks at where a layer is and where it is going, the builder at means over its window. Both count here, each
rule under its own name. ``unsteady-gradient`` keeps the source's threshold, although the gradients of any network that has
converged agree little in sign: read it together with the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, final

from domain.analysis.figures import LayerFigures, mean_of
from domain.analysis.trends import recent_trend
from domain.values import Value

LOW_HEALTH: Final = 0.3
ERRORS_MAX: Final = 5
FALLING: Final = -0.1
"""Of health, an epoch."""
SLOW_FACTOR: Final = 2.0
LATENCY_MEMORY: Final = 0.1
"""What the newest latency weighs in the moving average that is the baseline."""
GRADIENT_NORM_MAX: Final = 10.0
SIGN_STABILITY_MIN: Final = 0.3
ERRORS_TOTAL_MAX: Final = 10


@final
class Problem(Value):
    """A rule that a layer broke, and by what."""

    rule: str
    detail: str


def problems(window: Sequence[LayerFigures]) -> tuple[Problem, ...]:
    """What is wrong with a layer whose last epochs, oldest first, are ``window``. Of nothing, nothing is wrong."""
    return (*_now(window), *_over(window)) if window else ()


def is_problematic(figures: LayerFigures) -> bool:
    """Whether a layer is a problem by this one epoch alone."""
    return bool(problems((figures,)))


def health_trend(window: Sequence[LayerFigures]) -> float:
    """How a layer's health moves an epoch, by its last five measurements; 0 below two of them."""
    return recent_trend([figures.health for figures in window])


def _now(window: Sequence[LayerFigures]) -> Iterator[Problem]:
    """The analyzer's rules."""
    latest = window[-1]
    if latest.health is not None and latest.health < LOW_HEALTH:
        yield Problem(rule="low-health", detail=f"health {latest.health:.3f} is under {LOW_HEALTH}")
    if latest.errors > ERRORS_MAX:
        yield Problem(rule="errors", detail=f"{latest.errors} faults in one epoch, more than {ERRORS_MAX}")
    trend = health_trend(window)
    if trend < FALLING:
        yield Problem(rule="falling-health", detail=f"health moves by {trend:.3f} an epoch, under {FALLING}")
    usual = _usual_latency(window[:-1])
    if usual is not None and latest.latency_ms is not None and latest.latency_ms > SLOW_FACTOR * usual:
        yield Problem(
            rule="slow",
            detail=f"latency {latest.latency_ms:.3g} ms is over {SLOW_FACTOR:g} times the usual {usual:.3g} ms",
        )


def _over(window: Sequence[LayerFigures]) -> Iterator[Problem]:
    """The builder's rules."""
    health = mean_of([figures.health for figures in window])
    if health is not None and health < LOW_HEALTH:
        yield Problem(rule="low-mean-health", detail=f"mean health {health:.3f} is under {LOW_HEALTH}")
    norm = mean_of([figures.gradient_norm for figures in window])
    if norm is not None and norm > GRADIENT_NORM_MAX:
        yield Problem(rule="exploding-gradient", detail=f"mean gradient norm {norm:.3g} is over {GRADIENT_NORM_MAX:g}")
    signs = mean_of([figures.sign_stability for figures in window])
    if signs is not None and signs < SIGN_STABILITY_MIN:
        yield Problem(rule="unsteady-gradient", detail=f"mean sign stability {signs:.3f} is under {SIGN_STABILITY_MIN}")
    errors = sum(figures.errors for figures in window)
    if errors > ERRORS_TOTAL_MAX:
        yield Problem(
            rule="many-errors", detail=f"{errors} faults in {len(window)} epochs, more than {ERRORS_TOTAL_MAX}"
        )


def _usual_latency(window: Sequence[LayerFigures]) -> float | None:
    """Moving average of the latency, 0.9 and 0.1; None where it was never above 0."""
    usual: float | None = None
    for figures in window:
        if figures.latency_ms is not None:
            new = figures.latency_ms
            usual = new if usual is None else (1 - LATENCY_MEMORY) * usual + LATENCY_MEMORY * new
    return usual or None
