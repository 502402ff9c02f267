"""What a blueprint is worth to Karn: R = w1 d_accuracy - w2 d_latency - w3 d_power + w4 novelty. Source: Karn v1.0 §4.

| term | what it is | its scale |
|---|---|---|
| d_accuracy | accuracy gained: from field reports, else the crucible, else as estimated | [-1, 1], 0.01 is one point |
| d_latency | estimated time of one sample | [0, 1], 1 is ten times the workhorse's or more |
| d_power | estimated energy of one sample | [0, 1], 1 is ten times the workhorse's or more |
| novelty | edit distance to the nearest of the library, as it was proposed | [0, 1] |

The workhorse is the residual MLP of 32 hidden units, on declared hardware as it comes, in the crucible's slot: it pays
0.03 for being run, by default, and gains about 0.17 in the crucible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from domain.blueprint import WEP, BlueprintGraph
from domain.commands import Reads
from domain.hardware import HardwareContext
from domain.shapes import flops
from domain.urabrask.trials import SLOT
from domain.urza.catalogue import JOULES_PER_FLOP, residual_mlp
from domain.urza.record import BlueprintRecord

LATENCY: Final = "dynamic.latency_ms"
ENERGY: Final = "dynamic.joules_per_inference"
"""Keys of a weighted evaluation profile."""

FAILURE: Final = -0.1
"""d_accuracy of what failed the crucible, whatever it gained there: ten points lost."""

_HARDWARE: Final = HardwareContext()


def _work(graph: BlueprintGraph, reads: Reads) -> int:
    """Operations of one sample in the crucible's slot. Raises ShapeMismatch."""
    return flops(graph, read=SLOT.read_width(reads, 0), chunk=SLOT.outputs)


_WORKHORSE: Final = _work(residual_mlp(32), Reads.BOTH)
LATENCY_SCALE: Final = 10 * _HARDWARE.latency_ms(_WORKHORSE)
"""Milliseconds that count as 1."""
ENERGY_SCALE: Final = 10 * _WORKHORSE * JOULES_PER_FLOP
"""Joules that count as 1."""


@final
@dataclass(frozen=True, slots=True)
class RewardWeights:
    """w1 to w4."""

    accuracy: float = 1.0
    latency: float = 0.2
    power: float = 0.1
    novelty: float = 0.2

    def exotic(self) -> RewardWeights:
        """With novelty at twice its weight, for as long as the library lacks diversity."""
        return RewardWeights(self.accuracy, self.latency, self.power, 2 * self.novelty)


WEIGHTS: Final = RewardWeights()


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """The four terms of one blueprint, on the scales above."""

    accuracy: float
    latency: float
    power: float
    novelty: float

    def reward(self, weights: RewardWeights = WEIGHTS) -> float:
        """Their weighted sum."""
        return (
            weights.accuracy * self.accuracy
            - weights.latency * self.latency
            - weights.power * self.power
            + weights.novelty * self.novelty
        )


def foreseen(graph: BlueprintGraph, reads: Reads, *, accuracy: float, novelty: float) -> Terms:
    """Terms of what was never tried, from a guess at its accuracy. Raises ShapeMismatch outside the crucible's slot."""
    work = _work(graph, reads)
    latency, energy = _HARDWARE.latency_ms(work), work * JOULES_PER_FLOP
    return Terms(accuracy, min(1.0, latency / LATENCY_SCALE), min(1.0, energy / ENERGY_SCALE), novelty)


def accuracy_of(record: BlueprintRecord) -> float:
    """d_accuracy as far as it is known: the mean gain of its uses, else the crucible's, else the estimate."""
    if record.certificate is not None and not record.certificate.passed:
        return FAILURE
    if record.statistics.measured:
        return record.statistics.mean_gain
    gain = None if record.certificate is None else record.certificate.gain
    return record.metadata.estimates.past_accuracy_gain_estimate if gain is None else gain


def reward(record: BlueprintRecord, weights: RewardWeights = WEIGHTS) -> float:
    """What an entry of the library is worth by all that is known of it now, field reports first."""
    return _terms(record, accuracy_of(record)).reward(weights)


def certified_reward(record: BlueprintRecord) -> float:
    """What the crucible's certificate alone says a blueprint is worth, under the weights as they come.

    Neither field reports nor the exotic mode move it, so that generations can be compared. Without a certificate the
    estimates stand in.
    """
    certificate = record.certificate
    if certificate is None:
        return _terms(record, record.metadata.estimates.past_accuracy_gain_estimate).reward()
    gain = (certificate.gain or 0.0) if certificate.passed else FAILURE
    return _terms(record, gain).reward()


def _terms(record: BlueprintRecord, accuracy: float) -> Terms:
    """Latency and energy as certified, else as its operations say; outside the crucible's slot as the dearest."""
    wep: WEP = () if record.certificate is None else record.certificate.wep
    measured, estimates = dict(wep), _costs(record)
    return Terms(
        accuracy=accuracy,
        latency=min(1.0, measured.get(LATENCY, estimates[0]) / LATENCY_SCALE),
        power=min(1.0, measured.get(ENERGY, estimates[1]) / ENERGY_SCALE),
        novelty=record.metadata.karn.novelty_score,
    )


def _costs(record: BlueprintRecord) -> tuple[float, float]:
    """Milliseconds and joules of a sample."""
    try:
        work = _work(record.graph, record.metadata.default_reads)
    except ValueError:
        return LATENCY_SCALE, ENERGY_SCALE
    return _HARDWARE.latency_ms(work), work * JOULES_PER_FLOP
