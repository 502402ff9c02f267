"""An analysis of runs, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.analysis.correlation import INFORMED_MIN, SAMPLES_MIN
from domain.analysis.model_graph import GraphNode, LayerCondition
from domain.analysis.node_features import NODE_FEATURES
from scenarios.runs.analysing import Analysis, RunAnalysis

_PARAMETERS: Final = NODE_FEATURES.index("parameters")
_IN: Final = NODE_FEATURES.index("in_degree")
_OUT: Final = NODE_FEATURES.index("out_degree")


def analysis_lines(told: Analysis) -> list[str]:
    """Each run's network, then the decisions of all of them."""
    lines = []
    for each in told.runs:
        lines += [*_network(each), ""]
    return [*lines, *_decisions(told)]


def _network(told: RunAnalysis) -> Iterator[str]:
    model = told.model
    yield (
        f"run {told.run} at epoch {told.epoch}: {len(model.nodes)} nodes, {len(model.edges)} edges, "
        f"{len(model.problematic)} of {len(model.layers)} layers problematic"
    )
    if not told.reported:
        yield "no layer has reported yet: all that follows is at its default"
    width = max(len(node.name) for node in model.nodes)
    yield f"{'node':{width}}  kind       health  parameters  in  out"
    for node in model.nodes:
        yield _node(node, width)
    for layer in model.layers:
        yield from _layer(layer)
    yield (
        f"overall health {model.overall_health:.3f} ({model.health_trend:+.4f} an epoch), "
        f"gradient health {model.gradient_health:.3f}, training stability {model.training_stability:.3f}, "
        f"system efficiency {model.system_efficiency:.3f}, stability {model.stability:.3f}"
    )


def _node(node: GraphNode, width: int) -> str:
    said = node.features
    parameters = round(10.0 ** said[_PARAMETERS] - 1)
    return f"{node.name:{width}}  {node.kind:9}  {said[0]:6.3f}  {parameters:10}  {said[_IN]:2.0f}  {said[_OUT]:3.0f}"


def _layer(layer: LayerCondition) -> Iterator[str]:
    health = "not measured" if layer.health is None else f"{layer.health:.3f} ({layer.trend:+.4f} an epoch)"
    yield f"layer {layer.layer}: health {health}; {'problematic:' if layer.problems else 'nothing wrong'}"
    for problem in layer.problems:
        yield f"  {problem.rule}: {problem.detail}"


def _decisions(told: Analysis) -> Iterator[str]:
    count = len(told.rewards)
    if not count:
        yield "no decision was rewarded (runs from before rule R6 record no rewards)"
        return
    trend = f"trend {told.reward_trend:+.3f}" if told.reward_trend else "no trend shown"
    yield f"{count} decisions rewarded, mean {sum(told.rewards) / count:+.3f}, {trend}"
    if count < SAMPLES_MIN:
        yield f"correlations need {SAMPLES_MIN} rewarded decisions; name more runs"
    elif not told.correlations:
        yield "no correlation of decisions and outcomes shown (p < 0.05)"
    for pair in told.correlations:
        yield (
            f"  {pair.feature} and {pair.outcome.value.lower()}: {pair.coefficient:+.3f} "
            f"(p = {pair.p_value:.2g}, {pair.samples} decisions)"
        )
    if told.mutual_information is None:
        yield f"what confidence tells of success needs {INFORMED_MIN} rewarded decisions"
    else:
        yield f"confidence tells {told.mutual_information:.3f} nats of success"
