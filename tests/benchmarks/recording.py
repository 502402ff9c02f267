"""What recording costs of a live epoch: equal sessions side by side, one into a journal, two that discard."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hosts import HOSTS, header
from measuring import figure, in_turns, paired, say

from domain.events import DomainEvent, EpochSealed
from engine.journal.journal import Journal
from engine.recording import JournalSink
from engine.session import Session
from engine.sink import Discard, Sink
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import CheckpointStore, MemoryStore
from scenarios import composition

LIMIT = 0.02
ROUNDS = 80


class Timed:
    """A sink that keeps how long sealing took."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.costs: list[float] = []

    def seal(self, epoch: int, events: Sequence[DomainEvent], state_digest: str, memory_digest: str) -> EpochSealed:
        began = time.process_time()
        seal = self.sink.seal(epoch, events, state_digest, memory_digest)
        self.costs.append(time.process_time() - began)
        return seal


def planted(scenario: str, overrides: dict[str, Any], sink: Sink, store: CheckpointStore) -> Session:
    run, tamiyo, karn = header(scenario, overrides, "as_designed")
    session = Session(LiveTrainer(composition.data(run), store), tamiyo, karn, sink)
    session.plant(run, composition.first_library())
    return session


def measure(name: str, scenario: str, overrides: dict[str, Any], folder: Path, *, judged: bool) -> None:
    with Journal.open(f"sqlite:///{folder / (name[:16] + '.db')}") as journal:
        sink, discard = Timed(JournalSink(journal, "on")), Timed(Discard())
        sessions = {
            "on": planted(scenario, overrides, sink, MemoryStore()),
            "off": planted(scenario, overrides, discard, MemoryStore()),
            "off again": planted(scenario, overrides, Discard(), MemoryStore()),
            "whole": planted(scenario, overrides, JournalSink(journal, "whole"), journal.blobs("whole")),
        }
        costs = in_turns({which: session.step for which, session in sessions.items()}, ROUNDS)
        digest = cost_of_digests(sessions["on"])
        assert len({session.state.digest() for session in sessions.values()}) == 1, "the sessions did different things"
    epoch = statistics.median(costs["off"])
    recorded, null = paired(costs["on"], costs["off"]) - 1, paired(costs["off again"], costs["off"]) - 1
    sealing = (statistics.median(sink.costs) - statistics.median(discard.costs)) / epoch
    whole = paired(costs["whole"], costs["off"]) - 1
    limit, met = (f"{LIMIT:.0%}", recorded <= LIMIT) if judged else ("", None)
    say(f"{name}: {sessions['on'].state.parameters:,} parameters, {epoch * 1e3:.1f} ms of CPU an epoch")
    figure("recording on over off, whole epochs compared", f"{recorded:+.2%}", limit, met=met)
    figure("  the same between two sessions that discard: resolution", f"{null:+.2%}")
    figure("  the sink alone, its time over the epoch's", f"{sealing:+.2%}")
    figure("  and with the checkpoints on disk beside the journal", f"{whole:+.2%}")
    figure("  digests of state and memories, paid on and off alike", f"{digest / epoch:+.2%}")


def cost_of_digests(session: Session) -> float:
    """CPU seconds of the two digests of a seal, the best of 30."""
    work = {"digests": lambda: (session.state.digest(), session.memories.digest())}
    return min(in_turns(work, 30)["digests"])


def main() -> None:
    """Print the figures."""
    say("recording: CPU time of an epoch with a journal and without, median of the ratio of the same epoch")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, scenario, overrides) in enumerate(HOSTS):
            measure(name, scenario, overrides, Path(folder), judged=number == 0)
