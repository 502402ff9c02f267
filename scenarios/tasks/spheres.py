"""Two concentric shells in ten dimensions: radii 0.6 to 1.0 and 1.35 to 1.8. ``noise`` is the deviation added to each coordinate."""

from __future__ import annotations

from typing import Final

import numpy as np

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import TaskData
from scenarios.tasks.splitting import balanced_labels, stratified

CLASSES: Final = 2
FEATURES: Final = 10
RADII: Final = ((0.6, 1.0), (1.35, 1.8))
"""Inner and outer radius of the shell of each class."""


def load(settings: TaskSettings, run_key: int) -> TaskData:
    """Directions uniform on the sphere, radii uniform in the shell of the class."""
    random = stream(run_key, "task/spheres")
    labels = balanced_labels(settings.samples, CLASSES)
    directions = random.standard_normal((settings.samples, FEATURES))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    inner, outer = np.array(RADII)[labels].T
    points = directions * random.uniform(inner, outer)[:, None]
    return stratified(
        points + settings.noise * random.standard_normal(points.shape), labels, CLASSES, settings, run_key
    )
