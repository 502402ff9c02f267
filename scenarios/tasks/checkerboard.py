"""A 4 x 4 checkerboard on [-1, 1]^2 with a gap of 0.06 along the lines. ``noise`` is the standard deviation added to each coordinate."""

from __future__ import annotations

from typing import Final

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import TaskData
from scenarios.tasks.splitting import stratified

CLASSES: Final = 2
FEATURES: Final = 2
SQUARES: Final = 4
"""Along each side."""
MARGIN: Final = 0.06
"""Share of a square's side that is kept free at each of its edges."""


def load(settings: TaskSettings, run_key: int) -> TaskData:
    """Points spread evenly over the squares, labelled by colour."""
    random = stream(run_key, "task/checkerboard")
    squares = random.integers(0, SQUARES, size=(settings.samples, 2))
    inside = random.uniform(MARGIN, 1.0 - MARGIN, size=(settings.samples, 2))
    points = (squares + inside) * (2.0 / SQUARES) - 1.0
    labels = squares.sum(axis=1) % 2
    return stratified(
        points + settings.noise * random.standard_normal(points.shape), labels, CLASSES, settings, run_key
    )
