"""Plants blueprints that ruin what they are grafted into, and tells whether each was caught: ``make catastrophes``.

Three kinds, each a graph that misbehaves on its own: one whose output becomes not-a-number after some epochs of
learning, one whose gradient explodes, one that costs a tenth of the accuracy. A run is given nothing else to grow. It
has caught its catastrophe if every adaptation ended CULLED or ROLLED_BACK with a field report, the host's weights and
Adam's moments of them are then bit for bit those of the checkpoint from before the blueprint touched it, and the run
went on to its end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Final, final

from domain.blueprint import BlueprintGraph, Combine, Op, node
from domain.commands import Reads
from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    CheckpointSaved,
    DomainEvent,
    FieldReportFiled,
    RollbackOrdered,
    SeedFaulted,
    StageChanged,
)
from domain.identifiers import Epoch, SeedId
from domain.lifecycle import ADAPTING, Outcome, Stage
from domain.urza.catalogue import INITIAL, Entry, entry, on_chunk, registrations, residual
from engine.checkers import check
from engine.session import EpochView, Session
from engine.sink import Tape
from engine.trainers.stores import MemoryStore
from scenarios import composition, specification
from scenarios.runs import trainers

if TYPE_CHECKING:
    from engine.trainers.live.tolaria import LiveTrainer

SCENARIO: Final = "spheres"
EPOCHS: Final = 90
"""Enough for the host to learn before anything is planted, so that there is something to lose."""
SQUARINGS: Final = 7
LOUDNESS: Final = 1.0
"""An output times this beyond 2 overflows when it is squared seven times: 2^128 is more than a float holds."""

Weights = Mapping[str, bytes]


def time_bomb() -> BlueprintGraph:
    """A residual MLP that adds p - p, where p is its own output times ``LOUDNESS`` to the power of 128.

    That is 0 with gradient 0 while the output is small, so it learns as any other; once it has learnt enough, p is
    infinite and p - p not a number.
    """
    harmless = residual(node("up", Op.LINEAR, "read", out=16), node("bent", Op.GELU, "up"), inner="bent")
    fuse = [node("p0", Op.SCALE, "out", factor=LOUDNESS)]
    fuse += [node(f"p{n + 1}", Op.MULTIPLY, f"p{n}", f"p{n}") for n in range(SQUARINGS)]
    last = fuse[-1].name
    return BlueprintGraph(
        nodes=(
            *harmless.nodes,
            *fuse,
            node("bomb", Op.SUBTRACT, last, last),
            node("armed", Op.ADD, "out", "bomb"),
        ),
        output="armed",
    )


def exploding() -> BlueprintGraph:
    """A residual MLP whose output is multiplied by a million, and with it its gradient."""
    quiet = residual(node("up", Op.LINEAR, "read", out=16), node("bent", Op.GELU, "up"), inner="bent")
    return BlueprintGraph(nodes=(*quiet.nodes, node("loud", Op.SCALE, "out", factor=1e6)), output="loud")


def harmful() -> BlueprintGraph:
    """A fixed function that turns its chunk against the host: -2 chunk in the place of chunk."""
    return on_chunk(node("out", Op.SCALE, "chunk", factor=-2.0), combine=Combine.BLEND)


def _planted(name: str, graph: BlueprintGraph, reads: Reads = Reads.BOTH) -> Entry:
    """An entry that promises the best, so that nothing but its conduct speaks against it."""
    return entry(name, graph, gain=0.2, stability=1.0, risk=0.0, text="A planted catastrophe", reads=reads)


KINDS: Final[Mapping[str, Entry]] = {
    "not_a_number": _planted("not_a_number", time_bomb()),
    "exploding_gradient": _planted("exploding_gradient", exploding()),
    "accuracy_drop": _planted("accuracy_drop", harmful(), Reads.CHUNK),
}


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of planting one kind in one run."""

    kind: str
    key: int
    endings: tuple[str, ...]
    """How each adaptation ended: the outcome, and by whom or through what."""
    epochs_in_host: tuple[int, ...]
    """Boundaries from the entry to GRAFTING to the end of each."""
    cost: float
    """Test accuracy that the first one would have cost at full blend, before it learnt anything."""
    faults: int
    is_whole: bool
    """Whether the host was the checkpoint's after each of them, bit for bit, and nothing was left in it."""
    is_reported: bool
    is_sound: bool
    """Whether every checker passes the run."""
    ending: RunEnding | None

    @property
    def is_caught(self) -> bool:
        """Whether nothing of it remained."""
        culled = all(ending.startswith((Outcome.CULLED.value, Outcome.ROLLED_BACK.value)) for ending in self.endings)
        lived = self.ending is RunEnding.COMPLETED and self.is_sound
        return bool(self.endings) and culled and self.is_whole and self.is_reported and lived


@final
@dataclass(slots=True)
class _Witness:
    """Watches the host of a run from epoch to epoch."""

    trainer: LiveTrainer
    saved: dict[int, Weights] = field(default_factory=dict)
    entered: dict[SeedId, int] = field(default_factory=dict)
    whole: list[bool] = field(default_factory=list)
    stays: list[int] = field(default_factory=list)
    cost: float | None = None

    def watch(self, view: EpochView) -> None:
        """Look at the host after a boundary."""
        for event in view.events:
            if isinstance(event, CheckpointSaved):
                self.saved[event.epoch] = self._host()
            if isinstance(event, StageChanged) and event.target is Stage.GRAFTING:
                self.entered[event.seed] = event.epoch
                self.cost = self._cost(event.seed, view) if self.cost is None else self.cost
        rollback = next((event for event in view.events if isinstance(event, RollbackOrdered)), None)
        for event in view.events:
            if isinstance(event, AdaptationConcluded):
                entered = self.entered.pop(event.adaptation.seed, event.epoch)
                reference = entered if rollback is None else rollback.checkpoint_epoch
                self.whole.append(self._host() == self.saved[reference])
                self.stays.append(event.epoch - entered)

    def _host(self) -> Weights:
        """The host's weights and what the optimizer remembers of them, by name, as bytes."""
        return {
            name: tensor.detach().numpy().tobytes()
            for name, tensor in self.trainer.network.tensors().items()
            if name.startswith(("host/", "optimizer/host/"))
        }

    def _cost(self, seed: SeedId, view: EpochView) -> float:
        """Test accuracy with the blueprint left out, less that with it at full blend."""
        layer = self.trainer.network.layers[seed.layer]
        graft = layer.grafts[seed.index]
        epoch, before = Epoch(view.state.epoch), graft.alpha
        without = self.trainer.score(epoch, "without")
        graft.alpha = 1.0
        layer.arrange()
        blended = self.trainer.score(epoch, "blended")
        graft.alpha = before
        layer.arrange()
        return without.accuracy - blended.accuracy


def judged(kind: str, key: int, epochs: int = EPOCHS) -> Verdict:
    """Run the scenario with nothing else to grow than the blueprint of ``kind``."""
    scenario = specification.load(SCENARIO, {"training.epochs": epochs, "training.checkpoint_every": 1})
    here = trainers.fingerprint(scenario.training.threads)
    header, tamiyo, karn = composition.header(scenario, key, f"as_designed?only={kind}", "no_invention", here)
    trainer: Any = trainers.live(header, MemoryStore())
    tape, witness = Tape(), _Witness(trainer)
    session = Session(trainer, tamiyo, karn, tape, watch=witness.watch)
    state = session.run(header, registrations(entries=(*INITIAL, KINDS[kind])))
    concluded = [event for event in tape.events if isinstance(event, AdaptationConcluded)]
    filed = [event.report.adaptation for event in tape.events if isinstance(event, FieldReportFiled)]
    return Verdict(
        kind=kind,
        key=key,
        endings=tuple(_endings(tape.events)),
        epochs_in_host=tuple(witness.stays),
        cost=witness.cost or 0.0,
        faults=sum(isinstance(event, SeedFaulted) for event in tape.events),
        is_whole=all(witness.whole) and not any(seed.stage in ADAPTING for seed in state.seeds.values()),
        is_reported=filed == [event.adaptation for event in concluded],
        is_sound=not check(tape.events),
        ending=state.ending,
    )


def _endings(events: Sequence[DomainEvent]) -> Iterator[str]:
    """The outcome of each adaptation, and what led to it."""
    ordered: dict[int, str] = {
        event.epoch: event.source.value for event in events if isinstance(event, RollbackOrdered)
    }
    for before, event in pairwise(events):
        if isinstance(event, AdaptationConcluded):
            by = ordered.get(event.epoch)
            if by is None and isinstance(before, StageChanged):
                by = before.source.value
            yield f"{event.outcome.value} ({by})"


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in Markdown, a row a kind."""
    lines = [
        "| planted | caught | adaptations | ended as | epochs in the host, median | cost at full blend, mean | host = checkpoint |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        ours = [verdict for verdict in verdicts if verdict.kind == kind]
        if not ours:
            continue
        endings = sorted({ending for verdict in ours for ending in verdict.endings})
        counts = [sum(verdict.endings.count(ending) for verdict in ours) for ending in endings]
        stays = [stay for verdict in ours for stay in verdict.epochs_in_host]
        told = ", ".join(f"{count} {ending}" for ending, count in zip(endings, counts, strict=True))
        lines.append(
            f"| {kind} | {sum(verdict.is_caught for verdict in ours)} of {len(ours)} | {len(stays)} | {told} | "
            f"{statistics.median(stays) if stays else '-'} | {statistics.fmean(v.cost for v in ours):+.3f} | "
            f"{sum(verdict.is_whole for verdict in ours)} of {len(ours)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Plant every kind under every run key and print the table; exit code 1 if one was not caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10, help="run keys 0 to this")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    jobs = list(product(KINDS, range(chosen.keys)))
    with ProcessPoolExecutor(chosen.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        verdicts = list(pool.map(judged, *zip(*jobs, strict=True), [chosen.epochs] * len(jobs)))
    caught = sum(verdict.is_caught for verdict in verdicts)
    sys.stdout.write(f"{table(verdicts)}\n\n{caught} of {len(verdicts)} caught\n")
    sys.exit(0 if caught == len(verdicts) else 1)


if __name__ == "__main__":
    main()
