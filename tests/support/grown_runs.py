"""Short live runs with growth, recorded in this process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from domain.events import DomainEvent, EpochSealed
from engine.journal.codec import Codec
from engine.journal.journal import Journal
from engine.journal.seals import Row, check_of
from scenarios.lab import Lab
from scenarios.runs.results import RunResult

SMALL = {"training.epochs": 40, "tamiyo_config.plateau_patience": 4}
"""Long enough for one whole adaptation."""

CODEC = Codec()


def recorded(folder: Path, scenario: str = "xor4", tamiyo: str = "as_designed", key: int = 1) -> RunResult:
    """Record a small run in the journal of ``folder``."""
    with Lab(address(folder)) as lab:
        return lab.run(scenario, tamiyo=tamiyo, key=key, overrides=SMALL)


def address(folder: Path) -> str:
    """The journal of ``folder``."""
    return f"sqlite:///{folder}/journal.db"


def events_of(folder: Path, run: str) -> tuple[DomainEvent, ...]:
    """What was recorded."""
    with Journal.open(address(folder)) as journal:
        return journal.events(run)


def row_of(event: DomainEvent, position: int) -> Row:
    """An event as it would be stored, checksum and all."""
    topic, state = f"{event.TOPIC}:{event.VERSION}", CODEC.encode(event)
    return Row(position, topic, state, check_of(topic, state))


def resealed(folder: Path, run: str, events: Iterable[DomainEvent]) -> None:
    """Record ``events`` as a run of their own, every seal computed anew: what a careful forger would do."""
    open_: list[DomainEvent] = []
    position = 1
    with Journal.open(address(folder)) as journal:
        for event in events:
            if isinstance(event, EpochSealed):
                _, head = journal.seal_epoch(
                    run,
                    position,
                    open_,
                    epoch=event.epoch,
                    state_digest=event.state_digest,
                    memory_digest=event.memory_digest,
                )
                position, open_ = head.position + 1, []
            else:
                open_.append(event)
