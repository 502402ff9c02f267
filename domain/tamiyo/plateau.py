"""The germination trigger: a plateau of validation accuracy, and all else that must hold. Source: Tamiyo v0.1a §3.1."""

from __future__ import annotations

import math
from typing import Literal, Self, final

from pydantic import Field

from domain.lifecycle import Stage
from domain.run import RunState
from domain.tamiyo.config import TamiyoConfig
from domain.values import Value


@final
class Plateau(Value):
    """How long validation accuracy has not improved."""

    epochs: int = Field(default=0, ge=0)
    """Epochs in a row without an improvement."""
    reference: float | None = None
    """Accuracy that the next epoch is compared with, [0, 1]; None before the first epoch."""

    def after(self, accuracy: float, delta: float, compare_with: Literal["best", "previous"]) -> Self:
        """The plateau after an epoch of this validation accuracy.

        A gain of ``delta`` or more starts over; equality is left open by the source. The first epoch has nothing to be
        compared with and never counts. An accuracy that is not finite counts and changes no reference.
        """
        if not math.isfinite(accuracy):
            return type(self)(epochs=self.epochs + (self.reference is not None), reference=self.reference)
        if self.reference is None or accuracy - self.reference >= delta:
            return type(self)(epochs=0, reference=accuracy)
        reference = accuracy if compare_with == "previous" else self.reference
        return type(self)(epochs=self.epochs + 1, reference=reference)

    @property
    def said(self) -> str:
        """How a reason puts it."""
        return f"no improvement for {self.epochs} epochs"

    def restarted(self, accuracy: float) -> Self:
        """The plateau of a network that has just changed: nothing counted yet."""
        return type(self)(reference=accuracy if math.isfinite(accuracy) else None)


def busy(state: RunState, config: TamiyoConfig) -> int:
    """Seeds in a stage that holds back the next germination."""
    return sum(seed.stage in config.respected_states for seed in state.seeds.values())


def obstacles(plateau: Plateau, state: RunState, config: TamiyoConfig, failed_at: int | None) -> tuple[str, ...]:
    """Why nothing may germinate at this boundary, a sentence each; empty when the trigger fires.

    ``failed_at`` is the epoch at which an adaptation last failed. That a seed must be free is for the choice of one.
    """
    header, epoch = state.started, state.epoch
    metrics = state.recent[-1]
    accuracy = metrics.validation_accuracy
    occupied, left = busy(state, config), header.epochs - epoch
    places = config.max_active_seeds if config.allow_concurrent_adaptations else 1
    rests_until = 0 if failed_at is None else failed_at + config.cool_down_epochs
    failures = state.consecutive_failures
    conditions = (
        (state.paused, "growth is paused from outside"),
        (not math.isfinite(metrics.train_loss + metrics.validation_loss), "a loss is not finite"),
        (accuracy >= config.acc_threshold, f"accuracy {accuracy:.3f} has reached {config.acc_threshold:g}"),
        (
            plateau.epochs < config.plateau_patience,
            f"{plateau.epochs} of {config.plateau_patience} epochs without improvement",
        ),
        (occupied >= places, f"{occupied} of {places} places are taken"),
        (failures >= config.max_consecutive_failures, f"{failures} adaptations failed in a row"),
        (epoch < config.warm_up_epochs, f"warming up until epoch {config.warm_up_epochs}"),
        (epoch < rests_until, f"cooling down until epoch {rests_until} after a failure"),
        (left < config.reserve_epochs, f"{left} epochs left, an adaptation needs {config.reserve_epochs}"),
    )
    return tuple(reason for holds, reason in conditions if holds)


def places_free(state: RunState) -> int:
    """Adaptations that could open now without waiting: places less the seeds in the host and in the queue; none while paused."""
    if state.paused:
        return 0
    waiting = sum(seed.stage is Stage.GERMINATING for seed in state.seeds.values())
    return max(state.started.tamiyo_config.max_active_seeds - state.places_taken - waiting, 0)
