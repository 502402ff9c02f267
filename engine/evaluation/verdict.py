"""What may be said of a policy beside its baseline."""

from __future__ import annotations

from enum import StrEnum
from typing import final


@final
class Verdict(StrEnum):
    """The words of a comparison; there is none for "equal", because no finite number of runs can show that."""

    BASELINE = "baseline"
    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE_SHOWN = "no difference shown"
