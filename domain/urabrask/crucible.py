"""The crucible's verdict: static analysis, then what a trainer measured, then the risk. Pure. Source: Urabrask v0.1a."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from domain.blueprint import WEP, BlueprintGraph, ConfidenceLevel, blueprint_id
from domain.commands import GraftingStrategy, Reads
from domain.header import RunHeader
from domain.karn.policy import Proposal
from domain.shapes import ShapeMismatch, fits, flops, infer_shapes, memory_mb
from domain.urabrask.certificate import Certificate, DeploymentPath, Examination
from domain.urabrask.patterns import fatal_flaw
from domain.urabrask.prior import PRIOR
from domain.urabrask.profile import DEEP, LARGE, static_profile
from domain.urabrask.risk import RiskModel
from domain.urabrask.trials import SLOT, too_big
from domain.urza.library import BlueprintLibrary

RESTLESS: Final = 1.0
"""Variance of the gradient's norm from which its graft waits for calm gradients."""
SLOW: Final = 25.0
"""Epochs to converge from which its graft follows what it achieves."""


def static_problem(
    graph: BlueprintGraph, library: BlueprintLibrary, header: RunHeader, reads: Reads = Reads.BOTH
) -> str | None:
    """Why a candidate that reads ``reads`` is not even tried, as a sentence; None if it may be.

    It is known already, fits no slot of the host, is beyond the hardware or the crucible, or is provably useless.
    """
    name = blueprint_id(graph)
    if name in library:
        known = library.record(name)
        return f"this graph is registered as {known.name}, number {known.number}; propose another"
    slots = tuple(_slots(header, reads))
    fitting = [slot for slot in slots if fits(graph, read=slot[0], chunk=slot[1])]
    if not fitting:
        return _misfit(graph, slots[0])
    problems = [_beyond_hardware(graph, *slot, header) for slot in fitting]
    if all(problems):
        return problems[0]
    read, chunk = fitting[0]
    return too_big(graph, reads) or fatal_flaw(graph, infer_shapes(graph, read=read, chunk=chunk))


def _slots(header: RunHeader, reads: Reads) -> Iterator[tuple[int, int]]:
    """Units read and written in every slot of the host."""
    for layer in header.layout:
        for index in range(layer.seeds):
            yield layer.read_width(reads, index), layer.chunk_width(index)


def _misfit(graph: BlueprintGraph, slot: tuple[int, int]) -> str:
    try:
        infer_shapes(graph, read=slot[0], chunk=slot[1])
    except ShapeMismatch as error:
        return f"it fits no slot of this host: {error}"
    raise AssertionError(f"a graph that fits the slot {slot} was said to fit none")


def _beyond_hardware(graph: BlueprintGraph, read: int, chunk: int, header: RunHeader) -> str | None:
    hardware = header.hardware
    megabytes, budget = memory_mb(graph, read=read, chunk=chunk), hardware.memory_available_gb * 1000
    if megabytes > budget:
        return f"it needs {megabytes:.4g} MB and the hardware has {budget:.4g}; make it smaller"
    latency = hardware.latency_ms(flops(graph, read=read, chunk=chunk))
    if latency > hardware.latency_budget_ms:
        return f"it would take {latency:.4g} ms, budget {hardware.latency_budget_ms:g}; make it smaller"
    return None


def judge(proposal: Proposal, examination: Examination, library: BlueprintLibrary, header: RunHeader) -> Certificate:
    """The certificate of a candidate that was examined, by the library's risk model or the prior.

    What failed a stage has failed: its risk is 1. The ELO score is the record's own, where the library has one. A
    strategy that Karn suggested gives way to the one recommended here, and Tamiyo decides.
    """
    graph, reads = proposal.graph, proposal.metadata.default_reads
    name = blueprint_id(graph)
    metadata = library.record(name).metadata if name in library else proposal.metadata
    wep = _profile(graph, reads, examination, header)
    model = PRIOR if library.risk_model is None else library.risk_model
    passed = examination.failed_stage is None
    risk = model.score(wep) if passed else 1.0
    level = ConfidenceLevel.of_risk(risk)
    return Certificate(
        passed=passed,
        failed_stage=examination.failed_stage.value if examination.failed_stage else None,
        wep=wep,
        risk_score=risk,
        conf_level=level,
        elo_score=metadata.urabrask.elo_score,
        urabrask_interest=_interest(wep, risk, model, library, name),
        recommended_grafting_strategy=_strategy(dict(wep), level),
        reason=examination.reason,
        path=DeploymentPath.of_level(level) if passed else None,
        risk_model=model.digest,
    )


def _profile(graph: BlueprintGraph, reads: Reads, examination: Examination, header: RunHeader) -> WEP:
    """Static measures of the crucible's slot, or the first of the host's that it fits, with what was measured."""
    slots = ((SLOT.read_width(reads, 0), SLOT.outputs), *_slots(header, reads))
    fitting = next((slot for slot in slots if fits(graph, read=slot[0], chunk=slot[1])), None)
    static = static_profile(graph, read=fitting[0], chunk=fitting[1]) if fitting else ()
    return tuple(sorted((*static, *examination.measures)))


def _interest(wep: WEP, risk: float, model: RiskModel, library: BlueprintLibrary, name: str) -> float:
    """What another trial of it would teach, [0, 1].

    The mean of two: the entropy of its fate in bits, which is 1 at a risk of 0.5; and how unlike the profiles of other
    blueprints its own is, 1 - exp(-d) with d the distance to the nearest, root mean square over the model's features.
    """
    doubt = -math.fsum(share * math.log2(share) for share in (risk, 1.0 - risk) if share > 0.0)
    own = model.standardised(wep)
    others = (
        model.standardised(record.metadata.urabrask.wep)
        for record in library.records.values()
        if record.blueprint_id != name and record.metadata.urabrask.wep
    )
    nearest = min((math.dist(own, other) / math.sqrt(len(own)) for other in others), default=math.inf)
    return min(max((doubt + 1.0 - math.exp(-nearest)) / 2.0, 0.0), 1.0)


def _strategy(measures: dict[str, float], level: ConfidenceLevel) -> GraftingStrategy:
    """How to graft it. Source: Karn v1.0 recommends drift control for what is large, deep or experimental."""
    is_large = measures.get("static.parameter_count", 0.0) >= LARGE
    is_deep = measures.get("static.graph_depth", 0.0) >= DEEP
    if is_large or is_deep or level is ConfidenceLevel.SPECULATIVE:
        return GraftingStrategy.DRIFT_CONTROLLED
    if measures.get("robustness.gradient_variance", 0.0) >= RESTLESS:
        return GraftingStrategy.GRAD_NORM_GATED
    if measures.get("dynamic.convergence_epochs", 0.0) >= SLOW:
        return GraftingStrategy.PERFORMANCE_LINKED
    return GraftingStrategy.FIXED_RAMP
