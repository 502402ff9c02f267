"""Need and the twelve-field signal, on numbers that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.health import METRICS, HealthSignal, HealthWeights, LayerHealthReport, health_signals, need
from domain.identifiers import SeedId
from domain.values import Column

NAN = math.nan


def report(variance: list[float], dead: list[float], correlation: list[float], **more: object) -> LayerHealthReport:
    columns = {name: Column([0.25] * len(variance)) for name in METRICS}
    columns |= {
        "chunk_variance": Column(variance),
        "dead_node_ratio": Column(dead),
        "avg_inter_node_correlation": Column(correlation),
    }
    return LayerHealthReport(layer=1, **columns, **more)  # type: ignore[arg-type]


def test_need_weighs_lost_variance_dead_nodes_and_correlation() -> None:
    told = report([4.0, 1.0, 0.0], [0.0, 0.5, 1.0], [0.2, -0.5, 1.0])
    # 0.6 (1 - v) + 0.3 d + 0.1 |c|: 0 + 0 + 0.02; 0.45 + 0.15 + 0.05; 0.6 + 0.3 + 0.1
    assert list(need(told, HealthWeights())) == pytest.approx([0.02, 0.65, 1.0], abs=1e-15)


def test_a_chunk_that_could_not_be_measured_is_in_need() -> None:
    told = report([2.0, NAN], [0.0, NAN], [0.0, NAN])
    # the second: no variance (0.6), all dead (0.3), correlation 0
    assert list(need(told, HealthWeights())) == pytest.approx([0.0, 0.9], abs=1e-15)


def test_a_layer_without_any_variance_is_not_blamed_for_it() -> None:
    told = report([0.0, 0.0], [0.0, 1.0], [0.0, 0.0])
    assert list(need(told, HealthWeights())) == pytest.approx([0.0, 0.3], abs=1e-15)


def test_weights_are_renormalised() -> None:
    weights = HealthWeights(variance_weight=0.2, dead_node_weight=0.2, correlation_weight=0.0)
    told = report([1.0, 0.5], [0.0, 1.0], [1.0, 1.0])
    assert list(need(told, weights)) == pytest.approx([0.0, 0.75], abs=1e-15)


def test_weights_of_zero_find_no_need() -> None:
    weights = HealthWeights(variance_weight=0.0, dead_node_weight=0.0, correlation_weight=0.0)
    assert list(need(report([1.0], [1.0], [1.0]), weights)) == [0.0]


variances = st.floats(min_value=0) | st.just(NAN)


@given(st.lists(st.tuples(variances, st.floats(), st.floats()), min_size=1, max_size=6))
def test_need_is_a_share_whatever_was_measured(rows: list[tuple[float, float, float]]) -> None:
    variance, dead, correlation = (list(column) for column in zip(*rows, strict=True))
    found = list(need(report(variance, dead, correlation), HealthWeights()))
    assert all(0.0 <= value <= 1.0 for value in found), found


def test_a_signal_is_the_report_of_one_seed_with_its_health() -> None:
    told = report(
        [4.0, 1.0],
        [0.0, 0.5],
        [0.2, -0.5],
        error_counts=(0, 3),
        execution_latency_ms=0.5,
        cache_hit_rate=0.75,
        total_executions=12,
    )
    assert health_signals(told, 7, HealthWeights())[1] == HealthSignal(
        layer_id="layer_1",
        health_score=1.0 - need(told, HealthWeights())[1],
        gradient_norm=0.25,
        gradient_variance=0.25,
        gradient_sign_stability=0.25,
        param_norm_ratio=0.25,
        activation_sparsity=0.25,
        dead_neuron_ratio=0.5,
        error_count=3,
        execution_latency=0.5,
        cache_hit_rate=0.75,
        total_executions=12,
        seed_id=SeedId(layer=1, index=1),
        epoch=7,
    )
    assert health_signals(told, 7, HealthWeights())[1].health_score == pytest.approx(0.35, abs=1e-15)


def test_a_signal_has_the_twelve_fields_of_the_assessment_and_the_two_it_lacked() -> None:
    assert len(HealthSignal.model_fields) == 14
    assert {"seed_id", "epoch"} <= set(HealthSignal.model_fields)


def test_no_error_counts_are_no_errors() -> None:
    assert [signal.error_count for signal in health_signals(report([1.0], [0.0], [0.0]), 1, HealthWeights())] == [0]


def test_the_columns_of_a_report_have_one_length() -> None:
    with pytest.raises(ValidationError, match="must have one length"):
        report([1.0, 2.0], [0.0], [0.0, 0.0])
    with pytest.raises(ValidationError, match="3 error counts for 2 seeds"):
        report([1.0, 2.0], [0.0, 0.0], [0.0, 0.0], error_counts=(0, 0, 1))


def test_a_silent_layer_reports_nan_for_every_seed() -> None:
    silent = LayerHealthReport.silent(layer=2, seeds=3)
    assert silent.seeds == 3
    assert all(math.isnan(value) for name in METRICS for value in getattr(silent, name))
    assert list(need(silent, HealthWeights())) == pytest.approx([0.3] * 3), "no variance at all, and all dead"


def test_a_report_reads_by_seed_as_the_design_has_it() -> None:
    told = report([4.0, 1.0], [0.0, 0.5], [0.2, -0.5])
    by_seed = told.health_metrics_by_seed
    assert list(by_seed) == [0, 1]
    assert by_seed[1]["chunk_variance"] == 1.0 and by_seed[1]["dead_node_ratio"] == 0.5
