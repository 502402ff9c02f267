"""What a policy does in a run, as numbers: so that it can be said how far an asked policy is from those fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.trainers.simulated.dynamics import Dynamics, RunFeatures
from engine.trainers.simulated.histories import History

FEATURES: Final = (
    "germinations",
    "first_germination",
    "last_germination",
    "epochs_grown",
    "places_taken",
    "fossilized",
    "culled",
    "rollbacks",
    "kinds",
)
"""Per run: counts; epochs as shares of the run; ``epochs_grown`` with something grafted; ``places_taken`` at once, mean."""
SPREAD_FLOOR: Final = (1.0, 0.1, 0.1, 0.1, 0.1, 0.5, 1.0, 0.5, 1.0)
"""Least standard deviation of each: a difference under it is none."""


def features_of(run: History, policy: str) -> RunFeatures:
    """The features of one run."""
    epochs = max(run.epochs, 1)
    taken = [epoch for entry in run.exposures.values() for epoch in entry.alphas]
    begun = [epoch for epoch, _ in run.germinations]
    values = (
        float(len(begun)),
        min(begun, default=epochs) / epochs,
        max(begun, default=epochs) / epochs,
        len(set(taken)) / epochs,
        len(taken) / epochs,
        float(run.outcomes["FOSSILIZED"]),
        float(run.outcomes["CULLED"]),
        float(run.rollbacks),
        float(len({kind for _, kind in run.germinations})),
    )
    rounded = tuple(round(value, 6) for value in values)
    return RunFeatures(policy=policy, run_key=run.header.run_key, values=rounded)


def distance(dynamics: Dynamics, asked: Sequence[History]) -> float:
    """How far runs of an asked policy are from the nearest policy fitted on, in standard deviations.

    Root mean square over features of the difference of the policies' means, each in units of its standard deviation
    over the runs fitted on, plus the share of germinations of kinds that were never grown in them, times 3.
    """
    known = np.array([entry.values for entry in dynamics.features])
    spread = np.maximum(known.std(axis=0), SPREAD_FLOOR)
    mean = np.array([features_of(run, "").values for run in asked]).mean(axis=0)
    policies = sorted({entry.policy for entry in dynamics.features})
    centres = [
        np.mean([entry.values for entry in dynamics.features if entry.policy == name], axis=0) for name in policies
    ]
    nearest = min(float(np.sqrt(np.mean(((mean - centre) / spread) ** 2))) for centre in centres)
    grown = [kind for run in asked for _, kind in run.germinations]
    kinds = dynamics.members[0].kappa_by_kind
    strange = sum(kind not in kinds for kind in grown) / len(grown) if grown else 0.0
    return nearest + 3.0 * strange
