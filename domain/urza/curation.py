"""The nightly curation, once a generation: figures in, orders to the library out. Pure. Sources: Urza §6, Urabrask.

| figure | threshold | what follows |
|---|---|---|
| genetic diversity | 40 % unique graphs | Karn sees it (``domain/karn/novelty.py``) and turns to the exotic |
| success over 10 generations | 80 % | archived |
| success in each of 3 generations in a row | 90 % | archived |
| battles lost to newer designs | 80 % | archived |
| latency budget breached | 1 % of uses | HIGH becomes MODERATE |
| energy a sample | 5 % over the window | a manual review is noted |
| gain in accuracy, two generations of use in a row | 5 % | becomes HIGH |

A rate is under its threshold where chance does not explain it (``CurationConfig.chance_max``). Tamiyo's interest from
0.7 on protects from being archived, and so does scarcity: ``offered_min`` are always left.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from domain.blueprint import ConfidenceLevel
from domain.identifiers import BlueprintId
from domain.urza.commands import LibraryCommand, Regrade, Retire
from domain.urza.kpis import WINDOW, Bouts, CurationConfig, Tally, energy_by_generation, energy_of, over
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord

SUSTAINED: Final = 2
"""Generations of use in a row that an impact has to last for."""
_NO_BOUTS: Final = Bouts()


@final
@dataclass(frozen=True, slots=True)
class Evidence:
    """What the last generations said of each blueprint, oldest first."""

    tallies: Mapping[BlueprintId, tuple[Tally, ...]] = field(default_factory=dict)
    bouts: Mapping[BlueprintId, Bouts] = field(default_factory=dict)

    def of(self, name: BlueprintId) -> tuple[Tally, ...]:
        """Its tallies, one a generation that used it."""
        return self.tallies.get(name, ())


def newcomer(record: BlueprintRecord, config: CurationConfig) -> tuple[LibraryCommand, ...]:
    """What follows the certificate of a new entry: it is deployed as SPECULATIVE until its figures clear."""
    if not config.starts_speculative or record.level is ConfidenceLevel.SPECULATIVE or not record.is_offered:
        return ()
    reason = f"certified {record.level.value}; new entries begin speculative until their figures clear"
    return (Regrade(blueprint_id=record.blueprint_id, level=ConfidenceLevel.SPECULATIVE, reason=reason),)


def curate(
    library: BlueprintLibrary, evidence: Evidence, generation: int, config: CurationConfig
) -> tuple[LibraryCommand, ...]:
    """What the library is to do at the end of ``generation``, in order of numbers; archiving comes first."""
    retired = tuple(_retirements(library, evidence, config))
    gone = {command.blueprint_id for command in retired}
    graded = [
        command
        for record in library.offered()
        if record.blueprint_id not in gone
        for command in _regrade(record, evidence.of(record.blueprint_id), config)
    ]
    levels = {record.blueprint_id: record.level for record in library.records.values()}
    levels |= {command.blueprint_id: command.level for command in graded}
    return (*retired, *graded, *_energy_review(library, evidence, generation, config, levels))


def _retirements(library: BlueprintLibrary, evidence: Evidence, config: CurationConfig) -> Iterator[Retire]:
    """Whoever fails a rule, the least successful first, for as long as enough is left to choose from."""
    offered = library.offered()
    failing = []
    for record in offered:
        seen = evidence.of(record.blueprint_id)
        reason = _failure(seen, evidence.bouts.get(record.blueprint_id, _NO_BOUTS), config)
        if reason is not None and record.statistics.tamiyo_interest < config.interest_exempt:
            total = over(seen)
            failing.append((total.success_rate if total.uses else 0.0, record.number, record.blueprint_id, reason))
    for _, _, name, reason in sorted(failing)[: max(0, len(offered) - config.offered_min)]:
        yield Retire(blueprint_id=name, reason=reason)


def _failure(seen: Sequence[Tally], bouts: Bouts, config: CurationConfig) -> str | None:
    """Which rule archives a blueprint, or None."""
    window = over(seen[-WINDOW:])
    if window.uses >= config.uses_min and window.falls_short(config.success_min, config.chance_max):
        return f"success {window.success_rate:.0%} of {window.uses} uses, under {config.success_min:.0%}"
    recent = seen[-config.urabrask_generations :]
    threshold, total = config.urabrask_success_min, over(recent)
    is_low = all(tally.success_rate < threshold for tally in recent) and total.falls_short(threshold, config.chance_max)
    if len(recent) == config.urabrask_generations and is_low and total.uses >= config.uses_min:
        return f"success under {config.urabrask_success_min:.0%} in {len(recent)} generations in a row"
    if bouts.fought >= config.battles_min and bouts.lost / bouts.fought > config.outscored_max:
        return f"lost {bouts.lost} of {bouts.fought} battles to newer designs"
    return None


def _regrade(record: BlueprintRecord, seen: Sequence[Tally], config: CurationConfig) -> Iterator[Regrade]:
    """The level that the figures give, if it is another than the one that counts now."""
    window = over(seen[-WINDOW:])
    if not window.uses:
        return
    level, reason = record.level, ""
    certified = record.level if record.certificate is None else record.certificate.conf_level
    clears = window.uses >= config.uses_min and window.success_rate >= config.success_min
    if clears and level is ConfidenceLevel.SPECULATIVE and certified is not level:
        level, reason = (
            certified,
            f"success {window.success_rate:.0%} of {window.uses} uses: its certified level counts",
        )
    recent = seen[-SUSTAINED:]
    if len(recent) == SUSTAINED and clears and all(tally.gain >= config.impact_min for tally in recent):
        gain = over(recent).gain
        level, reason = ConfidenceLevel.HIGH, f"gain {gain:+.3f} sustained over {SUSTAINED} generations of use"
    if window.breaches / window.uses > config.breaches_max and level is ConfidenceLevel.HIGH:
        level, reason = ConfidenceLevel.MODERATE, f"{window.breaches} of {window.uses} uses over the latency budget"
    if level is not record.level:
        yield Regrade(blueprint_id=record.blueprint_id, level=level, reason=reason)


def _energy_review(
    library: BlueprintLibrary,
    evidence: Evidence,
    generation: int,
    config: CurationConfig,
    levels: Mapping[BlueprintId, ConfidenceLevel],
) -> Iterator[Regrade]:
    """A note on the hungriest blueprint of a generation that took more energy than those before. Its level stays."""
    records = tuple(library.records.values())
    energy = energy_by_generation(records, evidence.tallies)
    before = [joules for earlier, joules in energy.items() if generation - WINDOW <= earlier < generation]
    if generation not in energy or not before or energy[generation] <= 0:
        return
    usual = statistics.fmean(before)
    if energy[generation] <= usual * (1 + config.energy_spike_max):
        return
    used = [record for record in records if any(t.generation == generation for t in evidence.of(record.blueprint_id))]
    hungriest = max(used, key=lambda record: (energy_of(record), -record.number))
    reason = f"manual review: energy a sample rose from {usual:.2e} to {energy[generation]:.2e} J"
    yield Regrade(blueprint_id=hungriest.blueprint_id, level=levels[hungriest.blueprint_id], reason=reason)
