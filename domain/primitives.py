"""Families of primitives: what those have in common that look at graphs, change them, or foretell what they do."""

from __future__ import annotations

from typing import Final

from domain.blueprint import Op

SOURCES: Final = frozenset({Op.READ, Op.CHUNK})
"""What a graph begins with."""
WEIGHTED: Final = frozenset({Op.LINEAR, Op.CONVOLUTION_1D})
"""Maps by weights that are learned."""
ACTIVATIONS: Final = (Op.RELU, Op.SIGMOID, Op.TANH, Op.GELU, Op.SILU)
"""Bends of one number each, in the order in which they are offered."""
NORMS: Final = (Op.LAYER_NORM, Op.RMS_NORM)
PRODUCTS: Final = frozenset({Op.MULTIPLY, Op.MATMUL})
"""Products of two tensors, both of which may depend on what is read."""
