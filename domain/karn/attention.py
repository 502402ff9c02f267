"""The mutation operator that adds an attention head: another one where there is attention, a first one elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.blueprint import Node, Op, node
from domain.karn.surgery import Anatomy, Edit, rewired

SIZES: Final = ((2, 4), (4, 4), (4, 8))
"""Tokens and channels of a first head."""


def add_attention_head(it: Anatomy) -> list[Edit]:
    """A second head over the same tokens, or a small self-attention beside what goes into a linear map."""
    return [*_second_heads(it), *_first_heads(it)]


def _first_heads(it: Anatomy) -> Iterator[Edit]:
    """Self-attention over learned views of a tensor, joined to it. Source: Vaswani et al. 2017."""
    for entry, position in it.edges:
        given = entry.inputs[position]
        if entry.op is not Op.LINEAR or len(it.shapes[given]) != 1 or it.op_of(given) is Op.CONCAT:
            continue
        for tokens, channels in SIZES:
            head = _head(it, given, tokens, channels)
            both = node(it.fresh("joined"), Op.CONCAT, given, head[-1].name)
            nodes = (*head, both, rewired(entry, position, both.name))
            yield Edit(nodes, f"a head of {tokens} tokens of {channels} beside {given}")


def _head(it: Anatomy, given: str, tokens: int, channels: int) -> tuple[Node, ...]:
    embedded = node(it.fresh("embedded"), Op.LINEAR, given, out=tokens * channels)
    cut = node(it.fresh("tokens"), Op.RESHAPE, embedded.name, shape=(tokens, channels))
    query, key, value = (
        node(it.fresh(name), Op.LINEAR, cut.name, out=channels, bias=False) for name in ("query", "key", "value")
    )
    turned = node(it.fresh("turned"), Op.PERMUTE, key.name, order=(1, 0))
    likeness = node(it.fresh("likeness"), Op.MATMUL, query.name, turned.name)
    scaled = node(it.fresh("scaled"), Op.SCALE, likeness.name, factor=channels**-0.5)
    weights = node(it.fresh("weights"), Op.SOFTMAX, scaled.name)
    mixed = node(it.fresh("mixed"), Op.MATMUL, weights.name, value.name)
    flat = node(it.fresh("flat"), Op.RESHAPE, mixed.name, shape=(-1,))
    return (embedded, cut, query, key, value, turned, likeness, scaled, weights, mixed, flat)


def _second_heads(it: Anatomy) -> Iterator[Edit]:
    """The nodes from the tokens to the mix, once more with weights of their own, joined channel by channel."""
    for mixed in it.movable:
        if mixed.op is not Op.MATMUL or it.op_of(mixed.inputs[0]) is not Op.SOFTMAX:
            continue
        tokens = it.graph.by_name[mixed.inputs[1]].inputs
        if len(tokens) != 1:
            continue
        between = _between(it, tokens[0], mixed.name)
        names = {name: it.fresh(f"{name}_more") for name in between}
        copies = tuple(
            it.graph.by_name[name].model_copy(
                update={
                    "name": names[name],
                    "inputs": tuple(names.get(given, given) for given in it.graph.by_name[name].inputs),
                }
            )
            for name in between
        )
        heads = node(it.fresh("heads"), Op.CONCAT, mixed.name, names[mixed.name])
        nodes = (*copies, heads, *it.consumers(mixed.name, heads.name))
        yield Edit(nodes, f"a second head over {tokens[0]}")


def _between(it: Anatomy, start: str, end: str) -> list[str]:
    """The nodes that lead from ``start``, left out, to ``end``, in order."""
    after = {start}
    for entry in it.graph.ordered:
        if after.intersection(entry.inputs):
            after.add(entry.name)
    before = {end}
    for entry in reversed(it.graph.ordered):
        if entry.name in before and entry.name != start:
            before.update(entry.inputs)
    return [entry.name for entry in it.graph.ordered if entry.name in after & before and entry.name != start]
