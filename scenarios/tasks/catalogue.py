"""Every task there is. To add one: a module here with ``load``, ``FEATURES`` and ``CLASSES``, and a line in ``TASKS``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from engine.trainers.data import TaskLoader
from scenarios.tasks import checkerboard, clusters, digits, mnist1d, spheres, spirals, xor4


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A data set with its shape."""

    load: TaskLoader
    features: int
    classes: int


TASKS: Final[dict[str, Task]] = {
    "digits": Task(load=digits.load, features=digits.FEATURES, classes=digits.CLASSES),
    "spirals": Task(load=spirals.load, features=spirals.FEATURES, classes=spirals.CLASSES),
    "checkerboard": Task(load=checkerboard.load, features=checkerboard.FEATURES, classes=checkerboard.CLASSES),
    "xor4": Task(load=xor4.load, features=xor4.FEATURES, classes=xor4.CLASSES),
    "spheres": Task(load=spheres.load, features=spheres.FEATURES, classes=spheres.CLASSES),
    "clusters": Task(load=clusters.load, features=clusters.FEATURES, classes=clusters.CLASSES),
    "mnist1d": Task(load=mnist1d.load, features=mnist1d.FEATURES, classes=mnist1d.CLASSES),
}
"""By name, as scenario files name them."""
