"""Urza's catalogue as its source lists it: 56 entries in 12 categories, and which of them can be grown here.

An entry can be built if it makes sense on one chunk of units of a dense layer out of the primitives of
``domain/blueprint.py``; the others say what they need and are never offered. Source: Urza v1.0 §3.

To make one buildable: its graph in ``blocks.py``, a line in ``BUILT``.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, final

from domain.blueprint import ConfidenceLevel
from domain.urza import blocks
from domain.urza.catalogue import INITIAL, Entry, entry
from domain.values import Value


@final
class Need(Enum):
    """What an entry needs that a chunk of a dense layer does not have."""

    SEQUENCE = "a sequence whose positions mean something"
    SPARSE_ROUTING = "hard routing: a choice that skips work, which no primitive makes"
    CONTROL_FLOW = "steps whose number depends on the data"
    FROZEN_WEIGHTS = "weights that are drawn once and never learn"
    NOISE = "draws in the forward pass; blueprints are functions of their inputs"
    LOSS = "another training objective, not another module"
    MODALITIES = "two modalities with losses of their own"
    GRAPH_DATA = "data with neighbours"
    DIFFUSION = "a diffusion model around it"
    SERVING = "an inference server with a cache"
    ENGINE = "nothing: the trainer does this for every layer, so there is nothing to graft"
    HARDWARE = "hardware that is not there"
    CRYPTOGRAPHY = "cryptography in the forward pass"
    REINFORCEMENT = "an environment and a policy"


@final
class SourceEntry(Value):
    """One entry of the source's catalogue."""

    category: str
    title: str
    level: ConfidenceLevel
    """As the source certified it. What is deployed here begins SPECULATIVE: domain reference K 43."""
    risky: bool = False
    benefit: str
    sweet_spot: str
    blueprint: str | None = None
    """Name of the blueprint that it is here; None where it cannot be built."""
    needs: tuple[Need, ...] = ()
    """What is missing; empty exactly where there is a blueprint."""


_H, _M, _S = ConfidenceLevel.HIGH, ConfidenceLevel.MODERATE, ConfidenceLevel.SPECULATIVE
_R: Final = "risky"

_Row = tuple[str, ConfidenceLevel, str, str, str, str | Need]
"""Title, level, risky or nothing, benefit, sweet spot, and its blueprint here or what it needs."""

_ROWS: Final[dict[str, tuple[_Row, ...]]] = {
    "feature": (
        ("Depthwise-Separable Conv", _H, "", "8-9x fewer FLOPs", "mobile GPU, edge ASIC", "depthwise_convolution"),
        ("Inverted Residual (MobileNetV2)", _H, "", "expand-squeeze", "< 100M params", "inverted_residual"),
        ("Fused-MBConv", _H, "", "one fused kernel", "server GPU, TPU", "fused_mbconv"),
        ("GhostNet Module", _M, "", "cheap extra feature maps", "< 50M", "ghost_module"),
        ("Squeeze-and-Excitation (SE)", _H, "", "channel attention", "any CNN", "se_gate"),
        ("ConvNeXt Block", _H, "", "modern residual block", "vision > 50M", "convnext"),
    ),
    "attention": (
        ("Multi-Head Attention (Baseline)", _H, "", "standard", "any transformer", "multi_head_attention"),
        ("FlashAttention-2", _H, "", "fused, low memory", "A100/H100", Need.HARDWARE),
        ("Grouped-Query Attention (GQA)", _H, "", "shared KV heads", "7B-70B", "grouped_query_attention"),
        ("Multi-Query Attention (MQA)", _H, "", "one KV head", "< 7B, edge", "multi_query_attention"),
        ("Sliding Window / Local Attention", _M, "", "linear cost", "ViT, long context", Need.SEQUENCE),
        ("Rotary Position Embedding (RoPE)", _H, "", "relative position", "all LLMs", Need.SEQUENCE),
    ),
    "parameter-efficient": (
        ("LoRA / QLoRA", _H, "", "up to 10000x fewer trainable", "< 70B, vision", "low_rank_residual"),
        ("(IA)3", _H, "", "learned scaling vectors", "classifiers, small", "ia3"),
        ("Adapter Modules", _H, "", "bottleneck layers", "any transformer", "bottleneck_adapter"),
        ("Prefix / Prompt Tuning", _H, "", "trainable tokens", "any sequence model", Need.SEQUENCE),
        ("BitFit", _M, "", "bias only", "tiny LLM", "bitfit"),
        ("VeRA", _M, "", "frozen random matrices + vectors", "> 7B", Need.FROZEN_WEIGHTS),
    ),
    "routing": (
        ("Switch Transformer Router", _M, _R, "sparse experts", ">= 3B", Need.SPARSE_ROUTING),
        ("Soft MoE", _M, "", "differentiable mix", "ViT", "soft_mixture"),
        ("MoE-Lite (2-4 experts)", _M, _R, "cheaper MoE", "0.5B-3B", Need.SPARSE_ROUTING),
        ("Learned Pruning Gate", _M, "", "skips tokens/channels", "any", "pruning_gate"),
        ("ACT (Adaptive Computation Time)", _S, "", "variable steps", "RNN, universal transformer", Need.CONTROL_FLOW),
    ),
    "memory": (
        ("PagedAttention", _H, "", "paged KV cache", "inference servers", Need.SERVING),
        ("Chunked KV-Cache Manager", _M, "", "evict/recompute", "edge LLM", Need.SERVING),
        ("Telemetry Monitor", _H, "", "gradient, activation, energy stats", "all", Need.ENGINE),
        ("Latency Governor", _H, "", "vetoes predicted latency breaches", "real-time", Need.ENGINE),
    ),
    "recurrent": (
        ("Mamba / S6 Block", _H, "", "linear-time selective SSM", "language, genomics", Need.SEQUENCE),
        ("Lightweight GRU", _H, "", "small gated RNN", "sensors", "gru_step"),
        ("Temporal Conv Net (TCN)", _H, "", "causal dilated conv", "forecasting", "temporal_convolution"),
        ("Conformer Block", _H, "", "conv + attention", "speech", "conformer"),
        ("Neural ODE", _S, _R, "continuous dynamics", "physics, irregular series", Need.CONTROL_FLOW),
    ),
    "graph": (
        ("Graph Conv Network (GCN)", _H, "", "neighbour averaging", "social, citation", Need.GRAPH_DATA),
        ("Graph Attention (GATv2)", _H, "", "weighted neighbours", "traffic, KGs", Need.GRAPH_DATA),
        ("Equivariant Conv (E(n))", _M, _R, "symmetry preserving", "robotics, drugs", Need.GRAPH_DATA),
        ("Graphormer Block", _S, _R, "graph transformer", "molecules", Need.GRAPH_DATA),
    ),
    "diffusion": (
        ("U-Net Residual Block", _H, "", "multi-scale backbone", "vision/audio", "u_net"),
        ("Cross-Attention Injector", _H, "", "external conditioning", "text-to-X", "cross_attention"),
        ("Latent Diffusion VAE", _H, "", "compressed latent", "high resolution", Need.DIFFUSION),
        ("Classifier-Free Guidance", _H, "", "joint conditional training", "guided diffusion", Need.DIFFUSION),
    ),
    "regularization": (
        ("Stochastic Depth", _H, "", "drops residual blocks", "deep CNN", Need.NOISE),
        ("Label Smoothing", _H, "", "soft targets", "classification", Need.LOSS),
        ("DropBlock", _M, "", "region dropout", "CNN", Need.NOISE),
        ("Adv-Robust Patch", _S, _R, "detects attacks", "safety-critical vision", Need.LOSS),
    ),
    "fusion": (
        ("Cross-Modal Alignment", _H, "", "shared space", "CLIP-like", Need.MODALITIES),
        ("FiLM Layer", _H, "", "predicted scale/shift", "audio-visual", "film"),
        ("Gated Multimodal Unit", _M, "", "gated modality mix", "robotics", "gated_multimodal"),
        ("PPO-Lite", _M, "", "light on-policy RL", "robotics < 100M", Need.REINFORCEMENT),
    ),
    "security": (
        ("HE-Gated Linear", _S, _R, "encrypted inference", "medical, finance", Need.CRYPTOGRAPHY),
        ("Zero-Trust Attestation", _H, "", "TPM proof", "edge, secure inference", Need.HARDWARE),
        ("Differentially Private Aggregation", _M, "", "DP federated", "cross-enterprise", Need.NOISE),
        ("Model Watermarking", _M, "", "ownership mark", "commercial", Need.LOSS),
    ),
    "neuromorphic": (
        ("Spiking Conv Layer", _M, "", "event-based, ultra-low power", "DVS", Need.HARDWARE),
        ("Temporal Spike Encoder", _H, "", "frames to spikes", "robotics", Need.HARDWARE),
        ("QNN Variational Block", _S, _R, "hybrid quantum", "drugs, materials", Need.HARDWARE),
        ("Quantum Attention", _S, _R, "theoretical", "large graph problems", Need.HARDWARE),
    ),
}


def _source_entry(category: str, row: _Row) -> SourceEntry:
    title, level, risky, benefit, sweet_spot, here = row
    return SourceEntry(
        category=category,
        title=title,
        level=level,
        risky=risky == _R,
        benefit=benefit,
        sweet_spot=sweet_spot,
        blueprint=here if isinstance(here, str) else None,
        needs=(here,) if isinstance(here, Need) else (),
    )


ENTRIES: Final = tuple(_source_entry(category, row) for category, rows in _ROWS.items() for row in rows)
"""All 56, in the source's order."""

UNMEASURED_GAIN: Final = 0.05
UNMEASURED_RISK: Final = 0.5
"""Of what nobody has tried here: a low guess, and a risk that makes it SPECULATIVE."""

_GRAPHS: Final = {
    "inverted_residual": blocks.inverted_residual(8, 2),
    "fused_mbconv": blocks.fused_mbconv(8, 2),
    "ghost_module": blocks.ghost_module(4),
    "convnext": blocks.convnext(4),
    "multi_head_attention": blocks.grouped_attention(2, 2),
    "grouped_query_attention": blocks.grouped_attention(4, 2),
    "multi_query_attention": blocks.grouped_attention(4, 1),
    "ia3": blocks.ia3(),
    "bitfit": blocks.bitfit(),
    "soft_mixture": blocks.soft_mixture(2, 16),
    "pruning_gate": blocks.pruning_gate(),
    "gru_step": blocks.gru_step(24),
    "temporal_convolution": blocks.temporal_convolution(4),
    "conformer": blocks.conformer(4, 8),
    "u_net": blocks.u_net(24, 4),
    "cross_attention": blocks.cross_attention(4, 8),
    "film": blocks.film(16),
    "gated_multimodal": blocks.gated_multimodal(24),
}

BUILT: Final[tuple[Entry, ...]] = tuple(
    entry(
        found.blueprint,
        _GRAPHS[found.blueprint],
        gain=UNMEASURED_GAIN,
        stability=0.7,
        risk=UNMEASURED_RISK,
        risky=found.risky,
        text=f"{found.title}: {found.benefit} (gain unmeasured)",
        tags=(found.category, "unmeasured"),
    )
    for found in ENTRIES
    if found.blueprint in _GRAPHS
)
"""The entries that are built here and are not among ``INITIAL`` already."""

PLAIN: Final = ("low_rank_residual", "layer_norm", "rms_norm", "no_op", "soft_clamp", "unit_rms")
"""Blueprints of the first library that add no capacity: linear maps, norms, limits. For what an architect makes of them."""
LIBRARIES: Final[dict[str, tuple[Entry, ...]]] = {
    "first": INITIAL,
    "catalogue": INITIAL + BUILT,
    "plain": tuple(entry for entry in INITIAL if entry[1].name in PLAIN),
}
"""What a new run's library may begin with, by name."""

assert len(ENTRIES) == 56
assert {found.blueprint for found in ENTRIES} - {None} <= {metadata.name for _, metadata in LIBRARIES["catalogue"]}
