"""From a blueprint graph to a torch module: a flat plan of calls, made once, run on every step.

To add a primitive: a builder here beside its shape rule in ``domain/shapes.py``. Everything is float32; the first
dimension is the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from domain.blueprint import BlueprintGraph, Node, Op, prune
from domain.shapes import Shape, axis_of, infer_shapes, parameter_shapes

_NORM_EPSILON: Final = 1e-5

_Call = Callable[..., Tensor]
"""Takes the inputs, then the node's parameters."""
_Step = tuple[_Call, tuple[int, ...], tuple[nn.Parameter, ...]]
"""What to call, the slots of its inputs, its parameters; the result goes to the next free slot."""


def _builder(call: _Call) -> Callable[[Node, tuple[Shape, ...]], _Call]:
    return lambda node, given: call


def _softmax(values: Tensor) -> Tensor:
    return functional.softmax(values, dim=-1)


def _scale(node: Node, given: tuple[Shape, ...]) -> _Call:
    factor = float(node.attribute("factor"))
    return lambda values: values * factor


def _reduce_mean(node: Node, given: tuple[Shape, ...]) -> _Call:
    axis, keep = axis_of(node, len(given[0])) + 1, bool(node.attribute("keep"))
    return lambda values: values.mean(dim=axis, keepdim=keep)


def _layer_norm(node: Node, given: tuple[Shape, ...]) -> _Call:
    widths = [given[0][-1]]
    return lambda values, weight=None, bias=None: functional.layer_norm(values, widths, weight, bias, _NORM_EPSILON)


def _rms_norm(node: Node, given: tuple[Shape, ...]) -> _Call:
    widths = [given[0][-1]]
    return lambda values, weight=None: functional.rms_norm(values, widths, weight, _NORM_EPSILON)


def _reshape(node: Node, given: tuple[Shape, ...]) -> _Call:
    wanted = node.attribute("shape")
    rest = prod(given[0]) // prod(part for part in wanted if part != -1)
    shape = tuple(rest if part == -1 else part for part in wanted)
    return lambda values: values.reshape(len(values), *shape)


def _permute(node: Node, given: tuple[Shape, ...]) -> _Call:
    order = (0, *(axis + 1 for axis in node.attribute("order")))
    return lambda values: values.permute(order)


def _concat(node: Node, given: tuple[Shape, ...]) -> _Call:
    axis = axis_of(node, len(given[0])) + 1
    return lambda *values: torch.cat(values, dim=axis)


def _split(node: Node, given: tuple[Shape, ...]) -> _Call:
    axis = axis_of(node, len(given[0]))
    width = given[0][axis] // node.attribute("parts")
    start = width * node.attribute("index")
    return lambda values: values.narrow(axis + 1, start, width)


def _convolution(node: Node, given: tuple[Shape, ...]) -> _Call:
    groups = given[0][0] if node.attribute("depthwise") else 1
    padding = node.attribute("kernel") // 2
    return lambda values, weight, bias=None: functional.conv1d(values, weight, bias, padding=padding, groups=groups)


_BUILDERS: Final[dict[Op, Callable[[Node, tuple[Shape, ...]], _Call]]] = {
    Op.LINEAR: _builder(functional.linear),
    Op.ADD: _builder(torch.add),
    Op.SUBTRACT: _builder(torch.sub),
    Op.MULTIPLY: _builder(torch.mul),
    Op.SCALE: _scale,
    Op.RELU: _builder(torch.relu),
    Op.SIGMOID: _builder(torch.sigmoid),
    Op.TANH: _builder(torch.tanh),
    Op.GELU: _builder(functional.gelu),
    Op.SILU: _builder(functional.silu),
    Op.SOFTMAX: _builder(_softmax),
    Op.REDUCE_MEAN: _reduce_mean,
    Op.LAYER_NORM: _layer_norm,
    Op.RMS_NORM: _rms_norm,
    Op.RESHAPE: _reshape,
    Op.PERMUTE: _permute,
    Op.CONCAT: _concat,
    Op.SPLIT: _split,
    Op.CONVOLUTION_1D: _convolution,
    Op.MATMUL: _builder(torch.matmul),
}
assert set(_BUILDERS) == set(Op) - {Op.READ, Op.CHUNK}


def _initial(node: Node, index: int, shape: Shape, weight: Shape, generator: torch.Generator) -> Tensor:
    """First value of a node's ``index``-th parameter: U(-b, b) with b = fan_in^-1/2, as torch's own layers; gains 1."""
    if node.starts_at_zero:
        return torch.zeros(shape)
    if node.op in {Op.LAYER_NORM, Op.RMS_NORM}:
        return torch.ones(shape) if index == 0 else torch.zeros(shape)
    bound = prod(weight[1:]) ** -0.5
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _plan(
    graph: BlueprintGraph, output: str, shapes: dict[str, Shape], parameters: dict[str, tuple[nn.Parameter, ...]]
) -> tuple[tuple[_Step, ...], int]:
    """Steps that compute ``output``, and the slot it ends in. Slots 0 and 1 hold the read and the chunk tensor."""
    slots: dict[str, int] = {}
    steps: list[_Step] = []
    for node in prune(graph.nodes, output):
        if node.op in {Op.READ, Op.CHUNK}:
            slots[node.name] = 0 if node.op is Op.READ else 1
            continue
        call = _BUILDERS[node.op](node, tuple(shapes[name] for name in node.inputs))
        steps.append((call, tuple(slots[name] for name in node.inputs), parameters.get(node.name, ())))
        slots[node.name] = len(steps) + 1
    return tuple(steps), slots[output]


@final
class CompiledBlueprint(nn.Module):
    """A blueprint in one slot. Parameters are called ``n<position>_weight`` and ``n<position>_bias``, in canonical order."""

    def __init__(self, graph: BlueprintGraph, *, read: int, chunk: int, generator: torch.Generator) -> None:
        super().__init__()
        shapes = infer_shapes(graph, read=read, chunk=chunk)
        position = {node.name: index for index, node in enumerate(graph.ordered)}
        made: dict[str, tuple[nn.Parameter, ...]] = {}
        for name, weights in parameter_shapes(graph, read=read, chunk=chunk).items():
            made[name] = tuple(
                nn.Parameter(_initial(graph.by_name[name], index, shape, weights[0], generator))
                for index, shape in enumerate(weights)
            )
            for kind, parameter in zip(("weight", "bias"), made[name], strict=False):
                self.register_parameter(f"n{position[name]}_{kind}", parameter)
        self.graph: Final = graph
        self.read: Final = read
        self.chunk: Final = chunk
        self.latent_width: Final = prod(shapes[graph.latent_node])
        """Features that ``latent`` gives."""
        self._steps, self._output = _plan(graph, graph.output, shapes, made)
        self._latent_steps, self._latent_output = _plan(graph, graph.latent_node, shapes, made)

    def forward(self, read: Tensor, chunk: Tensor) -> Tensor:
        """(B, read) and (B, chunk) to (B, chunk): what is added to the chunk or blended with it, see ``Combine``."""
        return _run(self._steps, self._output, read, chunk)

    def latent(self, read: Tensor, chunk: Tensor) -> Tensor:
        """The hidden representation, (B, latent_width): what isolated training decodes."""
        return _run(self._latent_steps, self._latent_output, read, chunk).flatten(1)


def _run(steps: tuple[_Step, ...], output: int, read: Tensor, chunk: Tensor) -> Tensor:
    values: list[Any] = [read, chunk]
    for call, slots, parameters in steps:
        values.append(call(*[values[slot] for slot in slots], *parameters))
    result: Tensor = values[output]
    return result


def compile_blueprint(graph: BlueprintGraph, *, read: int, chunk: int, generator: torch.Generator) -> CompiledBlueprint:
    """Build the module for a slot, its parameters drawn from ``generator`` alone. Raises ShapeMismatch."""
    return CompiledBlueprint(graph, read=read, chunk=chunk, generator=generator)
