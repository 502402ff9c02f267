"""RunState: everything that a run's events fold into, and the fold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from domain import seed as seeds
from domain.blueprint import blueprint_id
from domain.canonical import canonical_seed
from domain.checkpoints import kept
from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    AdaptationRewarded,
    AlphaChanged,
    BlueprintBattled,
    BlueprintCertified,
    BlueprintInherited,
    BlueprintRegistered,
    BlueprintRegraded,
    BlueprintRetired,
    CheckpointSaved,
    DecisionMade,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    EpochSealed,
    FieldReportFiled,
    GraftingChanged,
    GrowthPaused,
    GrowthResumed,
    LayerHealthReported,
    PanicRaised,
    RiskModelTrained,
    RollbackOrdered,
    RunEnded,
    RunForked,
    RunStarted,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from domain.gates import Evidence, largest_fall
from domain.header import LayerLayout, Rule, RunHeader
from domain.health import SeedProgress
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import ADAPTING, PROFILES, LifecycleProfile, Outcome, Stage
from domain.reward.rewarding import NOTHING_REWARDED, Rewarding
from domain.seed import MEASURED, Boundary, Seed
from domain.shapes import ShapeMismatch, infer_shapes, is_trainable
from domain.urza import library as urza
from domain.urza.library import BlueprintLibrary
from domain.values import changed

RECENT_EPOCHS: Final = 32
EFFECT_EPOCHS: Final = 3
STABILITY_EPOCHS: Final = 10
GERMINATIONS_REMEMBERED: Final = 64


class UnknownSlot(LookupError):
    """A layer or seed that the host does not have."""


@final
@dataclass(frozen=True)  # no slots: see ``changed``
class RunState:
    """A run at one moment. Equal logs fold into equal states."""

    header: RunHeader | None = None
    """The header in force."""
    planted: RunHeader | None = None
    """The header that the network was planted with, where a fork has put another one in force."""
    epoch: int = 0
    """The last epoch that completed."""
    recent: tuple[EpochMetrics, ...] = ()
    """The last 32 epochs' metrics, oldest first."""
    parameters: int = 0
    best_accuracy: float = 0.0
    """Largest validation accuracy so far, [0, 1]."""
    seeds: Mapping[SeedId, Seed] = field(default_factory=dict)
    """Seeds that ever germinated; every other slot of the layout is dormant and untouched."""
    queue: tuple[SeedId, ...] = ()
    """GERMINATING seeds, first in first out."""
    progress: Mapping[SeedId, SeedProgress] = field(default_factory=dict)
    """What the last epoch measured of each blueprint in the host."""
    library: BlueprintLibrary = field(default_factory=BlueprintLibrary)
    checkpoints: tuple[CheckpointSaved, ...] = ()
    """The checkpoints still kept, oldest first."""
    last_germinations: tuple[tuple[SeedId, int], ...] = ()
    """The last 64 germinations and their epochs, oldest first."""
    consecutive_failures: int = 0
    """Adaptations concluded CULLED or ROLLED_BACK since the last one that fossilized."""
    consecutive_panics: int = 0
    conclusions: int = 0
    rollbacks: int = 0
    paused: bool = False
    """Whether nothing may germinate, by order from outside."""
    rewarding: Rewarding = NOTHING_REWARDED
    """What rewards are worked out of; empty without rule R6."""
    ending: RunEnding | None = None

    @property
    def started(self) -> RunHeader:
        """The header; asserts that the run has started."""
        assert self.header is not None, "the run has not started"
        return self.header

    @property
    def profile(self) -> LifecycleProfile:
        """The lifecycle profile that the run lives by."""
        return PROFILES[self.started.profile]

    @property
    def active(self) -> tuple[SeedId, ...]:
        """Seeds with a blueprint in the host that has not concluded, in order."""
        found = [name for name, seed in self.seeds.items() if seed.stage in ADAPTING]
        return tuple(sorted(found, key=_place))

    @property
    def places_taken(self) -> int:
        """How many seeds are ``active``."""
        return sum(seed.stage in ADAPTING for seed in self.seeds.values())

    def layer(self, index: int) -> LayerLayout:
        """Layout of layer ``index``; raises UnknownSlot for a layer the host does not have."""
        layout = self.started.layout
        if not 0 <= index < len(layout):
            raise UnknownSlot(f"the host has {len(layout)} layers but layer {index} was named")
        return layout[index]

    def seed(self, name: SeedId) -> Seed:
        """The seed in a slot; dormant if it never germinated. Raises UnknownSlot."""
        known = self.seeds.get(name)
        if known is not None:
            return known
        if name.index >= self.layer(name.layer).seeds:
            raise UnknownSlot(f"layer {name.layer} has {self.layer(name.layer).seeds} seeds but {name} was named")
        return Seed(seed_id=name)

    def germinable(self, name: SeedId) -> bool:
        """Whether the seed could germinate at this boundary."""
        return self.seed(name).may_germinate(self.epoch)

    def germinable_seeds(self) -> tuple[SeedId, ...]:
        """Every seed that could germinate at this boundary, in order. For small hosts; candidates.py has the columnar one."""
        slots = (SeedId(layer=layer.layer, index=i) for layer in self.started.layout for i in range(layer.seeds))
        return tuple(slot for slot in slots if self.germinable(slot))

    def evidence(self, name: SeedId) -> Evidence:
        """What the gates of a seed are judged on at this boundary."""
        seed = self.seed(name)
        adaptation = seed.adaptation
        if adaptation is None:
            return Evidence(epochs_in_stage=max(self.epoch - seed.since, 0))
        age = self.epoch - seed.since
        window = [metrics.validation_accuracy for metrics in self.recent[-age:]] if age else []
        latest = window[-EFFECT_EPOCHS:]
        held = window[-STABILITY_EPOCHS:]
        baseline = adaptation.pre_accuracy if adaptation.baseline_accuracy is None else adaptation.baseline_accuracy
        progress = self.progress.get(name)
        known = adaptation.blueprint_id in self.library
        return Evidence(
            epochs_in_stage=age,
            reconstruction_loss=progress.reconstruction_loss if progress else None,
            alpha=adaptation.alpha,
            # Differences first: the mean of equal accuracies can be a rounding above them, and the gate asks for above 0.
            effect=sum(accuracy - baseline for accuracy in latest) / len(latest) if latest else 0.0,
            stability=1.0 - largest_fall(held),
            trainable=known and is_trainable(self.library.record(adaptation.blueprint_id).graph),
            blueprint_problem=self.problem(name, adaptation.blueprint_id, adaptation.reads)
            if seed.stage is Stage.LOADING
            else None,
            # Only who waits for a place asks; counting for every seed would be quadratic in them.
            active_seeds=self.places_taken if seed.stage is Stage.GERMINATING else 0,
            max_active_seeds=self.started.tamiyo_config.max_active_seeds,
        )

    def problem(self, name: SeedId, blueprint: BlueprintId, reads: Any) -> str | None:
        """Why ``blueprint`` cannot be loaded into slot ``name``, or None: unknown, altered, archived, or it does not fit."""
        if blueprint not in self.library:
            return f"blueprint {blueprint[:12]} is not in the library"
        record = self.library.record(blueprint)
        if blueprint_id(record.graph) != blueprint:
            return f"blueprint {record.name} does not have the hash {blueprint[:12]} it is named by"
        if not record.is_offered:
            return f"blueprint {record.name} is archived, rolled back or not certified"
        layer = self.layer(name.layer)
        try:
            infer_shapes(record.graph, read=layer.read_width(reads, name.index), chunk=layer.chunk_width(name.index))
        except ShapeMismatch as mismatch:
            return f"blueprint {record.name} does not fit seed {name}: {mismatch}"
        return None

    def boundary(self, name: SeedId) -> Boundary:
        """Everything a decision about one seed depends on."""
        header = self.started
        return Boundary(
            epoch=self.epoch,
            profile=self.profile,
            gates=header.gates,
            metrics=self.recent[-1],
            evidence=self.evidence(name),
            task=header.task.name,
        )

    def digest(self) -> str:
        """SHA-256 of the state, 64 hexadecimal digits."""
        return hashlib.sha256(f"[{','.join(self._canonical())}]".encode()).hexdigest()

    def _canonical(self) -> list[str]:
        """Its parts as JSON, each in the same order always."""
        grown = [canonical_seed(self.seeds[name]) for name in sorted(self.seeds, key=_place)]
        measured = [f'["{name}",{self.progress[name].quoted}]' for name in sorted(self.progress, key=_place)]
        germinated = [[str(name), epoch] for name, epoch in self.last_germinations]
        counts = [self.consecutive_failures, self.consecutive_panics, self.conclusions, self.rollbacks]
        return [
            self.header.quoted if self.header else "null",
            str(self.epoch),
            f"[{','.join([metrics.quoted for metrics in self.recent])}]",
            str(self.parameters),
            _jsons(self.best_accuracy, grown, [str(name) for name in self.queue]),
            f"[{','.join(measured)}]",
            self.library.text,
            f"[{','.join([checkpoint.quoted for checkpoint in self.checkpoints])}]",
            _jsons(germinated, counts, self.ending.value if self.ending else None),
            # Nothing for a run that was never forked: its digests are those of versions that knew no forks.
            *([self.planted.quoted] if self.planted else []),
            # As much: nothing where nothing of the kind ever happened.
            *(["paused"] if self.paused else []),
            *([self.rewarding.text] if self.rewarding != NOTHING_REWARDED else []),
        ]


_json: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


def _jsons(*values: Any) -> str:
    """Values as JSON with commas between them: encoded together they cost half as much."""
    return _json(values)[1:-1]


def _place(name: SeedId) -> tuple[int, int]:
    return name.layer, name.index


def rebuild(events: Iterable[DomainEvent]) -> RunState:
    """Fold events into state. Decides nothing."""
    state = RunState()
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: RunState, event: DomainEvent) -> RunState:
    """The state after ``event``. Events that change nothing (seals, decisions, vetoes) return the state itself."""
    case = _CASES.get(type(event))
    return state if case is None else case(state, event)


def _with_seed(state: RunState, name: SeedId, event: DomainEvent) -> RunState:
    return changed(state, seeds={**state.seeds, name: seeds.evolve(state.seed(name), event)})


def _started(state: RunState, event: RunStarted) -> RunState:
    return changed(state, header=event.header, epoch=event.epoch)


def _forked(state: RunState, event: RunForked) -> RunState:
    planted = state.planted or state.header
    return changed(state, header=event.header, planted=planted)


def _library(state: RunState, event: DomainEvent) -> RunState:
    return changed(state, library=urza.evolve(state.library, event))


def _reported(state: RunState, event: LayerHealthReported) -> RunState:
    state, report = _accounted(state, event), event.report
    if not report.progress and all(name.layer != report.layer for name in state.progress):
        return state
    progress = {name: entry for name, entry in state.progress.items() if name.layer != report.layer}
    known = dict(state.seeds)
    for entry in report.progress:
        name = SeedId(layer=report.layer, index=entry.index)
        progress[name] = entry
        seed = known.get(name)
        if seed is not None and seed.stage in MEASURED and seed.adaptation is not None:
            known[name] = changed(seed, adaptation=seed.adaptation.measured(entry))
    return changed(state, progress=progress, seeds=known)


def _completed(state: RunState, event: EpochCompleted) -> RunState:
    return changed(
        _accounted(state, event),
        epoch=event.epoch,
        recent=(*state.recent[-(RECENT_EPOCHS - 1) :], event.metrics),
        parameters=event.parameters,
        best_accuracy=max(state.best_accuracy, event.metrics.validation_accuracy),
        consecutive_panics=0,
    )


def _panicked(state: RunState, event: PanicRaised) -> RunState:
    return changed(_accounted(state, event), epoch=event.epoch, consecutive_panics=state.consecutive_panics + 1)


def _germinated(state: RunState, event: SeedGerminated) -> RunState:
    name = event.adaptation.seed
    remembered = (*state.last_germinations[-(GERMINATIONS_REMEMBERED - 1) :], (name, event.epoch))
    return changed(_with_seed(_accounted(state, event), name, event), last_germinations=remembered)


def _moved(state: RunState, event: StageChanged) -> RunState:
    moved = _with_seed(state, event.seed, event)
    queue = tuple(name for name in state.queue if name != event.seed)
    if event.target is Stage.GERMINATING:
        queue = (*queue, event.seed)
    return moved if queue == state.queue else changed(moved, queue=queue)


def _of_seed(state: RunState, event: AlphaChanged | GraftingChanged | SeedFaulted) -> RunState:
    return _with_seed(_accounted(state, event), event.seed, event)


def _concluded(state: RunState, event: AdaptationConcluded) -> RunState:
    failures = state.consecutive_failures
    if event.outcome is Outcome.FOSSILIZED:
        failures = 0
    elif event.outcome is not Outcome.CANCELLED:
        failures += 1
    state = _with_seed(state, event.adaptation.seed, event)
    return changed(state, consecutive_failures=failures, conclusions=state.conclusions + 1)


def _rolled_back(state: RunState, event: RollbackOrdered) -> RunState:
    kept = tuple(checkpoint for checkpoint in state.checkpoints if checkpoint.epoch <= event.checkpoint_epoch)
    return changed(state, rollbacks=state.rollbacks + 1, checkpoints=kept, progress={})


def _checkpointed(state: RunState, event: CheckpointSaved) -> RunState:
    known = (*state.checkpoints, event)
    return changed(state, checkpoints=kept(known, state.seeds, state.started.training.checkpoints_kept))


def _paused(state: RunState, event: GrowthPaused) -> RunState:
    return changed(state, paused=True)


def _resumed(state: RunState, event: GrowthResumed) -> RunState:
    return changed(state, paused=False)


def _accounted(state: RunState, event: DomainEvent) -> RunState:
    """Rewards are worked out of reports, metrics and decisions: what they need is kept as it happens, under rule R6."""
    if state.header is None or Rule.REWARDS_RECORDED not in state.header.rules:
        return state
    return changed(state, rewarding=state.rewarding.after(event, state.header))


def _ended(state: RunState, event: RunEnded) -> RunState:
    return changed(state, ending=event.ending)


_CASES: Final[Mapping[type[DomainEvent], Callable[[RunState, Any], RunState]]] = {
    RunStarted: _started,
    RunForked: _forked,
    BlueprintRegistered: _library,
    BlueprintCertified: _library,
    BlueprintRegraded: _library,
    BlueprintRetired: _library,
    BlueprintBattled: _library,
    BlueprintInherited: _library,
    RiskModelTrained: _library,
    FieldReportFiled: _library,
    LayerHealthReported: _reported,
    EpochCompleted: _completed,
    PanicRaised: _panicked,
    SeedFaulted: _of_seed,
    SeedGerminated: _germinated,
    StageChanged: _moved,
    AlphaChanged: _of_seed,
    GraftingChanged: _of_seed,
    AdaptationConcluded: _concluded,
    RollbackOrdered: _rolled_back,
    CheckpointSaved: _checkpointed,
    RunEnded: _ended,
    GrowthPaused: _paused,
    GrowthResumed: _resumed,
    DecisionMade: _accounted,
    AdaptationRewarded: _accounted,
}
"""EpochSealed, DecisionDiverged, DecisionVetoed, CommandRefused and TestScored change nothing."""

assert EpochSealed not in _CASES, "a seal covers the state; it must not change it"
