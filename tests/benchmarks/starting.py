"""How long ``regrow runs`` takes to start, in new processes, and what it does not import."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measuring import figure, say, wall

from domain.endings import RunEnding
from domain.events import EpochCompleted, EpochMetrics, RunEnded, RunStarted
from engine.journal.journal import Journal
from engine.recording import JournalSink
from engine.trainers.live.fingerprint import fingerprint
from scenarios import composition, specification

LIMIT = 0.5
ROUNDS = 7
RUNS = 5
HEAVY = ("torch", "polars", "scipy", "sklearn", "networkx")
COMMAND = "import sys; sys.argv = ['regrow', *sys.argv[1:]]; from scenarios.cli import main; main()"
IMPORTED = (
    "import atexit, sys; atexit.register(lambda: sys.stderr.write(' '.join(sys.modules))); "
    + COMMAND.partition("; ")[2]
)
ALTERNATIVES = {
    "python -c pass": "pass",
    "import pydantic, typer": "import pydantic, typer",
    "import numpy": "import numpy",
    "regrow runs": COMMAND,
}


def record(url: str) -> None:
    """A few runs that ended."""
    chosen = specification.load("digits")
    run, _, _ = composition.header(chosen, 1, None, None, fingerprint(1))
    metrics = EpochMetrics(train_loss=0.5, train_accuracy=0.8, validation_loss=0.6, validation_accuracy=0.75)
    with Journal.open(url) as journal:
        for number in range(RUNS):
            sink = JournalSink(journal, journal.new_run_id(f"run-{number}"))
            sink.seal(0, [RunStarted(epoch=0, header=run), *composition.first_library()], "", "")
            for epoch in range(1, 20):
                sink.seal(
                    epoch, [EpochCompleted(epoch=epoch, metrics=metrics, parameters=1, weights_digest="")], "", ""
                )
            sink.seal(20, [RunEnded(epoch=20, ending=RunEnding.COMPLETED, reason="done")], "", "")


def python(code: str, url: str) -> Callable[[], subprocess.CompletedProcess[str]]:
    """A new interpreter that runs ``code`` as the command would be run. Byte code is kept, as pip keeps it."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    given["PYTHONPYCACHEPREFIX"] = str(Path(url.removeprefix("sqlite:///")).parent / "bytecode")
    command = [sys.executable, "-c", code, "runs", "--journal", url]
    return lambda: subprocess.run(command, check=True, capture_output=True, text=True, env=given)


def children() -> float:
    """CPU seconds of all processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the figures."""
    say(f"starting: a new process, least of {ROUNDS} in turns; CPU time beside it, as other work takes the clock's")
    walls: dict[str, list[float]] = {name: [] for name in ALTERNATIVES}
    cpus: dict[str, list[float]] = {name: [] for name in ALTERNATIVES}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'journal.db'}"
        record(url)
        for number in range(ROUNDS + 1):
            for name, code in ALTERNATIVES.items():
                before = children()
                taken = wall(python(code, url))
                if number:  # the first compiles
                    walls[name].append(taken)
                    cpus[name].append(children() - before)
        done = python(IMPORTED, url)()
    assert len(done.stdout.splitlines()) == RUNS, done.stdout
    imported = set(done.stderr.split())
    for name in ALTERNATIVES:
        best = min(walls[name])
        judged = name == "regrow runs"
        figure(
            name,
            f"{best * 1e3:.0f} ms",
            f"{LIMIT * 1e3:.0f} ms" if judged else "",
            met=best <= LIMIT if judged else None,
        )
        figure("    CPU", f"{min(cpus[name]) * 1e3:.0f} ms")
    heavy = [name for name in HEAVY if name in imported]
    figure(f"modules imported, of them {', '.join(HEAVY)}", f"{len(imported)}, {len(heavy)}", "0", met=not heavy)
    figure("numpy imported", "yes" if "numpy" in imported else "no")
