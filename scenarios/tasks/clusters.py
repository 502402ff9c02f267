"""24 Gaussian clusters in four dimensions under 4 labels, six clusters a label. ``noise`` is the deviation inside a cluster."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import TaskData
from scenarios.tasks.splitting import balanced_labels, stratified

CLASSES: Final = 4
FEATURES: Final = 4
CLUSTERS: Final = 24
APART_MIN: Final = 1.0
"""Least distance of two centres."""
HALF_WIDTH: Final = 1.5
"""Centres lie in [-1.5, 1.5]^4."""
assert CLUSTERS % CLASSES == 0


def centres(random: np.random.Generator) -> NDArray[np.float64]:
    """Uniform in the box, each at least ``APART_MIN`` from those before it, shape (clusters, features)."""
    found: list[NDArray[np.float64]] = []
    while len(found) < CLUSTERS:
        centre = random.uniform(-HALF_WIDTH, HALF_WIDTH, FEATURES)
        if all(np.linalg.norm(centre - other) >= APART_MIN for other in found):
            found.append(centre)
    return np.array(found)


def load(settings: TaskSettings, run_key: int) -> TaskData:
    """Clusters take turns, so they are equally large; cluster i has label i mod 4."""
    random = stream(run_key, "task/clusters")
    cluster = balanced_labels(settings.samples, CLUSTERS)
    points = centres(random)[cluster]
    noisy = points + settings.noise * random.standard_normal(points.shape)
    return stratified(noisy, cluster % CLASSES, CLASSES, settings, run_key)
