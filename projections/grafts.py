"""What a run's blueprints are called and how large they are where they are grafted."""

from __future__ import annotations

from typing import Any, final

from domain.blueprint import BlueprintGraph
from domain.commands import Reads
from domain.events import BlueprintRegistered, RunStarted
from domain.header import LayerLayout
from domain.identifiers import BlueprintId, SeedId
from domain.shapes import ShapeMismatch, parameter_count


@final
class BlueprintNames:
    """What each run calls its blueprints."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, str]] = {}

    def registered(self, run: str, event: BlueprintRegistered) -> None:
        """A blueprint got its name."""
        self._names.setdefault(run, {})[event.blueprint_id] = event.metadata.name

    def name(self, run: str, blueprint: str) -> str | None:
        """What the run calls it; None for one that was never registered."""
        return self._names.get(run, {}).get(blueprint)

    def forget(self, run: str) -> None:
        """The run has ended."""
        self._names.pop(run, None)

    def memory(self) -> Any:
        """All of it, as JSON."""
        return self._names

    def remember(self, memory: Any) -> None:
        """Go on with what ``memory`` gave."""
        self._names = memory


@final
class Sizes:
    """How many parameters a blueprint has in a slot. Graphs are kept once for all runs: their id is their hash."""

    def __init__(self) -> None:
        self._graphs: dict[str, BlueprintGraph] = {}
        self._layouts: dict[str, tuple[LayerLayout, ...]] = {}
        self._known: dict[tuple[str, int, int], int | None] = {}

    def started(self, run: str, event: RunStarted) -> None:
        """A run has a layout."""
        self._layouts[run] = event.header.layout

    def registered(self, event: BlueprintRegistered) -> None:
        """A blueprint has a graph."""
        self._graphs.setdefault(event.blueprint_id, event.graph)

    def parameters(self, run: str, seed: SeedId, blueprint: BlueprintId, reads: Reads) -> int | None:
        """Parameters of ``blueprint`` in this slot; None where it does not fit, or run or blueprint are unknown."""
        layout = self._layouts.get(run, ())
        if seed.layer >= len(layout) or seed.index >= layout[seed.layer].seeds:
            return None
        layer = layout[seed.layer]
        key = (blueprint, layer.read_width(reads, seed.index), layer.chunk_width(seed.index))
        if key not in self._known:
            self._known[key] = self._count(*key)
        return self._known[key]

    def _count(self, blueprint: str, read: int, chunk: int) -> int | None:
        graph = self._graphs.get(blueprint)
        if graph is None:
            return None
        try:
            return parameter_count(graph, read=read, chunk=chunk)
        except ShapeMismatch:
            return None

    def forget(self, run: str) -> None:
        """The run has ended."""
        self._layouts.pop(run, None)

    def memory(self) -> Any:
        """Graphs and layouts, as JSON."""
        return {
            "graphs": {name: graph.model_dump_json() for name, graph in self._graphs.items()},
            "layouts": {run: [layer.model_dump_json() for layer in layout] for run, layout in self._layouts.items()},
        }

    def remember(self, memory: Any) -> None:
        """Go on with what ``memory`` gave."""
        self._graphs = {
            name: BlueprintGraph.model_validate_json(graph, strict=False) for name, graph in memory["graphs"].items()
        }
        self._layouts = {
            run: tuple(LayerLayout.model_validate_json(layer) for layer in layout)
            for run, layout in memory["layouts"].items()
        }
        self._known = {}
