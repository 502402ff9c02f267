"""Graphs of the source catalogue's entries that can be built on a chunk of a layer, beside those of ``catalogue.py``.

Each is what its source describes, on one chunk of units in place of an image or a sentence: a convolution goes over the
features in their order, a sequence is made of learned views (tokens) of what is read. All of them start as the identity.
"""

from __future__ import annotations

from domain.blueprint import BlueprintGraph, Node, Op, node
from domain.urza.catalogue import on_chunk, residual


def inverted_residual(channels: int, squeezed: int) -> BlueprintGraph:
    """Expand, filter each channel, squeeze without a nonlinearity. Source: MobileNetV2, Sandler et al. 2018."""
    return residual(
        node("line", Op.RESHAPE, "read", shape=(1, -1)),
        node("expanded", Op.CONVOLUTION_1D, "line", out=channels, kernel=1),
        node("bent", Op.RELU, "expanded"),
        node("local", Op.CONVOLUTION_1D, "bent", out=channels, kernel=3, depthwise=True),
        node("again", Op.RELU, "local"),
        node("squeezed", Op.CONVOLUTION_1D, "again", out=squeezed, kernel=1),
        node("flat", Op.RESHAPE, "squeezed", shape=(-1,)),
        inner="flat",
    )


def fused_mbconv(channels: int, squeezed: int) -> BlueprintGraph:
    """As the inverted residual, expansion and filter fused into one convolution. Source: EfficientNetV2, Tan 2021."""
    return residual(
        node("line", Op.RESHAPE, "read", shape=(1, -1)),
        node("fused", Op.CONVOLUTION_1D, "line", out=channels, kernel=3),
        node("bent", Op.SILU, "fused"),
        node("squeezed", Op.CONVOLUTION_1D, "bent", out=squeezed, kernel=1),
        node("flat", Op.RESHAPE, "squeezed", shape=(-1,)),
        inner="flat",
    )


def ghost_module(channels: int) -> BlueprintGraph:
    """A few real feature maps, and as many cheap ghosts of them. Source: GhostNet, Han et al. 2020."""
    return residual(
        node("line", Op.RESHAPE, "read", shape=(1, -1)),
        node("primary", Op.CONVOLUTION_1D, "line", out=channels, kernel=3),
        node("bent", Op.RELU, "primary"),
        node("ghost", Op.CONVOLUTION_1D, "bent", out=channels, kernel=3, depthwise=True),
        node("again", Op.RELU, "ghost"),
        node("both", Op.CONCAT, "bent", "again", axis=0),
        node("flat", Op.RESHAPE, "both", shape=(-1,)),
        inner="flat",
    )


def convnext(channels: int) -> BlueprintGraph:
    """A wide depthwise filter, a layer norm, an inverted bottleneck. Source: ConvNeXt, Liu et al. 2022."""
    return residual(
        node("line", Op.RESHAPE, "read", shape=(1, -1)),
        node("local", Op.CONVOLUTION_1D, "line", out=channels, kernel=7, depthwise=True),
        node("calm", Op.LAYER_NORM, "local"),
        node("expanded", Op.CONVOLUTION_1D, "calm", out=2 * channels, kernel=1),
        node("bent", Op.GELU, "expanded"),
        node("squeezed", Op.CONVOLUTION_1D, "bent", out=channels, kernel=1),
        node("flat", Op.RESHAPE, "squeezed", shape=(-1,)),
        inner="flat",
    )


def _tokens(name: str, source: str, tokens: int, channels: int) -> tuple[Node, Node]:
    """Learned views of a tensor: (tokens, channels)."""
    return (
        node(f"{name}_embedded", Op.LINEAR, source, out=tokens * channels),
        node(name, Op.RESHAPE, f"{name}_embedded", shape=(tokens, channels)),
    )


def _head(label: str, query: str, key: str, value: str, channels: int) -> tuple[Node, ...]:
    """Scaled dot-product attention of a query over turned keys and values; its output is called ``label``."""
    return (
        node(f"{label}_likeness", Op.MATMUL, query, key),
        node(f"{label}_scaled", Op.SCALE, f"{label}_likeness", factor=channels**-0.5),
        node(f"{label}_weights", Op.SOFTMAX, f"{label}_scaled"),
        node(label, Op.MATMUL, f"{label}_weights", value),
    )


def _key_value(label: str, source: str, channels: int) -> tuple[Node, ...]:
    """Turned keys (``label``_turned) and values (``label``_value) of one group of heads."""
    return (
        node(f"{label}_key", Op.LINEAR, source, out=channels, bias=False),
        node(f"{label}_turned", Op.PERMUTE, f"{label}_key", order=(1, 0)),
        node(f"{label}_value", Op.LINEAR, source, out=channels, bias=False),
    )


def grouped_attention(heads: int, groups: int, tokens: int = 4, channels: int = 4) -> BlueprintGraph:
    """Several heads that share keys and values in ``groups``: as many for plain multi-head attention, one for MQA.

    Sources: Vaswani et al. 2017; MQA, Shazeer 2019; GQA, Ainslie et al. 2023.
    """
    nodes = [*_tokens("tokens", "read", tokens, heads * channels)]
    for group in range(groups):
        nodes += _key_value(f"group{group}", "tokens", channels)
    for head in range(heads):
        shared = f"group{head * groups // heads}"
        query = node(f"query{head}", Op.LINEAR, "tokens", out=channels, bias=False)
        nodes += [query, *_head(f"head{head}", query.name, f"{shared}_turned", f"{shared}_value", channels)]
    nodes += [
        node("mixed", Op.CONCAT, *(f"head{head}" for head in range(heads))),
        node("bent", Op.GELU, "mixed"),
        node("flat", Op.RESHAPE, "bent", shape=(-1,)),
    ]
    return residual(*nodes, inner="flat")


def conformer(tokens: int, channels: int) -> BlueprintGraph:
    """Attention for what is far, then a depthwise convolution for what is near. Source: Gulati et al. 2020."""
    return residual(
        *_tokens("tokens", "read", tokens, channels),
        *_key_value("all", "tokens", channels),
        node("query", Op.LINEAR, "tokens", out=channels, bias=False),
        *_head("far", "query", "all_turned", "all_value", channels),
        node("together", Op.ADD, "tokens", "far"),
        node("turned", Op.PERMUTE, "together", order=(1, 0)),
        node("near", Op.CONVOLUTION_1D, "turned", out=channels, kernel=3, depthwise=True),
        node("bent", Op.SILU, "near"),
        node("flat", Op.RESHAPE, "bent", shape=(-1,)),
        inner="flat",
    )


def cross_attention(tokens: int, channels: int) -> BlueprintGraph:
    """The chunk asks, what is read answers: conditioning from outside the chunk. Source: Rombach et al. 2022."""
    return residual(
        node("chunk", Op.CHUNK),
        *_tokens("asked", "chunk", tokens, channels),
        *_tokens("told", "read", tokens, channels),
        *_key_value("told", "told", channels),
        *_head("answer", "asked", "told_turned", "told_value", channels),
        node("bent", Op.GELU, "answer"),
        node("flat", Op.RESHAPE, "bent", shape=(-1,)),
        inner="flat",
    )


def _scaling(source: str) -> tuple[Node, ...]:
    """One learned factor, from zero, for each unit of the chunk: a depthwise convolution of width 1."""
    return (
        node("units", Op.RESHAPE, source, shape=(-1, 1)),
        node("scaled", Op.CONVOLUTION_1D, "units", out="chunk", kernel=1, depthwise=True, bias=False, init="zero"),
        node("out", Op.RESHAPE, "scaled", shape=(-1,)),
    )


def ia3() -> BlueprintGraph:
    """Chunk * (1 + s): one learned factor a unit. Source: (IA)3, Liu et al. 2022."""
    return on_chunk(*_scaling("chunk"))


def bitfit() -> BlueprintGraph:
    """Chunk + b: biases alone learn, as weights of the softmax of a single number, which is 1. Source: Ben Zaken 2022."""
    return on_chunk(
        node("mean", Op.REDUCE_MEAN, "chunk"),
        node("one", Op.SOFTMAX, "mean"),
        node("out", Op.LINEAR, "one", out="chunk", bias=False, init="zero"),
        latent="chunk",  # nothing can be told apart in a one
    )


def soft_mixture(experts: int, hidden: int) -> BlueprintGraph:
    """Experts weighed by a softmax, all of them at work: routing without hard choices. Source: Puigcerver et al. 2023."""
    nodes = [node("logits", Op.LINEAR, "read", out=experts), node("weights", Op.SOFTMAX, "logits")]
    total = ""
    for expert in range(experts):
        nodes += [
            node(f"up{expert}", Op.LINEAR, "read", out=hidden),
            node(f"bent{expert}", Op.GELU, f"up{expert}"),
            node(f"weight{expert}", Op.SPLIT, "weights", parts=experts, index=expert),
            node(f"share{expert}", Op.MULTIPLY, f"bent{expert}", f"weight{expert}"),
        ]
        if total:
            nodes.append(node(f"sum{expert}", Op.ADD, total, f"share{expert}"))
        total = f"sum{expert}" if total else f"share{expert}"
    return residual(*nodes, inner=total)


def pruning_gate() -> BlueprintGraph:
    """Chunk * (1 + tanh(W read)): a gate a unit that starts open and may close. Source: Bejnordi et al. 2020."""
    return on_chunk(
        node("read", Op.READ),
        node("logit", Op.LINEAR, "read", out="chunk", init="zero"),
        node("gate", Op.TANH, "logit"),
        node("out", Op.MULTIPLY, "chunk", "gate"),
    )


def gru_step(hidden: int) -> BlueprintGraph:
    """The one step of a gated recurrent unit from an empty state: gate * candidate. Source: Cho et al. 2014."""
    return residual(
        node("logit", Op.LINEAR, "read", out=hidden),
        node("update", Op.SIGMOID, "logit"),
        node("drive", Op.LINEAR, "read", out=hidden),
        node("candidate", Op.TANH, "drive"),
        node("state", Op.MULTIPLY, "update", "candidate"),
        inner="state",
    )


def temporal_convolution(channels: int) -> BlueprintGraph:
    """Two convolutions over the features in their order, with a short cut. Source: Bai et al. 2018."""
    return residual(
        node("line", Op.RESHAPE, "read", shape=(1, -1)),
        node("first", Op.CONVOLUTION_1D, "line", out=channels, kernel=3),
        node("bent", Op.RELU, "first"),
        node("second", Op.CONVOLUTION_1D, "bent", out=channels, kernel=3),
        node("again", Op.RELU, "second"),
        node("short", Op.CONVOLUTION_1D, "line", out=channels, kernel=1, bias=False),
        node("sum", Op.ADD, "again", "short"),
        node("flat", Op.RESHAPE, "sum", shape=(-1,)),
        inner="flat",
    )


def u_net(wide: int, narrow: int) -> BlueprintGraph:
    """Down to a few units and up again, with a skip across. Source: Ronneberger et al. 2015, in units for pixels."""
    return residual(
        node("down", Op.LINEAR, "read", out=wide),
        node("outer", Op.GELU, "down"),
        node("deeper", Op.LINEAR, "outer", out=narrow),
        node("inner", Op.GELU, "deeper"),
        node("up", Op.LINEAR, "inner", out=wide),
        node("skip", Op.CONCAT, "outer", "up"),
        inner="skip",
    )


def film(hidden: int) -> BlueprintGraph:
    """Chunk * (1 + g(read)) + b(read): scale and shift that are predicted. Source: FiLM, Perez et al. 2018."""
    return on_chunk(
        node("read", Op.READ),
        node("seen", Op.LINEAR, "read", out=hidden),
        node("bent", Op.RELU, "seen"),
        node("scale", Op.LINEAR, "bent", out="chunk", init="zero"),
        node("scaled", Op.MULTIPLY, "chunk", "scale"),
        node("shift", Op.LINEAR, "bent", out="chunk", init="zero"),
        node("out", Op.ADD, "scaled", "shift"),
    )


def gated_multimodal(hidden: int) -> BlueprintGraph:
    """A gate mixes what is read with the chunk: z * h + (1 - z) * k. Source: GMU, Arevalo et al. 2017."""
    return residual(
        node("chunk", Op.CHUNK),
        node("drive", Op.LINEAR, "read", out=hidden),
        node("outside", Op.TANH, "drive"),
        node("own", Op.LINEAR, "chunk", out=hidden),
        node("inside", Op.TANH, "own"),
        node("logit", Op.LINEAR, "read", out=hidden),
        node("gate", Op.SIGMOID, "logit"),
        node("difference", Op.SUBTRACT, "outside", "inside"),
        node("moved", Op.MULTIPLY, "gate", "difference"),
        node("mixed", Op.ADD, "inside", "moved"),
        inner="mixed",
    )
