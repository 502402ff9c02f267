"""What a blueprint is expected to do in the field: a first guess, moved by what field reports measured.

The first guess is the estimate and the risk score that came with it. Neither is of the field: an estimate of a child is
its architect's, a risk score the crucible's, and both flatter what was never used beside what was. A certified child is
therefore guessed at from its parent, which stood in the field: as much better or worse as the crucible measured one
beside the other, and at least as likely to fail. Nothing that came before certificates has one, and counts as it did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord

PRIOR_USES: Final = 2.0
"""How many uses a first guess weighs as much as, against what field reports measured."""


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
    first, statistics = _first(record, library), record.statistics
    gain = PRIOR_USES * first.gain + statistics.measured * statistics.mean_gain
    failures = PRIOR_USES * first.failure + (statistics.culled + statistics.rolled_back)
    return Expectation(gain / (PRIOR_USES + statistics.measured), failures / (PRIOR_USES + statistics.uses))


def _first(record: BlueprintRecord, library: BlueprintLibrary) -> Expectation:
    """The guess before any report; it goes up the lineage as far as there are certificates."""
    own = Expectation(record.metadata.estimates.past_accuracy_gain_estimate, record.metadata.urabrask.risk_score)
    parent = None if record.parent_id is None else library.records.get(record.parent_id)
    if record.certificate is None or parent is None:
        return own
    stood = expectation(parent, library)
    failure = max(own.failure, stood.failure)
    measured, before = record.certificate.gain, None if parent.certificate is None else parent.certificate.gain
    if measured is None or before is None:
        return Expectation(own.gain, failure)
    return Expectation(max(-1.0, min(1.0, stood.gain + measured - before)), failure)
