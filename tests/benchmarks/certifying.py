"""What a certificate costs: static analysis, trials on torch and the verdict, for the catalogue's graphs on one thread."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Final

from measuring import cpu, figure, say

from domain.hardware import HardwareContext
from domain.karn.policy import Proposal
from domain.urabrask.crucible import judge, static_problem
from domain.urza.catalogue import INITIAL, residual_mlp
from domain.urza.library import BlueprintLibrary
from engine.trainers.live.crucible import examine
from engine.trainers.live.fingerprint import fingerprint
from scenarios import composition, specification

HOURLY: Final = 500
"""Candidates an hour that are asked for on two cores; held here on one."""
SECONDS_MAX: Final = 1.5
"""What one candidate may take."""
LARGEST: Final = 1000
"""Hidden units of about the largest residual MLP that is tried at all."""


def certified(proposal: Proposal) -> None:
    """The whole gauntlet of one proposal."""
    header, _, _ = composition.header(specification.load("xor4", {}), 0, None, None, fingerprint(1))
    reads, library = proposal.metadata.default_reads, BlueprintLibrary()
    static_problem(proposal.graph, library, header, reads)
    judge(proposal, examine(proposal.graph, reads, HardwareContext()), library, header)


def main() -> None:
    """Print the figures."""
    say("certifying: CPU seconds a candidate on one thread, each of the catalogue's graphs twice")
    proposals = [Proposal(graph=graph, metadata=metadata, reason="measured") for graph, metadata in INITIAL]
    first = cpu(partial(certified, proposals[0]))
    costs = {entry.metadata.name: min(cpu(partial(certified, entry)) for _ in range(2)) for entry in proposals}
    large = proposals[0].model_copy(update={"graph": residual_mlp(LARGEST)})
    dearest = cpu(partial(certified, large))
    whole = sum(costs.values())
    figure("the first of a process, which trains the hosts too", f"{first:.2f} s")
    figure("the median of the catalogue", f"{statistics.median(costs.values()):.2f} s")
    worst = max(costs, key=lambda name: costs[name])
    figure(
        f"the dearest of the catalogue, {worst}",
        f"{costs[worst]:.2f} s",
        f"{SECONDS_MAX} s",
        met=costs[worst] <= SECONDS_MAX,
    )
    figure(f"a residual MLP of {LARGEST} units", f"{dearest:.2f} s", f"{SECONDS_MAX} s", met=dearest <= SECONDS_MAX)
    hourly = 3600 / (whole / len(costs))
    figure("candidates an hour on one core", f"{hourly:.0f}", f"{HOURLY}", met=hourly >= HOURLY)
    trained = [cost for name, cost in costs.items() if cost > 0.05]
    figure("  of those that train", f"{3600 / statistics.fmean(trained):.0f}")
