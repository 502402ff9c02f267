"""Elo scores of blueprints that compete on the same trial. Source: domain reference K 55: K 32, from 1200."""

from __future__ import annotations

from typing import Final

START: Final = 1200
FACTOR: Final = 32
SPREAD: Final = 400
"""Points that make ten to one odds."""


def expected(score: int, opponent: int) -> float:
    """Expected result of the first against the second, (0, 1)."""
    return float(1 / (1 + 10 ** ((opponent - score) / SPREAD)))


def after_battle(score: int, opponent: int, result: float) -> tuple[int, int]:
    """Both scores after a battle that gave ``result`` (1 won, 0.5 drawn, 0 lost) for the first. Their sum stays."""
    moved = round(FACTOR * (result - expected(score, opponent)))
    return score + moved, opponent - moved
