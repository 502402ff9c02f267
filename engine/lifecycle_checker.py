"""The lifecycle of every seed of a run, followed through its events: legal edges only, one conclusion, one report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from domain.events import (
    AdaptationConcluded,
    AlphaChanged,
    DomainEvent,
    FieldReportFiled,
    GraftingChanged,
    RollbackOrdered,
    RunForked,
    RunStarted,
    SeedFaulted,
    SeedGerminated,
    StageChanged,
)
from domain.faults import ERROR_RATE_MAX
from domain.header import RunHeader
from domain.identifiers import SeedId
from domain.lifecycle import ADAPTING, PROFILES, Edge, Gate, Outcome, Stage


@final
@dataclass(slots=True)
class _Trace:
    """What the events have told of one seed so far."""

    stage: Stage = Stage.DORMANT
    attempts: int = 0
    is_open: bool = False
    germinated: SeedGerminated | None = None
    embargoed_until: int = 0
    locked: bool = False
    alpha: float = 0.0
    steps: float = 0.0
    faults: int = 0
    faulted_at: int = -2
    error_rate: float = 0.0
    """Share of the batches of epoch ``faulted_at`` that failed."""


@final
class _Follower:
    """Follows the seeds of one run."""

    def __init__(self, header: RunHeader) -> None:
        self._header = header
        self._profile = PROFILES[header.profile]
        self._traces: dict[SeedId, _Trace] = {}
        self._owed: tuple[Edge, SeedId] | AdaptationConcluded | SeedGerminated | None = None
        """What the next event has to be about: a move that concludes, a conclusion that is reported, a germination."""
        self._rolled_back_at = -1

    def follow(self, event: DomainEvent) -> Iterator[str]:
        """What is broken with ``event``."""
        if isinstance(event, RunForked):
            self._header, self._profile = event.header, PROFILES[event.header.profile]
        owed, self._owed = self._owed, None
        for broken in (*self._pay(owed, event), *self._step(event)):
            yield f"epoch {event.epoch}: {broken}"

    def finish(self) -> Iterator[str]:
        """What is missing at the end."""
        if self._owed is not None:
            yield f"the run stops in the middle of {self._owed}"

    def _trace(self, name: SeedId) -> _Trace:
        return self._traces.setdefault(name, _Trace())

    def _pay(self, owed: object, event: DomainEvent) -> Iterator[str]:
        """A conclusion follows its move at once, a report its conclusion; neither comes unasked."""
        match event:
            case AdaptationConcluded():
                name = event.adaptation.seed
                if not isinstance(owed, tuple) or owed[0].outcome is not event.outcome or owed[1] != name:
                    yield f"{event.adaptation} concluded {event.outcome.value} without the move that concludes so"
            case FieldReportFiled():
                report = event.report
                if not isinstance(owed, AdaptationConcluded):
                    yield f"a field report of {report.adaptation} that no conclusion asks for"
                elif (owed.adaptation, owed.outcome) != (report.adaptation, report.outcome):
                    yield f"the field report of {report.adaptation} is not about what concluded, {owed.adaptation}"
            case StageChanged():
                if isinstance(owed, SeedGerminated):
                    if event.gate is not Gate.GERMINATION or event.seed != owed.adaptation.seed:
                        yield f"{owed.adaptation} germinated and did not move"
                elif owed is not None:
                    yield f"{event.TOPIC} of {event.seed} where {owed} had to be completed"
                elif event.gate is Gate.GERMINATION:
                    yield f"seed {event.seed} moved by GERMINATION without germinating"
            case _:
                if owed is not None:
                    yield f"{event.TOPIC} where {owed} had to be completed"

    def _step(self, event: DomainEvent) -> Iterator[str]:
        match event:
            case SeedGerminated():
                yield from self._germinated(event)
            case StageChanged():
                yield from self._moved(event)
            case AdaptationConcluded():
                yield from self._concluded(event)
            case FieldReportFiled():
                yield from self._reported(event)
            case AlphaChanged():
                yield from self._blended(event)
            case GraftingChanged():
                if not self._trace(event.seed).is_open:
                    yield f"seed {event.seed} changed its ramp with no open adaptation"
            case SeedFaulted():
                trace = self._trace(event.seed)
                continued = trace.faults if trace.faulted_at >= event.epoch - 1 else 0
                again = trace.error_rate if trace.faulted_at == event.epoch else 0.0
                trace.error_rate = again + (event.rate or 0.0)
                trace.faults, trace.faulted_at = continued + event.count, event.epoch
            case RollbackOrdered():
                self._rolled_back_at = event.epoch
            case _:
                pass

    def _germinated(self, event: SeedGerminated) -> Iterator[str]:
        name = event.adaptation.seed
        trace = self._trace(name)
        if trace.stage is not Stage.DORMANT or trace.is_open:
            yield f"seed {name} germinated while {trace.stage.value}"
        if trace.locked:
            yield f"seed {name} germinated though locked"
        if event.epoch < trace.embargoed_until:
            yield f"seed {name} germinated under an embargo until {trace.embargoed_until}"
        if event.adaptation.attempt != trace.attempts + 1:
            yield f"{event.adaptation} follows attempt {trace.attempts}"
        layout = self._header.layout
        if name.layer >= len(layout) or name.index >= layout[name.layer].seeds:
            yield f"the host has no seed {name}"
        self._traces[name] = _Trace(attempts=event.adaptation.attempt, is_open=True, germinated=event)
        self._owed = event

    def _moved(self, event: StageChanged) -> Iterator[str]:
        trace = self._trace(event.seed)
        edge = self._profile.edge(event.source, event.gate)
        if trace.stage is not event.source:
            yield f"seed {event.seed} is {trace.stage.value} but left {event.source.value}"
        if edge is None or edge.target is not event.target:
            yield (
                f"{event.source.value} to {event.target.value} by {event.gate.value} is no edge of {self._profile.name}"
            )
        in_rollback = self._rolled_back_at == event.epoch
        often = trace.faulted_at == event.epoch and trace.error_rate > ERROR_RATE_MAX
        few = trace.faults < self._header.gates.faults_max and not often
        if event.gate is Gate.FAULTS and few and not in_rollback:
            yield f"seed {event.seed} succumbed to {trace.faults} faults"
        if event.gate is Gate.ROLLBACK and not in_rollback:
            yield f"seed {event.seed} was rolled back and no rollback ordered"
        trace.stage = event.target
        if event.gate is Gate.PROMOTION:
            active = sum(other.stage in ADAPTING for other in self._traces.values())
            if active > self._header.tamiyo_config.max_active_seeds:
                yield f"seed {event.seed} was promoted beside {active - 1} others"
        if event.target is Stage.STABILIZATION and trace.alpha < 1.0:
            yield f"seed {event.seed} left GRAFTING at alpha {trace.alpha:g}"
        if edge is not None and edge.outcome is not None:
            self._owed = (edge, event.seed)

    def _concluded(self, event: AdaptationConcluded) -> Iterator[str]:
        trace = self._trace(event.adaptation.seed)
        if not trace.is_open or event.adaptation.attempt != trace.attempts:
            yield f"{event.adaptation} concluded {event.outcome.value} and was not open"
        yield from self._consequences(event)
        trace.is_open = False
        trace.locked = trace.locked or event.locked
        trace.embargoed_until = event.embargoed_until or trace.embargoed_until
        if event.outcome.is_reported:
            self._owed = event

    def _consequences(self, event: AdaptationConcluded) -> Iterator[str]:
        gates = self._header.gates
        locks = event.outcome is Outcome.ROLLED_BACK and not gates.unlock_after_rollback
        embargoes = event.outcome is Outcome.CULLED or (event.outcome is Outcome.ROLLED_BACK and not locks)
        wanted = event.epoch + gates.embargo_epochs if embargoes else None
        if (event.locked, event.embargoed_until) != (locks, wanted):
            yield f"{event.adaptation} {event.outcome.value}: lock {event.locked}, embargo {event.embargoed_until}"

    def _reported(self, event: FieldReportFiled) -> Iterator[str]:
        germinated = self._trace(event.report.adaptation.seed).germinated
        if germinated is None or germinated.blueprint_id != event.report.blueprint_id:
            yield f"the field report of {event.report.adaptation} names another blueprint than was planted"

    def _blended(self, event: AlphaChanged) -> Iterator[str]:
        trace = self._trace(event.seed)
        loaded = self._profile.edge(Stage.LOADING, Gate.LOADED_BLEND) is not None
        if not trace.is_open or trace.stage is not (Stage.ACTIVE if loaded else Stage.GRAFTING):
            yield f"the blend of seed {event.seed} moved while {trace.stage.value}"
        if event.alpha < trace.alpha or event.steps < trace.steps:
            yield f"the blend of seed {event.seed} fell from {trace.alpha:g} to {event.alpha:g}"
        trace.alpha, trace.steps = event.alpha, event.steps


def check_lifecycles(events: Sequence[DomainEvent]) -> Iterator[str]:
    """Legal edges only; every adaptation concludes at most once, reported once where it is; embargo, lock and alpha."""
    if not events or not isinstance(events[0], RunStarted):
        return
    follower = _Follower(events[0].header)
    for event in events:
        yield from follower.follow(event)
    yield from follower.finish()
