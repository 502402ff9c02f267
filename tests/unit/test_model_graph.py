"""A network as a graph: nodes and edges from the layout, features in their order, defaults for what kept silent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from domain.analysis.figures import LayerFigures, figures
from domain.analysis.model_graph import ModelAnalysis, ModelPast, analyse, analysis, condition, global_metrics
from domain.analysis.node_features import EDGE_FEATURES, KINDS, NODE_FEATURES, UNMEASURED
from domain.health import METRICS, HealthWeights, LayerHealthReport, SeedProgress
from domain.values import Column
from tests.support.headers import small_header

HEADER = small_header(layers=3, seeds=2)
WEIGHTS = HealthWeights()


def report(layer: int, *, progress: tuple[SeedProgress, ...] = (), **said: Any) -> LayerHealthReport:
    """A report in which every metric of both seeds is 0.5 where nothing else is said."""
    columns = {name: Column(said.pop(name, (0.5, 0.5))) for name in METRICS}
    return LayerHealthReport(layer=layer, progress=progress, **columns, **said)


def network(*, progress: tuple[SeedProgress, ...] = ()) -> ModelAnalysis:
    return analyse(HEADER, [[report(0), report(1, progress=progress), report(2)]])


def named(told: ModelAnalysis, node: str) -> dict[str, float]:
    (found,) = (each for each in told.nodes if each.name == node)
    return dict(zip(NODE_FEATURES, found.features, strict=True))


def test_the_layers_follow_one_another_as_the_layout_says() -> None:
    told = network()

    assert [(node.name, node.kind) for node in told.nodes] == [(f"layer_{i}", "linear") for i in range(3)]
    assert [(edge.source, edge.target) for edge in told.edges] == [("layer_0", "layer_1"), ("layer_1", "layer_2")]


def test_a_blueprint_is_a_node_beside_its_layer() -> None:
    told = network(progress=(SeedProgress(index=1, memory_mb=40 * 16 / 1e6, gradient_norm=5.0),))
    edges = {(edge.source, edge.target) for edge in told.edges}
    grown = named(told, "seed_1.1")

    assert {("layer_0", "seed_1.1"), ("seed_1.1", "layer_2")} <= edges
    assert grown["parameters"] == pytest.approx(math.log10(41))
    assert grown["gradient_norm"] == math.tanh(1.0)
    assert [grown[f"is_{kind}"] for kind in KINDS] == [0.0] * 5
    names = [node.name for node in told.nodes]
    assert names.index("layer_0") < names.index("seed_1.1") < names.index("layer_2")


def test_a_node_has_all_23_features_with_its_degrees() -> None:
    told = network(progress=(SeedProgress(index=0),))

    assert len(NODE_FEATURES) == 23
    assert all(len(node.features) == 23 for node in told.nodes)
    assert {name: named(told, "layer_2")[f"{name}"] for name in ("in_degree", "out_degree", "degree")} == {
        "in_degree": 2.0,
        "out_degree": 0.0,
        "degree": 2.0,
    }


def test_features_are_scaled_as_the_source_scales_them() -> None:
    told = analyse(
        HEADER,
        [
            [
                report(
                    0,
                    gradient_norm=(4.0, 6.0),
                    gradient_variance=(3.0, 5.0),
                    param_norm_ratio=(1.0, 1.0),
                    execution_latency_ms=25.0,
                    total_executions=999,
                    error_counts=(2, 0),
                    cache_hit_rate=0.25,
                )
            ]
        ],
    )
    features = named(told, "layer_0")

    assert features["latency"] == features["errors"] == features["gradient_variance"] == 1.0
    assert features["gradient_norm"] == pytest.approx(math.tanh(1.0))
    assert features["param_norm_ratio"] == pytest.approx(math.tanh(math.log(1.000001)))
    assert features["executions"] == pytest.approx(0.5)
    assert features["cache_rate"] == 0.25
    assert features["is_linear"] == 1.0
    assert features["parameters"] == pytest.approx(math.log10(8 * 9 + 1))


def test_an_edge_knows_shapes_shares_and_patterns() -> None:
    told = network(progress=(SeedProgress(index=0),))
    edges = {(edge.source, edge.target): dict(zip(EDGE_FEATURES, edge.features, strict=True)) for edge in told.edges}

    straight = edges["layer_0", "layer_1"]
    assert len(EDGE_FEATURES) == 8
    assert (straight["shape_compatibility"], straight["linear_linear"]) == (1.0, 1.0)
    assert straight["source_share"] == pytest.approx(1 / 3), "the blueprint has no parameters here"
    assert edges["layer_0", "seed_1.0"]["shape_compatibility"] == 0.5
    assert edges["layer_0", "seed_1.0"]["linear_linear"] == 0.0


def test_what_kept_silent_has_the_defaults() -> None:
    silent = analyse(HEADER, [[LayerHealthReport.silent(layer, 2) for layer in range(3)]])
    nothing = analyse(HEADER, [])
    features = named(silent, "layer_0")

    assert (features["health"], features["sign_stability"]) == (UNMEASURED["health"], UNMEASURED["sign_stability"])
    assert (features["correlation"], features["gradient_norm"]) == (0.5, math.tanh(0.2))
    assert named(nothing, "layer_1")["cache_rate"] == 0.5
    assert silent.overall_health == nothing.overall_health == 0.5
    assert silent.problematic == nothing.problematic == ()


def test_global_metrics_are_the_formulas() -> None:
    told = global_metrics(
        (
            LayerFigures(
                0, health=0.2, gradient_norm=1.0, sign_stability=0.6, param_norm_ratio=1.5, cache_hit_rate=1.0
            ),
            LayerFigures(
                1, health=0.6, gradient_norm=5.0, sign_stability=0.8, param_norm_ratio=1.1, cache_hit_rate=0.0
            ),
        )
    )

    assert told["gradient_health"] == 1 / 4
    assert told["training_stability"] == pytest.approx((0.7 + 1 - 0.3) / 2)
    assert (told["system_efficiency"], told["overall_health"]) == (0.5, pytest.approx(0.4))


def test_metrics_stay_between_0_and_1_whatever_explodes() -> None:
    broken = LayerFigures(0, gradient_norm=math.inf, param_norm_ratio=math.inf, sign_stability=0.0)

    assert global_metrics((broken,)) == {
        "gradient_health": 0.0,
        "training_stability": 0.0,
        "system_efficiency": 0.5,
        "overall_health": 0.5,
    }


def test_a_layer_is_told_with_the_rule_that_made_it_a_problem() -> None:
    window = [[report(0), report(1, gradient_norm=(30.0, 30.0)), report(2)]]
    (problematic,) = analyse(HEADER, window).problematic

    assert problematic.layer == 1
    assert [problem.rule for problem in problematic.problems] == ["exploding-gradient"]
    assert problematic.problems[0].detail == "mean gradient norm 30 is over 10"


def test_only_the_last_hundred_epochs_count_and_twenty_scores_are_told() -> None:
    sick, well = [report(0, dead_node_ratio=(1.0, 1.0))], [report(0, dead_node_ratio=(0.0, 0.0))]
    told = analyse(HEADER, [sick] * 50 + [well] * 100)

    assert told == analyse(HEADER, [well] * 100)
    assert len(told.layers[0].scores) == 20


def test_epoch_by_epoch_is_the_same_as_all_at_once() -> None:
    generator = np.random.Generator(np.random.PCG64(3))
    window = [
        [report(layer, gradient_norm=generator.random(2), chunk_variance=generator.random(2)) for layer in range(3)]
        for _ in range(7)
    ]
    past = ModelPast()
    for reports in window:
        past = past.after(reports, WEIGHTS)

    assert analysis(HEADER, past) == analyse(HEADER, window)


def test_means_leave_out_what_was_not_measured() -> None:
    told = figures(report(0, gradient_norm=(math.nan, 3.0), gradient_sign_stability=(math.nan, math.nan)), WEIGHTS)

    assert (told.gradient_norm, told.sign_stability) == (3.0, None)
    assert condition(0, [told]).health == told.health == pytest.approx(1 - (0.3 * 0.5 + 0.1 * 0.5))
    assert figures(LayerHealthReport.silent(0, 2), WEIGHTS).health is None
