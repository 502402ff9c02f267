"""Which signals are kept, for what remark and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from domain.analysis.signals import SignalMemory, sift
from domain.health import METRICS, HealthWeights, LayerHealthReport
from domain.values import Column

CALM: dict[str, float] = {
    "chunk_variance": 1.0,
    "dead_node_ratio": 0.0,
    "avg_inter_node_correlation": 0.0,
    "activation_sparsity": 0.2,
    "gradient_norm": 0.5,
    "gradient_variance": 0.1,
    "gradient_sign_stability": 0.8,
    "param_norm_ratio": 1.0,
}
WEIGHTS = HealthWeights()


def report(seeds: int = 1, **said: Any) -> LayerHealthReport:
    """A layer of calm seeds; a metric that is said holds for the first of them."""
    columns = {name: Column([said.pop(name, CALM[name]), *[CALM[name]] * (seeds - 1)]) for name in METRICS}
    return LayerHealthReport(layer=2, **columns, **said)


def remarks(**said: Any) -> tuple[str, ...]:
    kept, _ = sift(SignalMemory(), report(**said), WEIGHTS)
    return kept[0].remarks if kept else ()


@pytest.mark.parametrize(
    ("said", "remark"),
    [
        ({"dead_node_ratio": 1.0, "chunk_variance": 0.0, "avg_inter_node_correlation": 1.0}, None),
        ({"gradient_norm": 5.1}, "steep-gradient"),
        ({"gradient_variance": 1.1}, "steep-gradient"),
        ({"gradient_sign_stability": 0.49}, "unsteady-gradient"),
        ({"param_norm_ratio": 2.1}, "moved-weights"),
        ({"param_norm_ratio": 0.4}, "moved-weights"),
        ({"error_counts": (1,)}, "errors"),
    ],
)
def test_a_signal_is_kept_for_what_there_is_to_remark(said: dict[str, Any], remark: str | None) -> None:
    # One seed is its layer's largest variance or all are 0, so its health is never under 0.3 by itself.
    assert remarks(**said) == (() if remark is None else (remark,))


def test_a_seed_in_need_is_kept() -> None:
    told = report(2, dead_node_ratio=1.0, chunk_variance=0.0)
    (kept,), _ = sift(SignalMemory(), told, WEIGHTS)

    assert str(kept.seed_id) == "2.0"
    assert kept.remarks == ("low-health",)
    assert kept.priority == pytest.approx(3.5 * 0.9 + 0.3)


def test_of_what_is_unremarkable_every_eighth_is_kept() -> None:
    memory, kept = SignalMemory(), []
    for _ in range(6):
        found, memory = sift(memory, report(4), WEIGHTS)
        kept += found

    assert [signal.remarks for signal in kept] == [("sampled",)] * 3


def test_unusual_health_is_told_from_ten_signals_on() -> None:
    memory = SignalMemory()
    for count in range(12):
        found, _ = sift(memory, report(2, dead_node_ratio=0.5), WEIGHTS)
        assert any("unusual-health" in signal.remarks for signal in found) == (count >= 10)
        _, memory = sift(memory, report(2), WEIGHTS)


def test_a_layer_twice_as_slow_as_usual_is_kept_whole() -> None:
    _, memory = sift(SignalMemory(), report(3, execution_latency_ms=1.0), WEIGHTS)
    kept, _ = sift(memory, report(3, execution_latency_ms=2.5), WEIGHTS)

    assert [signal.remarks for signal in kept] == [("slow",)] * 3


def test_the_most_pressing_signal_comes_first() -> None:
    told = report(2, gradient_norm=11.0, error_counts=(0, 3), cache_hit_rate=0.1, total_executions=101)
    kept, _ = sift(SignalMemory(), told, WEIGHTS)

    assert [(signal.seed_id.index, signal.priority) for signal in kept] == [
        (1, pytest.approx(0.3 + 6 + 1)),
        (0, pytest.approx(0.3 + 5 + 1)),
    ]


def test_what_was_not_measured_is_no_remark_of_its_own() -> None:
    _, memory = sift(SignalMemory(), LayerHealthReport.silent(2, 2), WEIGHTS)
    kept, _ = sift(memory, LayerHealthReport.silent(2, 2), WEIGHTS)

    assert {remark for signal in kept for remark in signal.remarks} <= {"low-health", "sampled"}


def test_another_layout_has_another_past() -> None:
    _, memory = sift(SignalMemory(), report(4), WEIGHTS)
    kept, _ = sift(memory, report(8), WEIGHTS)

    assert len(kept) == 1
