"""How a run can end."""

from __future__ import annotations

from enum import Enum
from typing import Final, final


@final
class RunEnding(Enum):
    """The closed set of ways in which a run ends."""

    COMPLETED = "COMPLETED"
    DIVERGED = "DIVERGED"
    POLICY_FAILED = "POLICY_FAILED"
    LEFT_RECORDING = "LEFT_RECORDING"

    @property
    def sentence(self) -> str:
        """What happened, for a person, with the way out."""
        return _ENDINGS[self]


_ENDINGS: Final = {
    RunEnding.COMPLETED: "every epoch was trained",
    RunEnding.DIVERGED: "training diverged three epochs in a row in spite of rollbacks; lower the learning rate",
    RunEnding.POLICY_FAILED: "the policy raised or returned something that is no decision; mend the policy",
    RunEnding.LEFT_RECORDING: "the policy chose what was not recorded; fork the run there to see what comes of it",
}
