"""What the live crucible would measure of a candidate, predicted from its graph: no torch, no randomness, no training.

A prediction, not a measurement: it knows that learnt features behind a bend are what gains on tasks that no linear map
can help, that more of them gain more, that reading only a narrow layer gains little, that depth is hard to train and
that large factors make large gradients. The numbers are those that the live crucible gives for the catalogue.
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
from domain.urabrask.profile import graph_depth
from domain.urabrask.trials import SLOT, TaskTrial, examined, misfit, untried

HOST_ACCURACY: Final = 0.722
"""Of the crucible's hosts without a candidate, mean over the tasks."""
GAIN_MAX: Final = 0.275
"""What perfect answers gain."""
FEATURES: Final = 2.7
"""Learnt features at which 63 % of it is gained."""
GATED: Final = 0.57
"""Share that is left where the output only scales the chunk."""
NARROW: Final = 0.2
"""Share that is left of what reads its layer alone."""
DEPTH: Final = 30.0
"""Depth at which training finds 37 %."""
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


def _gain(graph: BlueprintGraph, reads: Reads) -> float:
    gain = GAIN_MAX * (1.0 - math.exp(-_features(graph, reads) / FEATURES))
    gain *= math.exp(-((graph_depth(graph) / DEPTH) ** 2))
    output = graph.by_name[graph.output]
    is_gate = output.op is Op.MULTIPLY and any(graph.by_name[name].op is Op.CHUNK for name in output.inputs)
    return gain * (GATED if is_gate else 1.0) * (NARROW if reads in {Reads.CHUNK, Reads.LAYER} else 1.0)


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
        convergence_epochs=15.0 if gain > 0.0 else 1.0,
        max_gradient_norm=slope,
        gradient_variance=0.02 * slope**2,
        corrupted_accuracy=0.68 + 0.93 * gain,
        attacked=0.3 - 0.6 * gain,
    )
    return examined(graph, reads, hardware, (trial,))
