"""Handwritten digits: 1,797 real images of 8 x 8 pixels in 10 classes, shipped with scikit-learn. No download.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998. ``samples`` above 1,797 mean
all of them; ``noise`` is the standard deviation of what is added to each pixel, as a share of the pixel range.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import TaskData
from scenarios.tasks.splitting import stratified

CLASSES: Final = 10
FEATURES: Final = 64
PIXEL_MAX: Final = 16.0


def load(settings: TaskSettings, run_key: int) -> TaskData:
    """The images as 64 pixels in [0, 1] before noise."""
    from sklearn.datasets import load_digits

    found = load_digits()
    random = stream(run_key, "task/digits")
    chosen = np.sort(random.permutation(len(found.target))[: settings.samples])
    pixels = found.data[chosen] / PIXEL_MAX
    pixels = pixels + settings.noise * random.standard_normal(pixels.shape)
    return stratified(pixels, found.target[chosen], CLASSES, settings, run_key)
