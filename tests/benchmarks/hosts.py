"""The hosts that training is measured on: a wide one, and two as they ship."""

from __future__ import annotations

from typing import Any

from domain.header import RunHeader
from domain.karn.policy import KarnPolicy
from domain.tamiyo.policy import TamiyoPolicy
from engine.trainers.live.fingerprint import fingerprint
from scenarios import composition, specification

WIDE: dict[str, Any] = {"host.hidden": [256, 256, 256], "host.seeds_per_layer": 4}
"""64-256-256-256-10 on digits: 150,794 parameters."""

HOSTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("digits, 64-256-256-256-10", "digits", WIDE),
    ("digits as shipped", "digits", {}),
    ("spirals as shipped", "spirals", {}),
)
"""What to call it, the scenario, what is overridden. The limits are meant for the first."""


def header(scenario: str, overrides: dict[str, Any], tamiyo: str) -> tuple[RunHeader, TamiyoPolicy, KarnPolicy]:
    """A run's header with run key 1, its end out of reach, and its policies."""
    chosen = specification.load(scenario, {**overrides, "training.epochs": 10_000})
    return composition.header(chosen, 1, tamiyo, None, fingerprint(chosen.training.threads))
