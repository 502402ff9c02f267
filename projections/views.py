"""Every view by the name that SQL gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from projections.adaptations import Adaptations
from projections.blueprints import Blueprints
from projections.decisions import Decisions
from projections.epochs import Epochs
from projections.errors import UnknownView
from projections.field_reports import FieldReports
from projections.layer_health import LayerHealth
from projections.rewards import Rewards
from projections.runs import Runs
from projections.seed_timeline import SeedTimeline
from projections.view import View

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
