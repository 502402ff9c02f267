"""The seed lifecycle as data: stages, outcomes, edges, and the two profiles that select from them.

Source: design of Tamiyo v0.1a and Kasmina v0.1a, reconciled into eleven stages and four outcomes.
How an adaptation *ended* is an outcome; where a seed *is* is a stage. A culled seed is DORMANT again.

To add a profile: give its stages and edges here and a name in ``PROFILES``. The exhaustive search in
``tests/machines`` walks every profile by itself.
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from typing import Final, final

from domain.values import Value


@final
class Stage(Enum):
    """Where a seed is. The values are stored: never reuse one."""

    DORMANT = "DORMANT"
    GERMINATING = "GERMINATING"
    LOADING = "LOADING"
    TRAINING = "TRAINING"
    GRAFTING = "GRAFTING"
    STABILIZATION = "STABILIZATION"
    EVALUATING = "EVALUATING"
    FINE_TUNING = "FINE_TUNING"
    ACTIVE = "ACTIVE"
    ERROR_RECOVERY = "ERROR_RECOVERY"
    FOSSILIZED = "FOSSILIZED"


@final
class Outcome(Enum):
    """How one adaptation ended. The first three file a field report."""

    FOSSILIZED = "FOSSILIZED"
    CULLED = "CULLED"
    ROLLED_BACK = "ROLLED_BACK"
    CANCELLED = "CANCELLED"

    @property
    def is_reported(self) -> bool:
        """Whether it files a field report: each of them does but CANCELLED, which never touched the host."""
        return self is not Outcome.CANCELLED


@final
class Gate(Enum):
    """The named rule that a stage change must pass; ``domain/gates.py`` evaluates them."""

    GERMINATION = "GERMINATION"
    PROMOTION = "PROMOTION"
    BLUEPRINT_LOADED = "BLUEPRINT_LOADED"
    FIXED_FUNCTION_LOADED = "FIXED_FUNCTION_LOADED"
    RECONSTRUCTION = "RECONSTRUCTION"
    ALPHA_REACHED = "ALPHA_REACHED"
    SETTLED = "SETTLED"
    POSITIVE_EFFECT = "POSITIVE_EFFECT"
    FIXED_FUNCTION_EFFECT = "FIXED_FUNCTION_EFFECT"
    TOTAL_IMPROVEMENT = "TOTAL_IMPROVEMENT"
    HELD = "HELD"
    LOADED_BLEND = "LOADED_BLEND"
    COMMANDED = "COMMANDED"
    FAULTS = "FAULTS"
    RECOVERY = "RECOVERY"
    CULL = "CULL"
    CANCEL = "CANCEL"
    ROLLBACK = "ROLLBACK"
    RESET = "RESET"


@final
class Edge(Value):
    """One permitted stage change, the gate in front of it, and the outcome it concludes with, if any."""

    source: Stage
    target: Stage
    gate: Gate
    outcome: Outcome | None = None


@final
class LifecycleProfile(Value):
    """The stages a seed may visit and the edges between them."""

    name: str
    stages: tuple[Stage, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def leaving(self) -> dict[Stage, tuple[Edge, ...]]:
        """The edges by the stage that they leave, in declaration order."""
        return {stage: tuple(edge for edge in self.edges if edge.source is stage) for stage in Stage}

    def edges_from(self, source: Stage) -> tuple[Edge, ...]:
        """Every edge that leaves ``source``, in declaration order."""
        return self.leaving[source]

    def edge(self, source: Stage, gate: Gate) -> Edge | None:
        """The edge out of ``source`` behind ``gate``; there is at most one."""
        return next((edge for edge in self.leaving[source] if edge.gate is gate), None)


ADAPTING: Final = (
    Stage.LOADING,
    Stage.TRAINING,
    Stage.GRAFTING,
    Stage.STABILIZATION,
    Stage.EVALUATING,
    Stage.FINE_TUNING,
    Stage.ACTIVE,
)
"""Stages in which a blueprint is in the host: they count against ``max_active_seeds``, may fault, may be rolled back."""

ON_TRIAL: Final = (Stage.GRAFTING, Stage.STABILIZATION, Stage.EVALUATING, Stage.FINE_TUNING)
"""Stages in which a blueprint's worth is being measured; the host is frozen in them unless configured."""


def _full() -> LifecycleProfile:
    s, g, o = Stage, Gate, Outcome
    edges = [
        Edge(source=s.DORMANT, target=s.GERMINATING, gate=g.GERMINATION),
        Edge(source=s.GERMINATING, target=s.LOADING, gate=g.PROMOTION),
        Edge(source=s.LOADING, target=s.TRAINING, gate=g.BLUEPRINT_LOADED),
        Edge(source=s.LOADING, target=s.GRAFTING, gate=g.FIXED_FUNCTION_LOADED),
        Edge(source=s.TRAINING, target=s.GRAFTING, gate=g.RECONSTRUCTION),
        Edge(source=s.GRAFTING, target=s.STABILIZATION, gate=g.ALPHA_REACHED),
        Edge(source=s.STABILIZATION, target=s.EVALUATING, gate=g.SETTLED),
        Edge(source=s.EVALUATING, target=s.FINE_TUNING, gate=g.POSITIVE_EFFECT),
        Edge(source=s.EVALUATING, target=s.ACTIVE, gate=g.FIXED_FUNCTION_EFFECT),
        Edge(source=s.FINE_TUNING, target=s.ACTIVE, gate=g.TOTAL_IMPROVEMENT),
        Edge(source=s.ACTIVE, target=s.FOSSILIZED, gate=g.HELD, outcome=o.FOSSILIZED),
    ]
    edges += [Edge(source=stage, target=s.ERROR_RECOVERY, gate=g.FAULTS) for stage in ADAPTING]
    edges += [Edge(source=s.ERROR_RECOVERY, target=s.DORMANT, gate=g.RECOVERY, outcome=o.CULLED)]
    edges += [
        Edge(source=stage, target=s.DORMANT, gate=g.CULL, outcome=o.CULLED)
        for stage in (s.TRAINING, s.EVALUATING, s.FINE_TUNING, s.ACTIVE)
    ]
    edges += [
        Edge(source=stage, target=s.DORMANT, gate=g.CANCEL, outcome=o.CANCELLED)
        for stage in (s.GERMINATING, s.LOADING, s.TRAINING)
    ]
    edges += [
        Edge(source=stage, target=s.DORMANT, gate=g.ROLLBACK, outcome=o.ROLLED_BACK)
        for stage in (s.GERMINATING, *ADAPTING, s.ERROR_RECOVERY)
    ]
    return LifecycleProfile(name="full", stages=tuple(Stage), edges=tuple(edges))


def _simplified() -> LifecycleProfile:
    s, g, o = Stage, Gate, Outcome
    return LifecycleProfile(
        name="simplified",
        stages=(s.DORMANT, s.LOADING, s.ACTIVE, s.ERROR_RECOVERY, s.FOSSILIZED),
        edges=(
            Edge(source=s.DORMANT, target=s.LOADING, gate=g.GERMINATION),
            Edge(source=s.LOADING, target=s.ACTIVE, gate=g.LOADED_BLEND),
            Edge(source=s.LOADING, target=s.ERROR_RECOVERY, gate=g.FAULTS),
            Edge(source=s.ACTIVE, target=s.FOSSILIZED, gate=g.COMMANDED, outcome=o.FOSSILIZED),
            Edge(source=s.ACTIVE, target=s.ERROR_RECOVERY, gate=g.FAULTS),
            Edge(source=s.ERROR_RECOVERY, target=s.DORMANT, gate=g.RECOVERY, outcome=o.CULLED),
            Edge(source=s.ERROR_RECOVERY, target=s.DORMANT, gate=g.ROLLBACK, outcome=o.ROLLED_BACK),
            # The assessed code resets a fossil; its adaptation was already concluded, so nothing concludes twice.
            Edge(source=s.FOSSILIZED, target=s.DORMANT, gate=g.RESET),
        ),
    )


FULL: Final = _full()
SIMPLIFIED: Final = _simplified()
PROFILES: Final = {profile.name: profile for profile in (FULL, SIMPLIFIED)}
