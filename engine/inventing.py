"""Karn's turn: what it proposes is recorded, tried in the crucible, and enters the library, or is refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from domain.blueprint import BlueprintGraph, blueprint_id
from domain.commands import Reads
from domain.events import BlueprintProposed, DomainEvent, ProposalRefused
from domain.header import Rule, RunHeader
from domain.identifiers import Epoch
from domain.karn.policy import Proposal
from domain.urabrask.certificate import Examination
from domain.urabrask.crucible import judge, static_problem
from domain.urza.commands import Certify, LibraryCommand, LibraryRefused, Register, Retire, decide
from domain.urza.library import BlueprintLibrary, evolve


class Examiner(Protocol):
    """What of a trainer judges candidates."""

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        """As ``Trainer.examine``."""
        ...


def considered(
    epoch: Epoch, number: int, proposal: Proposal, library: BlueprintLibrary, header: RunHeader, trainer: Examiner
) -> Iterator[DomainEvent]:
    """Everything that one proposal leads to, in order; ``library`` is the one from before it.

    Before rule R7 it enters the library untried. What fails a trial is registered, certified as failed and archived:
    never offered, never forgotten.
    """
    name = blueprint_id(proposal.graph)
    certifies = Rule.CANDIDATES_CERTIFIED in header.rules
    yield _proposed(epoch, number, proposal, header)
    problem = static_problem(proposal.graph, library, header, proposal.metadata.default_reads) if certifies else None
    if problem is not None:
        yield ProposalRefused(epoch=epoch, number=number, rule="static-analysis", reason=problem)
        return
    register = Register(
        blueprint_id=name,
        graph=proposal.graph,
        metadata=proposal.metadata,
        parent_id=proposal.parent_id,
        mutation=proposal.mutation,
    )
    try:
        registered = decide(library, register, epoch)
    except LibraryRefused as refusal:
        yield ProposalRefused(epoch=epoch, number=number, rule=refusal.rule, reason=refusal.reason)
        return
    yield registered
    library = evolve(library, registered)
    if not certifies:
        return
    examination = trainer.examine(epoch, proposal.graph, proposal.metadata.default_reads)
    certificate = judge(proposal, examination, library, header)
    verdict: list[LibraryCommand] = [Certify(blueprint_id=name, certificate=certificate)]
    if not certificate.passed:
        reason = f"failed the crucible at its {certificate.failed_stage} stage: {certificate.reason}"
        verdict.append(Retire(blueprint_id=name, reason=reason))
    for command in verdict:
        event = decide(library, command, epoch)
        yield event
        library = evolve(library, event)


def _proposed(epoch: Epoch, number: int, proposal: Proposal, header: RunHeader) -> BlueprintProposed:
    """As version 1 had it before rule R7, so that older runs replay."""
    bare = BlueprintProposed(
        epoch=epoch,
        number=number,
        blueprint_id=blueprint_id(proposal.graph),
        reason=proposal.reason,
        propensity=proposal.propensity,
        draws=proposal.draws,
    )
    if Rule.CANDIDATES_CERTIFIED not in header.rules:
        return bare
    return bare.model_copy(
        update={
            "parent_id": proposal.parent_id,
            "mutation": proposal.mutation,
            "novelty": proposal.metadata.karn.novelty_score,
            "considered": proposal.considered,
        }
    )
