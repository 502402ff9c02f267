"""A trainer process and a Tamiyo process over a real NATS server: the run is the same run, whoever is killed."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.events import BreakerMoved, ControllerSilent, GrowthPaused, GrowthResumed, SeedGerminated
from engine.journal.journal import Journal
from engine.oona.addresses import open_bus
from engine.oona.envelope import value_envelope
from engine.oona.topics import Topic
from engine.service.messages import ANSWERED, DecisionRequest
from engine.trainers.stores import MemoryStore
from scenarios.experiments.nats_server import NatsServer, running
from tests.support.commands import Shell, ended

LOOK_S = 0.01
"""How long a parent waits between two looks into the journal that its child writes."""
GROWS = ("run", "xor4", "--tamiyo", "random_growth?probability=0.3", "--epochs", "30", "--key", "3", "--json")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running(tmp_path_factory.mktemp("nats")) as started:
        yield started


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The run as one process records it."""
    return dict(Shell(tmp_path_factory.mktemp("local")).ask(*GROWS[:-1]))


@contextmanager
def tamiyo(shell: Shell, server: NatsServer) -> Iterator[subprocess.Popen[str]]:
    """A service that is interrupted at the end, if nobody killed it before."""
    service = shell.start("tamiyo", "--bus", server.url, "--log", "tamiyo.log", "--json")
    try:
        yield service
    finally:
        service.send_signal(signal.SIGINT)
        ended(service)


def when_sealed(shell: Shell, epochs: int, run: subprocess.Popen[str]) -> None:
    """Wait until the journal holds so many epochs of the only run, or the run is over."""
    while run.poll() is None:
        if shell.journal.is_file():
            with Journal.open(f"sqlite:///{shell.journal}") as journal:
                if sum(len(journal.heads(name)) for name in journal.runs()) >= epochs:
                    return
        try:
            run.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("the run was over before anything happened to it")


def test_two_processes_record_what_one_records_and_the_service_says_why(
    tmp_path: Path, server: NatsServer, local: dict[str, Any]
) -> None:
    shell = Shell(tmp_path)
    service = shell.start("tamiyo", "--bus", server.url, "--once", local["run"], "--log", "tamiyo.log", "--json")
    answer = shell.regrow(*GROWS, "--bus", server.url)

    assert answer.code == 0, answer.err
    assert answer.document == local
    counted = ended(service)
    assert counted.code == 0, counted.err
    assert (counted.document["runs_followed"], counted.document["messages_rejected"]) == (1, 0)
    said = [json.loads(line) for line in (tmp_path / "tamiyo.log").read_text().splitlines()]
    decided = [line for line in said if line["event"].startswith("decision.re")]
    assert len(decided) == counted.document["total_decisions_made"] > 0
    assert all(line["reason"] for line in decided)


def test_a_bus_that_has_a_run_of_this_name_takes_no_other(tmp_path: Path, server: NatsServer) -> None:
    short = ("run", "xor4", "--tamiyo", "never_grow", "--epochs", "2", "--patience", "0.2", "--bus", server.url)
    assert Shell(tmp_path / "here").regrow(*short).code == 0
    refused = Shell(tmp_path / "there").regrow(*short)

    assert refused.code == 2
    assert refused.complaint.endswith("already; run it again to take the next name")


def test_an_order_to_a_run_that_nobody_records_is_refused(tmp_path: Path, server: NatsServer) -> None:
    refused = Shell(tmp_path).regrow("pause", "nobody", "--bus", server.url)

    assert refused.code == 2
    assert refused.complaint.endswith("nobody records a run 'nobody' there")


def disturbed(
    shell: Shell, server: NatsServer, disturb: Callable[[], None], epochs: int = 8
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """A run that is disturbed as soon as it has sealed so many epochs; its document and its events."""
    run = shell.start(*GROWS, "--bus", server.url)
    when_sealed(shell, epochs, run)
    disturb()
    answer = ended(run)
    assert answer.code == 0, answer.err
    with Journal.open(f"sqlite:///{shell.journal}") as journal:
        return dict(answer.document), journal.events(answer.document["run"])


def test_a_service_that_is_killed_and_started_again_changes_nothing(tmp_path: Path, local: dict[str, Any]) -> None:
    shell = Shell(tmp_path / "run")
    with running(tmp_path / "nats") as server:
        first = shell.start("tamiyo", "--bus", server.url, "--log", "first.log")
        second: list[subprocess.Popen[str]] = []

        def kill() -> None:
            first.kill()
            ended(first)
            second.append(shell.start("tamiyo", "--bus", server.url, "--log", "second.log"))

        document, _ = disturbed(shell, server, kill)
        second[0].send_signal(signal.SIGINT)
        assert ended(second[0]).code == 0

    assert document == local


def test_a_broker_that_is_killed_and_started_again_changes_nothing(tmp_path: Path, local: dict[str, Any]) -> None:
    shell = Shell(tmp_path / "run")
    with running(tmp_path / "nats") as server, tamiyo(shell, server):

        def kill() -> None:
            server.kill()
            server.start()

        document, _ = disturbed(shell, server, kill)

    assert document == local


def test_without_a_service_the_run_ends_well_and_verifies(tmp_path: Path, server: NatsServer) -> None:
    shell = Shell(tmp_path)
    options = ("--epochs", "12", "--key", "4", "--patience", "0.3", "--log", "trainer.log", "--json")
    run = shell.ask("run", "xor4", "--tamiyo", "always_grow", *options[:-1], "--bus", server.url)

    assert run["ending"] == "COMPLETED"
    with Journal.open(f"sqlite:///{shell.journal}") as journal:
        events = journal.events(run["run"])
    assert sum(isinstance(event, ControllerSilent) for event in events) == 12
    assert [event.breaker for event in events if isinstance(event, BreakerMoved)] == ["tamiyo"]
    said = [json.loads(line)["event"] for line in (tmp_path / "trainer.log").read_text().splitlines()]
    assert {"recovery.tried", "breaker.moved"} <= set(said)
    assert shell.ask("verify", run["run"])["rung"] == 3
    assert shell.ask("verify", run["run"], "--retrain")["rung"] == 4


def test_a_message_that_is_no_command_is_put_aside_with_a_reason(tmp_path: Path, local: dict[str, Any]) -> None:
    shell = Shell(tmp_path / "run")
    with running(tmp_path / "nats") as server, tamiyo(shell, server):
        bus = open_bus(server.url, MemoryStore())
        forged = DecisionRequest(epoch=1, position=1, memory="{}")
        run = local["run"]
        message = value_envelope(
            forged, kind=ANSWERED, name="forged", source="x", run=run, stream="x", sequence=1, epoch=0
        )
        bus.publish(Topic.KASMINA_COMMANDS, message)
        answer = shell.regrow(*GROWS, "--bus", server.url)
        bus.close()
        (letter,) = shell.ask("dead-letters", "--bus", server.url)
        said = shell.inside("dead-letters", "--bus", server.url).out

    assert answer.document == local
    assert "holds no ControlBatch" in letter["reason"] and "forged" in letter["payload"]
    assert said == f"{letter['subject']}, for {letter['consumer']}: {letter['reason']}\n"


def test_growth_is_paused_and_resumed_over_the_bus(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "run")
    settings = ("host.hidden=[8]", "host.seeds_per_layer=4", "tamiyo_config.max_active_seeds=4")
    settings = (*settings, "tamiyo_config.allow_concurrent_adaptations=true")
    options = [part for setting in settings for part in ("--set", setting)]
    eager = ("--tamiyo", "random_growth?probability=0.9", "--epochs", "120", *options)
    with running(tmp_path / "nats") as server, tamiyo(shell, server):
        process = shell.start("run", "xor4", *eager, "--bus", server.url, "--json")
        when_sealed(shell, 5, process)
        with Journal.open(f"sqlite:///{shell.journal}") as journal:
            (run,) = journal.runs()
        for order, epochs in (("pause", 20), ("unpause", 0)):
            assert shell.inside(order, run, "--bus", server.url, "--by", "test", "--json").document["run"] == run
            when_sealed(shell, epochs, process)
        answer = ended(process)

    assert answer.code == 0, answer.err
    with Journal.open(f"sqlite:///{shell.journal}") as journal:
        events = journal.events(run)
    (paused,) = (event.epoch for event in events if isinstance(event, GrowthPaused))
    (resumed,) = (event.epoch for event in events if isinstance(event, GrowthResumed))
    germinated = [event.epoch for event in events if isinstance(event, SeedGerminated)]
    assert not any(paused <= epoch < resumed for epoch in germinated)
    assert max(germinated) >= resumed, "growth went on"
    assert shell.ask("verify", run, "--retrain")["rung"] == 4
