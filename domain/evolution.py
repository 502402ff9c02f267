"""An evolution: what it is set to do, and what each generation gave. Runs inside it are ordinary runs."""

from __future__ import annotations

from typing import final

from pydantic import Field

from domain.header import Fingerprint, PolicyReference
from domain.values import Value


@final
class EvolutionHeader(Value):
    """Everything that decides what an evolution will be, beside its scenarios."""

    format: int = 1
    regrow: str
    scenarios: tuple[str, ...] = Field(min_length=1)
    """Their names; ``settings`` of each are in the headers of its runs."""
    run_key: int = Field(ge=0)
    generations: int = Field(ge=1)
    runs_per_generation: int = Field(ge=1)
    """Of each scenario."""
    candidates_per_generation: int = Field(ge=1)
    tamiyo: PolicyReference
    karn: PolicyReference
    fingerprint: Fingerprint


@final
class GenerationSummary(Value):
    """One generation in figures."""

    generation: int = Field(ge=0)
    proposed: int = Field(ge=0)
    refused: int = Field(ge=0)
    """Invalid, or known already."""
    certified: int = Field(ge=0)
    """Passed the crucible."""
    at_least_moderate: int = Field(ge=0)
    mean_reward: float
    """Mean certified reward of this generation's candidates (``domain/karn/reward_model.py``); NaN without any."""
    diversity: float = Field(ge=0, le=1)
    """Of the active library: Urza's genetic diversity KPI."""
    library_size: int = Field(ge=0)
    """Active blueprints."""
    retired: int = Field(ge=0)
    mean_test_accuracy: float
    """Of this generation's runs."""
