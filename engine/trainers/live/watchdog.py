"""Tolaria's own watchdog: panics over a loss that is not finite, that diverged, or that is suddenly a guess's.

Source: the successor's governor, domain reference E4: divergence is a validation loss above 12.0 nats, above the mean
plus 6 standard deviations and above 3 times the mean of the last 20 good epochs, on 3 epochs in a row. Under rule R8 a
lobotomy counts at once: a network whose mean loss was under 0.6 of a random guess's and that now guesses, to 6.5 %.
While there are fewer than 10 good epochs to compare with, a loss above 12.0 nats alone counts: a run that diverges from
its very start has no good epochs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Final, final

LOSS_MAX: Final = 12.0
"""Nats. Below this nothing counts as divergence."""
SIGMAS: Final = 6.0
MEANS: Final = 3.0
OCCURRENCES: Final = 3
WINDOW: Final = 20
HISTORY_MIN: Final = 10
LEARNT: Final = 0.6
"""Share of a random guess's loss under which the mean loss of a network shows that it has learnt its task."""
FORGOTTEN: Final = 0.065
"""How near a loss has to be to a random guess's, as a share of it, for the network to have forgotten its task."""
assert HISTORY_MIN <= WINDOW


@final
@dataclass(frozen=True, slots=True)
class Watchdog:
    """What it remembers. A value, so that a checkpoint can hold it."""

    history: tuple[float, ...] = ()
    """Validation losses of the last 20 epochs that were no anomalies, oldest first."""
    anomalies: int = 0
    """Anomalous epochs in a row."""

    def after(self, epoch: int, loss: float, guess: float | None = None) -> tuple[Watchdog, str | None]:
        """The watchdog after an epoch's validation loss, and why it panics, or None.

        ``guess`` is the loss of guessing at random, nats: the logarithm of the number of classes. None: not looked at.
        """
        if not math.isfinite(loss):
            return self, f"the validation loss of epoch {epoch} is {loss}"
        if guess is not None and self._is_lobotomy(loss, guess):
            return self, (
                f"the validation loss of epoch {epoch} is {loss:.4g}, that of a random guess ({guess:.4g}), after a mean "
                f"of {fmean(self.history):.4g}: the network forgot its task"
            )
        if not self._is_anomaly(loss):
            return Watchdog((*self.history[-(WINDOW - 1) :], loss)), None
        if self.anomalies + 1 < OCCURRENCES:
            return replace(self, anomalies=self.anomalies + 1), None
        return replace(self, anomalies=0), (
            f"the validation loss of epoch {epoch} is {loss:.4g}, the {OCCURRENCES}rd in a row far above "
            f"{self._measure}: training diverged"
        )

    @property
    def _is_young(self) -> bool:
        return len(self.history) < HISTORY_MIN

    @property
    def _measure(self) -> str:
        if self._is_young:
            return f"the {LOSS_MAX:g} nats allowed while fewer than {HISTORY_MIN} epochs were good"
        return f"the mean {fmean(self.history):.4g} of the last {len(self.history)} good epochs"

    def _is_lobotomy(self, loss: float, guess: float) -> bool:
        return not self._is_young and fmean(self.history) < LEARNT * guess and abs(loss - guess) <= FORGOTTEN * guess

    def _is_anomaly(self, loss: float) -> bool:
        if self._is_young or loss <= LOSS_MAX:
            return loss > LOSS_MAX
        mean = fmean(self.history)
        return loss > mean + SIGMAS * pstdev(self.history) and loss > MEANS * mean
