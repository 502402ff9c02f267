"""The simulated trainer: fitted dynamics in place of weights, behind the same protocol and without torch.

Faults, panics and losses that are not finite are not modelled: a simulated run never has any.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Final, final

from domain.blueprint import BlueprintGraph
from domain.commands import Reads
from domain.events import CheckpointSaved, DomainEvent, EpochMetrics, RollbackOrdered, TestScored
from domain.header import RunHeader
from domain.identifiers import AdaptationId, BlueprintId, Epoch, SeedId
from domain.lifecycle import ON_TRIAL, Stage
from domain.run import RunState
from domain.seed import Adaptation, Seed
from domain.shapes import flops, memory_mb, parameter_count
from domain.urabrask.certificate import Examination
from engine.journal.errors import BlobDamaged, BlobMissing
from engine.trainers.simulated.crucible import predicted
from engine.trainers.simulated.draws import Draws
from engine.trainers.simulated.dynamics import Dynamics, Residual, noise_scale
from engine.trainers.simulated.reports import Carried, Cost, Reports
from engine.trainers.simulated.state import Imagined, Learnt, SimulatedCheckpoint, unpack
from engine.trainers.stores import CheckpointStore, MemoryStore
from engine.trainers.trainer import CheckpointDamaged, CheckpointMissing, Trained

LOADED: Final = frozenset({Stage.LOADING, Stage.TRAINING, *ON_TRIAL, Stage.ACTIVE, Stage.FOSSILIZED})
"""Stages in which a blueprint is in the host and its parameters count."""
LEARNING: Final = frozenset({Stage.GRAFTING, Stage.FINE_TUNING})
"""Stages on trial in which a graft learns; STABILIZATION and EVALUATING hold it still."""
SETTLED: Final = frozenset({Stage.ACTIVE, Stage.FOSSILIZED})
WAITING: Final = 7
"""Epochs of an adaptation, from its germination to its fossil, in which it is not on trial: the fewest that gates allow."""
ADOPTED_OVER: Final = 3
"""Epochs whose mean accuracy a network that is taken over goes on from."""
SHIFT_MAX: Final = 8.0
BISECTIONS: Final = 40
_ON_TRIAL: Final = frozenset(ON_TRIAL)


@final
class _Network:
    """The simulated network while it trains: ``Imagined``, unfrozen."""

    def __init__(self, imagined: Imagined) -> None:
        self.host_epochs = imagined.host_epochs
        self.drawn_at = imagined.drawn_at
        self.stirred_at = imagined.stirred_at
        self.learnt: dict[AdaptationId, float] = {entry.adaptation: entry.share for entry in imagined.learnt}
        self.adopted_at = imagined.adopted_at
        self.shift = imagined.shift

    def frozen(self) -> Imagined:
        """As a value, grafts in order."""
        names = sorted(self.learnt, key=lambda name: (name.seed, name.attempt))
        return Imagined(
            host_epochs=self.host_epochs,
            drawn_at=self.drawn_at,
            stirred_at=self.stirred_at,
            learnt=tuple(Learnt(adaptation=name, share=self.learnt[name]) for name in names),
            adopted_at=self.adopted_at,
            shift=self.shift,
        )


@final
class SimulatedTrainer:
    """Implements ``Trainer`` on fitted dynamics.

    All it carries from epoch to epoch is a few numbers, which a checkpoint holds; everything else is read from the
    run's state and drawn from named streams of the run key.
    """

    def __init__(self, dynamics: Dynamics, store: CheckpointStore | None = None, *, member: int | None = None) -> None:
        """``member`` fixes one parameter set of the ensemble; by default each run key draws its own."""
        self._dynamics: Final = dynamics
        self._store: Final[CheckpointStore] = MemoryStore() if store is None else store
        self._member: Final = member
        self._network = _Network(Imagined())
        self._header: RunHeader | None = None
        self._saved: list[str] = []
        self._names: dict[tuple[SeedId, int], AdaptationId] = {}
        self._kinds: dict[tuple[BlueprintId, Reads], str] = {}
        self._costs: dict[tuple[BlueprintId, Reads, SeedId], Cost] = {}

    def plant(self, header: RunHeader) -> None:
        """Draw what the run key decides. The layout may be another than the one fitted on."""
        self._header = header
        self._planted_key = header.run_key
        self._has_begun = False
        self._draws = Draws(self._dynamics, header.run_key, self._member)
        self._reports = Reports(self._dynamics, self._draws, header)
        self._network = _Network(Imagined())
        self._scores = (self._accuracy(0.0),) * 2

    def amend(self, header: RunHeader) -> None:
        """Train under another header from the next epoch on; another run key has other noise, but the same host."""
        self._header = header
        self._draws = Draws(self._dynamics, header.run_key, self._member, self._planted_key)
        self._reports = Reports(self._dynamics, self._draws, header)

    @property
    def _here(self) -> RunHeader:
        assert self._header is not None, "the trainer must be planted first"
        return self._header

    # Training

    def train(self, epoch: Epoch, state: RunState) -> Trained:
        """Move host and grafts on by an epoch, with the blueprints as they stand in ``state``."""
        self._release(state)
        carried = self._carried(state)
        if epoch > 1 and not self._has_begun:
            self._adopt(epoch - 1, state, carried)
        self._has_begun = True
        self._learn(epoch, carried)
        metrics = self._metrics(carried)
        # Unvalidated: every part was validated when it was made, and reports would be looked through again.
        return Trained.model_construct(
            reports=self._reports.of(epoch, carried),
            metrics=metrics,
            parameters=self._dynamics.host_parameters + sum(entry.cost.parameters for entry in carried),
            weights_digest="",
            faults=(),
            panic=None,
        )

    def _carried(self, state: RunState) -> list[Carried]:
        """Every blueprint in the host."""
        found = []
        for seed in state.seeds.values():
            adaptation = seed.adaptation
            if seed.stage in LOADED and adaptation is not None and adaptation.blueprint_id in state.library:
                name = self._name(seed.seed_id, adaptation.attempt)
                found.append(Carried(seed, name, self._kind(adaptation, state), self._cost(seed, adaptation, state)))
        return found

    def _learn(self, epoch: int, carried: Sequence[Carried]) -> None:
        """Let everyone learn who does."""
        network, member = self._network, self._draws.member
        frozen = self._here.training.freeze_host_on_trial and any(entry.seed.stage in _ON_TRIAL for entry in carried)
        if not frozen:
            network.host_epochs += 1
            network.drawn_at, network.stirred_at = epoch, 0
        learnt: dict[AdaptationId, float] = {}
        for entry in carried:
            share = network.learnt.get(entry.name, 0.0)
            if entry.seed.stage in LEARNING:
                share += (1.0 - math.exp(-member.trial_rate)) * (1.0 - share)
                network.stirred_at = epoch
            elif entry.seed.stage in SETTLED and not frozen:
                share += (1.0 - math.exp(-member.free_rate)) * (member.free_factor - share)
            learnt[entry.name] = share
        network.learnt = learnt

    def _closed(self, carried: Sequence[Carried]) -> tuple[float, float]:
        """How much headroom is closed in all and by those on trial, as sums of -log of what is left."""
        closed = on_trial = 0.0
        for entry in carried:
            stage, adaptation = entry.seed.stage, entry.seed.adaptation
            if adaptation is None or not (stage in _ON_TRIAL or stage in SETTLED):
                continue
            kappa = self._draws.member.kappa(entry.kind, entry.seed.seed_id.layer, entry.cost.gain)
            luck = self._draws.multiplier(entry.name, entry.kind)
            gained = kappa * luck * adaptation.alpha * self._network.learnt.get(entry.name, 0.0)
            closed += gained
            on_trial += gained if stage in _ON_TRIAL else 0.0
        return closed, on_trial

    def _accuracy(self, closed: float) -> float:
        member = self._draws.member
        alone = member.host(self._draws.effect, self._network.host_epochs, self._network.shift)
        return min(max(member.ceiling - (member.ceiling - alone) * math.exp(-closed), 0.0), 1.0)

    def _weather(self, on_trial: float) -> tuple[Residual, float]:
        """The residual of the host as it last trained, and noise that a learning graft adds as far as it has an effect."""
        network = self._network
        held = self._draws.residual(network.drawn_at)
        if not network.stirred_at or on_trial == 0.0:
            return held, held.accuracy
        stir = 1.0 - math.exp(-abs(on_trial))
        return held, (1.0 - stir) * held.accuracy + stir * self._draws.residual(network.stirred_at).accuracy

    def _metrics(self, carried: Sequence[Carried]) -> EpochMetrics:
        """What validation and training measure of the network as it stands."""
        dynamics = self._dynamics
        closed, on_trial = self._closed(carried)
        mean = self._accuracy(closed)
        residual, noise = self._weather(on_trial)
        scale = noise_scale(mean)
        accuracy = _counted(mean + noise * scale, dynamics.validation_samples)
        self._scores = mean, accuracy
        trained = mean + dynamics.train_gap.at(mean) + residual.train_accuracy * scale
        return EpochMetrics(
            train_loss=math.exp(dynamics.train_loss.at(accuracy) + residual.train_loss),
            train_accuracy=min(max(trained, 0.0), 1.0),
            validation_loss=math.exp(dynamics.loss.at(accuracy) + residual.loss),
            validation_accuracy=accuracy,
        )

    def _adopt(self, epoch: int, state: RunState, carried: Sequence[Carried]) -> None:
        """Take over from another trainer, or go back behind that: as the state says the network was after ``epoch``.

        Nobody recorded how far its grafts had learnt: settled ones have to the end, others as long as they are old.
        The host's level is chosen so that the accuracy goes on where it was.
        """
        network, member = _Network(Imagined(adopted_at=max(state.epoch, 1), drawn_at=epoch)), self._draws.member
        trials = 0
        for entry in carried:
            seed, adaptation = entry.seed, entry.seed.adaptation
            assert adaptation is not None
            if seed.stage in SETTLED:
                network.learnt[entry.name] = member.free_factor
                trials += max(seed.since - adaptation.germinated_at - WAITING, 0)
            elif seed.stage in _ON_TRIAL:
                age = max(epoch - adaptation.germinated_at - WAITING, 0)
                network.learnt[entry.name] = 1.0 - math.exp(-member.trial_rate * age)
                trials += age
        network.host_epochs = max(epoch - trials, 1)
        self._network = network
        last = min(max(state.epoch - epoch, 0), max(len(state.recent) - 1, 0))
        window = state.recent[: len(state.recent) - last][-ADOPTED_OVER:]
        if window:
            wanted = sum(metrics.validation_accuracy for metrics in window) / len(window)
            self._shift_to(wanted, self._closed(carried)[0])

    def _shift_to(self, wanted: float, closed: float) -> None:
        """Find the shift of the host's level at which the accuracy is ``wanted``, or as near as it gets."""
        low, high = -SHIFT_MAX, SHIFT_MAX
        for _ in range(BISECTIONS):
            self._network.shift = (low + high) / 2
            if self._accuracy(closed) < wanted:
                low = self._network.shift
            else:
                high = self._network.shift

    # What a blueprint is and costs

    def _name(self, seed: SeedId, attempt: int) -> AdaptationId:
        known = self._names.get((seed, attempt))
        if known is None:
            known = self._names[seed, attempt] = AdaptationId(seed=seed, attempt=attempt)
        return known

    def _kind(self, adaptation: Adaptation, state: RunState) -> str:
        key = (adaptation.blueprint_id, adaptation.reads)
        known = self._kinds.get(key)
        if known is None:
            known = self._kinds[key] = kind_of(state.library.record(adaptation.blueprint_id).name, adaptation.reads)
        return known

    def _cost(self, seed: Seed, adaptation: Adaptation, state: RunState) -> Cost:
        key = (adaptation.blueprint_id, adaptation.reads, seed.seed_id)
        known = self._costs.get(key)
        if known is None:
            record = state.library.record(adaptation.blueprint_id)
            graph = record.graph
            layer = self._here.layout[seed.seed_id.layer]
            read, chunk = layer.read_width(adaptation.reads, seed.seed_id.index), layer.chunk_width(seed.seed_id.index)
            known = self._costs[key] = Cost(
                gain=record.metadata.estimates.past_accuracy_gain_estimate,
                parameters=parameter_count(graph, read=read, chunk=chunk),
                flops=flops(graph, read=read, chunk=chunk),
                memory_mb=memory_mb(graph, read=read, chunk=chunk),
            )
        return known

    # Obeying

    def obey(self, epoch: Epoch, events: tuple[DomainEvent, ...], state: RunState) -> None:
        """Go back to a checkpoint if that was ordered; stages and alphas are read from the state when training.

        Raises CheckpointMissing or CheckpointDamaged when the checkpoint to go back to is not whole.
        """
        for event in events:
            if isinstance(event, RollbackOrdered):
                if event.checkpoint_epoch < self._network.adopted_at:
                    self._adopt(event.checkpoint_epoch, state, self._carried(state))
                else:
                    self._network = _Network(self._load(event.checkpoint).network)
                self._metrics(self._carried(state))  # what a score of this epoch is then taken of

    def checkpoint(self, epoch: Epoch, controller: str) -> CheckpointSaved:
        """Save the few numbers there are, and the policies' memory."""
        saved = SimulatedCheckpoint(
            epoch=epoch, dynamics=self._dynamics.digest, controller=controller, network=self._network.frozen()
        )
        content = saved.model_dump_json().encode()
        digest = self._store.put(content)
        if digest not in self._saved:
            self._saved.append(digest)
        return CheckpointSaved(epoch=epoch, checkpoint=digest, size=len(content))

    def restore(self, digest: str, state: RunState) -> str:
        """Become, freshly planted, the trainer that saved ``digest``; gives the controller's memory.

        Raises CheckpointMissing or CheckpointDamaged.
        """
        saved = self._load(digest)
        self._network = _Network(saved.network)
        self._has_begun = True
        self._saved = [entry.checkpoint for entry in state.checkpoints]
        return saved.controller

    def _load(self, digest: str) -> SimulatedCheckpoint:
        try:
            content = self._store.get(digest)
        except (KeyError, BlobMissing) as error:
            raise CheckpointMissing(
                f"checkpoint {digest} is missing; restore it from a copy or simulate the run again"
            ) from error
        except BlobDamaged as error:
            raise CheckpointDamaged(f"checkpoint {digest} is damaged: {str(error).splitlines()[0]}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise CheckpointDamaged(f"checkpoint {digest} is damaged: its bytes have another SHA-256; restore a copy")
        return unpack(content, digest, self._dynamics.digest)

    def _release(self, state: RunState) -> None:
        if len(self._saved) <= len(state.checkpoints):
            return
        kept = {saved.checkpoint for saved in state.checkpoints}
        for digest in self._saved:
            if digest not in kept:
                self._store.release(digest)
        self._saved = [digest for digest in self._saved if digest in kept]

    def examine(self, epoch: Epoch, candidate: BlueprintGraph, reads: Reads) -> Examination:
        """A prediction from the graph alone of what the live crucible would measure."""
        del epoch
        return predicted(candidate, reads, self._here.hardware)

    def score(self, epoch: Epoch, occasion: str) -> TestScored:
        """Test accuracy: that of validation, off by what the run key's split makes and by chance."""
        mean, accuracy = self._scores
        off = self._draws.test_offset + self._draws.test_residual(epoch)
        scored = _counted(accuracy + off * noise_scale(mean), self._dynamics.test_samples)
        loss = math.exp(self._dynamics.loss.at(scored))
        return TestScored(epoch=epoch, accuracy=scored, loss=loss, occasion=occasion)


def kind_of(name: str, reads: Reads) -> str:
    """The kind that a blueprint's kappa is fitted for: its name and what it reads."""
    return f"{name}/{reads.value}"


def _counted(accuracy: float, samples: int) -> float:
    """An accuracy in [0, 1] that so many samples can give."""
    inside = min(max(accuracy, 0.0), 1.0)
    return round(inside * samples) / samples if samples else inside
