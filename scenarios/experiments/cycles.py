"""Adapts one network over and over and tells what that did to the task it had learnt: ``make cycles``.

Two questions. Does the accuracy of before the first adaptation survive twenty of them, whether they fossilize or are
culled? And does a seed that learns in isolation leave the layers that it does not sit in alone? The second is asked
twice: against a twin that never grows, epoch by epoch (the two must not differ in a bit), and from the beginning of each
isolation to its end, in which the host trains on, so that some drift is its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from domain.events import AdaptationConcluded, DomainEvent, RollbackOrdered, StageChanged, TestScored
from domain.identifiers import Epoch, SeedId
from domain.lifecycle import Stage
from engine.session import EpochView, Session
from engine.sink import Tape
from engine.trainers.stores import MemoryStore
from scenarios import composition, specification
from scenarios.experiments.golden import HASTY
from scenarios.runs import trainers

if TYPE_CHECKING:
    from engine.trainers.live.tolaria import LiveTrainer

SCENARIO: Final = "digits"
EPOCHS: Final = 640
CYCLES: Final = 20
DEGRADATION_MAX: Final = 0.005
"""Largest fall of test accuracy, a fraction. Source: targets 21 and K 54 of the domain reference."""
DRIFT_MAX: Final = 0.05
"""Largest cosine drift of untouched layers. Source: target 23."""

RESTLESS: Final[Mapping[str, Any]] = {
    **HASTY,
    "host.hidden": [8, 8],
    "host.seeds_per_layer": 4,
    "tamiyo_config.acc_threshold": 1.0,
    "tamiyo_config.max_consecutive_failures": 1000,
    "safety.max_consecutive_failures": 1000,
}
"""Grows for as long as it lasts, however good the network is and however often an adaptation fails."""

Activations = tuple[NDArray[np.float32], ...]
"""Of the test inputs, (samples, units) a layer."""


def drift(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """1 - the mean over samples of the cosine between a sample's activations then and now, [0, 2].

    Samples on which either is all zero have no angle and are left out.
    """
    one, other = before.astype(np.float64), after.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    heard = lengths > 0.0
    cosines = (one * other).sum(axis=1)[heard] / lengths[heard]
    return 1.0 - float(np.minimum(cosines, 1.0).mean()) if heard.any() else 0.0


@final
@dataclass(slots=True)
class _Witness:
    """Looks at the layers from epoch to epoch, while a seed is in isolation."""

    began: dict[SeedId, Activations] = field(default_factory=dict)
    drifts: list[float] = field(default_factory=list)
    """Of each layer that an isolated seed does not sit in, from the beginning of an isolation to its end."""
    first: dict[int, Activations] = field(default_factory=dict)
    """By epoch, while the first of all adaptations is in isolation."""

    def watch(self, trainer: LiveTrainer, view: EpochView) -> None:
        """Look at a boundary."""
        epoch, moves = view.state.epoch, [event for event in view.events if isinstance(event, StageChanged)]
        if any(isinstance(event, RollbackOrdered) for event in view.events):
            self.began.clear()  # the network that they began in is gone
        ended = [move.seed for move in moves if move.source is Stage.TRAINING and move.seed in self.began]
        begins = [move.seed for move in moves if move.target is Stage.TRAINING]
        is_first = view.state.conclusions == 0 and bool(self.began)
        if not (ended or begins or is_first):
            return
        now = activations(trainer, epoch)
        if is_first:
            self.first[epoch] = now
        for seed in ended:
            then = self.began.pop(seed)
            self.drifts += [drift(then[at], now[at]) for at in range(len(now)) if at != seed.layer]
        self.began.update(dict.fromkeys(begins, now))


def activations(trainer: LiveTrainer, epoch: int) -> Activations:
    """What each layer gives on the test inputs, as the network stands."""
    found: list[NDArray[np.float32]] = []

    def watch(inputs: Any, outputs: Any, given: Any) -> None:
        del inputs, outputs
        found.append(given.numpy().copy())

    for layer in trainer.network.layers:
        layer.arrange(watch)
    trainer.score(Epoch(epoch), "activations")
    for layer in trainer.network.layers:
        layer.arrange()
    return tuple(found)


@final
@dataclass(frozen=True, slots=True)
class Aftermath:
    """What many adaptations did to one network."""

    key: int
    outcomes: Mapping[str, int]
    """How many adaptations ended in which way."""
    before: float
    """Test accuracy at the first germination."""
    best: float
    """The best of the test accuracies at all germinations: picked among many, so a little lucky."""
    final: float
    static: float
    """Test accuracy of the twin that never grew, after as many epochs."""
    drifts: tuple[float, ...]
    """Of every untouched layer over every isolation, the host training on."""
    twin_drift: float
    """Largest difference of any activation of any layer between the run and its twin, in the first isolation."""
    compared: int
    """Epochs in which those two were compared."""

    @property
    def cycles(self) -> int:
        """Adaptations that ended."""
        return sum(self.outcomes.values())

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing else was touched."""
        kept = self.before - self.final < DEGRADATION_MAX
        return kept and max(self.drifts) < DRIFT_MAX and self.twin_drift == 0.0

    @property
    def line(self) -> str:
        """In a row of the table."""
        ended = ", ".join(f"{count} {outcome.lower()}" for outcome, count in sorted(self.outcomes.items()))
        return (
            f"| {self.key} | {self.cycles}: {ended} | {self.before:.4f} → {self.final:.4f} | "
            f"{self.final - self.before:+.4f} | {self.best:.4f} | {self.static:.4f} | {self.twin_drift:g} ({self.compared} epochs) | "
            f"{statistics.fmean(self.drifts):.4f}, {max(self.drifts):.4f} |"
        )


def adapted(key: int, epochs: int = EPOCHS) -> Aftermath:
    """Run the scenario under ``as_designed``, restless, and its twin under ``never_grow``."""
    witness = _Witness()
    grown = _run("as_designed", key, epochs, witness.watch)
    apart: list[float] = []

    def compare(trainer: LiveTrainer, view: EpochView) -> None:
        ours = witness.first.get(view.state.epoch)
        if ours is not None:
            pairs = zip(ours, activations(trainer, view.state.epoch), strict=True)
            apart.append(max(float(np.abs(one - another).max()) for one, another in pairs))

    static = _run("never_grow", key, epochs, compare)
    scores = [event.accuracy for event in grown if isinstance(event, TestScored)]
    ended = Counter(event.outcome.value for event in grown if isinstance(event, AdaptationConcluded))
    return Aftermath(
        key=key,
        outcomes=dict(ended),
        before=scores[1],  # the first is the untrained network's
        best=max(scores[1:-1]),
        final=scores[-1],
        static=[event.accuracy for event in static if isinstance(event, TestScored)][-1],
        drifts=tuple(witness.drifts),
        twin_drift=max(apart),
        compared=len(apart),
    )


def _run(tamiyo: str, key: int, epochs: int, watch: Callable[[LiveTrainer, EpochView], None]) -> Sequence[DomainEvent]:
    """Everything that happened in a run of the scenario; ``watch`` is shown every boundary."""
    scenario = specification.load(SCENARIO, {**RESTLESS, "training.epochs": epochs})
    here = trainers.fingerprint(scenario.training.threads)
    header, tamiyo_policy, karn_policy = composition.header(scenario, key, tamiyo, "no_invention", here)
    trainer: Any = trainers.live(header, MemoryStore())
    tape = Tape()
    session = Session(trainer, tamiyo_policy, karn_policy, tape, watch=lambda view: watch(trainer, view))
    session.run(header, composition.first_library())
    return tape.events


def table(outcomes: Sequence[Aftermath]) -> str:
    """The outcomes in Markdown, a row a run key."""
    head = (
        "| key | adaptations | test accuracy before → after | change | best between | never grown | "
        "apart from the twin in isolation | drift of untouched layers, mean, max |\n|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(outcome.line for outcome in outcomes)])


def main() -> None:
    """Adapt and print the table; exit code 1 if anything was lost or touched, or if the cycles were too few."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=3, help="run keys 0 to this")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    chosen = parser.parse_args()
    outcomes = [adapted(key, chosen.epochs) for key in range(chosen.keys)]
    sys.stdout.write(table(outcomes) + "\n")
    sys.exit(0 if all(outcome.holds and outcome.cycles >= CYCLES for outcome in outcomes) else 1)


if __name__ == "__main__":
    main()
