"""Candidates for the crucible, good, useless and harmful, and the Karn that proposes some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from domain.blueprint import BlueprintGraph, BlueprintMetadata, Node, Op, blueprint_id, node
from domain.commands import Reads
from domain.karn.policy import KarnObservation, KarnStep, Proposal
from domain.tamiyo.policy import NoMemory, Randomness
from domain.urza.catalogue import residual_mlp

READ = node("read", Op.READ)
ZERO = {"out": "chunk", "init": "zero"}
PROPOSED_AT = 2


def graph(*nodes: Node, output: str = "out") -> BlueprintGraph:
    """Nodes behind what is read."""
    return BlueprintGraph(nodes=(READ, *nodes), output=output)


def wider_mlp() -> BlueprintGraph:
    """A child of the workhorse that is as good."""
    return residual_mlp(40)


def linear_map() -> BlueprintGraph:
    """A residual that no nonlinearity bends."""
    return graph(node("out", Op.LINEAR, "read", **ZERO))


def not_a_number() -> BlueprintGraph:
    """Overflows before its weights: 0 times infinity."""
    return graph(
        node("large", Op.SCALE, "read", factor=1e30),
        node("larger", Op.SCALE, "large", factor=1e30),
        node("out", Op.LINEAR, "larger", **ZERO),
    )


def exploding() -> BlueprintGraph:
    """Its gradient is a million times what is read."""
    return graph(node("large", Op.SCALE, "read", factor=1e6), node("out", Op.LINEAR, "large", **ZERO))


def twice_bent() -> BlueprintGraph:
    """An activation straight after an activation."""
    return graph(
        node("up", Op.LINEAR, "read", out=8),
        node("bent", Op.GELU, "up"),
        node("again", Op.RELU, "bent"),
        node("out", Op.LINEAR, "again", **ZERO),
    )


def proposal(candidate: BlueprintGraph, name: str = "candidate", reads: Reads = Reads.BOTH) -> Proposal:
    """A proposal that says nothing but its name."""
    metadata = BlueprintMetadata(name=name, default_reads=reads)
    return Proposal(graph=candidate, metadata=metadata, reason="to be tried")


@final
@dataclass(frozen=True, slots=True)
class ThreeIdeas:
    """Proposes once: a child of the workhorse, one that explodes, and one that no trial is needed to refuse."""

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: KarnObservation, memory: NoMemory, random: Randomness) -> KarnStep[NoMemory]:
        """All three at the end of one epoch."""
        del random
        if observation.epoch != PROPOSED_AT:
            return KarnStep((), memory)
        child = proposal(wider_mlp(), "wider_mlp").model_copy(
            update={"parent_id": blueprint_id(residual_mlp(32)), "mutation": "increase_layer_width"}
        )
        return KarnStep((child, proposal(exploding(), "exploding"), proposal(twice_bent(), "twice_bent")), memory)
