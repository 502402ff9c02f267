"""``regrow run --bus memory:``: both ends in one process, and whatever befalls messages on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domain.events import ControllerSilent
from engine.journal.journal import Journal
from scenarios.runs import simulation
from tests.support.commands import Shell
from tests.support.planted_dynamics import planted

GROWS = ("run", "xor4", "--tamiyo", "random_growth?probability=0.3", "--epochs", "20", "--key", "3", "--json")
DISTURBED = "memory:?delay=0.05&duplicate=0.05&lose=0.05&reorder=0.05"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The run as it is recorded without a bus."""
    return dict(Shell(tmp_path_factory.mktemp("local")).inside(*GROWS).document)


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "both.log").read_text().splitlines()]


@pytest.mark.parametrize(("bus", "kinds"), [("memory:", 0), (DISTURBED, 4)])
def test_the_run_is_the_same_whatever_befalls_its_messages(
    tmp_path: Path, local: dict[str, Any], bus: str, kinds: int
) -> None:
    answer = Shell(tmp_path).inside(*GROWS, "--bus", bus, "--log", "both.log")

    assert answer.document == local
    *_, closed = logged(tmp_path)
    assert (closed["event"], len(closed["befell"]), closed["dead_letters"]) == ("bus.closed", kinds, 0)
    decided = [line for line in logged(tmp_path) if line["event"] == "decision.reached"]
    assert decided and all(line["reason"] for line in decided)


def test_decisions_that_come_epochs_late_are_missed_alike_each_time_and_the_run_is_verified(tmp_path: Path) -> None:
    options = (*GROWS, "--epochs", "40", "--bus", "memory:?delay=0.15&epochs=1")
    first, again = (Shell(tmp_path / name).inside(*options) for name in ("first", "again") if _made(tmp_path / name))

    assert first.document == again.document
    with Journal.open(f"sqlite:///{tmp_path}/first/journal.db") as journal:
        silent = [event for event in journal.events(first.document["run"]) if isinstance(event, ControllerSilent)]
    assert 0 < len(silent) < 40
    verified = Shell(tmp_path / "first").inside("verify", first.document["run"], "--retrain", "--json").document
    assert verified["rung"] == 4


def test_a_simulated_run_is_decided_over_a_bus_too(tmp_path: Path) -> None:
    simulation.write(planted(), tmp_path / "dynamics.json")
    options = ("--trainer", "simulated", "--dynamics", str(tmp_path / "dynamics.json"), "--epochs", "60", "--json")
    digests = []
    for name, bus in (("with", ("--bus", DISTURBED)), ("without", ())):
        _made(tmp_path / name)
        digests.append(Shell(tmp_path / name).inside("run", "spirals", *options, *bus).document["digest"])

    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "xor4", "--bus", "memory:?dely=0.1"), "memory: takes delay, duplicate, lose, reorder"),
        (("tamiyo", "--bus", "memory:"), "which nobody else can meet; use nats://host:port"),
        (("dead-letters", "--bus", "memory:"), "which nobody else can meet; use nats://host:port"),
    ],
)
def test_what_a_bus_in_memory_is_not_for_is_refused_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    answer = Shell(tmp_path).inside(*arguments)

    assert answer.code == 2
    assert said in answer.complaint
    assert Shell(tmp_path).inside("runs", "--json").document == []


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
