"""The blueprints every run starts with. All of them train, and all that train start as the identity.

To add one: a function that gives its graph, and a line in ``INITIAL``. Order matters: it is the order of numbers.

Accuracy gains are measured: mean gain over a static host (80.1 %) of one seed that reads its layer, over six tasks of
the feasibility study, 72 runs a kind. Those marked "unmeasured" are guesses, deliberately low. Risk is the expected
chance that the blueprint fails to earn its keep; stability is judged from the same study's worst tasks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from domain.blueprint import (
    BlueprintEstimates,
    BlueprintGraph,
    BlueprintMetadata,
    Combine,
    ConfidenceLevel,
    Node,
    Op,
    TamiyoMetadata,
    UrabraskMetadata,
    UrzaMetadata,
    node,
)
from domain.commands import GraftingStrategy, Reads
from domain.events import BlueprintRegistered
from domain.shapes import flops, memory_mb
from domain.urza.commands import Register, decide
from domain.urza.library import BlueprintLibrary, evolve

REFERENCE_READ: Final = 32
REFERENCE_CHUNK: Final = 8
"""Units of the slot that energy, power and memory are estimated for."""

Entry = tuple[BlueprintGraph, BlueprintMetadata]
"""What is registered of a blueprint."""

JOULES_PER_FLOP: Final = 5e-11
"""A laptop processor's 20 GFLOP/s a watt."""
SAMPLES_PER_SECOND: Final = 10_000
"""Throughput at which the power estimate holds."""


def residual(*hidden: Node, inner: str) -> BlueprintGraph:
    """Nodes, then a linear layer to the chunk that starts at zero and reads ``inner``."""
    out = node("out", Op.LINEAR, inner, out="chunk", init="zero")
    return BlueprintGraph(nodes=(node("read", Op.READ), *hidden, out), output="out")


def residual_mlp(hidden: int) -> BlueprintGraph:
    """Chunk + W2 gelu(W1 read), ``hidden`` units wide."""
    return residual(node("up", Op.LINEAR, "read", out=hidden), node("bent", Op.GELU, "up"), inner="bent")


def bottleneck_adapter(hidden: int) -> BlueprintGraph:
    """Chunk + W2 relu(W1 read) through a narrow middle. Source: Houlsby et al. 2019."""
    return residual(node("down", Op.LINEAR, "read", out=hidden), node("bent", Op.RELU, "down"), inner="bent")


def low_rank_residual(rank: int) -> BlueprintGraph:
    """Chunk + B A read, linear. Source: LoRA, Hu et al. 2021."""
    return residual(node("down", Op.LINEAR, "read", out=rank, bias=False), inner="down")


def se_gate(hidden: int) -> BlueprintGraph:
    """Chunk * (1 + tanh(W2 relu(W1 read))): squeeze and excitation that starts open. Source: Hu et al. 2018."""
    nodes = (
        node("read", Op.READ),
        node("chunk", Op.CHUNK),
        node("squeezed", Op.LINEAR, "read", out=hidden),
        node("bent", Op.RELU, "squeezed"),
        node("excited", Op.LINEAR, "bent", out="chunk", init="zero"),
        node("gate", Op.TANH, "excited"),
        node("out", Op.MULTIPLY, "chunk", "gate"),
    )
    return BlueprintGraph(nodes=nodes, output="out")


def glu(hidden: int) -> BlueprintGraph:
    """Chunk + W3 (W1 read * sigmoid(W2 read)). Source: Dauphin et al. 2017."""
    return residual(
        node("value", Op.LINEAR, "read", out=hidden),
        node("logit", Op.LINEAR, "read", out=hidden),
        node("gate", Op.SIGMOID, "logit"),
        node("gated", Op.MULTIPLY, "value", "gate"),
        inner="gated",
    )


def depthwise_convolution(channels: int) -> BlueprintGraph:
    """Depthwise convolution of 3 over the features, a pointwise one, and a projection to the chunk."""
    return residual(
        node("line", Op.RESHAPE, "read", shape=(1, -1)),
        node("local", Op.CONVOLUTION_1D, "line", out=channels, kernel=3, depthwise=True),
        node("bent", Op.GELU, "local"),
        node("mixed", Op.CONVOLUTION_1D, "bent", out=channels, kernel=1),
        node("again", Op.GELU, "mixed"),
        node("flat", Op.RESHAPE, "again", shape=(-1,)),
        inner="flat",
    )


def mini_self_attention(tokens: int, channels: int) -> BlueprintGraph:
    """One head over ``tokens`` learned views of what it reads, each ``channels`` wide. Source: Vaswani et al. 2017."""
    return residual(
        node("embedded", Op.LINEAR, "read", out=tokens * channels),
        node("tokens", Op.RESHAPE, "embedded", shape=(tokens, channels)),
        node("query", Op.LINEAR, "tokens", out=channels, bias=False),
        node("key", Op.LINEAR, "tokens", out=channels, bias=False),
        node("value", Op.LINEAR, "tokens", out=channels, bias=False),
        node("turned", Op.PERMUTE, "key", order=(1, 0)),
        node("likeness", Op.MATMUL, "query", "turned"),
        node("scaled", Op.SCALE, "likeness", factor=channels**-0.5),
        node("weights", Op.SOFTMAX, "scaled"),
        node("mixed", Op.MATMUL, "weights", "value"),
        node("bent", Op.GELU, "mixed"),
        node("flat", Op.RESHAPE, "bent", shape=(-1,)),
        inner="flat",
    )


def on_chunk(*nodes: Node, combine: Combine = Combine.ADD, latent: str | None = None) -> BlueprintGraph:
    """A graph that looks at its chunk and ends in its last node."""
    held = (node("chunk", Op.CHUNK), *nodes)
    return BlueprintGraph(nodes=held, output=nodes[-1].name, combine=combine, latent=latent)


def layer_norm() -> BlueprintGraph:
    """Chunk + gain * normalised(chunk) + bias, both from zero. Needs chunks of 2 units or more."""
    return on_chunk(node("out", Op.LAYER_NORM, "chunk", init="zero"))


def rms_norm() -> BlueprintGraph:
    """Chunk + gain * chunk / rms(chunk), from zero. Needs chunks of 2 units or more."""
    return on_chunk(node("out", Op.RMS_NORM, "chunk", init="zero"))


def no_op() -> BlueprintGraph:
    """Chunk + 0: the placebo. It has no parameters, can be grafted, gains nothing and is culled."""
    return on_chunk(node("out", Op.SCALE, "chunk", factor=0.0))


def soft_clamp(limit: float) -> BlueprintGraph:
    """Limit * tanh(chunk / limit), a fixed function that holds outliers under ``limit``."""
    return on_chunk(
        node("inner", Op.SCALE, "chunk", factor=1.0 / limit),
        node("bent", Op.TANH, "inner"),
        node("out", Op.SCALE, "bent", factor=limit),
        combine=Combine.BLEND,
    )


def unit_rms() -> BlueprintGraph:
    """Chunk / rms(chunk), a fixed function. Needs chunks of 2 units or more."""
    return on_chunk(node("out", Op.RMS_NORM, "chunk", affine=False), combine=Combine.BLEND)


def entry(
    name: str,
    graph: BlueprintGraph,
    *,
    gain: float,
    stability: float,
    risk: float,
    text: str,
    reads: Reads = Reads.BOTH,
    strategy: GraftingStrategy = GraftingStrategy.FIXED_RAMP,
    risky: bool = False,
    tags: tuple[str, ...] = (),
    use_cases: tuple[str, ...] = (),
) -> Entry:
    """A graph with its metadata; level from the risk, energy and memory for a slot of the reference's size."""
    joules = flops(graph, read=REFERENCE_READ, chunk=REFERENCE_CHUNK) * JOULES_PER_FLOP
    metadata = BlueprintMetadata(
        name=name,
        default_reads=reads,
        risky=risky,
        encrypted_capable=True,
        tamiyo=TamiyoMetadata(use_cases=use_cases),
        urabrask=UrabraskMetadata(
            risk_score=risk,
            conf_level=ConfidenceLevel.of_risk(risk),
            recommended_grafting_strategy=strategy,
        ),
        urza=UrzaMetadata(
            description=text,
            tags=tags,
            hardware_profiles=("laptop",),
            min_memory_gb=memory_mb(graph, read=REFERENCE_READ, chunk=REFERENCE_CHUNK) / 1000,
        ),
        estimates=BlueprintEstimates(
            past_accuracy_gain_estimate=gain,
            stability_estimate=stability,
            energy_estimate_joules=joules,
            power_estimate_watts=joules * SAMPLES_PER_SECOND,
        ),
    )
    return graph, metadata


INITIAL: Final[tuple[Entry, ...]] = (
    entry(
        "residual_mlp",
        residual_mlp(32),
        gain=0.110,
        stability=0.95,
        risk=0.05,
        text="Residual MLP, 32 hidden units: the workhorse",
        tags=("mlp",),
        use_cases=("ACCURACY",),
    ),
    entry(
        "wide_residual_mlp",
        residual_mlp(64),
        gain=0.114,
        stability=0.9,
        risk=0.08,
        text="Residual MLP, 64 hidden units: a little more for twice the parameters",
        tags=("mlp",),
        use_cases=("ACCURACY",),
    ),
    entry(
        "bottleneck_adapter",
        bottleneck_adapter(8),
        gain=0.090,
        stability=0.85,
        risk=0.15,
        text="Bottleneck adapter, 8 hidden units: most of the gain for a quarter of the parameters",
        tags=("adapter",),
        use_cases=("CPU_SAVING",),
    ),
    entry(
        "low_rank_residual",
        low_rank_residual(4),
        gain=0.009,
        stability=0.8,
        risk=0.35,
        text="Low-rank residual, rank 4: linear, so it helps little beyond letting the input through",
        tags=("adapter", "linear"),
        use_cases=("CPU_SAVING",),
    ),
    entry(
        "se_gate",
        se_gate(16),
        gain=0.110,
        stability=0.85,
        risk=0.12,
        text="Squeeze-and-excitation gate, 16 hidden units: scales the units of its chunk; no use on a dead chunk",
        tags=("gate",),
        use_cases=("CPU_SAVING",),
    ),
    entry(
        "glu",
        glu(32),
        gain=0.090,
        stability=0.85,
        risk=0.15,
        text="Gated linear unit, 32 hidden units (gain unmeasured)",
        tags=("gate", "mlp", "unmeasured"),
        use_cases=("ACCURACY",),
    ),
    entry(
        "depthwise_convolution",
        depthwise_convolution(8),
        gain=0.077,
        stability=0.75,
        risk=0.2,
        text="Depthwise convolution over the feature axis, kernel 3, 8 channels, then pointwise",
        tags=("convolution",),
        strategy=GraftingStrategy.PERFORMANCE_LINKED,
    ),
    entry(
        "mini_self_attention",
        mini_self_attention(4, 8),
        gain=0.090,
        stability=0.75,
        risk=0.25,
        text="Self-attention over 4 tokens of 8 channels made from what it reads",
        tags=("attention",),
        strategy=GraftingStrategy.DRIFT_CONTROLLED,
    ),
    entry(
        "layer_norm",
        layer_norm(),
        gain=0.0,
        stability=0.8,
        risk=0.35,
        text="Adds a layer norm of the chunk, from zero (gain unmeasured); needs chunks of 2 units or more",
        reads=Reads.CHUNK,
        tags=("norm", "unmeasured"),
    ),
    entry(
        "rms_norm",
        rms_norm(),
        gain=0.0,
        stability=0.8,
        risk=0.35,
        text="Adds an rms norm of the chunk, from zero (gain unmeasured); needs chunks of 2 units or more",
        reads=Reads.CHUNK,
        tags=("norm", "unmeasured"),
    ),
    entry(
        "no_op",
        no_op(),
        gain=0.0,
        stability=0.5,
        risk=0.9,
        text="The placebo: adds zero, so it is always culled",
        reads=Reads.CHUNK,
        tags=("placebo", "fixed"),
    ),
    entry(
        "soft_clamp",
        soft_clamp(4.0),
        gain=0.0,
        stability=0.7,
        risk=0.45,
        text="Fixed function: holds the chunk's outliers under 4 (gain unmeasured)",
        reads=Reads.CHUNK,
        tags=("fixed", "unmeasured"),
    ),
    entry(
        "unit_rms",
        unit_rms(),
        gain=0.0,
        stability=0.6,
        risk=0.5,
        text="Fixed function: brings the chunk to unit rms (gain unmeasured); needs chunks of 2 units or more",
        reads=Reads.CHUNK,
        tags=("fixed", "norm", "unmeasured"),
    ),
)
"""Graph and metadata of each, in order of their numbers."""


def registrations(epoch: int = 0, entries: Iterable[Entry] = INITIAL) -> tuple[BlueprintRegistered, ...]:
    """The events that register ``entries`` in an empty library: the same bytes every time."""
    library, events = BlueprintLibrary(), []
    for graph, metadata in entries:
        event = decide(library, Register(graph=graph, metadata=metadata), epoch)
        assert isinstance(event, BlueprintRegistered)
        library = evolve(library, event)
        events.append(event)
    return tuple(events)
