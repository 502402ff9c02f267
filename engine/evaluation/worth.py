"""What one thing was worth, from continuations with it and without it in pairs that share everything before."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, final

import numpy as np

from engine.evaluation.paired import Difference, paired_difference

PAIRS_MIN: Final = 2
"""Fewer have no spread, and without that there is no interval."""


@final
class Worth(StrEnum):
    """The words of an attribution; there is none for "worth nothing", because no finite number of pairs can show that."""

    WORTH = "worth it"
    HARMFUL = "harmful"
    NO_DIFFERENCE_SHOWN = "no difference shown"


def worth_of(difference: Difference) -> Worth:
    """What may be said of something whose score with it minus without it is ``difference``."""
    if not difference.shown:
        return Worth.NO_DIFFERENCE_SHOWN
    return Worth.WORTH if difference.mean > 0 else Worth.HARMFUL


def worth(
    with_it: Sequence[float],
    without_it: Sequence[float],
    *,
    estimand: str,
    generator: np.random.Generator,
    level: float = 0.95,
    failed: float | None = None,
) -> tuple[Difference, Worth]:
    """The mean difference over pairs of continuations, position i of both being a pair, and what may be said of it.

    The interval is of the mean over continuations from this one state: what noise comes after it is drawn anew in each
    pair, the past is not. Raises ValueError for fewer than two pairs, and as ``paired_difference``.
    """
    if len(with_it) < PAIRS_MIN:
        raise ValueError(f"an attribution needs {PAIRS_MIN} pairs at least but got {len(with_it)}")
    found = paired_difference(with_it, without_it, estimand=estimand, generator=generator, level=level, failed=failed)
    return found, worth_of(found)
