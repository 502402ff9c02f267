"""Every view by the name that SQL gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from projections.adaptation_rewards import AdaptationRewards
from projections.adaptations import Adaptations
from projections.blueprint_performance import BlueprintPerformance
from projections.blueprints import Blueprints
from projections.correlations import Correlations
from projections.decisions import Decisions
from projections.epochs import Epochs
from projections.errors import UnknownView
from projections.field_reports import FieldReports
from projections.layer_health import LayerHealth
from projections.model_graph import ModelGraph
from projections.rewards import Rewards
from projections.runs import Runs
from projections.seed_performance import SeedPerformances
from projections.seed_timeline import SeedTimeline
from projections.view import View
from projections.violation_history import ViolationHistory

VIEWS: Final[Mapping[str, type[View]]] = {
    Runs.NAME: Runs,
    Epochs.NAME: Epochs,
    LayerHealth.NAME: LayerHealth,
    SeedTimeline.NAME: SeedTimeline,
    Decisions.NAME: Decisions,
    Adaptations.NAME: Adaptations,
    FieldReports.NAME: FieldReports,
    Blueprints.NAME: Blueprints,
    Rewards.NAME: Rewards,
    AdaptationRewards.NAME: AdaptationRewards,
    Correlations.NAME: Correlations,
    SeedPerformances.NAME: SeedPerformances,
    BlueprintPerformance.NAME: BlueprintPerformance,
    ModelGraph.NAME: ModelGraph,
    ViolationHistory.NAME: ViolationHistory,
}


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The names, once each and in the order of ``VIEWS``. Raises UnknownView."""
    wanted = list(names)
    for name in wanted:
        if name not in VIEWS:
            near = get_close_matches(name, VIEWS, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(VIEWS)}"
            raise UnknownView(f"there is no view {name!r}; {hint}")
    return tuple(name for name in VIEWS if name in wanted)
