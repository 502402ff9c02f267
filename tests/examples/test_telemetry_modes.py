"""Telemetry in recorded runs: switched in the midst of one, verified by training again, resumed to the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.events import EpochCompleted, LayerHealthReported
from domain.health import EXTRAS, RAW
from engine.checkers import check
from engine.session import EpochView
from scenarios.lab import Lab
from tests.support.commands import Shell

SETTINGS = {"training.epochs": 20, "tamiyo_config.plateau_patience": 4}


def extras(lab: Lab, run: str) -> dict[int, tuple[str, ...]]:
    """The optional columns of the reports, by epoch."""
    events = lab.journal.events(run)
    return {event.epoch: event.report.extras for event in events if isinstance(event, LayerHealthReported)}


def weights(lab: Lab, run: str) -> list[str]:
    return [event.weights_digest for event in lab.journal.events(run) if isinstance(event, EpochCompleted)]


def test_a_fork_switches_telemetry_without_another_effect_and_trains_again_to_the_bit(tmp_path: Path) -> None:
    with Lab(f"sqlite:///{tmp_path}/journal.db") as lab:
        quiet = lab.run("xor4", key=1, tamiyo="never_grow", overrides=SETTINGS).run
        loud = lab.fork(quiet, 10, overrides={"training.telemetry.mode": "debug"}).run

        assert set(extras(lab, quiet).values()) == {()}
        assert {epoch for epoch, told in extras(lab, loud).items() if told == EXTRAS} == set(range(11, 21))
        assert weights(lab, loud) == weights(lab, quiet)
        assert lab.verify(loud, retrain=True).rung == 4


@pytest.mark.parametrize("mode", ["debug", "sampling"])
def test_under_privacy_a_recorded_run_holds_no_raw_activation(tmp_path: Path, mode: str) -> None:
    private = {**SETTINGS, "safety.privacy_mode": True, "training.telemetry.mode": mode}
    with Lab(f"sqlite:///{tmp_path}/journal.db") as lab:
        run = lab.run("xor4", key=1, overrides={**private, "training.telemetry.sampling_rate": 0.5}).run

        assert set(extras(lab, run).values()) - {()} == {("activation_mean",)}
        assert check(lab.journal.events(run)) == []
        assert not any(name.encode() in row.state for row in lab.journal.raw(run) for name in RAW)


def test_a_run_in_debug_mode_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    settings = {**SETTINGS, "training.telemetry.mode": "debug"}

    def cut(view: EpochView) -> None:
        if view.state.epoch == 12:
            raise KeyboardInterrupt

    with Lab(f"sqlite:///{tmp_path}/whole.db") as lab:
        whole = lab.run("xor4", key=1, overrides=settings)
    with Lab(f"sqlite:///{tmp_path}/cut.db") as lab:
        with pytest.raises(KeyboardInterrupt):
            lab.run("xor4", key=1, overrides=settings, watch=cut)
        (run,) = lab.journal.runs()
        assert lab.resume(run).digest == whole.digest


def test_an_unknown_mode_is_one_clear_line(tmp_path: Path) -> None:
    answer = Shell(tmp_path).inside("run", "xor4", "--set", "training.telemetry.mode=loud")

    assert answer.code == 2
    assert "training.telemetry.mode" in answer.complaint
