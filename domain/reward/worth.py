"""The record of what an adaptation was worth in seven respects. How it is worked out: ``seven.py``."""

from __future__ import annotations

from enum import Enum
from typing import final

from pydantic import Field

from domain.values import Value


@final
class RewardComponent(Enum):
    """The seven respects. Source: the assessed ``MultiMetricRewardSystem``; domain reference D9."""

    ACCURACY = "ACCURACY"
    SPEED = "SPEED"
    MEMORY = "MEMORY"
    STABILITY = "STABILITY"
    SAFETY = "SAFETY"
    INNOVATION = "INNOVATION"
    CONSISTENCY = "CONSISTENCY"


@final
class TemporalImpact(Value):
    """What an adaptation did within one horizon."""

    horizon: str
    """immediate, short, medium or long."""
    epochs: int = Field(ge=0)
    """The horizon's length from germination on, as configured."""
    impact: float = Field(ge=-1, le=1)
    measured: bool
    """Whether the horizon had passed and the impact was measured, or it is the expectation at the decision."""


@final
class MultiMetricReward(Value):
    """Components, weights, horizons, penalties and their sum, for one adaptation."""

    components: tuple[tuple[RewardComponent, float], ...]
    """All seven, each in [-1, 1] (consistency in [-0.5, 0.5])."""
    weights: tuple[tuple[RewardComponent, float], ...]
    """Of the six that are weighted, as they stood when this was worked out: at least 0, sum 1."""
    impacts: tuple[TemporalImpact, ...]
    penalty: float = Field(le=0)
    """For a lack of safety or stability."""
    risk: float = Field(ge=0, le=1)
    """How rash the decision was."""
    total: float = Field(ge=-5, le=5)
