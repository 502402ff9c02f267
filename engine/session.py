"""One run: plant, then epoch after epoch train, report, decide, evolve, act, seal.

The session does not know which trainer it has, and a replay is this same loop over the recorded one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from domain import seed as seeds
from domain.commands import Command, Decision, Germinate, RollBack, Wait
from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    CommandRefused,
    ControllerSilent,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    EpochCompleted,
    EpochSealed,
    FieldReportFiled,
    LayerHealthReported,
    PanicRaised,
    RollbackOrdered,
    RollbackSource,
    RunEnded,
    RunForked,
    RunStarted,
    SeedGerminated,
)
from domain.header import Rule, RunHeader
from domain.identifiers import Epoch, SeedId
from domain.karn.policy import KarnObservation, KarnPolicy
from domain.lifecycle import Outcome, Stage
from domain.reward.seven import rewarded
from domain.rollback import restore_point, undone_by_rollback
from domain.run import RunState, UnknownSlot, evolve
from domain.seed import Refusal
from domain.tamiyo.legal import legal_actions, with_choice
from domain.tamiyo.policy import Observation, Step, TamiyoPolicy
from domain.tamiyo.ramping import ramp
from domain.tamiyo.review import review
from domain.urza.library import UnknownBlueprint
from engine.controllers import ControllerIsSilent, Controllers, PolicyFailed
from engine.inventing import considered
from engine.memories import Memories
from engine.outside import Outside, Undisturbed
from engine.randomness import BoundaryRandomness
from engine.sink import Sink
from engine.trainers.trainer import CannotObey, Trained, Trainer

PANICS_MAX: Final = 3
"""Panics in a row after which the run ends DIVERGED."""


@final
@dataclass(frozen=True, slots=True)
class EpochView:
    """What a bystander may see of an epoch that was just sealed."""

    state: RunState
    events: tuple[DomainEvent, ...]
    seal: EpochSealed


@final
class Session:
    """Runs one run from its planting to its ending."""

    def __init__(
        self,
        trainer: Trainer,
        tamiyo: TamiyoPolicy,
        karn: KarnPolicy,
        sink: Sink,
        *,
        outside: Outside | None = None,
        watch: Callable[[EpochView], None] = lambda view: None,
        announce: Callable[[DomainEvent], None] = lambda event: None,
    ) -> None:
        self._trainer = trainer
        self._controllers = Controllers(tamiyo, karn)
        self._sink = sink
        self._outside = outside or Undisturbed()
        self._watch = watch
        self._announce = announce
        """Is told every event as it happens, before the epoch that it belongs to is sealed."""
        self._open: list[DomainEvent] = []
        self._rollbacks_before = 0
        self.saved: Mapping[str, Memories] = {}
        """What the policies remembered at each checkpoint that is kept, by its hash."""
        self.memories = self._controllers.initial()
        """What the policies remember."""
        self.state = RunState()

    def run(self, header: RunHeader, blueprints: Iterable[DomainEvent]) -> RunState:
        """Plant and train until the run ends. Whatever is raised, sealed epochs stay recorded."""
        self.plant(header, blueprints)
        while self.state.ending is None:
            self.step()
        return self.state

    def plant(self, header: RunHeader, blueprints: Iterable[DomainEvent]) -> None:
        """Epoch 0: the header, the first library, the untrained network's checkpoint and score."""
        self._trainer.plant(header)
        self._record(RunStarted(epoch=0, header=header))
        for event in blueprints:
            self._record(event)
        self._checkpoint(Epoch(0))
        self._record(self._trainer.score(Epoch(0), "planting"))
        self._seal(0)

    def resume(self, state: RunState, checkpoint: str, controllers: Mapping[str, str]) -> None:
        """Stand where ``state`` does, at the boundary that ``checkpoint`` was saved at, instead of planting.

        ``controllers`` holds the memory saved with it and with each checkpoint still kept, as JSON, by content hash.
        """
        self._trainer.plant(state.planted or state.started)
        if state.planted is not None:
            self._trainer.amend(state.started)
        self._trainer.restore(checkpoint, state)
        self.saved = self._controllers.saved(controllers)
        self.memories = self.saved[checkpoint]
        self.state = state

    def fork(
        self,
        forked: RunForked,
        tamiyo: TamiyoPolicy,
        karn: KarnPolicy,
        memories: Memories,
        saved: Mapping[str, Memories],
    ) -> None:
        """Go on from this boundary under another header, with other policies that remember the past as it was.

        ``saved`` is what they would have remembered at each checkpoint that is kept.
        """
        assert forked.epoch == self.state.epoch + 1, f"a fork of epoch {forked.epoch} after epoch {self.state.epoch}"
        self._controllers = Controllers(tamiyo, karn)
        self.memories, self.saved = memories, saved
        self._trainer.amend(forked.header)
        self._record(forked)

    @property
    def unsealed(self) -> tuple[DomainEvent, ...]:
        """What has happened in the epoch under way: something only where an epoch was left half-way through."""
        return tuple(self._open)

    def snapshot(self) -> str:
        """The content hash of a checkpoint of this boundary, which is saved but is no part of the run."""
        return self._trainer.checkpoint(Epoch(self.state.epoch), self.memories.to_json()).checkpoint

    def hand_over(self, trainer: Trainer) -> None:
        """Train on with another trainer: one that needs nothing of the one before but what ``state`` says."""
        trainer.plant(self.state.planted or self.state.started)
        if self.state.planted is not None:
            trainer.amend(self.state.started)
        self._trainer = trainer

    def step(self) -> None:
        """One epoch, sealed."""
        epoch = Epoch(self.state.epoch + 1)
        self._rollbacks_before = self.state.rollbacks
        trained = self._trainer.train(epoch, self.state)
        self._report(epoch, trained)
        facts = self._outside.at(epoch, self.state)
        # A silence is no news before Tamiyo is asked: recalled, it takes the place that it had.
        silence = next((fact for fact in facts if isinstance(fact, ControllerSilent)), None)
        self._apply(fact for fact in facts if fact is not silence)
        acted_from = len(self._open)
        try:
            if trained.panic is None:
                self._decide(epoch, trained, silence)
            else:
                self._roll_back(epoch, RollbackSource.TOLARIA, trained.panic, None)
            self._reward(epoch, acted_from)
            self._invent(epoch)
        except PolicyFailed as failure:
            self._record(RunEnded(epoch=epoch, ending=RunEnding.POLICY_FAILED, reason=str(failure)))
        acts = tuple(self._open[acted_from:])
        try:
            self._trainer.obey(epoch, acts, self.state)
        except CannotObey as cannot:
            if cannot.event is not None:
                self._record(cannot.event)
            if self.state.ending is None:
                self._record(RunEnded(epoch=epoch, ending=RunEnding.LEFT_RECORDING, reason=str(cannot)))
            self._seal(epoch)
            return
        if trained.panic is None and self._wants_checkpoint(epoch, acts):
            self._checkpoint(epoch)
        if any(isinstance(event, SeedGerminated) for event in acts):
            self._record(self._trainer.score(epoch, "germination"))
        self._end_if_due(epoch)
        self._seal(epoch)

    # Recording

    def _record(self, event: DomainEvent) -> None:
        self.state = evolve(self.state, event)
        self._open.append(event)
        self._announce(event)

    def _seal(self, epoch: int) -> None:
        events = tuple(self._open)
        seal = self._sink.seal(epoch, events, self.state.digest(), self.memories.digest())
        self._open.clear()
        self._announce(seal)
        self._watch(EpochView(self.state, events, seal))

    def _report(self, epoch: Epoch, trained: Trained) -> None:
        for report in trained.reports:
            self._record(LayerHealthReported(epoch=epoch, report=report))
        if trained.panic is None:
            self._record(
                EpochCompleted(
                    epoch=epoch,
                    metrics=trained.metrics,
                    parameters=trained.parameters,
                    weights_digest=trained.weights_digest,
                )
            )
        else:
            self._record(PanicRaised(epoch=epoch, reason=trained.panic))
        for fault in trained.faults:
            self._record(fault)

    # Deciding

    def _decide(self, epoch: Epoch, trained: Trained, silence: ControllerSilent | None) -> None:
        for name in self.state.active:
            if self.state.seed(name).faults:  # the rest has nothing to succumb to, and evidence is dear
                rate = math.fsum(fault.rate or 0.0 for fault in trained.faults if fault.seed == name)
                self._apply(seeds.succumb(self.state.seed(name), self.state.boundary(name), rate))
        seen = Observation(epoch=epoch, metrics=trained.metrics, reports=trained.reports, state=self.state)
        step = self._answer(seen, silence)
        if step is not None:
            before: list[Command] = []
            for number, decision in enumerate(step.decisions):
                self._decided(number, decision, seen, before)
                self._carry_out(epoch, number, decision, trained)
                before.append(decision.command)
            # A rollback has put back what Tamiyo remembered then; what it thinks now belongs to the past it left.
            if not self._rolled_back:
                self.memories = Memories(step.memory, self.memories.karn)
        self._apply(ramp(self.state))

    def _answer(self, seen: Observation, silence: ControllerSilent | None) -> Step[Any] | None:
        """Tamiyo's step; None where it kept silent, now or as it is recalled, which is recorded."""
        if silence is None:
            try:
                return self._controllers.decide(seen, self.memories.tamiyo, self._random(Epoch(seen.epoch)))
            except ControllerIsSilent as quiet:
                silence = ControllerSilent(epoch=seen.epoch, reason=quiet.reason, waited_ms=quiet.waited_ms)
        self._record(silence)
        return None

    def _decided(self, number: int, decision: Decision, seen: Observation, before: Sequence[Command]) -> None:
        """Record a decision with what could have been chosen instead; runs from before that rule without it."""
        header = self.state.started
        if Rule.LEGAL_ACTIONS_RECORDED not in header.rules:
            bare = decision.model_copy(update={"legal": None, "odds": ()})
            self._record(DecisionMade(epoch=seen.epoch, number=number, decision=bare))
            return
        if decision.legal is None and isinstance(decision.command, Germinate | Wait):
            decision = with_choice(decision, legal_actions(seen.state, before))
        made = DecisionMade(epoch=seen.epoch, number=number, decision=decision, policy=header.tamiyo.digest)
        self._record(made)

    def _random(self, epoch: Epoch) -> BoundaryRandomness:
        return BoundaryRandomness(self.state.started.run_key, epoch)

    def _carry_out(self, epoch: Epoch, number: int, decision: Decision, trained: Trained) -> None:
        command = decision.command
        if isinstance(command, Wait):
            return
        if self.state.paused and isinstance(command, Germinate):
            self._refuse(epoch, number, "paused", "growth is paused from outside; resume it")
            return
        if self._rolled_back:
            self._refuse(epoch, number, "rolled-back", "the boundary ended with its rollback; decide again next epoch")
            return
        try:
            found = review(decision, self.state, trained.reports)
            if found:
                self._record(DecisionVetoed(epoch=epoch, number=number, violations=found))
            elif isinstance(command, RollBack):
                self._roll_back(epoch, RollbackSource.TAMIYO, decision.reason, command.seed)
            else:
                at = self.state.boundary(command.seed)
                if isinstance(command, Germinate):
                    at = at.planting(self.state.problem(command.seed, command.blueprint_id, command.reads))
                self._apply(seeds.decide(self.state.seed(command.seed), command, at))
        except Refusal as refusal:
            self._refuse(epoch, number, refusal.rule, refusal.reason)
        except (UnknownSlot, UnknownBlueprint) as error:
            self._refuse(epoch, number, "unknown", str(error.args[0]))

    def _reward(self, epoch: Epoch, acted_from: int) -> None:
        """What each adaptation that ended at this boundary was worth, under rule R6."""
        if Rule.REWARDS_RECORDED not in self.state.started.rules:
            return
        for event in tuple(self._open[acted_from:]):
            if isinstance(event, AdaptationConcluded):
                worth = rewarded(self.state, event)
                if worth is not None:
                    self._record(worth)

    def _invent(self, epoch: Epoch) -> None:
        """Karn's turn: what it proposes is tried and enters the library, or is refused with a reason."""
        filed = tuple(event.report for event in self._open if isinstance(event, FieldReportFiled))
        seen = KarnObservation(epoch=epoch, reports=filed, library=self.state.library, layout=self.state.started.layout)
        step = self._controllers.invent(seen, self.memories.karn, self._random(epoch))
        self.memories = Memories(self.memories.tamiyo, step.memory)
        for number, proposal in enumerate(step.proposals):
            self._apply(considered(epoch, number, proposal, self.state.library, self.state.started, self._trainer))

    def _refuse(self, epoch: Epoch, number: int, rule: str, reason: str) -> None:
        self._record(CommandRefused(epoch=epoch, number=number, rule=rule, reason=reason))

    def _apply(self, events: Iterable[DomainEvent]) -> None:
        for event in events:
            self._record(event)

    def _roll_back(self, epoch: Epoch, source: RollbackSource, reason: str, culprit: SeedId | None) -> None:
        state = self.state
        suspect = None if culprit is None else state.seed(culprit)
        if suspect is not None and (suspect.adaptation is None or suspect.adaptation.outcome is not None):
            raise Refusal("nothing-to-roll-back", f"seed {culprit} has no open adaptation at epoch {epoch}")
        fresh = [
            seed.seed_id for seed in state.seeds.values() if seed.stage is Stage.FOSSILIZED and seed.since == epoch
        ]
        if fresh:
            # Its checkpoint is saved when the boundary closes; every older one would undo it.
            raise Refusal("fossil-not-saved", f"seed {fresh[0]} fossilized at epoch {epoch}; roll back at the next")
        undone = undone_by_rollback(state, culprit)
        target = restore_point(state, culprit)
        self._record(
            RollbackOrdered(
                epoch=epoch,
                source=source,
                reason=reason,
                culprit=culprit,
                checkpoint_epoch=target.epoch,
                checkpoint=target.checkpoint,
            )
        )
        for name in undone:
            self._apply(seeds.roll_back(self.state.seed(name), reason, self.state.boundary(name)))
        self.memories = self.saved[target.checkpoint]

    @property
    def _rolled_back(self) -> bool:
        """Whether this boundary already had its rollback."""
        return self.state.rollbacks > self._rollbacks_before

    # Acting

    def _wants_checkpoint(self, epoch: Epoch, acts: tuple[DomainEvent, ...]) -> bool:
        """At every so many epochs, and where a rollback may have to come back to: a germination, a fossil."""
        return epoch % self.state.started.training.checkpoint_every == 0 or any(
            isinstance(event, SeedGerminated)
            or (isinstance(event, AdaptationConcluded) and event.outcome is Outcome.FOSSILIZED)
            for event in acts
        )

    def _checkpoint(self, epoch: Epoch) -> None:
        saved = self._trainer.checkpoint(epoch, self.memories.to_json())
        self._record(saved)
        known = {**self.saved, saved.checkpoint: self.memories}
        kept = (entry.checkpoint for entry in self.state.checkpoints)
        self.saved = {checkpoint: known[checkpoint] for checkpoint in kept if checkpoint in known}

    def _end_if_due(self, epoch: Epoch) -> None:
        if self.state.ending is None and self.state.consecutive_panics >= PANICS_MAX:
            reason = f"{PANICS_MAX} panics in a row, the last at epoch {epoch}"
            self._record(RunEnded(epoch=epoch, ending=RunEnding.DIVERGED, reason=reason))
        elif self.state.ending is None and epoch >= self.state.started.epochs:
            self._record(RunEnded(epoch=epoch, ending=RunEnding.COMPLETED, reason=f"{epoch} epochs were trained"))
        if self.state.ending is not None:
            self._record(self._trainer.score(epoch, "ending"))
