"""What can go wrong in a seed."""

from __future__ import annotations

from enum import Enum
from typing import Final, final

ERROR_RATE_MAX: Final = 0.1
"""Share of an epoch's batches that may fail in a seed before its adaptation is given up. Source: domain reference E4."""


@final
class FaultKind(Enum):
    """What can go wrong in a seed."""

    LOAD_FAILURE = "LOAD_FAILURE"
    NON_FINITE = "NON_FINITE"
    SHAPE = "SHAPE"
    EXPLODING_GRADIENT = "EXPLODING_GRADIENT"
