"""What the evolving Karn remembers, and how it learns from the library and from field reports."""

from __future__ import annotations

import math
from typing import Final, final

from domain.field_reports import FieldReport
from domain.identifiers import BlueprintId
from domain.karn.drafting import GENERATORS
from domain.karn.features import features
from domain.karn.learned_reward import LearnedReward
from domain.karn.operator_bandit import REFUSED, OperatorBandit
from domain.karn.policy import KarnObservation
from domain.karn.reward_model import FAILURE, certified_reward, reward
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord
from domain.values import Value

REFUSALS_KEPT: Final = 128
"""Blueprints that were not taken into the library and are not proposed again."""


@final
class Pending(Value):
    """A proposal whose fate is not known yet."""

    blueprint_id: BlueprintId
    operator: str


@final
class EvolutionMemory(Value):
    """Everything that the ``evolution`` policy carries from one boundary to the next."""

    seen: int = 0
    """Number of the newest entry of the library that was learned from."""
    prompted: int = -1
    """Epoch of the newest field reports: asked again in it, Karn goes on proposing."""
    pending: tuple[Pending, ...] = ()
    refused: tuple[BlueprintId, ...] = ()
    bandit: OperatorBandit = OperatorBandit()
    model: LearnedReward | None = None
    """None where the linear formula alone is used."""


def learned(memory: EvolutionMemory, observation: KarnObservation) -> EvolutionMemory:
    """The memory after everything that is new: what became of its proposals, certificates, field reports."""
    library, reported = observation.library, {report.blueprint_id for report in observation.reports}
    memory = _settled(memory, library)
    # Entries are in order of number, so those that are new are the last.
    for record in list(library.records.values())[memory.seen :]:
        memory = _certified(memory, record, library, reported=record.blueprint_id in reported)
    for report in observation.reports:
        memory = _reported(memory, report, library)
    prompted = observation.epoch if observation.reports else memory.prompted
    return memory.model_copy(update={"seen": len(library), "prompted": prompted})


def _settled(memory: EvolutionMemory, library: BlueprintLibrary) -> EvolutionMemory:
    """Proposals that did not get into the library count against their operator and are not made again."""
    bandit, refused = memory.bandit, list(memory.refused)
    for proposal in memory.pending:
        if proposal.blueprint_id not in library:
            bandit = bandit.after(proposal.operator, REFUSED)
            refused.append(proposal.blueprint_id)
    changes = {"pending": (), "bandit": bandit, "refused": tuple(refused[-REFUSALS_KEPT:])}
    return memory.model_copy(update=changes)


def _certified(
    memory: EvolutionMemory, record: BlueprintRecord, library: BlueprintLibrary, *, reported: bool
) -> EvolutionMemory:
    """A new entry: what the crucible found, and what runs that are over said of it.

    Its operator is judged by it where the crucible tried the parent too: an estimate is no measure to compare with.
    """
    certificate, reads = record.certificate, record.metadata.default_reads
    bandit, model = memory.bandit, memory.model
    parent = _parent(record, library)
    if certificate is not None:
        if parent is not None and parent.certificate is not None and record.mutation is not None:
            bandit = bandit.after(record.mutation, certified_reward(record) - certified_reward(parent))
        gain = certificate.gain if certificate.passed else FAILURE
        if model is not None and gain is not None:
            model = model.after(features(record.graph, reads), gain)
    if model is not None and record.statistics.measured and not reported:
        model = model.after(features(record.graph, reads, in_the_field=True), record.statistics.mean_gain)
    return memory.model_copy(update={"bandit": bandit, "model": model})


def _reported(memory: EvolutionMemory, report: FieldReport, library: BlueprintLibrary) -> EvolutionMemory:
    """One adaptation that ended."""
    record = library.records.get(report.blueprint_id)
    gain = report.post_metric - report.pre_metric
    if record is None or not math.isfinite(gain):
        return memory
    bandit, model = memory.bandit, memory.model
    parent = _parent(record, library)
    if parent is not None and record.mutation is not None and parent.statistics.measured:
        bandit = bandit.after(record.mutation, reward(record) - reward(parent))
    if model is not None:
        model = model.after(features(record.graph, record.metadata.default_reads, in_the_field=True), gain)
    return memory.model_copy(update={"bandit": bandit, "model": model})


def _parent(record: BlueprintRecord, library: BlueprintLibrary) -> BlueprintRecord | None:
    """The parent of what one of Karn's own operators made, else None."""
    if record.parent_id is None or record.mutation not in GENERATORS:
        return None
    return library.records.get(record.parent_id)
