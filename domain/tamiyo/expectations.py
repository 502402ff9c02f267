"""What a blueprint is expected to do in the field: a first guess, moved by what field reports measured.

The first guess is the estimate and the risk score that came with it. Neither is of the field: an estimate of a child is
its architect's, a risk score the crucible's, and both flatter what was never used beside what was. A certified child is
therefore guessed at from its parent, which stood in the field: as much better or worse as the crucible measured one
beside the other, as far as hosts have a use for it, and at least as likely to fail. Nothing that came before certificates
has one, and counts as it did. Why, and what was measured: DECISIONS.md, D-051.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.urabrask.certificate import Certificate
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord

PRIOR_USES: Final = 2.0
"""How many uses a first guess weighs as much as, against what field reports measured."""
KIN_USES: Final = 10.0
"""The same of a guess from a parent: kin differ less from each other than one use differs from the next."""
USABLE: Final = 0.17
"""Gain in the crucible beyond which hosts gained no more of it: what one bend gains there, such as ``residual_mlp``."""


@final
@dataclass(frozen=True, slots=True)
class Expectation:
    """What one blueprint is expected to do."""

    gain: float
    """In accuracy, [-1, 1]."""
    failure: float
    """Chance that an adaptation is culled or rolled back, [0, 1]."""

    @property
    def profile(self) -> float:
        """How good it is whatever one looks for: the gain to expect of it, failures counting as none."""
        return self.gain * (1.0 - self.failure)


def expectation(record: BlueprintRecord, library: BlueprintLibrary) -> Expectation:
    """What an entry of ``library`` is expected to do."""
    parent = None if record.parent_id is None else library.records.get(record.parent_id)
    if record.certificate is None or parent is None:
        estimates, risk = record.metadata.estimates, record.metadata.urabrask.risk_score
        return _moved(Expectation(estimates.past_accuracy_gain_estimate, risk), PRIOR_USES, record)
    return _moved(_guessed(record, record.certificate, parent, library), KIN_USES, record)


def _moved(first: Expectation, weight: float, record: BlueprintRecord) -> Expectation:
    """A first guess that weighs as much as ``weight`` uses, with the uses."""
    statistics = record.statistics
    gain = weight * first.gain + statistics.measured * statistics.mean_gain
    failures = weight * first.failure + statistics.culled + statistics.rolled_back
    return Expectation(gain / (weight + statistics.measured), failures / (weight + statistics.uses))


def _guessed(
    record: BlueprintRecord, certificate: Certificate, parent: BlueprintRecord, library: BlueprintLibrary
) -> Expectation:
    """The guess at a child before any report; it goes up the lineage as far as there are certificates."""
    stood = expectation(parent, library)
    failure = max(record.metadata.urabrask.risk_score, stood.failure)
    before = None if parent.certificate is None else parent.certificate.gain
    if certificate.gain is None or before is None:
        return Expectation(record.metadata.estimates.past_accuracy_gain_estimate, failure)
    better = min(certificate.gain, USABLE) - min(before, USABLE)
    return Expectation(max(-1.0, min(1.0, stood.gain + better)), failure)
