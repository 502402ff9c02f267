"""What blueprints are expected to do in the field: a first guess, moved by what field reports measured.

The first guess is the estimate and the risk score that came with a blueprint. Neither is of the field, and both flatter what
was never used beside what was. A certified child is therefore expected to do as its parent does: as much better or worse as
the crucible measured one beside the other, as far as hosts have a use for it, and at least as likely to fail. The two share
what field reports say of either; see ``kinship``. Nothing that came before certificates has one, and it is guessed at by
itself. Why, and what was measured: DECISIONS.md, D-051.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

from domain.identifiers import BlueprintId
from domain.tamiyo.kinship import Known, kin_means
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord
from domain.values import Same

PRIOR_USES: Final = 2.0
"""How many uses a first guess weighs as much as, against what field reports measured."""
KIN_USES: Final = 10.0
"""The most uses that all that is known of a parent weighs as much as, for its child."""
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
    rollback: float
    """Chance that it is rolled back, [0, 1]."""
    gradient_variance: float | None
    """Mean of what its uses showed, [0, inf]; before its first use what its kin's showed; None where none had any."""

    @property
    def profile(self) -> float:
        """How good it is whatever one looks for: the gain to expect of it, failures counting as none."""
        return self.gain * (1.0 - self.failure)


def expectations(library: BlueprintLibrary) -> Mapping[BlueprintId, Expectation]:
    """What each entry of ``library`` is expected to do."""
    return _expectations(Same(library.records))


@lru_cache(maxsize=4)  # asked for every slot that is looked at, and the library changes seldom
def _expectations(of: Same[Mapping[BlueprintId, BlueprintRecord]]) -> Mapping[BlueprintId, Expectation]:
    records = of.held
    known: dict[BlueprintId, _Kin] = {}
    gains, failures, rollbacks = [], [], []
    variances: list[float | None] = []
    for place, (name, record) in enumerate(records.items()):
        statistics = record.statistics
        kin = None if record.certificate is None or record.parent_id is None else known.get(record.parent_id)
        known[name] = _Kin(place, record)
        gains.append(_gain(record, kin))
        failures.append(_share(record, statistics.culled + statistics.rolled_back, kin))
        rollbacks.append(_share(record, statistics.rolled_back, kin))
        inherited = None if kin is None else variances[kin.place]
        variances.append(statistics.mean_gradient_variance if statistics.measured else inherited)
    means = (kin_means(members, KIN_USES) for members in (gains, failures, rollbacks))
    return {
        name: Expectation(
            max(-1.0, min(gain, 1.0)), max(0.0, min(failure, 1.0)), max(0.0, min(rollback, 1.0)), variance
        )
        for name, gain, failure, rollback, variance in zip(records, *means, variances, strict=True)
    }


@final
@dataclass(frozen=True, slots=True)
class _Kin:
    """The parent that a certified blueprint is kin to, and its place in the library: before its own."""

    place: int
    record: BlueprintRecord


def _gain(record: BlueprintRecord, kin: _Kin | None) -> Known:
    """Its gains, kin to its parent's where the crucible measured both."""
    statistics, certificate = record.statistics, record.certificate
    uses, total = statistics.measured, statistics.measured * statistics.mean_gain
    if kin is not None and certificate is not None and kin.record.certificate is not None:
        own, before = certificate.gain, kin.record.certificate.gain
        if own is not None and before is not None:
            return Known(uses, total, kin.place, min(own, USABLE) - min(before, USABLE))
    return _guessed(uses, total, record.metadata.estimates.past_accuracy_gain_estimate)


def _share(record: BlueprintRecord, happened: int, kin: _Kin | None) -> Known:
    """In how many of its uses something ill ``happened``, of which its risk score is the first guess."""
    uses, risk = record.statistics.uses, record.metadata.urabrask.risk_score
    if kin is None:
        return _guessed(uses, happened, risk)
    return Known(uses, happened, kin.place, max(0.0, risk - kin.record.metadata.urabrask.risk_score))


def _guessed(uses: float, total: float, guess: float) -> Known:
    """One that is kin to none before it, with its own first guess."""
    return Known(PRIOR_USES + uses, PRIOR_USES * guess + total)
