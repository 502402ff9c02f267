"""Writing and reading back a run, beside what the eventsourcing library does by default, in one process."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from measuring import Work, figure, in_turns, paired, say, wall

from domain.commands import GraftingStrategy, Reads
from domain.events import AlphaChanged, DomainEvent, RunStarted, SeedGerminated, StageChanged
from domain.identifiers import AdaptationId, SeedId
from domain.lifecycle import Gate, Stage
from domain.run import RunState, rebuild
from domain.seed import Seed, evolve
from engine.journal.journal import Journal
from engine.journal.seals import GENESIS_HEAD, Head
from engine.trainers.live.fingerprint import fingerprint
from scenarios import composition, specification
from scenarios.lab import Lab

APPEND_LIMIT, REBUILD_LIMIT = 3.0, 6.0
BATCH = 100
BATCHES = 10
"""Batches of one turn."""
ROUNDS = 12
READS = 15
REPEATS = 20
"""Rebuilds of one turn."""


class Run(Aggregate):
    """The same run as an aggregate of the library: what its tutorial shows."""

    def __init__(self) -> None:
        self.stages: dict[str, str] = {}
        self.alphas: dict[str, float] = {}

    @event("AlphaChanged")
    def change_alpha(self, epoch: int, layer: int, index: int, alpha: float, steps: float, reason: str) -> None:
        """An event of ours with the same fields."""
        self.alphas[f"{layer}.{index}"] = alpha

    @event("StageChanged")
    def change_stage(
        self,
        epoch: int,
        layer: int,
        index: int,
        source: str,
        target: str,
        gate: str,
        reason: str,
        validation_accuracy: float,
    ) -> None:
        """An event of ours with the same fields."""
        self.stages[f"{layer}.{index}"] = target


class Theirs:
    """The library's default path: application, aggregate, JSON transcoder, its SQLite recorder."""

    def __init__(self, path: Path, run: Any = None) -> None:
        environment = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
        self.application: Application[UUID] = Application(env=environment)
        self.run: Any = run or Run()
        self.application.save(self.run)
        self.epoch = 0

    def append(self) -> None:
        self.epoch += 1
        for number in range(BATCH // 2):
            self.run.change_alpha(self.epoch, 0, number % 2, number / BATCH, float(number), "step 1 of 5, moved on")
            self.run.change_stage(
                self.epoch,
                0,
                number % 2,
                Stage.GRAFTING.value,
                Stage.STABILIZATION.value,
                Gate.ALPHA_REACHED.value,
                "alpha 1.00 reached 1",
                0.75,
            )
        self.application.save(self.run)

    def read(self) -> Any:
        return self.application.repository.get(self.run.id)


class Generic(Aggregate):
    """A real run in the library, told as generically as can be: its events are not even made into objects again."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}

    @event("Happened")
    def happened(self, kind: str, content: dict[str, Any]) -> None:
        """Any event of ours."""
        self.last[kind] = content


class Ours:
    """Events made, sealed and appended as a session does it; read back, checked and folded as ``show`` does it."""

    def __init__(self, url: str) -> None:
        self.journal = Journal.open(url)
        self.epoch = -1
        self.head: Head = GENESIS_HEAD
        run, _, _ = composition.header(specification.load("digits"), 1, None, None, fingerprint(1))
        library = composition.first_library()
        opened = [self.germinated(index, library) for index in (0, 1)]
        self.seal([RunStarted(epoch=0, header=run), *library, *opened])

    @staticmethod
    def germinated(index: int, library: Sequence[DomainEvent]) -> SeedGerminated:
        first: Any = library[0]
        return SeedGerminated(
            epoch=0,
            adaptation=AdaptationId(seed=SeedId(layer=0, index=index), attempt=1),
            blueprint_id=first.blueprint_id,
            reads=Reads.BOTH,
            grafting=GraftingStrategy.FIXED_RAMP,
            validation_accuracy=0.75,
            validation_loss=0.6,
        )

    def seal(self, events: Sequence[DomainEvent]) -> None:
        self.epoch += 1
        _, self.head = self.journal.seal_epoch(
            "run",
            self.head.position + 1,
            events,
            epoch=self.epoch,
            state_digest="0" * 64,
            memory_digest="0" * 64,
        )

    def append(self) -> None:
        epoch = self.epoch + 1
        events: list[DomainEvent] = []
        for number in range(BATCH // 2):
            seed = SeedId(layer=0, index=number % 2)
            blend = AlphaChanged(
                epoch=epoch, seed=seed, alpha=number / BATCH, steps=float(number), reason="step 1 of 5, moved on"
            )
            moved = StageChanged(
                epoch=epoch,
                seed=seed,
                source=Stage.GRAFTING,
                target=Stage.STABILIZATION,
                gate=Gate.ALPHA_REACHED,
                reason="alpha 1.00 reached 1",
                validation_accuracy=0.75,
            )
            events += (blend, moved)
        self.seal(events)

    def read(self) -> RunState:
        return rebuild(self.journal.events("run"))


def batches(store: Ours | Theirs) -> Work:
    """A turn of ``store``."""

    def append() -> None:
        for _ in range(BATCHES):
            store.append()

    return append


def appending(folder: Path, synchronous: str, label: str, *, judged: bool) -> tuple[Ours, Theirs]:
    ours = Ours(f"sqlite:///{folder / f'ours-{synchronous}.db'}?synchronous={synchronous}")
    theirs, again = Theirs(folder / f"theirs-{synchronous}.db"), Theirs(folder / f"again-{synchronous}.db")
    turns = {"ours": batches(ours), "theirs": batches(theirs), "again": batches(again)}
    costs = in_turns(turns, ROUNDS)
    clock = in_turns(turns, ROUNDS // 3, warm_up=1, cost=wall)
    again.application.close()
    ratio, null = paired(costs["theirs"], costs["ours"]), paired(costs["again"], costs["theirs"]) - 1
    limit, met = (f"{APPEND_LIMIT:.0f}x", ratio >= APPEND_LIMIT) if judged else ("", None)
    each = {name: statistics.median(costs[name]) / BATCHES / BATCH * 1e6 for name in ("ours", "theirs")}
    figure(f"create and append in batches of {BATCH}, {label}", f"{ratio:.1f}x", limit, met=met)
    figure("    us of CPU an event, ours and theirs", f"{each['ours']:.0f}, {each['theirs']:.0f}")
    figure("    by the clock, waiting for the disk included", f"{paired(clock['theirs'], clock['ours']):.1f}x")
    figure("    theirs twice: resolution", f"{null:+.1%}")
    return ours, theirs


def rebuilding(ours: Ours, theirs: Theirs) -> None:
    costs = in_turns({"ours": ours.read, "theirs": theirs.read, "again": theirs.read}, READS)
    events = {"ours": ours.head.position, "theirs": theirs.run.version}
    each = {name: [cost / events[name] for cost in costs[name]] for name in events}
    ratio, null = paired(each["theirs"], each["ours"]), paired(costs["again"], costs["theirs"]) - 1
    figure(f"rebuild a whole run of {events['ours']:,} events, an event", f"{ratio:.1f}x")
    best = {name: statistics.median(each[name]) * 1e6 for name in each}
    figure("    us of CPU an event, ours and theirs", f"{best['ours']:.1f}, {best['theirs']:.1f}")
    figure("    theirs twice: resolution", f"{null:+.1%}")


def repeated(work: Callable[[], object]) -> Work:
    """One turn of many rebuilds: a single one is shorter than what the other side leaves in the processor's caches."""

    def turn() -> None:
        for _ in range(REPEATS):
            work()

    return turn


def rebuilding_a_seed(folder: Path) -> None:
    """One aggregate of a hundred events on either side, loaded, decoded, validated and folded."""
    ours, theirs = Ours(f"sqlite:///{folder / 'seed.db'}"), Theirs(folder / "seed-theirs.db")
    ours.append()
    theirs.append()
    planted, filled = (head.position for head in ours.journal.heads("run"))
    name = SeedId(layer=0, index=0)
    planting = rebuild(ours.journal.events("run", 0, planted)).seed(name)

    def read() -> Seed:
        return reduce(evolve, ours.journal.events("run", planted, filled), planting)

    turns = {"ours": repeated(read), "theirs": repeated(theirs.read), "again": repeated(theirs.read)}
    costs = in_turns(turns, READS)
    ratio, null = paired(costs["theirs"], costs["ours"]), paired(costs["again"], costs["theirs"]) - 1
    figure(f"rebuild a seed of {BATCH} events", f"{ratio:.1f}x", f"{REBUILD_LIMIT:.0f}x", met=ratio >= REBUILD_LIMIT)
    each = {name: statistics.median(costs[name]) / REPEATS / BATCH * 1e6 for name in ("ours", "theirs")}
    figure("    us of CPU an event, ours and theirs", f"{each['ours']:.1f}, {each['theirs']:.1f}")
    figure("    theirs twice: resolution", f"{null:+.1%}")
    ours.journal.close()
    theirs.application.close()


def real_run(folder: Path) -> None:
    """The rebuild of a run as it is recorded: a third of its events are health reports, a third seals."""
    with Lab(f"sqlite:///{folder / 'real.db'}") as lab:
        run_id = lab.run("digits", key=1).run
        events = lab.journal.events(run_id)
        theirs = Theirs(folder / "generic.db", Generic())
        for start in range(0, len(events), BATCH):
            for one in events[start : start + BATCH]:
                theirs.run.happened(one.TOPIC, json.loads(one.model_dump_json()))
            theirs.application.save(theirs.run)
        turns = {"ours": lambda: rebuild(lab.journal.events(run_id)), "theirs": theirs.read}
        costs = in_turns(turns, READS * 2)
        theirs.application.close()
    each = {name: statistics.median(costs[name]) / len(events) * 1e6 for name in costs}
    figure(
        f"rebuild {len(events)} events of a digits run, theirs left as JSON", f"{each['theirs'] / each['ours']:.1f}x"
    )
    figure("    us of CPU an event, ours and theirs", f"{each['ours']:.1f}, {each['theirs']:.1f}")


def main() -> None:
    """Print the figures."""
    say(
        "storing: CPU time beside eventsourcing's default path (aggregate, JSON, its SQLite recorder), files in one folder"
    )
    folder = Path(tempfile.mkdtemp())
    try:
        rebuilding_a_seed(folder)
        ours, theirs = appending(folder, "full", "both synchronous=full", judged=False)
        rebuilding(ours, theirs)
        real_run(folder)
        ours.journal.close()
        theirs.application.close()
        ours, theirs = appending(folder, "normal", "each with its own default setting", judged=True)
        ours.journal.close()
        theirs.application.close()
    finally:
        shutil.rmtree(folder)
