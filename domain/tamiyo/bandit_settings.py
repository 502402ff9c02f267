"""By what the seed of a germination is chosen, and the numbers of the ways that learn from what was tried.

Source: the assessed implementation's seed selector, whose formulas and defaults our domain reference restates (D8, F2).
"""

from __future__ import annotations

from enum import Enum
from typing import final

from pydantic import Field

from domain.values import Value


@final
class SeedSelection(Enum):
    """How a seed is chosen where something is to germinate."""

    NEED = "need"
    """The seed in greatest need, by its health. The design's way."""
    UCB = "ucb"
    """The highest upper confidence bound."""
    THOMPSON = "thompson"
    """Each seed as often as it is likely to be the best."""
    EPSILON_GREEDY = "epsilon_greedy"
    """Mostly the best so far, now and then any."""
    PERFORMANCE_WEIGHTED = "performance_weighted"
    """Better ones more often."""
    ROUND_ROBIN = "round_robin"
    """One after another. The assessed code falls back to UCB here; this one goes round."""


@final
class BanditSettings(Value):
    """Numbers of the five ways to choose a seed by what was tried. The source's defaults."""

    exploration_constant: float = Field(default=2.0, ge=0)
    """c of UCB's sqrt(c ln N / n). The assessed code has the field and always counts with 2."""
    epsilon: float = Field(default=0.1, ge=0, le=1)
    epsilon_decay: float = Field(default=0.995, gt=0, le=1)
    """Factor of epsilon an epoch."""
    temperature: float = Field(default=1.0, ge=0)
    """Of the softmax over performance weights; 0 for always the best."""
    min_dormant_epochs: int = Field(default=5, ge=0)
    """Epochs that a seed rests after it was active."""
    max_concurrent_seeds: int = Field(default=2, ge=1)
    """Active seeds from which no other is chosen."""
    memory_share: float = Field(default=0.8, gt=0, le=1)
    """Share of the declared memory that a seed's last blueprints may have taken."""
    fallback_to_first: bool = True
    """Whether the first free seed is taken where none is viable."""
