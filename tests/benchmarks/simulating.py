"""What a simulated run costs: 100 epochs, 4 layers of 16 seeds, ``as_designed``, recorded in full in a SQLite journal."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from measuring import figure, in_turns, say

from domain.header import RunHeader
from domain.identifiers import Epoch
from domain.karn.no_invention import NoInvention
from domain.run import RunState
from domain.tamiyo.as_designed import AsDesigned
from engine.journal.journal import Journal
from engine.recording import JournalSink
from engine.session import Session
from engine.sink import Discard
from engine.trainers.simulated.dynamics import Dynamics
from engine.trainers.simulated.fitting import fit
from engine.trainers.simulated.stores import Deferred
from engine.trainers.simulated.trainer import SimulatedTrainer
from engine.trainers.stores import MemoryStore
from engine.trainers.trainer import Trained
from scenarios import composition, specification
from scenarios.runs import simulation

LIMIT: Final = 0.05
EPOCHS: Final = 100
ROUNDS: Final = 12
FITTED_TO: Final = ("never_grow", "as_designed", "always_grow", "random_growth")
KEYS: Final = 2


def timed(dynamics: Dynamics, costs: list[float]) -> SimulatedTrainer:
    """A simulated trainer that adds the CPU seconds of each epoch that it trains to ``costs``."""
    trainer = SimulatedTrainer(dynamics, MemoryStore())
    train = trainer.train

    def measured(epoch: Epoch, state: RunState) -> Trained:
        began = time.process_time()
        trained = train(epoch, state)
        costs.append(time.process_time() - began)
        return trained

    trainer.train = measured  # type: ignore[method-assign]
    return trainer


def fitted(journal: Journal, scenario: str) -> tuple[Dynamics, float]:
    """Dynamics of a scenario from a few short live runs, and the CPU seconds that fitting took."""
    from engine.trainers.live.fingerprint import fingerprint
    from engine.trainers.live.tolaria import LiveTrainer

    chosen = specification.load(scenario, {"training.epochs": 60})
    for name in FITTED_TO:
        for key in range(KEYS):
            run_id = journal.new_run_id(f"{scenario}-{name}-{key}")
            header, tamiyo, karn = composition.header(chosen, key, name, None, fingerprint(1))
            trainer = LiveTrainer(composition.data(header), journal.blobs(run_id))
            Session(trainer, tamiyo, karn, JournalSink(journal, run_id)).run(header, composition.first_library())
    runs = [journal.events(run_id) for run_id in journal.runs()]
    began = time.process_time()
    return fit(runs), time.process_time() - began


def large(dynamics: Dynamics, scenario: str) -> RunHeader:
    """The header of a run of 64 seeds."""
    overrides = {"training.epochs": EPOCHS, "host.hidden": [64] * 4, "host.seeds_per_layer": 16}
    chosen = specification.load(scenario, overrides)
    return simulation.simulated_header(chosen, 1, "as_designed", None, dynamics)[0]


def recorded(journal: Journal, dynamics: Dynamics, header: RunHeader, *, deferred: bool) -> None:
    """One run with everything: events, seals, and the checkpoints that are still kept at its end."""
    run_id = journal.new_run_id("simulated")
    store = Deferred(journal.blobs(run_id))
    trainer = SimulatedTrainer(dynamics, store if deferred else journal.blobs(run_id))
    sink = JournalSink(journal, run_id, together=simulation.EPOCHS_TOGETHER if deferred else 1)
    Session(trainer, AsDesigned(), NoInvention(), sink).run(header, composition.first_library())
    store.settle()


def discarded(trainer: SimulatedTrainer, header: RunHeader) -> None:
    """One run of which nothing is recorded."""
    Session(trainer, AsDesigned(), NoInvention(), Discard()).run(header, composition.first_library())


def main() -> None:
    """Print the figures."""
    say(f"simulating: CPU time of {EPOCHS} epochs with 64 seeds, median of {ROUNDS} runs")
    with tempfile.TemporaryDirectory() as folder, Journal.open(f"sqlite:///{Path(folder) / 'journal.db'}") as journal:
        dynamics, fitting = fitted(journal, "xor4")
        header = large(dynamics, "xor4")
        epochs: list[float] = []
        watched = timed(dynamics, epochs)
        costs = in_turns(
            {
                "recorded": lambda: recorded(journal, dynamics, header, deferred=True),
                "each checkpoint written at once": lambda: recorded(journal, dynamics, header, deferred=False),
                "discarded": lambda: discarded(watched, header),
            },
            ROUNDS,
        )
    whole = statistics.median(costs["recorded"])
    figure("a run, recorded in full", f"{whole * 1e3:.1f} ms", f"{LIMIT * 1e3:.0f} ms", met=whole <= LIMIT)
    at_once = statistics.median(costs["each checkpoint written at once"])
    figure("  with each checkpoint written to the disk at once", f"{at_once * 1e3:.1f} ms")
    figure("  with nothing recorded", f"{statistics.median(costs['discarded']) * 1e3:.1f} ms")
    figure("  of which the simulated trainer, an epoch", f"{statistics.median(epochs) * 1e6:.0f} us")
    figure(f"fitting dynamics to {len(FITTED_TO) * KEYS} runs of 60 epochs", f"{fitting:.1f} s")
