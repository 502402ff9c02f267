"""The data of a task: three parts of which a policy sees two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from domain.settings import TaskSettings


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some samples with their labels. Raises ValueError when made of arrays that do not fit."""

    inputs: NDArray[np.float32]
    """Shape (samples, features), finite."""
    labels: NDArray[np.int64]
    """Shape (samples,), in [0, classes)."""

    def __post_init__(self) -> None:
        if self.inputs.ndim != 2 or self.labels.shape != self.inputs.shape[:1] or not len(self.labels):
            raise ValueError(
                f"inputs {self.inputs.shape} and labels {self.labels.shape} are not (n, features) and (n,)"
            )
        if self.inputs.dtype != np.float32 or self.labels.dtype != np.int64:
            raise ValueError(f"data must be float32 and int64 but got {self.inputs.dtype} and {self.labels.dtype}")
        if not np.isfinite(self.inputs).all():
            raise ValueError("the inputs hold a value that is not finite; clean the data before training on it")

    def __len__(self) -> int:
        return len(self.labels)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskData:
    """Train, validation (what policies see of the outcome) and test (what no policy ever sees)."""

    train: Part
    validation: Part
    test: Part
    classes: int

    def __post_init__(self) -> None:
        for part in (self.train, self.validation, self.test):
            if part.inputs.shape[1] != self.features:
                raise ValueError(
                    f"the parts have {part.inputs.shape[1]} and {self.features} features; give them one width"
                )
            if part.labels.min() < 0 or part.labels.max() >= self.classes:
                raise ValueError(f"labels must lie in [0, {self.classes}) but reach {part.labels.max()}")

    @property
    def features(self) -> int:
        """Width of an input."""
        return int(self.train.inputs.shape[1])


TaskLoader = Callable[[TaskSettings, int], TaskData]
"""From the settings and the run key to the data: equal arguments, equal bits."""
