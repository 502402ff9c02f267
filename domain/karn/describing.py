"""What Karn writes about a candidate: its name, tags, strategy and estimates, as far as can be said before any trial."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from domain.blueprint import (
    BlueprintEstimates,
    BlueprintGraph,
    BlueprintMetadata,
    KarnMetadata,
    Op,
    UrabraskMetadata,
    UrzaMetadata,
)
from domain.commands import GraftingStrategy
from domain.karn.crossover import CROSSOVER
from domain.karn.drafting import GENERATORS, Draft
from domain.primitives import ACTIVATIONS, NORMS
from domain.shapes import fits, flops, memory_mb, parameter_count
from domain.urabrask.profile import DEEP, LARGE, graph_depth
from domain.urabrask.trials import SLOT
from domain.urza.catalogue import JOULES_PER_FLOP, REFERENCE_CHUNK, REFERENCE_READ, SAMPLES_PER_SECOND
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord

EXPERIMENTAL: Final = 0.3
"""Novelty from which a graph is experimental."""

_SLUGS: Final = {
    "add_attention_head": "attending",
    "substitute_activation_function": "bent",
    "insert_normalization_layer": "normed",
    "quantize_block": "lean",
    "increase_layer_width": "wide",
    "decrease_layer_width": "narrow",
    "deepen": "deep",
    "add_gate": "gated",
    "add_skip": "skipping",
    "remove_node": "pruned",
    CROSSOVER: "crossed",
}
"""What a child is called after, at most 12 characters."""
assert {*_SLUGS} == {*GENERATORS}
_TAGS: Final = (
    ("attention", frozenset({Op.SOFTMAX})),
    ("convolution", frozenset({Op.CONVOLUTION_1D})),
    ("gate", frozenset({Op.MULTIPLY})),
    ("norm", frozenset(NORMS)),
)


def described(
    draft: Draft, library: BlueprintLibrary, *, novelty: float, gain: float, exotic: bool, taken: Collection[str] = ()
) -> BlueprintMetadata:
    """Metadata of a candidate: SPECULATIVE, since nothing tried it; what its parent needs of a machine it needs too.

    ``gain`` is what it is expected to gain in accuracy, ``taken`` are names that others of its batch have.
    """
    parent = draft.parent.metadata
    return BlueprintMetadata(
        name=_name(draft, library, taken),
        default_reads=parent.default_reads,
        risky=parent.risky,
        quantized=parent.quantized,
        encrypted_capable=parent.encrypted_capable,
        karn=KarnMetadata(novelty_score=novelty),
        tamiyo=parent.tamiyo.model_copy(update={"tamiyo_interest": 0.0, "rollback_flag": False}),
        urabrask=UrabraskMetadata(recommended_grafting_strategy=_strategy(draft, novelty, exotic=exotic)),
        urza=UrzaMetadata(
            author="karn",
            description=f"{parent.name} by {draft.operator}: {draft.note}",
            tags=_tags(draft.graph, exotic=exotic),
            hardware_profiles=parent.urza.hardware_profiles,
            min_tflops=parent.urza.min_tflops,
            min_memory_gb=_memory_gb(draft.graph, parent.urza.min_memory_gb),
            supported_architectures=parent.urza.supported_architectures,
        ),
        estimates=_estimates(draft, gain),
    )


def _name(draft: Draft, library: BlueprintLibrary, taken: Collection[str]) -> str:
    """The first ancestor's name, what was done last, and as much of the id as makes it unique. At most 64 characters."""
    family = _root(draft.parent, library).name[:36]
    known = {record.name for record in library.records.values()} | set(taken)
    slug = _SLUGS[draft.operator]
    names = (f"{family}_{slug}_{draft.blueprint_id[:digits]}" for digits in range(6, 65 - len(family) - len(slug) - 2))
    return next(name for name in names if name not in known)


def _root(record: BlueprintRecord, library: BlueprintLibrary) -> BlueprintRecord:
    lineage = library.lineage(record.blueprint_id)
    return library.record(lineage[-1][0]) if lineage else record


def _tags(graph: BlueprintGraph, *, exotic: bool) -> tuple[str, ...]:
    ops = {node.op for node in graph.nodes}
    found = [tag for tag, marks in _TAGS if ops & marks]
    bends = ops & {*ACTIVATIONS, *NORMS, Op.MULTIPLY, Op.SOFTMAX}
    kind = [] if bends else ["linear"]
    return ("karn", *kind, *found, *(("exotic",) if exotic else ()))


def _fits_reference(graph: BlueprintGraph) -> bool:
    return fits(graph, read=REFERENCE_READ, chunk=REFERENCE_CHUNK)


def _strategy(draft: Draft, novelty: float, *, exotic: bool) -> GraftingStrategy:
    """DRIFT_CONTROLLED for what is very large, deep or experimental, else the parent's. Source: Karn v1.0 §6."""
    graph = draft.graph
    read, chunk = SLOT.read_width(draft.parent.metadata.default_reads, 0), SLOT.outputs
    size = parameter_count(graph, read=read, chunk=chunk) if fits(graph, read=read, chunk=chunk) else 0
    if exotic or novelty >= EXPERIMENTAL or size >= LARGE or graph_depth(graph) >= DEEP:
        return GraftingStrategy.DRIFT_CONTROLLED
    return draft.parent.metadata.urabrask.recommended_grafting_strategy


def _memory_gb(graph: BlueprintGraph, inherited: float) -> float:
    if not _fits_reference(graph):
        return inherited
    return memory_mb(graph, read=REFERENCE_READ, chunk=REFERENCE_CHUNK) / 1000


def _estimates(draft: Draft, gain: float) -> BlueprintEstimates:
    """The parent's, a little less sure; energy and power by operations."""
    known = draft.parent.metadata.estimates
    joules = known.energy_estimate_joules
    if _fits_reference(draft.graph):
        joules = flops(draft.graph, read=REFERENCE_READ, chunk=REFERENCE_CHUNK) * JOULES_PER_FLOP
    measured = draft.parent.statistics.measured
    return BlueprintEstimates(
        past_accuracy_gain_estimate=round(gain, 6),
        stability_estimate=0.9 * known.stability_estimate,
        gradient_variance_estimate=(
            draft.parent.statistics.mean_gradient_variance if measured else known.gradient_variance_estimate
        ),
        energy_estimate_joules=joules,
        power_estimate_watts=joules * SAMPLES_PER_SECOND,
    )
