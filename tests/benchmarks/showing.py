"""How long ``regrow show --at`` takes on a run of 100,000 events, in this process and as a command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import figure, in_turns, say, wall

from domain.karn.no_invention import NoInvention
from domain.run import rebuild
from domain.tamiyo.as_designed import AsDesigned
from engine.recording import JournalSink
from engine.session import Session
from scenarios import composition
from scenarios.lab import Lab
from tests.support.headers import small_header
from tests.support.scripted_trainer import Curve, ScriptedTrainer

LIMIT = 0.3
EVENTS = 100_000
LAYERS = 16
ROUNDS = 5
RUN = "long"


def record(lab: Lab) -> int:
    """A run that goes on growing on a plateau; gives its last epoch."""
    header = small_header(layers=LAYERS, seeds=4, epochs=EVENTS // (LAYERS + 2), checkpoint_every=1000)
    accuracies = tuple(0.5 + 0.001 * (number % 7) for number in range(97))
    trainer = ScriptedTrainer(Curve(accuracies=accuracies))
    sink = JournalSink(lab.journal, lab.journal.new_run_id(RUN))
    Session(trainer, AsDesigned(), NoInvention(), sink).run(header, composition.first_library())
    return lab.head(RUN).epoch


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'journal.db'}"
        with Lab(url) as lab:
            last = record(lab)
            events = lab.head(RUN).position
            say(f"showing: a run of {events:,} events, {last:,} epochs, {LAYERS} layers; least of {ROUNDS} in turns")
            alternatives = {
                "show": lambda: lab.show(RUN, last),
                "plain": lambda: rebuild(lab.journal.events(RUN)),
                "rows": lambda: lab.journal.raw(RUN),
            }
            costs = {name: min(taken) for name, taken in in_turns(alternatives, ROUNDS, cost=wall).items()}
        command = [sys.executable, "-m", "scenarios.cli", "show", RUN, "--at", str(last), "--json", "--journal", url]
        given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        shell = min(
            wall(lambda: subprocess.run(command, check=True, capture_output=True, env=given)) for _ in range(ROUNDS)
        )
    figure("fetching the rows, nothing decoded", f"{costs['rows'] * 1e3:.0f} ms")
    figure("decoding and folding every event", f"{costs['plain'] * 1e3:.0f} ms")
    figure("show --at", f"{costs['show'] * 1e3:.0f} ms", f"{LIMIT * 1e3:.0f} ms", met=costs["show"] <= LIMIT)
    figure("the command, a new Python included", f"{shell * 1e3:.0f} ms")
