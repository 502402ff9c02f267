"""Forges ``replays/rejected``: exported runs with one thing wrong in each, which must be refused for ever.

``python -m tests.support.rejected_runs`` writes them anew; only where a change of the journal is meant.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.events import DecisionMade, DomainEvent, EpochCompleted, EpochSealed, LayerHealthReported
from engine.journal.archive import _OPENED, _closing_line, _event_line, _json, _line
from engine.journal.seals import Head
from scenarios.lab import Lab
from tests.support.grown_runs import address, row_of

FOLDER = Path(__file__).parents[2] / "replays" / "rejected"
EPOCH = 2
"""Where most of them are forged."""

Forge = Callable[[list[DomainEvent]], list[DomainEvent]]


@dataclass(frozen=True)
class Forgery:
    """What is done to a run, and what its refusal must say."""

    forge: Forge
    said: str


def place(events: Sequence[DomainEvent], kind: type[DomainEvent], epoch: int = EPOCH) -> int:
    """Where the first event of a type and an epoch stands, from 0."""
    return next(i for i, event in enumerate(events) if isinstance(event, kind) and event.epoch == epoch)


def changed_decision(events: list[DomainEvent]) -> list[DomainEvent]:
    """A decision has another confidence."""
    at = place(events, DecisionMade)
    event = events[at]
    assert isinstance(event, DecisionMade)
    decision = event.decision.model_copy(update={"confidence": event.decision.confidence / 2})
    return [*events[:at], event.model_copy(update={"decision": decision}), *events[at + 1 :]]


def reordered_reports(events: list[DomainEvent]) -> list[DomainEvent]:
    """A layer's report comes after the metrics."""
    at = place(events, LayerHealthReported)
    assert isinstance(events[at + 1], EpochCompleted)
    return [*events[:at], events[at + 1], events[at], *events[at + 2 :]]


def dropped_report(events: list[DomainEvent]) -> list[DomainEvent]:
    """A layer's report is missing."""
    at = place(events, LayerHealthReported)
    return [*events[:at], *events[at + 1 :]]


def cut_tail(events: list[DomainEvent]) -> list[DomainEvent]:
    """The last epoch lost its seal."""
    return events[:-1]


def doubled_epoch(events: list[DomainEvent]) -> list[DomainEvent]:
    """An epoch stands there twice."""
    end = place(events, EpochSealed) + 1
    return [*events[:end], *(event for event in events if event.epoch == EPOCH), *events[end:]]


def lost_epoch(events: list[DomainEvent]) -> list[DomainEvent]:
    """An epoch is missing as a whole."""
    return [event for event in events if event.epoch != EPOCH]


def changed_seal(events: list[DomainEvent]) -> list[DomainEvent]:
    """A seal claims another state, and no seal after it was computed anew."""
    at = place(events, EpochSealed)
    return [*events[:at], events[at].model_copy(update={"state_digest": "ab" * 32}), *events[at + 1 :]]


def better_accuracy(events: list[DomainEvent]) -> list[DomainEvent]:
    """An epoch was better than it was."""
    at = place(events, EpochCompleted)
    event = events[at]
    assert isinstance(event, EpochCompleted)
    metrics = event.metrics.model_copy(update={"validation_accuracy": 1.0})
    return [*events[:at], event.model_copy(update={"metrics": metrics}), *events[at + 1 :]]


FORGERIES = {
    "better-accuracy": Forgery(better_accuracy, "seals chain the events"),
    "changed-decision": Forgery(changed_decision, "seals chain the events"),
    "changed-seal": Forgery(changed_seal, "seals chain the events"),
    "cut-tail": Forgery(cut_tail, "every epoch ends in a seal"),
    "doubled-epoch": Forgery(doubled_epoch, "seals count the epochs"),
    "dropped-report": Forgery(dropped_report, "seals count the events"),
    "lost-epoch": Forgery(lost_epoch, "seals count the epochs"),
    "reordered-reports": Forgery(reordered_reports, "seals chain the events"),
}


def archived(run: str, events: Iterable[DomainEvent], end: Head) -> bytes:
    """Events as an export would hold them, numbered without a gap; every line is well-formed."""
    lines = [_line(run, 0, _OPENED, {}, _json({"format": 1, "run": run}))]
    for position, event in enumerate(events, start=1):
        row = row_of(event, position)
        lines.append(_event_line(run, position, row.topic, event, row.state))
    lines.append(_closing_line(run, (Head(end.epoch, len(lines) - 1, end.digest),)))
    return b"".join(lines)


def forge(folder: Path) -> None:
    """Record a run of a few epochs and write every forgery of it."""
    with tempfile.TemporaryDirectory() as scratch, Lab(address(Path(scratch))) as lab:
        settings = {"training.epochs": 3, "host.hidden": [4]}
        run = lab.run("xor4", tamiyo="always_grow", key=1, overrides=settings).run
        events, end = [event for _, event in lab.events(run)], lab.head(run)
        folder.mkdir(parents=True, exist_ok=True)
        for name, forgery in FORGERIES.items():
            file = folder / f"{name}.jsonl"
            file.write_bytes(archived(run, forgery.forge(events), end))
            sys.stdout.write(f"{file.name}: {forgery.forge.__doc__} {file.stat().st_size} bytes\n")


if __name__ == "__main__":
    forge(FOLDER)
