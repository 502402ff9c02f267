"""The crucible of the simulated trainer: it predicts what the live one would measure."""

from __future__ import annotations

import pytest

from domain.blueprint import BlueprintGraph, BlueprintMetadata
from domain.commands import Reads
from domain.hardware import HardwareContext
from domain.urabrask.certificate import CrucibleStage
from domain.urza.catalogue import INITIAL, residual_mlp
from engine.trainers.live.crucible import examine
from engine.trainers.simulated.crucible import predicted
from tests.support.candidates import exploding, linear_map, not_a_number

HERE = HardwareContext()
USEFUL = 0.1


@pytest.mark.parametrize(("candidate", "metadata"), INITIAL, ids=[metadata.name for _, metadata in INITIAL])
def test_it_predicts_the_gain_of_the_catalogue(candidate: BlueprintGraph, metadata: BlueprintMetadata) -> None:
    foreseen = dict(predicted(candidate, metadata.default_reads, HERE).measures)
    measured = dict(examine(candidate, metadata.default_reads, HERE).measures)
    assert foreseen.keys() == measured.keys()
    assert foreseen["dynamic.gain"] == pytest.approx(measured["dynamic.gain"], abs=0.065)


@pytest.mark.parametrize(
    ("candidate", "stage"),
    [
        (not_a_number(), CrucibleStage.DYNAMIC),
        (residual_mlp(5000), CrucibleStage.DYNAMIC),
        (exploding(), CrucibleStage.ROBUSTNESS),
        (linear_map(), None),
    ],
)
def test_it_fails_what_the_live_one_fails(candidate: BlueprintGraph, stage: CrucibleStage | None) -> None:
    assert predicted(candidate, Reads.BOTH, HERE).failed_stage is stage


def test_more_features_gain_more_and_a_narrow_view_less() -> None:
    gains = [dict(predicted(residual_mlp(width), Reads.BOTH, HERE).measures)["dynamic.gain"] for width in (1, 4, 16)]
    assert gains == sorted(gains)
    assert dict(predicted(residual_mlp(16), Reads.CHUNK, HERE).measures)["dynamic.gain"] < USEFUL < gains[-1]
