"""Two interleaved spirals in the plane. ``noise`` is the standard deviation of a point about its arm; the outer end has radius 1.

Source: K. J. Lang and M. J. Witbrock, Learning to tell two spirals apart, 1988; here with 1.75 turns (2 x 0.875) an arm.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import TaskData
from scenarios.tasks.splitting import balanced_labels, stratified

CLASSES: Final = 2
FEATURES: Final = 2
TURNS: Final = 1.75
"""Of each arm about the middle."""
INNER: Final = 0.1
"""Radius at which the arms begin."""


def load(settings: TaskSettings, run_key: int) -> TaskData:
    """Points in about [-1, 1]^2, evenly spread along the arms' parameter."""
    random = stream(run_key, "task/spirals")
    labels = balanced_labels(settings.samples, CLASSES)
    along = np.sqrt(random.uniform(INNER**2, 1.0, settings.samples))
    angle = 2.0 * np.pi * (TURNS * along + labels / CLASSES)
    points = along[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    return stratified(
        points + settings.noise * random.standard_normal(points.shape), labels, CLASSES, settings, run_key
    )
