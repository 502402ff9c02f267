"""A network as a graph that can be judged: nodes with features, edges, problematic layers, trends, global metrics.

Source: the assessed ``ModelGraphAnalyzer`` and ``ModelGraphBuilder``, domain reference D7. The hosts here are multilayer
perceptrons, so a KasminaLayer is a linear node named ``layer_I`` and the edges follow the layout; every blueprint in the
host is a node of its own, ``seed_I.J``, beside the layer it grew in: it takes what that layer takes and gives to what
that layer gives to. The output layer reports nothing and is no node.

``analyse`` is pure: the run's header and the reports of its last epochs in, the analysis out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

from domain.analysis.figures import LayerFigures, figures, mean_of
from domain.analysis.node_features import Extent, edge_features, node_features
from domain.analysis.problems import Problem, health_trend, problems
from domain.analysis.trends import recent_trend, steadiness
from domain.header import LayerLayout, RunHeader
from domain.health import HealthWeights, LayerHealthReport, SeedProgress, need
from domain.shapes import BYTES_PER_PARAMETER
from domain.values import Value

if TYPE_CHECKING:
    import networkx as nx

WINDOW: Final = 100
"""Epochs that an analysis looks back."""
SCORES: Final = 20
"""Health scores told of each layer."""

HEALTH_UNKNOWN: Final = 0.5
"""Health of a network none of whose layers was measured."""


@final
class GraphNode(Value):
    """A layer, or a blueprint that grew in one."""

    name: str
    kind: str
    """linear for a layer of the host, blueprint for what grew."""
    features: tuple[float, ...]
    """As ``node_features.NODE_FEATURES``, shape (23,)."""


@final
class GraphEdge(Value):
    """What goes from one node to another."""

    source: str
    target: str
    features: tuple[float, ...]
    """As ``node_features.EDGE_FEATURES``, shape (8,)."""


@final
class LayerCondition(Value):
    """One layer of the host: how it is, how it goes, what is wrong with it."""

    layer: int
    health: float | None
    """Latest, [0, 1]; None where it was never measured."""
    scores: tuple[float, ...]
    """Its last 20 health scores, oldest first."""
    trend: float
    """Of health, an epoch, by its last five measurements."""
    problems: tuple[Problem, ...]


@final
class ModelAnalysis(Value):
    """The graph and what can be read out of it."""

    nodes: tuple[GraphNode, ...]
    """In an order in which everything comes after what it takes from."""
    edges: tuple[GraphEdge, ...]
    layers: tuple[LayerCondition, ...]
    """Every layer of the layout, in order."""
    stability: float
    """Of health and latency over the window, (0, 1]: the mean of both over all layers."""
    health_trend: float
    """Of the mean health of all layers, an epoch, by its last five measurements."""
    gradient_health: float
    """1 / (1 + mean gradient norm), [0, 1]."""
    training_stability: float
    """(mean sign stability + 1 - |1 - mean parameter norm ratio|) / 2, [0, 1]."""
    system_efficiency: float
    """Mean cache hit rate, [0, 1]."""
    overall_health: float
    """Mean health of the layers, [0, 1]; 0.5 where none was measured."""

    @property
    def problematic(self) -> tuple[LayerCondition, ...]:
        """The layers with something wrong."""
        return tuple(layer for layer in self.layers if layer.problems)


@final
@dataclass(frozen=True, slots=True)
class ModelPast:
    """What an analysis needs of a network's last hundred epochs. Begin with ``ModelPast()``; ``after`` adds an epoch."""

    layers: Mapping[int, tuple[LayerFigures, ...]] = field(default_factory=dict)
    """Of each layer that ever reported, oldest first."""
    latest: Mapping[int, LayerHealthReport] = field(default_factory=dict)
    """The last epoch's reports by layer."""

    def after(self, reports: Sequence[LayerHealthReport], weights: HealthWeights) -> ModelPast:
        """One epoch later. ``weights`` are those of the run's health score."""
        layers = dict(self.layers)
        for report in reports:
            layers[report.layer] = (*layers.get(report.layer, ()), figures(report, weights))[-WINDOW:]
        return ModelPast(layers, {report.layer: report for report in reports})


def analyse(header: RunHeader, window: Sequence[Sequence[LayerHealthReport]]) -> ModelAnalysis:
    """The network of ``header`` by its reports of the last epochs: oldest first, each epoch's together; 100 are read.

    Layers that reported nothing have the defaults of ``node_features.UNMEASURED``. Who analyses every epoch keeps a
    ``ModelPast`` and asks ``analysis``, which looks at no report twice.
    """
    past, weights = ModelPast(), header.tamiyo_config.health_weights
    for reports in window[-WINDOW:]:
        past = past.after(reports, weights)
    return analysis(header, past)


def analysis(header: RunHeader, past: ModelPast) -> ModelAnalysis:
    """The network of ``header`` by what is known of its past."""
    told = {layer.layer: past.layers.get(layer.layer, ()) for layer in header.layout}
    now = {layer: known[-1] if known else LayerFigures(layer=layer) for layer, known in told.items()}
    graph = _graph(header.layout, past.latest)
    return ModelAnalysis(
        nodes=_nodes(graph, now, past.latest, header.tamiyo_config.health_weights),
        edges=_edges(graph),
        layers=tuple(condition(layer, known) for layer, known in told.items()),
        stability=_stability(tuple(told.values())),
        health_trend=_overall_trend(tuple(told.values())),
        **global_metrics(tuple(now.values())),
    )


def condition(layer: int, window: Sequence[LayerFigures]) -> LayerCondition:
    """How a layer is whose last epochs, oldest first, are ``window``."""
    scores = [known.health for known in window if known.health is not None]
    return LayerCondition(
        layer=layer,
        health=scores[-1] if scores else None,
        scores=tuple(scores[-SCORES:]),
        trend=health_trend(window),
        problems=problems(window),
    )


def global_metrics(layers: Sequence[LayerFigures]) -> dict[str, float]:
    """gradient_health, training_stability, system_efficiency and overall_health of layers as they are now, each [0, 1].

    What no layer measured has the default of a silent layer. Source: D7.
    """
    norm = _or(mean_of([each.gradient_norm for each in layers]), 1.0)
    signs = _or(mean_of([each.sign_stability for each in layers]), 0.8)
    ratio = _or(mean_of([each.param_norm_ratio for each in layers]), 1.0)
    return {
        "gradient_health": 1.0 / (1.0 + max(norm, 0.0)),
        "training_stability": _share((signs + 1.0 - abs(1.0 - ratio)) / 2.0),
        "system_efficiency": _share(_or(mean_of([each.cache_hit_rate for each in layers]), 0.5)),
        "overall_health": _share(_or(mean_of([each.health for each in layers]), HEALTH_UNKNOWN)),
    }


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _share(value: float) -> float:
    """``value``, held within [0, 1]."""
    return min(max(value, 0.0), 1.0)


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _stability(layers: Sequence[Sequence[LayerFigures]]) -> float:
    steady = []
    for past in layers:
        steady.append(steadiness(_finite([each.health for each in past])))
        steady.append(steadiness(_finite([each.latency_ms for each in past])))
    return math.fsum(steady) / len(steady)


def _overall_trend(layers: Sequence[Sequence[LayerFigures]]) -> float:
    """The trend of the mean health of all layers, over the epochs in which each of them reported."""
    depth = min(map(len, layers))
    return recent_trend([mean_of([past[-back].health for past in layers]) for back in range(depth, 0, -1)])


# The graph


def layer_name(layer: int) -> str:
    """What the node of a layer is called."""
    return f"layer_{layer}"


def _graph(layout: Sequence[LayerLayout], latest: Mapping[int, LayerHealthReport]) -> nx.DiGraph:
    """Layers one after the other, and what grew in each of them beside it."""
    import networkx as nx

    graph = nx.DiGraph()
    for place, layer in enumerate(layout):
        extent = Extent(inputs=layer.inputs, outputs=layer.outputs, parameters=layer.outputs * (layer.inputs + 1))
        graph.add_node(layer_name(layer.layer), kind="linear", extent=extent, layer=layer.layer)
        if place:
            graph.add_edge(layer_name(layout[place - 1].layer), layer_name(layer.layer))
    for place, layer in enumerate(layout):
        report = latest.get(layer.layer)
        for entry in report.progress if report is not None else ():
            name = f"seed_{layer.layer}.{entry.index}"
            graph.add_node(name, kind="blueprint", extent=_grown(layer, entry), layer=layer.layer, progress=entry)
            if place:
                graph.add_edge(layer_name(layout[place - 1].layer), name)
            if place + 1 < len(layout):
                graph.add_edge(name, layer_name(layout[place + 1].layer))
    return graph


def _grown(layer: LayerLayout, entry: SeedProgress) -> Extent:
    """A blueprint's extent: its parameters are those that its memory holds; what it reads a report does not say."""
    parameters = round(entry.memory_mb * 1e6 / BYTES_PER_PARAMETER) if math.isfinite(entry.memory_mb) else 0
    return Extent(inputs=None, outputs=layer.chunk_width(entry.index), parameters=parameters)


def _nodes(
    graph: nx.DiGraph,
    now: Mapping[int, LayerFigures],
    latest: Mapping[int, LayerHealthReport],
    weights: HealthWeights,
) -> tuple[GraphNode, ...]:
    import networkx as nx

    found = []
    for name in nx.topological_sort(graph):
        held = graph.nodes[name]
        told = now[held["layer"]]
        if held["kind"] == "blueprint":
            told = _of_blueprint(latest[held["layer"]], held["progress"], weights)
        degrees = (graph.in_degree(name), graph.out_degree(name))
        found.append(
            GraphNode(name=name, kind=held["kind"], features=node_features(told, held["kind"], held["extent"], degrees))
        )
    return tuple(found)


def _of_blueprint(report: LayerHealthReport, entry: SeedProgress, weights: HealthWeights) -> LayerFigures:
    """What was measured of a blueprint and of the chunk that it grew in."""
    index = entry.index
    errors = report.error_counts[index] if index < len(report.error_counts) else 0
    known: dict[str, Any] = {}
    if index < report.seeds:
        known = {
            "health": 1.0 - need(report, weights)[index],
            "activation_variance": _known(report.chunk_variance[index]),
            "dead_node_ratio": _known(report.dead_node_ratio[index]),
            "correlation": _known(report.avg_inter_node_correlation[index]),
        }
    return LayerFigures(
        layer=report.layer,
        gradient_norm=_known(entry.gradient_norm),
        gradient_variance=_known(entry.gradient_variance),
        latency_ms=_known(entry.latency_ms),
        cache_hit_rate=_known(report.cache_hit_rate),
        executions=report.total_executions,
        errors=errors,
        **known,
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _edges(graph: nx.DiGraph) -> tuple[GraphEdge, ...]:
    whole = sum(graph.nodes[name]["extent"].parameters for name in graph)
    return tuple(
        GraphEdge(source=source, target=target, features=edge_features(graph.nodes[source], graph.nodes[target], whole))
        for source, target in graph.edges
    )
