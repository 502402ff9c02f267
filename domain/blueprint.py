"""What a blueprint is: a small typed graph, the id that is the hash of it, and what the subsystems know about it.

A graph reads two tensors, ``READ`` (what the seed's ``Reads`` names) and ``CHUNK`` (the chunk it writes), and gives
one of the chunk's width. To add a primitive: a member of ``Op`` with its ``Signature`` here, a shape rule in
``domain/shapes.py`` and a builder in ``engine/trainers/live/compiler.py``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Final, Self, final

from pydantic import AfterValidator, Field, model_validator

from domain.commands import GraftingStrategy, Reads
from domain.hardware import DeviceType
from domain.identifiers import BlueprintId
from domain.values import Finite, Value

IR_VERSION: Final = "1.0"
"""Of the canonical form that blueprint ids are the hash of."""


@final
class Op(Enum):
    """The primitives. The values are stored and hashed: never rename or reuse one."""

    READ = "read"
    CHUNK = "chunk"
    LINEAR = "linear"
    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    SCALE = "scale"
    RELU = "relu"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    GELU = "gelu"
    SILU = "silu"
    SOFTMAX = "softmax"
    REDUCE_MEAN = "reduce_mean"
    LAYER_NORM = "layer_norm"
    RMS_NORM = "rms_norm"
    RESHAPE = "reshape"
    PERMUTE = "permute"
    CONCAT = "concat"
    SPLIT = "split"
    CONVOLUTION_1D = "convolution_1d"
    MATMUL = "matmul"


@final
class Combine(Enum):
    """How the output f of a graph meets the chunk x at blend alpha."""

    ADD = "ADD"
    """x + alpha f: the design's (1 - alpha) x + alpha blueprint(x) for the residual blueprint x + f."""
    BLEND = "BLEND"
    """(1 - alpha) x + alpha f."""


INTEGER_MAX: Final = (1 << 63) - 1
"""Largest magnitude of an integer among attributes: what torch can take."""


def _finite(value: Attribute) -> Attribute:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"an attribute must be finite but got {value}")
    whole = value if isinstance(value, tuple) else (value,)
    if any(isinstance(part, int) and abs(part) > INTEGER_MAX for part in whole):
        raise ValueError("an attribute must fit into 64 bits but got a larger integer; make it smaller")
    return value


Attribute = bool | int | float | str | tuple[int, ...]
"""What a node may be parametrised with. The words "chunk" and "read" stand for the widths of the slot."""


@final
@dataclass(frozen=True, slots=True)
class Signature:
    """What a primitive takes: number of inputs, attributes it needs, attributes it may have with their defaults."""

    least: int
    most: int
    needs: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Attribute], ...] = ()


_WEIGHTS: Final = (("bias", True), ("init", "default"))
_GAIN: Final = (("affine", True), ("init", "default"))

SIGNATURES: Final[dict[Op, Signature]] = {
    **dict.fromkeys((Op.READ, Op.CHUNK), Signature(0, 0)),
    **dict.fromkeys((Op.RELU, Op.SIGMOID, Op.TANH, Op.GELU, Op.SILU, Op.SOFTMAX), Signature(1, 1)),
    **dict.fromkeys((Op.ADD, Op.SUBTRACT, Op.MULTIPLY, Op.MATMUL), Signature(2, 2)),
    Op.LINEAR: Signature(1, 1, ("out",), _WEIGHTS),
    Op.SCALE: Signature(1, 1, ("factor",)),
    Op.REDUCE_MEAN: Signature(1, 1, (), (("axis", -1), ("keep", True))),
    Op.LAYER_NORM: Signature(1, 1, (), _GAIN),
    Op.RMS_NORM: Signature(1, 1, (), _GAIN),
    Op.RESHAPE: Signature(1, 1, ("shape",)),
    Op.PERMUTE: Signature(1, 1, ("order",)),
    Op.CONCAT: Signature(2, 16, (), (("axis", -1),)),
    Op.SPLIT: Signature(1, 1, ("parts", "index"), (("axis", -1),)),
    Op.CONVOLUTION_1D: Signature(1, 1, ("out", "kernel"), (("depthwise", False), *_WEIGHTS)),
}
assert set(SIGNATURES) == set(Op)


@final
class Node(Value):
    """One primitive applied to the outputs of other nodes."""

    name: str = Field(min_length=1)
    op: Op
    inputs: tuple[str, ...] = ()
    attributes: tuple[tuple[str, Annotated[Attribute, AfterValidator(_finite)]], ...] = ()
    """Sorted by key; only those that differ from the primitive's defaults."""

    @model_validator(mode="after")
    def _fits_its_signature(self) -> Self:
        signature = SIGNATURES[self.op]
        if not signature.least <= len(self.inputs) <= signature.most:
            raise ValueError(
                f"node {self.name!r} ({self.op.value}) takes {signature.least} to {signature.most} inputs "
                f"but got {len(self.inputs)}"
            )
        keys = [key for key, _ in self.attributes]
        if keys != sorted(set(keys)):
            raise ValueError(f"attributes of node {self.name!r} must be sorted and unique but got {keys}")
        known = {*signature.needs, *(key for key, _ in signature.defaults)}
        wrong = [key for key in keys if key not in known] or [key for key in signature.needs if key not in keys]
        if wrong:
            raise ValueError(
                f"node {self.name!r} ({self.op.value}) needs {list(signature.needs)} and knows {sorted(known)} "
                f"but got {keys}: see {wrong[0]!r}"
            )
        idle = [key for key, value in self.attributes if (key, value) in signature.defaults]
        if idle:
            raise ValueError(f"attribute {idle[0]!r} of node {self.name!r} is the default: leave it out")
        return self

    def attribute(self, key: str) -> Any:
        """The attribute's value, or the primitive's default for it."""
        for name, value in self.attributes:
            if name == key:
                return value
        return dict(SIGNATURES[self.op].defaults)[key]

    @property
    def starts_at_zero(self) -> bool:
        """Whether its parameters are initialised so that it gives exactly zero."""
        return ("init", "zero") in self.attributes


def node(name: str, op: Op, *inputs: str, **attributes: Attribute) -> Node:
    """A node from keyword attributes, defaults dropped. ``node("up", Op.LINEAR, "h", out="chunk", init="zero")``."""
    defaults = dict(SIGNATURES[op].defaults)
    kept = tuple(
        sorted((key, value) for key, value in attributes.items() if key not in defaults or defaults[key] != value)
    )
    return Node(name=name, op=op, inputs=inputs, attributes=kept)


@final
class BlueprintGraph(Value):
    """A directed acyclic graph of primitives, without parameters and without fixed widths.

    Building one checks its structure (names, arity, attributes, no cycle, nothing that feeds nothing); whether it
    fits a slot is for ``domain.shapes.infer_shapes``. Raises ``pydantic.ValidationError``, a ``ValueError``.
    """

    nodes: tuple[Node, ...] = Field(min_length=1, max_length=256)
    output: str
    combine: Combine = Combine.ADD
    latent: str | None = None
    """The node that isolated training decodes; None for the input of the last node that starts at zero."""

    @model_validator(mode="after")
    def _is_well_formed(self) -> Self:
        names = [entry.name for entry in self.nodes]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two nodes are called {twice!r}; names must be unique in a graph")
        for source in (Op.READ, Op.CHUNK):
            if sum(entry.op is source for entry in self.nodes) > 1:
                raise ValueError(f"a graph has at most one {source.value!r} node; let the others read that one")
        dead = set(names) - {entry.name for entry in self.ordered}
        if dead:
            raise ValueError(f"node {min(dead)!r} does not reach the output {self.output!r}; prune the graph first")
        if self.latent is not None and self.latent not in names:
            raise ValueError(f"the latent node {self.latent!r} is not one of {sorted(names)}")
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A changed copy, checked like any other graph and with nothing cached from this one."""
        del deep  # every part is immutable
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **(update or {})})

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Every node by its name."""
        return {entry.name: entry for entry in self.nodes}

    @cached_property
    def ordered(self) -> tuple[Node, ...]:
        """The nodes in canonical topological order: depth first from the output, inputs in their order, the output last.

        Depends neither on names nor on the order of declaration. Raises ValueError on a cycle or an unknown input.
        """
        return _depth_first(self.by_name, self.output)

    @property
    def latent_node(self) -> str:
        """Name of the node whose output is the hidden representation."""
        if self.latent is not None:
            return self.latent
        last = next((entry for entry in reversed(self.ordered) if entry.starts_at_zero), self.ordered[-1])
        return last.inputs[0] if last.inputs else last.name

    @cached_property
    def canonical(self) -> str:
        """Key-sorted JSON of the ordered nodes under their positions as names: what the id is the hash of."""
        position = {entry.name: index for index, entry in enumerate(self.ordered)}
        nodes = [
            {
                "op": entry.op.value,
                "inputs": [position[name] for name in entry.inputs],
                "attributes": {
                    key: list(value) if isinstance(value, tuple) else value for key, value in entry.attributes
                },
            }
            for entry in self.ordered
        ]
        form = {
            "ir_version": IR_VERSION,
            "nodes": nodes,
            "combine": self.combine.value,
            "latent": position[self.latent_node],
        }
        return json.dumps(form, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _depth_first(nodes: dict[str, Node], output: str) -> tuple[Node, ...]:
    """Nodes that ``output`` depends on, dependencies first. Iterative: a long chain must not exhaust the stack."""
    ordered: dict[str, Node] = {}
    waiting: dict[str, Iterator[str]] = {}
    if output not in nodes:
        raise ValueError(f"the output {output!r} is not a node; there are {sorted(nodes)}")
    stack = [output]
    while stack:
        name = stack[-1]
        if name not in waiting:
            waiting[name] = iter(nodes[name].inputs)
        following = next(waiting[name], None)
        if following is None:
            stack.pop()
            ordered[name] = nodes[name]
        elif following not in nodes:
            raise ValueError(f"node {name!r} reads {following!r}, which is not a node; there are {sorted(nodes)}")
        elif following not in ordered:
            if following in waiting:
                raise ValueError(f"node {following!r} is part of a cycle; a blueprint must be acyclic")
            stack.append(following)
    return tuple(ordered.values())


def prune(nodes: Iterable[Node], output: str) -> tuple[Node, ...]:
    """The nodes that reach ``output``, in canonical order: what is left when a mutation cut something off."""
    return _depth_first({entry.name: entry for entry in nodes}, output)


def blueprint_id(graph: BlueprintGraph) -> BlueprintId:
    """SHA-256 of the canonical graph. Equal for graphs that differ only in names and order of declaration."""
    return BlueprintId(hashlib.sha256(graph.canonical.encode()).hexdigest())


@final
class ConfidenceLevel(Enum):
    """How far Urabrask trusts a blueprint. Urza promotes and retires by it."""

    HIGH = "HIGH"
    MODERATE = "MODERATE"
    SPECULATIVE = "SPECULATIVE"

    @classmethod
    def of_risk(cls, risk_score: float) -> ConfidenceLevel:
        """HIGH under a risk of 0.1, MODERATE under 0.4, else SPECULATIVE (NaN included). Source: Urabrask v1.0."""
        if risk_score < 0.1:
            return cls.HIGH
        return cls.MODERATE if risk_score < 0.4 else cls.SPECULATIVE


@final
class KarnMetadata(Value):
    """What Karn knows of a blueprint. Its parent is in the event that registered it."""

    novelty_score: float = Field(default=0.0, ge=0, le=1)
    """Edit distance to the nearest of the library, normalised."""


@final
class TamiyoMetadata(Value):
    """What Tamiyo knows of a blueprint."""

    tamiyo_interest: float = Field(default=0.0, ge=0, le=1)
    """At registration; field reports move it, see ``BlueprintStatistics``."""
    use_cases: tuple[str, ...] = ()
    """Flags such as CPU_SAVING or THROUGHPUT_BOOST."""
    rollback_flag: bool = False
    """Whether it once caused an emergency rollback."""


WEP = tuple[tuple[str, float], ...]
"""Weighted evaluation profile, flattened: ("static.parameter_count", 130.0), sorted by key."""


@final
class UrabraskMetadata(Value):
    """What Urabrask's crucible found. The time of the last battle is left out: no clocks in a record."""

    elo_score: int = 1200
    last_opponent: BlueprintId | None = None
    urabrask_interest: float = Field(default=0.0, ge=0, le=1)
    risk_score: float = Field(default=0.5, ge=0, le=1)
    conf_level: ConfidenceLevel = ConfidenceLevel.SPECULATIVE
    wep: WEP = ()
    recommended_grafting_strategy: GraftingStrategy = GraftingStrategy.FIXED_RAMP


@final
class LifecycleState(Enum):
    """Whether the library offers a blueprint. Nothing is ever deleted."""

    ACTIVE = "active"
    ARCHIVED = "archived"


@final
class UrzaMetadata(Value):
    """What Urza catalogues. created_at and updated_at are epochs of events, so they are not repeated here."""

    lifecycle: LifecycleState = LifecycleState.ACTIVE
    author: str = "regrow"
    description: str = ""
    tags: tuple[str, ...] = ()
    hardware_profiles: tuple[str, ...] = ()
    min_tflops: Finite = Field(default=0.0, ge=0)
    """10^12 floating-point operations a second."""
    min_memory_gb: Finite = Field(default=0.0, ge=0)
    """GB. The source's example of 16384 is clearly MB; here it is what its name says."""
    supported_architectures: tuple[DeviceType, ...] = ("CPU", "GPU")


@final
class BlueprintEstimates(Value):
    """What is expected of a blueprint before it is tried. Estimates: a measured time would not replay."""

    past_accuracy_gain_estimate: Finite = 0.0
    """Gain in accuracy, in [-1, 1] (0.01 is one point)."""
    stability_estimate: float = Field(default=0.5, ge=0, le=1)
    gradient_variance_estimate: Finite = Field(default=0.0, ge=0)
    energy_estimate_joules: Finite = Field(default=0.0, ge=0)
    """J a sample."""
    power_estimate_watts: Finite = Field(default=0.0, ge=0)
    """W while it runs."""


@final
class BlueprintMetadata(Value):
    """Urza's universal metadata schema, by the subsystem that fills each part. Source: Urza §2."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)
    """What a person calls it. Not unique over time: the id is."""
    default_reads: Reads = Reads.BOTH
    risky: bool = False
    """Whether the shield wants conservative mode off before it is used."""
    quantized: bool = False
    """Whether it needs hardware that supports quantization."""
    encrypted_capable: bool = False
    """Whether it may be used where data must stay encrypted."""
    karn: KarnMetadata = KarnMetadata()
    tamiyo: TamiyoMetadata = TamiyoMetadata()
    urabrask: UrabraskMetadata = UrabraskMetadata()
    urza: UrzaMetadata = UrzaMetadata()
    estimates: BlueprintEstimates = BlueprintEstimates()
