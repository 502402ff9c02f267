"""How far a simulation is to be trusted: held-out policies, not rows; the ensemble's disagreement; the distance asked.

Policies are held out one by one: dynamics are fitted to the runs of all others, the held-out one is simulated with
them, and the order and the accuracies of what was simulated are compared with what was recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

import numpy as np

from domain.events import DomainEvent
from domain.values import Value
from engine.trainers.simulated.dynamics import Dynamics
from engine.trainers.simulated.features import distance
from engine.trainers.simulated.fitting import fit
from engine.trainers.simulated.histories import History, history

DISTANCE_MAX: Final = 2.0
"""Standard deviations from the nearest policy fitted on, beyond which a simulation answers another question."""
SPEARMAN_MIN: Final = 0.5
"""Rank correlation over held-out policies, under which the order of simulated policies says nothing."""

Events = Sequence[DomainEvent]
Simulate = Callable[[Dynamics, str, int | None], Iterable[Events]]
"""Simulates the runs of a policy, by its name, under dynamics; the number fixes the ensemble's member, None leaves it."""


@final
class HeldOut(Value):
    """One policy that the fit did not see. Accuracies are means of the last test scores, in [0, 1]."""

    policy: str
    recorded: float
    simulated: float
    distance: float
    """Of its simulated runs from the nearest policy fitted on, in standard deviations."""
    runs: int


@final
class Calibration(Value):
    """How well simulated policies were ranked that the fit had not seen."""

    policies: tuple[HeldOut, ...]
    spearman: float
    """Rank correlation of simulated and recorded mean final accuracy, [-1, 1]; NaN for fewer than three policies."""
    error: float
    """Mean absolute error of the mean final accuracy."""
    regret: float
    """Recorded accuracy of the best policy less that of the one simulated as best (regret@1)."""

    @property
    def line(self) -> str:
        """All of it in a line."""
        return (
            f"{len(self.policies)} held-out policies: rank correlation {self.spearman:.2f}, mean error {self.error:.3f}, "
            f"regret@1 {self.regret:.3f}"
        )


@final
class Trust(Enum):
    """Whether a simulated answer stands by itself."""

    TRUSTED = "TRUSTED"
    HAND_OVER = "HAND OVER"


@final
class Asked(Value):
    """What the dynamics say of a policy."""

    policy: str
    accuracy: float
    """Mean final test accuracy over runs and ensemble."""
    disagreement: float
    """Standard deviation over the ensemble's members of the mean final accuracy."""
    distance: float


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to believe a simulated difference, in words."""

    trust: Trust
    sentence: str


def calibrate(runs: Mapping[str, Sequence[Events]], simulate: Simulate) -> Calibration:
    """Hold out each policy of ``runs`` in turn. Raises ValueError where the others are too few to fit."""
    found = []
    for policy in sorted(runs):
        others = [(name, events) for name in sorted(runs) if name != policy for events in runs[name]]
        dynamics = fit([events for _, events in others], policies=[name for name, _ in others])
        told = _histories(simulate(dynamics, policy, None))
        recorded = _histories(runs[policy])
        found.append(
            HeldOut(
                policy=policy,
                recorded=_mean(recorded),
                simulated=_mean(told),
                distance=distance(dynamics, told),
                runs=len(recorded),
            )
        )
    return scored(found)


def scored(found: Sequence[HeldOut]) -> Calibration:
    """Rank correlation, error and regret of simulated against recorded accuracies."""
    recorded = np.array([entry.recorded for entry in found])
    simulated = np.array([entry.simulated for entry in found])
    return Calibration(
        policies=tuple(found),
        spearman=rank_correlation(simulated, recorded) if len(found) > 2 else math.nan,
        error=float(np.abs(simulated - recorded).mean()),
        regret=float(recorded.max() - recorded[int(np.argmax(simulated))]),
    )


def rank_correlation(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray) -> float:
    """Spearman's, ties sharing their rank; NaN where one of them is constant."""
    from scipy.stats import rankdata

    ranks = [np.asarray(rankdata(values), dtype=np.float64) for values in (one, other)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return math.nan
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def ask(dynamics: Dynamics, policy: str, simulate: Simulate) -> Asked:
    """Simulate a policy with every member of the ensemble, under the same run keys."""
    means, told = [], []
    for member in range(len(dynamics.members)):
        runs = _histories(simulate(dynamics, policy, member))
        means.append(_mean(runs))
        told += runs
    return Asked(
        policy=policy,
        accuracy=float(np.mean(means)),
        disagreement=float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        distance=distance(dynamics, told),
    )


def verdict(one: Asked, other: Asked, calibration: Calibration | None = None) -> Verdict:
    """Whether the difference between two asked policies can be believed, or has to be forked exactly."""
    difference = one.accuracy - other.accuracy
    doubt = math.hypot(one.disagreement, other.disagreement)
    far = max((one, other), key=lambda asked: asked.distance)
    if math.isnan(difference):
        why = f"no simulated run of {one.policy if math.isnan(one.accuracy) else other.policy} came to a test score"
    elif far.distance > DISTANCE_MAX:
        why = f"{far.policy} is {far.distance:.1f} standard deviations from every policy fitted on (limit {DISTANCE_MAX:g})"
    elif doubt >= abs(difference):
        why = f"the ensemble disagrees by {doubt:.3f} about a difference of {difference:+.3f}"
    elif calibration is not None and not calibration.spearman >= SPEARMAN_MIN:
        why = f"held-out policies were ranked with a correlation of {calibration.spearman:.2f} (least {SPEARMAN_MIN:g})"
    elif calibration is not None and calibration.error >= abs(difference):
        why = f"the mean error over held-out policies, {calibration.error:.3f}, is not under the difference {difference:+.3f}"
    else:
        sentence = f"{one.policy} minus {other.policy}: {difference:+.3f}, the ensemble's doubt {doubt:.3f}; as good as its fit"
        return Verdict(Trust.TRUSTED, sentence)
    return Verdict(Trust.HAND_OVER, f"{why}; fork exactly to know")


def _histories(runs: Iterable[Events]) -> list[History]:
    return [told for events in runs if (told := history(events)) is not None]


def _mean(runs: Sequence[History]) -> float:
    """Mean final test accuracy of the runs that have one; NaN without any."""
    finals = [run.final_accuracy for run in runs if not math.isnan(run.final_accuracy)]
    return float(np.mean(finals)) if finals else math.nan
