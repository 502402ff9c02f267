"""Small versions of two experiments: planted catastrophes are caught, many adaptations lose nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from domain.endings import RunEnding
from scenarios.experiments.catastrophes import KINDS, judged, table
from scenarios.experiments.cycles import activations, adapted, drift
from tests.support.live_runs import spiral_run

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("kind", "endings"),
    [
        ("not_a_number", {"CULLED (ERROR_RECOVERY)"}),
        ("exploding_gradient", {"CULLED (ERROR_RECOVERY)"}),
        ("accuracy_drop", {"ROLLED_BACK (TAMIYO)", "ROLLED_BACK (TOLARIA)"}),
    ],
)
def test_a_planted_catastrophe_is_caught_and_the_host_is_the_checkpoint_s(kind: str, endings: set[str]) -> None:
    verdict = judged(kind, key=1, epochs=60)

    assert verdict.is_caught, verdict
    assert verdict.endings and set(verdict.endings) <= endings
    assert (verdict.is_whole, verdict.is_reported, verdict.is_sound) == (True, True, True)
    assert verdict.ending is RunEnding.COMPLETED
    assert f"| {kind} | 1 of 1 |" in table([verdict])
    assert (verdict.cost > 0.1) == (kind == "accuracy_drop")
    assert (max(verdict.epochs_in_host) > 1) == (kind == "not_a_number"), "the bomb goes off when it has learnt"


def test_every_planted_kind_has_a_graph_of_the_ordinary_primitives() -> None:
    assert list(KINDS) == ["not_a_number", "exploding_gradient", "accuracy_drop"]
    assert len({graph.model_dump_json() for graph, _ in KINDS.values()}) == len(KINDS)


def test_adaptations_in_a_row_cost_no_accuracy_and_touch_no_other_layer() -> None:
    outcome = adapted(key=0, epochs=110)

    assert outcome.cycles >= 3
    assert outcome.holds, outcome
    assert outcome.twin_drift == 0.0
    assert outcome.compared > 1
    assert 0.0 < max(outcome.drifts) < 0.05


def test_drift_is_an_angle_and_no_length() -> None:
    before = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], np.float32)

    assert drift(before, before * 3) == pytest.approx(0.0)
    assert drift(before, np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], np.float32)) == pytest.approx(1.0)
    assert drift(before, -before) == pytest.approx(2.0)
    assert drift(before * 0, before) == 0.0


def test_looking_at_activations_leaves_no_trace() -> None:
    seen, unseen = spiral_run(hidden=(6, 6)), spiral_run(hidden=(6, 6))
    for _ in range(2):
        shapes = [given.shape for given in activations(seen.trainer, seen.state.epoch)]
        assert seen.train() == unseen.train()

    assert shapes == [(40, 6), (40, 6)]
