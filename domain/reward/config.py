"""What the seven-component reward may be set to: its horizons in epochs, its baseline, how its weights learn."""

from __future__ import annotations

from typing import Final, Self, final

from pydantic import Field, model_validator

from domain.values import Value


@final
class RewardConfig(Value):
    """Horizons, baseline and learning of the reward. Source of the numbers: D9; of the horizons' epochs: below.

    The assessed horizons end at 1, 10 and 60 minutes, and "long" is what comes later. Minutes are epochs here, drawn
    closer together, because a whole adaptation takes fewer than thirty.
    """

    immediate_epochs: int = Field(default=1, ge=1)
    short_epochs: int = Field(default=5, ge=1)
    medium_epochs: int = Field(default=10, ge=1)
    long_epochs: int = Field(default=20, ge=1)
    impact_scale: float = Field(default=10.0, gt=0)
    """A measured impact is the change of validation accuracy times this: a tenth gained is an impact of 1."""
    baseline_epochs: int = Field(default=50, ge=1, le=1000)
    """The baseline is the median of so many epochs up to the germination; with fewer, the germination's own epoch."""
    learning_rate: float = Field(default=0.01, ge=0, le=1)
    """How much a component's weight learns from its contribution to one reward."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """How much of its last step a weight takes again."""

    @property
    def horizons(self) -> tuple[tuple[str, int], ...]:
        """Name and epochs of each, the nearest first."""
        return (
            ("immediate", self.immediate_epochs),
            ("short", self.short_epochs),
            ("medium", self.medium_epochs),
            ("long", self.long_epochs),
        )

    @model_validator(mode="after")
    def _horizons_ascend(self) -> Self:
        lengths = [epochs for _, epochs in self.horizons]
        if lengths != sorted(set(lengths)):
            raise ValueError(f"the horizons must grow from immediate to long but got {lengths} epochs")
        return self


REWARDS: Final = RewardConfig()
"""As it comes."""
