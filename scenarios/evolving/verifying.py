"""How strong a claim about an evolution is: its rungs, as those of a run are climbed.

1 intact: the log is as it was sealed, and the library's chain of provenance holds. 2 same state at every generation's
end. 3 same decisions: Karn proposes, Urabrask judges and Urza curates the same again over the recorded runs and
measures. There is no rung 4 of its own: each of its runs is trained again by itself, with ``regrow verify RUN --retrain``.
"""

from __future__ import annotations

from domain.events import EvolutionStarted, RunJoined
from domain.karn.reward_model import certified_reward
from domain.urza.provenance import ProvenanceBroken, verify_provenance
from engine.innovation.recalled import replay, same_state
from engine.journal.errors import Damage, JournalDamaged
from engine.journal.journal import Journal
from engine.replay import Verification
from scenarios import composition
from scenarios.specification import BadInput

BY_ITSELF = "each of its runs is trained again by itself: `regrow verify RUN --retrain`"


def verify_evolution(journal: Journal, name: str, *, retrain: bool = False) -> Verification:
    """Climb the rungs of an evolution. Raises JournalDamaged where rung 1 fails, RunMissing, JournalTooNew."""
    heads = journal.verify(name)
    events = journal.events(name)
    last = heads[-1]
    reached = Verification(run=name, rung=1, digest=last.digest, epochs=last.epoch, events=last.position)
    try:
        verify_provenance(events)
    except ProvenanceBroken as broken:
        raise JournalDamaged(name, Damage(1, last.position, "provenance is a chain", str(broken))) from broken
    divergence = same_state(events)
    if divergence is not None:
        return reached.model_copy(update={"divergence": divergence})
    joined = [event for event in events if isinstance(event, RunJoined)]
    remarks = tuple(remark for event in joined if (remark := _absent(journal, event)) is not None)
    reached = reached.model_copy(update={"rung": 2, "remarks": remarks})
    started = events[0]
    assert isinstance(started, EvolutionStarted), f"{name} is no evolution"
    header = started.header
    try:
        karn, now = composition.karn(header.karn.name)
    except BadInput as missing:
        return reached.model_copy(update={"not_comparable": str(missing)})
    if now.source_digest != header.karn.source_digest:
        remarks = (f"the source of policy {header.karn.name} has changed since the recording", *remarks)
        reached = reached.model_copy(update={"remarks": remarks})
    divergence = replay(events, karn, certified_reward)
    if divergence is not None:
        return reached.model_copy(update={"divergence": divergence})
    return reached.model_copy(update={"rung": 3, "not_comparable": BY_ITSELF if retrain else None})


def _absent(journal: Journal, event: RunJoined) -> str | None:
    """A remark on a run that the journal does not hold as it joined, or None."""
    head = journal.head(event.run)
    if head is None:
        return f"run {event.run} of generation {event.epoch} is not in this journal"
    if head.digest != event.digest:
        return f"run {event.run} is another one than the one that joined in generation {event.epoch}"
    return None
