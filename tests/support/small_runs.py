"""Small recorded runs for the journal's tests, and the process that writes one until it is killed."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from domain.commands import Cull, Decision, Draw
from domain.endings import RunEnding
from domain.events import (
    DecisionMade,
    DomainEvent,
    EpochCompleted,
    EpochMetrics,
    EpochSealed,
    LayerHealthReported,
    RunEnded,
    StageChanged,
)
from domain.health import METRICS, LayerHealthReport, SeedProgress
from domain.identifiers import SeedId
from domain.lifecycle import Gate, Stage
from domain.values import Column
from engine.journal.journal import Journal
from engine.journal.seals import GENESIS_HEAD, Head, chain


def body(epoch: int, *, flavour: str = "as recorded") -> tuple[DomainEvent, ...]:
    """Four events of an epoch, the same for the same arguments."""
    seed = SeedId(layer=0, index=epoch % 2)
    metrics = EpochMetrics(
        train_loss=float("nan"), train_accuracy=-0.0, validation_loss=float("inf"), validation_accuracy=epoch / 7
    )
    decision = Decision(command=Cull(seed=seed), reason=flavour, draws=(Draw(stream="tamiyo/test", count=1),))
    return (
        LayerHealthReported(epoch=epoch, report=LayerHealthReport.silent(layer=0, seeds=2)),
        EpochCompleted(epoch=epoch, metrics=metrics, parameters=10, weights_digest="ab" * 32),
        DecisionMade(epoch=epoch, number=0, decision=decision),
        StageChanged(
            epoch=epoch,
            seed=seed,
            source=Stage.TRAINING,
            target=Stage.GRAFTING,
            gate=Gate.RECONSTRUCTION,
            reason=flavour,
            validation_accuracy=epoch / 7,
        ),
    )


def sealed(
    journal: Journal, run_id: str, events: tuple[DomainEvent, ...], epoch: int, after: Head | None = None
) -> tuple[DomainEvent, ...]:
    """``events`` with the seal that the journal will accept after ``after``, by default the run's last epoch."""
    before = after or journal.head(run_id) or GENESIS_HEAD
    rows = journal.rows(run_id, events, before.position + 1)
    digest = chain(before.digest, rows)
    seal = EpochSealed(
        epoch=epoch, events=len(events), log_digest=digest, state_digest="cd" * 32, memory_digest="ef" * 32
    )
    return (*events, seal)


def append(journal: Journal, run_id: str, epochs: range, *, flavour: str = "as recorded") -> Head | None:
    """Record the epochs; return the last head."""
    head = journal.head(run_id)
    for epoch in epochs:
        events = sealed(journal, run_id, body(epoch, flavour=flavour), epoch)
        head = journal.append_epoch(run_id, head.position + 1 if head else 1, events)
    return head


def end(journal: Journal, run_id: str, epoch: int) -> Head:
    """Record a last epoch in which the run ends."""
    head = journal.head(run_id)
    assert head is not None
    ended = RunEnded(epoch=epoch, ending=RunEnding.COMPLETED, reason="every epoch was trained")
    return journal.append_epoch(run_id, head.position + 1, sealed(journal, run_id, (ended,), epoch))


def large_report(seeds: int) -> LayerHealthReported:
    """A report of ``seeds`` seeds with every awkward float in it; over 1 MB from 8,000 seeds on."""
    generator = np.random.Generator(np.random.PCG64(7))
    columns: dict[str, Any] = {name: Column(generator.normal(size=seeds)) for name in METRICS}
    awkward = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324])
    columns["gradient_norm"] = Column(np.resize(awkward, seeds))
    report = LayerHealthReport(
        layer=1,
        **columns,
        execution_latency_ms=float("nan"),
        error_counts=tuple(index % 3 for index in range(seeds)),
        progress=(SeedProgress(index=4, reconstruction_loss=float("inf")), SeedProgress(index=9)),
    )
    return LayerHealthReported(epoch=0, report=report)


def write_for_ever(url: str, run_id: str) -> None:
    """Append epochs, with a line on standard output after each, until killed."""
    with Journal.open(url) as journal:
        epoch = 0
        while True:
            append(journal, run_id, range(epoch, epoch + 1))
            sys.stdout.write(f"{epoch}\n")
            sys.stdout.flush()
            epoch += 1


if __name__ == "__main__":
    write_for_ever(sys.argv[1], sys.argv[2])
