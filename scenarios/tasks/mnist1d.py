"""MNIST-1D: ten one-dimensional digits, transformed at random and measured at 40 points.

Source: S. Greydanus and D. Kobak, Scaling down deep learning with MNIST-1D, ICML 2024, arXiv:2011.14439. Their
procedure with their parameters, written anew: a template of 12 points is padded with 36 to 60 zeros, stretched to 72
points, scaled by up to a fifth, shifted round by less than 48, laid over smoothed noise of 0.25 and white noise of 0.02,
sheared by up to 0.375 and resampled to 40 points. ``noise`` adds white noise of that deviation to the standardised end.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import TaskData
from scenarios.tasks.splitting import balanced_labels, dealt, stratified

CLASSES: Final = 10
FEATURES: Final = 40
LENGTH: Final = 72
"""Points of a padded and stretched template."""
PADDING: Final = (36, 60)
SCALE: Final = 0.4
SHEAR: Final = 0.75
"""Both as widths of the range about no change."""
SHIFTS: Final = 48
SMOOTH_NOISE: Final = 0.25
WHITE_NOISE: Final = 0.02
SMOOTHING: Final = 2.0
"""Standard deviation of the Gaussian filter over the noise, in points."""

_HAIR: Final = 1e-8
"""Tells a template that touches the base line from the background."""
_TEMPLATES: Final = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)
"""The paper's templates of 0 to 9, shape (10, 12): heights about a base line of 5."""


def templates() -> NDArray[np.float64]:
    """Each template standardised, from a base line of 0, over 6, shape (10, 12); a hair above 0 where it touches it."""
    whitened = (_TEMPLATES - _TEMPLATES.mean(axis=1, keepdims=True)) / _TEMPLATES.std(axis=1, keepdims=True)
    raised: NDArray[np.float64] = (whitened - whitened[:, :1]) / 6.0 + _HAIR
    return raised


def _stretched(signal: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """The signal read off at ``points`` evenly spaced places, between its samples by a straight line."""
    return np.interp(np.linspace(0.0, 1.0, points), np.linspace(0.0, 1.0, len(signal)), signal)


def _measured(template: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """One random sample of a digit, shape (40,)."""
    from scipy.ndimage import gaussian_filter

    padded = np.concatenate((template, np.zeros(random.integers(PADDING[0], PADDING[1] + 1))))
    signal = _stretched(padded, LENGTH) * (1.0 + SCALE * random.uniform(-0.5, 0.5))
    signal = np.roll(signal, random.integers(0, SHIFTS))
    background = gaussian_filter(SMOOTH_NOISE * random.standard_normal(LENGTH), SMOOTHING)
    signal = np.where(signal == 0.0, background, signal) + WHITE_NOISE * random.standard_normal(LENGTH)
    tilt = SHEAR * random.uniform(-0.5, 0.5) * np.linspace(-0.5, 0.5, LENGTH)
    return _stretched(signal - tilt, FEATURES)


def load(settings: TaskSettings, run_key: int) -> TaskData:
    """40 measurements a sample, standardised by mean and deviation of the training part.

    The source takes both over the whole set, which would tell the training a little about the test set.
    """
    random = stream(run_key, "task/mnist1d")
    labels = balanced_labels(settings.samples, CLASSES)
    known = templates()
    measured = np.stack([_measured(known[label], random) for label in labels])
    train = measured[dealt(labels, CLASSES, settings, run_key)[0]]
    measured = (measured - train.mean()) / train.std()
    measured += settings.noise * random.standard_normal(measured.shape)
    return stratified(measured, labels, CLASSES, settings, run_key)
