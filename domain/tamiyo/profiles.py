"""Environments: one name selects how Tamiyo decides and what the shield insists on. Source: Tamiyo v0.1a §8.2, §9.3."""

from __future__ import annotations

from typing import Final, final

from domain.commands import GraftingStrategy
from domain.safety import SafetyConfig
from domain.tamiyo.config import BlueprintSelectionStrategy, RiskLevel, TamiyoConfig
from domain.values import Value


@final
class EnvironmentProfile(Value):
    """Both configurations of an environment."""

    tamiyo: TamiyoConfig
    safety: SafetyConfig


def _development() -> EnvironmentProfile:
    risk = RiskLevel.HIGH
    return EnvironmentProfile(
        tamiyo=TamiyoConfig(acc_threshold=0.85, plateau_patience=3, risk_tolerance=risk),
        safety=SafetyConfig(allowed_conf_levels=risk.allowed_levels),
    )


def _edge() -> EnvironmentProfile:
    risk = RiskLevel.MEDIUM
    return EnvironmentProfile(
        tamiyo=TamiyoConfig(
            acc_threshold=0.92,
            latency_safety_margin=0.1,
            blueprint_selection_strategy=BlueprintSelectionStrategy.SIZE,
            grafting_strategy_selection=GraftingStrategy.GRAD_NORM_GATED,
            risk_tolerance=risk,
        ),
        safety=SafetyConfig(allowed_conf_levels=risk.allowed_levels, max_drift_threshold=0.10),
    )


def _medical() -> EnvironmentProfile:
    risk = RiskLevel.LOW
    return EnvironmentProfile(
        tamiyo=TamiyoConfig(
            acc_threshold=0.98,
            plateau_patience=10,
            enable_safety_validation=True,
            emergency_rollback_threshold=0.02,
            max_consecutive_failures=1,
            blueprint_selection_strategy=BlueprintSelectionStrategy.SIZE,
            grafting_strategy_selection=GraftingStrategy.GRAD_NORM_GATED,
            risk_tolerance=risk,
        ),
        safety=SafetyConfig(
            allowed_conf_levels=risk.allowed_levels,
            max_drift_threshold=0.05,
            min_rollback_success_rate=0.99,
            encryption_required=True,
            privacy_mode=True,
            fail_safe_mode=True,
            max_consecutive_failures=1,
        ),
    )


PROFILES: Final = {"development": _development(), "edge": _edge(), "medical": _medical()}
