"""Cutting data into train, validation and test, alike in their classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import Part, TaskData


def dealt(
    labels: NDArray[np.integer], classes: int, settings: TaskSettings, run_key: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Deal the samples of each class to the three parts in the shares of ``settings``, by stream ``task/split``.

    Gives the indices of train, validation and test, each in a random order; each part keeps a share of every class to
    within one sample.
    """
    order = stream(run_key, "task/split").permutation(len(labels))
    place = np.empty(len(labels))
    for label in range(classes):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / max(len(members), 1)
    tested = place < settings.test_share
    validated = ~tested & (place < settings.test_share + settings.validation_share)

    trained = ~tested & ~validated
    return order[trained[order]], order[validated[order]], order[tested[order]]


def stratified(
    inputs: NDArray[np.floating], labels: NDArray[np.integer], classes: int, settings: TaskSettings, run_key: int
) -> TaskData:
    """The samples as ``dealt`` out. Raises ValueError for shares that leave a part empty."""
    train, validation, test = (
        Part(inputs=inputs[indices].astype(np.float32), labels=labels[indices].astype(np.int64))
        for indices in dealt(labels, classes, settings, run_key)
    )
    return TaskData(train=train, validation=validation, test=test, classes=classes)


def balanced_labels(samples: int, classes: int) -> NDArray[np.int64]:
    """``samples`` labels in turn, so that classes differ by one sample at most."""
    return np.arange(samples, dtype=np.int64) % classes
