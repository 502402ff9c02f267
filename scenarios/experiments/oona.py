"""One process against two over a NATS server, undisturbed, disturbed, and with the server killed: ``make oona``.

Each run must be the same run, digest for digest. A trainer process trains and asks, a service process decides; 5 % of all
messages are duplicated, 5 % delayed and 5 % reordered on each way, to the server and from it; the server is killed as by
a power cut right after an epoch was sealed, and started again on the files that it left.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, final

from domain.events import DecisionMade, SeedGerminated
from engine.oona.bus import Bus
from engine.oona.faults import FaultKind, SeededFaults
from engine.service.log import Silence
from engine.session import EpochView
from scenarios.experiments.disturbed import DisturbedBus
from scenarios.experiments.golden import HASTY
from scenarios.experiments.nats_server import running
from scenarios.lab import Lab
from scenarios.runs.remote import Remote, service

SCENARIO: Final = "spirals"
TAMIYO: Final = "as_designed"
EPOCHS: Final = 40
KEYS: Final = 5
KILLED_AT: Final = 17
"""The epoch after which the server is killed."""
SHARES: Final = {FaultKind.DUPLICATED: 0.05, FaultKind.DELAYED: 0.05, FaultKind.REORDERED: 0.05}
TURN_S: Final = 0.5


@final
class Way(Enum):
    """How a run is recorded."""

    ONE = "one process"
    TWO = "two processes"
    DISTURBED = "15 % disturbed"
    KILLED = "server killed"


@final
@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording a run in one way."""

    run: str
    digest: str
    decisions: int
    germinations: int
    disturbed: int = 0
    """Messages that something befell."""


@final
class _Counted:
    """A count that a process leaves behind in a file: a byte each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> None:
        with self._path.open("ab") as file:
            file.write(b".")

    @property
    def total(self) -> int:
        """Counted so far, by whomever."""
        return self._path.stat().st_size if self._path.exists() else 0


def recorded(way: Way, key: int, folder: Path, run: str = "") -> Recorded:
    """Record the run of ``key``, which one process calls ``run``, in a folder of its own."""
    folder.mkdir()
    journal, count = f"sqlite:///{folder}/journal.db", _Counted(folder / "disturbed")
    if way is Way.ONE:
        _awaited(_process(partial(_train, journal, key, None, None)))
    else:
        through = partial(_disturbed, key, count) if way is Way.DISTURBED else _as_it_is
        with running(folder / "nats") as server:
            killed = server.pid if way is Way.KILLED else None
            deciding = _process(partial(_decide, server.url, f"sqlite:///{folder}/service.db", run, through))
            training = _process(partial(_train, journal, key, Remote(server.url, through=through), killed))
            if killed is not None:
                server.start_again()
            _awaited(training)
            _awaited(deciding)
    with Lab(journal) as lab:
        (result,) = lab.results()
        events = lab.journal.events(result.run)
        decisions = sum(isinstance(event, DecisionMade) for event in events)
        germinations = sum(isinstance(event, SeedGerminated) for event in events)
        return Recorded(result.run, result.digest, decisions, germinations, count.total)


def _train(journal: str, key: int, elsewhere: Remote | None, killed: int | None) -> None:
    def watch(view: EpochView) -> None:
        if killed is not None and view.state.epoch == KILLED_AT:
            os.kill(killed, signal.SIGKILL)

    with Lab(journal) as lab:
        overrides = {**HASTY, "training.epochs": EPOCHS}
        lab.run(SCENARIO, tamiyo=TAMIYO, key=key, overrides=overrides, watch=watch, elsewhere=elsewhere)


def _decide(url: str, journal: str, run: str, through: Callable[[Bus], Bus]) -> None:
    with Lab(journal) as lab, service(url, lab.journal, Silence(), through) as serving:
        while not serving.ended(run):
            serving.turn(TURN_S)


def _as_it_is(bus: Bus) -> Bus:
    return bus


def _disturbed(key: int, count: _Counted, bus: Bus) -> Bus:
    return DisturbedBus(bus, SeededFaults(key, SHARES), "publisher", count)


def _process(work: Callable[[], None]) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    return process


def _awaited(process: BaseProcess) -> None:
    process.join()
    assert process.exitcode == 0, f"a process ended with {process.exitcode}"


def main() -> None:
    """Record every run in every way, print a line for each, and say whether all of them are equal."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--keys", type=int, default=KEYS, help="run keys 0 to this, less one")
    keys, equal = range(asked.parse_args().keys), 0
    titles = "".join(f"{way.value:18}" for way in Way)
    sys.stdout.write(f"{SCENARIO}, {TAMIYO}, {EPOCHS} epochs\nkey  {titles}decisions  germinations  disturbed\n")
    with tempfile.TemporaryDirectory() as folder:
        for key in keys:
            one = recorded(Way.ONE, key, Path(folder) / f"{key}-{Way.ONE.name}")
            others = [recorded(way, key, Path(folder) / f"{key}-{way.name}", one.run) for way in list(Way)[1:]]
            equal += sum(other.digest == one.digest for other in others)
            digests = "".join(f"{each.digest[:12]:18}" for each in (one, *others))
            disturbed = sum(other.disturbed for other in others)
            line = f"{key:<5}{digests}{one.decisions:9}  {one.germinations:12}  {disturbed:9}\n"
            sys.stdout.write(line)
            sys.stdout.flush()
    total = len(keys) * (len(Way) - 1)
    sys.stdout.write(f"{equal} of {total} equal to the run of one process\n")
    sys.exit(0 if equal == total else 1)


if __name__ == "__main__":
    main()
