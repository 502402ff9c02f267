"""Telemetry beyond the metrics: its modes, and what privacy never lets into an event."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from domain.events import DomainEvent, LayerHealthReported, RunStarted
from domain.health import EXTRAS, METRICS, RAW, LayerHealthReport
from domain.safety import SafetyConfig
from domain.settings import TelemetryMode, TelemetrySettings, TrainingSettings
from domain.values import Column
from engine.checkers import check_privacy
from engine.journal.claims import check_in, redeem
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import MemoryStore
from scenarios.tasks import spirals
from tests.support.headers import small_header
from tests.support.live_runs import TASK, HandRun, header

torch.set_num_threads(1)
DEBUG = TelemetrySettings(mode=TelemetryMode.DEBUG)


def reports(
    telemetry: TelemetrySettings, epochs: int, *, private: bool = False, seeds: int = 2
) -> list[LayerHealthReport]:
    """What the first layer reports in each epoch."""
    made = header(TASK, 2, hidden=(20,), seeds=seeds, telemetry=telemetry, batch_size=32)
    made = made.model_copy(update={"safety": SafetyConfig(privacy_mode=private)})
    run = HandRun(LiveTrainer(spirals.load, MemoryStore()), made)
    return [run.train().reports[0] for _ in range(epochs)]


def test_production_tells_the_metrics_alone_and_writes_what_it_always_wrote() -> None:
    (report,) = reports(TelemetrySettings(), 1)

    assert report.extras == ()
    assert not set(EXTRAS) & json.loads(report.model_dump_json()).keys()
    assert "telemetry" not in json.loads(TrainingSettings(epochs=1).model_dump_json())


def test_debug_tells_mean_least_and_largest_of_every_seed_and_measures_in_every_epoch() -> None:
    first, second = reports(DEBUG, 2)

    assert first.extras == EXTRAS
    assert first.chunk_variance != second.chunk_variance
    for mean, least, most in zip(*(getattr(first, name) for name in EXTRAS), strict=True):
        assert 0.0 <= least < mean < most  # of a layer with ReLU


def test_what_is_told_changes_nothing_in_the_network_or_in_the_metrics() -> None:
    bare, told = reports(TelemetrySettings(), 1)[0], reports(DEBUG, 1)[0]

    assert all(getattr(bare, name) == getattr(told, name) for name in METRICS)


def test_sampling_tells_a_tenth_of_the_seeds_each_in_its_turn() -> None:
    told = reports(TelemetrySettings(mode=TelemetryMode.SAMPLING), 10, seeds=10)
    heard = [np.flatnonzero(~np.isnan(report.activation_mean)).tolist() for report in told if report.activation_mean]

    assert [len(seeds) for seeds in heard] == [1] * 10
    assert sorted(seed for (seed,) in heard) == list(range(10))


@pytest.mark.parametrize("mode", list(TelemetryMode))
def test_under_privacy_no_mode_tells_an_activation_as_it_was(mode: TelemetryMode) -> None:
    told = reports(TelemetrySettings(mode=mode, sampling_rate=1.0), 2, private=True)

    assert [set(report.extras) & set(RAW) for report in told] == [set(), set()]
    assert mode is TelemetryMode.PRODUCTION or told[0].extras == ("activation_mean",)


def test_a_checker_finds_raw_activations_under_privacy_whoever_let_them_in() -> None:
    raw = LayerHealthReport.silent(0, 2).model_copy(update={"activation_max": Column([1.0, 2.0])})
    told: list[DomainEvent] = [LayerHealthReported(epoch=1, report=raw)]

    def broken(private: bool) -> list[str]:
        started = RunStarted(epoch=0, header=small_header(safety=SafetyConfig(privacy_mode=private)))
        return list(check_privacy([started, *told]))

    assert broken(private=False) == []
    assert broken(private=True) == ["epoch 1: layer 0 reports activation_max although privacy mode is on"]


def test_columns_of_a_report_have_one_length_those_that_are_optional_too() -> None:
    columns: dict[str, Any] = {name: Column([0.0, 0.0]) for name in METRICS}
    with pytest.raises(ValueError, match="one length"):
        LayerHealthReport(layer=0, **columns, activation_mean=Column([1.0]))


def test_a_claim_holds_the_optional_columns_as_well() -> None:
    (report,) = reports(DEBUG, 1)
    event = LayerHealthReported(epoch=1, report=report)
    store = MemoryStore()
    state = event.model_dump_json().encode()

    claim = check_in(event, state, store)
    assert b"activation_mean" not in claim
    assert redeem(claim, store) == state
