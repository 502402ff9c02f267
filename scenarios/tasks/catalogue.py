"""Every task there is. To add one: a module here with ``load``, ``FEATURES`` and ``CLASSES``, and a line in ``TASKS``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from engine.trainers.data import TaskLoader
from scenarios.tasks import checkerboard, clusters, digits, mnist1d, spheres, spirals, xor4


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A data set with its shape and its goal."""

    load: TaskLoader
    features: int
    classes: int
    description: str
    target: float | None
    """Test accuracy to reach, [0, 1]; None where none is set."""


TASKS: Final[dict[str, Task]] = {
    "digits": Task(
        load=digits.load,
        features=digits.FEATURES,
        classes=digits.CLASSES,
        description="1,797 real handwritten digits, 8 x 8 pixels, 10 classes",
        target=0.92,
    ),
    "spirals": Task(
        load=spirals.load,
        features=spirals.FEATURES,
        classes=spirals.CLASSES,
        description="two interleaved spirals in the plane",
        target=0.99,
    ),
    "checkerboard": Task(
        load=checkerboard.load,
        features=checkerboard.FEATURES,
        classes=checkerboard.CLASSES,
        description="the colours of a 4 x 4 checkerboard",
        target=0.99,
    ),
    "xor4": Task(
        load=xor4.load,
        features=xor4.FEATURES,
        classes=xor4.CLASSES,
        description="the parity of four noisy bits",
        target=0.99,
    ),
    "spheres": Task(
        load=spheres.load,
        features=spheres.FEATURES,
        classes=spheres.CLASSES,
        description="two concentric shells in ten dimensions",
        target=0.97,
    ),
    "clusters": Task(
        load=clusters.load,
        features=clusters.FEATURES,
        classes=clusters.CLASSES,
        description="24 Gaussian clusters in four dimensions under 4 labels",
        target=0.95,
    ),
    "mnist1d": Task(
        load=mnist1d.load,
        features=mnist1d.FEATURES,
        classes=mnist1d.CLASSES,
        description="one-dimensional digits, 40 measurements, 10 classes",
        target=None,
    ),
}
"""By name, as scenario files name them."""
