"""How strong a claim about a recorded run is: the rungs, climbed one by one.

1 intact: the log is as it was sealed. 2 same state: rebuilding gives the sealed state at every epoch.
3 same decisions: the policies decide the same over the recorded reports. 4 same run: trained again, everything is
the same, bytes of floats included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Final, final

from domain.events import DomainEvent, EpochSealed
from domain.header import RunHeader
from domain.karn.policy import KarnPolicy
from domain.run import RunState, evolve
from domain.tamiyo.policy import TamiyoPolicy
from domain.values import Value
from engine.controllers import PolicyFailed
from engine.courses import Cast, Course, Start, Trainers, headers_of
from engine.divergence import Divergence, compare, stopped
from engine.journal.journal import Journal
from engine.session import Session
from engine.trainers.recorded import RecordedTrainer, RecordingEnded
from engine.trainers.trainer import Trainer

RUNGS: Final = {
    0: "nothing is claimed",
    1: "intact: the log is as it was sealed",
    2: "same state: rebuilding gives the sealed state at every epoch",
    3: "same decisions: the policies decide the same over the recorded reports",
    4: "same run: trained again in a new process, every event is the same to the last bit",
}


Retrained = Divergence | str | int
"""What training again found: where it differs, why it is not comparable here, or from which epoch on it is the same."""


@final
class Verification(Value):
    """The highest rung reached, and what stopped the climb if something did."""

    run: str
    rung: int
    digest: str
    """Of the whole log: the run's digest."""
    epochs: int
    events: int
    divergence: Divergence | None = None
    retrained_from: int = 0
    """Rung 4 trained again from this epoch on; 0 is the planting."""
    not_comparable: str | None = None
    """Why the next rung could not be tried: it is then neither passed nor failed."""

    remarks: tuple[str, ...] = ()
    """What a reader should know although nothing differs, such as a policy whose source changed."""

    @property
    def claim(self) -> str:
        """The rung in words; a run that was trained again in part only is claimed in part only."""
        if self.rung == 4 and self.retrained_from:
            first, last = self.retrained_from + 1, self.epochs
            return f"same epochs {first} to {last}: trained again in a new process, every event is the same to the last bit"
        return RUNGS[self.rung]


class Diverged(Exception):
    """A replay differs from its recording."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(divergence.line)
        self.divergence = divergence


@final
class ComparingSink:
    """Compares what a session seals with what was recorded, and stops it at the first difference.

    ``past`` is the part of the recording that the session does not tell again.
    """

    def __init__(self, recorded: Sequence[DomainEvent], past: Sequence[DomainEvent] = ()) -> None:
        self._epochs = {epoch: list(events) for epoch, events in groupby(recorded, key=lambda event: event.epoch)}
        self._past: list[DomainEvent] = list(past)

    def seal(self, epoch: int, events: Sequence[DomainEvent], state_digest: str, memory_digest: str) -> EpochSealed:
        """The recorded seal, if everything before and in it is the same. Raises Diverged."""
        recorded = self._epochs.get(epoch, [])
        sealed = recorded[-1] if recorded and isinstance(recorded[-1], EpochSealed) else None
        replayed = list(events)
        if sealed is not None:
            # The log digest follows from the events themselves, which are compared one by one.
            known = {"state_digest": state_digest, "memory_digest": memory_digest, "events": len(replayed)}
            replayed.append(sealed.model_copy(update=known))
        divergence = compare(recorded, replayed, len(self._past) + 1, self._past)
        if divergence is not None or sealed is None:
            assert divergence is not None, f"epoch {epoch} was sealed but never recorded"
            raise Diverged(divergence)
        self._past += recorded
        return sealed

    @property
    def told(self) -> int:
        """How many events were compared, or not told again."""
        return len(self._past)

    def epochs_to_come(self, after: int) -> list[DomainEvent]:
        """What was recorded after epoch ``after``."""
        return [event for epoch, events in self._epochs.items() if epoch > after for event in events]


def same_state(events: Sequence[DomainEvent]) -> Divergence | None:
    """Rung 2: fold the log and compare the state at each seal. None if every one is as sealed."""
    state = RunState()
    for position, event in enumerate(events, start=1):
        if isinstance(event, EpochSealed) and state.digest() != event.state_digest:
            rebuilt = event.model_copy(update={"state_digest": state.digest()})
            return compare([event], [rebuilt], position, events[: position - 1])
        state = evolve(state, event)
    return None


def replay(
    events: Sequence[DomainEvent],
    trainer: Trainer | Trainers,
    cast: Cast,
    *,
    start: Start | None = None,
    watch: Callable[[int], None] = lambda epoch: None,
) -> Divergence | None:
    """Run a run again with ``trainer``, from its planting or from ``start``, and compare event for event.

    None if nothing differs.

    A recording that stops before its run ended (a crash) is compared as far as it goes.
    """
    last = events[-1].epoch
    told = [] if start is None else [event for event in events if event.epoch <= start.epoch]
    sink = ComparingSink(events, told)
    course = Course(events, cast, trainer if callable(trainer) else lambda header: trainer)
    session: Session | None = None
    try:
        session = course.session(sink, start, watch=lambda view: watch(view.state.epoch))
        course.follow(session, last)
    except Diverged as diverged:
        return diverged.divergence
    except RecordingEnded as ended:
        wanted, cause = f"a call for {ended.wanted}", "the engine asks the trainer for something else"
        return stopped(events, sink.told, () if session is None else session.unsealed, cause, wanted)
    except PolicyFailed as failure:  # it cannot take its place: at the planting, where it starts from, or at a fork
        return stopped(events, sink.told, (), str(failure))
    left = sink.epochs_to_come(session.state.epoch)
    if left:
        done = len(events) - len(left)
        return compare(left, [], done + 1, events[:done])
    return None


def _cast(
    policies: Callable[[RunHeader], tuple[TamiyoPolicy, KarnPolicy] | str], header: RunHeader
) -> tuple[TamiyoPolicy, KarnPolicy]:
    found = policies(header)
    assert not isinstance(found, str), found
    return found


def verify(
    journal: Journal,
    run_id: str,
    policies: Callable[[RunHeader], tuple[TamiyoPolicy, KarnPolicy] | str],
    retrain: Callable[[Sequence[DomainEvent]], Retrained] | None = None,
) -> Verification:
    """Climb the rungs of one run. ``policies`` gives those that it names, or says why they cannot be had here.

    Rung 4 is tried if ``retrain`` is given.

    Raises JournalDamaged where rung 1 fails, RunMissing, JournalTooNew.
    """
    heads = journal.verify(run_id)
    events = journal.events(run_id)
    reached = Verification(
        run=run_id, rung=1, digest=heads[-1].digest, epochs=heads[-1].epoch, events=heads[-1].position
    )
    divergence = same_state(events)
    if divergence is not None:
        return reached.model_copy(update={"divergence": divergence})
    missing = [found for header in headers_of(events) if isinstance(found := policies(header), str)]
    if missing:
        return reached.model_copy(update={"rung": 2, "not_comparable": missing[0]})
    divergence = replay(events, RecordedTrainer(events), partial(_cast, policies))
    if divergence is not None:
        return reached.model_copy(update={"rung": 2, "divergence": divergence})
    if retrain is None:
        return reached.model_copy(update={"rung": 3})
    answer = retrain(events)
    if isinstance(answer, int):
        return reached.model_copy(update={"rung": 4, "retrained_from": answer})
    if isinstance(answer, str):
        return reached.model_copy(update={"rung": 3, "not_comparable": answer})
    return reached.model_copy(update={"rung": 3, "divergence": answer})
