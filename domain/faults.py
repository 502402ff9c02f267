"""What can go wrong in a seed."""

from __future__ import annotations

from enum import Enum
from typing import final


@final
class FaultKind(Enum):
    """What can go wrong in a seed."""

    LOAD_FAILURE = "LOAD_FAILURE"
    NON_FINITE = "NON_FINITE"
    SHAPE = "SHAPE"
    EXPLODING_GRADIENT = "EXPLODING_GRADIENT"
