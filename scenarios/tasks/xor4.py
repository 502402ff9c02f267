"""The parity of four bits, each -1 or 1 with noise of standard deviation ``noise``."""

from __future__ import annotations

from typing import Final

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import TaskData
from scenarios.tasks.splitting import stratified

CLASSES: Final = 2
FEATURES: Final = 4


def load(settings: TaskSettings, run_key: int) -> TaskData:
    """Four numbers a sample; the label is 1 where an odd number of bits is set."""
    random = stream(run_key, "task/xor4")
    bits = random.integers(0, 2, size=(settings.samples, FEATURES))
    inputs = 2.0 * bits - 1.0 + settings.noise * random.standard_normal(bits.shape)
    return stratified(inputs, bits.sum(axis=1) % 2, CLASSES, settings, run_key)
