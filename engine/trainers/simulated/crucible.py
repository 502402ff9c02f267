"""What the live crucible would measure of a candidate, predicted from its graph: no torch, no randomness, no training.

A prediction, not a measurement: it knows that learnt features behind a bend are what gains on tasks that no linear map
can help, that more of them gain more and a second bend behind the first more still, that reading only a narrow layer
gains nothing and that large factors make large gradients. The numbers were fitted to what the live crucible measured of
150 random children of the catalogue: mean error of a gain 0.05, rank correlation 0.67.
"""

from __future__ import annotations

import math
from math import prod
from typing import Final

from domain.blueprint import BlueprintGraph, Node, Op
from domain.commands import Reads
from domain.hardware import HardwareContext
from domain.primitives import ACTIVATIONS, NORMS, PRODUCTS, WEIGHTED
from domain.shapes import infer_shapes, is_trainable
from domain.urabrask.certificate import Examination
from domain.urabrask.trials import SLOT, TaskTrial, examined, misfit, untried

HOST_ACCURACY: Final = 0.619
"""Of the crucible's hosts without a candidate, mean over the tasks."""
BENT_ONCE: Final = 0.188
"""What many learnt features gain that are bent once on their way to the output."""
BENT_AGAIN: Final = 0.057
"""What a bend of what was bent and learnt from before adds."""
FEATURES: Final = 8.2
"""Learnt features at which 63 % of it is gained."""
GATED: Final = 0.72
"""Share that is left where the output only scales the chunk."""
OVERFLOWS: Final = 1e30
"""Magnitude from which float32 gradients are not finite."""
_BENDS: Final = frozenset({*ACTIVATIONS, *PRODUCTS, Op.SOFTMAX})
_BOUNDED: Final = frozenset({*NORMS, Op.SIGMOID, Op.TANH, Op.SOFTMAX})


def _features(graph: BlueprintGraph, reads: Reads) -> int:
    """Most numbers that any node gives by bending what a layer has learnt; 0 where none does."""
    shapes = infer_shapes(graph, read=SLOT.read_width(reads, 0), chunk=SLOT.outputs)
    learnt: dict[str, bool] = {}
    found = 0
    for node in graph.ordered:
        behind = any(learnt[name] for name in node.inputs)
        # From weights that start at zero and end at the output nothing is bent any more.
        learnt[node.name] = behind or (node.op in WEIGHTED and not node.starts_at_zero)
        if behind and node.op in _BENDS:
            found = max(found, prod(shapes[node.name]))
    return found


def _magnitude(graph: BlueprintGraph) -> float:
    """How large values become on their way, in the units of what is read; infinite where float32 would overflow."""
    found: dict[str, float] = {}
    for node in graph.ordered:
        found[node.name] = _grown(node, tuple(found[name] for name in node.inputs))
    largest = max(found.values())
    return largest if largest < OVERFLOWS else math.inf


def _grown(node: Node, given: tuple[float, ...]) -> float:
    if not given:
        return 1.0
    if node.op in _BOUNDED:
        return 1.0
    if node.op is Op.SCALE:
        return given[0] * abs(float(node.attribute("factor")))
    return prod(given) if node.op in PRODUCTS else max(given)


def _bends(graph: BlueprintGraph) -> int:
    """Most bends on the way to the output, each of what a layer has learnt since the one before."""
    bends: dict[str, int] = {}
    learnt: dict[str, bool] = {}
    for node in graph.ordered:
        bent = node.op in _BENDS
        bends[node.name] = max((bends[name] + (bent and learnt[name]) for name in node.inputs), default=0)
        behind = any(learnt[name] for name in node.inputs)
        learnt[node.name] = not bent and (behind or (node.op in WEIGHTED and not node.starts_at_zero))
    return bends[graph.output]


def _gain(graph: BlueprintGraph, reads: Reads) -> float:
    bends = _bends(graph)
    if not bends or reads in {Reads.CHUNK, Reads.LAYER}:
        return 0.0
    gain = BENT_ONCE + BENT_AGAIN * (bends > 1)
    gain *= 1.0 - math.exp(-_features(graph, reads) / FEATURES)
    return gain * (GATED if graph.by_name[graph.output].op is Op.MULTIPLY else 1.0)


def predicted(graph: BlueprintGraph, reads: Reads, hardware: HardwareContext) -> Examination:
    """The examination that the live crucible is expected to give; equal graphs get equal ones."""
    problem = misfit(graph, reads)
    if problem is not None:
        return untried(problem)
    gain = _gain(graph, reads) if is_trainable(graph) else 0.0
    magnitude = _magnitude(graph)
    slope = 2.0 * magnitude if is_trainable(graph) else 0.0
    accuracy = HOST_ACCURACY + gain if math.isfinite(magnitude) else math.nan
    trial = TaskTrial(
        accuracy=accuracy,
        gain=gain,
        convergence_epochs=30.0 if gain > 0.0 else 1.0,
        max_gradient_norm=slope,
        gradient_variance=0.02 * slope**2,
        corrupted_accuracy=0.62 + 0.8 * gain,
        attacked=0.26 - 0.24 * gain,
    )
    return examined(graph, reads, hardware, (trial,))
